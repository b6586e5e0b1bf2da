//! The agreed meaning of a configuration: plain data, no behaviour.
//!
//! A [`Plan`] is what `config` makes of the files and what everything else works
//! from. Nothing in it needs a look-up any more: users are numbers, names are
//! addresses, defaults are applied. It never changes once made.

mod access;
mod change;
mod denial;
mod deny_list;
mod door;
mod encode;
mod hours;
mod kind;
mod log;
mod policy;
mod redirect;
mod service;
mod socket;
mod source;

pub use access::AccessList;
pub use change::{Change, changes};
pub use denial::{Denial, NoId};
pub use deny_list::{DenyList, Listed};
pub use door::{Behind, Door, DoorBanners, Duty, Ident, Relay, ServiceIndex};
pub use encode::{decode_doors, encode_doors};
pub use hours::{Hours, Interval, Load};
pub use kind::{Action, DenyTime, Internal, Libwrap, Mux, Protocol, Rpc, SocketType, Wait};
pub use log::{Facility, FileLog, Level, LogField, LogFields, LogForm, LogTarget, LogWishes};
pub use policy::{Limit, Policy, RateAction, RateLimit, SourcePrefix};
pub use redirect::Redirect;
pub use service::{
    BannerKind, Banners, Credentials, EnvPlan, FileAccess, Groups, Origin, Passed, Place, Program,
    Resource, Rlimit, Service, ServiceId, SocketOptions, Stderr,
};
pub use socket::{Address, SocketIndex, SocketKey};
pub use source::Source;

/// One configuration, resolved and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The log of `defaults`, shared by every service without a `log_type` of its own.
    pub common_log: LogTarget,
    /// The services that are to run, in reading order.
    pub services: Vec<Service>,
}

/// Counts the configurations a monitor has put in force; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

//! Who may come in, how many and how fast: what admission decides by.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::plan::{AccessList, Hours, Load, Source};

/// Who may come in, how many and how fast; all the engine decides by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub instances: Limit,
    pub per_source: Limit,
    pub rate: RateLimit,
    /// `cps_action`: what happens to connections beyond the rate.
    pub rate_action: RateAction,
    /// `per_source_prefix`: what counts as one source.
    pub source_prefix: SourcePrefix,
    /// `max_load`: the load average from which on clients are refused (LIM-4).
    pub max_load: Option<Load>,
    /// `access_times`
    pub hours: Hours,
    /// `None`: no `only_from`, everybody. An empty list: nobody (ADDR-1).
    pub only_from: Option<AccessList>,
    /// `None`: no `no_access`, nobody is refused.
    pub no_access: Option<AccessList>,
}

/// `instances`, `per_source`, `-limit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    #[default]
    Unlimited,
    /// 0 refuses everything (LIM-1).
    Max(u32),
}

impl Limit {
    /// The number; `None`: there is no limit.
    #[must_use]
    pub const fn most(self) -> Option<u32> {
        match self {
            Self::Unlimited => None,
            Self::Max(max) => Some(max),
        }
    }

    /// Whether one more is too many when `running` are there already.
    #[must_use]
    pub const fn reached(self, running: u32) -> bool {
        match self {
            Self::Unlimited => false,
            Self::Max(max) => running >= max,
        }
    }
}

/// `cps = per_second pause` (CPS-1 to CPS-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Connections per second; 0 switches the limit off.
    pub per_second: u32,
    /// Seconds the port stays closed when the rate was exceeded.
    pub pause: u32,
}

impl Default for RateLimit {
    /// xinetd.conf(5): "the default is 50 incoming connections and the interval is 10 seconds".
    fn default() -> Self {
        Self { per_second: 50, pause: 10 }
    }
}

/// `cps_action`: what happens to connections beyond the rate of `cps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateAction {
    /// The port is closed for a while (CPS-3).
    #[default]
    Pause,
    /// They wait, and are taken one after the other.
    Pace,
}

/// `per_source_prefix`: how many bits of an address make up a source, for `per_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePrefix {
    /// 0 to 128
    pub v6: u8,
    /// 0 to 32
    pub v4: u8,
}

impl Default for SourcePrefix {
    /// Each address is a source of its own (LIM-3).
    fn default() -> Self {
        Self { v6: 128, v4: 32 }
    }
}

impl SourcePrefix {
    /// The source that a client belongs to: the first address of its network.
    #[must_use]
    pub fn of(self, client: Source) -> Source {
        let Source::Ip(address) = client else { return client };
        Source::Ip(match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.v4.min(32))).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.v6.min(128))).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        })
    }
}

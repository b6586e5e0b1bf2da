//! What the resolver asks the system, as an interface that tests can replace.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::Path;

/// A passwd(5) entry as far as a service needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: OsString,
    pub uid: u32,
    pub gid: u32,
}

/// The databases behind names: passwd, group, services, protocols, hosts, and the file system.
///
/// Every answer is `None` (or empty) when there is none; a look-up never fails otherwise.
pub trait Lookup {
    fn user_by_name(&self, name: &OsStr) -> Option<User>;
    fn user_by_uid(&self, uid: u32) -> Option<User>;
    fn group_by_name(&self, name: &OsStr) -> Option<u32>;
    /// Supplementary groups of `user`, without `gid` when the database does not list it twice.
    fn groups_of(&self, user: &User, gid: u32) -> Vec<u32>;
    /// The port of `name` (or an alias) in services(5) for `protocol`.
    fn port(&self, name: &str, protocol: &str) -> Option<u16>;
    /// The number of `name` in protocols(5).
    fn protocol(&self, name: &str) -> Option<i32>;
    /// Every address of a host name, in the resolver's order.
    fn addresses(&self, host: &str) -> Vec<IpAddr>;
    /// access(2) with `X_OK` (ATTR-48: a directory passes).
    fn is_executable(&self, path: &Path) -> bool;
    /// Whether the daemon has this variable in its environment (ATTR-44).
    fn has_variable(&self, name: &OsStr) -> bool;
}

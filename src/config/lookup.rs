//! What the resolver asks the system, as an interface that tests can replace.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A passwd(5) entry as far as a service needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: OsString,
    pub uid: u32,
    pub gid: u32,
}

/// The databases behind names: passwd, group, services, protocols, rpc, networks, hosts, and
/// the file system.
///
/// Every answer is `None` (or empty) when there is none; a look-up never fails otherwise.
pub trait Lookup {
    fn user_by_name(&self, name: &OsStr) -> Option<User>;
    fn user_by_uid(&self, uid: u32) -> Option<User>;
    fn group_by_name(&self, name: &OsStr) -> Option<u32>;
    /// What initgroups(3) would set for `user`: `gid`, and every group that lists the user.
    fn groups_of(&self, user: &User, gid: u32) -> Vec<u32>;
    /// The port of `name` (or an alias) in services(5) for `protocol`.
    fn port(&self, name: &str, protocol: &str) -> Option<u16>;
    /// The number of `name` in protocols(5).
    fn protocol(&self, name: &str) -> Option<i32>;
    /// The program number of `name` (or an alias) in rpc(5).
    fn rpc(&self, name: &str) -> Option<u32>;
    /// The number of `name` (or an alias) in networks(5): `127.0.0.0`.
    fn network(&self, name: &str) -> Option<u32>;
    /// Every address of a host name, in the resolver's order, with port 0. Of an address
    /// such as `fe80::1%eth0` the scope is the number of the interface.
    fn addresses(&self, host: &str) -> Vec<SocketAddr>;
    /// access(2) with `X_OK` (ATTR-48: a directory passes).
    fn is_executable(&self, path: &Path) -> bool;
    /// Whether the daemon has this variable in its environment (ATTR-44).
    fn has_variable(&self, name: &OsStr) -> bool;
}

/// A look-up answered from lists: for tests, and for the files of another machine.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub users: Vec<User>,
    pub groups: HashMap<OsString, u32>,
    /// Groups besides the primary one, by user name.
    pub members: HashMap<OsString, Vec<u32>>,
    /// Ports by name and protocol.
    pub ports: HashMap<(String, String), u16>,
    pub protocols: HashMap<String, i32>,
    pub rpc: HashMap<String, u32>,
    pub networks: HashMap<String, u32>,
    pub hosts: HashMap<String, Vec<SocketAddr>>,
    pub executables: HashSet<PathBuf>,
    pub variables: HashSet<OsString>,
}

impl Lookup for Table {
    fn user_by_name(&self, name: &OsStr) -> Option<User> {
        self.users.iter().find(|user| user.name == name).cloned()
    }

    fn user_by_uid(&self, uid: u32) -> Option<User> {
        self.users.iter().find(|user| user.uid == uid).cloned()
    }

    fn group_by_name(&self, name: &OsStr) -> Option<u32> {
        self.groups.get(name).copied()
    }

    fn groups_of(&self, user: &User, gid: u32) -> Vec<u32> {
        let more = self.members.get(&user.name).into_iter().flatten();
        std::iter::once(gid).chain(more.copied()).collect()
    }

    fn port(&self, name: &str, protocol: &str) -> Option<u16> {
        self.ports.get(&(name.to_owned(), protocol.to_owned())).copied()
    }

    fn protocol(&self, name: &str) -> Option<i32> {
        self.protocols.get(name).copied()
    }

    fn rpc(&self, name: &str) -> Option<u32> {
        self.rpc.get(name).copied()
    }

    fn network(&self, name: &str) -> Option<u32> {
        self.networks.get(name).copied()
    }

    fn addresses(&self, host: &str) -> Vec<SocketAddr> {
        self.hosts.get(host).cloned().unwrap_or_default()
    }

    fn is_executable(&self, path: &Path) -> bool {
        self.executables.contains(path)
    }

    fn has_variable(&self, name: &OsStr) -> bool {
        self.variables.contains(name)
    }
}

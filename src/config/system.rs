//! The look-ups of this machine, each asked once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::Hash;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use crate::config::lookup::{Lookup, User};
use crate::plan::Load;
use crate::sys::{clock, load, names};

/// Answers from the system's databases.
///
/// Answers are kept, so that thousands of services do not read the same files
/// thousands of times: make a new one for every reload. Not for several threads.
#[derive(Debug, Default)]
pub struct System {
    users: RefCell<HashMap<OsString, Option<User>>>,
    uids: RefCell<HashMap<u32, Option<User>>>,
    groups: RefCell<HashMap<OsString, Option<u32>>>,
    members: RefCell<HashMap<(OsString, u32), Vec<u32>>>,
    ports: RefCell<HashMap<(String, String), Option<u16>>>,
    protocols: RefCell<HashMap<String, Option<i32>>>,
    rpc: RefCell<Option<HashMap<String, u32>>>,
    networks: RefCell<Option<HashMap<String, u32>>>,
    hosts: RefCell<HashMap<String, Vec<SocketAddr>>>,
}

impl System {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Minutes since midnight, local time.
    #[must_use]
    pub fn minute_of_day() -> u16 {
        clock::minute_of_day()
    }

    /// The load average of the last minute; `None` where the system does not say.
    #[must_use]
    pub fn load() -> Option<Load> {
        load::average().map(Load)
    }

    /// The name that `address` resolves to, if it has one.
    ///
    /// # Errors
    /// When there is no telling.
    pub fn name_of(address: IpAddr) -> io::Result<Option<String>> {
        names::of_address(address)
    }
}

/// The answer to `question`, asked of the system only the first time.
fn once<Q: Eq + Hash, A: Clone>(
    known: &RefCell<HashMap<Q, A>>,
    question: Q,
    ask: impl FnOnce(&Q) -> A,
) -> A {
    if let Some(answer) = known.borrow().get(&question) {
        return answer.clone();
    }
    let answer = ask(&question);
    known.borrow_mut().insert(question, answer.clone());
    answer
}

/// Names and aliases of rpc(5) and networks(5): `NAME NUMBER ALIAS...`, `#` begins a comment.
/// The C library of some systems has no look-up for them, and nobody keeps them elsewhere.
fn numbers(text: &str, number: fn(&str) -> Option<u32>) -> HashMap<String, u32> {
    let mut known = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let (Some(name), Some(number)) = (words.next(), words.next().and_then(number)) else {
            continue;
        };
        for name in std::iter::once(name).chain(words) {
            known.entry(name.to_owned()).or_insert(number);
        }
    }
    known
}

/// networks(5): one to four numbers; zeros at the end may be left out.
fn network_number(text: &str) -> Option<u32> {
    let mut bytes = [0; 4];
    let mut places = bytes.iter_mut();
    for part in text.split('.') {
        *places.next()? = part.parse().ok()?;
    }
    Some(u32::from_be_bytes(bytes))
}

fn user(found: names::User) -> User {
    User { name: found.name, uid: found.uid, gid: found.gid }
}

impl Lookup for System {
    fn user_by_name(&self, name: &OsStr) -> Option<User> {
        once(&self.users, name.to_owned(), |name| names::user_by_name(name).map(user))
    }

    fn user_by_uid(&self, uid: u32) -> Option<User> {
        once(&self.uids, uid, |uid| names::user_by_uid(*uid).map(user))
    }

    fn group_by_name(&self, name: &OsStr) -> Option<u32> {
        once(&self.groups, name.to_owned(), |name| names::group_by_name(name))
    }

    fn groups_of(&self, user: &User, gid: u32) -> Vec<u32> {
        once(&self.members, (user.name.clone(), gid), |(name, gid)| names::groups_of(name, *gid))
    }

    fn port(&self, name: &str, protocol: &str) -> Option<u16> {
        let question = (name.to_owned(), protocol.to_owned());
        once(&self.ports, question, |(name, protocol)| names::port(name, protocol))
    }

    fn protocol(&self, name: &str) -> Option<i32> {
        once(&self.protocols, name.to_owned(), |name| names::protocol(name))
    }

    fn rpc(&self, name: &str) -> Option<u32> {
        let mut known = self.rpc.borrow_mut();
        let programs = known.get_or_insert_with(|| {
            numbers(&fs::read_to_string("/etc/rpc").unwrap_or_default(), |text| text.parse().ok())
        });
        programs.get(name).copied()
    }

    fn network(&self, name: &str) -> Option<u32> {
        let mut known = self.networks.borrow_mut();
        let networks = known.get_or_insert_with(|| {
            numbers(&fs::read_to_string("/etc/networks").unwrap_or_default(), network_number)
        });
        networks.get(name).copied()
    }

    fn addresses(&self, host: &str) -> Vec<SocketAddr> {
        once(&self.hosts, host.to_owned(), |host| {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in (host.as_str(), 0).to_socket_addrs().into_iter().flatten() {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            addresses
        })
    }

    fn is_executable(&self, path: &Path) -> bool {
        names::is_executable(path)
    }

    fn has_variable(&self, name: &OsStr) -> bool {
        std::env::var_os(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_once() {
        let known = RefCell::new(HashMap::new());
        assert_eq!(once(&known, 1, |_| 'a'), 'a');
        assert_eq!(once(&known, 1, |_| 'b'), 'a');
    }

    #[test]
    fn programs_of_rpc_are_found_by_name_and_alias() {
        let text = "# list\nrstatd\t100001\trstat rup # more\nbad\nx y\n";
        let programs = numbers(text, |number| number.parse().ok());
        assert_eq!(programs.get("rup"), Some(&100_001), "PORT-5");
        assert_eq!(programs.len(), 3);
    }

    #[test]
    fn networks_may_leave_zeros_out() {
        for (text, number) in [
            ("127.0.0.0", Some(0x7f00_0000)),
            ("10", Some(0x0a00_0000)),
            ("192.168", Some(0xc0a8_0000)),
            ("1.2.3.4.5", None),
            ("300", None),
        ] {
            assert_eq!(network_number(text), number, "ADDR-16: {text}");
        }
    }

    #[test]
    fn this_machine_has_root_and_a_loopback_address() {
        let system = System::new();
        let root = system.user_by_name(OsStr::new("root")).unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(system.user_by_uid(0).unwrap(), root);
        assert_eq!(system.group_by_name(OsStr::new("root")), Some(0));
        assert!(system.groups_of(&root, 0).contains(&0));
        let local = names::local_user("root").unwrap();
        assert_eq!((local.uid, local.gid), (0, 0));
        assert!(names::local_user("no-such-user").is_none());
        assert!(system.user_by_name(OsStr::new("no-such-user")).is_none());
        assert!(system.is_executable(Path::new("/bin/sh")));
        assert!(!system.is_executable(Path::new("/etc/passwd")));
        assert_eq!(system.addresses("127.1"), [SocketAddr::from(([127, 0, 0, 1], 0))]);
        assert_eq!(system.addresses("fe80::1%lo"), ["[fe80::1%1]:0".parse().unwrap()]);
        assert!(system.addresses("fe80::1%no-such-if").is_empty());
        assert!(system.addresses("no.such.host.invalid").is_empty());
    }
}

//! The machine of the records, as a table: a plain Debian 12, with what a mode adds to it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use xinetd_rs::config::lookup::{Lookup, User};

use crate::record::Mode;

/// The machine as one file found it.
pub(crate) struct Machine<'a> {
    /// Users and groups that were added for the file.
    accounts: Vec<Vec<u8>>,
    servers: &'a Servers,
    /// Hosts that were added for the file.
    hosts: Vec<Vec<u8>>,
}

/// Servers that were added, for this file or for one before it: they stayed.
#[derive(Default)]
pub(crate) struct Servers(BTreeSet<Vec<u8>>);

/// The number of the first account that was added.
const FIRST_ADDED: u32 = 2001;

impl<'a> Machine<'a> {
    /// The machine on which the file with this text was tried in this mode.
    pub(crate) fn new(mode: Mode, text: &[u8], servers: &'a mut Servers) -> Self {
        let mut accounts: Vec<Vec<u8>> = Vec::new();
        if mode != Mode::Bare {
            let known = |word: &[u8]| {
                USERS.iter().any(|(name, ..)| name.as_bytes() == word)
                    || GROUPS.iter().any(|(name, _)| name.as_bytes() == word)
            };
            let lines = uncommented(text);
            for word in values(&lines, "user").into_iter().chain(values(&lines, "group")) {
                if !known(&word) && !accounts.contains(&word) {
                    accounts.push(word);
                }
            }
            servers.0.extend(values(text, "server"));
        }
        let mut hosts = Vec::new();
        if mode == Mode::Enabled {
            hosts.extend(["redirect", "bind", "interface"].iter().flat_map(|at| values(text, at)));
        }
        Self { accounts, servers, hosts }
    }

    fn added(&self, name: &OsStr) -> Option<u32> {
        let at = self.accounts.iter().position(|account| *account == name.as_encoded_bytes())?;
        Some(FIRST_ADDED + u32::try_from(at).unwrap())
    }
}

/// `text` without the `#` of its comments: accounts were added for those too.
fn uncommented(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if *byte == b'#' { b' ' } else { *byte }).collect()
}

/// The first value of each line of `attribute`.
fn values(text: &[u8], attribute: &str) -> Vec<Vec<u8>> {
    let value = |line: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let named = words.next()?.eq_ignore_ascii_case(attribute.as_bytes());
        (named && words.next()? == b"=").then_some(words.next()?.to_vec())
    };
    text.split(|byte| *byte == b'\n').filter_map(value).collect()
}

impl Lookup for Machine<'_> {
    fn user_by_name(&self, name: &OsStr) -> Option<User> {
        let known = USERS.iter().find(|(user, ..)| *user == name);
        let number = |id| User { name: name.to_owned(), uid: id, gid: id };
        match known {
            Some((_, uid, gid)) => Some(User { gid: *gid, ..number(*uid) }),
            None => self.added(name).map(number),
        }
    }

    fn user_by_uid(&self, uid: u32) -> Option<User> {
        let known = USERS.iter().find(|(_, number, _)| *number == uid);
        known.map(|(name, uid, gid)| User { name: OsString::from(name), uid: *uid, gid: *gid })
    }

    fn group_by_name(&self, name: &OsStr) -> Option<u32> {
        let known = GROUPS.iter().find(|(group, _)| *group == name).map(|(_, gid)| *gid);
        known.or_else(|| self.added(name))
    }

    fn groups_of(&self, _: &User, gid: u32) -> Vec<u32> {
        vec![gid]
    }

    fn port(&self, name: &str, protocol: &str) -> Option<u16> {
        SERVICES.lines().find_map(|row| {
            let (port, of) = row.strip_prefix(name)?.strip_prefix(' ')?.split_once('/')?;
            port.parse().ok().filter(|_| of == protocol)
        })
    }

    fn protocol(&self, name: &str) -> Option<i32> {
        PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }

    fn rpc(&self, name: &str) -> Option<u32> {
        RPC.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }

    fn network(&self, name: &str) -> Option<u32> {
        NETWORKS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }

    fn addresses(&self, host: &str) -> Vec<SocketAddr> {
        let added = || self.hosts.iter().any(|added| added == host.as_bytes());
        match host == "localhost" || !host.contains(['<', ':']) && added() {
            true => vec![(Ipv4Addr::LOCALHOST, 0).into()],
            false => Vec::new(),
        }
    }

    fn is_executable(&self, path: &Path) -> bool {
        let text = path.as_os_str().as_encoded_bytes();
        PROGRAMS.iter().any(|program| program.as_bytes() == text) || self.servers.0.contains(text)
    }

    fn has_variable(&self, name: &OsStr) -> bool {
        name == "PATH"
    }
}

/// Users that Debian has from the beginning, and those of its packages: name, uid, gid.
const USERS: &[(&str, u32, u32)] = &[
    ("root", 0, 0),
    ("daemon", 1, 1),
    ("bin", 2, 2),
    ("sys", 3, 3),
    ("sync", 4, 65534),
    ("games", 5, 60),
    ("man", 6, 12),
    ("lp", 7, 7),
    ("mail", 8, 8),
    ("news", 9, 9),
    ("uucp", 10, 10),
    ("proxy", 13, 13),
    ("www-data", 33, 33),
    ("backup", 34, 34),
    ("list", 38, 38),
    ("irc", 39, 39),
    ("nobody", 65534, 65534),
];

const GROUPS: &[(&str, u32)] = &[
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("adm", 4),
    ("tty", 5),
    ("disk", 6),
    ("lp", 7),
    ("mail", 8),
    ("news", 9),
    ("uucp", 10),
    ("man", 12),
    ("proxy", 13),
    ("kmem", 15),
    ("staff", 50),
    ("games", 60),
    ("users", 100),
    ("nogroup", 65534),
];

const PROTOCOLS: &[(&str, i32)] = &[
    ("ip", 0),
    ("icmp", 1),
    ("tcp", 6),
    ("TCP", 6),
    ("udp", 17),
    ("UDP", 17),
    ("sctp", 132),
    ("SCTP", 132),
];

/// networks(5)
const NETWORKS: &[(&str, u32)] =
    &[("default", 0), ("loopback", 0x7f00_0000), ("link-local", 0xa9fe_0000)];

/// Rows of rpc(5) that the files name.
const RPC: &[(&str, u32)] = &[
    ("rstatd", 100_001),
    ("rusersd", 100_002),
    ("walld", 100_008),
    ("rquotad", 100_011),
    ("sprayd", 100_012),
];

/// Programs that the files name, and that were there.
const PROGRAMS: &[&str] = &[
    "/bin/cat",
    "/bin/date",
    "/bin/ls",
    "/bin/ps",
    "/bin/sh",
    "/bin/bash",
    "/bin/true",
    "/tmp",
    "/root/.pyenv/shims/python",
    "/usr/bin/env",
    "/usr/bin/false",
    "/usr/bin/java",
    "/usr/bin/node",
    "/usr/bin/ps",
    "/usr/bin/python3",
    "/usr/bin/python3.11",
    "/usr/bin/setarch",
    "/usr/bin/timeout",
    "/usr/sbin/chroot",
];

/// Names of the files that services(5) of Debian's netbase has.
const SERVICES: &str = "\
tcpmux 1/tcp
echo 7/tcp
echo 7/udp
discard 9/tcp
discard 9/udp
systat 11/tcp
daytime 13/tcp
daytime 13/udp
netstat 15/tcp
chargen 19/tcp
chargen 19/udp
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp
time 37/tcp
time 37/udp
bootps 67/udp
tftp 69/udp
gopher 70/tcp
finger 79/tcp
http 80/tcp
pop3 110/tcp
pop-3 110/tcp
auth 113/tcp
nntp 119/tcp
imap2 143/tcp
imap 143/tcp
https 443/tcp
https 443/udp
microsoft-ds 445/tcp
exec 512/tcp
comsat 512/udp
login 513/tcp
shell 514/tcp
printer 515/tcp
talk 517/udp
ntalk 518/udp
klogin 543/tcp
kshell 544/tcp
rsync 873/tcp
imaps 993/tcp
ms-sql-s 1433/tcp
cvspserver 2401/tcp
mysql 3306/tcp
ms-wbt-server 3389/tcp
svn 3690/tcp
amanda 10080/tcp
echo 4/ddp
munin 4949/tcp
nrpe 5666/tcp
sane-port 6566/tcp
ircd 6667/tcp
git 9418/tcp
webmin 10000/tcp
amandaidx 10082/tcp
amidxtape 10083/tcp
";

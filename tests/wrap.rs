//! Rules of hosts.allow and hosts.deny: our verdict and that of libwrap, by tcpdmatch(8).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "a test starts what it compares with")]

use std::fs;
use std::net::IpAddr;
use std::process::Command;

use xinetd_rs::admit::wrap::{Host, HostName, Request, Tables};

fn is_granted(allow: &str, deny: &str, daemon: &str, client: &str) -> bool {
    let tables = Tables::load(&|path| match path.to_str() {
        Some(Tables::ALLOW) => Ok(allow.into()),
        Some(Tables::DENY) => Ok(deny.into()),
        _ => fs::read(path),
    });
    let (user, host) = client.split_once('@').unwrap_or(("unknown", client));
    let client = match host {
        "localhost" => {
            Host { address: [127, 0, 0, 1].into(), name: Some(HostName::Known("localhost".into())) }
        }
        address => Host { address: address.parse().unwrap(), name: Some(HostName::Unknown) },
    };
    let server = Host { address: IpAddr::from([0, 0, 0, 0]), name: Some(HostName::Unknown) };
    let request = Request { daemon, client: &client, server: &server, user: Some(user) };
    tables.decide(&request).unwrap().is_granted
}

/// What libwrap says; `None`: it would run something else instead.
fn libwrap(allow: &str, deny: &str, daemon: &str, client: &str) -> Option<bool> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("hosts.allow"), allow).unwrap();
    fs::write(directory.path().join("hosts.deny"), deny).unwrap();
    let output = Command::new(TCPDMATCH)
        .args(["-d", daemon, client])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("access:")).map(str::trim) {
        Some("granted") => Some(true),
        Some("denied") => Some(false),
        Some("delegated") => None,
        _ => panic!("{allow:?} {deny:?} {daemon} {client}: {output:?}"),
    }
}

/// Debian's package tcpd; `tests/all` installs it where it may.
fn is_installed() -> bool {
    let found = Command::new(TCPDMATCH).output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "tcpdmatch is not installed (package tcpd)");
    found
}

const TCPDMATCH: &str = "/usr/sbin/tcpdmatch";
const ALL: &str = "ALL: ALL\n";

/// Lists of daemons and clients in hosts.allow, with hosts.deny denying everybody.
const LISTS: &[&str] = &[
    "a: 10.5.0.1",
    "a: 10.5.0.2",
    "a: 10.",
    "a: 10.5.",
    "a: 10.5",
    "a: .0.1",
    "a: *",
    "a: 10.5.0.?",
    "a: 1*.1",
    "a: .",
    "a: 010.5.0.1",
    "A: ALL",
    "a b: 10.5.0.1",
    "b,a: 10.5.0.1",
    "a : 10.5.0.1,x",
    "b: ALL",
    "a*: ALL",
    "*: ALL",
    "?: ALL",
    "KNOWN: ALL",
    "LOCAL: ALL",
    "ALL: all",
    "a: 10.5.0.0/16",
    "a: 10.5.0.0/255.255.0.0",
    "a: 10.5.0.1/16",
    "a: 10.0.0.0/255.0.255.0",
    "a: 0.0.0.0/0",
    "a: 10.5.0.1/32",
    "a: 10.5.0.1/33",
    "a: 10.5.0/24",
    "a: 10.0.0.0/8x",
    "a: 10.0.0.0/+8",
    "a: 10.0.0.0/",
    "a: 10.0.0.0/255.0.0",
    "a: KNOWN",
    "a: UNKNOWN",
    "a: unknown",
    "a: LOCAL",
    "a: PARANOID",
    "a: localhost",
    "a: LOCALHO*",
    "a: local.",
    "a: .localhost",
    "a: @group",
    "a: ::1",
    "a: [::1]",
    "a: [::0:1]",
    "a: [::1",
    "a: [::1]x",
    "a: [zz]",
    "a: [::1]/0",
    "a: [::1]/128",
    "a: [::1]/129",
    "a: [::]/64",
    "a: ::1/128",
    "a: [::ffff:10.5.0.1]",
    "a: [::ffff:10.5.0.0]/112",
    "a: ALL EXCEPT 10.5.0.1",
    "a: ALL EXCEPT 10.5.0.1 EXCEPT 10.5.0.1",
    "a: ALL except LOCAL",
    "a: EXCEPT ALL",
    "a: 10.5.0.1 EXCEPT",
    "a b EXCEPT a: ALL",
    "ALL EXCEPT b: ALL",
    "a: joe@10.5.0.1",
    "a: joe@ALL",
    "a: KNOWN@ALL",
    "a: ALL@10.5.",
    "a: UNKNOWN@ALL",
    "a: @",
    "a: x@",
    "a: /no/such/file",
    "a: ALL EXCEPT /no/such/file",
    "a 10.5.0.1",
    "#a: ALL",
    " #a: ALL",
    "  a: ALL",
    "a: 10.5.0.2 \\\n 10.5.0.1",
    "a: 10.5.0.2 \\\n# 10.5.0.1",
    "",
    ":",
    "a:",
    "a: :",
    ": ALL",
    "a: 10.5.0.1 # x",
    "b: ALL\na: 10.5.0.1",
    "a: ALL\\",
];

/// Options behind `a: ALL`.
const OPTIONS: &[&str] = &[
    "",
    " ",
    "allow",
    "ALLOW",
    "deny",
    "allow : deny",
    "deny : allow",
    "allow x",
    "allow=",
    "frob",
    "severity info",
    "severity mail.info",
    "severity = mail.info",
    "severity MAIL.INFO",
    "severity info.mail",
    "severity frob",
    "severity",
    "severity mail.frob",
    "keepalive",
    "keepalive x",
    "linger 5",
    "linger x",
    "linger",
    "rfc931",
    "rfc931 5",
    "rfc931 0",
    "rfc931 x",
    "nice",
    "nice 5",
    "nice x",
    "spawn /bin/true",
    "spawn",
    "spawn (echo a\\: b) & : deny",
    "spawn x : allow",
    "spawn x: frob",
    "banners /tmp",
    "banners",
    ": allow",
    "keepalive : linger 2 : allow",
    "keepalive : deny : nice",
];

const CLIENTS: [&str; 6] =
    ["10.5.0.1", "10.6.0.1", "localhost", "::1", "2001:db8::7", "joe@10.5.0.1"];

#[test]
fn wrap_1_every_list_has_the_verdict_of_libwrap() {
    if !is_installed() {
        return;
    }
    for list in LISTS {
        for client in CLIENTS {
            let allow = format!("{list}\n");
            let theirs = libwrap(&allow, ALL, "a", client);
            assert_eq!(Some(is_granted(&allow, ALL, "a", client)), theirs, "{list:?} {client}");
        }
    }
}

#[test]
fn wrap_1_options_have_the_verdict_of_libwrap() {
    if !is_installed() {
        return;
    }
    for option in OPTIONS {
        let rule = format!("a: ALL :{option}\n");
        for (allow, deny) in [(rule.as_str(), ALL), ("", rule.as_str())] {
            let theirs = libwrap(allow, deny, "a", "10.5.0.1");
            assert_eq!(
                Some(is_granted(allow, deny, "a", "10.5.0.1")),
                theirs,
                "{option:?} {deny:?}"
            );
        }
    }
}

#[test]
fn a_line_without_an_end_or_too_long_denies_in_hosts_deny_and_means_nothing_in_hosts_allow() {
    if !is_installed() {
        return;
    }
    let long = format!("a: {}\n", "10.5.0.1 ".repeat(300));
    for text in ["a: ALL", "b: ALL", long.as_str(), "c: ALL\na: ALL"] {
        for (allow, deny) in [(text, ALL), (text, ""), ("", text), ("a: ALL\n", text)] {
            let theirs = libwrap(allow, deny, "a", "10.5.0.1");
            assert_eq!(
                Some(is_granted(allow, deny, "a", "10.5.0.1")),
                theirs,
                "{allow:?} {deny:?}"
            );
        }
    }
}

#[test]
fn what_cannot_be_done_for_a_server_is_denied() {
    for option in
        ["twist /bin/echo", "user nobody", "group mail", "umask 077", "setenv A b", "aclexec x"]
    {
        let rule = format!("a: ALL : {option}\n");
        assert!(!is_granted(&rule, "", "a", "10.5.0.1"), "{option}");
    }
}

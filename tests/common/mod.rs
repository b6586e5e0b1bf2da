//! A machine that has all that the files we ship and show name.

use std::path::PathBuf;

use xinetd_rs::config::lookup::{Table, User};
use xinetd_rs::config::{Loaded, code};
use xinetd_rs::diag::{Diagnostic, Severity};

pub(crate) fn machine() -> Table {
    let user = |name: &str, uid, gid| User { name: name.into(), uid, gid };
    let tcp = [
        ("daytime", 13),
        ("discard", 9),
        ("finger", 79),
        ("git", 9418),
        ("imap4", 143),
        ("imap4s", 993),
        ("nrpe", 5666),
        ("pop3", 110),
        ("pop3s", 995),
        ("rsync", 873),
        ("shell", 514),
        ("tcpmux", 1),
        ("telnet", 23),
    ];
    let udp = [("daytime", 13), ("tftp", 69), ("time", 37)];
    let port = |protocol: &'static str| {
        move |(name, port): (&str, u16)| ((name.to_owned(), protocol.to_owned()), port)
    };
    let programs = [
        "/bin/date",
        "/usr/bin/check_mk_agent",
        "/usr/bin/git",
        "/usr/bin/rsync",
        "/usr/sbin/imap4d",
        "/usr/sbin/in.fingerd",
        "/usr/sbin/in.tftpd",
        "/usr/sbin/nrpe",
        "/usr/sbin/pop3d",
        "/usr/sbin/rpc.rstatd",
    ];
    Table {
        users: vec![user("root", 0, 0), user("nobody", 65534, 65534), user("nagios", 110, 120)],
        groups: [("root".into(), 0), ("nogroup".into(), 65534), ("nagios".into(), 120)].into(),
        ports: tcp.into_iter().map(port("tcp")).chain(udp.into_iter().map(port("udp"))).collect(),
        protocols: [("tcp".into(), 6), ("udp".into(), 17)].into(),
        rpc: [("rstatd".into(), 100_001)].into(),
        executables: programs.map(PathBuf::from).into(),
        variables: ["PATH".into()].into(),
        ..Table::default()
    }
}

/// Everything but that a word has no effect.
pub(crate) fn complaints(loaded: &Loaded) -> Vec<&Diagnostic> {
    let told = |note: &&Diagnostic| note.severity != Severity::Note || note.code != code::NO_EFFECT;
    loaded.notes.iter().filter(told).collect()
}

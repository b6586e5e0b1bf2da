//! Every diagnostic as people and as the log see it: `tests/config/*.conf` beside `*.stderr`.
//!
//! A sample `compat*.conf` is read with the `.inetd` beside it as its inetd.conf.
//!
//! `BLESS=1 cargo test --test pictures` writes the pictures anew; read the difference.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use xinetd_rs::config::lookup::{Table, User};
use xinetd_rs::config::{self, Loaded, Request};

/// A machine with a few users, programs and names.
fn machine() -> Table {
    let user = |name: &str, uid, gid| User { name: name.into(), uid, gid };
    Table {
        users: vec![user("root", 0, 0), user("games", 5, 60), user("mail", 8, 8)],
        groups: [("root".into(), 0), ("mail".into(), 8)].into(),
        ports: [
            (("echo".into(), "tcp".into()), 7),
            (("pop3".into(), "tcp".into()), 110),
            (("tftp".into(), "udp".into()), 69),
        ]
        .into(),
        rpc: [("rstatd".into(), 100_001), ("nfs".into(), 100_003)].into(),
        protocols: [("tcp".into(), 6), ("udp".into(), 17)].into(),
        hosts: [("dual.example.org".into(), vec!["192.0.2.1:0".parse().unwrap()])].into(),
        executables: ["/usr/sbin/pop3d".into(), "/bin/cat".into()].into(),
        variables: ["PATH".into()].into(),
        ..Table::default()
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn load(path: &Path) -> Loaded {
    let inetd = path.with_extension("inetd");
    let compat = path.file_name().unwrap().as_encoded_bytes().starts_with(b"compat");
    let inetd = compat.then_some(inetd.as_path());
    config::load(&Request { path, base: &directory(), lookup: &machine(), inetd })
}

/// Every sample, in the order of names.
fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(directory()).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    paths.sort();
    paths
}

fn picture(loaded: &Loaded) -> String {
    let mut text = String::new();
    for note in &loaded.notes {
        writeln!(text, "{}", note.human(&loaded.sources, false)).unwrap();
    }
    text.push_str("=== log\n");
    for note in &loaded.notes {
        writeln!(text, "{}: {}", note.severity.word(), note.log_line(&loaded.sources)).unwrap();
    }
    text.push_str("=== services\n");
    for service in &loaded.plan.services {
        writeln!(text, "up: {} on {}", service.id, service.socket).unwrap();
    }
    for faulty in &loaded.faulty {
        writeln!(text, "faulty: {}", faulty.id).unwrap();
    }
    writeln!(text, "{:?}", loaded.verdict).unwrap();
    text.replace(&format!("{}/", directory().display()), "")
}

#[test]
fn diagnostics_look_as_drawn() {
    let mut wrong = Vec::new();
    for path in samples() {
        let drawn = path.with_extension("stderr");
        let found = picture(&load(&path));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&drawn, &found).unwrap();
        } else if fs::read_to_string(&drawn).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", drawn.display()));
        }
    }
    assert!(wrong.is_empty(), "not as drawn (BLESS=1 to redraw):\n{}", wrong.join("\n"));
}

/// Codes whose mistake is too long to be drawn; unit tests have them.
const TOO_LONG: [&str; 2] = [config::code::INCLUDE_LIMIT, config::code::TOO_MANY];

#[test]
fn every_code_is_drawn_once_at_least() {
    let drawn: BTreeSet<_> =
        samples().iter().flat_map(|path| load(path).notes).map(|note| note.code).collect();
    let all: BTreeSet<_> =
        config::code::ALL.iter().copied().filter(|code| !TOO_LONG.contains(code)).collect();
    let missing: Vec<_> = all.difference(&drawn).collect();
    assert!(missing.is_empty(), "no picture shows {missing:?}");
}

#[test]
fn short_messages_begin_with_file_line_and_column() {
    let loaded = load(&directory().join("three-mistakes.conf"));
    let short: Vec<_> = loaded.notes.iter().map(|note| note.short(&loaded.sources)).collect();
    assert_eq!(short.len(), 3);
    assert!(short[0].contains("three-mistakes.conf:6:"), "{short:?}");
    assert!(short[0].ends_with("did you mean `stream`?"), "{short:?}");
}

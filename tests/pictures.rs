//! Every diagnostic as people and as the log see it, and every difference from the original:
//! `tests/config/*.conf` beside `*.stderr`.
//!
//! A sample `compat*.conf` is read with the `.inetd` beside it as its inetd.conf.
//!
//! `BLESS=1 cargo test --test pictures` writes the pictures anew; read the difference.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use xinetd_rs::config::lookup::{Table, User};
use xinetd_rs::config::{self, Loaded, Request};

/// A machine with a few users, programs and names.
fn machine() -> Table {
    let user = |name: &str, uid, gid| User { name: name.into(), uid, gid };
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Table {
        users: vec![user("root", 0, 0), user("games", 5, 60), user("mail", 8, 8)],
        groups: [("root".into(), 0), ("mail".into(), 8)].into(),
        ports: [
            (("echo".into(), "tcp".into()), 7),
            (("pop3".into(), "tcp".into()), 110),
            (("smtp".into(), "tcp".into()), 25),
            (("tftp".into(), "udp".into()), 69),
        ]
        .into(),
        rpc: [("rstatd".into(), 100_001), ("nfs".into(), 100_003)].into(),
        protocols: [("icmp", 1), ("tcp", 6), ("udp", 17), ("sctp", 132)]
            .map(|(name, number)| (name.into(), number))
            .into(),
        hosts: [
            ("dual.example.org".into(), vec![address("192.0.2.1:0")]),
            ("several.example.org".into(), vec![address("192.0.2.1:0"), address("192.0.2.2:0")]),
        ]
        .into(),
        networks: [("campus".into(), 0x0a01_0000)].into(),
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
    text.push_str("=== xinetd 2.3.15\n");
    for found in &loaded.differences {
        writeln!(text, "{} ({})", found.note.short(&loaded.sources), found.spec).unwrap();
    }
    text.push_str("=== services\n");
    for service in &loaded.plan.services {
        let sockets: Vec<_> = service.sockets.iter().map(ToString::to_string).collect();
        writeln!(text, "up: {} on {}", service.id, sockets.join(" ")).unwrap();
    }
    for faulty in &loaded.faulty {
        writeln!(text, "faulty: {}", faulty.id).unwrap();
    }
    writeln!(text, "{:?}", loaded.verdict).unwrap();
    without(&format!("{}/", directory().display()), &text)
}

/// `text` as if its files stood here, with the lines under them as much shorter.
fn without(directory: &str, text: &str) -> String {
    let mut above = false;
    let shortened = text.split_inclusive('\n').map(|line| {
        let underlined = if above { "^".repeat(directory.len()) } else { String::new() };
        above = line.contains(directory);
        line.replace(directory, "").replacen(&underlined, "", 1)
    });
    shortened.collect()
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

/// Sentences of `src/config` that no picture shows: those of the files that make no
/// diagnostics, and of what is too long, is no text, or cannot be had as root.
const NOT_DRAWN: [&str; 8] = [
    "too many mistakes: {least}{} more are not shown",
    "files include one another more than {MOST_DEEP} deep; `{text}` is not read",
    "more than {MOST_FILES} files; `{text}` and what follows is not read",
    "longer than {} MiB{together}",
    ", together with the files before it",
    "Unable to open overlay",
    "the path of a socket has no NUL byte",
    "(command line)",
];
const NO_DIAGNOSTICS: [&str; 5] = ["attr.rs", "edit.rs", "report.rs", "tests.rs", "tests"];

#[test]
fn every_sentence_of_a_diagnostic_is_drawn_once_at_least() {
    let drawn: String = samples().iter().map(|path| picture(&load(path))).collect();
    let mut sources = Vec::new();
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config"), &mut sources);
    let missing: Vec<_> = sources
        .iter()
        .flat_map(|path| sentences(&fs::read_to_string(path).unwrap()))
        .filter(|text| !NOT_DRAWN.contains(&text.as_str()) && !drawn.contains(&longest_part(text)))
        .collect();
    assert!(sources.len() > 20 && missing.is_empty(), "no picture shows {missing:#?}");
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if NO_DIAGNOSTICS.iter().any(|name| path.ends_with(name)) {
        } else if path.is_dir() {
            rust_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The string literals of several words in a source text, without its tests.
fn sentences(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let told = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with("#[") && !line.contains("reason = ")
    };
    let code = code.lines().filter(told).collect::<Vec<_>>().join("\n");
    let code = code.replace("\\\"", "\u{1}").replace("b'\"'", "");
    let literals = code.split('"').skip(1).step_by(2);
    literals.filter(|text| text.len() > 11 && text.contains(' ')).map(joined).collect()
}

/// A literal as the compiler reads it.
fn joined(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let text = lines.fold(first, |text, line| text + line.trim_start());
    text.replace('\u{1}', "\"").replace("{{", "\u{2}").replace("}}", "\u{3}")
}

/// The longest part of a format between its arguments.
fn longest_part(format: &str) -> String {
    let parts = format.split('{').map(|part| part.rsplit('}').next().unwrap_or_default());
    let longest = parts.max_by_key(|part| part.len()).unwrap_or_default();
    longest.trim().replace('\u{2}', "{").replace('\u{3}', "}")
}

#[test]
fn short_messages_begin_with_file_line_and_column() {
    let loaded = load(&directory().join("three-mistakes.conf"));
    let short: Vec<_> = loaded.notes.iter().map(|note| note.short(&loaded.sources)).collect();
    assert_eq!(short.len(), 3);
    assert!(short[0].contains("three-mistakes.conf:6:"), "{short:?}");
    assert!(short[0].ends_with("did you mean `stream`?"), "{short:?}");
}

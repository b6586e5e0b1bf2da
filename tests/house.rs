//! The plan of the house, as a test: which room may name which.
//!
//! A failure here is a question about architecture, not about style. Answer it
//! in `docs/adr/`, then change the table.
#![expect(clippy::string_slice, reason = "positions come from a search")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

/// A room, the rooms it may open, the guarded crates it may name.
struct Room {
    name: &'static str,
    doors: &'static [&'static str],
    crates: &'static [&'static str],
}

const HOUSE: &[Room] = &[
    Room { name: "sys", doors: &[], crates: &["libc", "nix", "socket2"] },
    Room { name: "diag", doors: &[], crates: &["annotate_snippets"] },
    Room { name: "plan", doors: &[], crates: &["serde", "postcard"] },
    Room { name: "cli", doors: &["plan"], crates: &[] },
    Room { name: "config", doors: &["diag", "plan", "sys"], crates: &["nom"] },
    Room { name: "admit", doors: &["plan"], crates: &[] },
    Room { name: "ipc", doors: &["plan", "sys"], crates: &[] },
    Room { name: "log", doors: &["plan", "sys"], crates: &["tracing"] },
    Room { name: "engine", doors: &["admit", "ipc", "plan", "sys"], crates: &["tokio", "socket2"] },
    Room {
        name: "monitor",
        doors: &["cli", "config", "diag", "ipc", "log", "plan", "sys"],
        crates: &["socket2", "sd_notify", "tracing"],
    },
    Room { name: "ctl", doors: &[], crates: &["clap", "nix", "rcgen", "rustls", "socket2"] },
    Room { name: "daemon", doors: &["cli", "engine", "ipc", "monitor"], crates: &[] },
];

const GUARDED: &[&str] = &[
    "annotate_snippets",
    "clap",
    "libc",
    "nix",
    "nom",
    "postcard",
    "rcgen",
    "rustls",
    "sd_notify",
    "serde",
    "socket2",
    "tokio",
    "tracing",
];

#[test]
fn rooms_only_open_the_doors_they_have() {
    let mut wrong = Vec::new();
    walk(Path::new("src"), &mut |path, text| {
        let inside = path.components().nth(1).and_then(|part| part.as_os_str().to_str());
        let name = inside.unwrap_or_default().trim_end_matches(".rs");
        let Some(room) = HOUSE.iter().find(|room| room.name == name) else { return };
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for complaint in complaints(room, line) {
                wrong.push(format!("{}:{}: {complaint}", path.display(), number + 1));
            }
        }
    });
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What is wrong with one line of a room.
fn complaints(room: &Room, line: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = room.name;
    if line.contains("crate::{") || line.contains("super::super::") {
        wrong.push("name each room on its own line, from `crate::`".to_owned());
    }
    for other in HOUSE.iter().map(|other| other.name) {
        if other != name && names(line, &format!("crate::{other}")) && !room.doors.contains(&other)
        {
            wrong.push(format!("room `{name}` may not open `{other}`"));
        }
    }
    for guarded in GUARDED {
        if names(line, guarded)
            && line.contains(&format!("{guarded}::"))
            && !room.crates.contains(guarded)
        {
            wrong.push(format!("room `{name}` may not use the crate `{guarded}`"));
        }
    }
    if name != "sys" && (line.contains("unsafe {") || line.contains("unsafe fn")) {
        wrong.push("`unsafe` outside `sys`".to_owned());
    }
    wrong
}

/// Whether `path` stands in `line` as a path of its own, not as the end of a longer one.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        !before.is_some_and(|c| part_of_word(c) || c == ':') && !after.is_some_and(part_of_word)
    })
}

#[test]
fn the_table_notices_what_it_forbids() {
    let room = HOUSE.iter().find(|room| room.name == "admit").unwrap();
    for (line, bad) in [
        ("use crate::plan::Policy;", false),
        ("use crate::engine::run;", true),
        ("use crate::{plan, log};", true),
        ("let x = tokio::spawn(y);", true),
        ("unsafe { f() }", true),
        ("let x = my_tokio::spawn(y);", false),
    ] {
        assert_eq!(!complaints(room, line).is_empty(), bad, "{line}");
    }
}

#[test]
fn unsafe_stays_within_its_budget() {
    const BUDGET: usize = 26;
    let mut blocks = 0;
    walk(Path::new("src"), &mut |_, text| {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        blocks += code.filter(|line| line.contains("unsafe {")).count();
    });
    assert!(blocks <= BUDGET, "{blocks} unsafe blocks: argue for more in docs/adr/");
}

#[test]
fn every_file_says_in_its_first_line_what_it_is_for() {
    walk(Path::new("src"), &mut |path, text| {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! ") && first.len() > 8, "{}", path.display());
    });
}

fn walk(dir: &Path, f: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, f);
        } else if path.extension().is_some_and(|e| e == "rs") {
            f(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

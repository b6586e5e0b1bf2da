//! The plan of the house, as a test: which room may name which.
//!
//! A failure here is a question about architecture, not about style. Answer it
//! in `docs/adr/`, then change the table.
#![expect(clippy::string_slice, reason = "positions come from a search")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A room, the rooms it may open, the guarded crates it may name.
struct Room {
    name: &'static str,
    doors: &'static [&'static str],
    crates: &'static [&'static str],
}

const HOUSE: &[Room] = &[
    Room {
        name: "sys",
        doors: &[],
        crates: &["landlock", "libc", "nix", "seccompiler", "socket2"],
    },
    Room { name: "diag", doors: &[], crates: &["annotate_snippets"] },
    Room { name: "plan", doors: &[], crates: &["serde", "postcard"] },
    Room { name: "cli", doors: &["control", "plan"], crates: &[] },
    Room { name: "control", doors: &[], crates: &["serde", "serde_json"] },
    Room { name: "config", doors: &["diag", "plan", "sys"], crates: &["nom"] },
    Room { name: "admit", doors: &["plan"], crates: &[] },
    Room { name: "ipc", doors: &["plan", "sys"], crates: &[] },
    Room { name: "log", doors: &["plan", "sys"], crates: &["tracing"] },
    Room { name: "engine", doors: &["admit", "ipc", "plan", "sys"], crates: &["tokio", "socket2"] },
    Room {
        name: "monitor",
        doors: &["cli", "config", "control", "diag", "ipc", "log", "plan", "sys"],
        crates: &["socket2", "tracing"],
    },
    Room {
        name: "ctl",
        doors: &["admit", "config", "control", "diag", "plan"],
        crates: &[
            "clap",
            "nix",
            "rcgen",
            "rustls",
            "serde",
            "serde_json",
            "socket2",
            "terminal_size",
        ],
    },
    Room { name: "rpc", doors: &["ipc", "sys"], crates: &[] },
    Room { name: "daemon", doors: &["cli", "engine", "ipc", "monitor", "rpc"], crates: &[] },
];

/// What stands in `src/` beside the rooms.
const NO_ROOMS: &[&str] = &["lib", "main", "bin"];

const GUARDED: &[&str] = &[
    "annotate_snippets",
    "clap",
    "landlock",
    "libc",
    "nix",
    "nom",
    "postcard",
    "rcgen",
    "rustls",
    "seccompiler",
    "serde",
    "serde_json",
    "socket2",
    "terminal_size",
    "tokio",
    "tracing",
];

#[test]
fn rooms_only_open_the_doors_they_have() {
    let mut wrong = Vec::new();
    walk(Path::new("src"), &mut |path, text| {
        for (number, complaint) in complaints_about(path.strip_prefix("src").unwrap(), text) {
            wrong.push(format!("{}:{number}: {complaint}", path.display()));
        }
    });
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What is wrong with a file, by line; `path` is its place below `src/`.
fn complaints_about(path: &Path, text: &str) -> Vec<(usize, String)> {
    let place: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let first = place.first().unwrap().as_str();
    if NO_ROOMS.contains(&first) {
        return Vec::new();
    }
    let Some(room) = HOUSE.iter().find(|room| room.name == first) else {
        return vec![(1, format!("there is no room `{first}` in the table"))];
    };
    // How many `super::` lead from the top of the file to the crate.
    let depth = place.len() - usize::from(place.ends_with(&["mod".to_owned()]));
    let mut wrong = Vec::new();
    let mut modules: Vec<&str> = Vec::new(); // the indentation of those that are open
    for (number, line) in text.lines().enumerate() {
        let words = line.trim_start();
        if words.starts_with("//") {
            continue;
        }
        let indentation = &line[..line.len() - words.len()];
        if words == "}" && modules.last() == Some(&indentation) {
            modules.pop();
        }
        for complaint in complaints(room, line, depth + modules.len()) {
            wrong.push((number + 1, complaint));
        }
        if words.ends_with('{') && names(words, "mod") {
            modules.push(indentation);
        }
    }
    wrong
}

/// What is wrong with one line of a room, `depth` modules below the crate.
fn complaints(room: &Room, line: &str, depth: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = room.name;
    let line = &line.replace("self::super", "super");
    let line = &if depth == 1 { line.replace("super::", "crate::") } else { line.clone() };
    let detours = ["crate::{", "crate::*", "crate as ", "super::super", "super as ", "#[path"];
    if detours.iter().any(|detour| line.contains(detour)) {
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
        assert_eq!(!complaints(room, line, 2).is_empty(), bad, "{line}");
    }
    let in_a_module = "mod tests {\n    use super::engine::run;\n}\n";
    let after_a_module = "mod tests {\n    use super::*;\n}\nuse super::engine::run;\n";
    for (path, text, bad) in [
        ("cli.rs", "use super::plan::Policy;", false),
        ("cli.rs", "use super::engine::run;", true),
        ("admit/mod.rs", "use super::plan::Policy;", false),
        ("admit/mod.rs", "use super::engine::run;", true),
        ("admit/mod.rs", "use self::super::engine::run;", true),
        ("admit/mod.rs", "let x = super::engine::run();", true),
        ("admit/mod.rs", "use super::{engine, plan};", true),
        ("admit/mod.rs", "use super::*;", true),
        ("admit/mod.rs", "use super as house;", true),
        ("admit/mod.rs", "use crate as house;", true),
        ("admit/mod.rs", in_a_module, false),
        ("admit/mod.rs", after_a_module, true),
        ("admit/count.rs", "use super::engine::run;", false),
        ("admit/count.rs", "use super::super::engine::run;", true),
        ("admit/deep/mod.rs", "use super::engine::run;", false),
        ("admit/deep/hole.rs", "use super::{engine, plan};", false),
        ("cellar.rs", "", true),
        ("cellar/mod.rs", "", true),
        ("cellar/deep/hole.rs", "", true),
        ("lib.rs", "pub mod engine;", false),
        ("bin/tool.rs", "use xinetd_rs::ctl;", false),
    ] {
        let found = complaints_about(Path::new(path), text);
        assert_eq!(!found.is_empty(), bad, "{path}: {text}: {found:?}");
    }
}

#[test]
fn unsafe_stays_within_its_budget() {
    const BUDGET: usize = 30;
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

#[test]
fn every_difference_from_the_original_is_on_the_page_about_them() {
    let page = fs::read_to_string("docs/compatibility.md").unwrap();
    let listed: BTreeSet<&str> = page.lines().flat_map(listed_in).collect();
    let mut missing = BTreeSet::new();
    let mut look = |path: &Path, text: &str| {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let missed = lines.flat_map(differences).filter(|id| !listed.contains(id));
        missing.extend(missed.map(|id| format!("{}: {id}", path.display())));
    };
    walk(Path::new("src/config"), &mut |path, text| {
        if !path.with_extension("").iter().any(|part| part == "tests") {
            look(path, text);
        }
    });
    walk(Path::new("tests/corpus"), &mut look);
    assert!(missing.is_empty(), "not in docs/compatibility.md:\n{missing:#?}");
}

/// The statements that a line of code names in quotes: differences, but for the rows of
/// the attribute table.
fn differences(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('"').skip(1).step_by(2).filter(|_| !line.contains("spec: \""));
    quoted.filter(|text| is_statement(text))
}

/// The statements of a row, from the cells that have nothing else.
fn listed_in(row: &str) -> Vec<&str> {
    let cells = row.strip_prefix("| ").unwrap_or_default().split(" | ").take(2);
    let words = cells.map(|cell| cell.split(", ").collect::<Vec<_>>());
    words.filter(|ids| ids.iter().all(|id| is_statement(id))).flatten().collect()
}

/// A name such as PARSE-13.
fn is_statement(text: &str) -> bool {
    text.split_once('-').is_some_and(|(topic, number)| {
        !topic.is_empty()
            && topic.bytes().all(|byte| byte.is_ascii_uppercase())
            && number.parse::<u8>().is_ok()
    })
}

#[test]
fn a_difference_is_told_from_other_words() {
    for (line, found) in [
        (r#"note.differs("PARSE-14", deed)"#, vec!["PARSE-14"]),
        (r#"    "ATTR-40","#, vec!["ATTR-40"]),
        (r#"    spec: "ATTR-40","#, vec![]),
        (r#"say("see PARSE-14 of", "utf-8", "UTF-8x")"#, vec![]),
    ] {
        assert_eq!(differences(line).collect::<Vec<_>>(), found, "{line}");
    }
    for (row, found) in [
        ("| BIND-4, BIND-5 | see BIND-6 | no |", vec!["BIND-4", "BIND-5"]),
        ("| `wait = yes` | WAIT-1 | left out |", vec!["WAIT-1"]),
        ("see BIND-6 | x |", vec![]),
    ] {
        assert_eq!(listed_in(row), found, "{row}");
    }
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

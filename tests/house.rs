//! The plan of the house, as a test: which room may name which.
//!
//! A failure here is a question about architecture, not about style. Answer it
//! in `docs/adr/`, then change the table.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, fs, path::Path};

/// room → rooms it may import, crates it may name.
const HOUSE: &[(&str, &[&str], &[&str])] = &[
    ("sys", &[], &["libc", "nix"]),
    ("diag", &[], &[]),
    ("plan", &["diag"], &[]),
    ("config", &["diag", "plan"], &["nom", "nix"]),
    ("admit", &["plan"], &[]),
    ("ipc", &["plan", "sys"], &[]),
    ("log", &["plan"], &["nix"]),
    ("engine", &["admit", "ipc", "log", "plan", "sys"], &["tokio", "socket2", "tracing"]),
    ("monitor", &["config", "diag", "ipc", "log", "plan", "sys"], &["nix", "socket2", "tracing"]),
];
const GUARDED: &[&str] = &["libc", "nix", "nom", "tokio", "socket2", "tracing"];

#[test]
fn rooms_only_open_the_doors_they_have() {
    let mut wrong = Vec::new();
    let doors: BTreeMap<_, _> =
        HOUSE.iter().map(|(r, rooms, crates)| (*r, (*rooms, *crates))).collect();
    walk(Path::new("src"), &mut |path, text| {
        let Some(room) = path.components().nth(1).and_then(|c| c.as_os_str().to_str()) else {
            return;
        };
        let room = room.trim_end_matches(".rs");
        let Some((rooms, crates)) = doors.get(room) else {
            return;
        };
        for (n, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            if line.contains("crate::{") || line.contains("super::super::") {
                wrong.push(format!(
                    "{}:{}: name each room on its own line, from `crate::`",
                    path.display(),
                    n + 1
                ));
            }
            for (other, _, _) in HOUSE {
                if *other != room
                    && line.contains(&format!("crate::{other}"))
                    && !rooms.contains(other)
                {
                    wrong.push(format!(
                        "{}:{}: room `{room}` may not open `{other}`",
                        path.display(),
                        n + 1
                    ));
                }
            }
            for krate in GUARDED {
                if line.contains(&format!("{krate}::")) && !crates.contains(krate) {
                    wrong.push(format!(
                        "{}:{}: room `{room}` may not use the crate `{krate}`",
                        path.display(),
                        n + 1
                    ));
                }
            }
            if room != "sys" && (line.contains("unsafe {") || line.contains("unsafe fn")) {
                wrong.push(format!("{}:{}: `unsafe` outside `sys`", path.display(), n + 1));
            }
        }
    });
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
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

//! The manual pages in `man/` and the completions in `completions/` are what the program and
//! the sources in `docs/man` say.
//!
//! `BLESS=1 cargo test --test manuals` writes them anew; read the difference.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]
#![expect(clippy::string_slice, reason = "positions come from a search")]
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod completion;
mod mdoc;
mod page;
mod tables;
mod truth;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page: its name, such as `xinetd.8`, and its text.
pub(crate) fn pages() -> Vec<(String, String)> {
    let mut sources: Vec<PathBuf> =
        fs::read_dir(root().join("docs/man")).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.sort();
    let page = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = page::page(&name, &fs::read_to_string(path).unwrap());
        (name, text)
    };
    sources.iter().map(page).collect()
}

#[test]
fn pages_and_completions_are_up_to_date() {
    let pages = pages().into_iter().map(|(name, text)| (format!("man/{name}"), text));
    let wanted: Vec<_> = pages.chain(completion::files()).collect();
    assert_eq!(wanted.len(), 6 + 6);
    let mut stale = Vec::new();
    for (name, text) in wanted {
        let path = root().join(&name);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "stale; BLESS=1 cargo test --test manuals writes them: {stale:?}");
}

//! Every service entry of a configuration, on or off, and what keeps it off.

use std::collections::HashSet;
use std::io;

use crate::config::edit;
use crate::config::near::nearest;
use crate::config::overlay::Overlays;
use crate::config::resolve::{Selection, id_of, read_defaults};
use crate::config::source::{self, Entry as Item};
use crate::config::{KeptOff, Request};
use crate::diag::{Diagnostic, Sources, Span};

/// All entries, in reading order.
#[derive(Debug)]
pub struct Entries {
    pub sources: Sources,
    /// What could not be read, and other mistakes of files as a whole.
    pub notes: Vec<Diagnostic>,
    pub entries: Vec<Entry>,
}

/// One entry, broken ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    /// The word after `service`, and where it stands.
    pub name: String,
    pub span: Span,
    /// The list in `defaults` that keeps it off (DEF-8).
    pub kept_off: Option<KeptOff>,
    /// The names of the overlays that change it, in their order.
    pub overlays: Vec<Span>,
}

/// Reads the entries of `request`.
///
/// # Errors
/// When the main file cannot be read.
pub fn entries(request: &Request<'_>) -> io::Result<Entries> {
    let mut notes = Vec::new();
    let files = source::read(request.path, request.base, &mut notes)?;
    let (defaults, _) = read_defaults(request, &files, &mut Vec::new());
    let selection = Selection::new(&defaults.draft);
    let overlays = Overlays::new(&files.overlays);
    let mut entries = Vec::new();
    for item in &files.entries {
        let Item::Service { name, body } = item else { continue };
        let id = id_of(name, body);
        let kept_off = selection.keeps_off(&id);
        let name_text = name.text().into_owned();
        let overlays = overlays.places(&id);
        entries.push(Entry { id, name: name_text, span: name.span, kept_off, overlays });
    }
    Ok(Entries { sources: files.sources, notes, entries })
}

impl Entries {
    /// The name at the head of the entry that says whether `entry` is on: of the last
    /// overlay that does, else its own.
    #[must_use]
    pub fn deciding(&self, entry: &Entry) -> Span {
        let decides = |span: &&Span| edit::decides(self.sources.bytes(span.file), span.start);
        entry.overlays.iter().rev().find(decides).copied().unwrap_or(entry.span)
    }

    /// Every entry with the id `word`; if there is none, every entry of that name. In any
    /// case, as in `enabled` (DEF-8).
    #[must_use]
    pub fn find(&self, word: &str) -> Vec<&Entry> {
        let with = |part: fn(&Entry) -> &str| -> Vec<&Entry> {
            self.entries.iter().filter(|entry| part(entry).eq_ignore_ascii_case(word)).collect()
        };
        let found = with(|entry| &entry.id);
        if found.is_empty() { with(|entry| &entry.name) } else { found }
    }

    /// The id or name that `word` was probably meant to be.
    #[must_use]
    pub fn nearest(&self, word: &str) -> Option<&str> {
        let words = self.entries.iter().flat_map(|entry| [entry.id.as_str(), entry.name.as_str()]);
        let distinct: HashSet<&str> = words.collect();
        let mut sorted: Vec<&str> = distinct.into_iter().collect();
        sorted.sort_unstable();
        nearest(word, sorted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lookup::Table;

    fn read(text: &str) -> Entries {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("main");
        std::fs::write(&path, text).unwrap();
        let request =
            Request { path: &path, base: directory.path(), lookup: &Table::default(), inetd: None };
        entries(&request).unwrap()
    }

    const TWO: &str = "service a\n{\nid = a-tcp\n}\nservice A\n{\nid = a-udp\ndisable = yes\n}\n";

    #[test]
    fn an_id_comes_before_a_name_and_capitals_do_not_count() {
        let found = read(&format!("{TWO}service b\n{{\nid = a\n}}\n"));
        let ids = |word: &str| -> Vec<String> {
            found.find(word).iter().map(|entry| entry.id.clone()).collect()
        };
        assert_eq!(ids("A-TCP"), ["a-tcp"], "DEF-8");
        assert_eq!(ids("A"), ["a"]);
        assert_eq!(ids("b"), ["a"]);
        assert_eq!(read(TWO).find("a").len(), 2);
        assert_eq!(read(TWO).nearest("a-upd"), Some("a-udp"));
    }

    #[test]
    fn the_list_that_keeps_an_entry_off_is_known_with_its_place() {
        let kept = |lists: &str| -> Vec<Option<(&'static str, u32)>> {
            let found = read(&format!("{TWO}defaults\n{{\n{lists}\n}}\n"));
            let place = |kept: KeptOff| match kept {
                KeptOff::Disabled(span) => ("disabled", found.sources.line(span)),
                KeptOff::NotEnabled(span) => ("enabled", found.sources.line(span)),
            };
            found.entries.iter().map(|entry| entry.kept_off.map(place)).collect()
        };
        assert_eq!(kept("disabled = x A-UDP"), [None, Some(("disabled", 12))], "DEF-8");
        assert_eq!(kept("enabled = a-tcp"), [None, Some(("enabled", 12))]);
        assert_eq!(kept("enabled ="), [Some(("enabled", 12)); 2]);
        assert_eq!(kept("instances = 1"), [None; 2]);
    }
}

//! One file, read by us on the machine of its record.

use std::fs;
use std::path::Path;

use xinetd_rs::config::{self, Declared, Loaded, Request, Verdict};
use xinetd_rs::diag::{FileId, Span};

use crate::machine::{Machine, Servers};
use crate::record::Record;
use crate::root::Root;
use crate::words::Key;

/// What we and the original made of a file.
pub(crate) struct Trial<'r> {
    pub(crate) record: &'r Record,
    pub(crate) loaded: Loaded,
    root: &'r Root,
}

impl<'r> Trial<'r> {
    /// Reads the file of `record`, which is `path` in the corpus.
    pub(crate) fn new(
        record: &'r Record,
        path: &Path,
        root: &'r Root,
        servers: &mut Servers,
    ) -> Self {
        let path = root.place(path, record.mode);
        let lookup = Machine::new(record.mode, &fs::read(&path).unwrap(), servers);
        let loaded =
            config::load(&Request { path: &path, base: root.path(), lookup: &lookup, inetd: None });
        Self { record, loaded, root }
    }

    /// Whether we go on after reading.
    pub(crate) fn runs(&self) -> bool {
        match self.loaded.verdict {
            Verdict::Good | Verdict::FaultyDefaults { fatal: false } => true,
            Verdict::FaultyDefaults { fatal: true } | Verdict::Unreadable(_) => false,
        }
    }

    /// `text` with paths as the file has them.
    pub(crate) fn as_written(&self, text: &str) -> String {
        text.replace(self.root.path().to_str().unwrap(), "")
    }

    /// Whether we say that xinetd reads something else, because of `spec`: anywhere.
    pub(crate) fn differs(&self, spec: &str) -> bool {
        self.places(spec).next().is_some()
    }

    /// [`differs`](Self::differs), within an entry of this service.
    pub(crate) fn differs_in(&self, spec: &str, service: &Key) -> bool {
        self.places(spec).any(|place| {
            let begun = self.entries(place.file).filter(|entry| entry.span.start <= place.start);
            begun.max_by_key(|entry| entry.span.start).is_some_and(|entry| service.is(entry))
        })
    }

    /// [`differs`](Self::differs), before an entry of this service and after all others.
    pub(crate) fn differs_before(&self, spec: &str, service: &Key) -> bool {
        self.places(spec).any(|place| {
            let later = self.entries(place.file).filter(|entry| entry.span.start > place.start);
            later.min_by_key(|entry| entry.span.start).is_some_and(|entry| service.is(entry))
        })
    }

    fn places(&self, spec: &str) -> impl Iterator<Item = Span> {
        let differences = self.loaded.differences.iter();
        differences.filter(move |found| found.spec == spec).map(|found| found.note.span)
    }

    fn entries(&self, file: FileId) -> impl Iterator<Item = &Declared> {
        self.loaded.declared.iter().filter(move |entry| entry.span.file == file)
    }
}

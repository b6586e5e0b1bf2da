//! What the original made of a file: one line of the records.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// How the machine was when the file was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A plain Debian 12.
    Bare,
    /// Users, groups and servers of the file exist; any address can be bound.
    Populated,
    /// Populated, every `disable` says `no`, and host names can be found.
    Enabled,
}

/// The verdict of the original on one file in one mode.
#[derive(Debug)]
pub(crate) struct Record {
    /// The name of the file in the corpus.
    pub(crate) file: String,
    pub(crate) mode: Mode,
    /// It went on after it had read the file.
    pub(crate) runs: bool,
    /// The services that it started.
    pub(crate) services: Vec<Dumped>,
    /// What the state dump shows of `defaults`.
    pub(crate) defaults: String,
    /// Everything that it said, one sentence a line.
    pub(crate) said: String,
}

/// A service as a state dump shows it (DUMP-1): `key = value`.
#[derive(Debug)]
pub(crate) struct Dumped {
    pub(crate) values: BTreeMap<String, String>,
    /// Lines without a key: logs, variables.
    pub(crate) lines: Vec<String>,
}

/// Every record of a file of records.
pub(crate) fn read(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| record(&serde_json::from_str(line).unwrap())).collect()
}

fn record(json: &Value) -> Record {
    let modes = [("bare", Mode::Bare), ("populated", Mode::Populated), ("enabled", Mode::Enabled)];
    let (_, mode) = modes.into_iter().find(|(name, _)| json["mode"] == *name).unwrap();
    let said: Vec<_> = list(&json["diagnostics"]).iter().map(text).collect();
    Record {
        file: text(&json["file"]),
        mode,
        runs: text(&json["verdict"]) == "running",
        services: list(&json["services"]).iter().map(dumped).collect(),
        defaults: text(&json["defaults_dump"]),
        said: said.join("\n"),
    }
}

fn dumped(json: &Value) -> Dumped {
    let mut dumped = Dumped { values: BTreeMap::new(), lines: Vec::new() };
    for (key, value) in json.as_object().unwrap() {
        match value.as_array() {
            Some(lines) => dumped.lines.extend(lines.iter().map(text)),
            None => drop(dumped.values.insert(key.clone(), text(value))),
        }
    }
    dumped
}

fn list(json: &Value) -> &[Value] {
    json.as_array().map(Vec::as_slice).unwrap()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap().to_owned()
}

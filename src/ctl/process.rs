//! What `/proc` says about a process: its numbers, and whom it runs as.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::config::lookup::Lookup;

/// The fields of proc_pid_stat(5) from the third on.
pub(super) struct Stat(Vec<String>);

impl Stat {
    /// Of the process with this directory below `/proc`; `None`: it has ended.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        Self::parse(&fs::read(directory.join("stat")).ok()?)
    }

    /// The name, which is the second field, may hold anything.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let fields = line.rsplit_once(')')?.1.split_ascii_whitespace();
        Some(Self(fields.map(str::to_owned).collect()))
    }

    /// A field by its number on the manual page.
    pub(super) fn field<T: FromStr>(&self, number: usize) -> Option<T> {
        self.0.get(number.checked_sub(3)?)?.parse().ok()
    }
}

/// The directory of a process.
pub(super) fn directory(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// The processes of this machine, in no order.
pub(super) fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The name of a user.
pub(super) fn user_name(uid: u32, users: &dyn Lookup) -> Option<String> {
    users.user_by_uid(uid).map(|user| user.name.to_string_lossy().into_owned())
}

/// Whom a process runs as, in effect; the owner of the directory would be root's for who hides its
/// memory.
pub(super) fn uid(directory: &Path) -> Option<u32> {
    let status = fs::read(directory.join("status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_ascii_whitespace().nth(1)?.parse().ok()
}

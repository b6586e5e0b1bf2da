//! `unix:PATH`: a socket in the file system, where an address would stand.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::config::ast::Word;
use crate::config::code;
use crate::config::value::Outcome;
use crate::diag::Diagnostic;

/// What stands before the path.
const PREFIX: &[u8] = b"unix:";

/// The longest path of a socket, in bytes (unix(7), less the NUL at its end).
const LONGEST: usize = 107;

/// Whether `word` means a socket in the file system, well written or not.
#[must_use]
pub(super) fn is_meant(word: &Word) -> bool {
    word.bytes.starts_with(PREFIX)
}

/// The path in `word`: absolute, because the daemon changes its directory.
pub(super) fn path(word: &Word) -> Outcome<PathBuf> {
    let path = word.bytes.strip_prefix(PREFIX).unwrap_or_default();
    let message = match path {
        _ if path.contains(&0) => "the path of a socket has no NUL byte".to_owned(),
        [b'/', ..] if path.len() <= LONGEST => return Ok(OsStr::from_bytes(path).into()),
        [b'/', ..] => {
            format!("the path of a socket has at most {LONGEST} bytes, and this {}", path.len())
        }
        _ => "the path of a socket begins with `/`".to_owned(),
    };
    Err(Box::new(Diagnostic::error(code::BAD_SOCKET_PATH, word.span, message)))
}

/// As [`path`]; or a name that is in no file system, with its `@` (unix(7): "abstract").
pub(super) fn name(word: &Word) -> Outcome<PathBuf> {
    match word.bytes.strip_prefix(PREFIX).unwrap_or_default() {
        name @ [b'@', _, ..] if name.len() <= LONGEST + 1 && !name.contains(&0) => {
            Ok(OsStr::from_bytes(name).into())
        }
        _ => path(word),
    }
}

//! Environment variables of one process alone, cheap to make for each connection.

use std::fmt::Display;
use std::io::Write as _;

/// Variables that come on top of those an image has: one buffer, however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// `NAME=value`, each with a NUL byte behind it.
    text: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
}

impl Variables {
    /// Sets one more variable; a value that holds a NUL byte ends there.
    pub fn set(&mut self, name: &str, value: impl Display) {
        self.starts.push(self.text.len());
        // A Vec takes everything.
        write!(self.text, "{name}={value}\0").unwrap_or_default();
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// Each as execve(2) wants it: a string that ends in NUL and lives as long as `self`.
    pub(super) fn pointers(&self) -> impl Iterator<Item = *const libc::c_char> {
        self.starts.iter().filter_map(|start| Some(self.text.get(*start..)?.as_ptr().cast()))
    }

    /// All of them, as `NAME=value`.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.text
            .split(|byte| *byte == 0)
            .filter(|text| !text.is_empty())
            .map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_ends_where_the_next_begins() {
        let mut variables = Variables::default();
        variables.set("PROTO", "TCP");
        variables.set("TCPREMOTEPORT", 110);
        assert_eq!(variables.iter().collect::<Vec<_>>(), ["PROTO=TCP", "TCPREMOTEPORT=110"]);
        assert_eq!((variables.count(), variables.pointers().count()), (2, 2));
    }
}

//! Sockets of unix(7), from the table of the kernel (proc_net_unix(5)).

use std::path::Path;
use std::{fs, io};

/// A socket; or a client that waits to be accepted, which has no inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unix {
    pub references: u32,
    pub listens: bool,
    kind: u32,
    state: u32,
    /// 0: no program has it yet.
    pub inode: u64,
    /// Where it is bound, `@` in front of a name that is in no file system; empty: nowhere.
    pub path: String,
}

impl Unix {
    /// In netstat's words.
    pub(super) const fn kind(&self) -> &'static str {
        match self.kind {
            1 => "STREAM",
            2 => "DGRAM",
            3 => "RAW",
            4 => "RDM",
            5 => "SEQPACKET",
            _ => "UNKNOWN",
        }
    }

    /// In netstat's words; empty for one that is neither connected nor listening.
    pub(super) const fn state(&self) -> &'static str {
        match self.state {
            0 => "FREE",
            1 if self.listens => "LISTENING",
            1 => "",
            2 => "CONNECTING",
            3 => "CONNECTED",
            4 => "DISCONNECTING",
            _ => "UNKNOWN",
        }
    }

    /// In netstat's form. The kernel shows one flag: connections are accepted.
    pub(super) const fn flags(&self) -> &'static str {
        if self.listens { "[ ACC ]" } else { "[ ]" }
    }
}

/// All sockets of the network namespace that `net` (such as `/proc/PID/net`) belongs to.
///
/// # Errors
/// When `net` cannot be read.
pub(super) fn sockets(net: &Path) -> io::Result<Vec<Unix>> {
    let table = fs::read(net.join("unix"))?;
    // A path is bytes, and may even hold the end of a line.
    Ok(String::from_utf8_lossy(&table).lines().skip(1).filter_map(socket).collect())
}

/// A line of the table. A path may have spaces; the inode before it has a width.
fn socket(line: &str) -> Option<Unix> {
    /// __SO_ACCEPTCON (include/uapi/linux/net.h)
    const ACCEPTS: u32 = 0x0001_0000;
    let hex = |word: &str| u32::from_str_radix(word, 16).ok();
    let mut rest = line;
    let mut word = || {
        let (word, more) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        rest = more;
        (!word.is_empty()).then_some(word)
    };
    let _address = word()?;
    let (references, _protocol, flags) = (hex(word()?)?, word()?, hex(word()?)?);
    let (kind, state, inode) = (hex(word()?)?, hex(word()?)?, word()?.parse().ok()?);
    let listens = flags & ACCEPTS != 0;
    Some(Unix { references, listens, kind, state, inode, path: rest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_a_socket() {
        let head = "0000000068bada25: 00000002 00000000 00010000 0001 01";
        let listening = socket(&format!("{head} 14847654 /tmp/with  space")).unwrap();
        assert_eq!((listening.state(), listening.flags()), ("LISTENING", "[ ACC ]"));
        assert_eq!((listening.inode, listening.path.as_str()), (14_847_654, "/tmp/with  space"));
        let waiting = socket("00000000: 00000003 00000000 00000000 0005 02     0 @x").unwrap();
        assert_eq!(
            (waiting.kind(), waiting.state(), waiting.inode),
            ("SEQPACKET", "CONNECTING", 0)
        );
        assert_eq!((waiting.flags(), waiting.path.as_str()), ("[ ]", "@x"));
        let nowhere = socket("00000000: 00000003 00000000 00000000 0002 03  1658").unwrap();
        assert_eq!((nowhere.kind(), nowhere.inode, nowhere.path.as_str()), ("DGRAM", 1658, ""));
        for wrong in ["", "of a path that was cut", "00000000: 00000003"] {
            assert_eq!(socket(wrong), None, "{wrong}");
        }
    }
}

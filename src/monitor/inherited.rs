//! Sockets that were open when this process was started (sd_listen_fds(3)), and what they are.

use socket2::{SockRef, Type};
use std::env;
use std::io::{self, ErrorKind};
use std::os::fd::{OwnedFd, RawFd};
use std::process;

use crate::plan::Address;
use crate::plan::SocketKey;
use crate::plan::SocketType;
use crate::sys::fd;
use crate::sys::socket;

/// Where the numbers begin (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;

/// A socket that somebody else has bound.
#[derive(Debug)]
pub(super) struct Inherited {
    pub fd: OwnedFd,
    pub socket_type: SocketType,
    pub address: Address,
    pub v6only: bool,
}

/// Takes over what is meant for this process, with its names, and closes everything else from 3
/// up (START-2).
///
/// # Errors
/// When the variables of the service manager are not as they should be, or descriptors cannot be
/// closed.
pub(super) fn take() -> io::Result<Vec<(String, Inherited)>> {
    let names = names(|name| env::var(name).ok(), process::id())?;
    let numbers = FIRST..FIRST + RawFd::from(u16::try_from(names.len()).unwrap_or(u16::MAX));
    fd::close_from(numbers.end)?;
    fd::close_on_exec_from(FIRST);
    let mut found = Vec::with_capacity(names.len());
    for (number, name) in numbers.zip(names) {
        // What is no socket of a kind that is served is of no use, and closed.
        found.extend(Inherited::new(fd::adopt(number)?).map(|one| (name, one)));
    }
    Ok(found)
}

/// What the descriptors for this process are called, by what the environment says.
fn names(variable: impl Fn(&str) -> Option<String>, own: u32) -> io::Result<Vec<String>> {
    let number = |name| {
        let invalid = |_| io::Error::new(ErrorKind::InvalidInput, format!("invalid {name}"));
        variable(name).map(|text| text.parse::<u32>().map_err(invalid)).transpose()
    };
    // What is meant for another process is not ours to count.
    let is_ours = number("LISTEN_PID")? == Some(own);
    let count = if is_ours { number("LISTEN_FDS")?.unwrap_or(0) } else { 0 };
    let count = u16::try_from(count).map_err(|_| io::Error::other("too many LISTEN_FDS"))?;
    match variable("LISTEN_FDNAMES").filter(|_| count > 0) {
        None => Ok(vec!["unknown".to_owned(); count.into()]),
        Some(text) => {
            let names: Vec<_> = text.split(':').map(str::to_owned).collect();
            let is_valid = names.len() == usize::from(count);
            let invalid = || io::Error::new(ErrorKind::InvalidInput, "invalid LISTEN_FDNAMES");
            is_valid.then_some(names).ok_or_else(invalid)
        }
    }
}

impl Inherited {
    pub(super) fn new(fd: OwnedFd) -> Option<Self> {
        let socket = SockRef::from(&fd);
        let socket_type = match socket.r#type().ok()? {
            Type::STREAM => SocketType::Stream,
            Type::DGRAM => SocketType::Dgram,
            Type::SEQPACKET => SocketType::SeqPacket,
            _ => return None,
        };
        let address = match socket::local_address(&fd) {
            Some(address) => Address::Ip(address),
            None => Address::Unix(socket::unix_name(&fd)?),
        };
        let v6only = socket.only_v6().unwrap_or(false);
        Some(Self { fd, socket_type, address, v6only })
    }

    /// Whether it is where `key` wants a socket. Without IPv6 that is at `0.0.0.0` (BIND-1).
    pub(super) fn is_for(&self, key: &SocketKey) -> bool {
        let is_fallback = || {
            let same_port = self.address.port() == key.address.port();
            let is_v4 = self.address.ip().is_some_and(|ip| ip.is_ipv4());
            key.any_family && same_port && is_v4 && self.address.is_everywhere()
        };
        self.socket_type == key.socket_type && (self.address == key.address || is_fallback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_has_names_and_what_is_for_others_is_not_ours() {
        let read = |variables: &[(&str, &str)]| {
            let value = |name: &str| {
                let mut found = variables.iter().filter(|(key, _)| *key == name);
                found.next().map(|(_, value)| (*value).to_owned())
            };
            names(value, 7).map_err(|cause| cause.to_string())
        };
        let passed = |fds, names: Option<_>| {
            let mut all = vec![("LISTEN_PID", "7"), ("LISTEN_FDS", fds)];
            all.extend(names.map(|names| ("LISTEN_FDNAMES", names)));
            read(&all)
        };
        assert_eq!(passed("2", Some("a:")).unwrap(), ["a", ""]);
        assert_eq!(passed("2", None).unwrap(), ["unknown", "unknown"]);
        assert_eq!(passed("0", Some("")).unwrap(), [""; 0]);
        assert_eq!(passed("1", Some("a:b")).unwrap_err(), "invalid LISTEN_FDNAMES");
        assert_eq!(passed("-1", None).unwrap_err(), "invalid LISTEN_FDS");
        assert_eq!(passed("70000", None).unwrap_err(), "too many LISTEN_FDS");
        assert_eq!(read(&[("LISTEN_FDS", "1")]).unwrap(), [""; 0]);
        let others = [("LISTEN_PID", "8"), ("LISTEN_FDS", "x"), ("LISTEN_FDNAMES", "a:b")];
        assert_eq!(read(&others).unwrap(), [""; 0]);
        assert_eq!(read(&[("LISTEN_PID", "x")]).unwrap_err(), "invalid LISTEN_PID");
    }
}

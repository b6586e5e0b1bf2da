//! Sockets that were open when this process was started (sd_listen_fds(3)), and what they are.

use socket2::{SockRef, Type};
use std::io;
use std::os::fd::OwnedFd;

use crate::plan::Address;
use crate::plan::SocketKey;
use crate::plan::SocketType;
use crate::sys::fd;
use crate::sys::socket;

/// Where the numbers begin (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;

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
    // Names that are meant for another process are not ours to count.
    let named: Vec<_> = match sd_notify::listen_fds()?.len() {
        0 => Vec::new(),
        _ => sd_notify::listen_fds_with_names()?.collect(),
    };
    let behind = named.last().map_or(FIRST, |(number, _)| number + 1);
    fd::close_from(behind)?;
    let mut found = Vec::with_capacity(named.len());
    for (number, name) in named {
        // What is no socket of a kind that is served is of no use, and closed.
        found.extend(Inherited::new(fd::adopt(number)?).map(|one| (name, one)));
    }
    Ok(found)
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

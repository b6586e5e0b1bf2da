//! Sockets that a service manager has opened and passed on (sd_listen_fds(3)).
//!
//! They are ours as long as we run, whether a service uses them or not: a service gets a
//! duplicate, and a reload may give a socket to another one, or have no use for it.

use socket2::{SockRef, Type};
use std::io;
use std::os::fd::OwnedFd;

use crate::monitor::bind;
use crate::monitor::bind::Open;
use crate::monitor::intercept;
use crate::monitor::services::Services;
use crate::plan::Address;
use crate::plan::Protocol;
use crate::plan::Service;
use crate::plan::ServiceId;
use crate::plan::SocketKey;
use crate::plan::SocketType;
use crate::sys::fd;
use crate::sys::socket;

/// Where the numbers begin (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;

/// Why INTERCEPT cannot be had.
const UNCHECKED: &str = "the service manager has passed this socket, and nobody has checked who waits \
                         in it: INTERCEPT needs a socket that is opened here";

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Passed(Vec<One>);

/// A socket, by its name (`FileDescriptorName=`).
#[derive(Debug)]
struct One {
    name: String,
    fd: OwnedFd,
    socket_type: SocketType,
    address: Address,
    v6only: bool,
    /// Whose name it has, since the files were last read.
    owner: Option<ServiceId>,
}

impl Passed {
    /// Takes over what is meant for this process, and closes everything else from 3 up
    /// (START-2).
    ///
    /// # Errors
    /// When the variables of the service manager are not as they should be, or descriptors
    /// cannot be closed.
    pub(super) fn take() -> io::Result<Self> {
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
            found.extend(One::new(name, fd::adopt(number)?));
        }
        Ok(Self(found))
    }

    /// How many there are.
    #[must_use]
    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }

    /// Gives each service the addresses of the sockets that have its id for a name, else its
    /// name, instead of those that its entry says.
    pub(super) fn rename(&mut self, services: &mut [Service]) {
        self.0.iter_mut().for_each(|one| one.owner = None);
        for by_id in [true, false] {
            for service in services.iter_mut() {
                self.rename_one(service, by_id);
            }
        }
    }

    fn rename_one(&mut self, service: &mut Service, by_id: bool) {
        let name = if by_id { &service.id.0 } else { &service.name };
        let is_lent = service.lends_its_socket();
        let mut sockets = Vec::new();
        for one in &mut self.0 {
            let is_free = one.owner.is_none() && service.mux.is_none();
            if is_free && one.name == *name && one.socket_type == service.socket_type {
                one.owner = Some(service.id.clone());
                sockets.push(one.key(service.protocol, is_lent));
            }
        }
        if !sockets.is_empty() {
            service.sockets = sockets;
        }
    }

    /// The socket for `key`, if it has been passed, and is not another service's by its name.
    pub(super) fn open(&self, service: &Service, key: &SocketKey) -> Option<io::Result<Open>> {
        let may_have = |one: &&One| one.owner.as_ref().is_none_or(|owner| *owner == service.id);
        let one = self.0.iter().filter(may_have).find(|one| one.is_for(key))?;
        if intercept::is_wanted(service) {
            return Some(Err(io::Error::other(UNCHECKED)));
        }
        Some(bind::adopt(&one.fd, key, service.options).map(|fd| Open { file: None, fd }))
    }

    /// Whether one of them has this address.
    #[must_use]
    pub(super) fn has(&self, key: &SocketKey) -> bool {
        self.0.iter().any(|one| one.is_for(key))
    }

    /// Says which are of no use to any service; whoever connects to one of them waits.
    pub(super) fn say_unused(&self, services: &Services) {
        for one in self.unused(services) {
            let (name, address) = (&one.name, &one.address);
            tracing::warn!(
                "no service has the {} socket `{name}` ({address}) that the service manager has passed: \
                 it stays open for a reload, and its clients wait",
                one.socket_type.word()
            );
        }
    }

    /// Has those listen that no service uses, or will use any more: the next process is to find
    /// them so, even if `cps` had closed them.
    pub(super) fn listen(&self, services: Option<&Services>) {
        let unused = self.0.iter().filter(|one| services.is_none_or(|all| !one.is_used(all)));
        for one in unused.filter(|one| one.socket_type.has_connections()) {
            // Another socket may have its address now.
            socket::listen(&one.fd).ok();
        }
    }

    fn unused<'p>(&'p self, services: &'p Services) -> impl Iterator<Item = &'p One> {
        self.0.iter().filter(|one| !one.is_used(services))
    }
}

impl One {
    fn new(name: String, fd: OwnedFd) -> Option<Self> {
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
        Some(Self { name, fd, socket_type, address, v6only, owner: None })
    }

    /// What it is to a service that gets it by its name.
    fn key(&self, protocol: Protocol, is_lent: bool) -> SocketKey {
        let protocol = if self.address.ip().is_some() { protocol } else { Protocol::NONE };
        let (socket_type, address) = (self.socket_type, self.address.clone());
        SocketKey {
            socket_type,
            protocol,
            address,
            is_lent,
            v6only: self.v6only,
            any_family: false,
        }
    }

    /// Whether it is where `key` wants a socket. Without IPv6 that is at `0.0.0.0` (BIND-1).
    fn is_for(&self, key: &SocketKey) -> bool {
        let is_fallback = || {
            let same_port = self.address.port() == key.address.port();
            let is_v4 = self.address.ip().is_some_and(|ip| ip.is_ipv4());
            key.any_family && same_port && is_v4 && self.address.is_everywhere()
        };
        self.socket_type == key.socket_type && (self.address == key.address || is_fallback())
    }

    fn is_used(&self, services: &Services) -> bool {
        let mut listeners = services.iter().flat_map(|(_, active)| &active.listeners);
        listeners.any(|listener| self.is_for(&listener.key))
    }
}

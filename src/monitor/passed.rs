//! Sockets that a service manager has opened and passed on (sd_listen_fds(3)).
//!
//! They are ours as long as we run, whether a service uses them or not: a service gets a
//! duplicate, and a reload may give a socket to another one, or have no use for it.

use std::io;

use crate::monitor::bind;
use crate::monitor::bind::Open;
use crate::monitor::inherited::Inherited;
use crate::monitor::intercept;
use crate::monitor::services::Services;
use crate::plan::Protocol;
use crate::plan::Service;
use crate::plan::ServiceId;
use crate::plan::SocketKey;
use crate::sys::fd;
use crate::sys::socket;

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
    socket: Inherited,
    /// Whose name it has, since the files were last read.
    owner: Option<ServiceId>,
}

impl Passed {
    /// Those of `named` that are no old ones of our own.
    pub(super) fn new(named: impl IntoIterator<Item = (String, Inherited)>) -> Self {
        let one = |(name, socket)| One { name, socket, owner: None };
        Self(named.into_iter().map(one).collect())
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
            if is_free && one.name == *name && one.socket.socket_type == service.socket_type {
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
        let one = self.0.iter().filter(may_have).find(|one| one.socket.is_for(key))?;
        if intercept::is_wanted(service) {
            return Some(Err(io::Error::other(UNCHECKED)));
        }
        let adopt = |fd| bind::adopt(fd, key, service.options);
        let adopted = fd::duplicate(&one.socket.fd).and_then(adopt);
        Some(adopted.map(|fd| Open { file: None, fd, stored: None }))
    }

    /// Whether one of them has this address.
    pub(super) fn has(&self, key: &SocketKey) -> bool {
        self.0.iter().any(|one| one.socket.is_for(key))
    }

    /// Says which are of no use to any service; whoever connects to one of them waits.
    pub(super) fn say_unused(&self, services: &Services) {
        for one in self.unused(services) {
            let (name, address) = (&one.name, &one.socket.address);
            tracing::warn!(
                "no service has the {} socket `{name}` ({address}) that the service manager has passed: \
                 it stays open for a reload, and its clients wait",
                one.socket.socket_type.word()
            );
        }
    }

    /// Has those listen that no service uses, or will use any more: the next process is to find
    /// them so, even if `cps` had closed them.
    pub(super) fn listen(&self, services: Option<&Services>) {
        let unused = self.0.iter().filter(|one| services.is_none_or(|all| !one.is_used(all)));
        for one in unused.filter(|one| one.socket.socket_type.has_connections()) {
            // Another socket may have its address now.
            socket::listen(&one.socket.fd).ok();
        }
    }

    fn unused<'p>(&'p self, services: &'p Services) -> impl Iterator<Item = &'p One> {
        self.0.iter().filter(|one| !one.is_used(services))
    }
}

impl One {
    /// What it is to a service that gets it by its name.
    fn key(&self, protocol: Protocol, is_lent: bool) -> SocketKey {
        let Inherited { socket_type, v6only, .. } = self.socket;
        let address = self.socket.address.clone();
        let protocol = if address.ip().is_some() { protocol } else { Protocol::NONE };
        SocketKey { socket_type, protocol, address, is_lent, v6only, any_family: false }
    }

    fn is_used(&self, services: &Services) -> bool {
        services.listeners().any(|listener| self.socket.is_for(&listener.key))
    }
}

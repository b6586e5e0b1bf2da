//! Our listening sockets, kept by the service manager while there is no daemon (FDSTORE=1,
//! sd_notify(3)): clients wait in them while it is started anew, or after it has crashed.

mod label;

use socket2::SockRef;
use std::collections::HashSet;
use std::env;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::bind::Open;
use crate::monitor::inherited::Inherited;
use crate::monitor::notify::Manager;
use crate::monitor::passed::Passed;
use crate::monitor::restore;
use crate::monitor::services::{Listener, Services};
use crate::plan::Service;
use crate::plan::SocketKey;
use crate::plan::SocketType;
use crate::sys::datagram;
use crate::sys::socket;

use label::Label;

/// In the end, between two tries to tell it something.
const PAUSE: Duration = Duration::from_millis(1);

/// What the manager keeps for us, and what it has given back.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// How many it keeps (`$FDSTORE`); 0: none.
    room: usize,
    /// All that it has, by their names.
    names: HashSet<Rc<str>>,
    /// Those of an earlier daemon that no service has taken over yet.
    returned: Vec<Returned>,
    /// The last number given; they are not reused.
    last: u32,
    /// It has been said that there is no more room.
    is_full: bool,
    /// The manager was busy, and does not keep yet what it should.
    is_behind: bool,
    /// An engine may have done something to the sockets that does not show: the next daemon is to
    /// open its own.
    is_distrusted: bool,
}

/// A socket of an earlier daemon.
#[derive(Debug)]
struct Returned {
    name: Rc<str>,
    label: Label,
    socket: Inherited,
}

impl Store {
    /// Takes what is ours out of `inherited`.
    pub(super) fn new(inherited: &mut Vec<(String, Inherited)>, manager: &mut Manager) -> Self {
        let room = env::var("FDSTORE").ok().and_then(|text| text.parse().ok());
        let room = room.filter(|_| manager.is_there()).unwrap_or(0);
        let mut store = Self { room, ..Self::default() };
        for (name, socket) in inherited.extract_if(.., |(name, _)| Label::read(name).is_some()) {
            let Some(label) = Label::read(&name) else { continue };
            store.last = store.last.max(label.number);
            let name = Rc::<str>::from(name);
            store.names.insert(Rc::clone(&name));
            match at_rest(socket) {
                Some(socket) => store.returned.push(Returned { name, label, socket }),
                None => store.forget(&name, manager),
            }
        }
        store
    }

    /// Whether sockets are kept when we end.
    pub(super) const fn is_there(&self) -> bool {
        self.room > 0
    }

    /// From now on nothing is kept, and what the manager has it is to close.
    pub(super) const fn distrust(&mut self) {
        self.is_distrusted = true;
    }

    /// Whether the next daemon gets them.
    pub(super) const fn are_kept(&self) -> bool {
        self.is_there() && !self.is_distrusted
    }

    /// How many descriptors wait here for a service.
    pub(super) const fn count(&self) -> usize {
        self.returned.len()
    }

    /// Lets go of those that none of `services` wants, so that they are in nobody's way.
    pub(super) fn keep_wanted(&mut self, services: &[Service], manager: &mut Manager) {
        let wants = |one: &Returned, service: &Service| {
            service.sockets.iter().any(|key| one.is_for(service, key))
        };
        let unwanted = |one: &mut Returned| !services.iter().any(|service| wants(one, service));
        let unwanted: Vec<_> = self.returned.extract_if(.., unwanted).collect();
        unwanted.into_iter().for_each(|one| self.let_go(one, manager));
    }

    fn let_go(&mut self, one: Returned, manager: &mut Manager) {
        let Returned { name, label, socket } = one;
        tracing::info!("the socket {} of an earlier daemon is closed", socket.address);
        release(&socket);
        self.forget(&name, manager);
        // Removes it.
        drop(label.file_of(&socket));
    }

    /// The manager closes what it keeps under this name, now or when it has time.
    fn forget(&mut self, name: &Rc<str>, manager: &mut Manager) {
        match manager.forget(name) {
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => self.is_behind = true,
            _ => _ = self.names.remove(name),
        }
    }

    /// The socket that an earlier daemon had for `key`, with whoever waits in it. With INTERCEPT
    /// only one that has always had a filter; it gets that of today.
    pub(super) fn open(&mut self, service: &Service, key: &SocketKey) -> Option<io::Result<Open>> {
        let found = self.returned.extract_if(.., |one| one.is_for(service, key)).next()?;
        let Returned { name, label, socket } = found;
        let file = match (key.address.file(), label.file_of(&socket)) {
            (Some(_), None) => {
                // Somebody has taken its file away: nobody can come to it. The manager is told
                // with the rest.
                return None;
            }
            (_, file) => file.map(Rc::new),
        };
        if let Err(cause) = restore::restore(&socket.fd, service) {
            tracing::warn!("service {}: another socket is opened: {cause}", service.id);
            release(&socket);
            return None;
        }
        let access = bind::access(service.options);
        let ready = file.as_ref().map_or(Ok(()), |file| file.change(access));
        let ready = ready.and_then(|()| bind::adopt(socket.fd, key, service.options));
        Some(ready.map(|fd| Open { file, fd, stored: Some(name) }))
    }

    /// Has the manager keep exactly what `services` listen on, besides what it passes itself.
    fn follow(&mut self, services: &mut Services, passed: &Passed, manager: &mut Manager) {
        std::mem::take(&mut self.returned).into_iter().for_each(|one| self.let_go(one, manager));
        self.is_behind = false;
        let kept = services.listeners().filter(|_| !self.is_distrusted);
        let used: HashSet<_> = kept.filter_map(|one| one.stored.clone()).collect();
        let gone: Vec<_> = self.names.difference(&used).cloned().collect();
        gone.iter().for_each(|name| self.forget(name, manager));
        let mut left_over = 0_usize;
        for (service, listener) in services.listeners_mut() {
            if !self.are_kept() || listener.stored.is_some() || passed.has(&listener.key) {
                continue;
            }
            if self.is_behind {
                return;
            } else if self.names.len() < self.room {
                self.keep(service, listener, manager);
            } else {
                left_over += 1;
            }
        }
        if left_over > 0 && !self.is_full {
            tracing::warn!(
                "the service manager keeps {} sockets while the daemon is started anew \
                 (FileDescriptorStoreMax=); {left_over} more are closed meanwhile",
                self.room
            );
        }
        self.is_full = left_over > 0;
    }

    fn keep(&mut self, service: &Service, listener: &mut Listener, manager: &mut Manager) {
        self.last = self.last.wrapping_add(1);
        let name = Rc::<str>::from(Label::new(self.last, service, listener).to_string());
        match manager.store(&name, &listener.fd) {
            Ok(()) => {
                self.names.insert(Rc::clone(&name));
                listener.stored = Some(name);
            }
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => self.is_behind = true,
            Err(cause) => {
                tracing::warn!("service {}: its socket is not kept: {cause}", service.id);
            }
        }
    }
}

impl Returned {
    /// Whether it is what `service` would open for `key`.
    fn is_for(&self, service: &Service, key: &SocketKey) -> bool {
        let chosen = self.with_chosen_port(key);
        let is_chosen = chosen.is_some();
        // The address first: most are of others.
        self.socket.is_for(chosen.as_ref().unwrap_or(key))
            && self.label.is_of(service, is_chosen)
            && self.has_protocol_of(key)
    }

    /// The key with the port that the system has chosen, where it was to choose one.
    fn with_chosen_port(&self, key: &SocketKey) -> Option<SocketKey> {
        let wanted = key.address.ip().filter(|address| address.port() == 0)?;
        let port = self.socket.address.ip()?.port();
        let address = SocketAddr::new(wanted.ip(), port).into();
        Some(SocketKey { address, ..key.clone() })
    }

    fn has_protocol_of(&self, key: &SocketKey) -> bool {
        let Inherited { fd, address, v6only, .. } = &self.socket;
        let Some(own) = address.ip() else { return true };
        let protocol = SockRef::from(fd).protocol().ok().flatten().map(i32::from);
        protocol == Some(key.protocol.0) && (!own.is_ipv6() || *v6only == key.v6only)
    }
}

/// The manager has it for a moment longer.
fn release(socket: &Inherited) {
    if socket.socket_type.has_connections() {
        socket::release_port(&socket.fd);
    }
}

/// A socket for datagrams is connected where `cps` has closed it, which ends here; or where a
/// server that goes on has connected it to a client, whose it is then.
fn at_rest(inherited: Inherited) -> Option<Inherited> {
    let Inherited { fd, socket_type, .. } = &inherited;
    let peer = (*socket_type == SocketType::Dgram).then(|| socket::remote_end(fd)).flatten();
    if peer.is_none() {
        return Some(inherited);
    }
    if peer != socket::local_end(fd) {
        return None;
    }
    datagram::take_all(fd).ok()?;
    // Its address was that of the connection.
    Inherited::new(inherited.fd)
}

impl Monitor {
    /// The service manager keeps the sockets of the services in force, and no others.
    pub(super) fn keep_sockets(&mut self) {
        self.store.follow(&mut self.services, &self.passed, &mut self.manager);
    }

    /// Tells the service manager what it was too busy to hear; first what it should keep.
    pub(super) fn tell_manager(&mut self) {
        if self.store.is_behind && self.manager.has_room() {
            self.keep_sockets();
        }
        if !self.store.is_behind {
            self.manager.tell();
        }
    }

    /// The same in the end, as long as there is time.
    pub(super) fn tell_manager_the_rest(&mut self, end: Instant) {
        self.tell_manager();
        while (self.store.is_behind || self.manager.is_behind()) && Instant::now() < end {
            thread::sleep(PAUSE);
            self.tell_manager();
        }
    }

    /// `gone` is used no more. Where the manager has it, closing it is not enough.
    pub(super) fn let_sockets_rest<'l>(&self, gone: impl IntoIterator<Item = &'l Listener>) {
        let used: HashSet<_> =
            self.services.listeners().filter_map(|one| one.stored.as_ref()).collect();
        for listener in gone {
            let is_kept = listener.stored.as_ref().is_some_and(|name| !used.contains(name));
            if is_kept && listener.key.socket_type.has_connections() {
                socket::release_port(&listener.fd);
            }
        }
    }

    /// The files of sockets that the manager keeps stay: the next daemon has them, too.
    pub(super) fn leave_files(&self) {
        for listener in self.services.listeners().filter(|one| one.stored.is_some()) {
            listener.file.iter().for_each(|file| file.leave());
        }
    }
}

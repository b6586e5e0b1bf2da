//! The sockets of a reload: those that go, those that are handed on, and those that are new.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::bind::{Open, Patience, Refused};
use crate::monitor::intercept;
use crate::monitor::reload::Ready;
use crate::monitor::services::{Active, Listener};
use crate::plan::Change;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::SocketKey;
use crate::plan::SocketType;
use crate::sys::socket;

/// Sockets that are to go, as new services look for them.
#[derive(Default)]
pub(super) struct Leaving {
    /// Of services that go themselves: the first of each kind.
    dropped: HashMap<SocketKey, (ServiceIndex, SocketIndex)>,
    /// Of these and of those that move: all that listen, by their port.
    by_port: HashMap<u16, Vec<(ServiceIndex, SocketIndex)>>,
}

impl Monitor {
    /// The sockets that `changes` let go of.
    pub(super) fn leaving(&self, changes: &[Change], wanted: &[Service]) -> Leaving {
        let mut leaving = Leaving::default();
        for change in changes {
            let (index, heir) = match *change {
                Change::Drop(index) => (index, None),
                Change::Rebind(index, at) => (index, wanted.get(at)),
                Change::Keep(..) | Change::Open(_) => continue,
            };
            let Some(active) = self.services.find(index) else { continue };
            for socket in &active.listeners {
                if heir.is_some_and(|heir| heir.listens_on(&socket.key)) {
                    continue;
                }
                let number = (index, socket.index);
                // Sockets for datagrams are in nobody's way.
                if socket.key.socket_type == SocketType::Stream {
                    leaving.by_port.entry(socket.port).or_default().push(number);
                }
                // A port that the system has chosen is nobody else's.
                if heir.is_none() && !socket.has_chosen_port() {
                    leaving.dropped.entry(socket.key.identity()).or_insert(number);
                }
            }
        }
        leaving
    }

    /// Old and new sockets and logs are open side by side for a moment: without room for that
    /// nothing is begun.
    pub(super) fn check_room(
        &self,
        changes: &[Change],
        wanted: &[Service],
        logs: &ServiceLogs,
    ) -> Result<(), String> {
        let new = changes.iter().map(|change| {
            let (old, at) = match *change {
                Change::Drop(_) => return 0,
                Change::Open(at) => (None, at),
                Change::Keep(index, at) | Change::Rebind(index, at) => {
                    (self.services.find(index), at)
                }
            };
            wanted.get(at).map_or(0, |service| new_sockets(service, old).count())
        });
        let new: usize = new.sum();
        let kept = self.services.descriptors() + self.logs.descriptors() + logs.descriptors();
        if self.has_room_for(kept + new) {
            return Ok(());
        }
        let wanted = kept + new;
        Err(format!("{wanted} descriptors are more than RLIMIT_NOFILE leaves room for"))
    }

    /// A service that cannot have its new addresses stays where it is, as it was.
    pub(super) fn ready_to_move(
        &mut self,
        index: ServiceIndex,
        service: Rc<Service>,
        leaving: &Leaving,
        ready: fn(ServiceIndex, Rc<Service>, Vec<Listener>) -> Ready,
    ) -> Ready {
        match self.listeners_for(&service, Some(index), leaving) {
            Ok(listeners) => ready(index, service, listeners),
            Err(refused) => {
                let why = self.say_bind_failed(&service, &refused);
                self.note_left_out(&service, why);
                let Some(old) = self.services.find(index) else { return Ready::Drop(index) };
                // Another service may have made it rest, to have its port (`listener_for`).
                let again = old.listeners.iter().try_for_each(bind::listen_again);
                if let Err(cause) = again {
                    tracing::error!("service {} has lost its old address too: {cause}", service.id);
                    return Ready::Drop(index);
                }
                tracing::error!("service {} stays on its old address", service.id);
                Ready::Keep(index, Rc::clone(&old.service), Vec::new())
            }
        }
    }

    pub(super) fn ready_to_open(
        &mut self,
        service: Rc<Service>,
        leaving: &Leaving,
    ) -> Option<Ready> {
        match self.listeners_for(&service, None, leaving) {
            Ok(listeners) => Some(Ready::Open(self.services.new_index(), service, listeners)),
            Err(refused) => {
                let why = self.say_bind_failed(&service, &refused);
                self.say_left_out(&service, why);
                None
            }
        }
    }

    /// The sockets that `service` needs beside those it has as `index`; all or none.
    fn listeners_for(
        &mut self,
        service: &Service,
        index: Option<ServiceIndex>,
        leaving: &Leaving,
    ) -> Result<Vec<Listener>, Refused> {
        let old = index.and_then(|index| self.services.find(index));
        let keys: Vec<_> = new_sockets(service, old).cloned().collect();
        let open = |key: SocketKey| match self.listener_for(&key, service, leaving) {
            Ok(open) => Ok(Listener::new(self.services.new_socket_index(), key, open)),
            Err(cause) => Err(Refused { key, cause }),
        };
        keys.into_iter().map(open).collect()
    }

    /// A new socket: that of a dropped service with the same address as it is,
    /// backlog included; otherwise a new one. Where a socket that is to go is in the way, it
    /// rests meanwhile, and listens again if the new one cannot be had all the same; who waited
    /// in its backlog is lost, as when the original closes it.
    fn listener_for(
        &self,
        key: &SocketKey,
        service: &Service,
        leaving: &Leaving,
    ) -> io::Result<Open> {
        let find = |&(service, socket): &(ServiceIndex, SocketIndex)| {
            self.services.find(service).and_then(|active| active.listener(socket))
        };
        // Nobody has checked who waits in the socket of another service; and a filter stays with
        // its socket.
        let is_guarded = |&(old, _): &(ServiceIndex, SocketIndex)| {
            let old = self.services.find(old).map(|active| &*active.service);
            intercept::is_wanted(service) || old.is_some_and(intercept::is_wanted)
        };
        let heir = leaving.dropped.get(&key.identity()).filter(|old| !is_guarded(old));
        if let Some(old) = heir.and_then(find) {
            bind::set_options_again(old, service.options)?;
            return old.duplicate();
        }
        if let Some(open) = self.passed.open(service, key) {
            return open;
        }
        let of_dropped = leaving.dropped.values().filter_map(find);
        for old in of_dropped.filter(|old| old.key.address == key.address) {
            // Of another type, so it is of no use. In the file system its name would be taken.
            old.file.iter().for_each(|file| file.remove());
        }
        let bind = || bind::bind(key, service, Patience::NONE);
        let in_the_way = |cause: &io::Error| cause.kind() == io::ErrorKind::AddrInUse;
        bind().or_else(|cause| {
            let same_port = leaving.by_port.get(&key.address.port());
            let old: Vec<_> = same_port.into_iter().flatten().filter_map(find).collect();
            if old.is_empty() || !in_the_way(&cause) {
                return Err(cause);
            }
            for listener in &old {
                socket::stop_listening(&listener.fd).ok();
            }
            bind().inspect_err(|_| {
                for listener in &old {
                    socket::listen(&listener.fd).ok();
                }
            })
        })
    }
}

/// The sockets of `service` that `old` does not have.
fn new_sockets<'s>(
    service: &'s Service,
    old: Option<&'s Active>,
) -> impl Iterator<Item = &'s SocketKey> {
    let has = |old: &Active, key| old.listeners.iter().any(|one| one.key.is_same(key));
    service.sockets.iter().filter(move |key| old.is_none_or(|old| !has(old, key)))
}

//! The sockets of a reload: those that are handed on, and those that are new.

use std::io;

use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::bind::{Open, Patience, Refused};
use crate::monitor::intercept;
use crate::monitor::reload::leaving::{Leaving, Number};
use crate::monitor::services::{Active, Listener};
use crate::plan::Change;
use crate::plan::LogTarget;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::SocketKey;
use crate::plan::Stderr;
use crate::sys::socket;

impl Monitor {
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
            wanted.get(at).map_or(0, |service| new_descriptors(service, old))
        });
        let new: usize = new.sum();
        let kept = self.services.descriptors() + self.logs.descriptors() + logs.descriptors();
        if self.has_room_for(kept + new) {
            return Ok(());
        }
        let wanted = kept + new;
        Err(format!("{wanted} descriptors are more than RLIMIT_NOFILE leaves room for"))
    }

    /// The sockets that `service` needs beside those it has as `index`; all or none.
    pub(super) fn listeners_for(
        &mut self,
        service: &Service,
        index: Option<ServiceIndex>,
        leaving: &mut Leaving,
    ) -> Result<Vec<Listener>, Refused> {
        let old = index.and_then(|index| self.services.find(index));
        let keys: Vec<_> = new_sockets(service, old).cloned().collect();
        let opened = self.open_sockets(&keys, service, leaving);
        if opened.is_err() {
            keys.iter().for_each(|key| leaving.take_back(key));
        }
        opened
    }

    /// Nobody makes room for one of them before it is known that all others can be had.
    fn open_sockets(
        &mut self,
        keys: &[SocketKey],
        service: &Service,
        leaving: &mut Leaving,
    ) -> Result<Vec<Listener>, Refused> {
        let (mut listeners, mut blocked) = (Vec::new(), Vec::new());
        for key in keys {
            match self.listener_for(key, service, leaving) {
                Ok(listener) => listeners.push(listener),
                Err(refused) if is_blocked(&refused, leaving) => blocked.push(key),
                Err(refused) => return Err(refused),
            }
        }
        for key in blocked {
            self.make_room(key, leaving);
            listeners.push(self.listener_for(key, service, leaving)?);
        }
        Ok(listeners)
    }

    /// One that somebody else leaves, with whoever waits in it; one that the service manager has
    /// passed; else a new one.
    fn listener_for(
        &mut self,
        key: &SocketKey,
        service: &Service,
        leaving: &mut Leaving,
    ) -> Result<Listener, Refused> {
        let inherited = self.inherited(key, service, leaving);
        if inherited.is_some() {
            leaving.take(key);
        }
        let ready = inherited.map(Ok).or_else(|| self.passed.open(service, key));
        match ready.unwrap_or_else(|| self.bind_anew(key, service, leaving)) {
            Ok(open) => Ok(Listener::new(self.services.new_socket_index(), key.clone(), open)),
            Err(cause) => Err(Refused { key: key.clone(), cause }),
        }
    }

    fn leaver(&self, (service, socket): Number) -> Option<(&Service, &Listener)> {
        let active = self.services.find(service)?;
        Some((&active.service, active.listener(socket)?))
    }

    /// The socket for `key` of a service that has no use for it any more, backlog included.
    fn inherited(&self, key: &SocketKey, service: &Service, leaving: &Leaving) -> Option<Open> {
        // Nobody has checked who waits in the socket of another service; and a filter stays with
        // its socket.
        let is_guarded = |old| intercept::is_wanted(service) || intercept::is_wanted(old);
        let mut heirlooms = leaving.heirlooms(key).filter_map(|number| self.leaver(number));
        let (_, socket) = heirlooms.find(|(old, _)| !is_guarded(old))?;
        let ready = bind::set_options_again(socket, service.options);
        // Somebody may have taken its file away.
        ready.and_then(|()| socket.duplicate()).ok()
    }

    /// A new socket.
    fn bind_anew(&self, key: &SocketKey, service: &Service, leaving: &Leaving) -> io::Result<Open> {
        let of_dropped = leaving.dropped().filter_map(|number| self.leaver(number));
        for (_, old) in of_dropped.filter(|(_, old)| old.key.address == key.address) {
            // Of another type, so it is of no use. In the file system its name would be taken.
            old.file.iter().for_each(|file| file.remove());
        }
        bind::bind(key, service, Patience::NONE)
    }

    /// What is to go and in the way of `key` rests from now on; who waited in its backlog is lost,
    /// as when the original closes it.
    fn make_room(&self, key: &SocketKey, leaving: &mut Leaving) {
        let in_the_way: Vec<_> = leaving.in_the_way(key).collect();
        for number in in_the_way {
            if let Some((_, socket)) = self.leaver(number) {
                leaving.rests(number, socket::release_port(&socket.fd));
            }
        }
    }
}

/// Whether a socket that is to go may be what keeps this one away.
fn is_blocked(refused: &Refused, leaving: &Leaving) -> bool {
    refused.cause.kind() == io::ErrorKind::AddrInUse
        && leaving.in_the_way(&refused.key).next().is_some()
}

/// How many descriptors `service` needs beside those of `old`: as long as the engine may go by
/// that, too.
fn new_descriptors(service: &Service, old: Option<&Active>) -> usize {
    let log = usize::from(matches!(service.log.target, LogTarget::File(_)));
    let stderr = usize::from(old.is_none() && service.stderr == Stderr::Log);
    let former = old.filter(|old| !old.service.is_of_kind(service));
    let kept = former.map_or(0, |old| old.listeners.len());
    new_sockets(service, old).count() + log + stderr + kept
}

/// The sockets of `service` that `old` does not have.
fn new_sockets<'s>(
    service: &'s Service,
    old: Option<&'s Active>,
) -> impl Iterator<Item = &'s SocketKey> {
    let has = |old: &Active, key| old.listeners.iter().any(|one| one.key.is_same(key));
    service.sockets.iter().filter(move |key| old.is_none_or(|old| !has(old, key)))
}

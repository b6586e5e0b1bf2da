//! The sockets of a reload: those that go, those that are handed on, and those that are new.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::bind::{Open, Patience, Refused};
use crate::monitor::intercept;
use crate::monitor::reload::Ready;
use crate::monitor::reload::leaving::{Leaving, Number, exclude_each_other};
use crate::monitor::services::{Active, Listener};
use crate::plan::Change;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::SocketKey;
use crate::sys::socket;

/// A service that is to leave sockets, and what it is to be.
type Mover = (ServiceIndex, Rc<Service>);

impl Monitor {
    /// Opens the sockets that `changes` need. Those that give sockets up come first, so that
    /// nobody gets one of a service that has to stay.
    pub(super) fn make_ready(&mut self, changes: &[Change], wanted: Vec<Service>) -> Vec<Ready> {
        let mut leaving = self.leaving(changes, &wanted);
        let mut wanted: Vec<_> = wanted.into_iter().map(|service| Some(Rc::new(service))).collect();
        let mut take = |at: usize| wanted.get_mut(at).and_then(Option::take);
        let (mut ready, mut movers, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match *change {
                Change::Drop(index) => ready.push(Ready::Drop(index)),
                Change::Rebind(index, at) => movers.extend(take(at).map(|it| (index, it))),
                Change::Keep(index, at) => others.extend(take(at).map(|it| (Some(index), it))),
                Change::Open(at) => others.extend(take(at).map(|it| (None, it))),
            }
        }
        ready.extend(self.move_all(movers, &mut leaving));
        for (index, service) in others {
            ready.extend(match index {
                Some(index) => self.ready_to_keep(index, service, &mut leaving),
                None => self.ready_to_open(service, &mut leaving),
            });
        }
        ready
    }

    /// The sockets that `changes` let go of.
    fn leaving(&self, changes: &[Change], wanted: &[Service]) -> Leaving {
        let mut leaving = Leaving::default();
        for change in changes {
            let (index, heir) = match *change {
                Change::Drop(index) => (index, None),
                Change::Rebind(index, at) => (index, wanted.get(at)),
                Change::Keep(..) | Change::Open(_) => continue,
            };
            let Some(active) = self.services.find(index) else { continue };
            let stays = |socket: &&Listener| heir.is_some_and(|it| it.listens_on(&socket.key));
            for socket in active.listeners.iter().filter(|socket| !stays(socket)) {
                leaving.add(index, socket);
                if heir.is_none() {
                    leaving.offer_dropped(index, socket);
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

    /// Moves all that can be moved. One that cannot stays where it is, and who has got its place
    /// meanwhile has to try once more.
    fn move_all(&mut self, mut movers: Vec<Mover>, leaving: &mut Leaving) -> Vec<Ready> {
        // Where nobody has to make room a failure costs nobody a client: these come first.
        movers.sort_by_key(|(index, service)| {
            let mut in_the_way = service.sockets.iter().flat_map(|key| leaving.in_the_way(key));
            in_the_way.any(|(other, _)| other != *index)
        });
        let mut movers = VecDeque::from(movers);
        let (mut stay, mut moved) = (Vec::new(), Vec::<(Mover, Vec<Listener>)>::new());
        while let Some((index, service)) = movers.pop_front() {
            let listeners = self.listeners_for(&service, Some(index), leaving);
            let Some(old) = self.services.find(index) else { continue };
            match listeners {
                Ok(listeners) => {
                    for socket in old.listeners.iter().filter(|it| !service.listens_on(&it.key)) {
                        leaving.offer_left(index, socket);
                    }
                    moved.push(((index, service), listeners));
                }
                Err(refused) => {
                    let has_its_place = |(_, new): &mut (_, Vec<Listener>)| {
                        old.listeners
                            .iter()
                            .any(|it| new.iter().any(|new| exclude_each_other(it, new)))
                    };
                    for (mover, new) in moved.extract_if(.., has_its_place) {
                        new.iter().for_each(|socket| leaving.take_back(&socket.key));
                        movers.push_back(mover);
                    }
                    stay.extend(self.ready_to_stay(index, &service, &refused, leaving));
                }
            }
        }
        let moved = moved.into_iter();
        stay.extend(moved.map(|((index, service), new)| Ready::Rebind(index, service, new)));
        stay
    }

    /// A service that has all its sockets, and perhaps wants more.
    fn ready_to_keep(
        &mut self,
        index: ServiceIndex,
        service: Rc<Service>,
        leaving: &mut Leaving,
    ) -> Option<Ready> {
        match self.listeners_for(&service, Some(index), leaving) {
            Ok(listeners) => Some(Ready::Keep(index, service, listeners)),
            Err(refused) => self.ready_to_stay(index, &service, &refused, leaving),
        }
    }

    /// A service that cannot have its new addresses stays where it is, as it was.
    fn ready_to_stay(
        &mut self,
        index: ServiceIndex,
        wanted: &Service,
        refused: &Refused,
        leaving: &mut Leaving,
    ) -> Option<Ready> {
        let why = self.say_bind_failed(wanted, refused);
        self.note_left_out(wanted, why);
        let old = self.services.find(index)?;
        for ((_, socket), listened) in leaving.keep(index, old) {
            let Some(listener) = old.listener(socket) else { continue };
            // The engine tries again each second.
            if let Err(cause) = socket::take_port_again(&listener.fd, listened) {
                tracing::error!("service {}: {listener} does not listen: {cause}", wanted.id);
            }
        }
        tracing::error!("service {} stays on its old address", wanted.id);
        Some(Ready::Keep(index, Rc::clone(&old.service), Vec::new()))
    }

    fn ready_to_open(&mut self, service: Rc<Service>, leaving: &mut Leaving) -> Option<Ready> {
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
        leaving: &mut Leaving,
    ) -> Result<Vec<Listener>, Refused> {
        let old = index.and_then(|index| self.services.find(index));
        let keys: Vec<_> = new_sockets(service, old).cloned().collect();
        let open = |key: &SocketKey| match self.listener_for(key, service, leaving) {
            Ok(open) => Ok(Listener::new(self.services.new_socket_index(), key.clone(), open)),
            Err(cause) => Err(Refused { key: key.clone(), cause }),
        };
        let opened: Result<_, _> = keys.iter().map(open).collect();
        if opened.is_err() {
            keys.iter().for_each(|key| leaving.take_back(key));
        }
        opened
    }

    /// One that somebody else leaves, with whoever waits in it; one that the service manager has
    /// passed; else a new one.
    fn listener_for(
        &self,
        key: &SocketKey,
        service: &Service,
        leaving: &mut Leaving,
    ) -> io::Result<Open> {
        if let Some(open) = self.inherited(key, service, leaving) {
            leaving.take(key);
            return Ok(open);
        }
        let passed = self.passed.open(service, key);
        passed.unwrap_or_else(|| self.bind_anew(key, service, leaving))
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

    /// A new socket. What is to go and in its way rests from now on; who waited in its backlog is
    /// lost, as when the original closes it.
    fn bind_anew(
        &self,
        key: &SocketKey,
        service: &Service,
        leaving: &mut Leaving,
    ) -> io::Result<Open> {
        let of_dropped = leaving.dropped().filter_map(|number| self.leaver(number));
        for (_, old) in of_dropped.filter(|(_, old)| old.key.address == key.address) {
            // Of another type, so it is of no use. In the file system its name would be taken.
            old.file.iter().for_each(|file| file.remove());
        }
        let bind = || bind::bind(key, service, Patience::NONE);
        bind().or_else(|cause| {
            let in_the_way: Vec<_> = leaving.in_the_way(key).collect();
            if in_the_way.is_empty() || cause.kind() != io::ErrorKind::AddrInUse {
                return Err(cause);
            }
            for number in in_the_way {
                let Some((_, socket)) = self.leaver(number) else { continue };
                leaving.rests(number, socket::release_port(&socket.fd));
            }
            bind()
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

//! What is ready for the commit: every service with all that it needs, or as it was.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::intercept;
use crate::monitor::reload::leaving::{Leaving, exclude_each_other};
use crate::monitor::services::{Active, Listener};
use crate::plan::Change;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::sys::socket;

/// A change that can be made: with the new sockets it needs.
pub(super) enum Ready {
    Keep(ServiceIndex, Rc<Service>, Vec<Listener>),
    Rebind(ServiceIndex, Rc<Service>, Vec<Listener>),
    Open(ServiceIndex, Rc<Service>, Vec<Listener>),
    Drop(ServiceIndex),
}

/// What a running service is to be.
struct Wanted {
    index: ServiceIndex,
    service: Rc<Service>,
    /// Its new number, if it is another service by then (RELOAD-2).
    heir: Option<ServiceIndex>,
}

impl Monitor {
    /// Opens the sockets that `changes` need. Those that give sockets up come first, so that
    /// nobody gets one of a service that has to stay.
    pub(super) fn make_ready(
        &mut self,
        changes: &[Change],
        wanted: Vec<Service>,
        logs: &mut ServiceLogs,
    ) -> Vec<Ready> {
        let mut leaving = self.leaving(changes, &wanted);
        let successors = self.successors(changes, &wanted);
        leaving.may_stay(successors.keys());
        let mut wanted: Vec<_> = wanted.into_iter().map(|service| Some(Rc::new(service))).collect();
        let mut take = |at: usize| wanted.get_mut(at).and_then(Option::take);
        let (mut ready, mut movers) = (Vec::new(), Vec::new());
        let (mut kept, mut new) = (Vec::new(), Vec::new());
        let same = |index, service| Wanted { index, service, heir: None };
        for change in changes {
            match *change {
                Change::Drop(index) => match successors.get(&index).and_then(|at| take(*at)) {
                    Some(service) => {
                        let heir = Some(self.services.new_index());
                        movers.push(Wanted { index, service, heir });
                    }
                    None => ready.push(Ready::Drop(index)),
                },
                Change::Rebind(index, at) => movers.extend(take(at).map(|it| same(index, it))),
                Change::Keep(index, at) => kept.extend(take(at).map(|it| same(index, it))),
                // Where it is a successor it has been taken.
                Change::Open(at) => new.extend(take(at)),
            }
        }
        ready.extend(self.move_all(movers, &mut leaving, logs));
        leaving.all_settled();
        for wanted in kept {
            ready.extend(self.ready_to_keep(wanted, &mut leaving, logs));
        }
        for service in new {
            ready.extend(self.ready_to_open(service, &mut leaving));
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

    /// Services that go only because their entry makes another one now, by its port for example:
    /// each with the place of that entry in `wanted`.
    fn successors(&self, changes: &[Change], wanted: &[Service]) -> HashMap<ServiceIndex, usize> {
        let name = |service: &Service| (service.id.clone(), service.protocol, service.socket_type);
        let mut by_name: HashMap<_, (Vec<_>, Vec<_>)> = HashMap::new();
        for change in changes {
            match *change {
                Change::Drop(index) => {
                    let Some(old) = self.services.find(index) else { continue };
                    by_name.entry(name(&old.service)).or_default().0.push((index, old));
                }
                Change::Open(at) => {
                    let Some(new) = wanted.get(at) else { continue };
                    by_name.entry(name(new)).or_default().1.push((at, new));
                }
                Change::Keep(..) | Change::Rebind(..) => {}
            }
        }
        let pairs = by_name.into_values().filter_map(|(gone, come)| match (&*gone, &*come) {
            ([(index, old)], [(at, new)]) => (!takes_its_name(old, new)).then_some((*index, *at)),
            _ => None,
        });
        pairs.collect()
    }

    /// Moves all that can be moved. One that cannot stays where it is, and who has got its place
    /// meanwhile has to try once more.
    fn move_all(
        &mut self,
        mut movers: Vec<Wanted>,
        leaving: &mut Leaving,
        logs: &mut ServiceLogs,
    ) -> Vec<Ready> {
        // Where nobody has to make room a failure costs nobody a client: these come first.
        movers.sort_by_key(|Wanted { index, service, .. }| {
            let mut in_the_way = service.sockets.iter().flat_map(|key| leaving.in_the_way(key));
            in_the_way.any(|(other, _)| other != *index)
        });
        let mut movers = VecDeque::from(movers);
        let (mut ready, mut moved) = (Vec::new(), Vec::<(Wanted, Vec<Listener>)>::new());
        while let Some(wanted) = movers.pop_front() {
            let listeners = self.fit(&wanted, leaving, logs);
            let Wanted { index, service, .. } = &wanted;
            let Some(old) = self.services.find(*index) else { continue };
            match listeners {
                Ok(listeners) => {
                    for socket in old.listeners.iter().filter(|it| !service.listens_on(&it.key)) {
                        leaving.offer_left(*index, socket);
                    }
                    moved.push((wanted, listeners));
                }
                Err(why) => {
                    for (other, new) in moved.extract_if(.., |(_, new)| has_place_of(old, new)) {
                        new.iter().for_each(|socket| leaving.take_back(&socket.key));
                        movers.push_back(other);
                    }
                    ready.extend(self.ready_to_stay(*index, service, why, leaving, logs));
                }
            }
        }
        for (Wanted { index, service, heir }, new) in moved {
            match heir {
                None => ready.push(Ready::Rebind(index, service, new)),
                Some(heir) => {
                    ready.push(Ready::Drop(index));
                    ready.push(Ready::Open(heir, service, new));
                }
            }
        }
        ready
    }

    /// A service that has all its sockets, and perhaps wants more.
    fn ready_to_keep(
        &mut self,
        wanted: Wanted,
        leaving: &mut Leaving,
        logs: &mut ServiceLogs,
    ) -> Option<Ready> {
        let listeners = self.fit(&wanted, leaving, logs);
        let Wanted { index, service, .. } = wanted;
        match listeners {
            Ok(listeners) => Some(Ready::Keep(index, service, listeners)),
            Err(why) => self.ready_to_stay(index, &service, why, leaving, logs),
        }
    }

    /// A service that cannot have all that its entry asks for stays where it is, as it was.
    fn ready_to_stay(
        &mut self,
        index: ServiceIndex,
        wanted: &Service,
        why: String,
        leaving: &mut Leaving,
        logs: &mut ServiceLogs,
    ) -> Option<Ready> {
        self.note_left_out(wanted, why);
        let old = self.services.find(index)?;
        for ((_, socket), listened) in leaving.keep(index, old) {
            let Some(listener) = old.listener(socket) else { continue };
            // The engine tries again each second.
            if let Err(cause) = socket::take_port_again(&listener.fd, listened) {
                tracing::error!("service {}: {listener} does not listen: {cause}", wanted.id);
            }
        }
        tracing::error!("service {} goes on as it was", wanted.id);
        let service = Rc::clone(&old.service);
        if equip(Some(old), &service, index, logs).is_err() {
            logs.inherit(index, &mut self.logs);
        }
        Some(Ready::Keep(index, service, Vec::new()))
    }

    /// Has all ready that a running service needs to be as `wanted`: its new sockets, or why it
    /// cannot be had.
    fn fit(
        &mut self,
        wanted: &Wanted,
        leaving: &mut Leaving,
        logs: &mut ServiceLogs,
    ) -> Result<Vec<Listener>, String> {
        let Wanted { index, service, heir } = wanted;
        let same = heir.is_none().then_some(*index);
        let old = same.and_then(|index| self.services.find(index));
        // Sockets come last: where one makes room, who waits there is lost.
        equip(old, service, heir.unwrap_or(*index), logs).inspect_err(|why| {
            tracing::error!("service {} ({}): {why}", service.id, service.declared_at);
        })?;
        self.listeners_for(service, same, leaving).map_err(|refused| {
            heir.iter().for_each(|index| logs.remove(*index));
            self.say_bind_failed(service, &refused)
        })
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
}

/// Whether the files of `old` have to go before `new` can have sockets of their names.
fn takes_its_name(old: &Active, new: &Service) -> bool {
    let takes = |socket: &Listener| {
        let mut same = new.sockets.iter().filter(|key| key.address == socket.key.address);
        socket.file.is_some() && same.any(|key| !key.is_same(&socket.key))
    };
    old.listeners.iter().any(takes)
}

/// Whether `old` cannot stay as long as somebody has these sockets.
fn has_place_of(old: &Active, new: &[Listener]) -> bool {
    old.listeners.iter().any(|socket| new.iter().any(|it| exclude_each_other(socket, it)))
}

/// What a service needs besides new sockets: those that stay are told, its log is open.
fn equip(
    old: Option<&Active>,
    wanted: &Service,
    index: ServiceIndex,
    logs: &mut ServiceLogs,
) -> Result<(), String> {
    let old = old.into_iter().flat_map(|old| &old.listeners);
    for listener in old.filter(|it| wanted.listens_on(&it.key)) {
        if intercept::is_wanted(wanted) {
            intercept::guard(&listener.fd, &wanted.policy).map_err(|cause| cause.to_string())?;
        }
        bind::set_options_again(listener, wanted.options)
            .map_err(|cause| format!("{listener}: cannot set socket options: {cause}"))?;
    }
    logs.add(index, wanted).map_err(|unusable| unusable.to_string())
}

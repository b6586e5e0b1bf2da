//! What is ready for the commit: every service with all that it needs, or as it was.

use std::collections::VecDeque;
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

/// A service that is to leave sockets, and what it is to be.
type Mover = (ServiceIndex, Rc<Service>);

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
        ready.extend(self.move_all(movers, &mut leaving, logs));
        for (index, service) in others {
            ready.extend(match index {
                Some(index) => self.ready_to_keep(index, service, &mut leaving, logs),
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

    /// Moves all that can be moved. One that cannot stays where it is, and who has got its place
    /// meanwhile has to try once more.
    fn move_all(
        &mut self,
        mut movers: Vec<Mover>,
        leaving: &mut Leaving,
        logs: &mut ServiceLogs,
    ) -> Vec<Ready> {
        // Where nobody has to make room a failure costs nobody a client: these come first.
        movers.sort_by_key(|(index, service)| {
            let mut in_the_way = service.sockets.iter().flat_map(|key| leaving.in_the_way(key));
            in_the_way.any(|(other, _)| other != *index)
        });
        let mut movers = VecDeque::from(movers);
        let (mut stay, mut moved) = (Vec::new(), Vec::<(Mover, Vec<Listener>)>::new());
        while let Some((index, service)) = movers.pop_front() {
            let listeners = self.fit(index, &service, leaving, logs);
            let Some(old) = self.services.find(index) else { continue };
            match listeners {
                Ok(listeners) => {
                    for socket in old.listeners.iter().filter(|it| !service.listens_on(&it.key)) {
                        leaving.offer_left(index, socket);
                    }
                    moved.push(((index, service), listeners));
                }
                Err(why) => {
                    let has_its_place = |(_, new): &mut (_, Vec<Listener>)| {
                        old.listeners
                            .iter()
                            .any(|it| new.iter().any(|new| exclude_each_other(it, new)))
                    };
                    for (mover, new) in moved.extract_if(.., has_its_place) {
                        new.iter().for_each(|socket| leaving.take_back(&socket.key));
                        movers.push_back(mover);
                    }
                    stay.extend(self.ready_to_stay(index, &service, why, leaving, logs));
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
        logs: &mut ServiceLogs,
    ) -> Option<Ready> {
        match self.fit(index, &service, leaving, logs) {
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
        if equip(old, &service, index, logs).is_err() {
            logs.inherit(index, &mut self.logs);
        }
        Some(Ready::Keep(index, service, Vec::new()))
    }

    /// Has all ready that a running service needs to be as `wanted`: its new sockets, or why it
    /// cannot be had.
    fn fit(
        &mut self,
        index: ServiceIndex,
        wanted: &Service,
        leaving: &mut Leaving,
        logs: &mut ServiceLogs,
    ) -> Result<Vec<Listener>, String> {
        let new = self.listeners_for(wanted, Some(index), leaving);
        let new = new.map_err(|refused| self.say_bind_failed(wanted, &refused))?;
        let Some(old) = self.services.find(index) else { return Ok(new) };
        equip(old, wanted, index, logs).map(|()| new).map_err(|why| {
            wanted.sockets.iter().for_each(|key| leaving.take_back(key));
            tracing::error!("service {} ({}): {why}", wanted.id, wanted.declared_at);
            why
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

/// What a service needs besides sockets, as `wanted` has it: the sockets that stay are told, its
/// log is open.
fn equip(
    old: &Active,
    wanted: &Service,
    index: ServiceIndex,
    logs: &mut ServiceLogs,
) -> Result<(), String> {
    for listener in old.listeners.iter().filter(|it| wanted.listens_on(&it.key)) {
        if intercept::is_wanted(wanted) {
            intercept::guard(&listener.fd, &wanted.policy).map_err(|cause| cause.to_string())?;
        }
        bind::set_options_again(listener, wanted.options)
            .map_err(|cause| format!("{listener}: cannot set socket options: {cause}"))?;
    }
    logs.add(index, wanted).map_err(|unusable| unusable.to_string())
}

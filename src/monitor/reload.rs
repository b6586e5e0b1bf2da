//! SIGHUP: read, compare, open the new, commit; only then let go of the old.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem::discriminant;
use std::rc::Rc;
use std::time::Instant;

use crate::config::Faulty;
use crate::config::Loaded;
use crate::config::Verdict;
use crate::ipc::State;
use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::bind::{Open, Patience, Refused};
use crate::monitor::intercept;
use crate::monitor::news::News;
use crate::monitor::notify;
use crate::monitor::rpc::registration;
use crate::monitor::services::{Active, Listener, Services};
use crate::plan;
use crate::plan::Change;
use crate::plan::Service;
use crate::plan::ServiceId;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::SocketKey;
use crate::plan::SocketType;
use crate::sys::clock;
use crate::sys::fd;
use crate::sys::signal;
use crate::sys::socket;

/// A reload between its commit and the engine's word that it has adopted it. Orders of the
/// old generation are honoured until then.
#[derive(Debug, Default)]
pub(super) struct Reload {
    /// Services that are gone; their sockets stay open as long as this.
    pub retired: Services,
    /// Services that are of another kind now, as they were: the engine may still go by it.
    pub former: Services,
    /// Sockets that services have no more (RELOAD-7).
    replaced: Vec<Listener>,
    /// Services whose servers are to end.
    ending: Vec<ServiceIndex>,
    opened: usize,
    kept: usize,
    /// Nobody asked for it: services go that rpcbind does not know.
    is_withdrawal: bool,
}

impl Reload {
    /// A socket that its service has no more, as long as the engine may go by it.
    #[must_use]
    pub(super) fn replaced(&self, index: SocketIndex) -> Option<&Listener> {
        self.replaced.iter().find(|listener| listener.index == index)
    }
}

/// A change that can be made: with the new sockets it needs.
enum Ready {
    Keep(ServiceIndex, Rc<Service>, Vec<Listener>),
    Rebind(ServiceIndex, Rc<Service>, Vec<Listener>),
    Open(ServiceIndex, Rc<Service>, Vec<Listener>),
    Drop(ServiceIndex),
}

/// Sockets that are to go, as new services look for them.
#[derive(Default)]
struct Leaving {
    /// Of services that go themselves: the first of each kind.
    dropped: HashMap<SocketKey, (ServiceIndex, SocketIndex)>,
    /// Of these and of those that move: all that listen, by their port.
    by_port: HashMap<u16, Vec<(ServiceIndex, SocketIndex)>>,
}

impl Monitor {
    /// Takes over what the files say now, or nothing at all.
    pub(super) fn reload(&mut self) {
        if self.stop_at.is_some() {
            return;
        }
        if !self.is_settled() {
            self.reload_again = true;
            return;
        }
        notify::reloading();
        clock::reload_time_zone();
        self.daemon_log.reopen();
        tracing::info!("Starting reconfiguration");
        let loaded = self.read_configuration();
        match self.prepare(loaded) {
            Ok((changes, logs)) => self.commit(changes, logs),
            Err(why) => {
                tracing::warn!(
                    "reconfiguration failed: {why}; the old configuration stays in force"
                );
                notify::ready(self.services.available());
                notify::status("the last reload failed: the old configuration is in force");
            }
        }
    }

    /// Everything that can fail for the whole: nothing is touched yet.
    fn prepare(&mut self, loaded: Loaded) -> Result<(Vec<Ready>, ServiceLogs), String> {
        match &loaded.verdict {
            Verdict::Good => {}
            Verdict::FaultyDefaults { .. } => {
                return Err("a mistake reaches beyond one service".to_owned());
            }
            Verdict::Unreadable(why) => return Err(why.clone()),
        }
        let (logs, unusable) = self.logs.next(&loaded.plan.common_log);
        if let Some(log) = unusable {
            return Err(log.to_string());
        }
        let mut wanted = loaded.plan.services;
        self.passed.rename(&mut wanted);
        let changes = self.changes_to(&mut wanted, &loaded.faulty);
        self.check_room(&changes, &wanted, &logs)?;
        let leaving = self.leaving(&changes, &wanted);
        let mut wanted: Vec<_> = wanted.into_iter().map(|service| Some(Rc::new(service))).collect();
        let mut take = |at: usize| wanted.get_mut(at).and_then(Option::take);
        let ready = changes
            .iter()
            .filter_map(|change| match *change {
                Change::Drop(index) => Some(Ready::Drop(index)),
                Change::Keep(index, at) => take(at)
                    .map(|service| self.ready_to_move(index, service, &leaving, Ready::Keep)),
                Change::Rebind(index, at) => take(at)
                    .map(|service| self.ready_to_move(index, service, &leaving, Ready::Rebind)),
                Change::Open(at) => {
                    take(at).and_then(|service| self.ready_to_open(service, &leaving))
                }
            })
            .collect();
        Ok((ready, logs))
    }

    /// What has to be done for `wanted`. A service that would be dropped only because its entry
    /// has a mistake is wanted as it was: the same id, or the same name where the mistake may
    /// be in the id itself.
    fn changes_to(&self, wanted: &mut Vec<Service>, faulty: &[Faulty]) -> Vec<Change> {
        let running: Vec<_> =
            self.services.iter().map(|(index, active)| (index, &*active.service)).collect();
        let mut changes = plan::changes(&running, wanted);
        let ids: HashSet<&ServiceId> = faulty.iter().map(|entry| &entry.id).collect();
        let names: HashSet<&str> = faulty.iter().map(|entry| entry.name.as_str()).collect();
        let mut claimed: HashSet<_> = wanted.iter().map(|service| service.id.clone()).collect();
        for change in &mut changes {
            let Change::Drop(index) = *change else { continue };
            let Some(active) = self.services.find(index) else { continue };
            let old = &active.service;
            let by_name = || names.contains(old.name.as_str()) && !claimed.contains(&old.id);
            if ids.contains(&old.id) || by_name() {
                tracing::warn!("service {} goes on with its old entry", old.id);
                *change = Change::Keep(index, wanted.len());
                claimed.insert(old.id.clone());
                wanted.push(Service::clone(old));
            }
        }
        changes
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
                let is_chosen = socket.port != socket.key.address.port();
                if heir.is_none() && !is_chosen {
                    leaving.dropped.entry(socket.key.identity()).or_insert(number);
                }
            }
        }
        leaving
    }

    /// Old and new sockets and logs are open side by side for a moment: without room for that
    /// nothing is begun.
    fn check_room(
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
    fn ready_to_move(
        &mut self,
        index: ServiceIndex,
        service: Rc<Service>,
        leaving: &Leaving,
        ready: fn(ServiceIndex, Rc<Service>, Vec<Listener>) -> Ready,
    ) -> Ready {
        match self.listeners_for(&service, Some(index), leaving) {
            Ok(listeners) => ready(index, service, listeners),
            Err(refused) => {
                self.say_bind_failed(&service, &refused);
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

    fn ready_to_open(&mut self, service: Rc<Service>, leaving: &Leaving) -> Option<Ready> {
        match self.listeners_for(&service, None, leaving) {
            Ok(listeners) => Some(Ready::Open(self.services.new_index(), service, listeners)),
            Err(refused) => {
                self.say_bind_failed(&service, &refused);
                self.say_left_out(&service);
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
        // Nobody has checked who waits in the socket of another service.
        let heir = leaving.dropped.get(&key.identity()).filter(|_| !intercept::is_wanted(service));
        if let Some(old) = heir.and_then(find) {
            bind::set_options_again(old, service.options)?;
            return Ok(Open { file: old.file.clone(), fd: fd::duplicate(&old.fd)? });
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

    /// Puts the new services in force and offers them to the engine.
    fn commit(&mut self, changes: Vec<Ready>, mut logs: ServiceLogs) {
        tracing::trace!("Swapping defaults");
        self.registrar.try_again();
        let mut reload = Reload::default();
        let mut fresh = Vec::new();
        for change in changes {
            match change {
                Ready::Drop(index) => {
                    if let Some(active) = self.services.find(index) {
                        self.registrar.unregister(registration(active));
                    }
                    self.retire(index, &mut reload);
                    // For the EXIT lines of its servers.
                    logs.inherit(index, &mut self.logs);
                }
                Ready::Keep(index, service, new) => {
                    fresh.extend(new.iter().map(|listener| (index, listener.index)));
                    self.remember(index, &service, &mut reload);
                    self.replace(index, service, new, &mut logs);
                    reload.kept += 1;
                }
                Ready::Rebind(index, service, new) => {
                    fresh.extend(new.iter().map(|listener| (index, listener.index)));
                    self.remember(index, &service, &mut reload);
                    reload.replaced.extend(self.replace(index, service, new, &mut logs));
                    reload.ending.push(index);
                    reload.kept += 1;
                }
                Ready::Open(index, service, new) => {
                    let numbers: Vec<_> =
                        new.iter().map(|listener| (index, listener.index)).collect();
                    if self.open(index, service, new, &mut logs) {
                        reload.opened += 1;
                        fresh.extend(numbers);
                    }
                }
            }
        }
        logs.succeed(&mut self.logs);
        self.logs = logs;
        self.note_guards();
        self.offer(reload, fresh);
    }

    /// Takes services away that were opened and cannot be had: rpcbind does not know them.
    pub(super) fn withdraw(&mut self, services: &[ServiceIndex]) {
        let mut reload = Reload { is_withdrawal: true, ..Reload::default() };
        for index in services {
            self.retire(*index, &mut reload);
        }
        self.offer(reload, Vec::new());
    }

    /// Offers what is in force now to the engine; the sockets in `fresh` are new to it.
    fn offer(&mut self, reload: Reload, fresh: Vec<(ServiceIndex, SocketIndex)>) {
        self.generation = self.generation.next();
        self.reload = Some(reload);
        let Some(engine) = &mut self.engine else { return };
        engine.state = State::Reloading;
        let options = &self.options;
        let offered =
            engine.offer(self.generation, &self.services, fresh, self.last_ticket, options);
        if let Err(cause) = offered {
            // A new engine starts from the tables, which are right.
            tracing::error!("cannot offer the new configuration: {cause}; replacing the engine");
            let _ = signal::send(engine.pid, signal::Name::SIGKILL);
        }
    }

    fn retire(&mut self, index: ServiceIndex, reload: &mut Reload) {
        if let Some(active) = self.services.remove(index) {
            tracing::info!("service {} deactivated", active.service.id);
            self.closed.remove(&index);
            reload.retired.insert(index, active);
            reload.ending.push(index);
        }
    }

    /// Keeps a service as it was, if what the engine does about it changes.
    pub(super) fn remember(&self, index: ServiceIndex, new: &Service, reload: &mut Reload) {
        let Some(old) = self.services.find(index) else { return };
        if discriminant(&old.service.action) == discriminant(&new.action) {
            return;
        }
        match old.duplicate() {
            Ok(former) => reload.former.insert(index, former),
            Err(cause) => tracing::error!("service {}: {cause}", old.service.id),
        }
    }

    /// New attributes for a running service, and `new` sockets beside those that stay; those
    /// that do not come back.
    fn replace(
        &mut self,
        index: ServiceIndex,
        service: Rc<Service>,
        new: Vec<Listener>,
        logs: &mut ServiceLogs,
    ) -> Vec<Listener> {
        tracing::info!("readjusting service {}", service.id);
        let Some(old) = self.services.remove(index) else { return Vec::new() };
        let before = registration(&old);
        if let Err(unusable) = logs.add(index, &service) {
            tracing::error!("service {}: {unusable}; its old log is used on", service.id);
            logs.inherit(index, &mut self.logs);
        }
        let stays = |listener: &Listener| service.listens_on(&listener.key);
        let (mut listeners, left_over): (Vec<_>, _) = old.listeners.into_iter().partition(stays);
        for listener in &listeners {
            if let Err(cause) = bind::set_options_again(listener, service.options) {
                tracing::error!("service {}: cannot set socket options: {cause}", service.id);
            }
            let is_guarded = intercept::is_wanted(&service);
            if is_guarded && let Err(cause) = intercept::guard(&listener.fd, &service.policy) {
                // The filter of its old lists stays.
                tracing::error!("service {}: {cause}; its old lists hold", service.id);
            }
        }
        listeners.extend(new);
        match self.household.activate(service, listeners) {
            Ok(active) => {
                self.registrar.register_anew(index, before, registration(&active));
                self.services.insert(index, active);
            }
            Err(cause) => {
                self.registrar.unregister(before);
                tracing::error!("{cause}");
            }
        }
        left_over
    }

    /// The engine serves the new generation: nobody needs the old sockets any more.
    pub(super) fn finish_reload(&mut self, reload: &Reload) {
        let now = Instant::now();
        for index in &reload.ending {
            self.running.end(*index, now);
            self.give_up_retries_of(*index);
        }
        self.passed.listen(Some(&self.services));
        self.passed.say_unused(&self.services);
        self.household.tidy();
        if !reload.is_withdrawal {
            self.not_in_force.clear();
            self.rules_told.clear();
            let (new, old, dropped) = (reload.opened, reload.kept, reload.retired.count());
            self.news = Some(News::Reconfigured { new, old, dropped });
        }
        if self.services.available() == 0 && !self.options.stay_alive {
            self.leave_when_quiet();
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::recipe::tests::service;
    use crate::plan::Address;

    fn at(id: &str, address: &str) -> Service {
        let mut service = service();
        service.id = ServiceId(id.into());
        service.sockets[0].address = Address::Ip(address.parse().unwrap());
        service
    }

    fn changes(old: &[Service], new: &[Service]) -> Vec<Change> {
        let numbered: Vec<_> = (0..).map(ServiceIndex).zip(old).collect();
        plan::changes(&numbered, new)
    }

    #[test]
    fn reload_2_a_service_is_known_by_id_and_port() {
        let old = [at("a", "127.0.0.1:1"), at("b", "127.0.0.1:2"), at("c", "127.0.0.1:3")];
        let new = [at("c", "127.0.0.1:3"), at("a", "127.0.0.1:9"), at("b", "127.0.0.2:2")];
        assert_eq!(
            changes(&old, &new),
            [
                Change::Drop(ServiceIndex(0)),
                Change::Keep(ServiceIndex(2), 0),
                Change::Open(1),
                Change::Rebind(ServiceIndex(1), 2),
            ]
        );
    }

    #[test]
    fn chk_5_twins_of_one_id_and_port_keep_their_own_sockets() {
        let old = [at("a", "127.0.0.1:1"), at("a", "127.0.0.2:1")];
        let new = [at("a", "127.0.0.3:1"), at("a", "127.0.0.2:1")];
        assert_eq!(
            changes(&old, &new),
            [Change::Rebind(ServiceIndex(0), 0), Change::Keep(ServiceIndex(1), 1)]
        );
    }

    fn at_all(id: &str, addresses: &[&str]) -> Service {
        let mut service = at(id, addresses[0]);
        service.sockets = addresses.iter().map(|one| at(id, one).sockets.remove(0)).collect();
        service
    }

    #[test]
    fn a_longer_list_of_addresses_keeps_the_service_and_a_lost_address_moves_it() {
        let old = || at_all("a", &["127.0.0.1:1", "127.0.0.2:1"]);
        type Expected = fn(ServiceIndex, usize) -> Change;
        let cases: [(Service, Expected); 3] = [
            (at_all("a", &["127.0.0.3:1", "127.0.0.2:1", "127.0.0.1:1"]), Change::Keep),
            (at_all("a", &["127.0.0.2:1"]), Change::Rebind),
            (at_all("a", &["127.0.0.1:1", "127.0.0.3:1"]), Change::Rebind),
        ];
        for (new, change) in cases {
            let changes = changes(&[old(), at("b", "127.0.0.9:1")], std::slice::from_ref(&new));
            assert_eq!(changes, [Change::Drop(ServiceIndex(1)), change(ServiceIndex(0), 0)]);
        }
    }

    #[test]
    fn of_twins_each_keeps_the_address_it_has() {
        let old = [at("a", "127.0.0.1:1"), at("a", "127.0.0.2:1")];
        let new = [at_all("a", &["127.0.0.3:1", "127.0.0.2:1"]), at("a", "127.0.0.1:1")];
        assert_eq!(
            changes(&old, &new),
            [Change::Keep(ServiceIndex(1), 0), Change::Keep(ServiceIndex(0), 1)]
        );
    }

    #[test]
    fn a_service_without_a_socket_is_known_by_its_id() {
        let mut behind = at("a", "127.0.0.1:0");
        behind.sockets.clear();
        let changes = changes(&[behind.clone()], &[behind]);
        assert_eq!(changes, [Change::Keep(ServiceIndex(0), 0)]);
    }

    #[test]
    fn reload_8_v6only_is_a_part_of_the_socket() {
        let mut new = at("a", "[::]:1");
        new.sockets[0].v6only = true;
        let changes = changes(&[at("a", "[::]:1")], &[new]);
        assert_eq!(changes, [Change::Rebind(ServiceIndex(0), 0)]);
    }
}

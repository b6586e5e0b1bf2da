//! SIGHUP: read, compare, open the new, commit; only then let go of the old.

mod leaving;
mod sockets;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::mem::{self, discriminant};
use std::rc::Rc;
use std::time::Instant;

use crate::config::Faulty;
use crate::config::Loaded;
use crate::config::Verdict;
use crate::control::Difference;
use crate::ipc::State;
use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::control::left_out;
use crate::monitor::intercept;
use crate::monitor::news::News;
use crate::monitor::notify;
use crate::monitor::rpc::registration;
use crate::monitor::services::{Listener, Services};
use crate::plan;
use crate::plan::Change;
use crate::plan::Service;
use crate::plan::ServiceId;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::sys::clock;
use crate::sys::signal;

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
    /// What it changes; `None`: nobody asked for it, services go that rpcbind does not know.
    difference: Option<Difference>,
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
        self.control.reload_begins();
        let loaded = self.read_configuration();
        self.control.tell_notes(&loaded);
        let left_out = mem::replace(&mut self.left_out, left_out(&loaded));
        match self.prepare(loaded) {
            Ok((changes, logs)) => self.commit(changes, logs),
            Err(why) => {
                self.left_out = left_out;
                self.control.reload_failed(&why);
                tracing::warn!(
                    "reconfiguration failed: {why}; the old configuration stays in force"
                );
                notify::ready();
                self.history.reload_failed(why);
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
        Ok((self.make_ready(&changes, wanted), logs))
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

    /// Puts the new services in force and offers them to the engine.
    fn commit(&mut self, changes: Vec<Ready>, mut logs: ServiceLogs) {
        tracing::trace!("Swapping defaults");
        self.registrar.try_again();
        let mut reload = Reload::default();
        let mut fresh = Vec::new();
        let mut difference = Difference::default();
        for change in changes {
            match change {
                Ready::Drop(index) => {
                    if let Some(active) = self.services.find(index) {
                        difference.dropped.push(active.service.id.0.clone());
                        self.registrar.unregister(registration(active));
                    }
                    self.retire(index, &mut reload);
                    // For the EXIT lines of its servers.
                    logs.inherit(index, &mut self.logs);
                }
                Ready::Keep(index, service, new) => {
                    fresh.extend(new.iter().map(|listener| (index, listener.index)));
                    self.remember(index, &service, &mut reload);
                    match self.is_as_it_was(index, &service) {
                        true => difference.unchanged += 1,
                        false => difference.changed.push(service.id.0.clone()),
                    }
                    self.replace(index, service, new, &mut logs);
                }
                Ready::Rebind(index, service, new) => {
                    fresh.extend(new.iter().map(|listener| (index, listener.index)));
                    self.remember(index, &service, &mut reload);
                    difference.reopened.push(service.id.0.clone());
                    reload.replaced.extend(self.replace(index, service, new, &mut logs));
                    reload.ending.push(index);
                }
                Ready::Open(index, service, new) => {
                    let numbers: Vec<_> =
                        new.iter().map(|listener| (index, listener.index)).collect();
                    let id = service.id.0.clone();
                    if self.open(index, service, new, &mut logs) {
                        difference.added.push(id);
                        fresh.extend(numbers);
                    }
                }
            }
        }
        logs.succeed(&mut self.logs);
        self.logs = logs;
        self.note_guards();
        self.history.reloaded();
        reload.difference = Some(difference);
        self.offer(reload, fresh);
    }

    /// Whether nothing but the place of its entry has changed.
    fn is_as_it_was(&self, index: ServiceIndex, new: &Rc<Service>) -> bool {
        self.services.find(index).is_some_and(|active| {
            let old = &active.service;
            Rc::ptr_eq(old, new) || old.is_same(new)
        })
    }

    /// Takes services away that were opened and cannot be had: rpcbind does not know them.
    pub(super) fn withdraw(&mut self, services: &[ServiceIndex]) {
        let mut reload = Reload::default();
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
            self.gates.remove(index);
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
    pub(super) fn finish_reload(&mut self, reload: Reload) {
        let now = Instant::now();
        for index in &reload.ending {
            self.running.end(*index, now);
            // Where it is now, it is open.
            self.closed.remove(index);
            self.give_up_retries_of(*index);
        }
        self.let_sockets_rest(reload.retired.listeners().chain(&reload.replaced));
        self.keep_sockets();
        self.passed.listen(Some(&self.services));
        self.passed.say_unused(&self.services);
        self.household.tidy();
        self.tallies.keep(&self.services);
        if let Some(difference) = reload.difference {
            self.not_in_force.clear();
            self.rules_told.clear();
            self.news = Some(News::Reconfigured(difference));
        }
        if self.services.available() == 0 && !self.options.stay_alive {
            self.leave_when_quiet();
        }
    }
}

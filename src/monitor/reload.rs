//! SIGHUP: read, compare, open the new, commit; only then let go of the old.

mod commit;
mod leaving;
mod ready;
mod sockets;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::mem;
use std::time::Instant;

use crate::config::Faulty;
use crate::config::Loaded;
use crate::config::Verdict;
use crate::control::Difference;
use crate::ipc::State;
use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::control::left_out;
use crate::monitor::news::News;
use crate::monitor::services::{Listener, Services};
use crate::plan;
use crate::plan::Change;
use crate::plan::Service;
use crate::plan::ServiceId;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::sys::clock;
use crate::sys::signal;

use ready::Ready;

/// A reload between its commit and the engine's word that it has adopted it. Orders of the
/// old generation are honoured until then.
#[derive(Debug, Default)]
pub(super) struct Reload {
    /// Services that are gone; their sockets stay open as long as this.
    pub retired: Services,
    /// Services that are of another kind now, as they were: the engine may still go by it.
    pub former: Services,
    /// Sockets that services have no more (RELOAD-7).
    pub replaced: Vec<(ServiceIndex, Listener)>,
    /// Services whose servers are to end.
    ending: Vec<ServiceIndex>,
    /// What it changes; `None`: nobody asked for it, services go that rpcbind does not know.
    difference: Option<Difference>,
}

impl Reload {
    /// The sockets that a service has no more, as long as the engine may go by them.
    pub(super) fn replaced(&self, index: ServiceIndex) -> impl Iterator<Item = &Listener> {
        let of_it = self.replaced.iter().filter(move |(service, _)| *service == index);
        of_it.map(|(_, listener)| listener)
    }
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
        self.manager.reloading();
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
                self.manager.ready();
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
        let (mut logs, unusable) = self.logs.next(&loaded.plan.common_log);
        if let Some(log) = unusable {
            return Err(log.to_string());
        }
        let mut wanted = loaded.plan.services;
        self.passed.rename(&mut wanted);
        let changes = self.changes_to(&mut wanted, &loaded.faulty);
        self.check_room(&changes, &wanted, &logs)?;
        Ok((self.make_ready(&changes, wanted, &mut logs), logs))
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

    /// The engine serves the new generation: nobody needs the old sockets any more.
    pub(super) fn finish_reload(&mut self, reload: Reload) {
        let now = Instant::now();
        for index in &reload.ending {
            self.running.end(*index, now);
            // Where it is now, it is open.
            self.closed.remove(index);
            self.give_up_retries_of(*index);
        }
        let replaced = reload.replaced.iter().map(|(_, listener)| listener);
        self.let_sockets_rest(reload.retired.listeners().chain(replaced));
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

//! Puts in force what is ready. Nothing can fail here that could be had before.

use std::rc::Rc;

use crate::control::Difference;
use crate::log::ServiceLogs;
use crate::monitor::Monitor;
use crate::monitor::reload::Reload;
use crate::monitor::reload::ready::Ready;
use crate::monitor::rpc::registration;
use crate::monitor::services::Listener;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;

/// A commit under way.
#[derive(Default)]
struct Commit {
    reload: Reload,
    /// Sockets that the engine does not have yet.
    fresh: Vec<(ServiceIndex, SocketIndex)>,
    difference: Difference,
}

impl Commit {
    fn note_fresh(&mut self, index: ServiceIndex, new: &[Listener]) {
        self.fresh.extend(new.iter().map(|listener| (index, listener.index)));
    }
}

impl Monitor {
    /// Puts the new services in force and offers them to the engine.
    pub(super) fn commit(&mut self, changes: Vec<Ready>, mut logs: ServiceLogs) {
        tracing::info!("Swapping defaults");
        self.registrar.try_again();
        let mut commit = Commit::default();
        for change in changes {
            match change {
                Ready::Drop(index) => self.let_go(index, &mut logs, &mut commit),
                Ready::Keep(index, service, new) => {
                    match self.is_as_it_was(index, &service) {
                        true => commit.difference.unchanged += 1,
                        false => commit.difference.changed.push(service.id.0.clone()),
                    }
                    self.readjust(index, service, new, &mut commit);
                }
                Ready::Rebind(index, service, new) => {
                    commit.difference.reopened.push(service.id.0.clone());
                    commit.reload.ending.push(index);
                    self.readjust(index, service, new, &mut commit);
                }
                Ready::Open(index, service, new) => {
                    self.add(index, service, new, &mut logs, &mut commit);
                }
            }
        }
        logs.succeed(&mut self.logs);
        self.logs = logs;
        self.note_guards();
        self.history.reloaded();
        let Commit { mut reload, fresh, difference } = commit;
        reload.difference = Some(difference);
        self.offer(reload, fresh);
    }

    fn let_go(&mut self, index: ServiceIndex, logs: &mut ServiceLogs, commit: &mut Commit) {
        if let Some(active) = self.services.find(index) {
            commit.difference.dropped.push(active.service.id.0.clone());
            self.registrar.unregister(registration(active));
        }
        self.retire(index, &mut commit.reload);
        // For the EXIT lines of its servers.
        logs.inherit(index, &mut self.logs);
    }

    /// A running service, with what it has; sockets that it leaves are known until the engine has
    /// left them, too.
    fn readjust(
        &mut self,
        index: ServiceIndex,
        service: Rc<Service>,
        new: Vec<Listener>,
        commit: &mut Commit,
    ) {
        commit.note_fresh(index, &new);
        self.remember(index, &service, &mut commit.reload);
        let replaced = self.replace(index, service, new).into_iter();
        commit.reload.replaced.extend(replaced.map(|listener| (index, listener)));
    }

    fn add(
        &mut self,
        index: ServiceIndex,
        service: Rc<Service>,
        new: Vec<Listener>,
        logs: &mut ServiceLogs,
        commit: &mut Commit,
    ) {
        let fresh: Vec<_> = new.iter().map(|listener| (index, listener.index)).collect();
        let id = service.id.0.clone();
        if self.open(index, service, new, logs) {
            commit.difference.added.push(id);
            commit.fresh.extend(fresh);
        }
    }

    /// Whether nothing but the place of its entry has changed.
    fn is_as_it_was(&self, index: ServiceIndex, new: &Rc<Service>) -> bool {
        self.services.find(index).is_some_and(|active| {
            let old = &active.service;
            Rc::ptr_eq(old, new) || old.is_same(new)
        })
    }

    /// Keeps a service as it was, if what the engine does about it changes.
    pub(in crate::monitor) fn remember(
        &self,
        index: ServiceIndex,
        new: &Service,
        reload: &mut Reload,
    ) {
        let Some(old) = self.services.find(index) else { return };
        if old.service.is_of_kind(new) {
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
    ) -> Vec<Listener> {
        tracing::info!("readjusting service {}", service.id);
        let Some(old) = self.services.remove(index) else { return Vec::new() };
        let before = registration(&old);
        let stays = |listener: &Listener| service.listens_on(&listener.key);
        let (mut listeners, left_over): (Vec<_>, _) = old.listeners.into_iter().partition(stays);
        listeners.extend(new);
        match self.household.activate(service, listeners) {
            Ok(active) => {
                self.registrar.register_anew(index, before, registration(&active));
                self.services.insert(index, active);
            }
            // No word of the files holds a zero byte.
            Err(cause) => {
                self.registrar.unregister(before);
                tracing::error!("{cause}");
            }
        }
        left_over
    }
}

//! `xinetctl status`: the daemon, its services, and the entries that it left out.

use std::collections::{BTreeSet, HashSet};

use crate::control::{self, Answer, Daemon, LeftOut, State};
use crate::ipc::Gate;
use crate::monitor::Monitor;
use crate::monitor::control::left_out::entry;
use crate::monitor::history::wall_time;
use crate::monitor::services::Active;
use crate::plan::{Action, Service, ServiceIndex, Wait};

impl Monitor {
    /// All of it.
    pub(super) fn status(&self) -> Vec<Answer> {
        let mut answers = vec![Answer::Daemon(self.daemon_status())];
        answers.extend(self.services.iter().map(|(index, active)| self.answer(index, active)));
        let in_force: HashSet<_> =
            self.services.iter().map(|(_, active)| &active.service.id.0).collect();
        answers.extend(self.left_out.iter().map(|entry| {
            Answer::LeftOut(LeftOut { goes_on: in_force.contains(&entry.id), ..entry.clone() })
        }));
        answers
    }

    /// These services, in the order in which they were opened.
    pub(super) fn answers_of(&self, services: &BTreeSet<ServiceIndex>) -> Vec<Answer> {
        let in_force =
            services.iter().filter_map(|index| Some((*index, self.services.find(*index)?)));
        in_force.map(|(index, active)| self.answer(index, active)).collect()
    }

    fn answer(&self, index: ServiceIndex, active: &Active) -> Answer {
        Answer::Service(self.service_status(index, active))
    }

    fn daemon_status(&self) -> Daemon {
        let history = &self.history;
        Daemon {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: i32::try_from(std::process::id()).unwrap_or_default(),
            started: wall_time(history.began),
            uptime: history.began.elapsed().as_secs(),
            engine: self.engine.as_ref().map(|engine| control::Engine {
                pid: engine.pid,
                started: wall_time(engine.started),
                uptime: engine.started.elapsed().as_secs(),
                landlock: engine.confinement.landlock,
                seccomp: engine.confinement.seccomp,
            }),
            engine_crashes: history.engine_crashes,
            configuration: self.options.config.to_string_lossy().into_owned(),
            generation: self.generation.0,
            loaded: wall_time(history.loaded),
            reload_failed: history.failure(),
            is_changing: !self.is_settled(),
            is_stopping: self.stop_at.is_some(),
            sessions: self.served(),
            limit: self.options.process_limit.most(),
        }
    }

    fn service_status(&self, index: ServiceIndex, active: &Active) -> control::Service {
        let service = &*active.service;
        let tally = self.tallies.of(index);
        let servers = self.running.of(index);
        let gate = self.gates.of(index);
        let reopens = self.closed.get(&index).filter(|_| gate == Gate::Open);
        let state = match gate {
            Gate::Closed if self.is_drained(index) => State::Drained,
            Gate::Closed => State::Draining,
            Gate::Held => State::Paused,
            Gate::Open if reopens.is_some() => State::Closed,
            Gate::Open if service.lends_its_socket() && servers > 0 => State::Suspended,
            Gate::Open => State::Active,
        };
        control::Service {
            id: service.id.0.clone(),
            name: service.name.clone(),
            declared: entry(service),
            state,
            until: reopens.map(|at| wall_time(*at)),
            is_turning: self.gates.is_turning(index),
            socket_type: service.socket_type.word().to_owned(),
            addresses: active.listeners.iter().map(ToString::to_string).collect(),
            gives: gives(service),
            wait: service.wait != Wait::No,
            sessions: u64::from(servers) + self.sessions.of(index) as u64,
            limit: service.policy.instances.most(),
            waiting: self.retries.iter().filter(|client| client.index == index).count() as u64,
            accepted: tally.accepted,
            refused: tally.refused(),
            last: tally.last.map(wall_time),
        }
    }
}

/// What clients of a service get.
fn gives(service: &Service) -> String {
    match &service.action {
        Action::Start { program, .. } => program.path.to_string_lossy().into_owned(),
        Action::Internal { .. } => "internal".to_owned(),
        Action::Redirect { target, .. } => format!("redirect {target}"),
        Action::Sensor { .. } => "sensor".to_owned(),
    }
}

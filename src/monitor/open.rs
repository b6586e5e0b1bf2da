//! From the files to open services, and the words for those that stay out.

use std::env;
use std::io;
use std::path::Path;
use std::rc::Rc;

use crate::cli::{Options, Stage};
use crate::config;
use crate::config::system::System;
use crate::config::{Loaded, Request, Verdict};
use crate::diag::Severity;
use crate::log::{ServiceLogs, Style};
use crate::monitor::Monitor;
use crate::monitor::bind;
use crate::monitor::bind::{Patience, Refused};
use crate::monitor::control::left_out;
use crate::monitor::rpc::registration;
use crate::monitor::services::{Active, Listener};
use crate::plan::LogTarget;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::sys::Errno;

/// Descriptors that are not for services: our own, and one for an order on its way (START-15).
const RESERVED: u64 = 17;

/// What `options` make of the files; relative paths begin at `base` (START-10).
pub(super) fn configuration(options: &Options, base: &Path) -> Loaded {
    let inetd = options.inetd_compat.then_some(Path::new(config::INETD_CONF)); // CLI-14
    config::load(&Request { path: &options.config, base, lookup: &System::new(), inetd })
}

impl Monitor {
    /// Reads the files and says what is wrong with them.
    pub(super) fn read_configuration(&self) -> Loaded {
        let loaded = configuration(&self.options, &self.start_directory);
        for note in &loaded.notes {
            let line = match self.daemon_log.style() {
                Style::Human { colour } => {
                    self.daemon_log.show(&note.human(&loaded.sources, colour));
                    continue;
                }
                Style::Short => note.short(&loaded.sources),
                Style::Legacy => note.log_line(&loaded.sources),
            };
            match note.severity {
                Severity::Error => tracing::error!("{line}"),
                Severity::Warning => tracing::warn!("{line}"),
                Severity::Note => tracing::debug!("{line}"),
            }
        }
        loaded
    }

    /// The first configuration: what is wrong with it as a whole ends the start.
    pub(super) fn open_all(&mut self) -> Result<(), Option<String>> {
        let loaded = self.read_configuration();
        match loaded.verdict {
            Verdict::Good | Verdict::FaultyDefaults { fatal: false } => {}
            Verdict::FaultyDefaults { fatal: true } => {
                tracing::error!(
                    critical = true,
                    "A fatal error was encountered while parsing the default section. \
                     xinetd will exit."
                );
                tracing::warn!("Exiting...");
                return Err(None);
            }
            Verdict::Unreadable(why) => {
                tracing::error!(critical = true, "{why}");
                return Err(None);
            }
        }
        self.left_out = left_out(&loaded);
        for faulty in &loaded.faulty {
            tracing::error!("service {} is left out: its entry has a mistake", faulty.id);
        }
        let delay = env::var("XINETD_BIND_DELAY").ok();
        let patience = Patience::from_environment(delay.as_deref());
        let (mut logs, unusable) = self.logs.next(&loaded.plan.common_log);
        let mut services = loaded.plan.services;
        self.passed.rename(&mut services);
        self.store.keep_wanted(&services, &mut self.manager);
        for service in services {
            if let (Some(log), LogTarget::Common) = (&unusable, &service.log.target) {
                self.say_not_started(&service, &io::Error::other(log.to_string()));
                continue;
            }
            match self.listen(&service, patience) {
                Ok(listeners) => {
                    let index = self.services.new_index();
                    self.open(index, Rc::new(service), listeners, &mut logs);
                }
                Err(refused) => {
                    let why = self.say_bind_failed(&service, &refused);
                    self.say_left_out(&service, why);
                }
            }
        }
        self.logs = logs;
        self.note_guards();
        self.passed.say_unused(&self.services);
        self.keep_sockets();
        if self.services.available() == 0 && !self.options.stay_alive {
            tracing::error!(critical = true, "no services. Exiting...");
            return Err(None);
        }
        Ok(())
    }

    /// All sockets of a service, or none: the error is that of the first that cannot be had.
    fn listen(&mut self, service: &Service, patience: Patience) -> Result<Vec<Listener>, Refused> {
        let mut listeners = Vec::with_capacity(service.sockets.len());
        for key in &service.sockets {
            let ready = self.passed.open(service, key).or_else(|| self.store.open(service, key));
            let open = ready.unwrap_or_else(|| bind::bind(key, service, patience));
            let open = open.map_err(|cause| Refused { key: key.clone(), cause })?;
            listeners.push(Listener::new(self.services.new_socket_index(), key.clone(), open));
        }
        Ok(listeners)
    }

    /// Puts a service in force, with its log; says why if that cannot be.
    pub(super) fn open(
        &mut self,
        index: ServiceIndex,
        service: Rc<Service>,
        listeners: Vec<Listener>,
        logs: &mut ServiceLogs,
    ) -> bool {
        let descriptors = self.services.descriptors() + logs.descriptors() + listeners.len();
        if !self.has_room_for(descriptors) {
            let why = "the limit on descriptors leaves no room (RLIMIT_NOFILE)";
            self.say_not_started(&service, &io::Error::other(why));
            return false;
        }
        let opened = logs.add(index, &service).map_err(|log| io::Error::other(log.to_string()));
        let name = Rc::clone(&service);
        let active = opened.and_then(|()| self.household.activate(service, listeners));
        match active {
            Ok(active) => {
                self.daemon_log.show(&self.describe(&active));
                self.registrar.register(index, registration(&active));
                self.services.insert(index, active);
                true
            }
            Err(cause) => {
                self.say_not_started(&name, &cause);
                false
            }
        }
    }

    /// Whether so many sockets and logs leave us what we need ourselves (START-15).
    pub(super) fn has_room_for(&self, descriptors: usize) -> bool {
        let others = self.retries.count() + self.passed.count() + self.store.count();
        let taken = descriptors + others;
        taken as u64 <= self.descriptors.saturating_sub(RESERVED)
    }

    /// `-d`: the service as it is going to run, step by step.
    fn describe(&self, active: &Active) -> String {
        if self.options.stage != Stage::Debug {
            return String::new();
        }
        let service = &active.service;
        let path = service.action.start().map(|(program, _)| program.path.display().to_string());
        let sockets: Vec<_> = active.listeners.iter().map(ToString::to_string).collect();
        let launch = active.launch.iter();
        let words: Vec<_> =
            launch.clone().flat_map(|one| one.image.argv()).map(|w| w.to_string_lossy()).collect();
        let steps: Vec<_> = launch.flat_map(|one| &one.steps).map(ToString::to_string).collect();
        format!(
            "Service = {}\n  id     = {}\n  listen = {}{}\n  server = {}\n  argv   = {}\n  steps  = {}\n",
            service.name,
            service.id,
            sockets.join(" "),
            service.rpc.as_ref().map_or_else(String::new, |rpc| format!("\n  rpc    = {rpc}")),
            path.unwrap_or_default(),
            words.join(" "),
            steps.join(", "),
        )
    }

    /// MSG-2's sentence, and what it is about; and the same for `xinetctl status`.
    pub(super) fn say_bind_failed(&self, service: &Service, refused: &Refused) -> String {
        let (id, socket, place) = (&service.id, &refused.key, &service.declared_at);
        let cause = &refused.cause;
        let errno = cause.raw_os_error().map(Errno::from_raw);
        let what = step_that_failed(errno);
        let cause = errno.map_or_else(|| cause.to_string(), super::words);
        let help = if errno == Some(Errno::EACCES) && socket.address.ip().is_some() {
            LOW_PORTS
        } else {
            ""
        };
        tracing::error!("{what} failed ({cause}). service = {id}; {socket}, {place}{help}");
        format!("{socket}: {what} failed ({cause})")
    }

    /// START-12: left out until the next reload.
    pub(super) fn say_not_started(&mut self, service: &Service, cause: &io::Error) {
        tracing::error!("service {} ({}): {cause}", service.id, service.declared_at);
        self.say_left_out(service, cause.to_string());
    }

    pub(super) fn say_left_out(&mut self, service: &Service, why: String) {
        tracing::error!("Service {} failed to start and is deactivated.", service.id);
        self.note_left_out(service, why);
    }
}

/// The way out where an address may not be used (ip(7)).
const LOW_PORTS: &str = "; ports below net.ipv4.ip_unprivileged_port_start (1024) need root or \
                         CAP_NET_BIND_SERVICE";

/// Which of socket(2) and bind(2) has such an error.
fn step_that_failed(errno: Option<Errno>) -> &'static str {
    match errno {
        Some(Errno::EAFNOSUPPORT | Errno::EMFILE | Errno::ENFILE) => "socket creation",
        _ => "bind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn msg_3_a_system_without_ipv6_fails_before_bind() {
        assert_eq!(step_that_failed(Some(Errno::EAFNOSUPPORT)), "socket creation");
        assert_eq!(step_that_failed(Some(Errno::EADDRINUSE)), "bind");
        assert_eq!(step_that_failed(None), "bind");
    }
}

//! RPC services are registered with rpcbind(8) as long as they are served (RPC-1 to RPC-4).
//!
//! The monitor connects, because rpcbind asks the kernel who has, and reads nothing: a child
//! without privilege talks (room `rpc`), one at a time, and its exit status is all that comes
//! back. Nobody waits for it but news about the services, and those only so long.

mod connection;
mod errands;
mod registrar;
mod why;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ipc::{Errand, Outcome, RPCBIND_ARGUMENT};
use crate::monitor::Monitor;
use crate::monitor::engine_process::steps;
use crate::plan::Service;
use crate::sys::process::End;
use crate::sys::recipe::{Environment, Image, Recipe};
use crate::sys::signal;
use crate::sys::variables::Variables;

use connection::connect;
use errands::undone;
use registrar::{Stake, Visit};
use why::Why;

pub(super) use errands::registration;
pub(super) use registrar::Registrar;

/// The ticket of these children, among mishaps. Servers' tickets count up from 1.
pub(super) const RPCBIND_TICKET: u64 = u64::MAX;

/// How long rpcbind may take when the daemon ends.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

impl Monitor {
    /// Sends the next child on its way, if it is time for one.
    pub(super) fn tell_rpcbind(&mut self) {
        if self.stop_at.is_some() {
            return;
        }
        let now = Instant::now();
        while let Some(visit) = self.registrar.next(now) {
            match self.start_child(&visit.errands) {
                Ok(pid) => self.registrar.begun(pid, visit, now),
                Err(cause) => self.failed(visit, &Why::Unasked(cause)),
            }
        }
    }

    fn start_child(&mut self, errands: &[Errand]) -> io::Result<i32> {
        let connection = connect()?;
        let words = errands.iter().map(|errand| OsString::from(errand.to_string()));
        let words: Vec<_> = words.collect();
        let argv = ["xinetd: rpcbind", RPCBIND_ARGUMENT].map(OsStr::new).into_iter();
        let argv = argv.chain(words.iter().map(OsString::as_os_str));
        let environment = Rc::new(Environment::new([])?);
        let image = Image::new(OsStr::new("/proc/self/exe"), argv, environment)?;
        let recipe = Recipe {
            // It has as little as the engine.
            steps: &steps(self.account),
            image: &image,
            variables: Variables::default(),
            log: None,
            socket: connection.as_fd(),
            ticket: RPCBIND_TICKET,
        };
        Ok(self.spawner.spawn(&recipe, self.mishaps.1.as_fd())?.pid)
    }

    /// Takes the end of a child of these, if it is one.
    pub(super) fn child_ended(&mut self, pid: i32, end: End) -> bool {
        let Some(visit) = self.registrar.ended(pid) else { return false };
        let outcome = match end {
            End::Status(status) => Outcome::of_status(status),
            End::Signal(_) => None,
        };
        match (outcome, self.subject(&visit)) {
            (Some(Outcome::Done), Some((service, which))) => {
                tracing::debug!("service {}: {which} is registered with rpcbind", service.id);
            }
            (Some(Outcome::Partly), Some((service, which))) => {
                tracing::error!("service {}: rpcbind refuses some of {which}", service.id);
            }
            (Some(Outcome::Done | Outcome::Partly), None) => {}
            (Some(outcome), _) => self.failed(visit, &Why::Found(outcome)),
            (None, _) => self.failed(visit, &Why::Ended(end)),
        }
        true
    }

    pub(super) fn end_overdue_child(&mut self, now: Instant) {
        if let Some((pid, visit)) = self.registrar.overdue(now) {
            let _ = signal::send(pid, signal::Name::SIGKILL);
            self.failed(visit, &Why::TooSlow);
        }
    }

    /// The service that a visit is about, and what was to be registered, in words.
    fn subject(&self, visit: &Visit) -> Option<(Rc<Service>, String)> {
        let (Stake::New(index) | Stake::Known(index)) = visit.stake else { return None };
        let service = Rc::clone(&self.services.find(index)?.service);
        let which = service.rpc.as_ref()?.to_string();
        Some((service, which))
    }

    fn failed(&mut self, visit: Visit, why: &Why) {
        let failed = self.registrar.failed_with(visit, why);
        for visit in &failed {
            self.say_failed(visit, why);
        }
        self.registrar.keep_owed(failed, why, Instant::now());
    }

    fn say_failed(&mut self, visit: &Visit, why: &Why) {
        if visit.stake == Stake::Gone {
            tracing::warn!("{why}: it still knows services that are gone");
        }
        let Some((service, which)) = self.subject(visit) else { return };
        let Service { id, declared_at, .. } = &*service;
        let failure =
            format!("No versions registered for RPC service {id} ({declared_at}): {which}");
        if let Stake::New(_) = visit.stake {
            tracing::error!("{failure}: {why}{}", why.way_out());
            self.say_left_out(&service, format!("no version of {which} is registered: {why}"));
        } else if why.is_for_all() {
            tracing::error!("{failure}: {why}; it goes on, and rpcbind is told again every minute");
        } else {
            tracing::error!("{failure}: {why}; it goes on, unknown to rpcbind");
        }
    }

    /// The end: nothing of ours stays registered, if rpcbind answers soon.
    pub(super) fn unregister_all(&mut self) {
        let (child, begun) = self.registrar.give_up();
        if let Some(pid) = child {
            let _ = signal::send(pid, signal::Name::SIGKILL);
        }
        let served = self.services.iter().flat_map(|(_, active)| registration(active));
        let all: Vec<_> = served.chain(begun).map(undone).collect();
        if all.is_empty() {
            return;
        }
        let told = self.start_child(&all).is_ok_and(|pid| self.wait_for_child(pid));
        if !told {
            tracing::warn!("rpcbind could not be told that the RPC services are gone");
        }
    }

    /// Waits for the last child, and whether it has told everything; what else ends meanwhile is
    /// logged as ever.
    fn wait_for_child(&mut self, wanted: i32) -> bool {
        let mut has_told = false;
        let has_ended = self.see_children_end(LAST_PATIENCE, |monitor, pid, end| {
            if pid == wanted {
                has_told = end == End::Status(Outcome::Done.status().into());
            } else {
                monitor.server_ended(pid, end);
            }
            pid == wanted
        });
        if !has_ended {
            let _ = signal::send(wanted, signal::Name::SIGKILL);
        }
        has_ended && has_told
    }
}

//! RPC services are registered with rpcbind(8) as long as they are served (RPC-1 to RPC-4).
//!
//! The monitor connects, because rpcbind asks the kernel who has, and reads nothing: a child
//! without privilege talks (room `rpc`), one at a time, and its exit status is all that comes
//! back. Nobody waits for it but news about the services, and those only so long.

mod connection;
mod errands;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ipc::{Errand, Outcome, RPCBIND_ARGUMENT};
use crate::monitor::Monitor;
use crate::monitor::engine_process::steps;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::sys::poll;
use crate::sys::process;
use crate::sys::process::End;
use crate::sys::recipe::{Environment, Image, Recipe};
use crate::sys::signal;
use crate::sys::variables::Variables;

use connection::{RPCBIND_SOCKET, connect};
use errands::undone;

pub(super) use errands::registration;

/// The ticket of these children, among mishaps. Servers' tickets count up from 1.
pub(super) const RPCBIND_TICKET: u64 = u64::MAX;

/// How long rpcbind may take for what one child has to tell it.
const PATIENCE: Duration = Duration::from_secs(5);

/// And when the daemon ends.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// What one child tells rpcbind.
#[derive(Debug)]
struct Visit {
    errands: Vec<Errand>,
    stake: Stake,
}

/// What depends on it.
#[derive(Clone, Copy, Debug)]
enum Stake {
    Nothing,
    /// A service that is left out unless a version of it is registered (RPC-2).
    New(ServiceIndex),
    /// One that was registered before, and goes on.
    Known(ServiceIndex),
}

/// A child under way.
#[derive(Debug)]
struct Child {
    pid: i32,
    visit: Visit,
    deadline: Instant,
}

/// What rpcbind has still to be told, and by whom.
#[derive(Debug, Default)]
pub(super) struct Registrar {
    waiting: VecDeque<Visit>,
    child: Option<Child>,
    /// Services that have turned out not to be known to rpcbind, and are to go.
    pub unregistered: Vec<ServiceIndex>,
}

impl Registrar {
    /// Whether rpcbind has been told everything.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.child.is_none()
    }

    /// When the child's time is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.child.as_ref().map(|child| child.deadline)
    }

    /// Registers a service that was not served before.
    pub(super) fn register(&mut self, index: ServiceIndex, registration: Vec<Errand>) {
        self.push(registration, Stake::New(index));
    }

    /// Registers a service whose registration was `before`. What has not changed is told once
    /// more: rpcbind may have been started anew since, without its memory.
    pub(super) fn register_anew(
        &mut self,
        index: ServiceIndex,
        before: Vec<Errand>,
        now: Vec<Errand>,
    ) {
        let old = if before == now { Vec::new() } else { before };
        let errands = old.into_iter().map(undone).chain(now).collect();
        self.push(errands, Stake::Known(index));
    }

    /// Takes a service away that is not served any more.
    pub(super) fn unregister(&mut self, registration: Vec<Errand>) {
        self.push(registration.into_iter().map(undone).collect(), Stake::Nothing);
    }

    fn push(&mut self, errands: Vec<Errand>, stake: Stake) {
        if !errands.is_empty() {
            self.waiting.push_back(Visit { errands, stake });
        }
    }
}

/// Why the versions of a service are not registered.
#[derive(Debug)]
enum Why {
    /// Nobody could be asked: there is no connection, or no process.
    Unasked(io::Error),
    TooSlow,
    /// What the child has found.
    Found(Outcome),
    /// It found nothing.
    Ended(End),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unasked(cause) if is_absence(cause) => {
                write!(f, "rpcbind is not running ({RPCBIND_SOCKET}: {cause}); start it and reload")
            }
            Self::Unasked(cause) => {
                write!(f, "rpcbind cannot be asked ({cause}); a reload tries again")
            }
            Self::TooSlow => f.write_str("rpcbind does not answer; a reload tries again"),
            Self::Found(Outcome::Unreachable) => {
                f.write_str("rpcbind is not running or has hung up; start it and reload")
            }
            Self::Found(Outcome::Nonsense) => {
                f.write_str("what listens in the place of rpcbind does not answer as rpcbind does")
            }
            Self::Found(Outcome::Done | Outcome::Partly | Outcome::Refused) => {
                f.write_str("rpcbind refuses: another user has registered them")
            }
            Self::Ended(end) => write!(f, "the process that talks to rpcbind ended ({end})"),
        }
    }
}

/// Whether nobody listens, rather than that we could not ask.
fn is_absence(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

impl Monitor {
    /// Sends the next child on its way, if none is.
    pub(super) fn tell_rpcbind(&mut self) {
        while self.stop_at.is_none() && self.registrar.child.is_none() {
            let Some(visit) = self.registrar.waiting.pop_front() else { return };
            match self.start_child(&visit.errands) {
                Ok(pid) => {
                    let deadline = Instant::now() + PATIENCE;
                    self.registrar.child = Some(Child { pid, visit, deadline });
                }
                Err(cause) => self.not_registered(&visit, &Why::Unasked(cause)),
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
        let Some(Child { visit, .. }) = self.registrar.child.take_if(|child| child.pid == pid)
        else {
            return false;
        };
        let outcome = match end {
            End::Status(status) => Outcome::of_status(status),
            End::Signal(_) => None,
        };
        match outcome {
            Some(Outcome::Done) => self.registered(&visit),
            Some(Outcome::Partly) => {
                if let Some((service, which)) = self.stake(&visit) {
                    let id = &service.id;
                    tracing::error!("service {id}: rpcbind refuses some of {which}");
                }
            }
            Some(outcome) => self.not_registered(&visit, &Why::Found(outcome)),
            None => self.not_registered(&visit, &Why::Ended(end)),
        }
        true
    }

    /// An rpcbind that does not answer the first will not answer the others either.
    pub(super) fn end_overdue_child(&mut self, now: Instant) {
        let overdue = self.registrar.child.take_if(|child| child.deadline <= now);
        let Some(Child { pid, visit, .. }) = overdue else { return };
        let _ = signal::send(pid, signal::Name::SIGKILL);
        self.not_registered(&visit, &Why::TooSlow);
        for visit in std::mem::take(&mut self.registrar.waiting) {
            self.not_registered(&visit, &Why::TooSlow);
        }
    }

    /// The service that a visit is about, and what was to be registered, in words.
    fn stake(&self, visit: &Visit) -> Option<(Rc<Service>, String)> {
        let (Stake::New(index) | Stake::Known(index)) = visit.stake else { return None };
        let service = Rc::clone(&self.services.find(index)?.service);
        let which = service.rpc.as_ref()?.to_string();
        Some((service, which))
    }

    fn registered(&self, visit: &Visit) {
        if let Some((service, which)) = self.stake(visit) {
            tracing::debug!("service {}: {which} is registered with rpcbind", service.id);
        }
    }

    fn not_registered(&mut self, visit: &Visit, why: &Why) {
        let Some((service, which)) = self.stake(visit) else {
            let errands: Vec<_> = visit.errands.iter().map(ToString::to_string).collect();
            tracing::warn!("{why}: {} was not said", errands.join(" "));
            return;
        };
        let Service { id, declared_at, .. } = &*service;
        tracing::error!(
            "No versions registered for RPC service {id} ({declared_at}): {which}: {why}"
        );
        if let Stake::New(index) = visit.stake {
            tracing::error!("Service {id} failed to start and is deactivated.");
            self.registrar.unregistered.push(index);
        } else {
            tracing::error!("service {id} goes on, but rpcbind does not know it as it should");
        }
    }

    /// The end: nothing of ours stays registered, if rpcbind answers soon.
    pub(super) fn unregister_all(&mut self) {
        let under_way = self.registrar.child.take().map(|child| {
            let _ = signal::send(child.pid, signal::Name::SIGKILL);
            child.visit
        });
        let begun = under_way.into_iter().chain(std::mem::take(&mut self.registrar.waiting));
        let begun = begun.flat_map(|visit| visit.errands);
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

    /// Waits for the last child; what else ends meanwhile is logged as ever.
    fn wait_for_child(&mut self, wanted: i32) -> bool {
        let deadline = Instant::now() + LAST_PATIENCE;
        loop {
            while let Some((pid, end)) = process::reap() {
                if pid == wanted {
                    return end == End::Status(Outcome::Done.status().into());
                }
                self.server_ended(pid, end);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let _ = signal::send(wanted, signal::Name::SIGKILL);
                return false;
            }
            poll::wait(self.signals.as_fd(), None, Some(left));
            while self.signals.next().is_some() {}
        }
    }
}

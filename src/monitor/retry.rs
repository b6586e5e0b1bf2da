//! Clients whose server could not be forked: the connection is kept, and after a while the engine
//! gets it back to decide anew (RETRY-1).

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ipc::Refusal;
use crate::ipc::State;
use crate::ipc::Ticket;
use crate::ipc::ToEngine;
use crate::monitor::Monitor;
use crate::monitor::trouble::Trouble;
use crate::plan::Denial;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::Source;
use crate::sys::Errno;

/// How long a client waits before it comes before the engine again.
const PAUSE: Duration = Duration::from_secs(5);

/// The failure after which it is not tried again.
const LAST_FAILURE: u8 = 5;

/// Clients that may wait at once, where descriptors are plentiful.
const MOST: usize = 1024;

/// A client that waits. Its ticket is the engine's: there it counts as if its server ran.
#[derive(Debug)]
pub(super) struct Waiting {
    pub ticket: Ticket,
    pub index: ServiceIndex,
    pub service: Rc<Service>,
    pub peer: Source,
    pub connection: OwnedFd,
    /// How often forking its server has failed, 1 to 4.
    pub failures: u8,
}

/// Everybody who waits, and until when; first come, first due.
#[derive(Debug)]
pub(super) struct Retries {
    queue: VecDeque<(Instant, Waiting)>,
    most: usize,
}

impl Retries {
    /// For a process with so many descriptors: they take an eighth of them at most.
    #[must_use]
    pub(super) fn new(descriptors: u64) -> Self {
        let share = usize::try_from(descriptors / 8).unwrap_or(usize::MAX);
        Self { queue: VecDeque::new(), most: MOST.min(share) }
    }

    #[must_use]
    pub(super) fn count(&self) -> usize {
        self.queue.len()
    }

    /// All of them, the first to be tried first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.queue.iter().map(|(_, waiting)| waiting)
    }

    /// When the first one is due.
    #[must_use]
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    fn take_due(&mut self, now: Instant) -> Option<Waiting> {
        self.next().filter(|due| *due <= now)?;
        self.queue.pop_front().map(|(_, waiting)| waiting)
    }

    fn take_of(&mut self, index: ServiceIndex) -> Vec<Waiting> {
        let (gone, left) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|(_, waiting)| waiting.index == index);
        self.queue = left;
        gone.into_iter().map(|(_, waiting)| waiting).collect()
    }
}

impl Monitor {
    /// What becomes of a client whose server could not be forked, once more or for the first
    /// time.
    pub(super) fn fork_failed(&mut self, waiting: Waiting, errno: Errno) {
        let Waiting { service, failures, .. } = &waiting;
        let text = format!("{}: fork failed: {}", service.id, super::words(errno));
        self.complain(Trouble::Fork, text);
        // A program that could not be executed in time may run all the same.
        let was_forked = errno == Errno::ETIMEDOUT;
        if service.retry && *failures >= LAST_FAILURE {
            let text = format!("service {}: too many consecutive fork failures", service.id);
            self.complain(Trouble::GivenUp, text);
        } else if service.retry && !was_forked && self.retries.count() < self.retries.most {
            self.retries.queue.push_back((Instant::now() + PAUSE, waiting));
            return;
        }
        self.give_up(waiting);
    }

    fn give_up(&mut self, waiting: Waiting) {
        let Waiting { ticket, index, service, peer, .. } = waiting;
        self.tell_engine(&ToEngine::NotStarted { ticket });
        let service = self.in_force(index, &service);
        self.log_denial(&service, Refusal { service: index, why: Denial::Fork, peer });
    }

    /// When something has to be done about those who wait; while no engine serves, nothing.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retries.next().filter(|_| self.has_serving_engine())
    }

    fn has_serving_engine(&self) -> bool {
        let state = self.engine.as_ref().filter(|engine| !engine.ended).map(|engine| engine.state);
        matches!(state, Some(State::Serving | State::Reloading))
    }

    /// Gives the engine back who has waited long enough.
    pub(super) fn retry_due(&mut self, now: Instant) {
        while self.has_serving_engine() {
            let Some(waiting) = self.retries.take_due(now) else { return };
            let Waiting { ticket, index, failures, connection, .. } = waiting;
            self.tell_engine_with(&ToEngine::Again { ticket, failures }, Some(connection));
            self.ask_who_is_on_the_way(index);
        }
    }

    /// Nobody waits any longer for a service that is gone, or has another address.
    pub(super) fn give_up_retries_of(&mut self, index: ServiceIndex) {
        for waiting in self.retries.take_of(index) {
            self.give_up(waiting);
        }
    }

    /// The daemon ends.
    pub(super) fn give_up_retries(&mut self) {
        while let Some((_, waiting)) = self.retries.queue.pop_front() {
            self.give_up(waiting);
        }
    }
}

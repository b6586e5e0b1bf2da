//! SIGTERM where servers do not outlive the daemon: whoever is served may finish, for a while.

use std::time::{Duration, Instant};

use crate::diag::count;
use crate::ipc::ToEngine;
use crate::monitor::Monitor;
use crate::monitor::end::Exit;
use crate::monitor::running::GRACE;
use crate::sys::datagram;
use crate::sys::process;
use crate::sys::socket;

/// How long sessions have in a container, unless `-drain` says otherwise. With [`GRACE`] and
/// the second for the last exits it fits into the ten seconds that `docker stop` gives.
const IN_A_CONTAINER: Duration = Duration::from_secs(4);

/// How far the wait for sessions has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// They may end by themselves until then.
    Patient(Instant),
    /// Everybody has been told to end.
    LastMinute,
}

impl Monitor {
    /// How long sessions have to end by themselves after SIGTERM; `None`: servers outlive us.
    pub(super) fn patience(&self) -> Option<Duration> {
        let asked = self.options.drain.map(|seconds| Duration::from_secs(seconds.into()));
        asked.or_else(|| process::is_first().then_some(IN_A_CONTAINER))
    }

    /// Whether servers end with the daemon.
    pub(super) fn takes_servers_along(&self) -> bool {
        process::is_first() || self.drain.is_some()
    }

    /// Nobody is let in any more; whoever is served has so much time.
    pub(super) fn begin_drain(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        self.drain = Some(Drain::Patient(until));
        self.stop_at = Some((until + GRACE, Exit::Done));
        self.refuse_newcomers();
        self.give_up_retries();
        self.engine_due = None;
        match &mut self.engine {
            Some(engine) => engine.dismiss(&ToEngine::Drain),
            None => self.drained(),
        }
        let served = self.served();
        if served > 0 {
            let (sessions, seconds) = (count(served, "session"), patience.as_secs());
            tracing::info!("Stopping: {sessions} may go on for {seconds} seconds");
        }
    }

    /// When everybody will be told to end.
    pub(super) const fn patient_until(&self) -> Option<Instant> {
        match self.drain {
            Some(Drain::Patient(until)) => Some(until),
            Some(Drain::LastMinute) | None => None,
        }
    }

    pub(super) fn lose_patience(&mut self, now: Instant) {
        match self.drain {
            Some(Drain::Patient(until)) if until <= now => self.begin_last_minute(now),
            // Somebody may have been handed over since.
            Some(Drain::LastMinute) => self.running.end_all(now),
            Some(Drain::Patient(_)) | None => {}
        }
    }

    /// Tells everybody to end. Nothing happens if no session is waited for.
    pub(super) fn begin_last_minute(&mut self, now: Instant) {
        if self.patient_until().is_some() {
            self.drain = Some(Drain::LastMinute);
            self.stop_at = Some((now + GRACE, Exit::Done));
            self.tell_engine(&ToEngine::Stop);
            self.running.end_all(now);
        }
    }

    /// Has connections and datagrams refused, except where somebody else takes them: a server,
    /// the service manager, which may keep the socket for the next daemon, or the server of an order that is still on its way here.
    pub(super) fn refuse_newcomers(&self) {
        for (_, active) in self.services.iter() {
            let is_free = self.is_drained || !active.service.lends_its_socket();
            for listener in active.listeners.iter().filter(|_| is_free) {
                let is_managed = listener.stored.is_some() || self.passed.has(&listener.key);
                if is_managed || self.running.has(listener.index) {
                    continue;
                }
                let _best_effort = match active.service.socket_type.has_connections() {
                    true => socket::stop_listening(&listener.fd),
                    false => datagram::refuse_all(&listener.fd),
                };
            }
        }
    }
}

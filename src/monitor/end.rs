//! Signals, deaths and the end: what each one does, in one place (SIG-1 to SIG-6).

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cli::Stage;
use crate::ipc::Kind;
use crate::ipc::State;
use crate::ipc::ToEngine;
use crate::ipc::Violation;
use crate::log;
use crate::monitor::Monitor;
use crate::monitor::engine_process::{ENGINE_TICKET, EngineProcess, steps};
use crate::monitor::rpc::RPCBIND_TICKET;
use crate::monitor::trouble::Trouble;
use crate::plan::Generation;
use crate::sys::process;
use crate::sys::process::End;
use crate::sys::recipe::{Mishap, Step};
use crate::sys::sandbox::Confinement;
use crate::sys::signal;
use crate::sys::signal::Name;

/// How long the engine has to hand over what it has accepted when the daemon stops.
const DRAIN: Duration = Duration::from_secs(1);

/// How long there is no engine when one could not be started.
const ENGINE_PAUSE: Duration = Duration::from_secs(1);

/// How long whoever reads a log has to take the last lines.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// SIGTERM, SIGQUIT.
    Done,
    /// SIGINT in debug mode.
    Interrupted,
    /// START-13, RELOAD-11.
    NoServices,
    /// Engines keep dying; the service manager takes over.
    EngineLost,
    /// The engine broke the protocol.
    Violation,
}

impl Exit {
    /// EXIT-1.
    pub(super) fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Interrupted | Self::NoServices | Self::EngineLost => ExitCode::FAILURE,
            // A status of its own: a service manager must not start this again by itself.
            Self::Violation => ExitCode::from(crate::ipc::VIOLATION_STATUS),
        }
    }
}

/// When engines died, as far as it still matters.
#[derive(Debug, Default)]
pub(super) struct Crashes(VecDeque<Instant>);

impl Crashes {
    /// More than this many within [`Self::WINDOW`] are too many.
    const MOST: usize = 5;
    const WINDOW: Duration = Duration::from_secs(60);

    /// Takes note of one more; says whether a new engine may be started.
    fn one_more(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.saturating_duration_since(*at) < Self::WINDOW);
        self.0.push_back(now);
        self.0.len() <= Self::MOST
    }
}

impl Monitor {
    #[expect(clippy::wildcard_enum_match_arm, reason = "SIG-4: all others do nothing")]
    pub(super) fn on_signal(&mut self, signal: Name) -> Result<(), Exit> {
        match signal {
            Name::SIGCHLD => return self.reap(),
            Name::SIGHUP | Name::SIGUSR2 => self.reload(),
            Name::SIGTERM => self.begin_stop(),
            Name::SIGQUIT => return Err(Exit::Done),
            Name::SIGINT if self.options.stage == Stage::Debug => return Err(Exit::Interrupted),
            Name::SIGINT if self.takes_servers_along() => self.begin_stop(),
            Name::SIGABRT => self.check_consistency(true),
            Name::SIGUSR1 => self.dump_state(),
            _ => {}
        }
        Ok(())
    }

    /// Collects every child that has ended. Failed starts come first: they explain an exit.
    pub(super) fn reap(&mut self) -> Result<(), Exit> {
        while let Some((pid, end)) = process::reap() {
            self.explain_mishaps();
            if self.engine.as_ref().is_some_and(|engine| engine.pid == pid) {
                self.replace_engine(end)?;
            } else if !self.child_ended(pid, end) {
                self.server_ended(pid, end);
            }
        }
        Ok(())
    }

    pub(super) fn explain_mishaps(&mut self) {
        while let Some(mishap) = process::next_mishap(self.mishaps.0.as_fd()) {
            self.explain(mishap);
        }
    }

    pub(super) fn server_ended(&mut self, pid: i32, end: End) {
        let Some(server) = self.running.remove(pid) else {
            // Process 1 of a container gets other people's children, and many of them.
            if !process::is_first() {
                tracing::trace!("unknown child process {pid} died");
            }
            return;
        };
        // First the engine: who reads the line and comes back finds the place free.
        self.tell_engine(&ToEngine::Exited { ticket: server.ticket });
        let service = self.in_force(server.index, &server.service);
        let seconds = server.started.elapsed().as_secs();
        let line = log::exit(&service.id, service.log.on_success, pid, end, seconds);
        if let Some(line) = line {
            self.logs.line(server.index, &service, &line);
        }
        match self.stop_at {
            Some((_, Exit::NoServices)) => self.leave_when_quiet(),
            Some(_) => {
                if self.drain.is_some() && server.lent.is_some() {
                    self.refuse_newcomers();
                }
                self.leave_when_drained();
            }
            None => {}
        }
    }

    /// A start that went wrong after the fork, in words.
    fn explain(&mut self, mishap: Mishap) {
        let why = super::words(mishap.errno);
        let position = usize::try_from(mishap.step).unwrap_or(usize::MAX);
        if mishap.ticket == ENGINE_TICKET {
            let steps = steps(self.account);
            let step = steps.get(position).map_or_else(|| "?".to_owned(), Step::to_string);
            tracing::error!(critical = true, "cannot start the engine (step {step}): {why}");
            return;
        }
        if mishap.ticket == RPCBIND_TICKET {
            tracing::error!("cannot start the process that talks to rpcbind: {why}");
            return;
        }
        let Some(server) = self.running.by_ticket(mishap.ticket) else { return };
        let (index, id) = (server.index, &server.service.id);
        let Some((program, who)) = server.service.action.start() else { return };
        let path = program.path.display();
        let steps = self.household.steps(&server.service, who);
        let text = match steps.get(position) {
            Some(Step::Exec) | None => format!("service {id}: execv( {path} ) failed: {why}"),
            Some(step) if !step.is_vital() => {
                // For every connection the same: once is enough.
                if self.not_in_force.insert((index, mishap.step)) {
                    tracing::warn!("service {id}: {step} is NOT in force: {why}");
                }
                return;
            }
            Some(step) => {
                let (step_number, all) = (position + 1, steps.len());
                format!(
                    "service {id}: cannot start {path} (step {step_number} of {all}, {step}): {why}"
                )
            }
        };
        self.complain(Trouble::Step(index, mishap.step), text);
    }

    /// Nothing more comes from this engine; its death is, or will be, reported by SIGCHLD.
    pub(super) fn engine_ended(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.ended = true;
            // Closed its end and lives on? It is of no use to anybody.
            if !engine.is_dead {
                let _ = signal::send(engine.pid, Name::SIGKILL);
            }
        }
    }

    /// Takes everything that a dead engine has sent. Its end of the channel may have outlived it,
    /// in hands that it was passed to: from there nothing more comes.
    pub(super) fn hear_last_words(&mut self) -> Result<(), Exit> {
        if let Some(engine) = &mut self.engine {
            engine.is_dead = true;
            engine.port.hang_up();
        }
        while self.engine.as_ref().is_some_and(|engine| !engine.ended) {
            self.hear_engine()?;
        }
        Ok(())
    }

    /// The engine is dead: what it sent is carried out, then a new one takes over, while
    /// servers run on and clients wait in the backlog.
    fn replace_engine(&mut self, end: End) -> Result<(), Exit> {
        self.hear_last_words()?;
        self.history.engine_crashes += 1;
        self.sessions_lost(Some(end));
        self.engine = None;
        self.forget_question();
        if end.is_own_fault() {
            self.distrust_sockets();
        }
        if self.drain.is_some() {
            // Its clients are lost, those of servers are not.
            self.drained();
            return Ok(());
        }
        if let Some((_, exit)) = self.stop_at {
            return Err(exit);
        }
        if end == End::Status(crate::ipc::VIOLATION_STATUS.into()) {
            tracing::error!(critical = true, "the engine refused our messages; stopping");
            return Err(Exit::Violation);
        }
        if !self.crashes.one_more(Instant::now()) {
            tracing::error!(
                critical = true,
                "the engine died ({end}), for the sixth time in a minute; stopping"
            );
            return Err(Exit::EngineLost);
        }
        tracing::error!("the engine died ({end}); starting a new one");
        self.engine_due = Some(Instant::now());
        Ok(())
    }

    /// A new engine for one that died. While there is no process or descriptor for it, clients
    /// wait in the backlog.
    pub(super) fn start_engine_again(&mut self, now: Instant) {
        if self.engine_due.is_none_or(|due| due > now) {
            return;
        }
        self.restore_sockets();
        self.engine_due = self.start_engine().err().map(|cause| {
            self.complain(Trouble::Engine, format!("cannot start the engine: {cause}"));
            now + ENGINE_PAUSE
        });
    }

    /// Starts an engine and sends it everything that is in force.
    ///
    /// # Errors
    /// When there are no descriptors, processes or memory left.
    pub(super) fn start_engine(&mut self) -> io::Result<()> {
        self.user_text = None;
        // A new engine opens every door.
        self.closed.clear();
        self.gates.begin_anew();
        let started = EngineProcess::start(self.account, &mut self.spawner, self.mishaps.1.as_fd());
        let mut engine = started?;
        let all = self.services.iter().flat_map(|(index, active)| {
            active.listeners.iter().map(move |listener| (index, listener.index))
        });
        let options = &self.options;
        engine.offer(self.generation, &self.services, all, self.last_ticket, options)?;
        engine.hand_down(&self.running, &self.retries, &self.locked_out, &self.gates);
        self.engine = Some(engine);
        Ok(())
    }

    pub(super) fn greeted(
        &mut self,
        build: u64,
        confinement: Confinement,
    ) -> Result<(), Violation> {
        if build != crate::ipc::BUILD {
            return Err(Violation::Contradiction(Kind::Hello, "another build"));
        }
        if let Some(engine) = self.engine.as_mut().filter(|engine| engine.state == State::Greeting)
        {
            engine.state = State::Opening;
            engine.confinement = confinement;
        }
        Ok(())
    }

    /// The engine serves what it was offered.
    pub(super) fn adopted(&mut self, generation: Generation) -> Result<(), Violation> {
        if generation != self.generation {
            return Err(Violation::Contradiction(Kind::Adopted, "not the last generation"));
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        if engine.state != State::Stopping {
            engine.state = State::Serving;
        }
        match self.reload.take() {
            Some(reload) => self.finish_reload(reload),
            None if self.news.is_none() => tracing::debug!("the new engine serves"),
            None => {}
        }
        Ok(())
    }

    /// SIGTERM: nothing new is accepted, what is accepted still gets its server (SIG-2).
    fn begin_stop(&mut self) {
        if self.stop_at.is_some() {
            return self.begin_last_minute(Instant::now());
        }
        self.manager.stopping();
        if let Some(patience) = self.patience() {
            return self.begin_drain(patience);
        }
        let drain = if self.engine.is_some() { DRAIN } else { Duration::ZERO };
        self.stop_at = Some((Instant::now() + drain, Exit::Done));
        let word = self.last_word();
        if let Some(engine) = &mut self.engine {
            engine.dismiss(&word);
        }
        let now = Instant::now();
        let rpc = self.services.iter().filter(|(_, active)| active.service.rpc.is_some());
        for (index, _) in rpc {
            self.running.end(index, now);
        }
    }

    /// The engine has handed everything over. A server of an RPC service may use the time that
    /// is left (SIG-2).
    pub(super) fn drained(&mut self) {
        self.is_drained = true;
        if self.drain.is_some() {
            self.refuse_newcomers();
        }
        self.leave_when_drained();
    }

    pub(super) fn leave_when_drained(&mut self) {
        let is_quiet = match self.drain {
            Some(_) => self.served() == 0,
            None => self.running.next_kill().is_none(),
        };
        if self.is_drained && is_quiet {
            self.leave(Exit::Done);
        }
    }

    /// Without services: as soon as the servers that were told to end have ended, or have had
    /// all the time there is.
    pub(super) fn leave_when_quiet(&mut self) {
        let at = self.running.next_kill().map_or_else(Instant::now, |at| at + DRAIN);
        self.stop_at = Some((at, Exit::NoServices));
    }

    /// Ends the loop at its next turn.
    fn leave(&mut self, exit: Exit) {
        self.stop_at = Some((Instant::now(), exit));
    }

    /// Closes what is open; servers keep running, where they can. When this returns the ports are
    /// free.
    pub(super) fn finish(mut self, exit: Exit) -> ExitCode {
        if self.leaves_engine(exit) {
            self.leave_engine();
        } else {
            self.sessions_lost(None);
        }
        self.end_engine();
        self.give_up_retries();
        if self.takes_servers_along() {
            self.take_servers_along();
        } else if self.stop_at.is_some_and(|(_, exit)| exit == Exit::Done) {
            self.running.kill_ending();
        }
        self.unregister_all();
        self.passed.listen(None);
        if self.store.are_kept() && matches!(exit, Exit::Done | Exit::EngineLost) {
            self.leave_files();
        }
        if exit == Exit::Violation {
            self.distrust_sockets();
        }
        drop(self.pid_file.take());
        if exit == Exit::NoServices {
            self.control.reload_failed("no service is left; the daemon has ended (see -stayalive)");
            tracing::error!(critical = true, "No available services. Exiting");
        } else {
            tracing::warn!("Exiting...");
        }
        self.tell_manager_the_rest(Instant::now() + FAREWELL);
        self.logs.finish(Instant::now() + FAREWELL);
        exit.code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_crashes_in_a_minute_are_forgiven_and_the_sixth_is_not() {
        let mut crashes = Crashes::default();
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        assert!((0..5).all(|n| crashes.one_more(second(n))));
        assert!(!crashes.one_more(second(59)));
        assert!(crashes.one_more(second(64)), "those of the first seconds are forgotten");
    }
}

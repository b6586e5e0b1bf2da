//! The privileged process: one thread, one loop, one switch.
//!
//! It reads the configuration, binds, starts and reaps servers, writes the logs. It reads no
//! byte that a client sent, and does for the engine only what the table of the seam permits.

mod bind;
mod check;
mod children;
mod consistency;
mod control;
mod drain;
mod end;
mod ends;
mod engine_process;
mod gates;
mod history;
mod inherited;
mod intercept;
mod leave;
mod lend;
mod listing;
mod news;
mod notify;
mod open;
mod orders;
mod passed;
mod pid_file;
mod recipe;
mod reload;
mod reports;
mod restore;
mod retry;
mod rpc;
mod running;
#[cfg(test)]
mod seam;
mod services;
mod sessions;
mod spawn;
mod start;
mod state;
mod store;
mod summary;
mod tally;
mod trouble;
mod watchdog;

pub use check::check;
pub use start::run;

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::Options;
use crate::control::LeftOut;
use crate::ipc::Incoming;
use crate::ipc::Ticket;
use crate::ipc::ToEngine;
use crate::ipc::Violation;
use crate::log::DaemonLog;
use crate::log::ServiceLogs;
use crate::plan::DenyList;
use crate::plan::Generation;
use crate::plan::ServiceIndex;
use crate::sys::Errno;
use crate::sys::fd;
use crate::sys::poll;
use crate::sys::signal::Signals;
use crate::sys::spawn::Spawner;

use consistency::Question;
use control::Control;
use drain::Drain;
use end::{Crashes, Exit};
use engine_process::{Account, EngineProcess};
use gates::Gates;
use history::History;
use news::News;
use notify::Manager;
use passed::Passed;
use pid_file::PidFile;
use reload::Reload;
use retry::Retries;
use rpc::Registrar;
use running::Running;
use services::{Household, Services};
use sessions::Sessions;
use store::Store;
use summary::Summary;
use tally::Tallies;
use trouble::Troubles;
use watchdog::Watchdog;

/// How many messages of the engine one turn of the loop takes, so that exits and signals get
/// their turn too.
const MESSAGES_A_TURN: usize = 64;

/// How long the engine is not heard when descriptors have run out.
const DEAFNESS: Duration = Duration::from_millis(100);

/// Messages that an engine may be owed beside one for each server. A new one learns in fewer what
/// is in force; what is ordered of one that hangs has no end.
const MOST_OWED: usize = 65_536;

/// Everything the privileged process knows.
#[derive(Debug)]
pub struct Monitor {
    options: Options,
    daemon_log: Arc<DaemonLog>,
    household: Household,
    account: Option<Account>,
    /// Where relative paths start (START-10).
    start_directory: PathBuf,
    /// RLIMIT_NOFILE (START-15).
    descriptors: u64,
    signals: Signals,
    spawner: Spawner,
    /// Reading and writing end of the pipe for failed starts.
    mishaps: (OwnedFd, OwnedFd),
    services: Services,
    logs: ServiceLogs,
    running: Running,
    sessions: Sessions,
    /// Clients whose servers could not be forked.
    retries: Retries,
    /// Who came to a SENSOR, as the engine has it too.
    locked_out: DenyList,
    /// Services that `cps` has closed, as far as the engine has said so, and until when.
    closed: HashMap<ServiceIndex, Instant>,
    /// Services that an operator has paused, or drains.
    gates: Gates,
    tallies: Tallies,
    /// Entries that are not in force, since the files were last taken over.
    left_out: Vec<LeftOut>,
    history: History,
    /// What has come of an answer about a client's user, and for which service.
    user_text: Option<(ServiceIndex, Vec<u8>)>,
    /// `None` for the moment between a crash and the next start.
    engine: Option<EngineProcess>,
    crashes: Crashes,
    generation: Generation,
    last_ticket: Ticket,
    /// How many tickets the engine has been told to forget.
    closed_tickets: u64,
    /// A reload that the engine has not adopted yet.
    reload: Option<Reload>,
    /// SIGHUP came while one was under way.
    reload_again: bool,
    /// What is to be said when a start or a reload is complete.
    news: Option<News>,
    /// What rpcbind has still to be told.
    registrar: Registrar,
    /// When to go, drained or not, and with which words.
    stop_at: Option<(Instant, Exit)>,
    /// The engine has handed over all that it had accepted.
    is_drained: bool,
    /// Sessions that do not outlive the daemon are being waited for.
    drain: Option<Drain>,
    /// Limits that a service's servers cannot have, and that this has been said.
    not_in_force: HashSet<(ServiceIndex, u32)>,
    /// Rules of hosts.allow (else hosts.deny) that this version cannot follow, by their line,
    /// and that this has been said.
    rules_told: HashSet<(bool, u32)>,
    /// What is said once a minute only.
    troubles: Troubles,
    /// Descriptors have run out: until then the engine is not heard, so that no connection is
    /// lost on its way here.
    deaf_until: Option<Instant>,
    /// When to try again to start an engine.
    engine_due: Option<Instant>,
    /// The engine has been asked whether its tables are sound.
    question: Option<Question>,
    /// For which minute of the day the filters of INTERCEPT are; `None`: for any.
    guarded_at: Option<u16>,
    /// Set by `-cc`.
    next_check: Option<Instant>,
    pid_file: Option<PidFile>,
    /// Sockets of the service manager's.
    passed: Passed,
    /// For the operator.
    control: Control,
    manager: Manager,
    /// Sockets of ours that the service manager keeps.
    store: Store,
    /// The service manager's.
    watchdog: Option<Watchdog>,
    summary: Summary,
}

/// What a monitor is given before it knows any service.
struct Given {
    options: Options,
    daemon_log: Arc<DaemonLog>,
    household: Household,
    account: Option<Account>,
    start_directory: PathBuf,
    descriptors: u64,
    signals: Signals,
    spawner: Spawner,
    mishaps: (OwnedFd, OwnedFd),
    logs: ServiceLogs,
    pid_file: Option<PidFile>,
    passed: Passed,
    store: Store,
    manager: Manager,
}

impl Monitor {
    fn new(given: Given) -> Self {
        Self {
            logs: given.logs,
            options: given.options,
            daemon_log: given.daemon_log,
            household: given.household,
            account: given.account,
            start_directory: given.start_directory,
            descriptors: given.descriptors,
            signals: given.signals,
            spawner: given.spawner,
            mishaps: given.mishaps,
            services: Services::default(),
            running: Running::default(),
            sessions: Sessions::default(),
            retries: Retries::new(given.descriptors),
            locked_out: DenyList::default(),
            closed: HashMap::new(),
            gates: Gates::default(),
            tallies: Tallies::default(),
            left_out: Vec::new(),
            history: History::new(),
            user_text: None,
            engine: None,
            crashes: Crashes::default(),
            generation: Generation(1),
            last_ticket: Ticket(0),
            closed_tickets: 0,
            reload: None,
            reload_again: false,
            news: Some(News::Started),
            registrar: Registrar::default(),
            stop_at: None,
            is_drained: false,
            drain: None,
            not_in_force: HashSet::new(),
            rules_told: HashSet::new(),
            troubles: Troubles::default(),
            deaf_until: None,
            engine_due: None,
            question: None,
            guarded_at: None,
            next_check: None,
            pid_file: given.pid_file,
            passed: given.passed,
            control: Control::default(),
            manager: given.manager,
            store: given.store,
            watchdog: Watchdog::new(),
            summary: Summary::default(),
        }
    }

    /// Serves until something ends it.
    fn serve(&mut self) -> Exit {
        loop {
            if let Err(exit) = self.turn() {
                self.logs.flush();
                return exit;
            }
        }
    }

    /// One turn: wait, then signals, orders, deadlines, and what has to be told and written.
    fn turn(&mut self) -> Result<(), Exit> {
        let timeout = self.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let has_visitors = self.wait(timeout);
        while let Some(signal) = self.signals.next() {
            self.on_signal(signal)?;
        }
        if self.deaf_until.is_none() {
            self.hear_engine()?;
        }
        self.meet_deadlines()?;
        self.tell_rpcbind();
        self.settle();
        self.sum_up();
        self.tell_drained();
        self.tell_manager();
        if has_visitors || self.control.deadline().is_some_and(|at| at <= Instant::now()) {
            self.serve_control();
        }
        if let Some(engine) = &mut self.engine {
            engine.pump(&self.services);
        }
        self.logs.flush();
        self.daemon_log.flush();
        Ok(())
    }

    /// Waits for a signal, for the engine, for room in the channel, for an operator, or for the next
    /// deadline. Whether there is something for the control socket.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        let engine = self.engine.as_ref().filter(|engine| !engine.ended);
        let is_deaf = self.deaf_until.is_some();
        let engine = engine.and_then(|engine| Some((engine.port.as_fd(), engine.wants(is_deaf)?)));
        let rooms = self.logs.rooms().chain(self.daemon_log.room()).chain(self.manager.room());
        let rooms: Vec<_> = rooms.collect();
        let rooms = rooms.iter().map(AsFd::as_fd);
        let visitors = self.control.interests();
        poll::wait(self.signals.as_fd(), engine, visitors, rooms, timeout)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let stop_at = self.stop_at.map(|(at, _)| at);
        let all = [
            self.running.next_kill(),
            self.next_retry(),
            stop_at,
            self.patient_until(),
            self.next_check,
            self.next_guard(),
            self.registrar.deadline(),
            self.troubles.next(),
            self.deaf_until,
            self.engine_due,
            self.logs.retry_at(),
            self.daemon_log.retry_at(),
            self.control.deadline(),
            self.watchdog.as_ref().map(Watchdog::next),
            self.summary.due(),
        ];
        all.into_iter().flatten().min()
    }

    fn meet_deadlines(&mut self) -> Result<(), Exit> {
        let now = Instant::now();
        self.lose_patience(now);
        self.running.kill_overdue(now);
        self.feed_watchdog(now);
        self.retry_due(now);
        self.guard_in_time();
        self.say_what_is_over(now);
        self.hear_again(now);
        self.start_engine_again(now);
        self.end_overdue_child(now);
        if self.next_check.is_some_and(|at| at <= now) {
            self.check_consistency(false);
            let interval = Duration::from_secs(self.options.check_interval);
            self.next_check = now.checked_add(interval);
        }
        match self.stop_at {
            Some((at, exit)) if at <= now => Err(exit),
            _ => Ok(()),
        }
    }

    /// Takes the engine's messages; a broken promise ends everything.
    fn hear_engine(&mut self) -> Result<(), Exit> {
        for _ in 0..MESSAGES_A_TURN {
            let Some(engine) = self.engine.as_mut().filter(|engine| engine.is_heard()) else {
                return Ok(());
            };
            let heard = engine.port.receive().and_then(|incoming| match incoming {
                Incoming::Message(message, with) => self.obey(message, with).map(|()| true),
                Incoming::Stripped(message) => self.obey_stripped(message).map(|()| false),
                Incoming::Nothing => Ok(false),
                Incoming::End => {
                    self.engine_ended();
                    Ok(false)
                }
            });
            match heard {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(violation) => return Err(self.broken_promise(violation)),
            }
        }
        Ok(())
    }

    /// Listens to the engine again as soon as there is a descriptor for a connection.
    fn hear_again(&mut self, now: Instant) {
        if self.deaf_until.is_some_and(|until| until <= now) {
            let has_room = fd::duplicate(&self.mishaps.0).is_ok();
            self.deaf_until = (!has_room).then_some(now + DEAFNESS);
        }
    }

    /// A forbidden or malformed message is never answered and never followed by a new engine.
    fn broken_promise(&self, violation: Violation) -> Exit {
        let fate = if self.takes_servers_along() { "servers too" } else { "servers keep running" };
        tracing::error!(
            critical = true,
            "the engine broke the protocol: {violation}; stopping, {fate}"
        );
        Exit::Violation
    }

    fn tell_engine(&mut self, message: &ToEngine) {
        self.tell_engine_with(message, None);
    }

    fn tell_engine_with(&mut self, message: &ToEngine, with: Option<OwnedFd>) {
        if let Some(engine) = self.engine.as_mut().filter(|engine| !engine.ended) {
            engine.port.send(message, with);
            if engine.port.owed() > MOST_OWED + self.running.count() as usize {
                engine.give_up("does not take what it is told");
            }
        }
        self.closed_tickets += u64::from(message.closes_ticket());
    }
}

/// A system error in the original's form (MSG-1): `message (errno = N)`.
fn words(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let words = text.rsplit_once(" (os error").map_or(text.as_str(), |(words, _)| words);
    format!("{words} (errno = {})", errno as i32)
}

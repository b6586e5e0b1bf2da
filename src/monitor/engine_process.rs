//! The engine as the monitor sees it: a process, a port, and what is still to be delivered.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Instant;

use crate::cli::Options;
use crate::ipc::ENGINE_ARGUMENT;
use crate::ipc::ENGINE_CHANNEL;
use crate::ipc::Port;
use crate::ipc::State;
use crate::ipc::Ticket;
use crate::ipc::ToEngine;
use crate::monitor::gates::Gates;
use crate::monitor::retry::Retries;
use crate::monitor::running::Running;
use crate::monitor::services::Services;
use crate::plan::DenyList;
use crate::plan::Generation;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::encode_doors;
use crate::sys::Errno;
use crate::sys::channel::Channel;
use crate::sys::fd;
use crate::sys::poll::Interest;
use crate::sys::process;
use crate::sys::recipe::{Environment, Image, Recipe, Step};
use crate::sys::sandbox::Confinement;
use crate::sys::signal;
use crate::sys::spawn::Spawner;
use crate::sys::variables::Variables;

/// The ticket of an engine's own start, among mishaps. Servers' tickets start at 1.
pub(super) const ENGINE_TICKET: u64 = 0;

/// What an engine gets of the daemon's environment: the time zone of `access_times`, and what
/// resolver(5) goes by.
const ENGINE_VARIABLES: [&str; 3] = ["TZ", "LOCALDOMAIN", "RES_OPTIONS"];

/// Who the engine runs as; `None`: as the monitor itself, which has no privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// A running engine.
#[derive(Debug)]
pub(super) struct EngineProcess {
    pub pid: i32,
    pub started: Instant,
    pub port: Port,
    pub state: State,
    /// Everything it sent has been read and no more can come.
    pub ended: bool,
    /// It has been reaped: its process id may be another's.
    pub is_dead: bool,
    /// What it says that the kernel keeps it to.
    pub confinement: Confinement,
    /// Listeners that it does not have yet, and the word that completes the plan. They are
    /// sent as room comes, straight from the table: no second descriptor for each.
    listeners: VecDeque<(ServiceIndex, SocketIndex)>,
    commit: Option<Generation>,
}

/// What an engine does before it becomes one.
#[must_use]
pub(super) fn steps(account: Option<Account>) -> Vec<Step> {
    let mut steps = vec![
        Step::NewSession,
        // Not even our standard error: it may be a log.
        Step::NullAsStdio,
        Step::SocketAs(ENGINE_CHANNEL),
        Step::CloseOnExecFrom(ENGINE_CHANNEL + 1),
    ];
    if let Some(Account { uid, gid }) = account {
        steps.extend([
            Step::Groups(Vec::new()),
            Step::DropBoundingSet,
            Step::Gid(gid),
            Step::Uid(uid),
            Step::NoWayBack,
        ]);
    }
    steps.extend([
        Step::DropCapabilities,
        Step::NoNewPrivileges,
        Step::DieWithParent,
        Step::UnblockSignals,
        Step::Exec,
    ]);
    steps
}

impl EngineProcess {
    /// Starts one: this very program again, with a fresh address space (the file that runs
    /// now, even if another has taken its place on disk).
    ///
    /// # Errors
    /// When there are no descriptors or processes left.
    pub(super) fn start(
        account: Option<Account>,
        spawner: &mut Spawner,
        mishaps: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        let argv = ["xinetd: engine", ENGINE_ARGUMENT].map(OsStr::new);
        let kept = ENGINE_VARIABLES.map(|name| (OsStr::new(name), env::var_os(name)));
        let kept = kept.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let environment = Rc::new(Environment::new(kept)?);
        let image = Image::new(OsStr::new("/proc/self/exe"), argv, environment)?;
        let recipe = Recipe {
            steps: &steps(account),
            image: &image,
            variables: Variables::default(),
            socket: theirs.as_fd(),
            log: None,
            ticket: ENGINE_TICKET,
        };
        let mut spawn = || spawner.spawn(&recipe, mishaps);
        // One that was too slow has been killed: the machine is busy. The next one is forked, and
        // has all the time it takes.
        let patiently = || match spawn() {
            Err(Errno::ETIMEDOUT) => spawn(),
            outcome => outcome,
        };
        // What leaves room for one daemon and no server leaves room for both of its processes.
        let started = process::up_to_the_hard_limit(patiently)?;
        Ok(Self {
            pid: started.pid,
            started: Instant::now(),
            port: Port::new(ours),
            state: State::Greeting,
            ended: false,
            is_dead: false,
            confinement: Confinement::default(),
            listeners: VecDeque::new(),
            commit: None,
        })
    }

    /// One without a process, for tests of the seam.
    #[cfg(test)]
    pub(super) fn for_test(port: Port, state: State) -> Self {
        const NOBODY: i32 = i32::MAX;
        let (ended, is_dead, confinement) = (false, false, Confinement::default());
        let (started, listeners, commit) = (Instant::now(), VecDeque::new(), None);
        Self { pid: NOBODY, started, port, state, ended, is_dead, confinement, listeners, commit }
    }

    /// Sends a plan: the doors now, the listeners in `fresh` as room comes, then the commit.
    ///
    /// # Errors
    /// When there is no memory or descriptor for the doors.
    pub(super) fn offer(
        &mut self,
        generation: Generation,
        services: &Services,
        fresh: impl IntoIterator<Item = (ServiceIndex, SocketIndex)>,
        last_ticket: Ticket,
        options: &Options,
    ) -> io::Result<()> {
        let doors = encode_doors(&services.doors()).map_err(io::Error::other)?;
        let length = u32::try_from(doors.len()).map_err(io::Error::other)?;
        let process_limit = options.process_limit.most().unwrap_or(0);
        let log_processes = u32::try_from(options.log_processes).unwrap_or(u32::MAX);
        let plan = ToEngine::Plan { generation, length, last_ticket, process_limit, log_processes };
        self.port.send(&plan, Some(fd::sealed(&doors)?));
        self.listeners = fresh.into_iter().collect();
        self.commit = Some(generation);
        Ok(())
    }

    /// Tells a new engine about servers that an earlier one ordered, started or not yet, who
    /// was locked out, and what an operator has made of doors.
    pub(super) fn hand_down(
        &mut self,
        running: &Running,
        retries: &Retries,
        locked_out: &DenyList,
        gates: &Gates,
    ) {
        let now = Instant::now();
        for (peer, until) in locked_out.iter(now) {
            let seconds = until.map_or(0, |until| (until - now).as_secs().max(1));
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            self.port.send(&ToEngine::LockOut { peer, seconds }, None);
        }
        for (service, gate) in gates.iter() {
            self.port.send(&ToEngine::Gate { service, gate }, None);
        }
        for (_, server) in running.iter() {
            let (ticket, service, peer) = (server.ticket, server.index, server.peer);
            self.port.send(&ToEngine::Running { ticket, service, peer, lent: server.lent }, None);
        }
        for client in retries.iter() {
            let (ticket, service, peer) = (client.ticket, client.index, client.peer);
            self.port.send(&ToEngine::Running { ticket, service, peer, lent: None }, None);
        }
    }

    /// Sends what there is room for.
    pub(super) fn pump(&mut self, services: &Services) {
        self.port.flush();
        while let Some((service, socket)) = self.listeners.front().copied() {
            let listener = services.find(service).and_then(|active| active.listener(socket));
            let listener = listener.map(|listener| listener.fd.as_fd());
            let message = ToEngine::Listener { socket };
            if !listener.is_none_or(|fd| self.port.try_send_with(&message, fd)) {
                return;
            }
            self.listeners.pop_front();
        }
        if let Some(generation) = self.commit.take() {
            self.port.send(&ToEngine::Commit { generation }, None);
        }
    }

    /// Whether its orders are taken now. An engine that asks without reading the answers has to
    /// wait: what we owe it must not grow without end.
    pub(super) fn is_heard(&self) -> bool {
        !self.ended && self.port.is_clear()
    }

    /// What to wait for at its port, if anything; whoever `is_deaf` does not hear it.
    pub(super) fn wants(&self, is_deaf: bool) -> Option<Interest> {
        match (self.port.is_clear(), self.commit.is_some(), is_deaf) {
            (true, false, true) => None,
            (true, false, false) => Some(Interest::Input),
            (true, true, false) => Some(Interest::InputOrRoom),
            (true, true, true) | (false, ..) => Some(Interest::Room),
        }
    }

    /// Its last order. The rest of a plan that is on its way is kept back: an engine that goes by
    /// itself has nothing to add it to.
    pub(super) fn dismiss(&mut self, word: &ToEngine) {
        self.listeners.clear();
        self.commit = None;
        self.state = State::Stopping;
        if !self.ended {
            self.port.send(word, None);
        }
    }

    /// Ends one that hangs. What it has sent before is still heard; its death is reported by
    /// SIGCHLD.
    pub(super) fn give_up(&mut self, why: &str) {
        tracing::error!("the engine {why} and is ended");
        self.port.hang_up();
        let _ = signal::send(self.pid, signal::Name::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_loses_everything_before_it_execs() {
        let steps = steps(Some(Account { uid: 65534, gid: 65534 }));
        let place = |step: &Step| steps.iter().position(|s| s == step).unwrap();
        assert!(place(&Step::Groups(vec![])) < place(&Step::Gid(65534)));
        assert!(place(&Step::Gid(65534)) < place(&Step::Uid(65534)));
        assert!(place(&Step::Uid(65534)) < place(&Step::NoWayBack));
        assert!(place(&Step::Uid(65534)) < place(&Step::DieWithParent), "setuid clears it");
        assert!(place(&Step::DropCapabilities) < place(&Step::NoNewPrivileges));
        assert_eq!(steps.last(), Some(&Step::Exec));
    }

    #[test]
    fn without_root_it_still_gives_up_capabilities_and_new_privileges() {
        let steps = steps(None);
        assert!(steps.contains(&Step::DropCapabilities));
        assert!(steps.contains(&Step::NoNewPrivileges));
        assert!(!steps.iter().any(|s| matches!(s, Step::Uid(_))));
    }
}

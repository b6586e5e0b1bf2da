//! Where the service manager keeps the sockets, clients of the engine's own go on when the daemon is
//! started anew, as those of servers do.

use crate::ipc::ToEngine;
use crate::monitor::Monitor;
use crate::monitor::end::Exit;

impl Monitor {
    /// What the engine is told when the daemon ends in good order (SIG-2).
    pub(super) const fn last_word(&self) -> ToEngine {
        if self.store.is_there() { ToEngine::Leave } else { ToEngine::Stop }
    }

    /// Whether the engine has clients, and goes on without us: it has said that it is ready to.
    pub(super) fn leaves_engine(&self, exit: Exit) -> bool {
        exit == Exit::Done
            && self.is_drained
            && !self.takes_servers_along()
            && self.last_word() == ToEngine::Leave
            && !self.sessions.is_empty()
            && self.engine.as_ref().is_some_and(|engine| !engine.ended)
    }

    /// Goes without it. Nobody is there to write EXIT lines then, as for servers that go on.
    pub(super) fn leave_engine(&mut self) {
        let (sessions, pid) = (self.sessions.count(), self.engine_pid());
        let plural = if sessions == 1 { " goes" } else { "s go" };
        tracing::info!("{sessions} session{plural} on with process {pid}");
        self.engine = None;
    }
}

//! The end of the daemon: whoever has to be gone before.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::monitor::Monitor;
use crate::monitor::engine_process::EngineProcess;
use crate::sys::poll;
use crate::sys::process;
use crate::sys::process::End;
use crate::sys::signal;
use crate::sys::signal::Name;

/// How long servers that got SIGKILL have to be gone.
pub(super) const LAST_EXITS: Duration = Duration::from_secs(1);

/// The same for the engine. One that is stopped, and that we may not kill, is never gone.
const ENGINE_PATIENCE: Duration = Duration::from_secs(2);

impl Monitor {
    /// Does to servers what the kernel is about to do, while there is somebody to log it.
    pub(super) fn take_servers_along(&mut self) {
        self.running.kill_all();
        if self.running.count() > 0 {
            self.see_children_end(LAST_EXITS, |monitor, pid, end| {
                monitor.server_ended(pid, end);
                monitor.running.count() == 0
            });
        }
    }

    /// Gives each child that ends to `take`, until that says of one that it was the last that
    /// matters; false if this takes longer than `patience`.
    pub(super) fn see_children_end(
        &mut self,
        patience: Duration,
        mut take: impl FnMut(&mut Self, i32, End) -> bool,
    ) -> bool {
        let until = Instant::now() + patience;
        loop {
            while let Some((pid, end)) = process::reap() {
                self.explain_mishaps();
                if take(self, pid, end) {
                    return true;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            poll::wait(self.signals.as_fd(), None, [], [], Some(left));
            while self.signals.next().is_some() {}
        }
    }

    /// Ends the engine at once and leaves no zombie: after this its listeners are closed.
    pub(super) fn end_engine(&mut self) {
        let Some(EngineProcess { pid: wanted, port, is_dead, .. }) = self.engine.take() else {
            return;
        };
        // Where we may not kill it (no CAP_KILL), the end of the channel ends it.
        drop(port);
        if is_dead {
            return;
        }
        let _ = signal::send(wanted, Name::SIGKILL);
        let has_ended = self.see_children_end(ENGINE_PATIENCE, |monitor, pid, end| {
            if pid != wanted {
                monitor.server_ended(pid, end);
            }
            pid == wanted
        });
        if !has_ended {
            tracing::error!("the engine, process {wanted}, cannot be ended; it may hold the ports");
        }
    }
}

//! Clients that are served here go on when the monitor has ended in good order, as servers do.

use std::cell::RefCell;
use std::rc::Rc;

use crate::engine::Engine;
use crate::engine::Stop;
use crate::sys::privilege;

impl Engine {
    /// Lets go of every listening socket, which the next daemon has, and of the monitor.
    pub(super) fn make_ready_to_leave(&mut self) {
        self.doors.clear();
        self.sockets.clear();
        self.arriving = None;
        self.stop = Stop::Left;
        if privilege::outlive_parent().is_err() {
            self.cut_off_all();
        }
    }
}

/// The monitor has gone: in good order, or whoever is served ends with it.
pub(super) async fn serve_to_the_end(engine: &Rc<RefCell<Engine>>) {
    let wake = Rc::clone(&engine.borrow().wake);
    let has_sessions = || {
        let engine = engine.borrow();
        engine.stop == Stop::Left && !engine.sessions.is_empty()
    };
    while has_sessions() {
        wake.notified().await;
    }
}

//! What the monitor is told.
//!
//! With `Adopted` it forgets the services that are gone, and takes a later word about one of them
//! for a broken promise. Whoever has waited for something, for a client's host as long as half a
//! minute, would have to know that; so it is looked at here, for everybody.

use std::os::fd::OwnedFd;

use crate::engine::Engine;
use crate::ipc::ToMonitor;

impl Engine {
    /// Tells the monitor, but nothing about a service whose door is gone.
    pub(super) fn tell(&mut self, message: &ToMonitor) {
        self.tell_with(message, None);
    }

    /// The same, with a descriptor.
    pub(super) fn tell_with(&mut self, message: &ToMonitor, with: Option<OwnedFd>) {
        if message.about().is_none_or(|service| self.doors.contains_key(&service)) {
            self.port.send(message, with);
        }
    }
}

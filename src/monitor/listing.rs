//! What the internal services `services` and `servers` say: what is offered, and what runs.

use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;

use crate::monitor::Monitor;
use crate::plan::{Action, Address, Internal, Service};
use crate::sys::fd;

/// The longest listing, in bytes.
const LONGEST: usize = 1 << 20;

impl Monitor {
    /// The listing that `service` shows, for the engine to send; `None` if it shows none.
    pub(super) fn listing(&self, service: &Service) -> Option<io::Result<OwnedFd>> {
        let Action::Internal { service, .. } = service.action else { return None };
        let text = match service {
            Internal::Services => self.offered(),
            Internal::Servers => self.server_table(),
            Internal::Echo
            | Internal::Discard
            | Internal::Chargen
            | Internal::Daytime
            | Internal::Time
            | Internal::Tcpmux => return None,
        };
        let end = text.floor_char_boundary(LONGEST);
        Some(fd::sealed(text.as_bytes().get(..end).unwrap_or_default()))
    }

    /// `NAME PROTOCOL PORT`, a line for each socket of a service that is open.
    fn offered(&self) -> String {
        let mut text = String::new();
        for (index, active) in self.services.iter() {
            if self.closed.contains_key(&index) || self.gates.is_closed(index) {
                continue;
            }
            let Service { name, protocol, .. } = &*active.service;
            for listener in &active.listeners {
                let _infallible = match &listener.key.address {
                    Address::Ip(_) => writeln!(text, "{name} {protocol} {}", listener.port),
                    Address::Unix(path) => writeln!(text, "{name} unix {}", path.display()),
                };
            }
        }
        text
    }
}

//! tcpmux (RFC 1078): a client names a service in its first line, and is that service's from
//! then on: its access rules, limits, log and user are those of the service, not of tcpmux.
//!
//! Not one byte behind the line is read: what a client sends with it is for the server.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::admit::Peer;
use crate::engine::Engine;
use crate::engine::accept::Visitor;
use crate::engine::door::DoorState;
use crate::engine::visit;
use crate::plan::Duty;
use crate::plan::Internal;
use crate::plan::Mux;
use crate::plan::ServiceIndex;

/// How long a client may take to name a service.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest first line, its end included, in bytes.
const LONGEST: usize = 256;

/// MUX-2, without the NUL byte that the original sends behind it (MUX-3).
const NOT_FOUND: &[u8] = b"-Service name not found\r\n";

/// Serves a client of tcpmux itself.
pub(super) async fn serve(engine: Rc<RefCell<Engine>>, peer: Peer, mut client: TcpStream) {
    let Ok(Some(name)) = timeout(PATIENCE, first_line(&mut client)).await else { return };
    let found = engine.borrow().behind(&name);
    let answer = match found {
        Some((service, mux)) => {
            let Ok(socket) = client.into_std().and_then(|client| {
                client.set_nonblocking(false)?; // as its server expects it
                Ok(client.into())
            }) else {
                return;
            };
            let greeting = if mux == Mux::Plus { b"+Go\r\n".as_slice() } else { b"" };
            let since = Some(engine.borrow().generation);
            let visitor = Visitor { service, socket, peer, failures: 0, greeting, since };
            // Where too many wait already it is sent away, as by a backlog that is full.
            if !engine.borrow().has_room(service) {
                return;
            }
            // From here on a door that is closed knows that somebody is on the way through it.
            engine.borrow_mut().begin_visit(service);
            // It goes on when the session with tcpmux is over, and counts no more.
            tokio::task::spawn_local(visit::through_tcpmux(engine, visitor));
            return;
        }
        None if name.eq_ignore_ascii_case(b"help") => engine.borrow().help(),
        None => NOT_FOUND.to_vec(),
    };
    timeout(PATIENCE, client.write_all(&answer)).await.ok();
}

/// The first line without its end, CR LF or LF alone; `None` if there is none, or too long.
async fn first_line(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; LONGEST];
    loop {
        let seen = client.peek(&mut buffer).await.ok().filter(|seen| *seen > 0)?;
        let end = buffer.iter().take(seen).position(|byte| *byte == b'\n');
        let taken = buffer.get_mut(..end.map_or(seen, |end| end + 1))?;
        client.read_exact(taken).await.ok()?;
        line.extend_from_slice(taken);
        if line.len() > LONGEST {
            return None;
        }
        if let Some(line) = line.strip_suffix(b"\n") {
            return Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        }
    }
}

impl Engine {
    /// The service behind tcpmux that `name` means; of several the oldest. One that is closed, or
    /// paused by an operator, is not found.
    fn behind(&self, name: &[u8]) -> Option<(ServiceIndex, Mux)> {
        let open =
            self.doors.values().filter(|state| state.can_be_named()).map(|state| &state.door);
        open.filter(|door| door.duty != Duty::Answer(Internal::Tcpmux))
            .filter_map(|door| Some((door.index, door.behind.as_ref()?)))
            .filter(|(_, behind)| behind.name.as_bytes().eq_ignore_ascii_case(name))
            .min_by_key(|(index, _)| *index)
            .map(|(index, behind)| (index, behind.mux))
    }

    /// Whether one more client may wait for this service, which has no backlog.
    pub(super) fn has_room(&self, service: ServiceIndex) -> bool {
        let has_room = self.doors.get(&service).is_some_and(DoorState::has_room);
        has_room && self.pending < self.most_pending
    }

    /// How long a client has to wait for its turn (`cps_action = pace`); `None`: it has come.
    pub(super) fn next_turn(&mut self, service: ServiceIndex) -> Option<Duration> {
        let state = self.doors.get_mut(&service)?;
        let wait = state.turn();
        if wait.is_none() {
            state.take_turn();
        }
        wait
    }

    /// RFC 1078: the names that are known, this one among them, a line each.
    fn help(&self) -> Vec<u8> {
        let behind = self.doors.values().filter_map(|state| state.door.behind.as_ref());
        let mut names: Vec<_> = behind.map(|behind| behind.name.as_str()).chain(["help"]).collect();
        names.sort_unstable();
        names.dedup();
        names.iter().flat_map(|name| format!("{name}\r\n").into_bytes()).collect()
    }
}

//! The servers that run: who started them for whom, how many, and which are to end.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ipc::Ports;
use crate::ipc::Ticket;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::signal;

/// How long a server has between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(4);

/// One server process.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub ticket: Ticket,
    pub index: ServiceIndex,
    /// As it was when the server started; the one in force may be newer.
    pub service: Rc<Service>,
    pub peer: Source,
    pub ports: Ports,
    /// The socket of the service that it has (WAIT-1).
    pub lent: Option<SocketIndex>,
    pub started: Instant,
    /// When SIGKILL follows, for a server that has been asked to end.
    kill_at: Option<Instant>,
    /// SIGKILL has been sent.
    was_killed: bool,
}

/// Every server process of this daemon, by process id.
#[derive(Debug, Default)]
pub(super) struct Running {
    by_pid: HashMap<i32, Server>,
    by_service: HashMap<ServiceIndex, u32>,
    /// How many have a `kill_at`: nearly always none, and then nothing is searched.
    ending: usize,
}

impl Server {
    /// A server that is about to be started: its duration counts from here, however late fork(2)
    /// comes back.
    #[must_use]
    pub(super) fn new(
        ticket: Ticket,
        index: ServiceIndex,
        service: Rc<Service>,
        peer: Source,
    ) -> Self {
        Self {
            ticket,
            index,
            service,
            peer,
            ports: Ports::default(),
            lent: None,
            started: Instant::now(),
            kill_at: None,
            was_killed: false,
        }
    }

    /// The same, for a connection between these ports.
    #[must_use]
    pub(super) const fn with_ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// The same, with this socket of the service.
    #[must_use]
    pub(super) const fn with_socket(mut self, socket: SocketIndex) -> Self {
        self.lent = Some(socket);
        self
    }

    /// Whether it has been asked to end.
    #[must_use]
    pub(super) const fn was_told_to_end(&self) -> bool {
        self.kill_at.is_some() || self.was_killed
    }
}

impl Running {
    /// Takes note of a new process.
    pub(super) fn add(&mut self, pid: i32, server: Server) {
        *self.by_service.entry(server.index).or_default() += 1;
        self.by_pid.insert(pid, server);
    }

    /// Forgets a process that has ended.
    pub(super) fn remove(&mut self, pid: i32) -> Option<Server> {
        let server = self.by_pid.remove(&pid)?;
        if server.kill_at.is_some() {
            self.ending -= 1;
        }
        if let Some(count) = self.by_service.get_mut(&server.index) {
            *count -= 1;
            if *count == 0 {
                self.by_service.remove(&server.index);
            }
        }
        Some(server)
    }

    /// Servers of one service.
    #[must_use]
    pub(super) fn of(&self, index: ServiceIndex) -> u32 {
        self.by_service.get(&index).copied().unwrap_or(0)
    }

    /// Whether a server has this socket.
    #[must_use]
    pub(super) fn has(&self, socket: SocketIndex) -> bool {
        self.by_pid.values().any(|server| server.lent == Some(socket))
    }

    /// Servers of all services.
    #[must_use]
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.by_pid.len()).unwrap_or(u32::MAX)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Server)> {
        self.by_pid.iter().map(|(pid, server)| (*pid, server))
    }

    /// The server of this ticket, for the rare case of a start that went wrong.
    #[must_use]
    pub(super) fn by_ticket(&self, ticket: u64) -> Option<&Server> {
        self.by_pid.values().find(|server| server.ticket.0 == ticket)
    }

    /// Asks the servers of a service to end: SIGTERM now, SIGKILL if that does not help
    /// within four seconds (RELOAD-4). Nobody waits meanwhile.
    pub(super) fn end(&mut self, index: ServiceIndex, now: Instant) {
        self.end_those(|server| server.index == index, now);
    }

    /// The same for all that have not been asked yet.
    pub(super) fn end_all(&mut self, now: Instant) {
        self.end_those(|_| true, now);
    }

    /// The same for some.
    pub(super) fn end_those(&mut self, which: impl Fn(&Server) -> bool, now: Instant) {
        for (pid, server) in &mut self.by_pid {
            if which(server) && !server.was_told_to_end() {
                tracing::info!("Sending signal 15 to {} server {pid}", server.service.id);
                let _ = signal::send(*pid, signal::Name::SIGTERM);
                server.kill_at = Some(now + GRACE);
                self.ending += 1;
            }
        }
    }

    /// When the next SIGKILL is due.
    #[must_use]
    pub(super) fn next_kill(&self) -> Option<Instant> {
        if self.ending == 0 {
            return None;
        }
        self.by_pid.values().filter_map(|server| server.kill_at).min()
    }

    /// Sends SIGKILL where the time is over; a server that outlives even that is left alone.
    pub(super) fn kill_overdue(&mut self, now: Instant) {
        if self.ending == 0 {
            return;
        }
        for (pid, server) in &mut self.by_pid {
            if server.kill_at.is_none_or(|at| at > now) {
                continue;
            }
            if server.was_killed {
                tracing::error!("Server {pid} did not exit after SIGKILL");
                server.kill_at = None;
                self.ending -= 1;
                continue;
            }
            tracing::info!("Sending signal 9 to {} server {pid}", server.service.id);
            let _ = signal::send(*pid, signal::Name::SIGKILL);
            server.was_killed = true;
            server.kill_at = Some(now + GRACE);
        }
    }

    /// Sends SIGKILL to those that have been asked to end: there is no more time.
    pub(super) fn kill_ending(&self) {
        self.kill_those(|server| server.kill_at.is_some());
    }

    /// Sends SIGKILL to every server.
    pub(super) fn kill_all(&self) {
        self.kill_those(|_| true);
    }

    fn kill_those(&self, which: impl Fn(&Server) -> bool) {
        let alive = self.by_pid.iter().filter(|(_, server)| !server.was_killed && which(server));
        for (pid, server) in alive {
            tracing::info!("Sending signal 9 to {} server {pid}", server.service.id);
            let _ = signal::send(*pid, signal::Name::SIGKILL);
        }
    }

    /// What does not add up (SIG-6): counts, and processes that are not there any more.
    #[must_use]
    pub(super) fn contradictions(&self) -> Vec<String> {
        let mut counted: HashMap<ServiceIndex, u32> = HashMap::new();
        for server in self.by_pid.values() {
            *counted.entry(server.index).or_default() += 1;
        }
        let ending = self.by_pid.values().filter(|server| server.kill_at.is_some()).count();
        let gone = self.by_pid.iter().filter(|(pid, _)| !signal::exists(**pid));
        let mut found: Vec<_> = gone
            .map(|(pid, server)| format!("server {pid} of {} is gone", server.service.id))
            .collect();
        if counted != self.by_service {
            found.push("the servers of each service are miscounted".to_owned());
        }
        if ending != self.ending {
            found.push("the servers that are to end are miscounted".to_owned());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::recipe::tests::service;

    #[test]
    fn counts_follow_the_servers() {
        let mut running = Running::default();
        let index = ServiceIndex(3);
        let own = i32::try_from(std::process::id()).unwrap();
        let peer = Source::Ip([127, 0, 0, 1].into());
        running.add(own, Server::new(Ticket(9), index, Rc::new(service()), peer));
        assert_eq!((running.of(index), running.count()), (1, 1));
        assert!(running.by_ticket(9).is_some());
        assert_eq!(running.contradictions(), [""; 0]);
        assert!(running.remove(own).is_some());
        assert!(running.remove(own).is_none());
        assert_eq!((running.of(index), running.count()), (0, 0));
    }
}

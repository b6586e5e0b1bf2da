//! Orders of the engine: start a server, log a refusal, open a banner.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use crate::ipc::Event;
use crate::ipc::Kind;
use crate::ipc::Message;
use crate::ipc::Part;
use crate::ipc::Refusal;
use crate::ipc::State;
use crate::ipc::Ticket;
use crate::ipc::ToEngine;
use crate::ipc::ToMonitor;
use crate::ipc::Violation;
use crate::log;
use crate::monitor::DEAFNESS;
use crate::monitor::Monitor;
use crate::monitor::consistency::Answer;
use crate::monitor::ends::{Ends, Over};
use crate::monitor::reload::Reload;
use crate::monitor::retry::Waiting;
use crate::monitor::running::Server;
use crate::monitor::services::{Active, Launch, Services};
use crate::monitor::trouble::Trouble;
use crate::plan::Action;
use crate::plan::BannerKind;
use crate::plan::Denial;
use crate::plan::DenyList;
use crate::plan::DenyTime;
use crate::plan::Libwrap;
use crate::plan::Listed;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::Source;
use crate::sys::Errno;
use crate::sys::fd;
use crate::sys::recipe::Recipe;
use crate::sys::socket;
use crate::sys::spawn::{Spawner, Started};

/// A service by its number, in force or on its way out. Until a reload is done, one that is of
/// another kind now is asked about as it was.
pub(super) fn service<'a>(
    services: &'a Services,
    reload: Option<&'a Reload>,
    kind: Kind,
    index: ServiceIndex,
) -> Result<&'a Active, Violation> {
    let is_about = |active: &&Active| {
        let is_sensor = matches!(active.service.action, Action::Sensor { .. });
        let contradicts = (kind == Kind::Start && active.launch.is_none())
            || (kind == Kind::Began && active.launch.is_some())
            || (kind == Kind::Sensed && !is_sensor);
        !contradicts
    };
    let now = services.find(index);
    let former = || reload?.former.find(index).filter(is_about);
    let retired = || reload?.retired.find(index);
    now.filter(is_about)
        .or_else(former)
        .or(now)
        .or_else(retired)
        .ok_or(Violation::Contradiction(kind, "no such service"))
}

/// Forks a server with `socket` as its standard input and output.
pub(super) fn fork(
    spawner: &mut Spawner,
    mishaps: BorrowedFd<'_>,
    launch: &Launch,
    socket: BorrowedFd<'_>,
    ticket: Ticket,
    ends: &Ends,
) -> Result<Started, Errno> {
    let recipe = Recipe {
        steps: &launch.steps,
        image: &launch.image,
        variables: launch.told.about(ends),
        socket,
        log: launch.log.as_ref().map(AsFd::as_fd),
        ticket: ticket.0,
    };
    spawner.spawn(&recipe, mishaps)
}

/// Whether a connection is one of a client of a service.
enum WayIn {
    Open,
    /// A tcpmux that is not there any more may have led to it, before a reload.
    Gone,
    None,
}

/// Whether this connection, with its own end, has come to a socket of `active`; if that is behind
/// tcpmux, to one of any tcpmux.
fn way_in(
    services: &Services,
    reload: Option<&Reload>,
    active: &Active,
    (connection, local): (&OwnedFd, Option<SocketAddr>),
) -> WayIn {
    let has_accepted = |active: &Active| {
        active.listeners.iter().any(|listener| listener.has_accepted(connection, local))
    };
    if active.service.mux.is_none() {
        return if has_accepted(active) { WayIn::Open } else { WayIn::None };
    }
    let retired = reload.map(|reload| reload.retired.iter()).into_iter().flatten();
    let leads = |active: &Active| active.service.action.is_tcpmux() && has_accepted(active);
    if services.iter().chain(retired).any(|(_, active)| leads(active)) {
        WayIn::Open
    } else {
        WayIn::Gone
    }
}

/// Why a rule was not followed to the letter.
const fn rule_falls_short(line: u32) -> &'static str {
    match line {
        0 => "this file or hosts.allow cannot be read by the engine: every client is refused",
        _ => {
            "this rule has a mistake, or asks for something that is not done here: commands are not \
             run, banners not shown; where the server would be another, its clients are refused"
        }
    }
}

/// Why a target is not reached.
fn not_reached(errno: i32) -> String {
    let errno = Errno::from_raw(errno);
    if errno == Errno::ELOOP { "it is this very service".to_owned() } else { super::words(errno) }
}

impl Monitor {
    /// The one switch: what the engine asks for, if it may now.
    pub(super) fn obey(
        &mut self,
        message: ToMonitor,
        with: Option<OwnedFd>,
    ) -> Result<(), Violation> {
        self.check_permission(message.kind())?;
        match (message, with) {
            (ToMonitor::Start { ticket, service, peer, failures }, Some(connection)) => {
                self.start_server(ticket, service, peer, connection, failures)
            }
            (ToMonitor::Serve { ticket, service, socket, peer }, _) => {
                self.lend(ticket, service, socket, peer)
            }
            (ToMonitor::Refused(refusal), _) => self.log_refusal(refusal),
            (ToMonitor::Noticed { service, event }, _) => self.log_event(service, event),
            (ToMonitor::Banner { number, service, kind }, _) => {
                self.open_banner(number, service, kind);
                Ok(())
            }
            (ToMonitor::Sensed { service, peer }, _) => self.lock_out(service, peer),
            (ToMonitor::UserId { service, part }, _) => self.hear_user(service, part),
            (ToMonitor::NoId { service, why, peer }, _) => {
                let active = self.service(Kind::NoId, service)?;
                let of = Rc::clone(&active.service);
                self.logs.line(service, &of, &log::no_id(&of.id, peer, why));
                Ok(())
            }
            (ToMonitor::Began { ticket, service, peer }, _) => {
                self.session_began(ticket, service, peer)
            }
            (ToMonitor::Ended { ticket, how, received, sent }, _) => {
                self.session_ended(ticket, how, received, sent)
            }
            (ToMonitor::Answered { service, peer }, _) => self.client_answered(service, peer),
            (ToMonitor::Checked { tickets, doors, errors }, _) => {
                self.checked(Answer { tickets, doors, errors })
            }
            (ToMonitor::Hello { build }, _) => self.greeted(build),
            (ToMonitor::Adopted { generation }, _) => self.adopted(generation),
            (ToMonitor::Stopped, _) => {
                self.drained();
                Ok(())
            }
            (ToMonitor::Start { .. }, None) => Err(Violation::Descriptor(Kind::Start)),
        }
    }

    /// The table of the seam: whether this may be said now.
    fn check_permission(&self, kind: Kind) -> Result<(), Violation> {
        let state = self.engine.as_ref().map_or(State::Greeting, |engine| engine.state);
        if state.permits(kind) { Ok(()) } else { Err(Violation::Forbidden(kind, state)) }
    }

    /// A connection that could not be delivered, because descriptors have run out here.
    pub(super) fn obey_stripped(&mut self, message: ToMonitor) -> Result<(), Violation> {
        self.check_permission(message.kind())?;
        let ToMonitor::Start { ticket, service, peer, .. } = message else {
            return Err(Violation::Descriptor(message.kind()));
        };
        self.take_ticket(Kind::Start, ticket)?;
        self.service(Kind::Start, service)?;
        let text = format!("no available descriptors: a connection from {peer} is lost");
        self.complain(Trouble::Descriptors, text);
        self.deaf_until = Some(Instant::now() + DEAFNESS);
        self.not_started(ticket, Refusal { service, why: Denial::Fork, peer });
        Ok(())
    }

    pub(super) fn take_ticket(&mut self, kind: Kind, ticket: Ticket) -> Result<(), Violation> {
        if ticket <= self.last_ticket {
            return Err(Violation::Contradiction(kind, "a ticket used before"));
        }
        self.last_ticket = ticket;
        Ok(())
    }

    pub(super) fn service(&self, kind: Kind, index: ServiceIndex) -> Result<&Active, Violation> {
        service(&self.services, self.reload.as_ref(), kind, index)
    }

    /// Nothing is trusted that the kernel can be asked: what the descriptor is, and who is at
    /// its other end. `claimed` counts only where the kernel has forgotten the peer.
    fn start_server(
        &mut self,
        ticket: Ticket,
        index: ServiceIndex,
        claimed: Source,
        connection: OwnedFd,
        failures: u8,
    ) -> Result<(), Violation> {
        self.take_ticket(Kind::Start, ticket)?;
        let active = service(&self.services, self.reload.as_ref(), Kind::Start, index)?;
        let lends = active.service.lends_its_socket();
        let Some(launch) = active.launch.as_ref().filter(|_| !lends) else {
            return Err(Violation::Contradiction(Kind::Start, "it starts no servers for clients"));
        };
        let (local, remote) = (socket::local_end(&connection), socket::remote_end(&connection));
        match way_in(&self.services, self.reload.as_ref(), active, (&connection, local)) {
            WayIn::Open => {}
            WayIn::Gone => {
                self.tell_engine(&ToEngine::NotStarted { ticket });
                return Ok(());
            }
            WayIn::None => {
                let what = "not a connection of this service";
                return Err(Violation::Contradiction(Kind::Start, what));
            }
        }
        let process = if remote.is_none() { socket::peer_process(&connection) } else { None };
        let peer = match (remote, process) {
            (Some(end), _) => Source::Ip(end.ip()),
            (None, Some(process)) => Source::User(process.uid),
            (None, None) => claimed,
        };
        let service = Rc::clone(&active.service);
        if let Some(why) = self.hard_limit(index, &service) {
            self.not_started(ticket, Refusal { service: index, why, peer });
            return Ok(());
        }
        let over = if process.is_some() { Over::Unix } else { Over::Tcp };
        let ends = Ends { over, host: peer, remote, local, process };
        let (socket, mishaps) = (connection.as_fd(), self.mishaps.1.as_fd());
        let server = Server::new(ticket, index, Rc::clone(&service), peer);
        match fork(&mut self.spawner, mishaps, launch, socket, ticket, &ends) {
            Ok(started) => self.started(started, server),
            Err(errno) => {
                let failures = failures.saturating_add(1);
                let waiting = Waiting { ticket, index, service, peer, connection, failures };
                self.fork_failed(waiting, errno);
            }
        }
        Ok(())
    }

    /// Takes note of a server that has just been forked.
    pub(super) fn started(&mut self, Started { pid, was_slow }: Started, server: Server) {
        let Server { service, index, peer, .. } = &server;
        if was_slow {
            tracing::warn!("service {}: its server was slow to start", service.id);
        }
        if let Some(line) = log::start(&service.id, service.log.on_success, pid, *peer) {
            self.logs.line(*index, service, &line);
        }
        self.running.add(pid, server);
    }

    /// `instances` and `-limit` as caps that hold whatever the engine believes.
    pub(super) fn hard_limit(&self, index: ServiceIndex, service: &Service) -> Option<Denial> {
        if service.policy.instances.reached(self.running.of(index)) {
            return Some(Denial::ServiceLimit);
        }
        self.options.process_limit.reached(self.running.count()).then_some(Denial::ProcessLimit)
    }

    pub(super) fn not_started(&mut self, ticket: Ticket, refusal: Refusal) {
        self.tell_engine(&ToEngine::NotStarted { ticket });
        // The service is in force: its order has just been looked at.
        let _ = self.log_refusal(refusal);
    }

    fn log_refusal(&mut self, refusal: Refusal) -> Result<(), Violation> {
        let service = Rc::clone(&self.service(Kind::Refused, refusal.service)?.service);
        self.log_denial(&service, refusal);
        Ok(())
    }

    /// The FAIL line, and what the daemon's own log has to say.
    pub(super) fn log_denial(&mut self, service: &Rc<Service>, refusal: Refusal) {
        let Refusal { service: index, why, peer } = refusal;
        match (why, &service.libwrap) {
            (Denial::Load, _) => {
                tracing::error!("refused connect from {peer} due to excessive load");
            }
            (Denial::Libwrap, Libwrap::Daemon(daemon)) => {
                let id = &service.id;
                tracing::info!("libwrap refused connection to {id} (libwrap={daemon}) from {peer}");
            }
            _ => {}
        }
        if let Some(line) = log::fail(&service.id, service.log.on_failure, why, peer) {
            self.logs.line(index, service, &line);
        }
    }

    /// Collects what a client's host says, and logs it when it is complete. The engine sends the
    /// parts of one answer without a word about another service between them.
    fn hear_user(&mut self, index: ServiceIndex, part: Part) -> Result<(), Violation> {
        let service = Rc::clone(&self.service(Kind::UserId, index)?.service);
        let (of, text) = self.user_text.get_or_insert_with(|| (index, Vec::new()));
        text.extend_from_slice(part.bytes());
        if *of != index || text.len() > Part::LONGEST_TEXT {
            return Err(Violation::Contradiction(Kind::UserId, "not the next part"));
        }
        if let Some((_, text)) = self.user_text.take_if(|_| part.is_last) {
            self.logs.line(index, &service, &log::user_id(&service.id, &text));
        }
        Ok(())
    }

    /// Keeps what the engine knows of a client at a SENSOR, for the engine after it.
    fn lock_out(&mut self, index: ServiceIndex, peer: IpAddr) -> Result<(), Violation> {
        let service = &self.service(Kind::Sensed, index)?.service;
        let Action::Sensor { deny, .. } = service.action else {
            return Err(Violation::Contradiction(Kind::Sensed, "no sensor"));
        };
        let minutes = match deny {
            // A reload has just changed its mind.
            DenyTime::Never => return Ok(()),
            DenyTime::Minutes(minutes) => i64::from(minutes),
            DenyTime::Forever => -1,
        };
        match self.locked_out.add(peer, deny, Instant::now()) {
            Some(Listed::New) => tracing::error!(
                critical = true,
                "Adding {peer} to the global_no_access list for {minutes} minutes"
            ),
            Some(Listed::Full) => {
                let most = DenyList::MOST;
                tracing::error!("{peer} is not locked out: {most} addresses are");
            }
            Some(Listed::Again) | None => {}
        }
        Ok(())
    }

    fn log_event(&mut self, index: ServiceIndex, event: Event) -> Result<(), Violation> {
        let service = Rc::clone(&self.service(Kind::Noticed, index)?.service);
        let (name, id) = (&service.name, &service.id);
        match event {
            Event::Deactivated => {
                self.closed.insert(index);
                tracing::error!(
                    "Deactivating service {name} due to excessive incoming connections.  \
                     Restarting in {} seconds.",
                    service.policy.rate.pause
                );
            }
            Event::Activated => {
                self.closed.remove(&index);
                tracing::error!("Activating service {name}");
            }
            Event::Paced => tracing::warn!(
                "service {id}: more than {} connections a second: they wait for their turn",
                service.policy.rate.per_second
            ),
            Event::AcceptFailed(errno) => {
                let errno = super::words(Errno::from_raw(errno));
                self.complain(
                    Trouble::Accept,
                    format!("service {id}, accept: {errno}; clients wait"),
                );
            }
            Event::NotReached { address, errno } => {
                self.log_not_reached(index, &service, address, errno);
            }
            Event::Withheld => tracing::warn!(
                "service {id}: more datagrams come than it answers in a second: the others get \
                 no answer"
            ),
            Event::LeftUndone => tracing::error!(
                "service {id}: its servers end without taking what they were started for; as long \
                 as that is so the next one has to wait, a second at most"
            ),
            Event::Full => tracing::error!(
                "service {id}: sessions hold all descriptors that they may have: clients wait"
            ),
            Event::Crowded => tracing::error!(
                "service {id}: as many clients are passed on as there may be: datagrams of others \
                 are dropped"
            ),
            Event::RuleFallsShort { is_allow, line } => {
                let file = if is_allow { "/etc/hosts.allow" } else { "/etc/hosts.deny" };
                // For every client the same: once is enough.
                if self.rules_told.insert((is_allow, line)) {
                    tracing::warn!("{file}:{line}: {}", rule_falls_short(line));
                }
            }
        }
        Ok(())
    }

    /// REDIR-3: the target of a redirected service cannot be had.
    fn log_not_reached(
        &mut self,
        index: ServiceIndex,
        service: &Service,
        address: Option<IpAddr>,
        errno: i32,
    ) {
        let target = match (address, &service.action) {
            (Some(address), _) => format!("remote host {address}"),
            (None, Action::Redirect { target, .. }) => target.to_string(),
            (None, _) => "its target".to_owned(),
        };
        let (id, why) = (&service.id, not_reached(errno));
        let text = format!("service {id}: can't connect to {target}: {why}");
        self.complain(Trouble::Target(index, errno), text);
    }

    /// The banner's path stays here; the engine gets the open file, if it is one. A banner or a
    /// service that a reload has just taken away is no file either.
    fn open_banner(&mut self, number: u64, index: ServiceIndex, kind: BannerKind) {
        let service = self.service(Kind::AskBanner, index).map(|active| Rc::clone(&active.service));
        let file = service.ok().and_then(|service| {
            if kind == BannerKind::Listing {
                return self.listing(&service)?.ok();
            }
            let path = service.banners.path(kind)?;
            let file = fd::open_regular(path);
            let (id, path) = (&service.id, path.display());
            file.inspect_err(|cause| {
                tracing::error!("service = {id}, open of banner {path} failed: {cause}");
            })
            .ok()
        });
        if let Some(engine) = &mut self.engine {
            engine.port.send(&ToEngine::Banner { number }, file);
        }
    }
}

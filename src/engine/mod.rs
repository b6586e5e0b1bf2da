//! The unprivileged process: accepts, asks for names, decides, shows banners, and orders
//! servers by number.
//!
//! It knows no program, no user and no file of the configuration; whatever it is talked into,
//! it can only ask for what `ipc`'s table permits.

mod accept;
mod aside;
mod banner;
mod consistency;
mod datagram;
mod decide;
mod door;
mod doors;
mod gates;
mod hear;
mod ident;
mod internal;
mod leave;
mod lend;
mod moment;
mod names;
mod relay;
mod session;
mod tcpmux;
mod tell;
mod unreported;
mod visit;
mod watch;
mod wrap;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::Interest;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant as Deadline, sleep_until};

use crate::admit::Counts;
use crate::ipc::BUILD;
use crate::ipc::ENGINE_CHANNEL;
use crate::ipc::Gate;
use crate::ipc::Port;
use crate::ipc::Ticket;
use crate::ipc::ToMonitor;
use crate::ipc::VIOLATION_STATUS;
use crate::plan::DenyList;
use crate::plan::Generation;
use crate::plan::Limit;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::channel::Channel;
use crate::sys::fd;
use crate::sys::privilege;
use crate::sys::readiness::ReadySet;
use crate::sys::sandbox::{self, Confinement};
use accept::Visitor;
use datagram::Told;
use door::DoorState;
use doors::Arriving;
use internal::Replies;
use lend::Loans;
use moment::Clock;
use relay::{Flows, Workshop};
use session::Session;
use unreported::Unreported;
use watch::watch;
use wrap::WrapFiles;

/// Connections of all services that wait for a banner or for a name, at most; more wait in
/// the backlog. Fewer where descriptors are scarce.
const MOST_PENDING: usize = 256;

/// Hosts that are asked for a user at once, at most; beyond that nobody is named. Fewer where
/// descriptors are scarce.
const MOST_ASKED: usize = 1024;

/// Pipes for sessions that move much, at most. Fewer where descriptors are scarce.
const MOST_PIPES: usize = 16;

/// Banner files that are read at once, at most.
const BANNER_READERS: usize = 4;

/// Everything the engine knows.
#[derive(Debug)]
struct Engine {
    port: Port,
    ready: ReadySet,
    doors: HashMap<ServiceIndex, DoorState>,
    /// Whose door a listening socket belongs to.
    sockets: HashMap<SocketIndex, ServiceIndex>,
    /// Servers that run, by service; also of services whose door is gone.
    counts: HashMap<ServiceIndex, Counts>,
    /// Servers that run, by ticket.
    tickets: HashMap<Ticket, (ServiceIndex, Source)>,
    last_ticket: Ticket,
    /// Descriptors that this process may have.
    descriptors: usize,
    /// Clients that are served here.
    sessions: HashMap<Ticket, Session>,
    /// Clients whose datagrams are passed on.
    flows: Flows,
    /// What those share that are passed on.
    workshop: Rc<Workshop>,
    process_limit: Limit,
    /// Who came to a SENSOR.
    locked_out: DenyList,
    wrap_files: WrapFiles,
    replies: Replies,
    /// Servers ordered or about to be, over all services.
    running: u32,
    /// Clients that the monitor has given back.
    returned: Vec<Visitor>,
    /// The plan in force.
    generation: Generation,
    /// A plan that has not been committed yet.
    arriving: Option<Arriving>,
    /// Banners that were asked for.
    banners: HashMap<u64, oneshot::Sender<Option<OwnedFd>>>,
    last_banner: u64,
    /// Whose turn it is to have a banner read.
    readers: Arc<Semaphore>,
    /// Whose turn it is to ask for a name.
    lookups: Arc<Semaphore>,
    /// Whose turn it is to ask a client's host for its user: before a server starts, and after
    /// a refusal (`-logprocs`, known with the first plan).
    ident_turns: Arc<Semaphore>,
    refused_turns: Option<Arc<Semaphore>>,
    /// Connections that wait for a banner or a name, and how many may.
    pending: usize,
    most_pending: usize,
    /// Connections that have been let in, and whose hosts are asked for the user first.
    identifying: usize,
    /// Doors closed by `cps`, and until when; nearly always none.
    paused: Vec<(Instant, ServiceIndex)>,
    /// What an operator has made of doors, where that has been said.
    gates: HashMap<ServiceIndex, Gate>,
    /// Doors with an order that is not in force yet.
    turning: Vec<ServiceIndex>,
    /// Out of descriptors or memory: nothing is accepted until then.
    resting_until: Option<Instant>,
    /// Sockets that servers have, or are about to get.
    loans: Loans,
    /// Whom refused datagrams came from that the log has heard of.
    told: Told,
    /// Whom the monitor hears of by number.
    unreported: Unreported,
    /// For one datagram.
    buffer: Vec<u8>,
    clock: Clock,
    stop: Stop,
    /// Rung by tasks that have changed what the loop waits for.
    wake: Rc<Notify>,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    NotAsked,
    /// Nothing is accepted; what has been is still handed over.
    Draining,
    /// The monitor has been told that nothing is left.
    Drained,
    /// As `Draining`: the monitor will go then, and whoever is served here goes on.
    Leaving,
    /// As `Drained`: alone, or soon.
    Left,
}

/// Runs an engine on the channel that was inherited, until the monitor is gone.
#[must_use]
pub fn run() -> ExitCode {
    let Ok(outcome) = prepare_and_serve() else {
        return ExitCode::FAILURE;
    };
    match outcome {
        Outcome::MonitorGone => ExitCode::SUCCESS,
        Outcome::Unable => ExitCode::FAILURE,
        Outcome::Violation => ExitCode::from(VIOLATION_STATUS),
    }
}

/// Why an engine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    MonitorGone,
    /// Out of descriptors where one was needed: a new engine is asked for by dying.
    Unable,
    /// The monitor sent what it must not send.
    Violation,
}

fn prepare_and_serve() -> io::Result<Outcome> {
    privilege::set_process_name(c"xinetd-engine")?;
    privilege::not_dumpable()?;
    let confinement = sandbox::confine();
    let port = Port::new(Channel::inherited(ENGINE_CHANNEL)?);
    let engine = Rc::new(RefCell::new(Engine::new(port)?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(engine, confinement))
}

/// The loop: orders first, then room in the channel, then clients, then what is due.
async fn serve(engine: Rc<RefCell<Engine>>, confinement: Confinement) -> io::Result<Outcome> {
    let channel = watch(&engine.borrow().port, Interest::READABLE | Interest::WRITABLE)?;
    let ready = watch(&engine.borrow().ready, Interest::READABLE)?;
    let wake = Rc::clone(&engine.borrow().wake);
    engine.borrow_mut().tell(&ToMonitor::Hello { build: BUILD, confinement });
    loop {
        accept::receive_again(&engine);
        engine.borrow_mut().finish_turning();
        engine.borrow_mut().finish_stop();
        let (is_clear, may_accept, due) = {
            let engine = engine.borrow();
            (engine.port.is_clear(), engine.may_accept(), engine.next_deadline())
        };
        let due_at = due.map_or_else(Deadline::now, Deadline::from_std);
        tokio::select! {
            biased;
            guard = channel.readable() => {
                match engine.borrow_mut().hear() {
                    Ok(hear::Heard::Everything) => guard?.clear_ready(),
                    Ok(hear::Heard::Some) => drop(guard?),
                    Ok(hear::Heard::End) => break,
                    Ok(hear::Heard::Unable) => return Ok(Outcome::Unable),
                    Err(_) => return Ok(Outcome::Violation),
                }
            }
            guard = channel.writable(), if !is_clear => {
                let mut engine = engine.borrow_mut();
                engine.port.flush();
                if engine.port.is_clear() { drop(guard?) } else { guard?.clear_ready() }
            }
            guard = ready.readable(), if may_accept => {
                if accept::accept_ready(&engine) {
                    drop(guard?);
                    // There may be more; but the channel and the timers get their turn first.
                    yield_now().await;
                } else {
                    guard?.clear_ready();
                }
            }
            () = wake.notified() => {}
            () = sleep_until(due_at), if due.is_some() => engine.borrow_mut().meet_deadlines(),
        }
    }
    leave::serve_to_the_end(&engine).await;
    Ok(Outcome::MonitorGone)
}

impl Engine {
    fn new(port: Port) -> io::Result<Self> {
        let descriptors = usize::try_from(fd::descriptor_limit()).unwrap_or(usize::MAX);
        Ok(Self {
            port,
            ready: ReadySet::new()?,
            doors: HashMap::new(),
            sockets: HashMap::new(),
            counts: HashMap::new(),
            tickets: HashMap::new(),
            last_ticket: Ticket(0),
            descriptors,
            sessions: HashMap::new(),
            flows: Flows::default(),
            workshop: Workshop::new(MOST_PIPES.min(descriptors / 64)),
            process_limit: Limit::Unlimited,
            locked_out: DenyList::default(),
            wrap_files: WrapFiles::default(),
            replies: Replies::default(),
            running: 0,
            returned: Vec::new(),
            generation: Generation::default(),
            arriving: None,
            banners: HashMap::new(),
            last_banner: 0,
            readers: Arc::new(Semaphore::new(BANNER_READERS)),
            lookups: Arc::new(Semaphore::new(names::MOST_LOOKUPS)),
            ident_turns: Arc::new(Semaphore::new(MOST_ASKED.min(descriptors / 8).max(1))),
            refused_turns: None,
            pending: 0,
            identifying: 0,
            most_pending: MOST_PENDING.min(descriptors / 4).max(1),
            paused: Vec::new(),
            gates: HashMap::new(),
            turning: Vec::new(),
            resting_until: None,
            loans: Loans::new(),
            told: Told::default(),
            unreported: Unreported::default(),
            buffer: vec![0; datagram::LONGEST],
            clock: Clock::new(),
            stop: Stop::NotAsked,
            wake: Rc::new(Notify::new()),
        })
    }

    /// Whether a client may be accepted now. While the monitor is busy nothing is: the
    /// kernel's backlog is the queue.
    fn may_accept(&self) -> bool {
        self.port.is_clear()
            && self.stop == Stop::NotAsked
            && self.resting_until.is_none()
            && self.pending < self.most_pending
    }

    /// When something has to be done without anybody asking.
    fn next_deadline(&self) -> Option<Instant> {
        let paused = self.paused.iter().map(|(at, _)| *at);
        paused.chain(self.resting_until).chain(self.unreported.due()).min()
    }

    /// Nobody is let in any more, and no door opens again.
    fn begin_stop(&mut self) {
        self.stop = Stop::Draining;
        self.paused.clear();
        self.close_all();
    }

    /// The same, but connections that are served here go on.
    fn begin_drain(&mut self, how: Stop) {
        self.begin_stop();
        self.stop = how;
        self.cut_off_flows();
    }

    /// After [`Self::begin_stop`]: says so when everything has been handed over.
    fn finish_stop(&mut self) {
        if self.pending + self.identifying > 0 || !self.port.is_clear() {
            return;
        }
        match self.stop {
            Stop::Draining => self.stop = Stop::Drained,
            Stop::Leaving => self.make_ready_to_leave(),
            Stop::NotAsked | Stop::Drained | Stop::Left => return,
        }
        self.tell(&ToMonitor::Stopped);
    }
}

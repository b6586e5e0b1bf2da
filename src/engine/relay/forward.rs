//! `redirect` for datagrams: each client has a socket of its own towards the target, and what
//! comes to that goes back to the client, from the address that it wrote to.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::connect::Failure;
use super::target::Target;
use crate::engine::Engine;
use crate::engine::accept::is_exhausted;
use crate::engine::datagram::Arrival;
use crate::engine::session::{Client, Traffic, count};
use crate::ipc::{Ending, Event, Ports, Ticket};
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::sys::Errno;
use crate::sys::datagram;
use crate::sys::socket;

/// A flow ends when nothing has come from either side for so long, or for half as long again.
const IDLE: Duration = Duration::from_secs(60);

/// Flows of all services together; one more takes the place of one that rests.
const MOST: usize = 1024;

/// How many flows are looked at to find one that rests.
const CHANCES: usize = 64;

/// Datagrams of a client that wait until its target's name has been looked up.
const EARLY: usize = 16;

/// Datagrams for one client before others get their turn.
const DATAGRAMS_A_TURN: usize = 64;

/// Ports of services that answer whatever comes: echo, daytime, qotd, chargen, time. With a
/// forged datagram from one of them, two that answer would talk to each other for ever.
const ANSWERING: [u16; 5] = [7, 13, 17, 19, 37];

/// A client at one of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::engine) struct FlowKey {
    service: ServiceIndex,
    socket: SocketIndex,
    from: SocketAddr,
    to: Option<IpAddr>,
}

impl FlowKey {
    const fn of(at: Arrival) -> Self {
        let Arrival { service, socket, received, .. } = at;
        Self { service, socket, from: received.from, to: received.to }
    }
}

/// What has been read of a client, and its way on.
#[derive(Debug, Default)]
struct Flow {
    /// Not there yet while the target's name is looked up; then a few datagrams wait.
    target: OnceCell<UdpSocket>,
    early: RefCell<Vec<Vec<u8>>>,
    traffic: Rc<Traffic>,
    /// Datagrams of both sides.
    count: Cell<u64>,
    /// Something has come since somebody looked: more than one question and one answer, after
    /// which many clients never come back.
    is_awake: Cell<bool>,
}

/// All flows.
#[derive(Debug, Default)]
pub(in crate::engine) struct Flows {
    by_key: HashMap<FlowKey, Rc<Flow>>,
    /// Those that may have to make room, the next one first; some have ended.
    queue: VecDeque<Ticket>,
}

impl Flows {
    /// Passes a datagram on, if it is one of a client that is known.
    pub(in crate::engine) fn pass_on(&self, at: Arrival, bytes: &[u8]) -> bool {
        let flow = self.by_key.get(&FlowKey::of(at));
        flow.inspect(|flow| flow.take(bytes)).is_some()
    }

    pub(in crate::engine) fn remove(&mut self, key: &FlowKey) {
        self.by_key.remove(key);
    }
}

impl Flow {
    fn note(&self, direction: &Cell<u64>, bytes: usize) {
        const EXCHANGE: u64 = 2;
        count(direction, bytes);
        self.count.set(self.count.get() + 1);
        self.is_awake.set(self.count.get() > EXCHANGE);
    }

    /// Sends a datagram of the client to the target. One that cannot be sent now is lost, as on
    /// any wire.
    fn take(&self, bytes: &[u8]) {
        self.note(&self.traffic.received, bytes.len());
        match self.target.get() {
            Some(target) => drop(target.try_send(bytes)),
            None => {
                let mut early = self.early.borrow_mut();
                if early.len() < EARLY {
                    early.push(bytes.to_vec());
                }
            }
        }
    }
}

/// Begins to pass on what a client sends that has been let in, and is counted.
pub(in crate::engine) fn forward(engine: &Rc<RefCell<Engine>>, at: Arrival, bytes: &[u8]) {
    let (service, peer, key) = (at.service, at.source(), FlowKey::of(at));
    let mut inner = engine.borrow_mut();
    // Two datagrams of one client may have waited for its name.
    let is_known = inner.flows.pass_on(at, bytes);
    let target = match is_known || ANSWERING.contains(&key.from.port()) {
        true => None,
        false => inner.target_for(service),
    };
    let Some(target) = target else {
        inner.uncount(service, peer);
        return;
    };
    let flow = Rc::<Flow>::default();
    flow.take(bytes);
    inner.flows.by_key.insert(key, Rc::clone(&flow));
    let listener = inner.doors.get(&service).and_then(|state| state.listener(key.socket));
    let own = listener.map_or(0, socket::local_port);
    drop(inner);
    let (ports, traffic) = (Ports { peer: key.from.port(), own }, Rc::clone(&flow.traffic));
    let client = Client { service, peer, ports, traffic, flow: Some(key) };
    let ticket = client.begin(engine, serve(Rc::clone(engine), key, target, flow));
    engine.borrow_mut().flows.queue.push_back(ticket);
}

impl Engine {
    /// The target of a service, if there is room for one more flow.
    fn target_for(&mut self, service: ServiceIndex) -> Option<Rc<Target>> {
        if !self.make_room() {
            self.say_once_a_minute(service, Event::Crowded);
            return None;
        }
        let state = self.doors.get_mut(&service)?;
        if state.turn().is_some() {
            return None;
        }
        state.take_turn();
        state.target.clone()
    }

    /// Ends a flow that rests, if there are too many.
    fn make_room(&mut self) -> bool {
        let most = MOST.min(self.most_sessions());
        if self.flows.queue.len() > 2 * most {
            let Self { flows, sessions, .. } = self;
            flows.queue.retain(|ticket| sessions.contains_key(ticket));
        }
        let mut chances = CHANCES;
        while self.flows.by_key.len() >= most && chances > 0 {
            let Some(ticket) = self.flows.queue.pop_front() else { return false };
            let key = self.sessions.get(&ticket).and_then(|session| session.flow);
            let flow = key.and_then(|key| self.flows.by_key.get(&key));
            match flow.map(|flow| flow.is_awake.take()) {
                Some(true) => {
                    self.flows.queue.push_back(ticket);
                    chances -= 1;
                }
                Some(false) => self.end_session(ticket, Ending::Complete),
                None => {}
            }
        }
        self.flows.by_key.len() < most
    }

    /// Passes on one datagram of the target's.
    fn take_answer(&mut self, key: &FlowKey, way: &UdpSocket, flow: &Flow) -> io::Result<()> {
        let length = way.try_recv(&mut self.buffer)?;
        flow.note(&flow.traffic.sent, length);
        let listener = self.doors.get(&key.service).and_then(|state| state.listener(key.socket));
        if let Some((listener, bytes)) = listener.zip(self.buffer.get(..length)) {
            datagram::send(listener, bytes, key.from, key.to).ok();
        }
        Ok(())
    }
}

/// A flow from its first datagram to its end.
async fn serve(
    engine: Rc<RefCell<Engine>>,
    key: FlowKey,
    target: Rc<Target>,
    flow: Rc<Flow>,
) -> Ending {
    let way = match reach(&engine, &key, &target).await {
        Ok(way) => way,
        Err(failure) => return engine.borrow_mut().not_reached(key.service, &failure),
    };
    for bytes in flow.early.take() {
        way.try_send(&bytes).ok();
    }
    let way = flow.target.get_or_init(|| way);
    let is_told = Cell::new(false);
    let refused = |cause| {
        if !is_told.replace(true) {
            let address = way.peer_addr().ok();
            engine.borrow_mut().not_reached(key.service, &Failure { address, cause });
        }
    };
    let one = || {
        let answer = engine.borrow_mut().take_answer(&key, way, &flow);
        match answer {
            Ok(()) => is_told.set(false),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return false,
            Err(cause) => refused(cause),
        }
        true
    };
    until_idle(way, &flow, IDLE, one, refused).await;
    Ending::Complete
}

/// A socket towards the target, on the first address that there is a route to.
async fn reach(
    engine: &Rc<RefCell<Engine>>,
    key: &FlowKey,
    target: &Rc<Target>,
) -> Result<UdpSocket, Failure> {
    let turns = Arc::clone(&engine.borrow().lookups);
    let addresses = target.addresses(&turns).await;
    let own = engine.borrow().doors.get(&key.service).and_then(|state| {
        let port = socket::local_port(state.listener(key.socket)?);
        Some(SocketAddr::new(key.to?.to_canonical(), port))
    });
    if let Some(own) = own.filter(|own| addresses.contains(own)) {
        return Err(Failure { address: Some(own), cause: Errno::ELOOP.into() });
    }
    let mut failure = Failure::nowhere();
    for address in addresses.iter().copied() {
        match towards(address).await {
            Ok(way) => return Ok(way),
            Err(cause) => failure = Failure { address: Some(address), cause },
        }
    }
    if is_exhausted(&failure.cause) {
        engine.borrow_mut().rest();
    }
    Err(failure)
}

async fn towards(address: SocketAddr) -> io::Result<UdpSocket> {
    let own: IpAddr = match address.is_ipv4() {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => Ipv6Addr::UNSPECIFIED.into(),
    };
    let way = StdSocket::bind((own, 0))?;
    way.connect(address)?;
    way.set_nonblocking(true)?;
    let way = UdpSocket::from_std(way)?;
    // Before that nothing would be sent, because tokio does not know that there is room.
    way.writable().await?;
    Ok(way)
}

/// Does `one` as often as something comes from the target, until nothing has come from either
/// side for a while. Nobody listening there is no end: somebody may, soon.
async fn until_idle(
    way: &UdpSocket,
    flow: &Flow,
    idle: Duration,
    one: impl Fn() -> bool,
    refused: impl Fn(io::Error),
) {
    let answers = async || {
        while let Ok(ready) = way.ready(Interest::READABLE.add(Interest::ERROR)).await {
            if ready.is_error() {
                if let Ok(Some(cause)) = way.take_error() {
                    refused(cause);
                }
                let seen = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                way.try_io(Interest::ERROR, seen).unwrap_or_default();
            }
            if (0..DATAGRAMS_A_TURN).all(|_| one()) {
                yield_now().await;
            }
        }
    };
    let mut quiet = 0;
    while quiet < 2 {
        let before = flow.count.get();
        timeout(idle / 2, answers()).await.unwrap_or_default();
        quiet = if flow.count.get() == before { quiet + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_ends_when_neither_side_says_anything() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let way = towards(target.local_addr().unwrap()).await.unwrap();
            let (flow, buffer) = (Flow::default(), RefCell::new([0; 10]));
            let one = || match way.try_recv(buffer.borrow_mut().as_mut_slice()) {
                Ok(length) => {
                    flow.note(&flow.traffic.sent, length);
                    true
                }
                Err(_) => false,
            };
            let idle = Duration::from_secs(1);
            let talk = async {
                for _ in 0..5 {
                    target.send_to(b"x", way.local_addr().unwrap()).await.unwrap();
                    tokio::time::sleep(idle / 4).await;
                }
            };
            let begun = std::time::Instant::now();
            tokio::join!(until_idle(&way, &flow, idle, one, |_| ()), talk);
            assert_eq!(flow.traffic.sent.get(), 5, "as long as somebody speaks it goes on");
            assert!(begun.elapsed() >= idle * 2);
        });
    }

    #[test]
    fn what_was_asked_and_answered_once_rests() {
        let flow = Flow::default();
        for is_awake in [false, false, true] {
            flow.note(&flow.traffic.received, 1);
            assert_eq!(flow.is_awake.take(), is_awake);
        }
    }
}

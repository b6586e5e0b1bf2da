//! Tests of the seam with both ends in one process: a monitor without an engine process, and
//! somebody who says what an engine would say, or anything else.

mod bounds;
mod consistency;
mod end;
mod gates;
mod reload;
mod retry;

use proptest::prelude::*;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli;
use crate::ipc::{BUILD, Incoming, Kind, Message, Port, Ports, State, Ticket, ToEngine, ToMonitor};
use crate::log::{DaemonLog, Destination, Look, ServiceLogs};
use crate::monitor::bind::Open;
use crate::monitor::consistency::Answer;
use crate::monitor::end::Exit;
use crate::monitor::engine_process::EngineProcess;
use crate::monitor::notify::Manager;
use crate::monitor::passed::Passed;
use crate::monitor::recipe::tests::service;
use crate::monitor::retry::Waiting;
use crate::monitor::running::Server;
use crate::monitor::services::{Household, Listener, ServerLog, Services};
use crate::monitor::store::Store;
use crate::monitor::{Given, Monitor};
use crate::plan::{Action, Generation, Service, ServiceIndex, SocketIndex, Source, Wait};
use crate::sys::Errno;
use crate::sys::channel::{Channel, PACKET, Packet};
use crate::sys::fd;
use crate::sys::outlet::Streams;
use crate::sys::process;
use crate::sys::sandbox::Confinement;
use crate::sys::signal::Signals;
use crate::sys::spawn::Spawner;

const PEER: Source = Source::Ip(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

#[expect(clippy::disallowed_methods, reason = "a test plays the client")]
fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A connection to the service of these tests, as the engine accepts it; the client's end
/// comes along.
fn connection(monitor: &Monitor) -> (OwnedFd, TcpStream) {
    let listener = &monitor.services.find(ServiceIndex(1)).unwrap().listeners[0].fd;
    accept(&TcpListener::from(fd::duplicate(listener).unwrap()))
}

/// A connection to no service.
fn stranger() -> (OwnedFd, TcpStream) {
    accept(&listener())
}

fn accept(listener: &TcpListener) -> (OwnedFd, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0.into(), client)
}

/// A monitor with these services, in `state`, and the engine's end of its channel.
fn monitor(state: State, services: Vec<Service>) -> (Monitor, Port) {
    let (ours, theirs) = Channel::pair().unwrap();
    let cli::Action::Run(options) = cli::parse(&["xinetd".into()]).unwrap() else {
        panic!("no words, no other action");
    };
    let (uid, _) = crate::sys::privilege::own_ids();
    let mut household = Household::new(Vec::new(), false, ServerLog::Inherited);
    let mut table = Services::default();
    for mut service in services {
        if let Action::Start { credentials, .. } = &mut service.action {
            credentials.uid = uid;
        }
        let listener = listener();
        let key = &mut service.sockets[0];
        key.address = listener.local_addr().unwrap().into();
        let listener = Listener::new(
            table.new_socket_index(),
            key.clone(),
            Open { file: None, fd: listener.into(), stored: None },
        );
        let index = table.new_index();
        let active = household.activate(Rc::new(service), vec![listener]).unwrap();
        table.insert(index, active);
    }
    let streams = Streams::default();
    let destination = Destination::File("/dev/null".into(), Look::File);
    let log = DaemonLog::open("xinetd", destination, false, &streams);
    let mut monitor = Monitor::new(Given {
        options: *options,
        daemon_log: Arc::new(log.unwrap()),
        household,
        account: None,
        start_directory: PathBuf::from("/"),
        descriptors: 1000,
        signals: Signals::only(&[]).unwrap(),
        spawner: Spawner::new(true),
        mishaps: process::mishap_pipe().unwrap(),
        logs: ServiceLogs::new("xinetd", streams),
        pid_file: None,
        passed: Passed::default(),
        store: Store::default(),
        manager: Manager::default(),
    });
    monitor.services = table;
    monitor.engine = Some(EngineProcess::for_test(Port::new(ours), state));
    (monitor, Port::new(theirs))
}

fn plain() -> Service {
    let mut service = service();
    if let Action::Start { program, .. } = &mut service.action {
        program.path = "/bin/true".into();
    }
    service
}

fn start(ticket: u64, service: u32) -> ToMonitor {
    ToMonitor::Start {
        ticket: Ticket(ticket),
        service: ServiceIndex(service),
        peer: PEER,
        failures: 0,
    }
}

/// What the monitor does about one message with one descriptor, or none.
fn hear(
    monitor: &mut Monitor,
    port: &mut Port,
    message: &ToMonitor,
    with: Option<OwnedFd>,
) -> Result<(), Exit> {
    port.send(message, with);
    monitor.hear_engine()
}

#[test]
fn an_order_with_everything_right_starts_a_server() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let (socket, _client) = connection(&monitor);
    assert_eq!(hear(&mut monitor, &mut port, &start(1, 1), Some(socket)), Ok(()));
    assert_eq!(monitor.running.count(), 1);
    let pid = monitor.running.iter().next().unwrap().0;
    process::wait_for(pid);
}

#[test]
fn an_order_that_is_wrong_in_one_thing_starts_nothing_and_ends_everything() {
    let pipe = || Some(process::mishap_pipe().unwrap().0);
    let socket = || Some(stranger().0);
    let listening = || Some(OwnedFd::from(listener()));
    let cases: [(&str, State, ToMonitor, Option<OwnedFd>); 10] = [
        ("without a connection", State::Serving, start(1, 1), None),
        ("with a pipe", State::Serving, start(1, 1), pipe()),
        ("with a listening socket", State::Serving, start(1, 1), listening()),
        ("for no service", State::Serving, start(1, 9), socket()),
        ("with no ticket", State::Serving, start(0, 1), socket()),
        ("before the greeting", State::Greeting, start(1, 1), socket()),
        ("before the first plan is in force", State::Opening, start(1, 1), socket()),
        (
            "a second greeting",
            State::Serving,
            ToMonitor::Hello { build: BUILD, confinement: Confinement::default() },
            None,
        ),
        (
            "a greeting of another build",
            State::Greeting,
            ToMonitor::Hello { build: 1, confinement: Confinement::default() },
            None,
        ),
        ("with a connection of another port", State::Serving, start(1, 1), Some(stranger().0)),
    ];
    for (what, state, message, with) in cases {
        let (mut monitor, mut port) = monitor(state, vec![plain()]);
        let heard = hear(&mut monitor, &mut port, &message, with);
        assert_eq!(heard, Err(Exit::Violation), "{what}");
        assert_eq!(monitor.running.count(), 0, "{what}");
    }
}

/// A service that lends its socket.
fn lending() -> Service {
    Service { wait: Wait::Yes, ..plain() }
}

fn serve(ticket: u64, service: u32, socket: u32) -> ToMonitor {
    let (service, socket) = (ServiceIndex(service), SocketIndex(socket));
    ToMonitor::Serve { ticket: Ticket(ticket), service, socket, peer: Source::Unknown }
}

#[test]
fn wait_1_a_server_gets_the_socket_itself_and_there_is_one_at_a_time() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![lending()]);
    assert_eq!(hear(&mut monitor, &mut port, &serve(1, 1, 1), None), Ok(()));
    assert_eq!(monitor.running.count(), 1);
    assert_eq!(hear(&mut monitor, &mut port, &serve(2, 1, 1), None), Err(Exit::Violation));
    assert_eq!(monitor.running.count(), 1);
    let pid = monitor.running.iter().next().unwrap().0;
    process::wait_for(pid);
}

#[test]
fn a_socket_is_lent_only_by_the_service_that_has_it_and_does_so() {
    let stranger = || Some(stranger().0);
    let cases: [(&str, Service, State, ToMonitor, Option<OwnedFd>); 6] = [
        ("wait = no", plain(), State::Serving, serve(1, 1, 1), None),
        ("no such service", lending(), State::Serving, serve(1, 9, 1), None),
        ("no such socket", lending(), State::Serving, serve(1, 1, 9), None),
        ("a socket beside it", lending(), State::Serving, serve(1, 1, 1), stranger()),
        ("before the first plan", lending(), State::Opening, serve(1, 1, 1), None),
        ("a connection instead", lending(), State::Serving, start(1, 1), stranger()),
    ];
    for (what, service, state, message, with) in cases {
        let (mut monitor, mut port) = monitor(state, vec![service]);
        let heard = hear(&mut monitor, &mut port, &message, with);
        assert_eq!(heard, Err(Exit::Violation), "{what}");
        assert_eq!(monitor.running.count(), 0, "{what}");
    }
}

#[test]
fn an_order_that_lost_its_connection_is_refused_where_it_is_permitted_at_all() {
    for (state, service, is_refused) in
        [(State::Serving, 1, true), (State::Serving, 9, false), (State::Opening, 1, false)]
    {
        let (mut monitor, mut port) = monitor(state, vec![plain()]);
        let heard = monitor.obey_stripped(start(1, service));
        assert_eq!(heard.is_ok(), is_refused, "{state:?} {service}");
        let answer = port.receive::<ToEngine>().unwrap();
        let is_answered = matches!(answer, Incoming::Message(ToEngine::NotStarted { .. }, None));
        assert_eq!(is_answered, is_refused, "{state:?} {service}");
        assert_eq!(monitor.running.count(), 0);
    }
}

#[test]
fn a_ticket_is_good_once() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let (first, _client) = connection(&monitor);
    assert_eq!(hear(&mut monitor, &mut port, &start(5, 1), Some(first)), Ok(()));
    for again in [5, 4] {
        let (socket, _client) = connection(&monitor);
        let heard = hear(&mut monitor, &mut port, &start(again, 1), Some(socket));
        assert_eq!(heard, Err(Exit::Violation));
    }
    assert_eq!(monitor.running.count(), 1);
}

/// A client of the service of these tests whose server could not be forked.
fn unforked(monitor: &Monitor, ticket: u64, failures: u8) -> Waiting {
    let (ticket, index, peer) = (Ticket(ticket), ServiceIndex(1), PEER);
    let active = monitor.services.find(index).unwrap();
    let connection = fd::duplicate(&active.listeners[0].fd).unwrap();
    Waiting { ticket, index, service: Rc::clone(&active.service), peer, connection, failures }
}

/// Packets of all kinds: noise, and messages with single bytes changed.
fn packets() -> impl Strategy<Value = Packet> {
    let noise = prop::array::uniform32(any::<u8>()).prop_map(|half| {
        let mut packet = [0; PACKET];
        packet[..32].copy_from_slice(&half);
        packet
    });
    let changed = (0_u8..27, 0..32_usize, any::<u8>()).prop_map(|(kind, at, byte)| {
        let mut packet = start(3, 1).encode();
        packet[0] = kind;
        packet[at] = byte;
        packet
    });
    prop_oneof![noise, changed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Never a panic; and a server only for an order that is right in every field and comes
    /// with a connection in a state that permits it.
    #[test]
    fn no_bytes_make_the_monitor_do_what_was_not_ordered(
        packet in packets(),
        state in prop::sample::select(vec![
            State::Greeting, State::Opening, State::Serving, State::Reloading, State::Stopping,
        ]),
        descriptor in 0..3_u8,
    ) {
        let (mut monitor, port) = monitor(state, vec![plain()]);
        let (socket, _client) = connection(&monitor);
        let with: Option<OwnedFd> = match descriptor {
            0 => None,
            1 => Some(socket),
            _ => Some(process::mishap_pipe().unwrap().0),
        };
        let raw = Channel::inherited_for_test(fd::duplicate(&port).unwrap());
        prop_assert!(raw.send(&packet, with.as_ref().map(AsFd::as_fd)).unwrap());
        let heard = monitor.hear_engine();
        let is_order = matches!(
            ToMonitor::decode(&packet),
            Ok(ToMonitor::Start { ticket, service, .. })
                if ticket > Ticket(0) && service == ServiceIndex(1)
        );
        let may_start = is_order && state.permits(Kind::Start) && descriptor == 1;
        prop_assert_eq!(monitor.running.count() == 1, may_start);
        prop_assert!(!may_start || heard.is_ok());
        for (pid, _) in monitor.running.iter() {
            process::wait_for(pid);
        }
    }
}

//! The clients: threads that connect, take the first byte's time, read to the end and close.

use std::{
    io::{self, Read as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The longest that one connect or one read may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a whole cell may take; the rest of it is not started.
const CELL: Duration = Duration::from_secs(120);
/// So many errors end a cell early: each may have cost the full patience.
const ERRORS: usize = 16;

/// How many clients share how many connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) connections: usize,
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// From before connect to the first byte, of each good connection; sorted.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) errors: usize,
    asked: usize,
    first_error: Option<io::Error>,
    took: Duration,
}

impl Outcome {
    /// Good connections per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// What a reader of the figures must know.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> =
            self.first_error.iter().map(|e| format!("first error: {e}")).collect();
        let tried = self.latencies.len() + self.errors;
        if tried < self.asked {
            notes.push(format!("ended early, after {tried} of {} connections", self.asked));
        }
        notes
    }
}

/// What the clients of one cell share.
struct Shared {
    address: SocketAddr,
    left: AtomicUsize,
    errors: AtomicUsize,
    start: Barrier,
}

/// Runs the load and waits for its end.
pub(crate) fn run(address: SocketAddr, load: Load) -> Outcome {
    let shared = Shared {
        address,
        left: AtomicUsize::new(load.connections),
        errors: AtomicUsize::new(0),
        start: Barrier::new(load.clients + 1),
    };
    let mut outcome = Outcome { asked: load.connections, ..Outcome::default() };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..load.clients).map(|_| scope.spawn(|| shared.client())).collect();
        shared.start.wait();
        let start = Instant::now();
        for client in clients {
            let Ok((latencies, error)) = client.join() else {
                outcome.first_error.get_or_insert(io::Error::other("a client panicked"));
                continue;
            };
            outcome.latencies.extend(latencies);
            outcome.first_error = outcome.first_error.take().or(error);
        }
        outcome.took = start.elapsed();
    });
    outcome.errors = shared.errors.into_inner();
    outcome.latencies.sort_unstable();
    outcome
}

impl Shared {
    fn client(&self) -> (Vec<Duration>, Option<io::Error>) {
        let mut latencies = Vec::with_capacity(self.left.load(Ordering::Relaxed));
        let mut first_error = None;
        self.start.wait();
        let start = Instant::now();
        while self.take_one() && start.elapsed() < CELL {
            match connection(self.address) {
                Ok(latency) => latencies.push(latency),
                Err(e) => {
                    self.errors.fetch_add(1, Ordering::Relaxed);
                    first_error.get_or_insert(e);
                }
            }
        }
        (latencies, first_error)
    }

    fn take_one(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.errors.load(Ordering::Relaxed) < ERRORS
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}

/// One connection from connect to close; the time to its first byte.
pub(crate) fn connection(address: SocketAddr) -> io::Result<Duration> {
    let (mut stream, latency) = first_byte(address)?;
    let mut buffer = [0; 256];
    while stream.read(&mut buffer)? > 0 {}
    Ok(latency)
}

/// Connects and reads the first bytes; the session stays open.
pub(crate) fn first_byte(address: SocketAddr) -> io::Result<(TcpStream, Duration)> {
    let start = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 256];
    if stream.read(&mut buffer)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the first byte"));
    }
    Ok((stream, start.elapsed()))
}

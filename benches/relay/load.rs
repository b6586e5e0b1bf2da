//! The clients.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    peer::Running,
    target::{PIECE, write},
};

/// The longest that one read may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one cell asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Connect { clients: usize, connections: usize },
    Receive { streams: usize, bytes: u64 },
    Send { streams: usize, bytes: u64 },
    Idle { connections: usize },
}

impl Load {
    /// How much of its unit the processor time is divided by: a thousand connections, a
    /// gigabyte, nothing.
    pub(crate) fn amount(self) -> f64 {
        match self {
            Self::Connect { connections, .. } => connections as f64 / 1e3,
            Self::Receive { bytes, .. } | Self::Send { bytes, .. } => bytes as f64 / 1e9,
            Self::Idle { .. } => f64::NAN,
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Connect { .. } => "conn/s",
            Self::Receive { .. } | Self::Send { .. } => "MB/s",
            Self::Idle { .. } => "KiB/conn",
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Connect { clients, .. } => format!("{clients} clients"),
            Self::Receive { streams, .. } => format!("receive {streams}"),
            Self::Send { streams, .. } => format!("send {streams}"),
            Self::Idle { connections } => format!("{connections} idle"),
        };
        f.pad(&text)
    }
}

/// Runs it; the figure is in its unit.
pub(crate) fn run(peer: &Running, load: Load) -> Result<f64> {
    let begun = Instant::now();
    match load {
        Load::Connect { clients, connections } => {
            let left = AtomicUsize::new(connections);
            let one_less = |left: usize| left.checked_sub(1);
            let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
            side_by_side(clients, || {
                while take() {
                    greeting(peer.greeter)?;
                }
                Ok(())
            })?;
            Ok(connections as f64 / begun.elapsed().as_secs_f64())
        }
        Load::Receive { streams, bytes } => {
            let each = bytes / streams as u64;
            side_by_side(streams, || receive(peer.source, each))?;
            Ok(bytes as f64 / 1e6 / begun.elapsed().as_secs_f64())
        }
        Load::Send { streams, bytes } => {
            let each = bytes / streams as u64;
            side_by_side(streams, || send(peer.sink, each))?;
            Ok(bytes as f64 / 1e6 / begun.elapsed().as_secs_f64())
        }
        Load::Idle { connections } => {
            let before = peer.memory();
            let held =
                (0..connections).map(|_| connect(peer.sink)).collect::<io::Result<Vec<_>>>()?;
            peer.at_rest();
            let figure = (peer.memory() - before) / connections as f64;
            for stream in held {
                stream.set_nonblocking(true)?;
                if stream.peek(&mut [0]).is_ok() {
                    return Err("one that was held has been closed".into());
                }
            }
            Ok(figure)
        }
    }
}

fn side_by_side(number: usize, work: impl Fn() -> io::Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..number).map(|_| scope.spawn(&work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))
        })
    })?;
    Ok(())
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one line and the end.
pub(crate) fn greeting(from: SocketAddr) -> io::Result<()> {
    let mut text = Vec::new();
    connect(from)?.read_to_end(&mut text)?;
    if text.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn receive(from: SocketAddr, bytes: u64) -> io::Result<()> {
    let mut stream = connect(from)?;
    stream.write_all(&bytes.to_le_bytes())?;
    let (mut buffer, mut got) = (vec![0; PIECE], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 if got == bytes => return Ok(()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => got += length as u64,
        }
    }
}

/// The answer is not waited for where the peer does not know half-close.
fn send(to: SocketAddr, bytes: u64) -> io::Result<()> {
    let mut stream = connect(to)?;
    write(&mut stream, bytes)?;
    stream.shutdown(Shutdown::Write)?;
    stream.read(&mut [0]).map(drop)
}

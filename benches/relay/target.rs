//! What connections are passed on to: three services in this process.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::Result;

/// What is written or read at once.
pub(crate) const PIECE: usize = 256 << 10;

/// Where they listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Targets {
    /// Says one line and closes.
    pub(crate) greeter: SocketAddr,
    /// Sends as many bytes as the first eight say, and closes.
    pub(crate) source: SocketAddr,
    /// Reads to the end, and answers with one byte.
    pub(crate) sink: SocketAddr,
}

impl Targets {
    pub(crate) fn open() -> Result<Self> {
        Ok(Self {
            greeter: serve(greet, true)?,
            source: serve(send, false)?,
            sink: serve(drain, false)?,
        })
    }
}

fn serve(work: fn(TcpStream) -> io::Result<()>, is_brief: bool) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if is_brief {
                work(client).ok();
            } else {
                thread::spawn(move || work(client));
            }
        }
    });
    Ok(address)
}

fn greet(mut client: TcpStream) -> io::Result<()> {
    client.write_all(b"220 ready\r\n")
}

fn send(mut client: TcpStream) -> io::Result<()> {
    let mut left = [0; 8];
    client.read_exact(&mut left)?;
    write(&mut client, u64::from_le_bytes(left))
}

fn drain(mut client: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    while client.read(&mut buffer)? > 0 {}
    client.write_all(b".")
}

/// So many bytes.
pub(crate) fn write(to: &mut TcpStream, mut left: u64) -> io::Result<()> {
    let piece = vec![b'x'; PIECE];
    while left > 0 {
        let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        to.write_all(piece.get(..length).unwrap_or_default())?;
        left -= length as u64;
    }
    Ok(())
}

//! The sockets of the system's loggers: `/dev/log` and that of the journal.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;

use crate::log::Room;
use crate::sys::Errno;
use crate::sys::socket;

/// A connection to a logger, made when it is first needed and again when it broke.
#[derive(Debug)]
pub(super) struct Logger {
    path: &'static str,
    socket: Option<Arc<Socket>>,
}

#[derive(Debug)]
enum Socket {
    Datagram(UnixDatagram),
    /// As syslog(3) does where the logger wants it so: each message ends with a NUL byte.
    Stream(UnixStream),
}

impl Logger {
    pub(super) const fn new(path: &'static str) -> Self {
        Self { path, socket: None }
    }

    /// Where room shows, if there is a connection.
    pub(super) fn room(&self) -> Option<Room> {
        self.socket.clone().map(|socket| socket as Room)
    }

    /// Sends the first of `messages`. Never waits: `WouldBlock` when the logger is busy.
    ///
    /// # Errors
    /// As connect(2) and send(2).
    pub(super) fn take(&mut self, messages: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(message) = messages.first() else { return Ok(0) };
        if let Some(socket) = self.socket.take() {
            match self.send_over(socket, message) {
                Err(cause) if cause.kind() != ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
        // Not there before, or the logger has been restarted: once more on a new socket.
        let socket = Arc::new(Socket::connect(self.path)?);
        self.send_over(socket, message)
    }

    /// Keeps the socket, unless it is broken.
    fn send_over(&mut self, socket: Arc<Socket>, message: &[u8]) -> io::Result<usize> {
        let sent = socket.send(message);
        let is_whole = !sent.as_ref().is_err_and(|cause| cause.kind() != ErrorKind::WouldBlock);
        self.socket = is_whole.then_some(socket);
        sent.map(|()| message.len())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagram(socket) => socket.as_fd(),
            Self::Stream(socket) => socket.as_fd(),
        }
    }
}

impl Socket {
    fn connect(path: &str) -> io::Result<Self> {
        let datagram = UnixDatagram::unbound()?;
        match datagram.connect(path) {
            Err(cause) if cause.raw_os_error() == Some(Errno::EPROTOTYPE as i32) => {
                Ok(Self::Stream(socket::connect_now(path)?))
            }
            connected => connected.map(|()| Self::Datagram(datagram)),
        }
    }

    /// All of the message or nothing of it.
    fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagram(socket) => socket::send_now(socket, message).map(drop),
            Self::Stream(socket) => {
                let message = [message, b"\0"].concat();
                match socket::send_now(socket, &message)? {
                    sent if sent == message.len() => Ok(()),
                    // The connection is given up: the message goes over the next one.
                    _ => Err(ErrorKind::WriteZero.into()),
                }
            }
        }
    }
}

//! One side of a session: the client's connection, or that to the target.

use socket2::SockRef;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// A connection that does not wait.
#[derive(Debug)]
pub(super) enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl End {
    /// Ready when reading, else writing, may succeed; an error or the end count as that.
    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<()>> {
        match (self, interest.is_readable()) {
            (Self::Tcp(stream), true) => stream.poll_read_ready(cx),
            (Self::Tcp(stream), false) => stream.poll_write_ready(cx),
            (Self::Unix(stream), true) => stream.poll_read_ready(cx),
            (Self::Unix(stream), false) => stream.poll_write_ready(cx),
        }
    }

    /// Runs `act`; if it would block, [`poll_ready`](Self::poll_ready) waits for the kernel's word.
    pub(super) fn try_io<R>(
        &self,
        interest: Interest,
        act: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, act),
            Self::Unix(stream) => stream.try_io(interest, act),
        }
    }

    /// Returns when the connection is reset, or the other side has been silent for longer than
    /// keepalive permits.
    pub(super) async fn failed(&self) {
        // An error here is one of the registration: nothing more comes.
        match self {
            Self::Tcp(stream) => stream.ready(Interest::ERROR).await.ok(),
            Self::Unix(stream) => stream.ready(Interest::ERROR).await.ok(),
        };
    }

    /// The other side reads to the end and can still write.
    pub(super) fn end_output(&self) {
        SockRef::from(self).shutdown(Shutdown::Write).ok();
    }

    /// When it is closed, the other side sees a reset.
    pub(super) fn reset_on_close(&self) {
        SockRef::from(self).set_linger(Some(Duration::ZERO)).ok();
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

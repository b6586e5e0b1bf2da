//! The monitor's one place to wait.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Input,
    /// Room to write.
    Room,
    InputOrRoom,
    /// The end of the connection alone, which is always told.
    End,
}

impl Interest {
    const fn flags(self) -> PollFlags {
        match self {
            Self::Input => PollFlags::POLLIN,
            Self::Room => PollFlags::POLLOUT,
            Self::End => PollFlags::empty(),
            Self::InputOrRoom => PollFlags::POLLIN.union(PollFlags::POLLOUT),
        }
    }
}

/// Whether something can be written now. An error is as good as room: the write tells it.
pub fn has_room(fd: impl AsFd) -> bool {
    is_now(fd, PollFlags::POLLOUT)
}

/// Whether a socket is shut down for reading, or its other end is.
pub fn is_hung_up(fd: impl AsFd) -> bool {
    is_now(fd, PollFlags::from_bits_retain(libc::POLLRDHUP))
}

/// Whether the other end of a connection is gone, or it is broken.
pub fn is_at_its_end(fd: impl AsFd) -> bool {
    is_now(fd, PollFlags::empty())
}

/// Whether one of these holds now, or the end or an error, which are always told.
fn is_now(fd: impl AsFd, flags: PollFlags) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), flags)], PollTimeout::ZERO) != Ok(0)
}

/// Waits until `signals` can be read, `other` or one of `visitors` is as wanted, one of `rooms` has
/// room, or `timeout` is over. Errors are as good as readiness: who reads or writes next sees them.
/// Says whether one of `visitors` is ready.
pub fn wait<'a>(
    signals: BorrowedFd<'a>,
    other: Option<(BorrowedFd<'a>, Interest)>,
    visitors: impl IntoIterator<Item = (BorrowedFd<'a>, Interest)>,
    rooms: impl IntoIterator<Item = BorrowedFd<'a>>,
    timeout: Option<Duration>,
) -> bool {
    // Rounded up, so that nobody wakes just before a deadline to wait again.
    let timeout = timeout.map_or(PollTimeout::NONE, |t| {
        PollTimeout::try_from(t.saturating_add(Duration::from_millis(1)))
            .unwrap_or(PollTimeout::MAX)
    });
    let mut all = vec![PollFd::new(signals, PollFlags::POLLIN)];
    all.extend(other.map(|(fd, interest)| PollFd::new(fd, interest.flags())));
    all.extend(rooms.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
    let first = all.len();
    all.extend(visitors.into_iter().map(|(fd, interest)| PollFd::new(fd, interest.flags())));
    let _ = poll(&mut all, timeout);
    let mut visitors = all.iter().skip(first);
    visitors.any(|fd| fd.revents().is_some_and(|events| !events.is_empty()))
}

//! The monitor's one place to wait.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Input,
    /// Room to write.
    Room,
    InputOrRoom,
}

impl Interest {
    const fn flags(self) -> PollFlags {
        match self {
            Self::Input => PollFlags::POLLIN,
            Self::Room => PollFlags::POLLOUT,
            Self::InputOrRoom => PollFlags::POLLIN.union(PollFlags::POLLOUT),
        }
    }
}

/// Waits until `signals` can be read, `other` is as wanted, or `timeout` is over. Errors are as
/// good as readiness: who reads next sees them.
pub fn wait(
    signals: BorrowedFd<'_>,
    other: Option<(BorrowedFd<'_>, Interest)>,
    timeout: Option<Duration>,
) {
    // Rounded up, so that nobody wakes just before a deadline to wait again.
    let timeout = timeout.map_or(PollTimeout::NONE, |t| {
        PollTimeout::try_from(t.saturating_add(Duration::from_millis(1)))
            .unwrap_or(PollTimeout::MAX)
    });
    let signals = PollFd::new(signals, PollFlags::POLLIN);
    let _ = match other {
        Some((fd, interest)) => poll(&mut [signals, PollFd::new(fd, interest.flags())], timeout),
        None => poll(&mut [signals], timeout),
    };
}

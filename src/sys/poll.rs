//! The monitor's one place to wait.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Waits until one of `first` and `second` can be read (or `second` written, if `or_write`),
/// or `timeout` is over. Errors are as good as readiness: who reads next sees them.
pub fn wait(
    first: BorrowedFd<'_>,
    second: Option<BorrowedFd<'_>>,
    or_write: bool,
    timeout: Option<Duration>,
) {
    let both = if or_write { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
    // Rounded up, so that nobody wakes just before a deadline to wait again.
    let timeout = timeout.map_or(PollTimeout::NONE, |t| {
        PollTimeout::try_from(t + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
    });
    let first = PollFd::new(first, PollFlags::POLLIN);
    let _ = match second {
        Some(second) => poll(&mut [first, PollFd::new(second, both)], timeout),
        None => poll(&mut [first], timeout),
    };
}

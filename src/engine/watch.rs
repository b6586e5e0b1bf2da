//! Descriptors under tokio's eye.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys::fd;

/// Watches a duplicate of `fd`, which lives as long as the registration.
///
/// # Errors
/// `EMFILE`.
#[expect(
    deprecated,
    reason = "the successor is unsafe because a type may close or change its descriptor while \
              it is registered; an OwnedFd can do neither"
)]
pub(super) fn watch(fd: impl AsFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd::duplicate(fd)?, interest)
}

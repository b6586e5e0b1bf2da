//! Many descriptors, one question: which of them are ready (epoll(7), level-triggered).

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::sys::Errno;

/// How many ready descriptors one question returns at most.
pub const BATCH: usize = 64;

/// A set of descriptors watched for input, each under a number of the caller's.
#[derive(Debug)]
pub struct ReadySet(Epoll);

impl ReadySet {
    /// An empty set.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn new() -> Result<Self, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Watches `fd`; readiness is reported as `number`.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub fn add(&self, fd: impl AsFd, number: u32) -> Result<(), Errno> {
        self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(number)))
    }

    /// Stops watching `fd`.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub fn remove(&self, fd: impl AsFd) -> Result<(), Errno> {
        self.0.delete(fd)
    }

    /// The numbers that are ready now, at most [`BATCH`] of them; does not wait.
    ///
    /// # Errors
    /// As epoll_wait(2).
    pub fn ready(&self, into: &mut Vec<u32>) -> Result<(), Errno> {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = self.0.wait(&mut events, EpollTimeout::ZERO)?;
        into.clear();
        into.extend(events.iter().take(count).map(|e| u32::try_from(e.data()).unwrap_or(u32::MAX)));
        Ok(())
    }
}

impl AsFd for ReadySet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

impl AsRawFd for ReadySet {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

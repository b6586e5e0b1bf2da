//! Signals as readable data: every one is blocked and comes through one descriptor.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use nix::sys::signal::{kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::Errno;

pub use nix::sys::signal::Signal as Name;

/// The signals of a process, read one at a time.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Sets every standard signal to its default disposition and takes it over.
    ///
    /// Signals that were ignored at start (nohup) are caught nevertheless, those that were
    /// blocked stay blocked and unread (SIG-8). Those of faults (SIGSEGV, SIGBUS, SIGFPE,
    /// SIGILL) keep killing (SIG-5), as do SIGKILL and SIGSTOP.
    ///
    /// # Errors
    /// As signalfd(2).
    pub fn take_over() -> Result<Self, Errno> {
        default_dispositions()?;
        let mut inherited = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, None, Some(&mut inherited))?;
        let ours: SigSet = Signal::iterator().filter(|s| is_deferrable(*s)).collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ours), None)?;
        // Without SIGCHLD no server would ever be reaped: that one is not the operator's.
        let is_read = |s: &Signal| *s == Signal::SIGCHLD || !inherited.contains(*s);
        let read: SigSet = ours.iter().filter(is_read).collect();
        SignalFd::with_flags(&read, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self)
    }

    /// Takes over these signals only; all others stay as they are.
    ///
    /// # Errors
    /// As signalfd(2).
    pub fn only(signals: &[Signal]) -> Result<Self, Errno> {
        let set: SigSet = signals.iter().copied().collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self)
    }

    /// The next signal that has arrived, if any.
    #[must_use]
    pub fn next(&self) -> Option<Signal> {
        let info = self.0.read_signal().ok().flatten()?;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn is_deferrable(signal: Signal) -> bool {
    !matches!(
        signal,
        Signal::SIGKILL
            | Signal::SIGSTOP
            | Signal::SIGSEGV
            | Signal::SIGBUS
            | Signal::SIGFPE
            | Signal::SIGILL
    )
}

/// Gives every standard signal its default disposition, whatever was inherited and whatever
/// Rust's runtime has set (it ignores SIGPIPE). Exec keeps it so for servers (SRV-11).
fn default_dispositions() -> Result<(), Errno> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: sigaction is unsafe because handlers may run at any time; SIG_DFL runs
            // no code of ours, and no previous handler is kept for later use.
            let previous = unsafe { sigaction(signal, &default) };
            previous?;
        }
    }
    Ok(())
}

/// Unblocks every signal: the first step of a server's life (SRV-11).
///
/// # Errors
/// None in practice.
pub fn unblock_all() -> Result<(), Errno> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Sends `signal` to one process.
///
/// # Errors
/// As kill(2).
pub fn send(pid: i32, signal: Signal) -> Result<(), Errno> {
    kill(Pid::from_raw(pid), signal)
}

/// Whether a process with this id exists, as a zombie at least.
#[must_use]
pub fn exists(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

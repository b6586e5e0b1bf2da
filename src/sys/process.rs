//! Processes: detaching, ending, reaping.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{ForkResult, fork, setsid};
use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::sys::Errno;
use crate::sys::recipe::Mishap;

/// Takes write permission for group and others away, whatever was inherited (START-8).
pub fn widen_umask() {
    use nix::sys::stat::{Mode, umask};
    let inherited = umask(Mode::from_bits_truncate(0o022));
    umask(inherited | Mode::from_bits_truncate(0o022));
}

/// Whether this is process 1 of a PID namespace: when it ends, the kernel ends all others with
/// SIGKILL (pid_namespaces(7)).
#[must_use]
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// Threads of this process, from `/proc/self/task`.
#[must_use]
pub fn thread_count() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Does `act` with as many processes of this user as the hard limit permits (`RLIMIT_NPROC`); the
/// soft limit is back in force afterwards, but not for who was started.
pub fn up_to_the_hard_limit<T>(act: impl FnOnce() -> T) -> T {
    let processes = Resource::RLIMIT_NPROC;
    let limit = getrlimit(processes);
    if let Ok((_, hard)) = limit {
        let _ = setrlimit(processes, hard, hard);
    }
    let outcome = act();
    if let Ok((soft, hard)) = limit {
        let _ = setrlimit(processes, soft, hard);
    }
    outcome
}

/// Detaches from the terminal and the caller: one fork, the original exits 0 (START-4).
///
/// # Errors
/// As fork(2) and setsid(2).
pub fn detach() -> Result<(), Errno> {
    debug_assert!(thread_count() <= 1, "fork in a process with threads");
    // SAFETY: the process has one thread (above), so the child is a complete copy of it.
    match unsafe { fork() }? {
        // SAFETY: _exit ends this process without running the child's destructors twice.
        ForkResult::Parent { .. } => unsafe { libc::_exit(0) },
        ForkResult::Child => setsid().map(drop),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Status(i32),
    Signal(i32),
}

impl End {
    /// Whether the process has brought it about itself, by a fault of its code.
    #[must_use]
    pub fn is_own_fault(self) -> bool {
        use crate::sys::signal::Name::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        let faults = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];
        faults.iter().any(|fault| self == Self::Signal(*fault as i32))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// The next child that has ended, and how; `None` when none has.
#[must_use]
pub fn reap() -> Option<(i32, End)> {
    let mut status = 0;
    loop {
        // SAFETY: waitpid writes one int, which is ours. (nix's wrapper loses a child that died
        // of a real-time signal: it is reaped, and then its status is not in nix's list.)
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match Errno::result(pid) {
            Ok(0) | Err(Errno::ECHILD) => return None,
            Ok(pid) if libc::WIFEXITED(status) => {
                return Some((pid, End::Status(libc::WEXITSTATUS(status))));
            }
            Ok(pid) if libc::WIFSIGNALED(status) => {
                return Some((pid, End::Signal(libc::WTERMSIG(status))));
            }
            Ok(_) | Err(_) => {}
        }
    }
}

/// Waits until the child `pid` has ended, and leaves no zombie.
#[cfg(test)]
pub(crate) fn wait_for(pid: i32) {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    while waitid(Id::Pid(nix::unistd::Pid::from_raw(pid)), WaitPidFlag::WEXITED)
        == Err(Errno::EINTR)
    {}
}

/// A pipe for [`Mishap`]s: reading end (non-blocking), writing end.
///
/// # Errors
/// `EMFILE`.
pub fn mishap_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    use nix::fcntl::OFlag;
    nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
}

/// The next mishap in the pipe, if there is one.
#[must_use]
pub fn next_mishap(pipe: BorrowedFd<'_>) -> Option<Mishap> {
    let mut bytes = [0; Mishap::SIZE];
    match nix::unistd::read(pipe, &mut bytes) {
        Ok(Mishap::SIZE) => Some(Mishap::from_bytes(bytes)),
        _ => None,
    }
}

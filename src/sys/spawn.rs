//! Starting a process that carries out a recipe, quickly if that can be done safely.
//!
//! fork(2) copies the page tables of the monitor for a child that is about to throw them
//! away: half the processor time of a short session. A child that borrows the monitor's
//! memory until it execs (clone(2) with `CLONE_VM`) needs none of that, but then the monitor
//! must not run meanwhile, and vfork(2)'s way of waiting has no end: between setuid(2) and
//! execve(2) another process of the service's user could stop the child, and the monitor
//! with it, for ever. So the monitor waits by itself, on the word that the kernel clears when
//! the child lets go of the memory, and with a time limit. A child that is too slow is killed,
//! and for a while everything is forked. Child and monitor agree on who was first by one
//! atomic word, the gate: a child that has passed it may have become its program, so no second
//! one is started; a child that has not never will.

use nix::unistd::{ForkResult, fork};
use std::cell::Cell;
use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::sys::Errno;
use crate::sys::process::thread_count;
use crate::sys::recipe::Recipe;
use crate::sys::recipe::become_image;
use crate::sys::signal;

/// How long a child may borrow the monitor's memory. Getting to exec takes some 50 us.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a child may have the memory that has passed the gate, so that execve(2) is all that
/// it has to do. The machine may be busy: its client is not to be lost for that. Where the file
/// system of a program hangs, this is what it costs, once a minute.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// How long everything is forked after a child was too slow.
const CAUTION: Duration = Duration::from_secs(60);

/// The stack of a child that borrows memory, in 16-byte words: 64 KiB.
const STACK: usize = 4096;

const CLOSED: u32 = 0;
const PASSED: u32 = 1;
const REVOKED: u32 = 2;

/// Starts processes. The calling process must have one thread: a child is a copy of that one
/// thread, and a lock that another held would stay locked for ever.
#[derive(Debug)]
pub struct Spawner {
    stack: Box<[Cell<u128>]>,
    /// Not zero while a child has the memory; the kernel clears it. Leaked on purpose when a
    /// child does not let go, because the kernel may write it late.
    borrowed: &'static AtomicU32,
    /// [`CLOSED`], [`PASSED`] by the child on its way to exec, or [`REVOKED`] by us.
    gate: &'static AtomicU32,
    /// A child that we could not kill must not have our memory.
    may_lend: bool,
    fork_until: Option<Instant>,
}

/// A process that has been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    pub pid: i32,
    /// A first child took too long and was killed; this is the second.
    pub was_slow: bool,
}

/// What the child gets through clone(2)'s one argument.
struct Errand<'a> {
    recipe: &'a Recipe<'a>,
    env: &'a [*const libc::c_char],
    mishaps: BorrowedFd<'a>,
    gate: &'a AtomicU32,
}

impl Spawner {
    /// A spawner with a stack for its children. `may_lend`: this process may kill its children
    /// whatever user they have become (CAP_KILL, or they cannot change it).
    #[must_use]
    pub fn new(may_lend: bool) -> Self {
        let word = || &*Box::leak(Box::new(AtomicU32::new(0)));
        Self {
            stack: vec![Cell::new(0); STACK].into_boxed_slice(),
            borrowed: word(),
            gate: word(),
            may_lend,
            fork_until: None,
        }
    }

    /// Starts a process that carries out `recipe`; what goes wrong in it arrives in `mishaps`.
    ///
    /// # Errors
    /// As fork(2): `EAGAIN`, `ENOMEM`; `ETIMEDOUT` when the program could not be executed in
    /// time (its file system hangs) and the child had to be killed on its way into it.
    pub fn spawn(
        &mut self,
        recipe: &Recipe<'_>,
        mishaps: BorrowedFd<'_>,
    ) -> Result<Started, Errno> {
        debug_assert!(thread_count() <= 1 || cfg!(test), "a child of a process with threads");
        let env = recipe.image.env_with(&recipe.variables);
        let errand = Errand { recipe, env: &env, mishaps, gate: self.gate };
        let is_cautious = self.fork_until.is_some_and(|until| Instant::now() < until);
        if is_cautious || !self.may_lend {
            return Ok(Started { pid: fork_child(&errand)?, was_slow: false });
        }
        let pid = self.lend_memory(&errand)?;
        if self.is_returned_within(PATIENCE) {
            return Ok(Started { pid, was_slow: false });
        }
        self.fork_until = Some(Instant::now() + CAUTION);
        let was_revoked = self.pass_gate(REVOKED);
        if !was_revoked && self.is_returned_within(LAST_PATIENCE) {
            return Ok(Started { pid, was_slow: true });
        }
        self.take_back(pid);
        if was_revoked {
            return Ok(Started { pid: fork_child(&errand)?, was_slow: true });
        }
        Err(Errno::ETIMEDOUT)
    }

    /// Who comes first decides; says whether it was the caller.
    fn pass_gate(&self, how: u32) -> bool {
        self.gate.compare_exchange(CLOSED, how, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Starts a child in our own memory, on a stack of its own.
    fn lend_memory(&self, errand: &Errand<'_>) -> Result<i32, Errno> {
        self.borrowed.store(1, Ordering::SeqCst);
        self.gate.store(CLOSED, Ordering::SeqCst);
        let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
        let top = self.stack.as_ptr_range().end.cast_mut().cast::<c_void>();
        let errand: *const Errand<'_> = errand;
        let nothing = std::ptr::null_mut::<c_void>();
        // SAFETY: `top` is the aligned end of 64 KiB that nothing else uses while `borrowed`
        // is set. The child runs `run_errand` only, with system calls and no allocation. Our
        // caller does nothing but wait until `borrowed` is cleared, which the kernel does when
        // the child has let go of this memory by exec or exit, or until the child has a
        // pending SIGKILL and runs no more code of ours: so `errand` outlives the child's use
        // of it. Thread-local storage is shared too, and `errno` with it: the worst is that a
        // failed step or a failed wait is told with the other's number.
        // Without CLONE_FILES, CLONE_FS and CLONE_SIGHAND everything but memory is a copy.
        let pid = unsafe {
            libc::clone(
                run_errand,
                top,
                flags,
                errand.cast_mut().cast::<c_void>(),
                nothing,
                nothing,
                self.borrowed.as_ptr(),
            )
        };
        if pid < 0 {
            self.borrowed.store(0, Ordering::SeqCst);
        }
        Errno::result(pid)
    }

    /// Waits until the child has let go of our memory.
    fn is_returned_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.borrowed.load(Ordering::SeqCst) != 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            // A whole second is none here, and the next turn looks again.
            let left = libc::timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
            // SAFETY: futex(FUTEX_WAIT) reads the word and the timespec, both alive. Not the
            // private form: the kernel wakes with the shared one (set_tid_address(2)).
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.borrowed.as_ptr(),
                    libc::FUTEX_WAIT,
                    1,
                    &raw const left,
                );
            }
        }
        true
    }

    /// Ends a child that keeps our memory too long. Once SIGKILL is pending it runs no more
    /// code of ours; if it hangs in the kernel even so (a server on a dead NFS mount), it gets
    /// to keep the stack and the words, and we take new ones.
    fn take_back(&mut self, pid: i32) {
        let _ = signal::send(pid, signal::Name::SIGKILL);
        if !self.is_returned_within(PATIENCE) {
            let fresh = Self { fork_until: self.fork_until, ..Self::new(self.may_lend) };
            let kept = std::mem::replace(self, fresh);
            Box::leak(kept.stack);
        }
    }
}

/// The child's first and only function of ours.
extern "C" fn run_errand(errand: *mut c_void) -> libc::c_int {
    // SAFETY: the pointer is the `&Errand` that `lend_memory` passed, which its caller keeps
    // alive until this process has let go of the shared memory.
    let errand = unsafe { &*errand.cast::<Errand<'_>>() };
    become_image(errand.recipe, errand.env, errand.mishaps, || {
        let (closed, passed) = (CLOSED, PASSED);
        errand.gate.compare_exchange(closed, passed, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    })
}

/// The plain way: a child with a copy of everything.
fn fork_child(errand: &Errand<'_>) -> Result<i32, Errno> {
    // SAFETY: fork in a process with one thread (the contract of `Spawner`, checked in debug
    // builds) leaves the child a complete copy; it carries out the recipe and never returns.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw()),
        ForkResult::Child => become_image(errand.recipe, errand.env, errand.mishaps, || true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;
    use crate::sys::recipe::{Environment, Image, Resource, Step};
    use crate::sys::variables::Variables;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;
    use std::ffi::OsStr;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;

    fn sh(script: &str) -> Image {
        let argv = ["sh", "-c", script].map(OsStr::new);
        let env = Environment::new([(OsStr::new("A"), OsStr::new("1"))]).unwrap();
        Image::new(OsStr::new("/bin/sh"), argv, Rc::new(env)).unwrap()
    }

    /// What a shell with this script writes to its standard output, and how it ends.
    fn run(spawner: &mut Spawner, script: &str, steps: &[Step]) -> (String, WaitStatus) {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (_read, write) = process::mishap_pipe().unwrap();
        let image = sh(script);
        let mut variables = Variables::default();
        variables.set("B", 2);
        let socket = theirs.as_fd();
        let recipe = Recipe { steps, image: &image, variables, socket, log: None, ticket: 1 };
        let started = spawner.spawn(&recipe, write.as_fd()).unwrap();
        drop(theirs);
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        (text, waitpid(Pid::from_raw(started.pid), None).unwrap())
    }

    const PLAIN: [Step; 3] = [Step::SocketAsStdio, Step::CloseOnExecFrom(3), Step::Exec];

    #[test]
    fn a_child_gets_the_socket_and_the_environment_either_way() {
        let mut spawner = Spawner::new(true);
        for cautious in [false, true] {
            spawner.fork_until = cautious.then(|| Instant::now() + CAUTION);
            let (text, end) = run(&mut spawner, "echo $A $B; ls /proc/self/fd | wc -l", &PLAIN);
            assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["1", "2", "4"]);
            assert!(matches!(end, WaitStatus::Exited(_, 0)), "{end:?}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_had_is_reported_and_the_server_starts() {
        let unlimited = Step::Limit { resource: Resource::RLIMIT_NOFILE, value: u64::MAX };
        let steps = [&[unlimited], PLAIN.as_slice()].concat();
        let (text, end) = run(&mut Spawner::new(true), "echo here", &steps);
        assert_eq!(text, "here\n");
        assert!(matches!(end, WaitStatus::Exited(_, 0)), "{end:?}");
    }

    #[test]
    fn a_step_that_fails_is_reported_with_its_place_and_the_child_ends() {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let (read, write) = process::mishap_pipe().unwrap();
        let env = Rc::new(Environment::new([]).unwrap());
        let image = Image::new(OsStr::new("/no/such/program"), [], env).unwrap();
        let recipe = Recipe {
            steps: &PLAIN,
            image: &image,
            variables: Variables::default(),
            socket: theirs.as_fd(),
            log: None,
            ticket: 77,
        };
        let started = Spawner::new(true).spawn(&recipe, write.as_fd()).unwrap();
        let end = waitpid(Pid::from_raw(started.pid), None).unwrap();
        assert!(matches!(end, WaitStatus::Exited(_, 1)), "SRV-17: {end:?}");
        let mishap = process::next_mishap(read.as_fd()).unwrap();
        assert_eq!((mishap.ticket, mishap.step, mishap.errno), (77, 2, Errno::ENOENT));
    }

    #[test]
    fn a_child_that_is_stopped_on_its_way_delays_nobody_for_long_and_is_forked_anew() {
        let mut spawner = Spawner::new(true);
        let stopped = [&[Step::StopForTest], PLAIN.as_slice()].concat();
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let (_read, write) = process::mishap_pipe().unwrap();
        let image = sh("exit 5");
        let recipe = Recipe {
            steps: &stopped,
            image: &image,
            variables: Variables::default(),
            socket: theirs.as_fd(),
            log: None,
            ticket: 1,
        };
        let before = Instant::now();
        let started = spawner.spawn(&recipe, write.as_fd()).unwrap();
        assert!(started.was_slow);
        assert!(before.elapsed() < Duration::from_secs(5));
        // The second child stops too, but it is a copy: nobody waits for it.
        let pid = Pid::from_raw(started.pid);
        let halt = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(halt, WaitStatus::Stopped(..)), "{halt:?}");
        signal::send(started.pid, signal::Name::SIGCONT).unwrap();
        let end = waitpid(pid, None).unwrap();
        assert!(matches!(end, WaitStatus::Exited(_, 5)), "{end:?}");
        assert!(spawner.fork_until.is_some());
    }
}

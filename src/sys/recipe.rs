//! What a new process does before it becomes its program: a list of steps, made beforehand.
//!
//! The list can be compared in tests and printed. Once the process exists only that list
//! runs: system calls, no allocation, no locks.

use nix::fcntl::{OFlag, open};
use nix::sys::resource::setrlimit;
use nix::sys::stat::Mode;
use nix::unistd::{setsid, write};
use std::ffi::{CString, NulError, OsStr};
use std::fmt;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use crate::sys::Errno;
use crate::sys::fd;
use crate::sys::privilege;
use crate::sys::signal;
use crate::sys::variables::Variables;

pub use nix::sys::resource::Resource;

/// One thing a new process does to itself before it becomes the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing the monitor blocks stays blocked (SRV-11).
    UnblockSignals,
    /// setsid(2): a session of its own, no controlling terminal (SRV-10).
    NewSession,
    /// `/dev/null` becomes 0, 1 and 2.
    NullAsStdio,
    /// The socket becomes 0, 1 and 2 (SRV-1).
    SocketAsStdio,
    /// `/dev/null` becomes 2 (`stderr = null`).
    NullAsStderr,
    /// The recipe's log becomes 2, or `/dev/null` where there is none (`stderr = log`).
    LogAsStderr,
    /// The socket becomes this descriptor.
    SocketAs(RawFd),
    /// Everything from here up goes at exec (SRV-1).
    CloseOnExecFrom(RawFd),
    /// setrlimit(2), soft and hard alike; `u64::MAX` is unlimited.
    Limit {
        resource: Resource,
        value: u64,
    },
    /// Added to the own nice value (SRV-16).
    Nice(i32),
    Umask(u32),
    /// `groups = yes` for a user whom no database knows: fails (SRV-13).
    UnknownGroups,
    Groups(Vec<u32>),
    Gid(u32),
    Uid(u32),
    /// Root must be out of reach now.
    NoWayBack,
    /// Nobody may trace this process or have it dump core, until exec.
    NotDumpable,
    DropBoundingSet,
    DropCapabilities,
    NoNewPrivileges,
    /// SIGKILL when the parent dies. After [`Step::Uid`]: changing the uid clears it.
    DieWithParent,
    /// execve(2) of the recipe's image; always the last.
    Exec,
    /// raise(SIGSTOP): what a hostile process of the same user could do to this one.
    #[cfg(test)]
    StopForTest,
}

impl Step {
    /// Whether a start must not go on without it. The original takes no notice of a limit or
    /// a nice value that cannot be had; here it is said, and the server starts all the same.
    #[must_use]
    pub const fn is_vital(&self) -> bool {
        !matches!(self, Self::Limit { .. } | Self::Nice(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnblockSignals => f.write_str("unblock signals"),
            Self::NewSession => f.write_str("new session"),
            Self::NullAsStdio => f.write_str("/dev/null on 0, 1, 2"),
            Self::SocketAsStdio => f.write_str("socket on 0, 1, 2"),
            Self::NullAsStderr => f.write_str("/dev/null on 2"),
            Self::LogAsStderr => f.write_str("log on 2"),
            Self::SocketAs(number) => write!(f, "socket on {number}"),
            Self::CloseOnExecFrom(first) => write!(f, "close from {first}"),
            Self::Limit { resource, value: u64::MAX } => write!(f, "{resource:?} unlimited"),
            Self::Limit { resource, value } => write!(f, "{resource:?} {value}"),
            Self::Nice(by) => write!(f, "nice {by:+}"),
            Self::Umask(mask) => write!(f, "umask {mask:04o}"),
            Self::UnknownGroups => f.write_str("groups of a user without passwd entry"),
            Self::Groups(groups) => write!(f, "groups {groups:?}"),
            Self::Gid(gid) => write!(f, "gid {gid}"),
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::NoWayBack => f.write_str("prove that root is out of reach"),
            Self::NotDumpable => f.write_str("not dumpable"),
            Self::DropBoundingSet => f.write_str("drop the bounding set"),
            Self::DropCapabilities => f.write_str("drop capabilities"),
            Self::NoNewPrivileges => f.write_str("no new privileges"),
            Self::DieWithParent => f.write_str("die with the parent"),
            Self::Exec => f.write_str("exec"),
            #[cfg(test)]
            Self::StopForTest => f.write_str("stop"),
        }
    }
}

/// Strings as execve(2) wants them: an array of pointers that ends in null.
#[derive(Debug)]
struct Words {
    strings: Vec<CString>,
    /// Into `strings`, whose heap blocks never move, and one null.
    pointers: Vec<*const libc::c_char>,
}

impl Words {
    fn new(words: impl IntoIterator<Item = CString>) -> Self {
        let strings: Vec<_> = words.into_iter().collect();
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Self { strings, pointers }
    }
}

/// An environment, in the form that the kernel takes.
#[derive(Debug)]
pub struct Environment(Vec<CString>);

impl Environment {
    /// Copies variables, given as name and value.
    ///
    /// # Errors
    /// When one holds a NUL byte.
    pub fn new<'a>(
        variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> Result<Self, NulError> {
        let pair = |(name, value): (&OsStr, &OsStr)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
        };
        variables.into_iter().map(pair).collect::<Result<_, _>>().map(Self)
    }
}

/// What is to be executed: path, arguments, and an environment that others may share.
#[derive(Debug)]
pub struct Image {
    path: CString,
    argv: Words,
    env: Rc<Environment>,
}

impl Image {
    /// Copies path and arguments into the form that the kernel takes.
    ///
    /// # Errors
    /// When a word holds a NUL byte.
    pub fn new<'a>(
        path: &OsStr,
        argv: impl IntoIterator<Item = &'a OsStr>,
        env: Rc<Environment>,
    ) -> Result<Self, NulError> {
        let argv = argv.into_iter().map(|word| CString::new(word.as_bytes()));
        let argv = Words::new(argv.collect::<Result<Vec<_>, _>>()?);
        Ok(Self { path: CString::new(path.as_bytes())?, argv, env })
    }

    /// The environment as execve(2) wants it, with more variables at its end; both have to
    /// outlive the array.
    pub(super) fn env_with(&self, more: &Variables) -> Vec<*const libc::c_char> {
        let Environment(own) = &*self.env;
        let mut env = Vec::with_capacity(own.len() + more.count() + 1);
        env.extend(own.iter().map(|variable| variable.as_ptr()).chain(more.pointers()));
        env.push(std::ptr::null());
        env
    }

    /// The arguments, `argv[0]` first.
    pub fn argv(&self) -> impl Iterator<Item = &OsStr> {
        self.argv.strings.iter().map(|s| OsStr::from_bytes(s.as_bytes()))
    }
}

/// One start of one program.
#[derive(Debug)]
pub struct Recipe<'a> {
    pub steps: &'a [Step],
    pub image: &'a Image,
    /// More variables of the environment.
    pub variables: Variables,
    /// What [`Step::SocketAsStdio`] and [`Step::SocketAs`] move into place.
    pub socket: BorrowedFd<'a>,
    /// What [`Step::LogAsStderr`] moves into place.
    pub log: Option<BorrowedFd<'a>>,
    /// Comes back in a [`Mishap`].
    pub ticket: u64,
}

/// A start that failed after the fork: 16 bytes through a pipe that all children share
/// (writes up to `PIPE_BUF` are atomic, pipe(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mishap {
    pub ticket: u64,
    /// Position in the recipe's steps.
    pub step: u32,
    pub errno: Errno,
}

impl Mishap {
    /// Its size in the pipe, in bytes.
    pub const SIZE: usize = 16;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let parts = self.ticket.to_le_bytes().into_iter();
        let parts = parts.chain(self.step.to_le_bytes()).chain((self.errno as i32).to_le_bytes());
        for (place, byte) in bytes.iter_mut().zip(parts) {
            *place = byte;
        }
        bytes
    }

    /// Reads one back.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let [t @ .., s0, s1, s2, s3, e0, e1, e2, e3] = bytes;
        Self {
            ticket: u64::from_le_bytes(t),
            step: u32::from_le_bytes([s0, s1, s2, s3]),
            errno: Errno::from_raw(i32::from_le_bytes([e0, e1, e2, e3])),
        }
    }
}

/// Exit status of a child that could not become its server (SRV-17, SRV-18).
const NOT_STARTED: i32 = 1;

/// The child's whole life before exec. `may_exec` is asked once, just before it.
pub(super) fn become_image(
    recipe: &Recipe<'_>,
    env: &[*const libc::c_char],
    mishaps: BorrowedFd<'_>,
    may_exec: impl Fn() -> bool,
) -> ! {
    for (position, step) in recipe.steps.iter().enumerate() {
        if *step == Step::Exec && !may_exec() {
            break;
        }
        if let Err(errno) = carry_out(step, recipe, env) {
            let step_number = u32::try_from(position).unwrap_or(u32::MAX);
            let mishap = Mishap { ticket: recipe.ticket, step: step_number, errno };
            let _ = write(mishaps, &mishap.to_bytes());
            if step.is_vital() {
                break;
            }
        }
    }
    // SAFETY: _exit ends the process at once; it runs no handlers and touches no memory.
    unsafe { libc::_exit(NOT_STARTED) }
}

fn carry_out(step: &Step, recipe: &Recipe<'_>, env: &[*const libc::c_char]) -> Result<(), Errno> {
    match step {
        Step::UnblockSignals => signal::unblock_all(),
        Step::NewSession => setsid().map(drop),
        Step::SocketAsStdio => (0..=2).try_for_each(|number| place(recipe.socket, number)),
        Step::SocketAs(number) => place(recipe.socket, *number),
        Step::NullAsStdio => null_as(0..=2),
        Step::NullAsStderr => null_as(2..=2),
        Step::LogAsStderr => match recipe.log {
            Some(log) => place(log, 2),
            None => null_as(2..=2),
        },
        Step::CloseOnExecFrom(first) => {
            fd::close_on_exec_from(*first);
            Ok(())
        }
        Step::Limit { resource, value } => setrlimit(*resource, *value, *value),
        Step::Nice(by) => nice(*by),
        Step::Umask(mask) => {
            nix::sys::stat::umask(Mode::from_bits_truncate(*mask));
            Ok(())
        }
        Step::UnknownGroups => Err(Errno::EINVAL),
        Step::Groups(groups) => privilege::set_groups(groups),
        Step::Gid(gid) => privilege::set_gid(*gid),
        Step::Uid(uid) => privilege::set_uid(*uid),
        Step::NoWayBack => privilege::prove_no_way_back(),
        Step::NotDumpable => privilege::not_dumpable(),
        Step::DropBoundingSet => privilege::drop_bounding_set(),
        Step::DropCapabilities => privilege::drop_capabilities(),
        Step::NoNewPrivileges => privilege::no_new_privileges(),
        Step::DieWithParent => privilege::die_with_parent(),
        Step::Exec => Err(execute(recipe.image, env)),
        #[cfg(test)]
        Step::StopForTest => nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP),
    }
}

/// open(2) and dup2(2); what was opened goes at exec.
fn null_as(mut numbers: RangeInclusive<RawFd>) -> Result<(), Errno> {
    let null = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    numbers.try_for_each(|number| place(null.as_fd(), number))
}

/// dup2(2) that also clears close-on-exec when source and target are the same number.
fn place(fd: BorrowedFd<'_>, number: RawFd) -> Result<(), Errno> {
    let result = if fd.as_raw_fd() == number {
        // SAFETY: F_SETFD changes a flag of an open descriptor and touches no memory.
        unsafe { libc::fcntl(number, libc::F_SETFD, 0) }
    } else {
        // SAFETY: dup2 may close `number`, which something in the parent's copy of memory may
        // own; this is the child, which drops nothing and keeps only what exec keeps.
        unsafe { libc::dup2(fd.as_raw_fd(), number) }
    };
    Errno::result(result).map(drop)
}

/// nice(2), whose -1 may be a success.
fn nice(by: i32) -> Result<(), Errno> {
    Errno::clear();
    // SAFETY: nice takes an integer and touches no memory.
    let result = unsafe { libc::nice(by) };
    if result == -1 && Errno::last_raw() != 0 { Err(Errno::last()) } else { Ok(()) }
}

fn execute(image: &Image, env: &[*const libc::c_char]) -> Errno {
    // SAFETY: path, argv and env are NUL-terminated strings and null-terminated arrays (made
    // by `Words` and `spawn`), alive in this copy of the parent's memory; execve returns only
    // when it failed.
    unsafe { libc::execve(image.path.as_ptr(), image.argv.pointers.as_ptr(), env.as_ptr()) };
    Errno::last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mishap_survives_the_pipe() {
        let mishap = Mishap { ticket: u64::MAX - 3, step: 7, errno: Errno::ENOENT };
        assert_eq!(Mishap::from_bytes(mishap.to_bytes()), mishap);
    }

    #[test]
    fn a_word_with_a_nul_byte_makes_no_image() {
        let empty = Rc::new(Environment::new([]).unwrap());
        assert!(Image::new(OsStr::new("/bin/a\0b"), [], empty).is_err());
        assert!(Environment::new([(OsStr::new("A"), OsStr::new("b\0"))]).is_err());
    }
}

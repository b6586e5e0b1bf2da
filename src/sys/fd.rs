//! Descriptors: standard input and output, adoption, sealed memory, what is inherited.

use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt};
use std::path::Path;

use crate::sys::Errno;

/// Makes every descriptor from `first` up close-on-exec (close_range(2), Linux 5.11).
///
/// All of ours are so from the start: this is the second lock on the door, and a kernel or a
/// container that does not know it costs nothing.
pub fn close_on_exec_from(first: RawFd) {
    let _ = close_range(first, libc::CLOSE_RANGE_CLOEXEC);
}

/// Closes every descriptor from `first` up (START-2); one by one where the kernel must.
///
/// # Errors
/// When not even `/proc/self/fd` can be read.
pub fn close_from(first: RawFd) -> io::Result<()> {
    if close_range(first, 0).is_ok() {
        return Ok(());
    }
    let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number >= first) {
        drop(adopt(number));
    }
    Ok(())
}

fn close_range(first: RawFd, flags: libc::c_uint) -> Result<(), Errno> {
    // SAFETY: close_range takes three integers and no memory. Closing descriptors that
    // something in this process still owns would be unsound; `close_from` is called
    // before anything has been opened, the other form closes nothing here.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    Errno::result(result).map(drop)
}

/// Takes ownership of a descriptor that this process was given by number.
///
/// # Errors
/// `EBADF` when `number` is not open.
pub fn adopt(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: fcntl(F_GETFD) reads a flag of a descriptor and no memory; a closed one is EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    Errno::result(flags)?;
    // SAFETY: `number` is open, and by the contract of who handed it over (the exec of the
    // engine, the kernel's SCM_RIGHTS) nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Points 0 and 1 at `/dev/null`, and 2 too when it is `detached` or closed (START-2).
///
/// # Errors
/// When `/dev/null` cannot be opened.
pub fn settle_standard_descriptors(detached: bool) -> Result<(), Errno> {
    let null = loop {
        // A caller may have closed some of 0, 1, 2: fill the gaps first.
        let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        if null.as_raw_fd() > 2 {
            break null;
        }
        let _filled = std::os::fd::IntoRawFd::into_raw_fd(null);
    };
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    if detached {
        dup2_stderr(&null)?;
    }
    Ok(())
}

/// Raises the soft limit on descriptors to the hard one (START-16) and returns it.
///
/// # Errors
/// As getrlimit(2) and setrlimit(2).
pub fn raise_descriptor_limit() -> Result<u64, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// The soft limit on descriptors.
#[must_use]
pub fn descriptor_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft)
}

/// `bytes` in memory that nobody can change any more (memfd_create(2), F_ADD_SEALS).
///
/// # Errors
/// As the system calls.
pub fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create("xinetd-plan", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// Reads `length` bytes of what [`sealed`] made.
///
/// # Errors
/// When there are fewer.
pub fn read_sealed(fd: OwnedFd, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    File::from(fd).read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file for reading, without ever waiting for it.
///
/// # Errors
/// As open(2), and `EINVAL` for anything but a regular file (a FIFO would wait for a writer).
pub fn open_regular(path: &Path) -> io::Result<OwnedFd> {
    let file =
        File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() { Ok(file.into()) } else { Err(Errno::EINVAL.into()) }
}

/// Opens a file for append without ever waiting for it, and creates it 0644 less the umask.
///
/// # Errors
/// As open(2); `ENXIO` for a FIFO that nobody reads.
pub fn open_for_append(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    File::options().append(true).create(true).mode(0o644).custom_flags(flags).open(path)
}

/// [`open_for_append`], for a file that nobody else should have put there: not through a
/// symbolic link, and no file with a second name.
///
/// # Errors
/// As open(2); `ELOOP` for a symbolic link, `EINVAL` for anything but a file with one name.
pub fn open_own_for_append(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let file =
        File::options().append(true).create(true).mode(0o644).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if found.is_file() && found.nlink() == 1 { Ok(file) } else { Err(Errno::EINVAL.into()) }
}

/// Whether both descriptors are one and the same pipe, socket or file.
#[must_use]
pub fn is_same_file(fd: BorrowedFd<'_>, device: u64, inode: u64) -> bool {
    nix::sys::stat::fstat(fd).is_ok_and(|s| s.st_dev == device && s.st_ino == inode)
}

/// Another descriptor for the same open file.
///
/// # Errors
/// `EMFILE`.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

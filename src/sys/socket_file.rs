//! A socket in the file system (unix(7)): made with its owner and mode, and taken away again.

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, umask};
use nix::unistd::{Gid, Uid, fchownat, geteuid};
use socket2::{Domain, SockAddr, Socket, Type};
use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::sys::Errno;

/// Who may connect to a socket in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// 0 to 0777; to connect is to write.
    pub mode: u32,
    /// `None`: as it comes, the daemon's own.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A file that a socket of ours is bound to; it goes when this goes, unless somebody else has put
/// another one there.
#[derive(Debug, PartialEq, Eq)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// `None`: it is not known.
    access: Cell<Option<Access>>,
    is_left: Cell<bool>,
}

impl SocketFile {
    /// Binds `socket` to `path`. The file has its mode from the beginning. One that is left over
    /// from a process that has ended is replaced; one where somebody listens is not.
    ///
    /// # Errors
    /// As bind(2); `EADDRINUSE` with a text where a file is in the way.
    pub fn bind(socket: &Socket, path: &Path, access: Access) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        fchmod(socket, access.mode)?;
        if let Err(cause) = bind_unmasked(socket, &address) {
            if cause.kind() != io::ErrorKind::AddrInUse {
                return Err(explained(cause, path));
            }
            remove_stale(path, &address, socket.r#type()?)?;
            bind_unmasked(socket, &address)?;
        }
        let file = open_path(path)?;
        let found = fstat(&file)?;
        // Whoever may write to the directory could have put something else there.
        if !is_socket(&found) || found.st_uid != geteuid().as_raw() || found.st_nlink != 1 {
            return Err(io::Error::other("somebody has replaced the file"));
        }
        let made = Self::new(path, &found, Some(access));
        own(&file, access)?;
        Ok(made)
    }

    fn new(path: &Path, found: &FileStat, access: Option<Access>) -> Self {
        let (path, device, inode) = (path.to_owned(), found.st_dev, found.st_ino);
        Self { path, device, inode, access: Cell::new(access), is_left: Cell::new(false) }
    }

    /// The file of a socket that another process has bound, if that is still at `path`, as long
    /// as the socket is open.
    #[must_use]
    pub fn take_over(path: &Path, identity: (u64, u64)) -> Option<Self> {
        let found = open_path(path).and_then(|file| Ok(fstat(&file)?)).ok()?;
        let is_it = is_socket(&found) && (found.st_dev, found.st_ino) == identity;
        is_it.then(|| Self::new(path, &found, None))
    }

    /// Device and inode: no other file has both while the socket is open.
    #[must_use]
    pub const fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// The file stays when this goes: another process has the socket, too.
    pub fn leave(&self) {
        self.is_left.set(true);
    }

    /// Gives the file another owner or mode, if it is still there. What somebody else has done to
    /// it stays, if nothing else is wanted than before.
    ///
    /// # Errors
    /// As open(2), chown(2) and chmod(2); `ENOENT` when it has been replaced.
    pub fn change(&self, access: Access) -> io::Result<()> {
        if self.access.get() == Some(access) {
            return Ok(());
        }
        let file = open_path(&self.path)?;
        if !self.is(&fstat(&file)?) {
            return Err(Errno::ENOENT.into());
        }
        own(&file, access)?;
        // chmod(2) knows no descriptor of a path, but the name of one.
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(name, fs::Permissions::from_mode(access.mode))?;
        self.access.set(Some(access));
        Ok(())
    }

    /// Removes the file, if it is still there.
    pub fn remove(&self) {
        let found = open_path(&self.path).and_then(|file| Ok(fstat(&file)?));
        if found.is_ok_and(|found| self.is(&found)) {
            // Gone already is as good.
            fs::remove_file(&self.path).ok();
        }
    }

    fn is(&self, found: &FileStat) -> bool {
        (found.st_dev, found.st_ino) == self.identity()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.is_left.get() {
            self.remove();
        }
    }
}

/// The mode of what `socket` will be bound to.
fn fchmod(socket: &Socket, mode: u32) -> Result<(), Errno> {
    nix::sys::stat::fchmod(socket, Mode::from_bits_truncate(mode))
}

/// bind(2) without the umask, which is everybody's in this process.
fn bind_unmasked(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    let old = umask(Mode::empty());
    let bound = socket.bind(address);
    umask(old);
    bound
}

/// The file itself, whatever it is: not what a symbolic link names, and without opening it.
fn open_path(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?)
}

fn own(file: &OwnedFd, access: Access) -> Result<(), Errno> {
    if access.uid.is_none() && access.gid.is_none() {
        return Ok(());
    }
    let (uid, gid) = (access.uid.map(Uid::from_raw), access.gid.map(Gid::from_raw));
    fchownat(file, "", uid, gid, AtFlags::AT_EMPTY_PATH)
}

fn is_socket(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK
}

/// Removes a socket where nobody listens any more.
fn remove_stale(path: &Path, address: &SockAddr, kind: Type) -> io::Result<()> {
    let in_the_way = |what: &str| io::Error::new(io::ErrorKind::AddrInUse, what);
    if !is_socket(&fstat(open_path(path)?)?) {
        return Err(in_the_way("a file that is no socket has this name"));
    }
    let client = Socket::new(Domain::UNIX, kind, None)?;
    client.set_nonblocking(true)?;
    match client.connect(address) {
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(in_the_way("somebody else listens there")),
    }
}

/// The way out, where the directory is missing.
fn explained(cause: io::Error, path: &Path) -> io::Error {
    let directory = path.parent().unwrap_or(Path::new("/"));
    if cause.kind() != io::ErrorKind::NotFound || directory.is_dir() {
        return cause;
    }
    let directory = directory.display();
    let text = format!(
        "the directory {directory} does not exist: make it, or have systemd make it at each start \
         (RuntimeDirectory=, tmpfiles.d(5))"
    );
    io::Error::new(cause.kind(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    const OWN: Access = Access { mode: 0o640, uid: None, gid: None };

    fn socket() -> Socket {
        Socket::new(Domain::UNIX, Type::STREAM, None).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_file_has_its_mode_and_goes_with_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let file = SocketFile::bind(&socket(), &path, OWN).unwrap();
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
        assert_eq!(mode(&path), 0o640);
        file.change(Access { mode: 0o666, ..OWN }).unwrap();
        assert_eq!(mode(&path), 0o666);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let refused = SocketFile::bind(&socket(), &path, OWN).unwrap_err();
        assert_eq!(refused.to_string(), "somebody else listens there");
        drop(other);
        // A child that another test is about to execute has it a moment longer.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while let Err(refused) = SocketFile::bind(&socket(), &path, OWN) {
            assert!(std::time::Instant::now() < until, "{refused}");
            std::thread::yield_now();
        }
        fs::write(&path, "precious").unwrap();
        let refused = SocketFile::bind(&socket(), &path, OWN).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_link_is_not_followed_and_what_another_has_put_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("s"), directory.path().join("other"));
        // Open all the while, or another file could have its inode.
        let held = socket();
        let file = SocketFile::bind(&held, &path, OWN).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let before = mode(&other);
        assert!(file.change(Access { mode: 0o777, ..OWN }).is_err());
        assert_eq!(mode(&other), before);
        drop(file);
        assert!(fs::symlink_metadata(&path).is_ok());
        assert!(SocketFile::bind(&socket(), &path, OWN).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_with_the_way_out() {
        let refused = SocketFile::bind(&socket(), Path::new("/nonexistent/d/s"), OWN).unwrap_err();
        assert!(refused.to_string().starts_with("the directory /nonexistent/d does not exist"));
    }
}

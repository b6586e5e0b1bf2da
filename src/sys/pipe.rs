//! Bytes from one socket to another without a copy in between: splice(2) through a pipe.

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::Errno;

/// What a pipe is asked to hold, in bytes: as much as the system gives an ordinary user
/// (`fs.pipe-max-size`).
const SIZE: libc::c_int = 1 << 20;

/// What it must hold to be of use. A user with many pipes gets small ones
/// (`fs.pipe-user-pages-soft`).
const LEAST: libc::c_int = 1 << 16;

/// What is taken in at once.
const MOST: usize = SIZE as usize;

/// A pipe that only this process knows.
#[derive(Debug)]
pub struct Pipe {
    source: OwnedFd,
    sink: OwnedFd,
}

impl Pipe {
    /// An empty one.
    ///
    /// # Errors
    /// `EMFILE`, and `ENOBUFS` where it would be too small.
    pub fn new() -> io::Result<Self> {
        let (source, sink) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let size = match fcntl(&sink, FcntlArg::F_SETPIPE_SZ(SIZE)) {
            Ok(size) => size,
            Err(_) => fcntl(&sink, FcntlArg::F_GETPIPE_SZ)?,
        };
        if size < LEAST { Err(Errno::ENOBUFS.into()) } else { Ok(Self { source, sink }) }
    }

    /// Takes in what `from` has now, as far as there is room in an empty pipe; 0: it has ended.
    ///
    /// # Errors
    /// `WouldBlock`; as read(2); `EINVAL` for what cannot be spliced.
    pub fn fill(&self, from: impl AsFd) -> io::Result<usize> {
        Ok(splice(from, None, &self.sink, None, MOST, FLAGS)?)
    }

    /// Passes on what `to` takes now of the `held` bytes in here.
    ///
    /// # Errors
    /// `WouldBlock`; as write(2); `EINVAL` for what cannot be spliced.
    pub fn drain(&self, to: impl AsFd, held: usize) -> io::Result<usize> {
        Ok(splice(&self.source, None, to, None, held, FLAGS)?)
    }
}

const FLAGS: SpliceFFlags = SpliceFFlags::SPLICE_F_NONBLOCK.union(SpliceFFlags::SPLICE_F_MOVE);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_goes_in_comes_out() {
        let (mut client, from) = UnixStream::pair().unwrap();
        let (to, mut target) = UnixStream::pair().unwrap();
        let pipe = Pipe::new().unwrap();
        from.set_nonblocking(true).unwrap();
        assert_eq!(pipe.fill(&from).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"12345").unwrap();
        assert_eq!(pipe.fill(&from).unwrap(), 5);
        assert_eq!(pipe.drain(&to, 5).unwrap(), 5);
        drop(to);
        let mut text = String::new();
        target.read_to_string(&mut text).unwrap();
        assert_eq!(text, "12345");
        drop(client);
        assert_eq!(pipe.fill(&from).unwrap(), 0);
    }
}

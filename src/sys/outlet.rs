//! Where lines go without ever making anybody wait: files, FIFOs, and the streams that the daemon
//! was started with.

use nix::sys::socket::MsgFlags;
use socket2::SockRef;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use crate::sys::fd;
use crate::sys::poll;

/// Something that takes lines.
#[derive(Debug)]
pub struct Outlet {
    file: File,
    manner: Manner,
}

/// How a write is kept from waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It is a regular file, or has O_NONBLOCK of our own.
    Plain,
    Socket,
    /// Somebody else's pipe or terminal, whose flags are not ours to change (fcntl(2):
    /// O_NONBLOCK is shared by all who have it open). It is asked first. Another writer who is
    /// quicker between question and write could still fill it.
    Asked,
}

impl Outlet {
    /// Opens a file for append as [`fd::open_for_append`] does. A FIFO may lack a reader: lines
    /// wait in it for the next one.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = fd::open_for_append(path).or_else(|cause| {
            let is_fifo = || fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
            match cause.raw_os_error() {
                Some(libc::ENXIO) if is_fifo() => as_our_own_reader(path),
                _ => Err(cause),
            }
        })?;
        Ok(Self { file, manner: Manner::Plain })
    }

    /// A stream that this process was given. It is opened anew where that is possible, so that
    /// its flags are ours; a regular file is not, for its position is shared.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn given(stream: BorrowedFd<'_>) -> io::Result<Self> {
        let kept = File::from(fd::duplicate(stream)?);
        let kind = kept.metadata()?.file_type();
        let (file, manner) = if kind.is_socket() {
            (kept, Manner::Socket)
        } else if kind.is_fifo() || kind.is_char_device() {
            match opened_anew(&kept) {
                Ok(file) => (file, Manner::Plain),
                Err(_) => (kept, Manner::Asked),
            }
        } else {
            (kept, Manner::Plain)
        };
        Ok(Self { file, manner })
    }

    /// Writes what can be written now; `WouldBlock` when that is nothing.
    ///
    /// # Errors
    /// As writev(2) and sendmsg(2).
    pub fn write(&self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.manner {
            Manner::Plain => (&self.file).write_vectored(lines),
            Manner::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                SockRef::from(&self.file).send_vectored_with_flags(lines, flags.bits())
            }
            Manner::Asked if poll::has_room(&self.file) => (&self.file).write_vectored(lines),
            Manner::Asked => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// The size of the file; 0 for what has none.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn as_our_own_reader(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    File::options().read(true).write(true).custom_flags(flags).open(path)
}

fn opened_anew(kept: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", kept.as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    File::options().append(true).custom_flags(flags).open(path)
}

/// Standard output and standard error, of a daemon that has not detached.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    output: Option<Arc<Outlet>>,
    error: Option<Arc<Outlet>>,
}

/// Names one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Output,
    Error,
}

impl Streams {
    /// Keeps both, before 1 becomes `/dev/null` (START-2). They are close-on-exec.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn keep() -> io::Result<Self> {
        let output = Outlet::given(io::stdout().as_fd())?;
        let error = Outlet::given(io::stderr().as_fd())?;
        Ok(Self { output: Some(Arc::new(output)), error: Some(Arc::new(error)) })
    }

    /// `None` when the daemon has detached.
    #[must_use]
    pub fn get(&self, stream: Stream) -> Option<&Arc<Outlet>> {
        match stream {
            Stream::Output => self.output.as_ref(),
            Stream::Error => self.error.as_ref(),
        }
    }
}

impl Stream {
    /// Which stream of this very process a path names, as `/dev/stdout` does, or `/proc/1/fd/1`
    /// in process 1.
    #[must_use]
    pub fn named(path: &Path) -> Option<Self> {
        const MOST_LINKS: usize = 8;
        let own = format!("/proc/{}/fd", std::process::id());
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let directory = fs::canonicalize(path.parent()?).ok()?;
            if directory.as_os_str() == own.as_str() {
                return match path.file_name()?.to_str()? {
                    "1" => Some(Self::Output),
                    "2" => Some(Self::Error),
                    _ => None,
                };
            }
            path = directory.join(fs::read_link(&path).ok()?);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_streams_are_known_by_all_their_names() {
        for (path, stream) in [
            ("/dev/stdout", Some(Stream::Output)),
            ("/dev/stderr", Some(Stream::Error)),
            ("/dev/fd/1", Some(Stream::Output)),
            ("/proc/self/fd/2", Some(Stream::Error)),
            (&*format!("/proc/{}/fd/1", std::process::id()), Some(Stream::Output)),
            ("/proc/self/fd/0", None),
            ("/proc/self/fd/1/x", None),
            ("/dev/null", None),
            ("/no/such/file", None),
            ("/", None),
            ("1", None),
        ] {
            assert_eq!(Stream::named(Path::new(path)), stream, "{path}");
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_takes_what_it_holds_and_its_flags_stay() {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let flags = || OFlag::from_bits_retain(fcntl(&writer, FcntlArg::F_GETFL).unwrap());
        let anew = Outlet::given(writer.as_fd()).unwrap();
        let asked = Outlet { file: writer.try_clone().unwrap().into(), manner: Manner::Asked };
        let line = [b'x'; 1000];
        for outlet in [anew, asked] {
            let mut written = 0;
            let cause = loop {
                match outlet.write(&[IoSlice::new(&line)]) {
                    Ok(count) => written += count,
                    Err(cause) => break cause,
                }
            };
            assert_eq!(cause.kind(), ErrorKind::WouldBlock);
            assert!(written >= 4096, "{written}");
            let mut taken = vec![0; written];
            io::Read::read_exact(&mut File::from(reader.try_clone().unwrap()), &mut taken).unwrap();
        }
        assert!(!flags().contains(OFlag::O_NONBLOCK));
    }

    #[test]
    fn a_socket_that_nobody_reads_does_not_hold_up_its_writer() {
        let (_reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let outlet = Outlet::given(writer.as_fd()).unwrap();
        let line = [b'x'; 1000];
        let cause = loop {
            if let Err(cause) = outlet.write(&[IoSlice::new(&line)]) {
                break cause;
            }
        };
        assert_eq!(cause.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_file_that_was_given_is_written_where_its_other_writers_are() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before\n").unwrap();
        let outlet = Outlet::given(file.as_fd()).unwrap();
        outlet.write(&[IoSlice::new(b"ours\n")]).unwrap();
        file.write_all(b"after\n").unwrap();
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, "before\nours\nafter\n");
    }

    #[test]
    fn a_fifo_may_lack_a_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_retain(0o600)).unwrap();
        let outlet = Outlet::open(&path).unwrap();
        assert_eq!(outlet.write(&[IoSlice::new(b"kept\n")]).unwrap(), 5);
        let mut late = as_our_own_reader(&path).unwrap();
        let mut text = [0; 5];
        io::Read::read_exact(&mut late, &mut text).unwrap();
        assert_eq!(&text, b"kept\n");
    }
}

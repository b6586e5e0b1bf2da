//! What a process gives up for good besides privilege: files (Landlock) and system calls (seccomp).

mod calls;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// What is asked of Landlock; a kernel that knows less gives what it has (Debian 12: version 2).
const LANDLOCK: ABI = ABI::V6;

/// What the kernel keeps a process to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// It opens nothing for writing or execution, and makes no files; from version 6 on it
    /// sends no signals to other processes, at any version it does not trace them (landlock(7)).
    pub landlock: bool,
    /// Calls that it has no use for fail with `ENOSYS` (seccomp(2)).
    pub seccomp: bool,
}

/// Confines the calling thread and all that it makes. What the kernel lacks, or somebody else has
/// forbidden, is left out: that is no reason to serve nobody.
#[must_use]
pub fn confine() -> Confinement {
    Confinement {
        landlock: restrict().is_ok_and(|status| status != RulesetStatus::NotEnforced),
        seccomp: filter().is_some_and(|filter| apply_filter(&filter).is_ok()),
    }
}

fn restrict() -> Result<RulesetStatus, RulesetError> {
    // Where files of hosts and of the C library are, nobody knows beforehand.
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    // Its own ports are those that the kernel chooses: 0 is any free one.
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK) & !reading)?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::Signal)?
        .create()?
        .add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// The filter; `None` on a machine that the compiler of filters does not know.
fn filter() -> Option<BpfProgram> {
    let machine = std::env::consts::ARCH.try_into().ok()?;
    // What libraries take for an older kernel, and fall back from.
    let otherwise = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let rules = calls::rules().ok()?;
    let filter = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, machine).ok()?;
    filter.try_into().ok()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "what is forbidden has to be tried, in a thread")]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, ErrorKind, Write as _};
    use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;
    use std::thread;

    use nix::errno::Errno;
    use nix::sys::signal;
    use nix::unistd::Pid;
    use socket2::{Domain, Socket, Type};

    use super::*;

    /// What a thread finds that has confined itself.
    fn confined<T: Send + 'static>(find: impl FnOnce() -> T + Send + 'static) -> T {
        let confine = move || {
            // Where this fails the kernel or a container has no such thing: then no promise holds.
            assert_eq!(confine(), Confinement { landlock: true, seccomp: true });
            find()
        };
        thread::spawn(confine).join().unwrap()
    }

    fn refused<T>(outcome: io::Result<T>) -> Option<ErrorKind> {
        outcome.err().map(|error| error.kind())
    }

    #[test]
    fn nothing_is_written_made_removed_or_executed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        fs::write(&path, "before").unwrap();
        let (own, beside) = (path.clone(), directory.path().join("new"));
        let outcomes = confined(move || {
            [
                refused(fs::read(&own)),
                refused(OpenOptions::new().write(true).open(&own)),
                refused(OpenOptions::new().append(true).open(&own)),
                refused(File::create(&beside)),
                refused(fs::remove_file(&own)),
                refused(fs::rename(&own, &beside)),
                refused(fs::create_dir(&beside)),
                refused(UnixDatagram::bind(&beside)),
                refused(Command::new("/bin/true").status()),
            ]
        });
        let (read, others) = outcomes.split_first().unwrap();
        assert_eq!(*read, None);
        assert!(others.iter().all(Option::is_some), "{outcomes:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn connections_names_and_threads_go_on() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        confined(move || {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"x").unwrap();
            // Its own ports: any free one.
            drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
            drop(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
            let looked_up = thread::spawn(|| ("localhost", 0).to_socket_addrs().unwrap().count());
            assert!(looked_up.join().unwrap() > 0);
        });
    }

    #[test]
    fn ports_signals_and_other_kinds_of_sockets_are_out_of_reach() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let own = std::process::id().cast_signed();
        let parent = nix::unistd::getppid();
        confined(move || {
            assert_eq!(refused(TcpListener::bind(free)), Some(ErrorKind::PermissionDenied));
            for other in [parent, Pid::from_raw(own)] {
                assert_eq!(signal::kill(other, None), Err(Errno::ENOSYS));
            }
            let packets = Socket::new(Domain::PACKET, Type::RAW, None);
            assert_eq!(packets.err().and_then(|e| e.raw_os_error()), Some(Errno::ENOSYS as i32));
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_tcp_nodelay(true).unwrap();
            socket.set_keepalive(true).unwrap();
            let device = socket.bind_device(Some(b"lo"));
            assert_eq!(device.err().and_then(|e| e.raw_os_error()), Some(Errno::ENOSYS as i32));
            let limit = nix::sys::resource::Resource::RLIMIT_CORE;
            assert_eq!(nix::sys::resource::setrlimit(limit, 0, 0), Err(Errno::ENOSYS));
            assert_eq!(nix::sys::prctl::set_dumpable(true), Err(Errno::ENOSYS));
        });
    }

    #[test]
    fn memory_is_for_writing_or_for_execution() {
        use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
        let map = |protection| {
            let size = 4096.try_into().unwrap();
            // SAFETY: a new mapping, whose address is not used.
            unsafe { mmap_anonymous(None, size, protection, MapFlags::MAP_PRIVATE) }.map(drop)
        };
        confined(move || {
            let (read, write, run) =
                (ProtFlags::PROT_READ, ProtFlags::PROT_WRITE, ProtFlags::PROT_EXEC);
            assert_eq!(map(read | write), Ok(()));
            assert_eq!(map(read | run), Ok(()));
            assert_eq!(map(read | write | run), Err(Errno::ENOSYS));
        });
    }
}

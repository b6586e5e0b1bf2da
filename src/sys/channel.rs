//! Packets of one size with at most one descriptor each, over a pair of unix sockets.

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
    recvmsg, sendmsg, shutdown, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::sys::Errno;
use crate::sys::fd;

/// The size of every packet, in bytes.
pub const PACKET: usize = 64;

/// One packet.
pub type Packet = [u8; PACKET];

/// One end of the pair. Never blocks.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// What [`Channel::receive`] found.
#[derive(Debug)]
pub enum Received {
    Packet(Packet, Option<OwnedFd>),
    /// Nothing is there now.
    Empty,
    /// The other end is gone and everything it sent has been read.
    Closed,
    /// A packet whose descriptor was lost: this process has no room for one more.
    Stripped(Packet),
    /// Not a packet of ours: wrong size, or too many descriptors.
    Malformed,
}

impl Channel {
    /// Two connected ends (`SOCK_SEQPACKET`).
    ///
    /// # Errors
    /// As socketpair(2).
    pub fn pair() -> Result<(Self, Self), Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Self(a), Self(b)))
    }

    /// The end that was inherited as descriptor `number`.
    ///
    /// # Errors
    /// `EBADF` when it is not open.
    pub fn inherited(number: RawFd) -> Result<Self, Errno> {
        fd::adopt(number).map(Self)
    }

    /// An end that is already in hand.
    #[cfg(test)]
    pub(crate) const fn inherited_for_test(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends a packet, and a descriptor with it. `Ok(false)`: no room now.
    ///
    /// # Errors
    /// `EPIPE` or `ECONNRESET` when the other end is gone.
    pub fn send(&self, packet: &Packet, with: Option<BorrowedFd<'_>>) -> Result<bool, Errno> {
        let raw = with.map(|fd| [fd.as_raw_fd()]);
        let rights = raw.as_ref().map(|fds| [ControlMessage::ScmRights(fds)]);
        let sent = sendmsg::<()>(
            self.0.as_raw_fd(),
            &[IoSlice::new(packet)],
            rights.as_ref().map_or(&[], |r| r.as_slice()),
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
            None,
        );
        match sent {
            Ok(_) => Ok(true),
            // ETOOMANYREFS: more descriptors in flight than RLIMIT_NOFILE allows.
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ETOOMANYREFS) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Nothing goes either way any more, whoever has the other end. What is on its way here can
    /// still be read, and then comes the end.
    pub fn hang_up(&self) {
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Both);
    }

    /// Reads the next packet.
    ///
    /// # Errors
    /// As recvmsg(2); the end of the other side is no error.
    pub fn receive(&self) -> Result<Received, Errno> {
        let mut buffer = [0; PACKET + 1]; // one more, to notice packets that are too long
        let mut space = cmsg_space!([RawFd; 2]);
        let mut iov = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(self.0.as_raw_fd(), &mut iov, Some(&mut space), flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Received::Empty),
            Err(Errno::ECONNRESET) => return Ok(Received::Closed),
            Err(errno) => return Err(errno),
        };
        let lost = message.flags.contains(MsgFlags::MSG_CTRUNC);
        let length = message.bytes;
        let mut with = Vec::new();
        for control in message.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::ScmRights(fds) = control {
                for raw in fds {
                    with.push(fd::adopt(raw)?);
                }
            }
        }
        if length == 0 && with.is_empty() && !lost {
            return Ok(Received::Closed);
        }
        match (buffer.first_chunk::<PACKET>(), length == PACKET, lost, with.len()) {
            (Some(packet), true, false, 0 | 1) => Ok(Received::Packet(*packet, with.pop())),
            (Some(packet), true, true, 0) => Ok(Received::Stripped(*packet)),
            _ => Ok(Received::Malformed),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_arrives_with_its_descriptor_and_then_the_end() {
        let (a, b) = Channel::pair().unwrap();
        let sent = [7; PACKET];
        assert!(a.send(&sent, Some(a.as_fd())).unwrap());
        assert!(a.send(&sent, None).unwrap());
        assert!(matches!(b.receive().unwrap(), Received::Packet(p, Some(_)) if p == sent));
        assert!(matches!(b.receive().unwrap(), Received::Packet(_, None)));
        assert!(matches!(b.receive().unwrap(), Received::Empty));
        drop(a);
        assert!(matches!(b.receive().unwrap(), Received::Closed));
        assert!(b.send(&sent, None).is_err());
    }

    #[test]
    fn after_hanging_up_what_was_sent_is_read_and_nothing_else_comes() {
        let (a, b) = Channel::pair().unwrap();
        assert!(a.send(&[1; PACKET], None).unwrap());
        b.hang_up();
        assert!(a.send(&[2; PACKET], None).is_err() && b.send(&[3; PACKET], None).is_err());
        assert!(matches!(b.receive().unwrap(), Received::Packet(p, None) if p == [1; PACKET]));
        assert!(matches!(b.receive().unwrap(), Received::Closed));
    }

    #[test]
    fn a_packet_of_another_size_is_malformed() {
        let (a, b) = Channel::pair().unwrap();
        for size in [1, PACKET - 1, PACKET + 1, 4096] {
            nix::unistd::write(&a, &vec![0; size]).unwrap();
            assert!(matches!(b.receive().unwrap(), Received::Malformed), "{size}");
        }
    }

    #[test]
    fn a_full_queue_is_no_room_and_loses_nothing() {
        let (a, b) = Channel::pair().unwrap();
        let mut sent = 0_u32;
        while a.send(&[1; PACKET], None).unwrap() {
            sent += 1;
        }
        let mut read = 0;
        while let Received::Packet(..) = b.receive().unwrap() {
            read += 1;
        }
        assert_eq!(sent, read);
        assert!(a.send(&[1; PACKET], None).unwrap());
    }
}

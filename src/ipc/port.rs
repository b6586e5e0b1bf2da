//! One end of the seam: messages out in order, however full the channel is, and messages in.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::ipc::Kind;
use crate::ipc::Message;
use crate::ipc::Violation;
use crate::ipc::table::Carries;
use crate::sys::Errno;
use crate::sys::channel::Channel;
use crate::sys::channel::Packet;
use crate::sys::channel::Received;

/// What came in.
#[derive(Debug)]
pub enum Incoming<M> {
    Message(M, Option<OwnedFd>),
    /// A message whose descriptor got lost, because this process has no room for one more.
    Stripped(M),
    Nothing,
    /// The other side is gone.
    End,
}

/// A channel with a queue in front of it.
///
/// The queue is as long as the caller lets it grow. The engine stops accepting while anything
/// waits ([`Port::is_clear`]). The monitor does not hear the engine then; what it owes it all the
/// same is one message for every server that runs, what a new engine has to know, and what
/// operators order, and it gives up an engine that is owed too much ([`Port::owed`]).
#[derive(Debug)]
pub struct Port {
    channel: Channel,
    waiting: VecDeque<(Packet, Option<OwnedFd>)>,
    closed: bool,
}

impl Port {
    /// A port over one end of a channel.
    #[must_use]
    pub const fn new(channel: Channel) -> Self {
        Self { channel, waiting: VecDeque::new(), closed: false }
    }

    /// Sends now if nothing waits and there is room, otherwise later ([`Self::flush`]).
    pub fn send<M: Message>(&mut self, message: &M, with: Option<OwnedFd>) {
        if self.closed {
            return;
        }
        let packet = message.encode();
        if self.waiting.is_empty() && self.try_send(&packet, with.as_ref().map(AsFd::as_fd)) {
            return;
        }
        self.waiting.push_back((packet, with));
    }

    /// Sends now or not at all, with a descriptor that stays the caller's.
    #[must_use]
    pub fn try_send_with<M: Message>(&mut self, message: &M, with: BorrowedFd<'_>) -> bool {
        self.is_clear() && (self.closed || self.try_send(&message.encode(), Some(with)))
    }

    /// Sends nothing any more, and hears what is on its way here: then comes [`Incoming::End`],
    /// whoever has the other end.
    pub fn hang_up(&mut self) {
        self.channel.hang_up();
        self.close();
    }

    fn close(&mut self) {
        self.closed = true;
        self.waiting.clear();
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) {
        while let Some((packet, with)) = self.waiting.pop_front() {
            if !self.try_send(&packet, with.as_ref().map(AsFd::as_fd)) {
                self.waiting.push_front((packet, with));
                return;
            }
        }
    }

    /// True when the packet is done with: sent, or the other side is gone.
    fn try_send(&mut self, packet: &Packet, with: Option<BorrowedFd<'_>>) -> bool {
        match self.channel.send(packet, with) {
            Ok(sent) => sent,
            Err(_) => {
                self.close();
                true
            }
        }
    }

    /// How many messages wait to be sent.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits to be sent.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next message. What the other side sent before it went away is still delivered.
    ///
    /// # Errors
    /// [`Violation::Malformed`] for anything that is not a message of this direction, and
    /// [`Violation::Descriptor`] when a descriptor is missing or too many.
    pub fn receive<M: Message>(&mut self) -> Result<Incoming<M>, Violation> {
        match self.channel.receive() {
            Ok(Received::Packet(packet, with)) => {
                let message = M::decode(&packet)?;
                check_descriptor(message.kind(), with.as_ref())?;
                Ok(Incoming::Message(message, with))
            }
            Ok(Received::Stripped(packet)) => Ok(Incoming::Stripped(M::decode(&packet)?)),
            Ok(Received::Empty) | Err(Errno::ENOMEM | Errno::ENOBUFS) => Ok(Incoming::Nothing),
            Ok(Received::Closed) | Err(_) => Ok(Incoming::End),
            Ok(Received::Malformed) => Err(Violation::Malformed),
        }
    }
}

/// Checks that a descriptor came along exactly when one belongs to `kind`.
const fn check_descriptor(kind: Kind, with: Option<&OwnedFd>) -> Result<(), Violation> {
    match (kind.carries(), with) {
        (Carries::One, Some(_)) | (Carries::None, None) | (Carries::Perhaps, _) => Ok(()),
        (Carries::One, None) | (Carries::None, Some(_)) => Err(Violation::Descriptor(kind)),
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl AsRawFd for Port {
    fn as_raw_fd(&self) -> RawFd {
        self.channel.as_raw_fd()
    }
}

//! What a process without privilege that has had a listening socket of ours can have done to it, and
//! what is done about that.

use socket2::SockRef;
use std::io;
use std::os::fd::AsFd;

use crate::monitor::Monitor;
use crate::monitor::intercept;
use crate::monitor::services::Listener;
use crate::plan::Service;
use crate::plan::SocketType;
use crate::sys::poll;
use crate::sys::socket;

/// Makes a socket as good as new, for the engine or a server of that service has had it.
///
/// # Errors
/// Where that cannot be done. Another socket must be opened then.
pub(super) fn restore(fd: impl AsFd, service: &Service) -> io::Result<()> {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    if socket.device()?.is_some() {
        socket.bind_device(None)?;
    }
    if intercept::is_wanted(service) {
        intercept::guard(fd, &service.policy)?;
    } else {
        let detached = socket.detach_filter();
        let is_bare = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
        detached.or_else(|cause| if is_bare(&cause) { Ok(()) } else { Err(cause) })?;
    }
    socket.set_read_timeout(None)?;
    socket.set_write_timeout(None)?;
    socket.set_linger(None)?;
    // One of TCP that listens does not show it, and one that does not is made anew by listen(2).
    let is_tcp = service.socket_type == SocketType::Stream && !socket::is_unix(fd);
    match !is_tcp && poll::is_hung_up(fd) {
        true => Err(io::Error::other("it has been shut down")),
        false => Ok(()),
    }
}

impl Monitor {
    /// Takes back what the engine before may have done to the sockets.
    pub(super) fn restore_sockets(&mut self) {
        let mut is_spoilt = false;
        for (_, active) in self.services.iter() {
            // What a server has is its own, and what a socket unit has made so is meant.
            let is_ours =
                |one: &&Listener| !self.running.has(one.index) && !self.passed.has(&one.key);
            for listener in active.listeners.iter().filter(is_ours) {
                if let Err(cause) = restore(&listener.fd, &active.service) {
                    let id = &active.service.id;
                    tracing::error!("service {id}: something is wrong with its socket: {cause}");
                    is_spoilt = true;
                }
            }
        }
        if is_spoilt {
            self.distrust_sockets();
        }
    }

    /// An engine has been the cause of its own death, or broken the protocol.
    pub(super) fn distrust_sockets(&mut self) {
        if self.store.are_kept() {
            tracing::warn!(
                "sockets that this engine has had are not kept for the next daemon: a restart opens \
                 others"
            );
        }
        self.store.distrust();
        self.keep_sockets();
    }
}

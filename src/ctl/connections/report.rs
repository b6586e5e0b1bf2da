//! What is reported: the sockets that were asked for, each with its owner.

use super::daemon::Daemon;
use super::host::Host;
use super::inet::Inet;
use super::ours::{Ours, Owner};
use super::unix::Unix;
use super::wanted::Wanted;

/// The sockets that are reported, in the kernel's order.
#[derive(Debug, Default)]
pub(super) struct Report<'r> {
    pub internet: Vec<(&'r Inet, Owner<'r>)>,
    pub unix: Vec<(&'r Unix, Owner<'r>)>,
}

impl<'r> Report<'r> {
    pub(super) fn of(host: &'r Host, daemon: Option<&'r Daemon>, wanted: &Wanted) -> Self {
        let ours = daemon.map(|daemon| Ours::new(daemon, host));
        let others = |inode| wanted.others().then(|| Owner::of(&host.processes, inode));
        let inet = host.inet.iter().filter(|socket| wanted.has(socket));
        let unix = host.unix.iter().filter(|socket| wanted.has_unix(socket));
        Self {
            internet: inet
                .filter_map(|socket| {
                    let owner = ours.as_ref().and_then(|ours| ours.inet(socket));
                    Some((socket, owner.or_else(|| others(socket.inode))?))
                })
                .collect(),
            unix: unix
                .filter_map(|socket| {
                    let owner = ours.as_ref().and_then(|ours| ours.unix(socket));
                    Some((socket, owner.or_else(|| others(socket.inode))?))
                })
                .collect(),
        }
    }

    /// Whether something may be missing, because processes do not show what they have open: the
    /// daemon's do not, or who has a socket is not seen.
    pub(super) fn is_partial(&self, host: &Host, daemon: Option<&Daemon>) -> bool {
        let hidden = &host.processes.hidden;
        let is_hidden = |pid: u32| hidden.contains(&pid);
        let daemon_is =
            |daemon: &Daemon| is_hidden(daemon.monitor) || daemon.engine.is_some_and(is_hidden);
        !hidden.is_empty() && (daemon.is_some_and(daemon_is) || self.lacks_a_process())
    }

    fn lacks_a_process(&self) -> bool {
        let lacks = |inode: u64, owner: &Owner<'_>| inode != 0 && owner.processes.is_empty();
        self.internet.iter().any(|(socket, owner)| lacks(socket.inode, owner))
            || self.unix.iter().any(|(socket, owner)| lacks(socket.inode, owner))
    }
}

//! What the kernel says of the host at one moment.

use std::path::Path;
use std::{fs, io};

use super::daemon::Daemon;
use super::inet::{self, Inet};
use super::processes::Processes;
use super::unix::{self, Unix};

/// The kernel's tables at one moment, and who holds what is in them.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub inet: Vec<Inet>,
    pub unix: Vec<Unix>,
    pub processes: Processes,
    /// The network namespace, such as `net:[4026531840]`, if it may be known.
    pub namespace: Option<String>,
    /// It is not the one of this process.
    pub is_elsewhere: bool,
}

impl Host {
    /// Where the daemon is; without one, here.
    ///
    /// # Errors
    /// When the kernel's tables cannot be read.
    pub(super) fn look(daemon: Option<&Daemon>) -> io::Result<Self> {
        let process = daemon.map_or("self".to_owned(), |daemon| daemon.monitor.to_string());
        let process = Path::new("/proc").join(process);
        let net = process.join("net");
        let namespace = |process: &Path| {
            let link = fs::read_link(process.join("ns/net")).ok()?;
            Some(link.to_string_lossy().into_owned())
        };
        let (there, here) = (namespace(&process), namespace(Path::new("/proc/self")));
        Ok(Self {
            inet: inet::sockets(&net)?,
            unix: unix::sockets(&net)?,
            processes: Processes::look(),
            is_elsewhere: there.is_some() && here.is_some() && there != here,
            namespace: there,
        })
    }
}

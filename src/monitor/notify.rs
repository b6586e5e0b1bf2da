//! Words to the service manager: sd_notify(3). Nobody waits for it: what it does not take now is told as
//! soon as it has room. Without one they go nowhere.

use socket2::{Domain, SockAddr, Socket, Type};
use std::env;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use crate::log::Room;
use crate::sys::clock;
use crate::sys::poll;
use crate::sys::socket;

const READY: &str = "READY=1\n";
const RELOADING: &str = "RELOADING=1\n";

/// The service manager, and what it has still to be told. That is little: of what changes only
/// the last counts.
#[derive(Debug, Default)]
pub(super) struct Manager {
    /// `$NOTIFY_SOCKET`; `None`: there is no manager.
    address: Option<SockAddr>,
    /// While it takes nothing: where room for more shows.
    busy: Option<Arc<Socket>>,
    /// Steps of the daemon's life that it must hear, in order: four at most.
    steps: Vec<String>,
    /// The last words for `systemctl status`.
    status: Option<String>,
    is_watchdog_due: bool,
}

impl Manager {
    /// The one that has started us.
    pub(super) fn new() -> Self {
        let name = env::var_os("NOTIFY_SOCKET");
        let address = name.and_then(|name| socket::unix_address(Path::new(&name)).ok());
        Self { address, ..Self::default() }
    }

    pub(super) const fn is_there(&self) -> bool {
        self.address.is_some()
    }

    /// Start-up or reload is done.
    pub(super) fn ready(&mut self) {
        self.step(READY.to_owned());
    }

    /// A reload begins; systemd 253 and later wants the time with it.
    pub(super) fn reloading(&mut self) {
        // Of reloads that it has heard nothing of, the last is enough.
        let unheard = self.steps.iter().position(|step| step.starts_with(RELOADING));
        self.steps.truncate(unheard.unwrap_or(self.steps.len()));
        self.step(format!("{RELOADING}MONOTONIC_USEC={}\n", clock::monotonic_micros()));
    }

    /// The end begins.
    pub(super) fn stopping(&mut self) {
        self.step("STOPPING=1\n".to_owned());
    }

    fn step(&mut self, words: String) {
        if self.is_there() {
            self.steps.push(words);
            self.tell();
        }
    }

    /// What `systemctl status` shows.
    pub(super) fn status(&mut self, text: &str) {
        self.status = Some(format!("STATUS={text}\n"));
        self.tell();
    }

    /// The watchdog is fed.
    pub(super) fn alive(&mut self) {
        self.is_watchdog_due = true;
        self.tell();
    }

    /// Has the manager keep a descriptor by this name. It is not to look at it: a socket that
    /// `cps` has closed would look broken, and be dropped.
    ///
    /// # Errors
    /// `WouldBlock` when it must be asked again, else as sendmsg(2); the manager itself does not
    /// answer.
    pub(super) fn store(&mut self, name: &str, fd: impl AsFd) -> io::Result<()> {
        let words = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n");
        self.send(|socket| socket::pass_now(socket, words.as_bytes(), fd.as_fd()))
    }

    /// Has the manager close what it keeps by this name.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub(super) fn forget(&mut self, name: &str) -> io::Result<()> {
        self.say(&format!("FDSTOREREMOVE=1\nFDNAME={name}\n"))
    }

    /// Tells what waits, as far as it is taken.
    pub(super) fn tell(&mut self) {
        while let Some(words) = self.steps.first().cloned() {
            if self.is_refused(&words) {
                return;
            }
            self.steps.remove(0);
        }
        if self.is_watchdog_due && !self.is_refused("WATCHDOG=1\n") {
            self.is_watchdog_due = false;
        }
        if let Some(words) = self.status.take().filter(|words| self.is_refused(words)) {
            self.status = Some(words);
        }
    }

    /// Whether something waits that must not be lost.
    pub(super) const fn is_behind(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether it takes anything now.
    pub(super) fn has_room(&self) -> bool {
        self.busy.as_ref().is_none_or(|socket| poll::has_room(&**socket))
    }

    /// Where room shows, while that is waited for.
    pub(super) fn room(&self) -> Option<Room> {
        self.busy.clone().map(|socket| socket as Room)
    }

    /// Whether words have to be told again; a manager that is gone cannot be helped.
    fn is_refused(&mut self, words: &str) -> bool {
        self.say(words).is_err_and(|cause| cause.kind() == ErrorKind::WouldBlock)
    }

    fn say(&mut self, words: &str) -> io::Result<()> {
        self.send(|socket| socket::send_now(socket, words.as_bytes()))
    }

    fn send(&mut self, send: impl FnOnce(&Socket) -> io::Result<usize>) -> io::Result<()> {
        let Some(address) = &self.address else { return Ok(()) };
        let socket = match self.busy.take() {
            Some(socket) => socket,
            None => {
                let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
                socket.connect(address)?;
                Arc::new(socket)
            }
        };
        let sent = send(&socket);
        if sent.as_ref().is_err_and(|cause| cause.kind() == ErrorKind::WouldBlock) {
            self.busy = Some(socket);
        }
        sent.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    /// A manager that is not listening yet, and how it gets to listen.
    fn deaf(dir: &Path) -> (Manager, UnixDatagram, impl Fn(&UnixDatagram) -> String) {
        let path = dir.join("notify");
        let theirs = UnixDatagram::bind(&path).unwrap();
        let manager =
            Manager { address: Some(SockAddr::unix(&path).unwrap()), ..Manager::default() };
        let crowd = UnixDatagram::unbound().unwrap();
        crowd.set_nonblocking(true).unwrap();
        while crowd.send_to(b"CROWD\n", &path).is_ok() {}
        theirs.set_nonblocking(true).unwrap();
        let hear = |theirs: &UnixDatagram| {
            let mut all = String::new();
            let mut words = [0; 200];
            while let Ok(length) = theirs.recv(&mut words) {
                all.push_str(std::str::from_utf8(&words[..length]).unwrap());
            }
            all.replace("CROWD\n", "")
        };
        (manager, theirs, hear)
    }

    #[test]
    fn what_a_busy_manager_must_know_waits_and_of_the_rest_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let (mut manager, theirs, hear) = deaf(dir.path());
        manager.ready();
        for number in 0..1000 {
            manager.reloading();
            manager.status(&format!("{number}"));
            manager.alive();
            manager.ready();
        }
        manager.stopping();
        assert!(manager.is_behind() && manager.room().is_some() && manager.steps.len() == 4);
        let full = manager.store("a", &theirs).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        assert_eq!(hear(&theirs), "");
        manager.tell();
        let heard = hear(&theirs);
        let keys: Vec<_> = heard.lines().filter(|it| !it.starts_with("MONOTONIC")).collect();
        let wanted =
            ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=999"];
        assert_eq!(keys, wanted);
        assert!(!manager.is_behind() && manager.room().is_none());
    }

    #[test]
    fn a_manager_that_is_gone_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (mut manager, theirs, _) = deaf(dir.path());
        manager.ready();
        assert!(manager.is_behind());
        drop(theirs);
        manager.tell();
        assert!(!manager.is_behind() && manager.room().is_none());
        assert!(manager.forget("a").is_err());
    }
}

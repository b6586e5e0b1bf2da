//! Words to the service manager: sd_notify(3). Without one they go nowhere.

use sd_notify::NotifyState;
use std::io;
use std::os::fd::AsFd;

/// The manager is not to look at a socket that it keeps: one that `cps` has closed would look
/// broken to it, and be dropped.
const UNWATCHED: NotifyState<'_> = NotifyState::Custom("FDPOLL=0");

/// Start-up or reload is done.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// The watchdog is fed.
pub(super) fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// A reload begins; systemd 253 and later wants the time with it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// The end begins.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// What `systemctl status` shows.
pub(super) fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// Has the manager keep a descriptor by this name.
///
/// # Errors
/// As sendmsg(2); the manager itself does not answer.
pub(super) fn store(name: &str, fd: impl AsFd) -> io::Result<()> {
    let states = [NotifyState::FdStore, NotifyState::FdName(name), UNWATCHED];
    sd_notify::notify_with_fds(&states, &[fd.as_fd()])
}

/// Has the manager close what it keeps by this name.
pub(super) fn forget(name: &str) {
    send(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

fn send(states: &[NotifyState<'_>]) {
    // Nobody listening is the normal case; a manager that is gone cannot be helped.
    sd_notify::notify(states).ok();
}

//! Words to the service manager: sd_notify(3). Without one they go nowhere.

use sd_notify::NotifyState;

/// Start-up or reload is done.
pub(super) fn ready(services: usize) {
    let status = format!("{services} service{} available", if services == 1 { "" } else { "s" });
    send(&[NotifyState::Ready, NotifyState::Status(&status)]);
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

fn send(states: &[NotifyState<'_>]) {
    // Nobody listening is the normal case; a manager that is gone cannot be helped.
    sd_notify::notify(states).ok();
}

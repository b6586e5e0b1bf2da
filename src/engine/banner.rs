//! `banner`, `banner_success`, `banner_fail`: files shown to a client, never at others' cost.

use socket2::Socket;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::engine::aside::aside;
use crate::engine::watch::watch;
use crate::ipc::ToMonitor;
use crate::plan::BannerKind;
use crate::plan::ServiceIndex;
use crate::sys::socket;

/// How long a client may take to read a banner; the original waited for ever, with everybody
/// else behind it (BAN-4).
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a banner is shown, in bytes.
const LONGEST: u64 = 1 << 20;

/// Sends one banner. A file that cannot be opened or read is skipped (BAN-3).
pub(super) async fn show(
    engine: &Rc<RefCell<Engine>>,
    service: ServiceIndex,
    kind: BannerKind,
    client: &Socket,
) -> io::Result<()> {
    let (promise, answer) = oneshot::channel();
    engine.borrow_mut().ask_for_banner(service, kind, promise);
    let Ok(Some(file)) = answer.await else { return Ok(()) };
    let turns = Arc::clone(&engine.borrow().readers);
    let Ok(turn) = turns.acquire_owned().await else { return Ok(()) };
    let text = aside(move || {
        let text = read(file);
        drop(turn);
        text
    });
    let Some(Ok(text)) = text.await else { return Ok(()) };
    timeout(PATIENCE, send(client, &text)).await?
}

impl Engine {
    /// Asks the monitor for the file; a door that is gone has no banner.
    fn ask_for_banner(
        &mut self,
        service: ServiceIndex,
        kind: BannerKind,
        promise: oneshot::Sender<Option<OwnedFd>>,
    ) {
        if !self.doors.contains_key(&service) {
            return;
        }
        self.last_banner += 1;
        let number = self.last_banner;
        self.banners.insert(number, promise);
        self.port.send(&ToMonitor::Banner { number, service, kind }, None);
        self.wake.notify_one();
    }
}

fn read(file: OwnedFd) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::from(file).take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// Sends everything without ever making the socket non-blocking: the server would inherit that.
async fn send(client: &Socket, mut text: &[u8]) -> io::Result<()> {
    let mut room: Option<AsyncFd<OwnedFd>> = None;
    while !text.is_empty() {
        match socket::send_now(client, text) {
            Ok(sent) => text = text.get(sent..).unwrap_or_default(),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                let room = match &room {
                    Some(room) => room,
                    None => room.insert(watch(client, Interest::WRITABLE)?),
                };
                room.writable().await?.clear_ready();
            }
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

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
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::engine::Engine;
use crate::engine::aside::aside;
use crate::engine::watch::watch;
use crate::ipc::ToMonitor;
use crate::plan::BannerKind;
use crate::plan::ServiceIndex;
use crate::sys::socket;

/// How long a client may take to read a piece of a banner, and the disk to give it; the original
/// waited for ever, with everybody else behind it (BAN-4).
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a banner is in memory at a time, in bytes. Most are a fraction of it.
const PIECE: u64 = 256 << 10;

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
    let mut banner = Banner { file: file.into(), left: None };
    loop {
        let turns = Arc::clone(&engine.borrow().readers);
        let Ok(Some(piece)) = timeout(PATIENCE, next(banner, turns)).await else { return Ok(()) };
        let (text, rest) = piece;
        if text.is_empty() {
            return Ok(());
        }
        say(client, &text).await?;
        banner = rest;
    }
}

/// A file that is being shown, and how much of it is left: what is written to it meanwhile does
/// not count, or there might be no end of it.
struct Banner {
    file: File,
    left: Option<u64>,
}

impl Banner {
    fn read(mut self) -> io::Result<(Vec<u8>, Self)> {
        let left = match self.left {
            Some(left) => left,
            None => self.file.metadata()?.len(),
        };
        let mut text = Vec::new();
        let length = Read::by_ref(&mut self.file).take(left.min(PIECE)).read_to_end(&mut text)?;
        self.left = Some(left - length as u64);
        Ok((text, self))
    }
}

/// The next piece of a banner, and the rest; empty at its end. `None`: it cannot be read.
async fn next(banner: Banner, turns: Arc<Semaphore>) -> Option<(Vec<u8>, Banner)> {
    let turn = turns.acquire_owned().await.ok()?;
    let piece = aside(move || {
        let piece = banner.read();
        drop(turn);
        piece
    });
    piece.await?.ok()
}

/// Says something to a client, who has so long to read it.
pub(super) async fn say(client: &Socket, text: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, send(client, text)).await?
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
        self.tell(&ToMonitor::Banner { number, service, kind });
        self.wake.notify_one();
    }
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

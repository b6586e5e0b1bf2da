//! `banner`, `banner_success`, `banner_fail`: files shown to a client, never at others' cost.

use socket2::Socket;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::engine::accept::Visitor;
use crate::engine::watch::watch;
use crate::ipc::ToMonitor;
use crate::plan::BannerKind;
use crate::plan::DoorBanners;
use crate::plan::ServiceIndex;
use crate::sys::socket;

/// How long a client may take to read a banner; the original waited for ever, with everybody
/// else behind it (BAN-4).
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a banner is shown, in bytes.
const LONGEST: u64 = 1 << 20;

/// One client of a service with banners, from the first banner to the order or the end.
pub(super) async fn welcome(engine: Rc<RefCell<Engine>>, visitor: Visitor, banners: DoorBanners) {
    admit_with_banners(&engine, visitor, banners).await;
    let mut engine = engine.borrow_mut();
    engine.pending = engine.pending.saturating_sub(1);
}

async fn admit_with_banners(engine: &Rc<RefCell<Engine>>, visitor: Visitor, banners: DoorBanners) {
    let (service, peer) = (visitor.service, visitor.peer.address);
    if banners.always && show(engine, service, BannerKind::Always, &visitor.socket).await.is_err() {
        return;
    }
    let verdict = engine.borrow_mut().decide(&visitor);
    match verdict {
        Some(Ok(())) => {
            if banners.success {
                // A client that does not want to read it gets its server all the same.
                let shown = show(engine, service, BannerKind::Success, &visitor.socket).await;
                if shown.is_err_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
                    engine.borrow_mut().uncount(service, peer);
                    return;
                }
            }
            let mut engine = engine.borrow_mut();
            if engine.doors.contains_key(&service) {
                engine.hand_over(visitor);
            } else {
                engine.uncount(service, peer);
            }
        }
        Some(Err(why)) => {
            engine.borrow_mut().refuse(&visitor, why);
            if banners.fail {
                show(engine, service, BannerKind::Fail, &visitor.socket).await.ok();
                visitor.socket.shutdown(Shutdown::Write).ok();
            }
        }
        None => {}
    }
}

/// Sends one banner. A file that cannot be opened is skipped (BAN-3).
async fn show(
    engine: &Rc<RefCell<Engine>>,
    service: ServiceIndex,
    kind: BannerKind,
    client: &Socket,
) -> io::Result<()> {
    let (promise, answer) = oneshot::channel();
    {
        let mut engine = engine.borrow_mut();
        engine.last_banner += 1;
        let number = engine.last_banner;
        engine.banners.insert(number, promise);
        engine.port.send(&ToMonitor::Banner { number, service, kind }, None);
    }
    let Ok(Some(file)) = answer.await else { return Ok(()) };
    let text = tokio::task::spawn_blocking(move || read(file)).await??;
    timeout(PATIENCE, send(client, &text)).await?
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

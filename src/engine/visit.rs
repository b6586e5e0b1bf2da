//! A client that has to wait for something: for a banner, or for its own name.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;

use crate::admit::wrap::Need;
use crate::admit::{self, ClientName, Welcome};
use crate::engine::Engine;
use crate::engine::accept::Visitor;
use crate::engine::banner::show;
use crate::engine::names;
use crate::engine::wrap::Facts;
use crate::plan::{BannerKind, Denial, DoorBanners};

/// A client of a service with banners, from the first banner to the order or the end.
pub(super) async fn with_banners(
    engine: Rc<RefCell<Engine>>,
    visitor: Visitor,
    banners: DoorBanners,
) {
    let service = visitor.service;
    if !banners.always || show(&engine, service, BannerKind::Always, &visitor.socket).await.is_ok()
    {
        let verdict = engine.borrow_mut().decide(&visitor);
        // A client too many may have closed the door for a while.
        engine.borrow().wake.notify_one();
        if let Some(verdict) = verdict {
            decided(&engine, visitor, banners, verdict).await;
        }
    }
    engine.borrow_mut().end_visit(service);
}

/// A client of a service without banners whose name decides.
pub(super) async fn by_name(engine: Rc<RefCell<Engine>>, visitor: Visitor) {
    let service = visitor.service;
    decided(&engine, visitor, DoorBanners::default(), Ok(Welcome::NameDecides)).await;
    engine.borrow_mut().end_visit(service);
}

async fn decided(
    engine: &Rc<RefCell<Engine>>,
    visitor: Visitor,
    banners: DoorBanners,
    verdict: Result<Welcome, Denial>,
) {
    let verdict = match verdict {
        Ok(Welcome::NameDecides) => ask_for_name(engine, &visitor).await,
        Ok(Welcome::In) => Some(Ok(())),
        Err(why) => Some(Err(why)),
    };
    match verdict {
        Some(Ok(())) => let_in(engine, visitor, banners).await,
        Some(Err(why)) => turn_away(engine, visitor, banners, why).await,
        None => {}
    }
}

/// Decides by the name. Who is not let in is not counted any more; `None`: the door is gone.
async fn ask_for_name(
    engine: &Rc<RefCell<Engine>>,
    visitor: &Visitor,
) -> Option<Result<(), Denial>> {
    let (service, peer) = (visitor.service, visitor.peer);
    let turns = Arc::clone(&engine.borrow().lookups);
    let name = names::name_of(peer.address, turns, names::PATIENCE).await;
    let door = engine.borrow().doors.get(&service).map(|state| state.door.clone());
    let mut verdict = door.as_ref().map(|door| admit::decide_by_name(&door.policy, peer, &name));
    if let (Some(Ok(())), Some(daemon)) = (verdict, door.and_then(|door| door.wrap)) {
        let granted = ask_wrappers(engine, visitor, &daemon, name).await;
        verdict = Some(if granted { Ok(()) } else { Err(Denial::Libwrap) });
    }
    if verdict != Some(Ok(())) {
        engine.borrow_mut().uncount(service, peer.address);
    }
    verdict
}

/// Whether hosts.allow and hosts.deny let the client in; what they ask about is found out,
/// one thing at a time.
async fn ask_wrappers(
    engine: &Rc<RefCell<Engine>>,
    visitor: &Visitor,
    daemon: &str,
    name: ClientName,
) -> bool {
    let turns = Arc::clone(&engine.borrow().lookups);
    let mut facts = Facts::default();
    let mut name = Some(name);
    loop {
        let answer = engine.borrow_mut().wrap(daemon, visitor, &facts);
        match answer {
            Ok(is_granted) => return is_granted,
            Err(Need::ClientName) if facts.client.is_none() => {
                let name = name.take().unwrap_or(ClientName::InDoubt);
                let address = visitor.peer.address;
                facts.client = Some(names::verified(name, address, Arc::clone(&turns)).await);
            }
            Err(Need::ServerName) if facts.server.is_none() => {
                let address = visitor.socket.local_addr().ok().and_then(|own| own.as_socket());
                let Some(address) = address.map(|own| own.ip().to_canonical()) else {
                    return false;
                };
                let name = names::name_of(address, Arc::clone(&turns), names::PATIENCE).await;
                facts.server = Some(names::verified(name, address, Arc::clone(&turns)).await);
            }
            // Whom the client's host has logged in is not asked: nobody is waved through.
            Err(Need::ClientName | Need::ServerName | Need::User) => return false,
        }
    }
}

async fn let_in(engine: &Rc<RefCell<Engine>>, visitor: Visitor, banners: DoorBanners) {
    let (service, peer) = (visitor.service, visitor.peer.address);
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
        engine.wake.notify_one();
    } else {
        engine.uncount(service, peer);
    }
}

async fn turn_away(
    engine: &Rc<RefCell<Engine>>,
    visitor: Visitor,
    banners: DoorBanners,
    why: Denial,
) {
    engine.borrow_mut().refuse(&visitor, why);
    if banners.fail {
        show(engine, visitor.service, BannerKind::Fail, &visitor.socket).await.ok();
        visitor.socket.shutdown(Shutdown::Write).ok();
    }
}

//! A client that has to wait for something: for a banner, for its own name, or its user's.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::admit::wrap::Need;
use crate::admit::{self, ClientName, Welcome};
use crate::engine::Engine;
use crate::engine::accept::{Visitor, enter};
use crate::engine::banner::{say, show};
use crate::engine::decide::{Caller, Ends, ends};
use crate::engine::ident;
use crate::engine::names;
use crate::engine::wrap::Facts;
use crate::ipc::{Part, ToMonitor};
use crate::plan::{BannerKind, Denial, DoorBanners, Ident, NoId, ServiceIndex, Source};

/// A client of a service with banners, from the first banner to the order or the end.
pub(super) async fn with_banners(
    engine: Rc<RefCell<Engine>>,
    visitor: Visitor,
    banners: DoorBanners,
) {
    let service = visitor.service;
    let mut verdict = None;
    if !banners.always || show(&engine, service, BannerKind::Always, &visitor.socket).await.is_ok()
    {
        verdict = engine.borrow_mut().decide(visitor.caller());
        // A client too many may have closed the door for a while.
        engine.borrow().wake.notify_one();
    }
    if let Some(visitor) = end(&engine, visitor, banners, verdict).await {
        identify(engine, visitor).await;
    }
}

/// A client of a service without banners whose name decides.
pub(super) async fn by_name(engine: Rc<RefCell<Engine>>, visitor: Visitor) {
    let verdict = Some(Ok(Welcome::NameDecides));
    if let Some(visitor) = end(&engine, visitor, DoorBanners::default(), verdict).await {
        identify(engine, visitor).await;
    }
}

/// A client that has asked tcpmux for this service, and whose visit has begun: from here on all is
/// as at a door of its own, but that `banner` comes too late (BAN-5).
pub(super) async fn through_tcpmux(engine: Rc<RefCell<Engine>>, visitor: Visitor) {
    let service = visitor.service;
    loop {
        let turn = engine.borrow_mut().next_turn(service);
        let Some(wait) = turn else { break };
        sleep(wait).await;
    }
    let banners = banners(&engine, service);
    let verdict = engine.borrow_mut().decide(visitor.caller());
    if let Some(visitor) = end(&engine, visitor, banners, verdict).await {
        identify(engine, visitor).await;
    }
}

/// A client whose server could not be forked: all is decided anew, but what it has been shown or
/// asked already is not repeated (RETRY-1).
pub(super) async fn again(engine: Rc<RefCell<Engine>>, visitor: Visitor) {
    let left = DoorBanners { success: false, ..banners(&engine, visitor.service) };
    let verdict = engine.borrow_mut().decide(visitor.caller());
    if let Some(visitor) = end(&engine, visitor, left, verdict).await {
        enter(&engine, visitor);
    }
}

/// The banners of a door; none if it is gone.
fn banners(engine: &Rc<RefCell<Engine>>, service: ServiceIndex) -> DoorBanners {
    let engine = engine.borrow();
    engine.doors.get(&service).map(|state| state.door.banners).unwrap_or_default()
}

/// The end of a visit: who is let in comes back. Without a verdict the door is gone, or the
/// client.
async fn end(
    engine: &Rc<RefCell<Engine>>,
    visitor: Visitor,
    banners: DoorBanners,
    verdict: Option<Result<Welcome, Denial>>,
) -> Option<Visitor> {
    let service = visitor.service;
    let decided = match verdict {
        Some(Ok(Welcome::NameDecides)) => ask_for_name(engine, visitor.caller()).await,
        Some(Ok(Welcome::In)) => Some(Ok(())),
        Some(Err(why)) => Some(Err(why)),
        None => None,
    };
    let entered = match decided {
        Some(Ok(())) => let_in(engine, visitor, banners).await,
        Some(Err(why)) => {
            turn_away(engine, visitor, banners, why).await;
            None
        }
        None => None,
    };
    engine.borrow_mut().end_visit(service);
    entered
}

/// Decides by the name. Who is not let in is not counted any more; `None`: the door is gone.
pub(super) async fn ask_for_name(
    engine: &Rc<RefCell<Engine>>,
    caller: Caller<'_>,
) -> Option<Result<(), Denial>> {
    let Caller { service, peer, .. } = caller;
    let turns = Arc::clone(&engine.borrow().lookups);
    let name = match peer.source.ip() {
        Some(address) => names::name_of(address, turns, names::PATIENCE).await,
        None => ClientName::None,
    };
    let decide = |engine: &Engine| {
        let state = engine.doors.get(&service);
        state.map(|state| admit::decide_by_name(&state.door.policy, peer, &name))
    };
    let mut verdict = decide(&engine.borrow());
    if verdict == Some(Ok(())) && !ask_wrappers(engine, caller, name).await {
        verdict = Some(Err(Denial::Libwrap));
    }
    if verdict != Some(Ok(())) {
        engine.borrow_mut().uncount(service, peer.source);
    }
    verdict
}

/// Whether hosts.allow and hosts.deny let the client in; what they ask about is found out,
/// one thing at a time.
async fn ask_wrappers(engine: &Rc<RefCell<Engine>>, caller: Caller<'_>, name: ClientName) -> bool {
    let turns = Arc::clone(&engine.borrow().lookups);
    let mut facts = Facts::default();
    let mut name = Some(name);
    loop {
        let answer = engine.borrow_mut().wrap(caller, &facts);
        match answer {
            Ok(is_granted) => return is_granted,
            Err(Need::ClientName) if facts.client.is_none() => {
                let name = name.take().unwrap_or(ClientName::InDoubt);
                let Some(address) = caller.peer.source.ip() else { return false };
                facts.client = Some(names::verified(name, address, Arc::clone(&turns)).await);
            }
            Err(Need::ServerName) if facts.server.is_none() => {
                let Some(address) = caller.own() else { return false };
                let name = names::name_of(address, Arc::clone(&turns), names::PATIENCE).await;
                facts.server = Some(names::verified(name, address, Arc::clone(&turns)).await);
            }
            Err(Need::User) if facts.user.is_none() => {
                let turns = Arc::clone(&engine.borrow().ident_turns);
                let answer = ask_host(caller.ends(), &turns, ident::WRAPPERS_PATIENCE).await;
                let user = answer.as_deref().map_or("unknown", ident::user).to_owned();
                facts.user = Some(user);
            }
            // What was found out is not enough: nobody is waved through.
            Err(Need::ClientName | Need::ServerName | Need::User) => return false,
        }
    }
}

async fn let_in(
    engine: &Rc<RefCell<Engine>>,
    visitor: Visitor,
    banners: DoorBanners,
) -> Option<Visitor> {
    let (service, peer) = (visitor.service, visitor.peer.source);
    // A client that does not want to read this gets its server all the same.
    let mut shown = say(&visitor.socket, visitor.greeting).await;
    if shown.is_ok() && banners.success {
        shown = show(engine, service, BannerKind::Success, &visitor.socket).await;
    }
    if shown.is_err_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
        engine.borrow_mut().uncount(service, peer);
        return None;
    }
    Some(visitor)
}

/// Asks whose connection it is, if that is wanted, and hands the client over (IDENT-1, IDENT-4).
/// From the call on it is known that there is somebody to hand over.
pub(super) fn identify(
    engine: Rc<RefCell<Engine>>,
    visitor: Visitor,
) -> impl Future<Output = ()> + use<> {
    engine.borrow_mut().identifying += 1;
    async move {
        ask_and_enter(&engine, visitor).await;
        let mut engine = engine.borrow_mut();
        engine.identifying -= 1;
        engine.wake.notify_one();
    }
}

async fn ask_and_enter(engine: &Rc<RefCell<Engine>>, visitor: Visitor) {
    let (service, peer) = (visitor.service, visitor.peer.source);
    let wanted = engine.borrow().doors.get(&service).map(|state| state.door.ident);
    let answer = match wanted {
        Some(Ident { on_success: true, .. }) => {
            let turns = Arc::clone(&engine.borrow().ident_turns);
            Some(whose(&visitor, &turns).await)
        }
        _ => None,
    };
    let is_required = wanted.is_some_and(|ident| ident.is_required);
    match answer {
        Some(Err(why)) if is_required => {
            let mut engine = engine.borrow_mut();
            if let Source::Ip(peer) = peer {
                engine.tell(&ToMonitor::NoId { service, why, peer });
            }
            engine.uncount(service, peer);
        }
        Some(Ok(text)) => {
            engine.borrow_mut().name_user(service, &text);
            enter(engine, visitor);
        }
        Some(Err(_)) | None => enter(engine, visitor),
    }
}

/// IDENT-6: a client that was refused is named, unless enough hosts are being asked (CLI-11).
pub(super) async fn name_refused(engine: Rc<RefCell<Engine>>, visitor: Visitor) {
    let turns = engine.borrow().refused_turns.clone();
    let Some(turns) = turns else { return };
    let whose = whose(&visitor, &turns);
    // For the client it is over; as long as the socket is here its host knows the connection.
    visitor.socket.shutdown(Shutdown::Write).ok();
    if let Ok(text) = whose.await {
        let mut engine = engine.borrow_mut();
        engine.name_user(visitor.service, &text);
        engine.wake.notify_one();
    }
}

/// Whose connection it is: the kernel knows of a process of this machine, the client's host of
/// others. The words are those of RFC 1413. Both ends are looked at when this is called: once
/// a connection is closed the kernel has forgotten them.
fn whose(
    visitor: &Visitor,
    turns: &Arc<Semaphore>,
) -> impl Future<Output = Result<String, NoId>> + use<> {
    let (source, ends, turns) = (visitor.peer.source, ends(&visitor.socket), Arc::clone(turns));
    async move {
        match source {
            Source::User(uid) => Ok(format!("UNIX : {uid}")),
            Source::Ip(_) | Source::Unknown => ask_host(ends, &turns, ident::PATIENCE).await,
        }
    }
}

/// Asks the client's host, unless too many are being asked.
async fn ask_host(ends: Ends, turns: &Arc<Semaphore>, patience: Duration) -> Result<String, NoId> {
    let Ok(_turn) = Arc::clone(turns).try_acquire_owned() else { return Err(NoId::SystemError) };
    let (client, own) = ends.ok_or(NoId::SystemError)?;
    ident::ask(client, own, patience).await
}

impl Engine {
    /// Tells the monitor whose connection it is.
    fn name_user(&mut self, service: ServiceIndex, text: &str) {
        let end = text.floor_char_boundary(Part::LONGEST_TEXT);
        for part in Part::all(text.as_bytes().get(..end).unwrap_or_default()) {
            self.tell(&ToMonitor::UserId { service, part });
        }
    }
}

async fn turn_away(
    engine: &Rc<RefCell<Engine>>,
    visitor: Visitor,
    banners: DoorBanners,
    why: Denial,
) {
    engine.borrow_mut().report(visitor.service, visitor.peer.source, why);
    let asks = engine.borrow().asks_after(visitor.service, why);
    if banners.fail {
        show(engine, visitor.service, BannerKind::Fail, &visitor.socket).await.ok();
        visitor.socket.shutdown(Shutdown::Write).ok();
    }
    if asks {
        tokio::task::spawn_local(name_refused(Rc::clone(engine), visitor));
    }
}

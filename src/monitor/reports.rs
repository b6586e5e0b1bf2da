//! What the engine reports of clients and doors, as lines of the logs; and the files that it asks
//! for to show.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ipc::Event;
use crate::ipc::Kind;
use crate::ipc::Part;
use crate::ipc::Refusal;
use crate::ipc::ToEngine;
use crate::ipc::Violation;
use crate::log;
use crate::monitor::Monitor;
use crate::monitor::trouble::Trouble;
use crate::plan::Action;
use crate::plan::BannerKind;
use crate::plan::Denial;
use crate::plan::DenyList;
use crate::plan::DenyTime;
use crate::plan::Libwrap;
use crate::plan::Listed;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::sys::Errno;
use crate::sys::fd;

/// Rules that something is said about until the next reload, at most.
const MOST_RULES: usize = 1024;

/// Why a rule was not followed to the letter.
const fn rule_falls_short(line: u32) -> &'static str {
    match line {
        0 => "the engine's user cannot read it: every client is refused (it wants mode 644)",
        _ => {
            "this rule has a mistake, names a file that the engine cannot read, or asks for something \
             that is not done here: commands are not run, banners not shown; where the server would \
             be another, its clients are refused"
        }
    }
}

/// That nobody at an address is let in for some time (SENS-2).
pub(super) fn locked_out(peer: IpAddr, time: &str) -> String {
    format!("Adding {peer} to the global_no_access list for {time}")
}

/// That one more address cannot be locked out (SENS-5).
pub(super) fn no_room(peer: IpAddr) -> String {
    format!("{peer} is not locked out: {} addresses are", DenyList::MOST)
}

/// Why a target is not reached.
fn not_reached(errno: i32) -> String {
    let errno = Errno::from_raw(errno);
    if errno == Errno::ELOOP { "it is this very service".to_owned() } else { super::words(errno) }
}

impl Monitor {
    pub(super) fn log_refusal(&mut self, refusal: Refusal) -> Result<(), Violation> {
        let service = Rc::clone(&self.service(Kind::Refused, refusal.service)?.service);
        self.log_denial(&service, refusal);
        Ok(())
    }

    /// The FAIL line, and what the daemon's own log has to say.
    pub(super) fn log_denial(&mut self, service: &Rc<Service>, refusal: Refusal) {
        let Refusal { service: index, why, peer } = refusal;
        self.tallies.refuse(index, why);
        match (why, &service.libwrap) {
            (Denial::Load, _) => {
                tracing::error!("refused connect from {peer} due to excessive load");
            }
            (Denial::Libwrap, Libwrap::Daemon(daemon)) => {
                let id = &service.id;
                tracing::debug!(
                    "libwrap refused connection to {id} (libwrap={daemon}) from {peer}"
                );
            }
            _ => {}
        }
        if let Some(line) = log::fail(&service.id, service.log.on_failure, why, peer) {
            self.logs.line(index, service, &line);
        }
    }

    /// Collects what a client's host says, and logs it when it is complete. The engine sends the
    /// parts of one answer without a word about another service between them.
    pub(super) fn hear_user(&mut self, index: ServiceIndex, part: Part) -> Result<(), Violation> {
        let service = Rc::clone(&self.service(Kind::UserId, index)?.service);
        let (of, text) = self.user_text.get_or_insert_with(|| (index, Vec::new()));
        text.extend_from_slice(part.bytes());
        if *of != index || text.len() > Part::LONGEST_TEXT {
            return Err(Violation::Contradiction(Kind::UserId, "not the next part"));
        }
        if let Some((_, text)) = self.user_text.take_if(|_| part.is_last) {
            self.logs.line(index, &service, &log::user_id(&service.id, &text));
        }
        Ok(())
    }

    /// Keeps what the engine knows of a client at a SENSOR, for the engine after it.
    pub(super) fn lock_out(&mut self, index: ServiceIndex, peer: IpAddr) -> Result<(), Violation> {
        let service = &self.service(Kind::Sensed, index)?.service;
        let Action::Sensor { deny, .. } = service.action else {
            return Err(Violation::Contradiction(Kind::Sensed, "no sensor"));
        };
        let minutes = match deny {
            // A reload has just changed its mind.
            DenyTime::Never => return Ok(()),
            DenyTime::Minutes(minutes) => i64::from(minutes),
            DenyTime::Forever => -1,
        };
        match self.locked_out.add(peer, deny, Instant::now()) {
            Some(Listed::New) => tracing::error!(
                critical = true,
                "{}",
                locked_out(peer, &format!("{minutes} minutes"))
            ),
            Some(Listed::Full) => tracing::error!("{}", no_room(peer)),
            Some(Listed::Again) | None => {}
        }
        Ok(())
    }

    pub(super) fn log_event(&mut self, index: ServiceIndex, event: Event) -> Result<(), Violation> {
        let service = Rc::clone(&self.service(Kind::Noticed, index)?.service);
        let (name, id) = (&service.name, &service.id);
        match event {
            Event::Deactivated => {
                let pause = Duration::from_secs(service.policy.rate.pause.into());
                self.closed.insert(index, Instant::now() + pause);
                tracing::error!(
                    "Deactivating service {name} due to excessive incoming connections.  \
                     Restarting in {} seconds.",
                    service.policy.rate.pause
                );
            }
            Event::Activated => {
                self.closed.remove(&index);
                if !self.gates.is_closed(index) {
                    tracing::error!("Activating service {name}");
                }
            }
            Event::Paced => tracing::warn!(
                "service {id}: more than {} connections a second: they wait for their turn",
                service.policy.rate.per_second
            ),
            Event::AcceptFailed(errno) => {
                let errno = super::words(Errno::from_raw(errno));
                self.complain(
                    Trouble::Accept,
                    format!("service {id}, accept: {errno}; clients wait"),
                );
            }
            Event::NotReached { address, errno } => {
                self.log_not_reached(index, &service, address, errno);
            }
            Event::Withheld => tracing::warn!(
                "service {id}: more datagrams come than it answers in a second: the others get \
                 no answer"
            ),
            Event::LeftUndone => tracing::error!(
                "service {id}: its servers end without taking what they were started for; as long \
                 as that is so the next one has to wait, a second at most"
            ),
            Event::Full => tracing::error!(
                "service {id}: sessions hold all descriptors that they may have: clients wait"
            ),
            Event::Turned(gate) => self.door_turned(index, gate),
            Event::Crowded => tracing::error!(
                "service {id}: as many clients are passed on as there may be: datagrams of others \
                 are dropped"
            ),
            Event::RuleFallsShort { is_allow, line } => {
                let file = if is_allow { "/etc/hosts.allow" } else { "/etc/hosts.deny" };
                // For every client the same: once is enough.
                let has_room = self.rules_told.len() < MOST_RULES;
                if has_room && self.rules_told.insert((is_allow, line)) {
                    let line_number = if line > 0 { format!(":{line}") } else { String::new() };
                    tracing::warn!("{file}{line_number}: {}", rule_falls_short(line));
                }
            }
        }
        Ok(())
    }

    /// REDIR-3: the target of a redirected service cannot be had.
    fn log_not_reached(
        &mut self,
        index: ServiceIndex,
        service: &Service,
        address: Option<IpAddr>,
        errno: i32,
    ) {
        let target = match (address, &service.action) {
            (Some(address), _) => format!("remote host {address}"),
            (None, Action::Redirect { target, .. }) => target.to_string(),
            (None, _) => "its target".to_owned(),
        };
        let (id, why) = (&service.id, not_reached(errno));
        let text = format!("service {id}: can't connect to {target}: {why}");
        self.complain(Trouble::Target(index, errno), text);
    }

    /// The banner's path stays here; the engine gets the open file, if it is one. A banner or a
    /// service that a reload has just taken away is no file either.
    pub(super) fn open_banner(&mut self, number: u64, index: ServiceIndex, kind: BannerKind) {
        let service = self.service(Kind::AskBanner, index).map(|active| Rc::clone(&active.service));
        let file = service.ok().and_then(|service| {
            if kind == BannerKind::Listing {
                return self.listing(&service)?.ok();
            }
            let path = service.banners.path(kind)?;
            let file = fd::open_regular(path);
            let (id, path) = (&service.id, path.display());
            file.inspect_err(|cause| {
                tracing::error!("service = {id}, open of banner {path} failed: {cause}");
            })
            .ok()
        });
        if let Some(engine) = &mut self.engine {
            engine.port.send(&ToEngine::Banner { number }, file);
        }
    }
}

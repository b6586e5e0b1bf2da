//! What the engine asks for: the one switch, and who may ask for what.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::ipc::Kind;
use crate::ipc::Message;
use crate::ipc::State;
use crate::ipc::Ticket;
use crate::ipc::ToMonitor;
use crate::ipc::Violation;
use crate::log;
use crate::monitor::Monitor;
use crate::monitor::consistency::Answer;
use crate::monitor::reload::Reload;
use crate::monitor::services::{Active, Services};
use crate::plan::Action;
use crate::plan::ServiceIndex;

/// A service by its number, in force or on its way out. Until a reload is done, one that is of
/// another kind now is asked about as it was.
pub(super) fn service<'a>(
    services: &'a Services,
    reload: Option<&'a Reload>,
    kind: Kind,
    index: ServiceIndex,
) -> Result<&'a Active, Violation> {
    let is_about = |active: &&Active| {
        let is_sensor = matches!(active.service.action, Action::Sensor { .. });
        let contradicts = (kind == Kind::Start && active.launch.is_none())
            || (kind == Kind::Began && active.launch.is_some())
            || (kind == Kind::Sensed && !is_sensor);
        !contradicts
    };
    let now = services.find(index);
    let former = || reload?.former.find(index).filter(is_about);
    let retired = || reload?.retired.find(index);
    now.filter(is_about)
        .or_else(former)
        .or(now)
        .or_else(retired)
        .ok_or(Violation::Contradiction(kind, "no such service"))
}

impl Monitor {
    /// The one switch: what the engine asks for, if it may now.
    pub(super) fn obey(
        &mut self,
        message: ToMonitor,
        with: Option<OwnedFd>,
    ) -> Result<(), Violation> {
        self.check_permission(message.kind())?;
        match (message, with) {
            (ToMonitor::Start { ticket, service, peer, failures }, Some(connection)) => {
                self.start_server(ticket, service, peer, connection, failures)
            }
            (ToMonitor::Serve { ticket, service, socket, peer }, _) => {
                self.lend(ticket, service, socket, peer)
            }
            (ToMonitor::Refused(refusal), _) => self.log_refusal(refusal),
            (ToMonitor::Noticed { service, event }, _) => self.log_event(service, event),
            (ToMonitor::Banner { number, service, kind }, _) => {
                self.open_banner(number, service, kind);
                Ok(())
            }
            (ToMonitor::Sensed { service, peer }, _) => self.lock_out(service, peer),
            (ToMonitor::UserId { service, part }, _) => self.hear_user(service, part),
            (ToMonitor::NoId { service, why, peer }, _) => {
                let active = self.service(Kind::NoId, service)?;
                let of = Rc::clone(&active.service);
                self.logs.line(service, &of, &log::no_id(&of.id, peer, why));
                Ok(())
            }
            (ToMonitor::Began { ticket, service, peer, ports }, _) => {
                self.session_began(ticket, service, peer, ports)
            }
            (ToMonitor::Ended { ticket, how, received, sent }, _) => {
                self.session_ended(ticket, how, received, sent)
            }
            (ToMonitor::Answered { service, peer }, _) => self.client_answered(service, peer),
            (ToMonitor::Checked { tickets, doors, errors }, _) => {
                self.checked(Answer { tickets, doors, errors })
            }
            (ToMonitor::Counted { service, refused, clients }, _) => {
                self.service(Kind::Counted, service)?;
                self.tallies.add(service, refused, clients);
                Ok(())
            }
            (ToMonitor::Hello { build, confinement }, _) => self.greeted(build, confinement),
            (ToMonitor::Adopted { generation }, _) => self.adopted(generation),
            (ToMonitor::Stopped, _) => {
                self.drained();
                Ok(())
            }
            (ToMonitor::Start { .. }, None) => Err(Violation::Descriptor(Kind::Start)),
        }
    }

    /// The table of the seam: whether this may be said now.
    pub(super) fn check_permission(&self, kind: Kind) -> Result<(), Violation> {
        let state = self.engine.as_ref().map_or(State::Greeting, |engine| engine.state);
        if state.permits(kind) { Ok(()) } else { Err(Violation::Forbidden(kind, state)) }
    }

    pub(super) fn take_ticket(&mut self, kind: Kind, ticket: Ticket) -> Result<(), Violation> {
        if ticket <= self.last_ticket {
            return Err(Violation::Contradiction(kind, "a ticket used before"));
        }
        self.last_ticket = ticket;
        Ok(())
    }

    pub(super) fn service(&self, kind: Kind, index: ServiceIndex) -> Result<&Active, Violation> {
        service(&self.services, self.reload.as_ref(), kind, index)
    }
}

//! SIGABRT and `-cc`: do the tables agree with each other, with the engine and with the system
//! (SIG-6)?
//!
//! The engine is asked to look at its own tables, and how many tickets it knows. Its answer comes
//! after everything it said before, so that the numbers can be compared while clients come and go.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::ipc::Kind;
use crate::ipc::State;
use crate::ipc::Ticket;
use crate::ipc::ToEngine;
use crate::ipc::Violation;
use crate::monitor::Monitor;
use crate::monitor::services::Listener;
use crate::plan::Generation;
use crate::plan::LogTarget;
use crate::plan::ServiceIndex;
use crate::sys::socket;

/// An engine that has not answered for so long is one of the errors.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question to the engine.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) asked: Instant,
    /// SIGABRT: somebody waits for the answer, good or bad.
    say_so: bool,
    /// What has been found here.
    errors: usize,
    generation: Generation,
    /// [`Monitor::closed_tickets`] then.
    closed_tickets: u64,
}

/// What an engine knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub tickets: u32,
    pub doors: u32,
    /// What does not add up there.
    pub errors: u32,
}

impl Monitor {
    pub(super) fn check_consistency(&mut self, say_so: bool) {
        let mut found = self.contradictions();
        if let Some(question) = &mut self.question {
            if question.asked.elapsed() < PATIENCE {
                question.say_so |= say_so;
                return;
            }
            // It is asked already, and may answer yet: two questions would have two answers.
            found.push("the engine does not answer".to_owned());
            return conclude(tell(&found), say_so);
        }
        let errors = tell(&found);
        if self.engine.as_ref().is_none_or(|engine| engine.ended || engine.state != State::Serving)
        {
            return conclude(errors, say_so);
        }
        self.ask(say_so, errors);
    }

    /// Asks the engine, which has a plan in force; `errors` have been found here.
    pub(super) fn ask(&mut self, say_so: bool, errors: usize) {
        self.question = Some(Question {
            asked: Instant::now(),
            say_so,
            errors,
            generation: self.generation,
            closed_tickets: self.closed_tickets,
        });
        self.tell_engine(&ToEngine::Check);
    }

    /// The engine has looked, too.
    pub(super) fn checked(&mut self, answer: Answer) -> Result<(), Violation> {
        let unasked = Violation::Contradiction(Kind::Checked, "not asked for");
        let question = self.question.take().ok_or(unasked)?;
        let found = self.differences(&question, answer);
        conclude(question.errors + tell(&found), question.say_so);
        Ok(())
    }

    /// Where engine and monitor do not agree.
    pub(super) fn differences(&self, question: &Question, answer: Answer) -> Vec<String> {
        let mut found = Vec::new();
        // Those it was told of after the question it knew when it answered.
        let closed_since = self.closed_tickets - question.closed_tickets;
        let known = self.tickets().count() as u64 + closed_since;
        if u64::from(answer.tickets) != known {
            found.push(format!("the engine counts {} servers, not {known}", answer.tickets));
        }
        if question.generation == self.generation
            && usize::try_from(answer.doors) != Ok(self.services.count())
        {
            let (doors, services) = (answer.doors, self.services.count());
            found.push(format!("the engine has {doors} doors for {services} services"));
        }
        if answer.errors > 0 {
            found.push(format!("the engine's tables contradict each other: {}", answer.errors));
        }
        found
    }

    /// The engine is gone and will not answer.
    pub(super) fn forget_question(&mut self) {
        if let Some(question) = self.question.take() {
            conclude(question.errors, question.say_so);
        }
    }

    /// Every client that the engine has a ticket for.
    fn tickets(&self) -> impl Iterator<Item = (Ticket, ServiceIndex)> {
        let servers = self.running.iter().map(|(_, server)| (server.ticket, server.index));
        let sessions = self.sessions.iter().map(|(ticket, session)| (ticket, session.index));
        let waiting = self.retries.iter().map(|client| (client.ticket, client.index));
        servers.chain(sessions).chain(waiting)
    }

    /// What does not add up in this process.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let mut found = self.running.contradictions();
        let mut seen = HashSet::new();
        for (ticket, _) in self.tickets() {
            if ticket > self.last_ticket || !seen.insert(ticket) {
                found.push(format!("ticket {} has been given twice, or never", ticket.0));
            }
        }
        let is_known = |index| self.services.find(index).is_some() || self.is_on_its_way_out(index);
        for (pid, server) in self.running.iter() {
            if !is_known(server.index) && !server.was_told_to_end() {
                let id = &server.service.id;
                found.push(format!("server {pid} of {id}, which is gone, was not told to end"));
            }
        }
        for index in self.closed.keys().filter(|index| !is_known(**index)) {
            found.push(format!("{index} is closed and does not exist"));
        }
        for (index, _) in self.gates.iter().filter(|(index, _)| !is_known(*index)) {
            found.push(format!("{index} is paused or closed and does not exist"));
        }
        for (index, active) in self.services.iter() {
            let service = &active.service;
            if !active.listeners.iter().all(is_bound) {
                found.push(format!("service {} is not bound to its address", service.id));
            }
            if matches!(service.log.target, LogTarget::File(_)) && !self.logs.has_file(index) {
                found.push(format!("the log of service {} is not open", service.id));
            }
        }
        found
    }

    fn is_on_its_way_out(&self, index: ServiceIndex) -> bool {
        self.reload.as_ref().is_some_and(|reload| reload.retired.find(index).is_some())
    }
}

/// Whether a socket has the address that it should have.
fn is_bound(listener: &Listener) -> bool {
    let Listener { key, port, .. } = listener;
    let Some(wanted) = key.address.ip() else { return true };
    socket::local_address(&listener.fd).is_some_and(|address| {
        address.port() == *port && (key.any_family || address.ip() == wanted.ip())
    })
}

fn tell(found: &[String]) -> usize {
    for text in found {
        tracing::error!("consistency check: {text}");
    }
    found.len()
}

fn conclude(errors: usize, say_so: bool) {
    match errors {
        0 if say_so => tracing::debug!("Consistency check passed"),
        0 => {}
        1 => tracing::error!("Consistency check detected 1 error"),
        errors => tracing::error!("Consistency check detected {errors} errors"),
    }
}

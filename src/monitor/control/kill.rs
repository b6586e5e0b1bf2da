//! `xinetctl kill`: sessions are told to end, as those of a service that a reload takes away.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Instant;

use crate::control::{Answer, Session, Whom};
use crate::ipc::{Ticket, ToEngine};
use crate::monitor::Monitor;
use crate::monitor::control::Outcome;
use crate::plan::Source;

impl Monitor {
    /// Tells sessions to end, and which they are. If one is unknown, none is told.
    pub(super) fn kill(&mut self, whom: &Whom, uid: u32) -> Outcome {
        let chosen = self.chosen(whom)?;
        for Session { id, service, .. } in &chosen {
            tracing::info!("Ending session {id} of {service}, by order of uid {uid}");
        }
        let tickets: HashSet<_> = chosen.iter().map(|session| Ticket(session.id)).collect();
        self.running.end_those(|server| tickets.contains(&server.ticket), Instant::now());
        for session in chosen.iter().filter(|session| session.in_engine) {
            self.tell_engine(&ToEngine::End { ticket: Ticket(session.id) });
        }
        Ok(chosen.into_iter().map(Answer::Session).collect())
    }

    /// Whose sessions are meant, as they are now.
    fn chosen(&self, whom: &Whom) -> Result<Vec<Session>, String> {
        let mut all = self.listed();
        match whom {
            Whom::Sessions(ids) => {
                let known: HashSet<_> = all.iter().map(|session| session.id).collect();
                if let Some(stranger) = ids.iter().find(|id| !known.contains(id)) {
                    return Err(format!("there is no session {stranger}; none was ended"));
                }
                all.retain(|session| ids.contains(&session.id));
            }
            // One that a reload has dropped may have sessions still.
            Whom::Service(id) if all.iter().any(|session| session.service == *id) => {
                all.retain(|session| session.service == *id);
            }
            Whom::Service(word) => {
                let ids: HashSet<_> = self.named(word)?.into_iter().map(|(_, id)| id).collect();
                all.retain(|session| ids.contains(&session.service));
            }
            Whom::Peer(word) => {
                let peer = peer(word).ok_or_else(|| format!("{word} is no address of a client"))?;
                all.retain(|session| session.peer.as_ref() == Some(&peer));
            }
        }
        Ok(all)
    }
}

/// A client as sessions have it: an IPv4 address that is written as one of IPv6 is one.
fn peer(word: &str) -> Option<String> {
    let address = || word.parse::<IpAddr>().ok().map(Source::from);
    let user = || word.strip_prefix("unix:uid=")?.parse().ok().map(Source::User);
    address().or_else(user).map(|source| source.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_user() {
        let known = ["192.0.2.1", "::ffff:192.0.2.1", "2001:DB8::1", "unix:uid=7"].map(peer);
        let meant = ["192.0.2.1", "192.0.2.1", "2001:db8::1", "unix:uid=7"];
        assert_eq!(known, meant.map(|word| Some(word.to_owned())));
        for word in ["", "localhost", "192.0.2.0/24", "unix:uid=", "unix:uid=-1"] {
            assert_eq!(peer(word), None, "{word}");
        }
    }
}

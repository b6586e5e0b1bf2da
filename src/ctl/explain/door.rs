//! Would this client be let in? The daemon's own decision, and the rule behind it.

use std::fmt::Write as _;

use crate::admit::{self, ClientName, Counts, Processes, Rate, Welcome};
use crate::config::attr;
use crate::config::lookup::Lookup;
use crate::config::{self, Declared, Loaded};
use crate::diag::Span;
use crate::plan::{AccessList, Action, Denial, Limit, Service, SocketType, Wait};

use super::client::Client;
use super::origin::{Origin, operator, places};
use super::page::fact;
use super::wrappers::Wrappers;

/// The attributes that are looked at, in the order of ACC-1. Who is on `no_access` is
/// refused whatever `only_from` says, so it comes first (ADDR-2).
const CHECKS: [&str; 8] = [
    "cps",
    "max_load",
    "access_times",
    "instances",
    "per_source",
    "no_access",
    "only_from",
    "libwrap",
];

/// One client at one service.
pub(super) struct Check<'l> {
    pub loaded: &'l Loaded,
    pub declared: &'l Declared,
    pub service: &'l Service,
    pub lookup: &'l dyn Lookup,
    pub client: &'l Client,
}

/// What decides, and the name of the client if it was asked for.
struct Verdict {
    /// The attribute that refuses; `None`: nobody does.
    refusing: Option<(&'static str, Denial)>,
    name: Option<ClientName>,
    wrappers: Wrappers,
}

impl Check<'_> {
    /// Whether the client is let in, and the text that says so.
    pub(super) fn verdict(&self) -> (bool, String) {
        let mut text = String::new();
        let address = self.client.address;
        let Some(peer) = self.client.at(&self.service.sockets) else {
            let sockets: Vec<_> = self.service.sockets.iter().map(ToString::to_string).collect();
            let sockets = sockets.join(", ");
            let _infallible = fact(
                &mut text,
                "verdict",
                &format!("a client from {address} cannot reach {sockets}"),
            );
            return (false, text);
        };
        if matches!(self.service.action, Action::Sensor { .. }) {
            let _infallible =
                fact(&mut text, "verdict", "refused (address): a SENSOR lets nobody in");
            return (false, text);
        }
        // ACC-7; what cannot be in force is said when the file is read.
        if self.service.wait == Wait::Yes && self.service.socket_type == SocketType::Stream {
            let unseen = "let in, whoever it is: with `wait = yes` the server accepts connections \
                          itself, and no address is checked";
            let _infallible = fact(&mut text, "verdict", unseen);
            return (true, text);
        }
        let policy = &self.service.policy;
        let free = Processes { running: 0, limit: Limit::Unlimited };
        let (mut rate, counts) = (Rate::default(), Counts::default());
        let moment = self.client.moment;
        let mut decided = admit::decide(policy, &mut rate, &counts, free, peer, moment);
        let name = (decided == Ok(Welcome::NameDecides)).then(|| self.client.name());
        if let Some(name) = &name {
            decided = admit::decide_by_name(policy, peer, name).map(|()| Welcome::In);
        }
        let wrappers = Wrappers::ask(self.service, self.client, self.lookup);
        if decided == Ok(Welcome::In) && !wrappers.is_granted {
            decided = Err(Denial::Libwrap);
        }
        let refusing = decided.err().map(|why| (self.attribute(why, name.as_ref()), why));
        let verdict = Verdict { refusing, name, wrappers };
        self.client_text(&mut text, &verdict);
        let outcome = match verdict.refusing {
            None => "let in".to_owned(),
            Some((attribute, why)) => {
                format!("refused by {attribute} (FAIL: {} {why})", self.service.id)
            }
        };
        let _infallible = fact(&mut text, "verdict", &outcome);
        self.table(&mut text, &verdict);
        (verdict.refusing.is_none(), text)
    }

    fn client_text(&self, text: &mut String, verdict: &Verdict) {
        let Client { address, moment } = self.client;
        let name = match &verdict.name {
            None => String::new(),
            Some(ClientName::Known(name)) => format!(", which is {name}"),
            Some(ClientName::None) => ", which has no name".to_owned(),
            Some(ClientName::InDoubt) => ", whose name cannot be found out".to_owned(),
        };
        let load = moment.load.map_or_else(String::new, |load| format!(" under a load of {load}"));
        let (hour, minute) = (moment.minute / 60, moment.minute % 60);
        let alone = "when nobody else is connected";
        let client = format!("{address}{name}, at {hour:02}:{minute:02}{load}, {alone}");
        let _infallible = fact(text, "client", &client);
    }

    /// The attribute behind a refusal.
    fn attribute(&self, why: Denial, name: Option<&ClientName>) -> &'static str {
        match why {
            Denial::Cps => "cps",
            Denial::Load => "max_load",
            Denial::Time => "access_times",
            Denial::ServiceLimit => "instances",
            Denial::PerSourceLimit => "per_source",
            Denial::Address if self.is_banned(name) => "no_access",
            Denial::Address => "only_from",
            Denial::Libwrap => "libwrap",
            Denial::ProcessLimit | Denial::Fork => "-limit",
        }
    }

    fn is_banned(&self, name: Option<&ClientName>) -> bool {
        let list = self.service.policy.no_access.as_ref();
        list.is_some_and(|list| self.is_on(list, name, true))
    }

    fn is_on(&self, list: &AccessList, name: Option<&ClientName>, in_doubt: bool) -> bool {
        let peer = self.client.at(&self.service.sockets);
        peer.is_some_and(|peer| admit::is_on(list, peer, name, in_doubt) == Some(true))
    }

    /// Each check: what came of it, and where it is configured.
    fn table(&self, text: &mut String, verdict: &Verdict) {
        let refusing = verdict.refusing.map(|(attribute, _)| attribute);
        let last = CHECKS.iter().position(|attribute| Some(*attribute) == refusing);
        text.push('\n');
        for (position, attribute) in CHECKS.into_iter().enumerate() {
            let outcome = match last {
                Some(last) if position > last => "not reached",
                Some(last) if position == last => "refuses",
                _ => "passed",
            };
            let rule = match attribute {
                "libwrap" => verdict.wrappers.rule.clone(),
                _ => self.rule(attribute, verdict.name.as_ref()),
            };
            let line = format!("  {attribute:<14} {outcome:<12} {rule}");
            let _infallible = writeln!(text, "{}", line.trim_end());
        }
    }

    /// The value of a check with its origin; of a list only the word that this client is on.
    fn rule(&self, attribute: &str, name: Option<&ClientName>) -> String {
        let Some(row) = attr::named(attribute) else { return String::new() };
        let origins = places(self.loaded, self.declared, row);
        let sources = &self.loaded.sources;
        let policy = &self.service.policy;
        let list = match attribute {
            "no_access" => policy.no_access.as_ref(),
            "only_from" => policy.only_from.as_ref(),
            _ => None,
        };
        if list.is_some_and(|list| self.is_on(list, name, false))
            && let Some((span, origin)) = self.word(&origins, name)
        {
            let word = String::from_utf8_lossy(sources.text(span)).into_owned();
            return format!("`{word}`, {}:{}", origin.text(sources), sources.position(span).column);
        }
        let common_log = &self.loaded.plan.common_log;
        let value = row.show.value(self.service, common_log).map(|words| match words.len() {
            0 => "nobody".to_owned(),
            8.. => format!("{} networks and names", words.len()),
            _ => words.join(" "),
        });
        let from: Vec<_> = origins.iter().map(|origin| origin.text(sources)).collect();
        match (value, from.is_empty()) {
            (None, _) => format!("{}, default", row.default),
            (Some(value), true) => format!("{value}, default"),
            (Some(value), false) if list.is_some() => {
                format!("{value}: not this client; {}", from.join("; "))
            }
            (Some(value), false) => format!("{value}, {}", from.join("; ")),
        }
    }

    /// The last word of a list that this client is on.
    fn word(&self, origins: &[Origin], name: Option<&ClientName>) -> Option<(Span, Origin)> {
        let sources = &self.loaded.sources;
        let adds = |origin: &&Origin| operator(sources, origin.span) != Some(b'-');
        let words = origins
            .iter()
            .filter(adds)
            .flat_map(|origin| origin.values(sources).into_iter().map(|span| (span, *origin)));
        let mut words: Vec<_> = words.collect();
        words.reverse();
        words.into_iter().find(|(span, _)| {
            let word = String::from_utf8_lossy(sources.text(*span));
            let list = config::address_word(self.lookup, &word);
            list.is_some_and(|list| self.is_on(&list, name, false))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Moment;
    use crate::ctl::tests::{loaded, machine};
    use crate::plan::Load;

    const RULES: &str = "\
defaults
{
no_access = 10.9.0.0
max_load = 3
}
service a
{
type = UNLISTED
port = 1001
socket_type = stream
wait = no
user = root
server = /bin/cat
only_from = 10.0.0.0 10.9.9.9 192.0.2.1
only_from -= 192.0.2.1
access_times = 8:00-18:00
no_access += 10.7.0.0/16
}
";

    fn judged(from: &str, minute: u16, load: i64) -> (bool, String) {
        judged_by(RULES, from, minute, load)
    }

    fn judged_by(rules: &str, from: &str, minute: u16, load: i64) -> (bool, String) {
        let (loaded, lookup) = (loaded(rules), machine());
        let declared = loaded.declared.first().unwrap();
        let service = loaded.service(declared).unwrap();
        let moment = Moment { seconds: 1, minute, load: Some(Load(load)) };
        let client = Client { moment, ..Client::new(from.parse().unwrap(), None) };
        let check = Check { loaded: &loaded, declared, service, lookup: &lookup, client: &client };
        check.verdict()
    }

    #[test]
    fn the_word_that_decides_is_named_with_its_place() {
        for (from, minute, load, is_in, verdict, rule) in [
            ("10.1.2.3", 600, 0, true, "let in", "only_from      passed       `10.0.0.0`"),
            (
                "10.9.9.9",
                600,
                0,
                false,
                "refused by no_access",
                "no_access      refuses      `10.9.0.0`, defaults",
            ),
            ("10.7.0.1", 600, 0, false, "refused by no_access", "refuses      `10.7.0.0/16`"),
            (
                "192.0.2.1",
                600,
                0,
                false,
                "refused by only_from",
                "refuses      10.0.0.0/8: not this client",
            ),
            ("10.1.2.3", 1200, 0, false, "refused by access_times", "refuses      08:00-18:00"),
            (
                "10.1.2.3",
                1200,
                3000,
                false,
                "refused by max_load",
                "max_load       refuses      3, defaults",
            ),
            ("::1", 600, 0, false, "refused by only_from", "only_from      refuses"),
            ("::ffff:10.1.2.3", 600, 0, true, "let in", "passed"),
        ] {
            let (was_in, text) = judged(from, minute, load);
            assert_eq!(was_in, is_in, "ACC-1: {from}: {text}");
            for wanted in [verdict, rule] {
                assert!(text.contains(wanted), "{wanted}: {text}");
            }
        }
    }

    #[test]
    fn acc_7_a_server_that_accepts_by_itself_sees_everybody_unless_it_is_intercepted() {
        let waits = RULES.replace("wait = no", "wait = yes");
        let (is_in, text) = judged_by(&waits, "192.0.2.1", 600, 0);
        assert!(is_in && text.contains("the server accepts connections itself"), "{text}");
        let intercepted = waits.replace("wait = yes", "wait = yes\nflags = INTERCEPT");
        let (is_in, text) = judged_by(&intercepted, "192.0.2.1", 600, 0);
        assert!(!is_in && text.contains("refused by only_from"), "{text}");
    }
}

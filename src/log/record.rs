//! The records of a service log: what happened, and how it is written for people, fail2ban and
//! logwatch, for programs that read JSON, and for the journal.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::log::json::Object;
use crate::plan::Denial;
use crate::plan::LogField;
use crate::plan::LogFields;
use crate::plan::NoId;
use crate::plan::ServiceId;
use crate::plan::Source;
use crate::sys::process::End;

/// One line of a service log, with the facts that `log_on_success` or `log_on_failure` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The id, not the name (LOG-7).
    id: &'a str,
    event: Event,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Start {
        pid: Option<i32>,
        from: Option<Source>,
    },
    Exit {
        end: Option<End>,
        pid: Option<i32>,
        seconds: Option<u64>,
    },
    Fail {
        why: Denial,
        from: Option<Source>,
    },
    UserId {
        text: String,
    },
    NoId {
        from: IpAddr,
        why: NoId,
    },
    /// Bytes that were read from the client, and from the other side.
    Traffic {
        received: u64,
        sent: u64,
    },
}

/// A fact of a record, for programs.
enum Fact<'a> {
    Number(u64),
    Words(Cow<'a, str>),
}

/// `START: ID[ pid=N][ from=A]` (LOG-2); nothing when `log_on_success` is empty. The server of a
/// `wait = yes` service has no client yet: `from=<no address>`.
#[must_use]
pub fn start(id: &ServiceId, fields: LogFields, pid: i32, from: Source) -> Option<Record<'_>> {
    let (pid, from) = (fields.if_has(LogField::Pid, pid), fields.if_has(LogField::Host, from));
    (!fields.is_empty()).then(|| Record::new(id, Event::Start { pid, from }))
}

/// `EXIT: ID[ status=N| signal=N][ pid=N][ duration=N(sec)]` (LOG-3); nothing unless EXIT or
/// DURATION is asked for. `seconds` is how long the server ran.
#[must_use]
pub fn exit(
    id: &ServiceId,
    fields: LogFields,
    pid: i32,
    end: End,
    seconds: u64,
) -> Option<Record<'_>> {
    let (end, seconds) =
        (fields.if_has(LogField::Exit, end), fields.if_has(LogField::Duration, seconds));
    let pid = fields.if_has(LogField::Pid, pid);
    let is_wanted = end.is_some() || seconds.is_some();
    is_wanted.then(|| Record::new(id, Event::Exit { end, pid, seconds }))
}

/// `FAIL: ID REASON[ from=A]` (LOG-4); nothing when `log_on_failure` is empty.
#[must_use]
pub fn fail(id: &ServiceId, fields: LogFields, why: Denial, from: Source) -> Option<Record<'_>> {
    let from = fields.if_has(LogField::Host, from);
    (!fields.is_empty()).then(|| Record::new(id, Event::Fail { why, from }))
}

/// `USERID: ID TEXT` (IDENT-2). The text is a stranger's: no control character of it stays.
#[must_use]
pub fn user_id<'a>(id: &'a ServiceId, text: &[u8]) -> Record<'a> {
    let harmless = |c: char| if c.is_control() { '?' } else { c };
    let text = String::from_utf8_lossy(text).chars().map(harmless).collect();
    Record::new(id, Event::UserId { text })
}

/// `NOID: ID ADDRESS REASON` (IDENT-4)
#[must_use]
pub fn no_id(id: &ServiceId, from: IpAddr, why: NoId) -> Record<'_> {
    Record::new(id, Event::NoId { from, why })
}

/// `TRAFFIC: ID in=N(bytes) out=M(bytes)` (REDIR-5); nothing unless TRAFFIC is asked for.
/// `received` counts the bytes from the client, `sent` those to it.
#[must_use]
pub fn traffic(id: &ServiceId, fields: LogFields, received: u64, sent: u64) -> Option<Record<'_>> {
    let event = Event::Traffic { received, sent };
    fields.has(LogField::Traffic).then(|| Record::new(id, event))
}

impl<'a> Record<'a> {
    fn new(id: &'a ServiceId, event: Event) -> Self {
        Self { id: &id.0, event }
    }

    const fn word(&self) -> &'static str {
        match self.event {
            Event::Start { .. } => "START",
            Event::Exit { .. } => "EXIT",
            Event::Fail { .. } => "FAIL",
            Event::UserId { .. } => "USERID",
            Event::NoId { .. } => "NOID",
            Event::Traffic { .. } => "TRAFFIC",
        }
    }

    /// All that the line says, by name. An absent fact has not been asked for.
    fn facts(&self) -> impl Iterator<Item = (&'static str, Fact<'_>)> {
        let words = |word: &dyn fmt::Display| Fact::Words(word.to_string().into());
        let peer = |from: Option<IpAddr>| from.map(|from| ("peer", words(&from)));
        let process = |pid: Option<i32>| Some(("pid", Fact::Number(pid?.unsigned_abs().into())));
        let facts = match &self.event {
            Event::Start { pid, from } => [process(*pid), peer(from.and_then(Source::ip)), None],
            Event::Exit { end, pid, seconds } => [
                end.map(|end| match end {
                    End::Status(status) => ("status", Fact::Number(status.unsigned_abs().into())),
                    End::Signal(signal) => ("signal", Fact::Number(signal.unsigned_abs().into())),
                }),
                process(*pid),
                seconds.map(|seconds| ("duration", Fact::Number(seconds))),
            ],
            Event::Fail { why, from } => {
                [Some(("reason", words(why))), peer(from.and_then(Source::ip)), None]
            }
            Event::UserId { text } => [Some(("userid", Fact::Words(text.into()))), None, None],
            Event::NoId { from, why } => [Some(("reason", words(why))), peer(Some(*from)), None],
            Event::Traffic { received, sent } => [
                Some(("bytes_in", Fact::Number(*received))),
                Some(("bytes_out", Fact::Number(*sent))),
                None,
            ],
        };
        let always = [("event", self.word()), ("service", self.id)];
        let always = always.map(|(name, word)| Some((name, Fact::Words(word.into()))));
        always.into_iter().chain(facts).flatten()
    }

    /// The record as a JSON object, with the end of the line; `time` as in RFC 3339.
    pub(super) fn json(&self, time: &str) -> String {
        let mut object = Object::new();
        object.text("time", time);
        for (name, fact) in self.facts() {
            match fact {
                Fact::Number(number) => object.number(name, number),
                Fact::Words(words) => object.text(name, &words),
            }
        }
        object.line()
    }

    /// The record's own fields for the journal: `XINETD_EVENT` and so on, as name and value.
    pub(super) fn journal_fields(&self) -> impl Iterator<Item = (String, String)> {
        self.facts().map(|(name, fact)| {
            let value = match fact {
                Fact::Number(number) => number.to_string(),
                Fact::Words(words) => words.into_owned(),
            };
            (format!("XINETD_{}", name.to_ascii_uppercase()), value)
        })
    }
}

/// The line of xinetd.log(5), without time stamp and end.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.id)?;
        match &self.event {
            Event::Start { pid, from } => {
                part(f, " pid=", *pid)?;
                part(f, " from=", *from)
            }
            Event::Exit { end, pid, seconds } => {
                match end {
                    None => {}
                    Some(End::Status(status)) => write!(f, " status={status}")?,
                    Some(End::Signal(signal)) => write!(f, " signal={signal}")?,
                }
                part(f, " pid=", *pid)?;
                part(f, " duration=", seconds.map(|seconds| format!("{seconds}(sec)")))
            }
            Event::Fail { why, from } => {
                write!(f, " {why}")?;
                part(f, " from=", *from)
            }
            Event::UserId { text } => write!(f, " {text}"),
            Event::NoId { from, why } => write!(f, " {from} {why}"),
            Event::Traffic { received, sent } => {
                write!(f, " in={received}(bytes) out={sent}(bytes)")
            }
        }
    }
}

fn part(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, "{name}{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(fields: &[LogField]) -> LogFields {
        fields.iter().fold(LogFields::default(), |set, field| set.with(*field))
    }

    fn text(record: Option<Record<'_>>) -> Option<String> {
        record.map(|record| record.to_string())
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_stranger_cannot_end_a_line() {
        let id = ServiceId("pop3".into());
        let line = user_id(&id, b"UNIX : joe\nFAIL: pop3\x1b[2J\xff").to_string();
        assert_eq!(line, "USERID: pop3 UNIX : joe?FAIL: pop3?[2J\u{fffd}");
        let no_id = no_id(&id, PEER, NoId::Timeout).to_string();
        assert_eq!(no_id, "NOID: pop3 127.0.0.1 timeout");
    }

    #[test]
    fn lines_have_the_fields_that_were_asked_for() {
        use LogField::{Attempt, Duration, Exit, Host, Pid, UserId};
        let id = ServiceId("pop3".into());
        let none = LogFields::default();
        assert_eq!(start(&id, none, 4, PEER.into()), None);
        assert_eq!(text(start(&id, all(&[UserId]), 4, PEER.into())).unwrap(), "START: pop3");
        assert_eq!(
            text(start(&id, all(&[Pid, Host]), 4, PEER.into())).unwrap(),
            "START: pop3 pid=4 from=127.0.0.1"
        );
        let nobody = text(start(&id, all(&[Host]), 4, Source::Unknown));
        assert_eq!(nobody.unwrap(), "START: pop3 from=<no address>");
        let ended = |fields: &[LogField], end| text(exit(&id, all(fields), 4, end, 9));
        assert_eq!(ended(&[Pid, Host], End::Status(0)), None);
        assert_eq!(ended(&[Exit], End::Signal(9)).unwrap(), "EXIT: pop3 signal=9");
        assert_eq!(
            ended(&[Exit, Pid, Duration], End::Status(7)).unwrap(),
            "EXIT: pop3 status=7 pid=4 duration=9(sec)"
        );
        assert_eq!(ended(&[Duration], End::Status(7)).unwrap(), "EXIT: pop3 duration=9(sec)");
        assert_eq!(fail(&id, none, Denial::Address, PEER.into()), None);
        assert_eq!(
            text(fail(&id, all(&[Host]), Denial::Cps, PEER.into())).unwrap(),
            "FAIL: pop3 connections per second from=127.0.0.1"
        );
        assert_eq!(
            text(fail(&id, all(&[Attempt]), Denial::ServiceLimit, PEER.into())).unwrap(),
            "FAIL: pop3 service_limit"
        );
    }

    #[test]
    fn redir_5_traffic_is_logged_in_both_directions() {
        let id = ServiceId("web".into());
        assert_eq!(traffic(&id, LogFields::default(), 1, 2), None);
        let line = text(traffic(&id, all(&[LogField::Traffic]), 12, u64::MAX)).unwrap();
        assert_eq!(line, format!("TRAFFIC: web in=12(bytes) out={}(bytes)", u64::MAX));
    }

    #[test]
    fn json_and_the_journal_have_the_facts_of_the_line_and_no_others() {
        use LogField::{Exit, Host, Pid};
        let id = ServiceId("a\"b".into());
        let started = start(&id, all(&[Pid, Host]), 4, PEER.into()).unwrap();
        assert_eq!(
            started.json("2026-11-25T18:00:00Z"),
            "{\"time\":\"2026-11-25T18:00:00Z\",\"event\":\"START\",\"service\":\"a\\\"b\",\
             \"pid\":4,\"peer\":\"127.0.0.1\"}\n"
        );
        let fields: Vec<_> = started.journal_fields().collect();
        let wanted = [
            ("XINETD_EVENT", "START"),
            ("XINETD_SERVICE", "a\"b"),
            ("XINETD_PID", "4"),
            ("XINETD_PEER", "127.0.0.1"),
        ];
        assert_eq!(fields, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (record, names) in [
            (exit(&id, all(&[Exit]), 4, End::Signal(9), 1).unwrap(), vec!["signal"]),
            (
                fail(&id, all(&[LogField::Attempt]), Denial::Time, PEER.into()).unwrap(),
                vec!["reason"],
            ),
            (no_id(&id, PEER, NoId::Timeout), vec!["reason", "peer"]),
            (user_id(&id, b"joe"), vec!["userid"]),
            (traffic(&id, all(&[LogField::Traffic]), 1, 2).unwrap(), vec!["bytes_in", "bytes_out"]),
        ] {
            let facts: Vec<_> = record.facts().map(|(name, _)| name).skip(2).collect();
            assert_eq!(facts, names, "{record}");
        }
    }
}

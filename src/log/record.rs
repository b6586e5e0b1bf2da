//! START, EXIT and FAIL: the lines that fail2ban, logwatch and people read.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::plan::Denial;
use crate::plan::LogField;
use crate::plan::LogFields;
use crate::plan::NoId;
use crate::plan::ServiceId;
use crate::plan::Source;
use crate::sys::process::End;

/// `START: ID[ pid=N][ from=A]` (LOG-2); nothing when `log_on_success` is empty. The server of a
/// `wait = yes` service has no client yet: `from=<no address>`.
#[must_use]
pub fn start(id: &ServiceId, fields: LogFields, pid: i32, from: Source) -> Option<String> {
    if fields.is_empty() {
        return None;
    }
    let mut line = format!("START: {id}");
    if fields.has(LogField::Pid) {
        let _ = write!(line, " pid={pid}");
    }
    if fields.has(LogField::Host) {
        let _ = write!(line, " from={from}");
    }
    Some(line)
}

/// `EXIT: ID[ status=N| signal=N][ pid=N][ duration=N(sec)]` (LOG-3); nothing unless EXIT or
/// DURATION is asked for. `seconds` is how long the server ran.
#[must_use]
pub fn exit(id: &ServiceId, fields: LogFields, pid: i32, end: End, seconds: u64) -> Option<String> {
    if !fields.has(LogField::Exit) && !fields.has(LogField::Duration) {
        return None;
    }
    let mut line = format!("EXIT: {id}");
    if fields.has(LogField::Exit) {
        let _ = match end {
            End::Status(status) => write!(line, " status={status}"),
            End::Signal(signal) => write!(line, " signal={signal}"),
        };
    }
    if fields.has(LogField::Pid) {
        let _ = write!(line, " pid={pid}");
    }
    if fields.has(LogField::Duration) {
        let _ = write!(line, " duration={seconds}(sec)");
    }
    Some(line)
}

/// `FAIL: ID REASON[ from=A]` (LOG-4); nothing when `log_on_failure` is empty.
#[must_use]
pub fn fail(id: &ServiceId, fields: LogFields, why: Denial, from: Source) -> Option<String> {
    if fields.is_empty() {
        return None;
    }
    let mut line = format!("FAIL: {id} {why}");
    if fields.has(LogField::Host) {
        let _ = write!(line, " from={from}");
    }
    Some(line)
}

/// `TRAFFIC: ID in=N(bytes) out=M(bytes)` (REDIR-5); nothing unless TRAFFIC is asked for.
/// `received` counts the bytes from the client, `sent` those to it.
#[must_use]
pub fn traffic(id: &ServiceId, fields: LogFields, received: u64, sent: u64) -> Option<String> {
    let is_wanted = fields.has(LogField::Traffic);
    is_wanted.then(|| format!("TRAFFIC: {id} in={received}(bytes) out={sent}(bytes)"))
}

/// `USERID: ID TEXT` (IDENT-2). The text is a stranger's: no control character of it stays.
#[must_use]
pub fn user_id(id: &ServiceId, text: &[u8]) -> String {
    let harmless = |c: char| if c.is_control() { '?' } else { c };
    let text: String = String::from_utf8_lossy(text).chars().map(harmless).collect();
    format!("USERID: {id} {text}")
}

/// `NOID: ID ADDRESS REASON` (IDENT-4)
#[must_use]
pub fn no_id(id: &ServiceId, from: IpAddr, why: NoId) -> String {
    format!("NOID: {id} {from} {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(fields: &[LogField]) -> LogFields {
        fields.iter().fold(LogFields::default(), |set, field| set.with(*field))
    }

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const PEER: Source = Source::Ip(ADDRESS);

    #[test]
    fn a_stranger_cannot_end_a_line() {
        let id = ServiceId("pop3".into());
        let line = user_id(&id, b"UNIX : joe\nFAIL: pop3\x1b[2J\xff");
        assert_eq!(line, "USERID: pop3 UNIX : joe?FAIL: pop3?[2J\u{fffd}");
        assert_eq!(no_id(&id, ADDRESS, NoId::Timeout), "NOID: pop3 127.0.0.1 timeout");
    }

    #[test]
    fn lines_have_the_fields_that_were_asked_for() {
        use LogField::{Attempt, Duration, Exit, Host, Pid, UserId};
        let id = ServiceId("pop3".into());
        let none = LogFields::default();
        assert_eq!(start(&id, none, 4, PEER), None);
        assert_eq!(start(&id, all(&[UserId]), 4, PEER).unwrap(), "START: pop3");
        assert_eq!(
            start(&id, all(&[Pid, Host]), 4, PEER).unwrap(),
            "START: pop3 pid=4 from=127.0.0.1"
        );
        let nobody = start(&id, all(&[Host]), 4, Source::Unknown);
        assert_eq!(nobody.unwrap(), "START: pop3 from=<no address>");
        let ended = |fields: &[LogField], end| exit(&id, all(fields), 4, end, 9);
        assert_eq!(ended(&[Pid, Host], End::Status(0)), None);
        assert_eq!(ended(&[Exit], End::Signal(9)).unwrap(), "EXIT: pop3 signal=9");
        assert_eq!(
            ended(&[Exit, Pid, Duration], End::Status(7)).unwrap(),
            "EXIT: pop3 status=7 pid=4 duration=9(sec)"
        );
        assert_eq!(ended(&[Duration], End::Status(7)).unwrap(), "EXIT: pop3 duration=9(sec)");
        assert_eq!(fail(&id, none, Denial::Address, PEER), None);
        assert_eq!(
            fail(&id, all(&[Host]), Denial::Cps, PEER).unwrap(),
            "FAIL: pop3 connections per second from=127.0.0.1"
        );
        assert_eq!(
            fail(&id, all(&[Attempt]), Denial::ServiceLimit, PEER).unwrap(),
            "FAIL: pop3 service_limit"
        );
    }
}

//! The sessions for people: a row for each.

use std::net::{IpAddr, SocketAddr};

use super::Session;

use crate::control;
use crate::ctl::age;
use crate::ctl::columns::{self, Align};

/// Everything, with lines of at most `width` characters where that is known.
pub(super) fn text(sessions: &[Session], width: Option<usize>) -> String {
    let heads = [
        ("ID", Align::Right),
        ("SERVICE", Align::Left),
        ("PEER", Align::Left),
        ("PID", Align::Right),
        ("USER", Align::Left),
        ("AGE", Align::Right),
        ("CPU", Align::Right),
        ("MEMORY", Align::Right),
        ("IN", Align::Right),
        ("OUT", Align::Right),
    ];
    columns::fit(columns::table(&heads, sessions.iter().map(row)), width)
}

fn row(session: &Session) -> [String; 10] {
    let Session { told, usage, traffic } = session;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let ending = if told.is_ending { " (ending)" } else { "" };
    [
        told.id.to_string(),
        told.service.clone(),
        peer(told),
        told.pid.to_string(),
        or_none(usage.user.clone()),
        format!("{}{ending}", age::span(told.seconds)),
        or_none(usage.cpu_ms.map(|ms| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10))),
        or_none(usage.memory.map(size)),
        or_none(traffic.received.map(size)),
        or_none(traffic.sent.map(size)),
    ]
}

/// The client: its address with the port, its user, or a dash.
pub(super) fn peer(session: &control::Session) -> String {
    let Some(peer) = &session.peer else { return "-".to_owned() };
    match (peer.parse::<IpAddr>(), session.peer_port) {
        (Ok(address), Some(port)) => SocketAddr::new(address, port).to_string(),
        _ => peer.clone(),
    }
}

/// Bytes in the unit that fits: `512`, `1.5K`, `30M`.
fn size(bytes: u64) -> String {
    let mut unit: u64 = 1;
    let mut name = "";
    for next in ["K", "M", "G", "T"] {
        if bytes / unit < 1024 {
            break;
        }
        unit *= 1024;
        name = next;
    }
    match (bytes / unit, name) {
        (whole, "") => whole.to_string(),
        (whole @ 0..10, _) => format!("{whole}.{}{name}", bytes % unit * 10 / unit),
        (whole, _) => format!("{whole}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_in_the_unit_that_fits() {
        let all = [0, 1023, 1024, 1536, 10 << 10, 1 << 20, (1 << 40) - 1, 3 << 40].map(size);
        assert_eq!(all, ["0", "1023", "1.0K", "1.5K", "10K", "1.0M", "1023G", "3.0T"]);
    }
}

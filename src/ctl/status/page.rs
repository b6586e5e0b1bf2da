//! The status for people: the daemon in a few lines, what is wrong, a row for each service.

use std::fmt::Write as _;

use super::Status;

use crate::control::{self, State};
use crate::ctl::age;
use crate::ctl::columns::{self, Align};
use crate::diag::count;

/// Everything, with lines of at most `width` characters where that is known. What needs a look comes
/// first: a small screen shows no more.
pub(super) fn text(status: &Status, width: Option<usize>) -> String {
    let mut text = String::new();
    if let Some(daemon) = &status.daemon {
        text.push_str(&head(daemon, status));
    }
    if !status.left_out.is_empty() {
        text.push_str("\nNot in force:\n");
    }
    for entry in &status.left_out {
        let goes_on = if entry.goes_on { " (it goes on as it was)" } else { "" };
        let _infallible = writeln!(text, "  {}  {}: {}{goes_on}", entry.id, entry.place, entry.why);
    }
    if !status.services.is_empty() {
        text.push('\n');
        text.push_str(&services(&status.services));
    }
    columns::fit(text, width)
}

fn head(daemon: &control::Daemon, status: &Status) -> String {
    let uptime = age::span(daemon.uptime);
    let mut text = format!("xinetd-rs {}: pid {}, up {uptime}", daemon.version, daemon.pid);
    let _infallible = match &daemon.engine {
        Some(engine) => {
            let (pid, uptime) = (engine.pid, age::span(engine.uptime));
            write!(text, "; engine pid {pid}, up {uptime}{}", lacks(engine))
        }
        None => write!(text, "; NO ENGINE: clients wait"),
    };
    if daemon.engine_crashes > 0 {
        let _infallible = write!(text, " ({} died)", daemon.engine_crashes);
    }
    let loaded = age::span(age::since(daemon.loaded));
    let (file, generation) = (&daemon.configuration, daemon.generation);
    let _infallible =
        write!(text, "\nconfiguration {file}, generation {generation}, loaded {loaded} ago");
    if let Some(failure) = &daemon.reload_failed {
        let ago = age::span(age::since(failure.at));
        let _infallible =
            write!(text, "\nTHE LAST RELOAD, {ago} ago, was refused: {}", failure.why);
    }
    if daemon.is_stopping {
        text.push_str("\nIT IS ABOUT TO END");
    } else if daemon.is_changing {
        text.push_str("\na start or reload is under way");
    }
    let limit = daemon.limit.map_or_else(String::new, |most| format!(" of at most {most}"));
    let (services, sessions) =
        (count(status.services.len(), "service"), count(daemon.sessions, "session"));
    let _infallible = writeln!(text, "\n{services}, {sessions}{limit}");
    text
}

/// Which of the things that confine it the engine is without.
fn lacks(engine: &control::Engine) -> String {
    let lacks = [(engine.landlock, "Landlock"), (engine.seccomp, "seccomp")];
    let lacks: Vec<_> = lacks.iter().filter(|(has, _)| !has).map(|(_, name)| *name).collect();
    if lacks.is_empty() {
        return String::new();
    }
    format!(" (NOT CONFINED: no {})", lacks.join(", no "))
}

fn services(services: &[control::Service]) -> String {
    let heads = [
        ("SERVICE", Align::Left),
        ("STATE", Align::Left),
        ("SESSIONS", Align::Right),
        ("ACCEPTED", Align::Right),
        ("LAST", Align::Right),
        ("REFUSED", Align::Right),
        ("ADDRESS", Align::Left),
        ("WHY REFUSED", Align::Left),
    ];
    let (active, others): (Vec<_>, Vec<_>) =
        services.iter().partition(|service| service.state == State::Active);
    columns::table(&heads, others.into_iter().chain(active).map(row))
}

fn row(service: &control::Service) -> [String; 8] {
    let limit = service.limit.map_or_else(|| "-".to_owned(), |most| most.to_string());
    let last = service.last.map_or_else(|| "-".to_owned(), |at| age::span(age::since(at)));
    [
        service.id.clone(),
        state(service),
        format!("{}/{limit}", service.sessions),
        service.accepted.to_string(),
        last,
        service.refused.values().sum::<u64>().to_string(),
        addresses(&service.addresses),
        refused(service),
    ]
}

/// In a word or two.
pub(in crate::ctl) fn state(service: &control::Service) -> String {
    let left = || service.until.map(|at| age::span(age::until(at)));
    match service.state {
        State::Active => "active".to_owned(),
        State::Suspended => "suspended".to_owned(),
        State::Paused => "paused".to_owned(),
        State::Draining => "draining".to_owned(),
        State::Drained => "drained".to_owned(),
        State::Closed => {
            left().map_or_else(|| "closed".to_owned(), |left| format!("closed for {left}"))
        }
    }
}

/// The first one, and how many more there are.
fn addresses(all: &[String]) -> String {
    match all {
        [] => "tcpmux".to_owned(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} +{}", more.len()),
    }
}

/// How many, by reason; the most frequent first.
fn refused(service: &control::Service) -> String {
    let mut all: Vec<_> = service.refused.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words: Vec<_> = all.iter().map(|(why, count)| format!("{count} {why}")).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

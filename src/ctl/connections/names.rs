//! Names of hosts, ports and users for the report; nobody waits long for them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::system::System;
use crate::ctl::process::user_name;
use crate::diag::printable;

/// For how long all names together are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many questions are open at a time.
const AT_ONCE: usize = 16;

/// Something that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Host(IpAddr),
    User(u32),
}

/// Names, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<Question, String>,
    /// By port, of TCP and of UDP.
    ports: HashMap<(u16, &'static str), String>,
    /// How many questions had no answer in time.
    pub unanswered: usize,
}

impl Names {
    /// Asks for all names at once, and waits a few seconds at most.
    pub(super) fn ask(questions: HashSet<Question>) -> Self {
        let services = fs::read("/etc/services").unwrap_or_default();
        let ports = ports(&String::from_utf8_lossy(&services));
        let (known, unanswered) = answers(questions, PATIENCE, name);
        Self { known, ports, unanswered }
    }

    /// The name of a host or of a user.
    pub(super) fn get(&self, question: Question) -> Option<&str> {
        self.known.get(&question).map(String::as_str)
    }

    /// The name of a port in services(5); `protocol` is `tcp` or `udp`.
    pub(super) fn port(&self, port: u16, protocol: &'static str) -> Option<&str> {
        self.ports.get(&(port, protocol)).map(String::as_str)
    }
}

fn name(question: Question) -> Option<String> {
    match question {
        Question::Host(address) => System::name_of(address).ok().flatten(),
        Question::User(uid) => user_name(uid, &System::new()),
    }
}

/// What `name` says in time, and how often it said nothing. A thread that still waits then is
/// left behind, and ends with the process.
fn answers(
    questions: HashSet<Question>,
    patience: Duration,
    name: fn(Question) -> Option<String>,
) -> (HashMap<Question, String>, usize) {
    let until = Instant::now() + patience;
    let (threads, mut open) = (questions.len().min(AT_ONCE), questions.len());
    let queue = Arc::new(Mutex::new(questions.into_iter()));
    let (answer, answers) = mpsc::channel();
    for _ in 0..threads {
        let (queue, answer) = (Arc::clone(&queue), answer.clone());
        let next = move || queue.lock().ok()?.next();
        let work = move || {
            while let Some(question) = next() {
                if answer.send((question, name(question))).is_err() {
                    return;
                }
            }
        };
        // Without threads there are numbers.
        let _started = thread::Builder::new().spawn(work);
    }
    drop(answer);
    let mut known = HashMap::new();
    while let Ok((question, found)) =
        answers.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        open -= 1;
        if let Some(found) = found {
            known.insert(question, printable(&found).into_owned());
        }
    }
    (known, open)
}

/// The first name of each port in a file of services(5).
fn ports(services: &str) -> HashMap<(u16, &'static str), String> {
    let mut ports = HashMap::new();
    for line in services.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let (Some(name), Some(place)) = (words.next(), words.next()) else { continue };
        let (port, protocol) = match place.split_once('/') {
            Some((port, "tcp")) => (port, "tcp"),
            Some((port, "udp")) => (port, "udp"),
            _ => continue,
        };
        if let Ok(port) = port.parse() {
            ports.entry((port, protocol)).or_insert_with(|| printable(name).into_owned());
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_resolver_costs_its_own_names_only() {
        let questions = (0..40).map(Question::User).collect();
        let began = Instant::now();
        let (known, open) = answers(questions, Duration::from_secs(2), |question| match question {
            Question::User(uid) if uid % 8 == 0 => loop {
                thread::park();
            },
            Question::User(uid) if uid % 2 == 0 => None,
            Question::User(uid) => Some(format!("u{uid}")),
            Question::Host(_) => None,
        });
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!((known.len(), open), (20, 5));
        assert_eq!(known.get(&Question::User(7)).unwrap(), "u7");
    }

    #[test]
    fn the_first_name_of_a_port_counts() {
        let ports = ports("# x\npop3\t110/tcp pop-3 # mail\npop 110/tcp\ndomain 53/udp\nx y/tcp\n");
        assert_eq!(ports.get(&(110, "tcp")).unwrap(), "pop3");
        assert_eq!(ports.get(&(53, "udp")).unwrap(), "domain");
        assert_eq!(ports.len(), 2);
    }
}

//! The report for people, in netstat's columns.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::ctl::age::span;
use crate::ctl::columns::Align;
use crate::diag::printable;

use super::inet::{Inet, Transport};
use super::names::{Names, Question};
use super::ours::Owner;
use super::report::Report;
use super::table::{Cell, Column, Table};
use super::unix::Unix;
use super::wanted::Wanted;

/// The report as text.
#[derive(Debug)]
pub(super) struct Text<'r> {
    pub report: &'r Report<'r>,
    /// `None`: numbers.
    pub names: Option<&'r Names>,
    /// No line may be longer.
    pub limit: Option<usize>,
}

/// A column to the left, with netstat's width.
const fn column(title: &'static str, least: usize) -> Column {
    Column { title, least, align: Align::Left }
}

const fn number(title: &'static str, least: usize) -> Column {
    Column { title, least, align: Align::Right }
}

/// What there may be names for.
pub(super) fn questions(report: &Report<'_>) -> HashSet<Question> {
    let addresses = report.internet.iter().flat_map(|(socket, _)| [socket.local, socket.foreign]);
    let hosts = addresses.filter(|address| !address.ip().is_unspecified());
    let hosts = hosts.map(|address| Question::Host(address.ip().to_canonical()));
    let internet = report.internet.iter().map(|(_, owner)| owner);
    let owners = internet.chain(report.unix.iter().map(|(_, owner)| owner));
    let users = owners.filter_map(|owner| owner.processes.first()?.uid.map(Question::User));
    hosts.chain(users).collect()
}

impl Text<'_> {
    pub(super) fn write(&self, wanted: &Wanted) -> String {
        let which = if wanted.only_servers() { "only servers" } else { "servers and established" };
        let mut text = String::new();
        if wanted.internet() {
            text += &format!("Active Internet connections ({which})\n");
            text += &self.internet().text(self.limit);
        }
        if wanted.unix() {
            text += &format!("Active UNIX domain sockets ({which})\n");
            text += &self.unix().text(self.limit);
        }
        text
    }

    fn internet(&self) -> Table {
        Table {
            columns: vec![
                column("Proto", 5),
                number("Recv-Q", 6),
                number("Send-Q", 6),
                column("Local Address", 23),
                column("Foreign Address", 23),
                column("State", 11),
                column("Service", 7),
                column("PID/Program name", 16),
                column("User", 4),
                number("Age", 5),
            ],
            first: 6,
            rows: self
                .report
                .internet
                .iter()
                .map(|(socket, owner)| self.inet_row(socket, owner))
                .collect(),
        }
    }

    fn inet_row(&self, socket: &Inet, owner: &Owner<'_>) -> Vec<Cell> {
        vec![
            socket.protocol().into(),
            socket.receive_queue.to_string().into(),
            socket.send_queue.to_string().into(),
            self.address(socket.transport, socket.local),
            self.address(socket.transport, socket.foreign),
            socket.state().into(),
            service(owner),
            program(owner),
            self.user(owner),
            owner.age.map_or("-".into(), |age| span(age.as_secs()).into()),
        ]
    }

    fn unix(&self) -> Table {
        Table {
            columns: vec![
                column("Proto", 5),
                column("RefCnt", 6),
                column("Flags", 11),
                column("Type", 10),
                column("State", 13),
                column("I-Node", 8),
                column("PID/Program name", 16),
                column("Service", 7),
                column("Path", 30),
            ],
            first: 7,
            rows: self.report.unix.iter().map(|(socket, owner)| unix_row(socket, owner)).collect(),
        }
    }

    /// An IPv4 address of an IPv6 socket is shown as netstat does it, in its plain form.
    fn address(&self, transport: Transport, address: SocketAddr) -> Cell {
        let (ip, port) = (address.ip(), address.port());
        let named = self.names.and_then(|names| names.get(Question::Host(ip.to_canonical())));
        let host = match named {
            Some(name) => name.to_owned(),
            None if self.names.is_some() && ip.is_unspecified() && ip.is_ipv6() => "[::]".into(),
            None => ip.to_canonical().to_string(),
        };
        let protocol = match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        let port = match self.names.and_then(|names| names.port(port, protocol)) {
            _ if port == 0 => "*".into(),
            Some(name) => name.to_owned(),
            None => port.to_string(),
        };
        Cell::Address { host, port }
    }

    fn user(&self, owner: &Owner<'_>) -> Cell {
        let Some(uid) = owner.processes.first().and_then(|process| process.uid) else {
            return "-".into();
        };
        let name = self.names.and_then(|names| names.get(Question::User(uid)));
        name.map_or_else(|| uid.to_string().into(), Cell::from)
    }
}

fn unix_row(socket: &Unix, owner: &Owner<'_>) -> Vec<Cell> {
    vec![
        "unix".into(),
        socket.references.to_string().into(),
        socket.flags().into(),
        socket.kind().into(),
        socket.state().into(),
        socket.inode.to_string().into(),
        program(owner),
        service(owner),
        printable(&socket.path).into(),
    ]
}

fn service(owner: &Owner<'_>) -> Cell {
    printable(owner.service.unwrap_or("-")).into()
}

fn program(owner: &Owner<'_>) -> Cell {
    let first = owner.processes.first();
    first.map_or("-".into(), |process| {
        format!("{}/{}", process.pid, printable(&process.program)).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::connections::inet::tests::between;

    #[test]
    fn addresses_look_as_netstat_shows_them() {
        let (report, names) = (Report::default(), Names::default());
        for (address, number, name) in [
            ("0.0.0.0:0", "0.0.0.0:*", "0.0.0.0:*"),
            ("[::]:0", ":::*", "[::]:*"),
            ("[::]:110", ":::110", "[::]:110"),
            ("[::ffff:192.0.2.1]:5", "192.0.2.1:5", "192.0.2.1:5"),
            ("[2001:db8::1]:5", "2001:db8::1:5", "2001:db8::1:5"),
        ] {
            for (names, expected) in [(None, number), (Some(&names), name)] {
                let text = Text { report: &report, names, limit: None };
                let Cell::Address { host, port } =
                    text.address(Transport::Tcp, address.parse().unwrap())
                else {
                    panic!();
                };
                assert_eq!(format!("{host}:{port}"), expected);
            }
        }
    }

    #[test]
    fn a_socket_that_nobody_has_keeps_its_service() {
        let socket = between(Transport::Tcp, "127.0.0.1:110", "127.0.0.1:5000", 6);
        let owner = Owner { service: Some("pop3"), ..Owner::default() };
        let report = Report { internet: vec![(&socket, owner)], unix: Vec::new() };
        let text = Text { report: &report, names: None, limit: None };
        let text = text.internet().text(None);
        let words: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(
            words,
            [
                "tcp",
                "0",
                "0",
                "127.0.0.1:110",
                "127.0.0.1:5000",
                "TIME_WAIT",
                "pop3",
                "-",
                "-",
                "-"
            ]
        );
    }
}

//! Who is let in: each row of the matrix is a pair of lists, which the original was asked
//! about with a connection from each address.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use xinetd_rs::admit::{ClientName, Peer, decide_by_name};
use xinetd_rs::config::lookup::{Table, User};
use xinetd_rs::config::{self, Loaded, Request};
use xinetd_rs::plan::Service;

/// hosts(5) of the machine: an address resolves to its first name.
const HOSTS: [(&str, &[&str]); 7] = [
    ("127.0.0.1", &["localhost"]),
    ("::1", &["localhost"]),
    ("1.2.3.4", &["host.example.com", "host", "HOST.EXAMPLE.COM"]),
    ("1.2.3.5", &["a.example.com"]),
    ("1.2.3.6", &["b.example.com", "other.test"]),
    ("1.2.9.9", &["multi.test"]),
    ("2001:db8::7", &["v6.example.com"]),
];

/// Differences that we report where the lists are written.
const TOLD: [&str; 3] = ["ADDR-6", "ADDR-10", "ADDR-17"];

/// A name is looked up for the IPv4 address of a client, however it is connected.
const UNMAPPED: &str = "ADDR-15";

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Served,
    /// Closed without a word.
    Denied,
    /// Nobody listens there.
    Refused,
}

/// What came out, connection by connection.
#[derive(Default)]
pub(crate) struct Matrix {
    agree: usize,
    named: BTreeMap<&'static str, usize>,
    otherwise: Vec<String>,
}

impl Matrix {
    /// Asks us about every cell.
    pub(crate) fn compare(corpus: &Path) -> Self {
        let text = fs::read_to_string(corpus.join("probes/access-matrix.tsv")).unwrap();
        let mut rows = text.lines().filter(|line| !line.starts_with('#'));
        let head = rows.next().unwrap().split('\t').skip(2);
        let clients: Vec<IpAddr> = head.map(|client| client.parse().unwrap()).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut matrix = Self::default();
        for row in rows {
            let (lists, cells) = row.split_once('\t').unwrap();
            let loaded = load(directory.path(), lists);
            for (client, cell) in clients.iter().zip(cells.split('\t').skip(1)) {
                matrix.add(lists, &loaded, *client, theirs(cell));
            }
        }
        matrix
    }

    fn add(&mut self, lists: &str, loaded: &Loaded, client: IpAddr, theirs: Fate) {
        let ours = ours(loaded, client, &name(client));
        if ours == theirs {
            self.agree += 1;
        } else if let Some(spec) = reason(loaded, client, theirs) {
            *self.named.entry(spec).or_default() += 1;
        } else {
            let text = format!("{lists}, from {client}: {theirs:?} by the original, {ours:?} here");
            self.otherwise.push(text);
        }
    }

    /// Whether every difference has its reason, and every reason was one.
    pub(crate) fn is_good(&self) -> bool {
        let mut reasons = TOLD.iter().chain([&UNMAPPED]);
        self.otherwise.is_empty() && reasons.all(|spec| self.named.contains_key(spec))
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: usize = self.named.values().sum();
        let (agree, otherwise) = (self.agree, self.otherwise.len());
        let all = agree + named + otherwise;
        write!(f, "{all} connections: {agree} agree, {named} differ by a statement, ")?;
        writeln!(f, "{otherwise} differ otherwise")?;
        self.named.iter().try_for_each(|(spec, times)| writeln!(f, "    {times:4} {spec}"))?;
        self.otherwise.iter().try_for_each(|text| writeln!(f, "{text}"))
    }
}

/// A service with these lines, read on the machine of the matrix.
fn load(directory: &Path, lines: &str) -> Loaded {
    let lines = lines.replace(" ; ", "\n");
    let text = format!(
        "service probe\n{{\ntype = UNLISTED\nsocket_type = stream\nport = 5999\nwait = no\n\
         user = root\nserver = /bin/true\n{lines}\n}}\n"
    );
    let path = directory.join("svc");
    fs::write(&path, text).unwrap();
    let hosts = HOSTS.iter().flat_map(|(address, names)| {
        let address = SocketAddr::new(address.parse().unwrap(), 0);
        names.iter().map(move |name| ((*name).to_owned(), vec![address]))
    });
    let lookup = Table {
        users: vec![User { name: "root".into(), uid: 0, gid: 0 }],
        protocols: [("tcp".into(), 6)].into(),
        executables: ["/bin/true".into()].into(),
        hosts: hosts.collect(),
        ..Table::default()
    };
    config::load(&Request { path: &path, base: directory, lookup: &lookup, inetd: None })
}

fn theirs(cell: &str) -> Fate {
    match cell {
        "A" => Fate::Served,
        "d" => Fate::Denied,
        _ => Fate::Refused,
    }
}

fn name(client: IpAddr) -> ClientName {
    let known = HOSTS.iter().find(|(address, _)| address.parse() == Ok(client));
    let first = known.and_then(|(_, names)| names.first());
    first.map_or(ClientName::None, |name| ClientName::Known((*name).to_owned()))
}

fn is_mapped(service: &Service, client: IpAddr) -> bool {
    client.is_ipv4() && !listens_on_v4(service)
}

fn listens_on_v4(service: &Service) -> bool {
    service.sockets.iter().any(|socket| socket.address.ip().is_some_and(|ip| ip.is_ipv4()))
}

fn ours(loaded: &Loaded, client: IpAddr, name: &ClientName) -> Fate {
    let Some(service) = loaded.plan.services.first() else { return Fate::Refused };
    if client.is_ipv6() && listens_on_v4(service) {
        return Fate::Refused;
    }
    let peer = Peer { source: client.into(), mapped: is_mapped(service, client) };
    match decide_by_name(&service.policy, peer, name) {
        Ok(()) => Fate::Served,
        Err(_) => Fate::Denied,
    }
}

/// The statement that a difference belongs to.
fn reason(loaded: &Loaded, client: IpAddr, theirs: Fate) -> Option<&'static str> {
    let told = |spec: &&str| loaded.differences.iter().any(|found| found.spec == *spec);
    let nameless = || {
        let service = loaded.plan.services.first()?;
        let alike = ours(loaded, client, &ClientName::None) == theirs;
        (is_mapped(service, client) && alike).then_some(UNMAPPED)
    };
    TOLD.into_iter().find(told).or_else(nameless)
}

//! What hosts.allow and hosts.deny say about a client that is only imagined.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::Ipv6Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::geteuid;

use crate::admit::ClientName;
use crate::admit::wrap::{Host, HostName, Need, Request, Tables, Which};
use crate::config::lookup::Lookup;
use crate::plan::{Libwrap, Service};

use super::client::Client;

/// The answer, and the rule behind it.
pub(super) struct Wrappers {
    pub is_granted: bool,
    /// In words.
    pub rule: String,
}

impl Wrappers {
    pub(super) fn ask(service: &Service, client: &Client, lookup: &dyn Lookup) -> Self {
        let Libwrap::Daemon(daemon) = &service.libwrap else {
            return Self { is_granted: true, rule: "not asked (NOLIBWRAP)".to_owned() };
        };
        let tables = Tables::load(&read_as_the_engine);
        let address = service.sockets.iter().find_map(|socket| socket.address.ip());
        let address = address.map_or(Ipv6Addr::UNSPECIFIED.into(), |address| address.ip());
        let server = Host { address, name: Some(HostName::Unknown) };
        let mut host = Host { address: client.address, name: None };
        loop {
            let request = Request { daemon, client: &host, server: &server, user: None };
            match tables.decide(&request) {
                Err(Need::ClientName) if host.name.is_none() => {
                    host.name = Some(verified(client, lookup));
                }
                Err(_) => {
                    let rule = format!("daemon `{daemon}`: a rule asks for the user of the client");
                    return Self { is_granted: false, rule };
                }
                Ok(decision) => {
                    let rule = match decision.by {
                        None => format!("daemon `{daemon}`: no rule is about this client"),
                        Some((which, 0)) => format!("{}: the engine cannot read it", file(which)),
                        Some((which, line)) => format!("`{daemon}`, {}:{line}", file(which)),
                    };
                    return Self { is_granted: decision.is_granted, rule };
                }
            }
        }
    }
}

const fn file(which: Which) -> &'static str {
    match which {
        Which::Allow => Tables::ALLOW,
        Which::Deny => Tables::DENY,
    }
}

/// What everybody may read: root may read more than the engine, whose user owns no files.
fn read_as_the_engine(path: &Path) -> io::Result<Vec<u8>> {
    let is_for_all = fs::metadata(path)?.mode() & 0o004 != 0;
    if geteuid().is_root() && !is_for_all {
        return Err(ErrorKind::PermissionDenied.into());
    }
    fs::read(path)
}

/// The client's name, as wrappers take it.
fn verified(client: &Client, lookup: &dyn Lookup) -> HostName {
    let name = client.name();
    let found = match &name {
        ClientName::Known(name) => lookup.addresses(name),
        ClientName::None | ClientName::InDoubt => Vec::new(),
    };
    let leads_back = found.iter().any(|found| found.ip().to_canonical() == client.address);
    HostName::of(name, leads_back)
}

//! hosts.allow and hosts.deny, looked at for every client and read again when they change.

use std::cell::Cell;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::rc::Rc;

use crate::admit::wrap::{Decision, Host, HostName, Need, Request, Tables, Which};
use crate::engine::Engine;
use crate::engine::decide::Caller;
use crate::ipc::{Event, ToMonitor};
use crate::plan::{ServiceIndex, Source};

/// Of a caller who has none; no host has it either (INADDR_NONE).
const NO_ADDRESS: Ipv4Addr = Ipv4Addr::BROADCAST;

/// What is known of both ends of a connection besides their addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) client: Option<HostName>,
    pub(super) server: Option<HostName>,
    pub(super) user: Option<String>,
}

/// Both files as they were last read.
#[derive(Debug, Default)]
pub(super) struct WrapFiles {
    tables: Rc<Tables>,
    /// What the files looked like then. `None`: to be read in any case.
    seen: Option<[Stamp; 2]>,
}

/// What changes when a file does: device, inode, size, time of the last change; all 0 for
/// a file that is not there.
type Stamp = (u64, u64, u64, i64, i64);

impl WrapFiles {
    /// Reads them again if they have changed, and says whether they have been read.
    fn refresh(&mut self) -> bool {
        let stamps = [stamp(Tables::ALLOW), stamp(Tables::DENY)];
        if self.seen == Some(stamps) {
            return false;
        }
        let files = Cell::new(0);
        self.tables = Rc::new(Tables::load(&|path| {
            files.set(files.get() + 1);
            fs::read(path)
        }));
        // Files that rules refer to may change without these two.
        self.seen = (files.get() <= stamps.len()).then_some(stamps);
        true
    }
}

fn stamp(path: &str) -> Stamp {
    let found = fs::metadata(path);
    found.map_or_else(
        |_| Stamp::default(),
        |of| (of.dev(), of.ino(), of.size(), of.ctime(), of.ctime_nsec()),
    )
}

impl Engine {
    /// Whether hosts.allow and hosts.deny let this caller in, as far as `facts` go; they do
    /// where they are not asked. Of a caller without an address they say what they say of UNKNOWN.
    pub(super) fn wrap(&mut self, caller: Caller<'_>, facts: &Facts) -> Result<bool, Need> {
        let rules = self.rules(caller.service);
        let daemon = self.doors.get(&caller.service).and_then(|state| state.door.wrap.as_deref());
        let (Some(tables), Some(daemon)) = (rules, daemon) else { return Ok(true) };
        let own = caller.own().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let server = Host { address: own, name: facts.server.clone() };
        let client = match caller.peer.source {
            // Rules are about hosts, and this is a process of our own.
            Source::User(_) => return Ok(true),
            Source::Ip(address) => Host { address, name: facts.client.clone() },
            Source::Unknown => Host { address: NO_ADDRESS.into(), name: Some(HostName::Unknown) },
        };
        let nobody = (caller.peer.source == Source::Unknown).then_some("unknown");
        let user = facts.user.as_deref().or(nobody);
        let request = Request { daemon, client: &client, server: &server, user };
        let Decision { is_granted, by, falls_short } = tables.decide(&request)?;
        if let Some(rule) = by.filter(|_| falls_short) {
            self.tell_of_rule(caller.service, rule);
        }
        Ok(is_granted)
    }

    /// Says which rules cannot be followed, before somebody has to be refused for it.
    pub(super) fn doubt_rules(&mut self) {
        let asks = self.doors.values().find(|state| state.door.wrap.is_some());
        let Some(service) = asks.map(|state| state.door.index) else { return };
        self.wrap_files.seen = None;
        drop(self.rules(service));
    }

    /// The rules in force now, if there are any and this service goes by them. Which of them cannot
    /// be followed is said when they have been read.
    fn rules(&mut self, service: ServiceIndex) -> Option<Rc<Tables>> {
        self.doors.get(&service)?.door.wrap.as_ref()?;
        let is_new = self.wrap_files.refresh();
        let tables = Rc::clone(&self.wrap_files.tables);
        for rule in tables.broken().take_while(|_| is_new) {
            self.tell_of_rule(service, rule);
        }
        (!tables.are_empty()).then_some(tables)
    }

    fn tell_of_rule(&mut self, service: ServiceIndex, (which, line): (Which, u32)) {
        let is_allow = which == Which::Allow;
        let event = Event::RuleFallsShort { is_allow, line };
        self.tell(&ToMonitor::Noticed { service, event });
    }
}

//! TCP wrappers: what hosts.allow and hosts.deny say, as libwrap reads them (hosts_access(5)).
//!
//! ```text
//! hosts.allow has a matching rule -> granted     each rule:  DAEMONS : CLIENTS [: OPTION ...]
//! hosts.deny has one              -> denied
//! else                            -> granted
//! ```
//!
//! An option of a matching rule may say otherwise, `deny` in hosts.allow for instance. What
//! cannot be evaluated is denied, never waved through.

mod options;
mod pattern;
mod table;

pub use pattern::{Host, HostName, Need};
pub use table::Table;

use std::io;
use std::path::Path;

use options::Effect;

/// Both files; `None`: it cannot be read, or has not been, and nobody is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `/etc/hosts.allow`
    allow: Option<Table>,
    /// `/etc/hosts.deny`
    deny: Option<Table>,
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Allow,
    Deny,
}

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The name of the daemon (WRAP-2).
    pub daemon: &'a str,
    pub client: &'a Host,
    /// Our end of the connection, for patterns of the form `daemon@host`.
    pub server: &'a Host,
    /// What the client's host says about the user (RFC 1413); `None`: not asked.
    pub user: Option<&'a str>,
}

/// What the files say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub is_granted: bool,
    /// The rule that says so, by its line, counted from 1; `None`: no rule matches; line 0: the
    /// file cannot be read.
    pub by: Option<(Which, u32)>,
    /// The rule was not followed to the letter, because it asks for something that is not
    /// done here.
    pub falls_short: bool,
}

impl Tables {
    /// The files of hosts_access(5).
    pub const ALLOW: &str = "/etc/hosts.allow";
    pub const DENY: &str = "/etc/hosts.deny";

    /// Both files as `read` finds them, and what they refer to. One that does not exist has no
    /// rules; without one that cannot be read nobody is let in.
    #[must_use]
    pub fn load(read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Self {
        let text =
            |path: &Path| read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let list = |path: &Path| match text(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Some(String::new()),
            outcome => outcome.ok(),
        };
        let table = |path| match text(Path::new(path)) {
            Ok(rules) => Some(Table::parse(&rules, &list)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Some(Table::default()),
            Err(_) => None,
        };
        Self { allow: table(Self::ALLOW), deny: table(Self::DENY) }
    }

    const fn both(&self) -> [(Which, Option<&Table>); 2] {
        [(Which::Allow, self.allow.as_ref()), (Which::Deny, self.deny.as_ref())]
    }

    /// The rules that cannot be followed at all, whoever comes, by file and line; line 0: the
    /// file cannot be read.
    pub fn broken(&self) -> impl Iterator<Item = (Which, u32)> {
        self.both().into_iter().flat_map(|(which, table)| {
            let rules = table.map_or(&[][..], Table::rules).iter();
            let broken = rules.filter(|rule| rule.is_broken()).map(|rule| rule.line);
            table.is_none().then_some(0).into_iter().chain(broken).map(move |line| (which, line))
        })
    }

    /// Whether there is any rule at all.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        self.both().iter().all(|(_, table)| table.is_some_and(|table| table.rules().is_empty()))
    }

    /// Decides about one client.
    ///
    /// # Errors
    /// What has to be found out about the client or about us before there is an answer.
    pub fn decide(&self, request: &Request<'_>) -> Result<Decision, Need> {
        if let Some((which, _)) = self.both().into_iter().find(|(_, table)| table.is_none()) {
            return Ok(Decision { is_granted: false, by: Some((which, 0)), falls_short: true });
        }
        for (which, table) in self.both() {
            for rule in table.map_or(&[][..], Table::rules) {
                if !rule.matches(which, request)? {
                    continue;
                }
                let (is_granted, falls_short) = match rule.effect() {
                    Effect::None { falls_short } => (which == Which::Allow, falls_short),
                    Effect::Grant { falls_short } => (true, falls_short),
                    Effect::Deny { falls_short } => (false, falls_short),
                };
                return Ok(Decision { is_granted, by: Some((which, rule.line)), falls_short });
            }
        }
        Ok(Decision { is_granted: true, by: None, falls_short: false })
    }
}

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

/// Both files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `/etc/hosts.allow`
    pub allow: Table,
    /// `/etc/hosts.deny`
    pub deny: Table,
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
    /// The rule that says so, by its line, counted from 1; `None`: no rule matches.
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
        match (table(Self::ALLOW), table(Self::DENY)) {
            (Some(allow), Some(deny)) => Self { allow, deny },
            (None, _) | (_, None) => Self { allow: Table::default(), deny: Table::closed() },
        }
    }

    /// The rules that cannot be followed at all, whoever comes, by file and line.
    pub fn broken(&self) -> impl Iterator<Item = (Which, u32)> {
        let tables = [(Which::Allow, &self.allow), (Which::Deny, &self.deny)];
        tables.into_iter().flat_map(|(which, table)| {
            let broken = table.rules().iter().filter(|rule| rule.is_broken());
            broken.map(move |rule| (which, rule.line))
        })
    }

    /// Whether there is any rule at all.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        self.allow.rules().is_empty() && self.deny.rules().is_empty()
    }

    /// Decides about one client.
    ///
    /// # Errors
    /// What has to be found out about the client or about us before there is an answer.
    pub fn decide(&self, request: &Request<'_>) -> Result<Decision, Need> {
        for (which, table) in [(Which::Allow, &self.allow), (Which::Deny, &self.deny)] {
            for rule in table.rules() {
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

//! One of the files: its rules, line by line.

use std::path::Path;

use crate::admit::wrap::options::{self, Effect};
use crate::admit::wrap::pattern::{Pattern, client_matches, list_matches, server_matches};
use crate::admit::wrap::{Need, Request, Which};

/// How long a line may be, in bytes: the buffer of libwrap.
const LONGEST: usize = 2046;

/// The rules of a file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(Vec<Rule>);

/// `DAEMONS : CLIENTS [: OPTION ...]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Counted from 1.
    pub(super) line: u32,
    body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Lists {
        daemons: Vec<Pattern>,
        clients: Vec<Pattern>,
        effect: Effect,
    },
    /// Too long, without an end, or with a file that cannot be read: in hosts.deny it denies
    /// everybody.
    Broken,
}

impl Table {
    /// Reads the text of a file. Patterns of the form `/FILE` are replaced by what `read`
    /// makes of that file; `None`: it cannot be read, and the rule is as one with a mistake.
    #[must_use]
    pub fn parse(text: &str, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut rules = Vec::new();
        let mut lines = (1_u32..).zip(text.split_inclusive('\n'));
        while let Some((line, first)) = lines.next() {
            let mut whole = first.to_owned();
            while let Some(open) = whole.strip_suffix("\\\n") {
                whole.truncate(open.len());
                let Some((_, next)) = lines.next() else { break };
                whole.push_str(next);
            }
            rules.extend(rule(&whole, read).map(|body| Rule { line, body }));
        }
        Self(rules)
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.0
    }
}

/// What a line says; `None`: nothing, being a comment, blank, or without a colon.
fn rule(line: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<Body> {
    if line.len() > LONGEST || !line.ends_with('\n') {
        return Some(Body::Broken);
    }
    if line.starts_with('#') {
        return None;
    }
    let (daemons, rest) = split_at_colon(line)?;
    let (clients, options) = split_at_colon(rest).map_or((rest, None), |(a, b)| (a, Some(b)));
    let effect = options.map_or(Effect::None { falls_short: false }, options::effect);
    let lists = (Pattern::list(daemons, read), Pattern::list(clients, read));
    let (Some(daemons), Some(clients)) = lists else { return Some(Body::Broken) };
    Some(Body::Lists { daemons, clients, effect })
}

/// At the first colon that is not within the brackets of an IPv6 address.
fn split_at_colon(text: &str) -> Option<(&str, &str)> {
    let mut is_inside = false;
    let colon = text.char_indices().find_map(|(at, c)| {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ => {}
        }
        (c == ':' && !is_inside).then_some(at)
    })?;
    Some((text.get(..colon)?, text.get(colon + 1..)?))
}

impl Rule {
    pub(super) fn matches(&self, which: Which, request: &Request<'_>) -> Result<bool, Need> {
        let Body::Lists { daemons, clients, .. } = &self.body else {
            return Ok(which == Which::Deny);
        };
        Ok(list_matches(daemons, &mut |pattern| server_matches(pattern, request))?
            && list_matches(clients, &mut |pattern| client_matches(pattern, request))?)
    }

    pub(super) const fn is_broken(&self) -> bool {
        matches!(self.body, Body::Broken)
    }

    pub(super) const fn effect(&self) -> Effect {
        match &self.body {
            Body::Lists { effect, .. } => *effect,
            Body::Broken => Effect::None { falls_short: true },
        }
    }
}

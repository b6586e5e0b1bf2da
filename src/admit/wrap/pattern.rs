//! Patterns of daemons and clients (hosts_access(5)), and what they match.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::admit::ClientName;
use crate::admit::wrap::Request;

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// An IPv4 client is an IPv4 address here, however it is connected.
    pub address: IpAddr,
    /// `None`: not asked for yet.
    pub name: Option<HostName>,
}

/// What the address of a host resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    Known(String),
    /// Nothing.
    Unknown,
    /// A name that does not have this address: whoever says so may be lying.
    Paranoid,
}

impl HostName {
    /// What wrappers make of a client's name; `leads_back`: the name has the client's address.
    #[must_use]
    pub fn of(name: ClientName, leads_back: bool) -> Self {
        match name {
            ClientName::Known(name) if leads_back && name.parse::<IpAddr>().is_err() => {
                Self::Known(name)
            }
            ClientName::Known(_) => Self::Paranoid,
            ClientName::None | ClientName::InDoubt => Self::Unknown,
        }
    }

    /// As libwrap writes it where a name is expected.
    const fn text(&self) -> &str {
        match self {
            Self::Known(name) => name.as_str(),
            Self::Unknown => "unknown",
            Self::Paranoid => "paranoid",
        }
    }
}

/// What is missing for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    ClientName,
    ServerName,
    User,
}

/// A word of a list, or what a file of words stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Word(String),
    /// `/FILE`
    File(Vec<String>),
}

impl Pattern {
    /// The words between blanks and commas; `None`: one is a file that cannot be read.
    pub(super) fn list(text: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<Vec<Self>> {
        let words = text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
        let pattern = |word: &str| {
            Some(match word.starts_with('/') {
                true => {
                    let text = read(Path::new(word))?;
                    Self::File(text.split_ascii_whitespace().map(str::to_owned).collect())
                }
                false => Self::Word(word.to_owned()),
            })
        };
        words.map(pattern).collect()
    }

    fn is_except(&self) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case("EXCEPT"))
    }
}

/// `a b EXCEPT c EXCEPT d`: matches what is left of EXCEPT, unless what is right of it does.
pub(super) fn list_matches(
    list: &[Pattern],
    matches: &mut dyn FnMut(&Pattern) -> Result<bool, Need>,
) -> Result<bool, Need> {
    let mut parts = list.split(Pattern::is_except);
    let wanted = parts.next().unwrap_or_default();
    for pattern in wanted {
        if matches(pattern)? {
            let rest = list.get(wanted.len() + 1..).unwrap_or_default();
            return Ok(rest.is_empty() || !list_matches(rest, matches)?);
        }
    }
    Ok(false)
}

/// `DAEMON` or `DAEMON@HOST`
pub(super) fn server_matches(pattern: &Pattern, request: &Request<'_>) -> Result<bool, Need> {
    let Pattern::Word(word) = pattern else { return Ok(false) };
    match halves(word) {
        None => Ok(string_matches(word, request.daemon)),
        Some((daemon, host)) => Ok(string_matches(daemon, request.daemon)
            && host_matches(host, request.server, Need::ServerName)?),
    }
}

/// `HOST` or `USER@HOST`
pub(super) fn client_matches(pattern: &Pattern, request: &Request<'_>) -> Result<bool, Need> {
    let client = |word: &str| host_matches(word, request.client, Need::ClientName);
    let word = match pattern {
        Pattern::Word(word) => word,
        Pattern::File(words) => return any(words, client),
    };
    match halves(word) {
        None => client(word),
        Some((user, host)) => {
            Ok(client(host)? && string_matches(user, request.user.ok_or(Need::User)?))
        }
    }
}

fn any(
    words: &[String],
    mut matches: impl FnMut(&str) -> Result<bool, Need>,
) -> Result<bool, Need> {
    for word in words {
        if matches(word)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// At an `@` that is not the first character, which would begin the name of a netgroup.
fn halves(word: &str) -> Option<(&str, &str)> {
    let at = word.char_indices().skip(1).find(|(_, c)| *c == '@')?.0;
    Some((word.get(..at)?, word.get(at + 1..)?))
}

/// Whether a pattern matches the address or the name of a host; `need` is what to say when
/// the name is missing.
fn host_matches(word: &str, host: &Host, need: Need) -> Result<bool, Need> {
    let name = || host.name.as_ref().ok_or(need);
    if word.starts_with('@') {
        return Ok(false); // there are no netgroups
    }
    if word.eq_ignore_ascii_case("KNOWN") {
        return Ok(matches!(name()?, HostName::Known(_)));
    }
    if word.eq_ignore_ascii_case("LOCAL") {
        return Ok(matches!(name()?, HostName::Known(name) if !name.contains('.')));
    }
    if let Some((network, mask)) = word.split_once('/') {
        return Ok(masked_matches(network, mask, host.address));
    }
    if string_matches(word, &host.address.to_string()) || bracketed(word) == Some(host.address) {
        return Ok(true);
    }
    if word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || word.starts_with('[') {
        return Ok(false); // no name is asked for where only an address is meant
    }
    Ok(string_matches(word, name()?.text()))
}

/// An IPv6 address between brackets.
fn bracketed(word: &str) -> Option<IpAddr> {
    let inside = word.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// `a.b.c.d/mask`, `a.b.c.d/bits` or `[v6]/bits`
fn masked_matches(network: &str, mask: &str, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let (Ok(network), Some(mask)) = (network.parse::<Ipv4Addr>(), mask4(mask)) else {
                return false;
            };
            address.to_bits() & mask == network.to_bits()
        }
        IpAddr::V6(address) => {
            let (Some(IpAddr::V6(network)), Ok(bits @ 0..=128)) =
                (bracketed(network), mask.parse::<u32>())
            else {
                return false;
            };
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
    }
}

/// A dotted mask, or the number of bits, 1 to 32, at the beginning of the text.
fn mask4(text: &str) -> Option<u32> {
    if let Ok(mask) = text.parse::<Ipv4Addr>() {
        return Some(mask.to_bits());
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    match digits.get(..end)?.parse() {
        Ok(bits @ 1..=32) => u32::MAX.checked_shl(32 - bits),
        _ => None,
    }
}

/// A word against a string, in any case: with `*` and `?`, `.suffix`, `prefix.`, ALL, KNOWN,
/// or equal.
fn string_matches(word: &str, string: &str) -> bool {
    if word.contains(['*', '?']) {
        return glob_matches(word.as_bytes(), string.as_bytes());
    }
    let (lower, string) = (word.to_ascii_lowercase(), string.to_ascii_lowercase());
    match lower.as_str() {
        "all" => true,
        "known" => string != "unknown",
        _ if lower.starts_with('.') => string.len() > lower.len() && string.ends_with(&lower),
        _ if lower.ends_with('.') => string.starts_with(&lower),
        _ => lower == string,
    }
}

/// `*` is any number of characters, `?` is one. Never goes back over more than one `*`.
fn glob_matches(pattern: &[u8], string: &[u8]) -> bool {
    let (mut p, mut s, mut star) = (0, 0, None);
    while let Some(byte) = string.get(s) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, s));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(byte) => {
                (p, s) = (p + 1, s + 1);
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, s) = (at + 1, from + 1);
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

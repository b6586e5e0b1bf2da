//! `bind`: where a service listens; `socket_mode` and the like: who may connect there.

use std::net::{IpAddr, SocketAddr};

use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::draft::{Account, Bound};
use crate::config::lookup::Lookup;
use crate::config::read::Reader;
use crate::config::set::{account, group_number};
use crate::config::unix;
use crate::config::value::{self, COMMA, Outcome};
use crate::diag::Diagnostic;

/// BIND-3, BIND-6: addresses, and host names with all that they have.
pub(in crate::config) fn bind(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    if line.values.len() > 1 {
        let deed = "takes one address: it ignores the line, and listens on all";
        reader.notes.push(Diagnostic::extension("PARSE-14", line.values_span(), deed));
    }
    for word in line.values.iter().filter(|word| unix::is_meant(word)) {
        let deed = "takes this for an address that it cannot read, and leaves the service out";
        reader.notes.push(Diagnostic::extension("ATTR-26", word.span, deed));
    }
    reader.draft.is_unix_only = Some(line.values.iter().all(unix::is_meant));
    let lookup = reader.lookup;
    let bound = reader.each("bind", line, |word| match unix::is_meant(word) {
        true => unix::name(word).map(Bound::Unix),
        false => addresses(lookup, word).map(Bound::Ip),
    });
    if bound.len() == line.values.len() {
        reader.draft.bind = Some(bound);
    }
    Ok(())
}

pub(in crate::config) fn socket_mode(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    reader.draft.socket_mode = Some(value::umask(line.first())?);
    Ok(())
}

pub(in crate::config) fn socket_user(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    reader.draft.socket_user = Some(match account(reader, line.first())? {
        Account::Known(user) => user.uid,
        Account::Number(uid) => uid,
    });
    Ok(())
}

pub(in crate::config) fn socket_group(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    reader.draft.socket_group = Some(group_number(reader, line.first())?);
    Ok(())
}

fn addresses(lookup: &dyn Lookup, word: &Word) -> Outcome<Vec<SocketAddr>> {
    let text = word.text();
    let found = match text.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, 0)],
        Err(_) => lookup.addresses(&text),
    };
    if found.is_empty() {
        let message = format!("`{text}` is neither an address nor a host that can be found");
        let interface = text.split_once('%').map(|(_, name)| format!("is `{name}` an interface?"));
        let comma = text.contains(',').then(|| COMMA.to_owned());
        let note = Diagnostic::error(code::UNKNOWN_HOST, word.span, message)
            .maybe_help(interface.or(comma))
            .legacy(format!("failed to parse {text}"));
        return Err(Box::new(note));
    }
    Ok(found)
}

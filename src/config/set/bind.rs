//! `bind`: where a service listens.

use std::net::{IpAddr, SocketAddr};

use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::lookup::Lookup;
use crate::config::read::Reader;
use crate::config::value::{COMMA, Outcome};
use crate::diag::Diagnostic;

/// BIND-3, BIND-6: addresses, and host names with all that they have.
pub(in crate::config) fn bind(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    if line.values.len() > 1 {
        let deed = "takes one address: it ignores the line, and listens on all";
        reader.notes.push(Diagnostic::extension("PARSE-14", line.values_span(), deed));
    }
    let lookup = reader.lookup;
    let bound = reader.each("bind", line, |word| addresses(lookup, word));
    if bound.len() == line.values.len() {
        reader.draft.bind = Some(bound);
    }
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

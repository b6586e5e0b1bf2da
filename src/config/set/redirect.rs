//! `redirect`.

use std::net::IpAddr;

use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::read::Reader;
use crate::config::value::{self, Outcome};
use crate::diag::Diagnostic;
use crate::plan::Redirect;

/// ATTR-50: a host that can be found, and a port or the name of a tcp service.
pub(in crate::config) fn redirect(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    let [host, port] = line.values.as_slice() else { return Ok(()) };
    let text = host.text();
    let number = port_number(reader, port)?;
    let mut addresses = match text.parse::<IpAddr>() {
        Ok(address) => vec![(address, 0).into()],
        Err(_) => reader.lookup.addresses(&text),
    };
    if addresses.is_empty() {
        let message = format!("`{text}` is neither an address nor a host that can be found");
        let note = Diagnostic::error(code::UNKNOWN_HOST, host.span, message)
            .legacy(format!("bad address: {text}"));
        return Err(Box::new(note));
    }
    addresses.iter_mut().for_each(|address| address.set_port(number));
    reader.draft.redirect = Some(Redirect { host: text.into_owned(), addresses });
    Ok(())
}

fn port_number(reader: &Reader<'_>, word: &Word) -> Outcome<u16> {
    let text = word.text();
    if word.bytes.iter().all(u8::is_ascii_digit) || text.starts_with(['+', '-']) {
        let number = value::count(word, &(1..=65535));
        return number.map_err(|note| Box::new(note.legacy("port number invalid")));
    }
    reader.lookup.port(&text, "tcp").ok_or_else(|| {
        let message = format!("`{text}` is neither a port nor a tcp service of services(5)");
        let note = Diagnostic::error(code::UNKNOWN_SERVICE, word.span, message)
            .help("write the number of the port");
        Box::new(note.legacy(format!("cannot find service {text}/tcp")))
    })
}

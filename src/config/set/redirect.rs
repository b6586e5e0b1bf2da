//! `redirect`.

use std::net::{IpAddr, SocketAddr};

use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::read::Reader;
use crate::config::unix;
use crate::config::value::{self, Outcome};
use crate::diag::Diagnostic;
use crate::plan::Redirect;

/// Whether one value is enough: a socket in the file system has no port.
#[must_use]
pub(in crate::config) fn is_whole(line: &Assignment) -> bool {
    matches!(line.values.as_slice(), [only] if unix::is_meant(only))
}

/// ATTR-50: a host that can be found, and a port or the name of a tcp service.
pub(in crate::config) fn redirect(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    let target = match line.values.as_slice() {
        [path] => {
            let deed = "ignores the line, because it is not a host and a port";
            reader.notes.push(Diagnostic::extension("ATTR-50", path.span, deed));
            Redirect::Unix(unix::path(path)?)
        }
        [path, port] if unix::is_meant(path) => {
            let message = "a socket in the file system has no port";
            let note = Diagnostic::error(code::CONTRADICTION, port.span, message)
                .help(format!("write `redirect = {}`", path.text()))
                .legacy(format!("bad address: {}", path.text()));
            return Err(Box::new(note));
        }
        [host, port] => {
            let (name, port) = (host.text().into_owned(), port_number(reader, port)?);
            let addresses = addresses(reader, host, port)?;
            Redirect::Host { name, port, addresses }
        }
        _ => return Ok(()),
    };
    reader.draft.redirect = Some(target);
    Ok(())
}

/// The addresses of a host, IPv4 first: the original takes no others for a name.
fn addresses(reader: &Reader<'_>, host: &Word, port: u16) -> Outcome<Vec<SocketAddr>> {
    let text = host.text();
    let mut found = match text.parse::<IpAddr>() {
        Ok(address) => vec![(address, 0).into()],
        Err(_) => reader.lookup.addresses(&text),
    };
    if found.is_empty() {
        let message = format!("`{text}` is neither an address nor a host that can be found");
        let note = Diagnostic::error(code::UNKNOWN_HOST, host.span, message)
            .legacy(format!("bad address: {text}"));
        return Err(Box::new(note));
    }
    found.sort_by_key(SocketAddr::is_ipv6);
    found.iter_mut().for_each(|address| address.set_port(port));
    Ok(found)
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

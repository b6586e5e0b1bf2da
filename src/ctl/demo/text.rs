//! What the demo tells its user.

use std::io::{self, Write};

use crate::ctl::demo_server::{PASSWORD, USER};

use super::door::{Door, Security};
use super::stage::Stage;

/// Before each line of the daemon's.
pub(super) const LOG_MARK: &str = "  | ";

/// What listens where, what to try, and that all is ready.
pub(super) fn header(out: &mut dyn Write, doors: &[Door], stage: &Stage) -> io::Result<()> {
    writeln!(out, "xinetd-rs: four mail services, each started for a connection at a time\n")?;
    for Door { service, address, refused } in doors {
        let security = match service.security {
            Security::Plain => "",
            Security::Tls => "  TLS",
        };
        let line = format!("{:<8}{address:<17}{security}", service.name);
        write!(out, "  {}", line.trim_end())?;
        match refused {
            Some((port, reason)) => writeln!(out, "  (port {port} {reason})")?,
            None => writeln!(out)?,
        }
    }
    writeln!(out, "\n  user {USER}, password {PASSWORD}; three sample messages, nothing is kept")?;
    writeln!(out, "  certificate made just now: {}", stage.certificate().display())?;
    writeln!(out, "\nTry, in another terminal:\n")?;
    for line in doors.iter().flat_map(lines_to_try) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\nReady. Ctrl-C stops it. What the daemon logs:\n")?;
    out.flush()
}

/// The lines for one service, to be pasted into a shell.
fn lines_to_try(Door { service, address, .. }: &Door) -> Vec<String> {
    let (ip, port, scheme) = (address.ip(), address.port(), service.scheme);
    let curl = |option: &str, path: &str| {
        format!("curl {option}-u {USER}:{PASSWORD} '{scheme}://{address}/{path}'")
    };
    match (service.protocol, service.security) {
        ("pop3", Security::Plain) => vec![
            curl("", ""),
            curl("", "1"),
            format!(
                "python3 -c 'import poplib; c = poplib.POP3(\"{ip}\", {port}); \
                 c.user(\"{USER}\"); c.pass_(\"{PASSWORD}\"); print(c.list())'"
            ),
        ],
        ("pop3", Security::Tls) => vec![curl("-k ", "3")],
        (_, Security::Plain) => vec![
            curl("", "INBOX;MAILINDEX=1"),
            format!(
                "python3 -c 'import imaplib; c = imaplib.IMAP4(\"{ip}\", {port}); \
                 c.login(\"{USER}\", \"{PASSWORD}\"); print(c.select()); print(c.search(None, \"ALL\"))'"
            ),
        ],
        (_, Security::Tls) => vec![curl("-k ", "INBOX;MAILINDEX=2")],
    }
}

/// The daemon's own words.
pub(super) fn log_lines(out: &mut dyn Write, lines: &[String]) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{LOG_MARK}{line}")?;
    }
    out.flush()
}

/// The end, when it was asked for.
pub(super) fn goodbye(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nThe daemon has ended; the files of the demo are removed.")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::demo::door;

    #[test]
    fn the_header_names_every_service_and_what_to_try() {
        let doors = door::choose(11_000).unwrap();
        let stage = Stage::set(&doors).unwrap();
        let mut out = Vec::new();
        header(&mut out, &doors, &stage).unwrap();
        let text = String::from_utf8(out).unwrap();
        for door in &doors {
            assert!(text.contains(&format!("  {:<8}{}", door.service.name, door.address)));
            assert!(text.contains(&format!("'{}://{}/", door.service.scheme, door.address)));
        }
        assert!(text.contains("user demo, password demo") && text.contains("Ctrl-C stops it"));
    }
}

//! What the demo tells its user.

use std::io::{self, Write};
use std::path::Path;

use crate::ctl::demo_server::{PASSWORD, USER};

use super::door::{Door, Kind, Security, TARGET};
use super::stage::Stage;

/// Before each line of the daemon's.
pub(super) const LOG_MARK: &str = "  | ";

/// What listens where, what to try, and that all is ready.
pub(super) fn header(
    out: &mut dyn Write,
    doors: &[Door],
    stage: &Stage,
    asks: Option<&Path>,
) -> io::Result<()> {
    writeln!(out, "xinetd-rs: four mail services, each started for a connection at a time,")?;
    writeln!(out, "and three without a process\n")?;
    for Door { service, address, refused } in doors {
        let remark = match service.kind {
            Kind::Mail { security: Security::Plain, .. } => String::new(),
            Kind::Mail { security: Security::Tls, .. } => "  TLS".to_owned(),
            Kind::Internal => "  built in".to_owned(),
            Kind::Redirect => format!("  passed on to {TARGET}"),
        };
        let line = format!("{:<8}{address:<17}{remark}", service.name);
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
    if let Some(program) = asks {
        let (program, socket) = (program.display(), stage.control());
        writeln!(out, "  {program} status --socket {}", socket.display())?;
    }
    writeln!(out, "\nReady. Ctrl-C stops it. What the daemon logs:\n")?;
    out.flush()
}

/// The lines for one service, to be pasted into a shell.
fn lines_to_try(Door { service, address, .. }: &Door) -> Vec<String> {
    let (ip, port) = (address.ip(), address.port());
    let curl = |option: &str, scheme: &str, path: &str| {
        format!("curl {option}-u {USER}:{PASSWORD} '{scheme}://{address}/{path}'")
    };
    match service.kind {
        Kind::Mail { protocol: "pop3", scheme, security: Security::Plain } => vec![
            curl("", scheme, ""),
            curl("", scheme, "1"),
            format!(
                "python3 -c 'import poplib; c = poplib.POP3(\"{ip}\", {port}); \
                 c.user(\"{USER}\"); c.pass_(\"{PASSWORD}\"); print(c.list())'"
            ),
        ],
        Kind::Mail { protocol: "pop3", scheme, security: Security::Tls } => {
            vec![curl("-k ", scheme, "3")]
        }
        Kind::Mail { scheme, security: Security::Plain, .. } => vec![
            curl("", scheme, "INBOX;MAILINDEX=1"),
            format!(
                "python3 -c 'import imaplib; c = imaplib.IMAP4(\"{ip}\", {port}); \
                 c.login(\"{USER}\", \"{PASSWORD}\"); print(c.select()); print(c.search(None, \"ALL\"))'"
            ),
        ],
        Kind::Mail { scheme, security: Security::Tls, .. } => {
            vec![curl("-k ", scheme, "INBOX;MAILINDEX=2")]
        }
        Kind::Internal => vec![format!(
            "python3 -c 'import socket; c = socket.create_connection((\"{ip}\", {port})); \
             c.sendall(b\"hello\"); print(c.recv(99))'"
        )],
        Kind::Redirect => vec![curl("", "pop3", "2")],
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
        header(&mut out, &doors, &stage, Some(Path::new("/bin/xinetctl"))).unwrap();
        let text = String::from_utf8(out).unwrap();
        for door in &doors {
            assert!(text.contains(&format!("  {:<8}{}", door.service.name, door.address)));
            let (url, pair) =
                (format!("://{}/", door.address), format!(", {})", door.address.port()));
            assert!(text.contains(&url) || text.contains(&pair));
        }
        assert!(text.contains("  /bin/xinetctl status --socket /"));
        assert!(text.contains("user demo, password demo") && text.contains("Ctrl-C stops it"));
    }
}

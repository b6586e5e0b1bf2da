//! `xconv.pl`: an inetd.conf into a whole xinetd.conf, as the script of that name did.
//!
//! Entries are the script's, byte for byte (XCONV-2), but for those that no xinetd would take
//! (XCONV-5).

use std::process::ExitCode;

use super::convert::{Converted, Entry, filter, lines};

/// The name of the script, and of a program that does what it did.
pub const XCONV: &str = "xconv.pl";

/// XCONV-1: the file begins with these values for all services.
const DEFAULTS: &str = "\
# Converted by xconv.pl(8) from lines of inetd.conf(5). What is wrong with them says
# `xinetctl check FILE`; what else a service may have is in xinetd.conf(5).

defaults
{
\tinstances   = 25
\tlog_type    = FILE /var/log/servicelog
\tlog_on_success = HOST PID
\tlog_on_failure = HOST
\tper_source  = 5
}

";

/// XCONV-2
const WIDTH: usize = 11;

/// xconv.pl(8); arguments mean nothing to it (XCONV-4).
pub fn xconv() -> ExitCode {
    filter(XCONV, convert)
}

/// Nothing in a line is a failure: the script always said that all was well (XCONV-4).
fn convert(text: &[u8]) -> Converted {
    let entries = DEFAULTS.as_bytes().to_vec();
    let mut converted = Converted { entries, complete: true, ..Converted::default() };
    for (line, number) in lines(text) {
        let mut words = line.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty());
        let Some(name) = words.next().filter(|name| !name.starts_with(b"#")) else { continue };
        match entry(name, words) {
            Ok(entry) => converted.entries.extend(entry),
            Err(why) => {
                let name = String::from_utf8_lossy(name);
                let remark = format!("Warning: Service {name} not added: line {number}: {why}");
                converted.remarks.push(remark);
            }
        }
    }
    converted
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}

/// XCONV-2; or why there is none.
fn entry<'l>(
    name: &[u8],
    mut words: impl Iterator<Item = &'l [u8]>,
) -> Result<Vec<u8>, &'static str> {
    let socket_type = words.next().ok_or("socket type missing")?;
    let protocol = words.next().ok_or("protocol missing")?;
    if contains(protocol, b"rpc") {
        return Err("xconv.pl leaves RPC services out; itox converts them");
    }
    let wait = words.next().ok_or("wait/nowait missing")?;
    let (user, group) = user_and_group(words.next().ok_or("user missing")?);
    let server = words.next().ok_or("server missing")?;
    if user.is_empty() {
        return Err("user missing");
    }
    let args: Vec<_> = words.flat_map(|word| [word, b" "]).collect();
    let is_internal = server == b"internal";
    let mut entry = Entry::new(name, WIDTH);
    // Without it xinetd gives the server its own name, if there is a server.
    if !is_internal && !args.is_empty() {
        entry.set("flags", &[b"NAMEINARGS"]);
    }
    entry.set("socket_type", &[socket_type]);
    entry.set("protocol", &[protocol]);
    entry.set("wait", &[if contains(wait, b"no") { b"no" } else { b"yes" }]);
    entry.set("user", &[user]);
    group.into_iter().for_each(|group| entry.set("group", &[group]));
    if is_internal {
        entry.set("type", &[b"INTERNAL"]);
        entry.set("id", &[name, b"-", socket_type]);
    } else {
        entry.set("server", &[server]);
        if !args.is_empty() {
            entry.set("server_args", &args);
        }
    }
    Ok(entry.end())
}

fn contains(word: &[u8], part: &[u8]) -> bool {
    word.windows(part.len()).any(|window| window == part)
}

/// `user.group` or `user:group`; what is behind a second mark is dropped.
fn user_and_group(word: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = word.split(|byte| matches!(byte, b'.' | b':'));
    let user = parts.next().unwrap_or_default();
    let group = parts.next();
    // As perl splits: marks at the end separate nothing.
    let is_end = word.get(user.len()..).unwrap_or_default().iter().all(|byte| b".:".contains(byte));
    (user, group.filter(|_| !is_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(text: &str) -> (String, Vec<String>) {
        let Converted { entries, remarks, complete } = convert(text.as_bytes());
        assert!(complete, "XCONV-4");
        let entries = String::from_utf8(entries).unwrap();
        (entries.strip_prefix(DEFAULTS).unwrap().to_owned(), remarks)
    }

    #[test]
    fn a_line_becomes_an_entry() {
        let (text, remarks) =
            converted("#c\n # c\n\nftp\tstream tcp nowait.9 ftp:mail /d ftpd -l\r\n");
        let entry = "service ftp\n{\n\tflags       = NAMEINARGS\n\tsocket_type = stream\n\
                     \tprotocol    = tcp\n\twait        = no\n\tuser        = ftp\n\
                     \tgroup       = mail\n\tserver      = /d\n\tserver_args = ftpd -l \n}\n\n";
        assert_eq!((text.as_str(), remarks), (entry, vec![]), "XCONV-2");
    }

    #[test]
    fn what_has_no_arguments_has_its_own_name() {
        for line in ["echo dgram udp wait root internal", "pop3 stream tcp nowait root /d"] {
            let (text, _) = converted(line);
            assert!(
                !text.contains("NAMEINARGS") && !text.contains("server_args"),
                "XCONV-5: {text}"
            );
        }
    }

    #[test]
    fn a_line_that_cannot_be_served_is_named_and_left_out() {
        for (line, why) in [
            ("a", "socket type missing"),
            ("a stream tcp nowait root", "server missing"),
            ("a stream tcp nowait .b /d d", "user missing"),
            ("a dgram rpc/udp", "xconv.pl leaves RPC services out; itox converts them"),
        ] {
            let (text, remarks) = converted(&format!("\n{line}\n"));
            let remark = format!("Warning: Service a not added: line 2: {why}");
            assert_eq!((text.as_str(), remarks), ("", vec![remark]), "XCONV-3, XCONV-5");
        }
    }

    #[test]
    fn users_and_groups_are_split_as_perl_does() {
        for (word, user, group) in [
            ("u", "u", None),
            ("u.g", "u", Some("g")),
            ("u:g.h", "u", Some("g")),
            ("u..", "u", None),
            ("u:.g", "u", Some("")),
        ] {
            assert_eq!(
                user_and_group(word.as_bytes()),
                (user.as_bytes(), group.map(str::as_bytes)),
                "{word}"
            );
        }
    }
}

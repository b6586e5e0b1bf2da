//! `xinetctl convert`, also called `itox`: lines of inetd.conf into entries of xinetd.conf.
//!
//! What comes out is byte for byte what the itox of xinetd 2.3.15 writes (ITOX-1 to ITOX-4).

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;

use super::complain;

/// The name of a program that is `xinetctl convert` with the options of the old itox.
pub const ITOX: &str = "itox";

/// Where the programs are that lines start through tcpd; else what is said of such a line.
type DaemonDir<'a> = Result<&'a OsStr, &'static str>;

/// ITOX-2
const WIDTH: usize = 15;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 converted, 1 a line has a mistake: what is before it was converted; 2 usage, or \
the file cannot be read.")]
pub(super) struct ConvertArgs {
    /// The file to convert, instead of standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the programs are that lines start through tcpd, without a path
    #[arg(long, value_name = "DIR")]
    daemon_dir: Option<OsString>,
}

pub(super) fn run(args: &ConvertArgs) -> ExitCode {
    let text = match &args.file {
        None => standard_input(),
        Some(path) => fs::read(path),
    };
    let name = args.file.as_ref().map_or("standard input".into(), |path| path.to_string_lossy());
    match text {
        Ok(text) => {
            let daemon_dir = args.daemon_dir.as_deref();
            answer(&convert(&text, daemon_dir.ok_or("a line starts tcpd: say --daemon-dir DIR")))
        }
        Err(error) => {
            let _said = complain(&format!("cannot read {name}: {error}"));
            2.into()
        }
    }
}

/// itox(8), whose command line is two words or none (ITOX-4); the first of the two is
/// `-daemon_dir`, which the original takes for granted.
pub fn itox(args: &[OsString]) -> ExitCode {
    let daemon_dir = match args {
        [] | [_] => None,
        [_, _, directory] => Some(directory.as_os_str()),
        _ => {
            say(&[format!("Usage: {ITOX} [-daemon_dir dir_path]")]);
            return ExitCode::FAILURE;
        }
    };
    let daemon_dir = daemon_dir.ok_or("You must use option -daemon_dir if you use tcpd");
    filter(ITOX, |text| convert(text, daemon_dir))
}

/// Writes what standard input becomes.
pub(super) fn filter(program: &str, convert: impl Fn(&[u8]) -> Converted) -> ExitCode {
    match standard_input() {
        Ok(text) => answer(&convert(&text)),
        Err(error) => {
            say(&[format!("{program}: cannot read standard input: {error}")]);
            ExitCode::FAILURE
        }
    }
}

fn standard_input() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

fn answer(converted: &Converted) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = out.write_all(&converted.entries).and_then(|()| out.flush());
    say(&converted.remarks);
    super::printed(written, if converted.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(lines: &[String]) {
    let mut err = io::stderr().lock();
    for line in lines {
        // Standard error is the last resort.
        let _written = writeln!(err, "{line}");
    }
}

/// What a file becomes.
#[derive(Debug, Default)]
pub(super) struct Converted {
    /// With itox, of all lines before the first mistake (ITOX-5).
    pub(super) entries: Vec<u8>,
    /// For standard error.
    pub(super) remarks: Vec<String>,
    /// There was no mistake.
    pub(super) complete: bool,
}

fn convert(text: &[u8], daemon_dir: DaemonDir<'_>) -> Converted {
    let mut converted = Converted::default();
    for (line, number) in lines(text) {
        if matches!(line, [] | [b'#', ..]) {
            continue;
        }
        match Fields::new(line, number).entry(daemon_dir, &mut converted.remarks) {
            Ok(entry) => converted.entries.extend(entry),
            Err(mistake) => {
                converted.remarks.push(mistake);
                return converted;
            }
        }
    }
    converted.complete = true;
    converted
}

/// With their numbers.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|byte| *byte == b'\n').zip(1..)
}

/// The words of a line that are still to be used.
struct Fields<'l> {
    rest: &'l [u8],
    /// Of the line, from 1.
    number: usize,
}

impl<'l> Fields<'l> {
    /// For the original a line ends at a zero byte.
    fn new(line: &'l [u8], number: usize) -> Self {
        let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
        Self { rest: line.get(..end).unwrap_or_default(), number }
    }

    fn take(&mut self) -> Option<&'l [u8]> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = self.rest.iter().position(|byte| !is_blank(byte))?;
        let word = self.rest.get(start..).unwrap_or_default();
        let end = word.iter().position(is_blank).unwrap_or(word.len());
        let (word, rest) = word.split_at(end);
        self.rest = rest;
        Some(word)
    }

    /// ITOX-4, down to the blank at the end.
    fn need(&mut self, what: &str) -> Result<&'l [u8], String> {
        self.take().ok_or_else(|| format!("Line {}: {what} missing ", self.number))
    }

    /// ITOX-2
    fn entry(
        &mut self,
        daemon_dir: DaemonDir<'_>,
        remarks: &mut Vec<String>,
    ) -> Result<Vec<u8>, String> {
        let (name, versions) = cut(self.need("service name")?, b'/');
        let socket_type = self.need("socket type")?;
        let (protocol, of_rpc) = cut(self.need("protocol")?, b'/');
        let protocol = of_rpc.unwrap_or(protocol);
        let (wait, limit) = cut(self.need("wait/nowait")?, b'.');
        let (user, group) = cut(self.need("user[.group]")?, b'.');
        let server = self.need("server")?;
        let mut entry = Entry::new(name, WIDTH);
        if let Some(versions) = versions {
            entry.set("type", &[b"RPC"]);
            entry.set("rpc_version", &[versions]);
        }
        entry.set("socket_type", &[socket_type]);
        entry.set("protocol", &[protocol]);
        entry.set("wait", &[if wait == b"wait" { b"yes" } else { b"no" }]);
        entry.set("user", &[user]);
        group.into_iter().for_each(|group| entry.set("group", &[group]));
        let shown = String::from_utf8_lossy(name);
        if limit.is_some() {
            let protocol = String::from_utf8_lossy(protocol);
            remarks.push(format!("The entry for service {shown}/{protocol} may be wrong, because"));
            remarks.push("we can't convert .max option for wait/nowait field".into());
        }
        match (server == b"internal", versions) {
            (true, None) => {
                entry.set("type", &[b"INTERNAL"]);
                entry.set("id", &[name, b"-", socket_type]);
            }
            (true, Some(_)) => {
                remarks.push(format!("The entry for service {shown} will be wrong because"));
                remarks.push("we can't handle internal RPC services".into());
            }
            (false, _) => self.server(server, daemon_dir, &mut entry)?,
        }
        Ok(entry.end())
    }

    /// ITOX-3: what starts through tcpd starts without it.
    fn server(
        &mut self,
        server: &[u8],
        daemon_dir: DaemonDir<'_>,
        entry: &mut Entry,
    ) -> Result<(), String> {
        let name = self.need("server name")?;
        if is_tcpd(server) {
            let directory = daemon_dir?.as_bytes();
            match (name, directory.strip_suffix(b"/").unwrap_or(directory)) {
                ([b'/', ..], _) => entry.set("server", &[name]),
                (_, directory) => entry.set("server", &[directory, b"/", name]),
            }
        } else {
            entry.set("server", &[server]);
        }
        let mut args = Vec::new();
        while let Some(word) = self.take() {
            args.push(word);
        }
        if !args.is_empty() {
            entry.set("server_args", &[&args.join(&b' ')]);
        }
        Ok(())
    }
}

/// The last component of a path, as basename(3) has it.
fn is_tcpd(path: &[u8]) -> bool {
    let mut components = path.split(|byte| *byte == b'/').rev();
    components.find(|component| !component.is_empty()) == Some(b"tcpd")
}

/// What is before the first `mark`, and what behind it.
fn cut(word: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    let mut parts = word.splitn(2, |byte| *byte == mark);
    (parts.next().unwrap_or_default(), parts.next())
}

/// The text of an entry.
pub(super) struct Entry {
    text: Vec<u8>,
    /// Of the names of attributes.
    width: usize,
}

impl Entry {
    pub(super) fn new(service: &[u8], width: usize) -> Self {
        Self { text: [b"service ", service, b"\n{\n"].concat(), width }
    }

    pub(super) fn set(&mut self, name: &str, value: &[&[u8]]) {
        self.text.extend(format!("\t{name:<width$} = ", width = self.width).bytes());
        self.text.extend(value.concat());
        self.text.push(b'\n');
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.text.extend(b"}\n\n");
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(text: &str, daemon_dir: Option<&str>) -> (String, Vec<String>, bool) {
        let Converted { entries, remarks, complete } =
            convert(text.as_bytes(), daemon_dir.map(OsStr::new).ok_or("no directory"));
        (String::from_utf8(entries).unwrap(), remarks, complete)
    }

    #[test]
    fn a_line_becomes_an_entry() {
        let line = "#c\n\nrstatd/1-3\tdgram rpc/udp  wait.9 games.mail /r rstatd -a b\n";
        let entry = "service rstatd\n{\n\ttype            = RPC\n\trpc_version     = 1-3\n\
                     \tsocket_type     = dgram\n\tprotocol        = udp\n\twait            = yes\n\
                     \tuser            = games\n\tgroup           = mail\n\
                     \tserver          = /r\n\tserver_args     = -a b\n}\n\n";
        let (text, remarks, complete) = converted(line, None);
        assert_eq!((text.as_str(), complete), (entry, true), "ITOX-2");
        assert!(remarks[0].starts_with("The entry for service rstatd/udp may be wrong"));
    }

    #[test]
    fn what_is_before_a_mistake_is_not_lost() {
        let good = "a stream tcp nowait root internal\n";
        let (alone, ..) = converted(good, None);
        for (bad, why) in [
            ("b stream tcp", "Line 2: wait/nowait missing "),
            (" ", "Line 2: service name missing "),
            ("b stream tcp nowait root tcpd /b", "no directory"),
        ] {
            let (text, remarks, complete) = converted(&format!("{good}{bad}\n{good}"), None);
            assert_eq!(
                (text, remarks, complete),
                (alone.clone(), vec![why.into()], false),
                "ITOX-5"
            );
        }
    }

    #[test]
    fn tcpd_is_taken_out_of_the_way() {
        for (server, name, daemon_dir, wanted) in [
            ("/usr/sbin/tcpd", "ind", Some("/d"), "/d/ind"),
            ("tcpd/", "ind", Some("/d/"), "/d/ind"),
            ("tcpd", "/x/ind", Some("/d"), "/x/ind"),
            ("/usr/sbin/tcpdx", "ind", None, "/usr/sbin/tcpdx"),
        ] {
            let line = format!("a stream tcp nowait root {server} {name}");
            let (text, ..) = converted(&line, daemon_dir);
            assert!(text.contains(&format!(" = {wanted}\n}}")), "ITOX-3: {text}");
        }
    }
}

//! THE TABLE of options: one row each. Parser, `--help`, man page and completions read it.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::cli::{LogFormat, Messages, Options, Stage};
use crate::plan::Limit;

/// All there is to know about an option.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The word, dash and all (CLI-1).
    pub name: &'static str,
    /// What the word after it is called, if it takes one.
    pub argument: Option<&'static str>,
    /// One line, for `--help`.
    pub summary: &'static str,
    /// What the summary leaves out.
    pub text: &'static str,
    /// It is ours: xinetd 2.3.15 passes the word over (CLI-17).
    pub extension: bool,
    pub(super) effect: Effect,
}

/// What an option does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    Word(fn(&mut Draft)),
    /// `None`: the argument is a mistake.
    Argument(fn(&mut Draft, &OsStr) -> Option<()>),
    /// Nothing after it is looked at (CLI-16).
    Version,
    Help,
}

/// A command line that is being read.
#[derive(Debug)]
pub(super) struct Draft {
    pub options: Options,
    pub file: Option<PathBuf>,
    pub facility: Option<String>,
    pub check: bool,
}

const WORD: Row = Row {
    name: "",
    argument: None,
    summary: "",
    text: "",
    extension: false,
    effect: Effect::Word(|_| {}),
};

/// Every option, as the manual page lists them.
pub const TABLE: &[Row] = &[
    Row {
        name: "-f",
        argument: Some("FILE"),
        summary: "the configuration, instead of /etc/xinetd.conf",
        text: "A relative path means the directory of the start, at a reload too.",
        effect: Effect::Argument(|draft, word| {
            draft.options.config = word.into();
            Some(())
        }),
        ..WORD
    },
    Row {
        name: "-d",
        summary: "stay in the foreground, show everything on stderr",
        text: "Each service is shown with the steps that its servers take between fork(2) and execve(2). SIGINT ends the daemon. It wins over `-dontfork`, `-filelog` and `-syslog`. Without a service it ends, unless `-stayalive` is given.",
        effect: Effect::Word(|draft| draft.options.stage = Stage::Debug),
        ..WORD
    },
    Row {
        name: "-dontfork",
        summary: "stay in the foreground; implies -stayalive",
        text: "For a service manager, a container or a terminal. Messages go to standard error if that is a terminal or the journal of systemd, or if there is no /dev/log; else to syslog.",
        effect: Effect::Word(|draft| {
            // -d is the stronger of the two, in either order.
            if draft.options.stage == Stage::Background {
                draft.options.stage = Stage::Foreground;
            }
            draft.options.stay_alive = true;
        }),
        ..WORD
    },
    Row {
        name: "-stayalive",
        summary: "run on without any service",
        text: "At start and after a reload. Without it the daemon ends with status 1 when there is nothing to serve.",
        effect: Effect::Word(|draft| draft.options.stay_alive = true),
        ..WORD
    },
    Row {
        name: "-pidfile",
        argument: Some("FILE"),
        summary: "write the process id to FILE; it is removed at the end",
        text: "It is written before the configuration is read, so it does not say that services are open.",
        effect: Effect::Argument(|draft, word| {
            draft.options.pid_file = Some(word.into());
            Some(())
        }),
        ..WORD
    },
    Row {
        name: "-filelog",
        argument: Some("FILE"),
        summary: "append the daemon's own messages to FILE",
        text: "A reload opens it anew. Not together with `-syslog`.",
        effect: Effect::Argument(|draft, word| {
            draft.file = Some(word.into());
            Some(())
        }),
        ..WORD
    },
    Row {
        name: "-syslog",
        argument: Some("FACILITY"),
        summary: "send the daemon's own messages to this facility of syslog",
        text: "`daemon` is the default. The names are those of `log_type` in xinetd.conf(5); of an unknown one the daemon complains, and uses `daemon`.",
        effect: Effect::Argument(|draft, word| {
            draft.facility = Some(word.to_string_lossy().into_owned());
            Some(())
        }),
        ..WORD
    },
    Row {
        name: "-log-format",
        argument: Some("FORM"),
        summary: "text or json: how messages look on stderr and in -filelog",
        text: "With `json` each message is an object on a line of its own: `time` (RFC 3339, UTC), `level` and `message`. With `-dontfork`, and without `-filelog`, either word sends messages to standard error. Not for messages that go to syslog.",
        extension: true,
        effect: Effect::Argument(|draft, word| {
            draft.options.log_format = Some(log_format(word)?);
            Some(())
        }),
    },
    Row {
        name: "-control",
        argument: Some("PATH"),
        summary: "the socket that xinetctl asks, or `none`",
        text: "It is `/run/xinetd/control` unless given, for root and for whoever the daemon runs as. See xinetctl(8).",
        extension: true,
        effect: Effect::Argument(|draft, word| {
            draft.options.control = (word != "none").then(|| word.into());
            Some(())
        }),
    },
    Row {
        name: "-limit",
        argument: Some("N"),
        summary: "run at most N servers at once, over all services",
        text: "A client beyond that is refused (`process_limit`). 0 is no limit.",
        effect: Effect::Argument(|draft, word| {
            draft.options.process_limit = limit(number(word)?);
            Some(())
        }),
        ..WORD
    },
    Row {
        name: "-logprocs",
        argument: Some("N"),
        summary: "ask at most N hosts of refused clients at once",
        text: "For services with USERID in `log_on_failure`: whose connection it was (RFC 1413). 15 unless given; clients beyond that are refused without being asked about.",
        effect: Effect::Argument(|draft, word| {
            draft.options.log_processes = number(word)?;
            Some(())
        }),
        ..WORD
    },
    Row {
        name: "-cc",
        argument: Some("SECONDS"),
        summary: "check the daemon's own tables every so many seconds",
        text: "As SIGABRT does, but in silence when all is well. 0 is never, the default.",
        effect: Effect::Argument(|draft, word| {
            draft.options.check_interval = number(word)?;
            Some(())
        }),
        ..WORD
    },
    Row {
        name: "-drain",
        argument: Some("SECONDS"),
        summary: "after SIGTERM, give sessions so long to end by themselves",
        text: "Nobody is let in meanwhile. Whoever is left gets SIGTERM then, SIGKILL four seconds later, and the daemon ends when all have. Without this option that is so for process 1 of a container, with 4 seconds; any other daemon ends at once, and servers run on.",
        extension: true,
        effect: Effect::Argument(|draft, word| {
            draft.options.drain = Some(u32::try_from(number(word)?).ok()?);
            Some(())
        }),
    },
    Row {
        name: "-inetd_compat",
        summary: "read /etc/inetd.conf too, after the configuration",
        text: "See xinetd.conf(5).",
        effect: Effect::Word(|draft| draft.options.inetd_compat = true),
        ..WORD
    },
    Row {
        name: "-t",
        summary: "check the files, say what is wrong, and run nothing",
        text: "What the other options say counts. The status is 0 without an error, else 1. xinetctl(8) says more: `xinetctl check`.",
        extension: true,
        effect: Effect::Word(|draft| draft.check = true),
        ..WORD
    },
    Row {
        name: "-version",
        summary: "print the version on standard error",
        text: "`--version` is the same; xinetd 2.3.15 does not know that word.",
        effect: Effect::Version,
        ..WORD
    },
    Row {
        name: "--help",
        summary: "print the options on standard output",
        extension: true,
        text: "With status 0. A mistake on the command line prints the line of usage on standard error, with status 1.",
        effect: Effect::Help,
        ..WORD
    },
    Row {
        name: "-reuse",
        summary: "no effect",
        text: "All listening sockets have SO_REUSEADDR.",
        ..WORD
    },
    Row {
        name: "-inetd_ipv6",
        summary: "no effect",
        text: "Debian's init script passes it to xinetd.",
        ..WORD
    },
    Row {
        name: "-shutdownprocs",
        argument: Some("N"),
        summary: "no effect, with a message",
        text: "A word of old versions.",
        effect: Effect::Argument(|draft, _| {
            draft.options.unknown.push("-shutdownprocs".to_owned());
            Some(())
        }),
        ..WORD
    },
];

/// The row of a word of the command line.
pub(super) fn find(word: &OsStr) -> Option<&'static Row> {
    let word = if word == "--version" { OsStr::new("-version") } else { word };
    TABLE.iter().find(|row| row.name == word)
}

/// A decimal number without sign or anything behind it (CLI-9, CLI-10, CLI-12).
fn number(word: &OsStr) -> Option<u64> {
    let word = word.to_str()?;
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

fn log_format(word: &OsStr) -> Option<LogFormat> {
    match word.to_str()? {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn limit(number: u64) -> Limit {
    match u32::try_from(number) {
        Ok(0) | Err(_) => Limit::Unlimited,
        Ok(max) => Limit::Max(max),
    }
}

impl Draft {
    pub(super) const fn new(options: Options) -> Self {
        Self { options, file: None, facility: None, check: false }
    }

    /// Where messages were asked to go; `None` for both ways at once (CLI-5).
    pub(super) fn messages(&self) -> Option<Messages> {
        match (&self.file, &self.facility) {
            (Some(_), Some(_)) => None,
            (Some(file), None) => Some(Messages::File(file.clone())),
            (None, Some(facility)) => Some(Messages::Syslog(facility.clone())),
            (None, None) => Some(Messages::Default),
        }
    }
}

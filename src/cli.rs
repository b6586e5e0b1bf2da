//! xinetd(8) options, in their own dialect: whole words with one dash (CLI-1).

mod table;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::control;
use crate::plan::Limit;

use table::{Draft, Effect};
pub use table::{Row, TABLE};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `-version`
    Version,
    /// `--help`
    Help,
    Run(Box<Options>),
    /// `-t`: check what these options would run with, and run nothing. Not in the original,
    /// which ignores the word (CLI-17).
    Check(Box<Options>),
}

/// Options of a daemon that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The last component of `argv[0]` (CLI-21).
    pub program: String,
    /// `-f`, as given.
    pub config: PathBuf,
    /// `-d` or `-dontfork`.
    pub stage: Stage,
    /// `-stayalive`; implied by `-dontfork` (CLI-7).
    pub stay_alive: bool,
    pub messages: Messages,
    /// `-log-format`: how messages look on stderr and in the file of `-filelog`.
    pub log_format: Option<LogFormat>,
    pub pid_file: Option<PathBuf>,
    /// `-control`: where xinetctl asks; `None`: nowhere.
    pub control: Option<PathBuf>,
    /// `-limit`; 0 is none (CLI-9).
    pub process_limit: Limit,
    /// `-logprocs`: concurrent USERID look-ups (CLI-11).
    pub log_processes: u64,
    /// `-cc`, seconds between consistency checks; 0 is never.
    pub check_interval: u64,
    /// `-drain`, seconds; `None`: as the daemon stands.
    pub drain: Option<u32>,
    /// `-inetd_compat` (CLI-14)
    pub inetd_compat: bool,
    /// Words with a dash that are no options: ignored, with a warning (CLI-17).
    pub unknown: Vec<String>,
}

/// How the daemon stands on the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Detached, the default.
    Background,
    /// `-dontfork`
    Foreground,
    /// `-d`
    Debug,
}

/// Where the daemon's own messages were asked to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Messages {
    Default,
    /// `-syslog FACILITY`, not yet looked at (CLI-4).
    Syslog(String),
    /// `-filelog FILE`
    File(PathBuf),
}

/// How messages look where they are lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// A JSON object a line.
    Json,
}

/// A command line that cannot be carried out; the text is for stderr, the exit status is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

/// The one line of usage, which stands alone after mistakes (CLI-19).
#[must_use]
pub fn usage(program: &str) -> String {
    let word = |row: &Row| format!(" [{}]", row.synopsis());
    format!("Usage: {program}{}", TABLE.iter().map(word).collect::<String>())
}

/// The answer to `--help`: every option, a line each.
#[must_use]
pub fn help(program: &str) -> String {
    let line = |row: &Row| format!("\n  {:<18} {}", row.synopsis(), row.summary);
    let lines: String = TABLE.iter().map(line).collect();
    format!("Usage: {program} [OPTION]...\n{lines}\n\nSee xinetd(8) and xinetd.conf(5).")
}

impl Row {
    /// The word, and what its argument is called.
    #[must_use]
    pub fn synopsis(&self) -> String {
        self.argument
            .map_or_else(|| self.name.to_owned(), |argument| format!("{} {argument}", self.name))
    }
}

/// The last path component of `argv[0]`.
#[must_use]
pub fn program_name(argv0: Option<&OsStr>) -> String {
    let name = argv0.and_then(|path| Path::new(path).file_name());
    name.map_or_else(|| "xinetd".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Reads the command line, `argv[0]` first. A repeated option: the last one counts (CLI-20).
///
/// # Errors
/// [`UsageError`] for a word without a dash, a missing argument or a bad number (CLI-9,
/// CLI-12, CLI-18), for `-filelog` together with `-syslog` (CLI-5), and for a `-log-format` of
/// messages that go to syslog.
pub fn parse(args: &[OsString]) -> Result<Action, UsageError> {
    let mut args = args.iter();
    let program = program_name(args.next().map(OsString::as_os_str));
    let bad = || UsageError(usage(&program));
    let mut draft = Draft::new(Options::new(program.clone()));
    while let Some(word) = args.next() {
        match table::find(word).map(|row| row.effect) {
            Some(Effect::Word(set)) => set(&mut draft),
            Some(Effect::Argument(set)) => {
                args.next().and_then(|argument| set(&mut draft, argument)).ok_or_else(bad)?;
            }
            Some(Effect::Version) => return Ok(Action::Version),
            Some(Effect::Help) => return Ok(Action::Help),
            None => match word.to_str().unwrap_or_default() {
                other if other.len() > 1 && other.starts_with('-') => {
                    draft.options.unknown.push(other.to_owned());
                }
                _ => return Err(bad()),
            },
        }
        draft.options.messages = draft.messages().ok_or_else(bad)?;
    }
    if draft.options.log_format.is_some() && draft.options.logs_to_syslog() {
        let why = "-log-format needs -dontfork, -d or -filelog: syslog has a format of its own";
        return Err(UsageError(format!("{program}: {why}\n{}", usage(&program))));
    }
    let options = Box::new(draft.options);
    Ok(if draft.check { Action::Check(options) } else { Action::Run(options) })
}

impl Options {
    fn new(program: String) -> Self {
        Self {
            program,
            config: "/etc/xinetd.conf".into(),
            stage: Stage::Background,
            stay_alive: false,
            messages: Messages::Default,
            log_format: None,
            pid_file: None,
            control: Some(control::SOCKET.into()),
            process_limit: Limit::Unlimited,
            log_processes: 15,
            check_interval: 0,
            drain: None,
            inetd_compat: false,
            unknown: Vec::new(),
        }
    }

    /// Whether nothing else can become of messages.
    fn logs_to_syslog(&self) -> bool {
        match (self.stage, &self.messages) {
            (Stage::Debug, _) | (_, Messages::File(_)) => false,
            (Stage::Foreground | Stage::Background, Messages::Syslog(_)) => true,
            (stage, Messages::Default) => stage == Stage::Background,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Action, UsageError> {
        let args =
            std::iter::once("/usr/sbin/xinetd").chain(line.split(' ').filter(|w| !w.is_empty()));
        parse(&args.map(|w| w.replace('~', "").into()).collect::<Vec<_>>())
    }

    fn options(line: &str) -> Options {
        match words(line).unwrap() {
            Action::Run(options) => *options,
            other @ (Action::Version | Action::Help | Action::Check(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn cli_19_mistakes_are_usage_errors() {
        for line in [
            "-f",
            "-limit x",
            "-limit 5x",
            "-limit ~",
            "-limit 99999999999999999999999",
            "-limit -5",
            "-logprocs -3",
            "-cc x",
            "-cc -1",
            "extra",
            "-",
            "-dontfork -",
            "-filelog /dev/null -syslog daemon",
            "-syslog daemon -filelog /dev/null",
        ] {
            let error = words(line).unwrap_err();
            assert!(error.0.starts_with("Usage: xinetd "), "{line}");
        }
    }

    #[test]
    fn cli_1_an_argument_may_start_with_a_dash_and_cli_20_the_last_one_counts() {
        assert_eq!(options("-f a -f -b").config, Path::new("-b"));
    }

    #[test]
    fn cli_7_dontfork_implies_stayalive_and_d_does_not() {
        assert!(options("-dontfork").stay_alive);
        assert!(!options("-d").stay_alive);
        assert_eq!(options("-d -dontfork").stage, Stage::Debug);
    }

    #[test]
    fn cli_16_version_wins_over_what_follows_but_not_over_errors_before() {
        assert_eq!(words("-version -f"), Ok(Action::Version));
        assert_eq!(words("-limit 5 -version extra"), Ok(Action::Version));
        assert!(words("extra -version").is_err());
    }

    #[test]
    fn cli_17_other_words_with_a_dash_are_ignored_and_remembered() {
        assert_eq!(options("-inetd_ipv6 -help").unknown, ["-help"]);
    }

    #[test]
    fn t_checks_what_the_other_options_say_and_is_a_whole_word() {
        for line in ["-t -f /x", "-f /x -d -t"] {
            let Action::Check(found) = words(line).unwrap() else { panic!("CLI-1: {line}") };
            assert_eq!(found.config, Path::new("/x"));
        }
        assert_eq!(options("-test").unknown, ["-test"], "CLI-1");
        assert!(words("-t extra").is_err(), "CLI-18");
    }

    #[test]
    fn a_format_needs_lines_that_have_one() {
        for line in ["-d", "-dontfork", "-filelog /x", "-filelog /x -dontfork", "-syslog mail -d"] {
            let line = format!("-log-format json {line}");
            assert_eq!(options(&line).log_format, Some(LogFormat::Json), "{line}");
        }
        assert_eq!(options("-dontfork -log-format text").log_format, Some(LogFormat::Text));
        for line in ["", "-syslog mail", "-syslog mail -dontfork"] {
            let error = words(&format!("-log-format json {line}")).unwrap_err();
            assert!(error.0.starts_with("xinetd: -log-format needs "), "{line}");
        }
        assert!(words("-dontfork -log-format yaml").is_err());
        assert!(words("-dontfork -log-format").is_err());
    }

    #[test]
    fn cli_9_a_limit_of_zero_is_none() {
        assert_eq!(options("-limit 0").process_limit, Limit::Unlimited);
        assert_eq!(options("-limit 7").process_limit, Limit::Max(7));
    }
    #[test]
    fn every_option_is_in_the_usage_and_has_a_line_of_help() {
        let (usage, help) = (usage("xinetd"), help("xinetd"));
        for row in TABLE {
            assert!(usage.contains(&format!("[{}]", row.synopsis())), "{usage}");
            let line = help.lines().find(|line| line.starts_with(&format!("  {} ", row.name)));
            assert!(line.unwrap().ends_with(row.summary), "{help}");
            assert!(row.text.ends_with('.') && row.text.is_ascii(), "{}", row.name);
            let takes_one = matches!(row.effect, Effect::Argument(_));
            assert_eq!(row.argument.is_some(), takes_one, "{}", row.name);
        }
        let longest = help.lines().map(str::len).max();
        assert!(longest <= Some(80), "{help}");
        assert_eq!(words("-d --version"), Ok(Action::Version));
    }
}

//! xinetd(8) options, in their own dialect: whole words with one dash (CLI-1).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::plan::Limit;

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
    pub pid_file: Option<PathBuf>,
    /// `-limit`; 0 is none (CLI-9).
    pub process_limit: Limit,
    /// `-logprocs`: concurrent USERID look-ups (CLI-11).
    pub log_processes: u64,
    /// `-cc`, seconds between consistency checks; 0 is never.
    pub check_interval: u64,
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

/// A command line that cannot be carried out; the text is for stderr, the exit status is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

/// The one line of usage, as the original prints it on errors (CLI-19).
#[must_use]
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} [-d] [-f config_file] [-filelog filename] [-syslog facility] [-reuse] \
         [-limit proc_limit] [-pidfile filename] [-logprocs limit] [-shutdownprocs limit] \
         [-cc interval] [-stayalive] [-dontfork] [-inetd_compat] [-t] [-version]"
    )
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
/// CLI-12, CLI-18), and for `-filelog` together with `-syslog` (CLI-5).
pub fn parse(args: &[OsString]) -> Result<Action, UsageError> {
    let mut args = args.iter();
    let program = program_name(args.next().map(OsString::as_os_str));
    let bad = || UsageError(usage(&program));
    let mut options = Options::new(program.clone());
    let (mut file, mut facility, mut check) = (None, None, false);
    while let Some(word) = args.next() {
        let mut argument = || args.next().ok_or_else(bad);
        match word.to_str().unwrap_or("") {
            "-d" => options.stage = Stage::Debug,
            "-dontfork" => {
                // -d is the stronger of the two, in either order.
                if options.stage == Stage::Background {
                    options.stage = Stage::Foreground;
                }
                options.stay_alive = true;
            }
            "-stayalive" => options.stay_alive = true,
            "-inetd_compat" => options.inetd_compat = true,
            "-t" => check = true,
            "-reuse" | "-inetd_ipv6" => {}
            "-f" => options.config = argument()?.into(),
            "-filelog" => file = Some(PathBuf::from(argument()?)),
            "-syslog" => facility = Some(argument()?.to_string_lossy().into_owned()),
            "-pidfile" => options.pid_file = Some(argument()?.into()),
            "-limit" => options.process_limit = limit(number(argument()?).ok_or_else(bad)?),
            "-logprocs" => options.log_processes = number(argument()?).ok_or_else(bad)?,
            "-cc" => options.check_interval = number(argument()?).ok_or_else(bad)?,
            "-shutdownprocs" => {
                argument()?;
                options.unknown.push("-shutdownprocs".to_owned());
            }
            "-version" | "--version" => return Ok(Action::Version),
            "--help" => return Ok(Action::Help),
            other if other.len() > 1 && other.starts_with('-') => {
                options.unknown.push(other.to_owned());
            }
            _ => return Err(bad()),
        }
        if file.is_some() && facility.is_some() {
            return Err(bad());
        }
    }
    options.messages = match (file, facility) {
        (Some(file), _) => Messages::File(file),
        (None, Some(facility)) => Messages::Syslog(facility),
        (None, None) => Messages::Default,
    };
    let options = Box::new(options);
    Ok(if check { Action::Check(options) } else { Action::Run(options) })
}

/// A decimal number without sign or anything behind it (CLI-9, CLI-10, CLI-12).
fn number(word: &OsStr) -> Option<u64> {
    let word = word.to_str()?;
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

fn limit(number: u64) -> Limit {
    match u32::try_from(number) {
        Ok(0) | Err(_) => Limit::Unlimited,
        Ok(max) => Limit::Max(max),
    }
}

impl Options {
    fn new(program: String) -> Self {
        Self {
            program,
            config: "/etc/xinetd.conf".into(),
            stage: Stage::Background,
            stay_alive: false,
            messages: Messages::Default,
            pid_file: None,
            process_limit: Limit::Unlimited,
            log_processes: 15,
            check_interval: 0,
            inetd_compat: false,
            unknown: Vec::new(),
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
    fn cli_9_a_limit_of_zero_is_none() {
        assert_eq!(options("-limit 0").process_limit, Limit::Unlimited);
        assert_eq!(options("-limit 7").process_limit, Limit::Max(7));
    }
}

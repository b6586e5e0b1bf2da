//! Questions to the daemon that runs: one request over its control socket, and what it answers.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::control::{self, Answer, Command, Request, Service, Session};

/// The exit status when nobody answers.
const NO_ANSWER: u8 = 2;

/// How long the daemon may say nothing. It gives up itself after a minute.
const PATIENCE: Duration = Duration::from_secs(70);

/// Where the daemon is asked.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// The control socket of the daemon to ask (its option -control)
    #[arg(long = "socket", value_name = "PATH", default_value = control::SOCKET)]
    path: PathBuf,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nobody is there, or nobody who listens to us.
    NotReached(PathBuf, io::Error),
    /// The conversation broke off.
    Broken(io::Error),
    /// It does not speak as we do.
    NotUnderstood(serde_json::Error),
    /// The daemon says no.
    Refused(String),
}

impl Daemon {
    /// Asks, and gives each line of the answer to `hear` as it comes.
    ///
    /// # Errors
    /// Without a daemon, without the right to ask it, and where it refuses.
    pub(super) fn ask(
        &self,
        command: Command,
        mut hear: impl FnMut(Answer),
    ) -> Result<(), Unanswered> {
        let stream = connect(&self.path)
            .map_err(|cause| Unanswered::NotReached(self.path.clone(), cause))?;
        // Who is refused at once may be answered before all of the request is sent.
        let sent = (&stream).write_all(Request::new(command).line().as_bytes());
        for line in BufReader::new(stream).lines() {
            let line = line.map_err(Unanswered::Broken)?;
            let answer = serde_json::from_str(&line).map_err(Unanswered::NotUnderstood)?;
            if let Answer::Failed { why } = answer {
                return Err(Unanswered::Refused(why));
            }
            if answer == (Answer::Done {}) {
                return Ok(());
            }
            hear(answer);
        }
        Err(Unanswered::Broken(sent.err().unwrap_or_else(|| ErrorKind::UnexpectedEof.into())))
    }
}

impl Daemon {
    /// Asks for lines of one kind.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn all<T>(
        &self,
        command: Command,
        pick: fn(Answer) -> Option<T>,
    ) -> Result<Vec<T>, Unanswered> {
        let mut all = Vec::new();
        self.ask(command, |answer| all.extend(pick(answer)))?;
        Ok(all)
    }

    /// The services that the answer to `command` names.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn services(&self, command: Command) -> Result<Vec<Service>, Unanswered> {
        self.all(command, |it| if let Answer::Service(it) = it { Some(it) } else { None })
    }

    /// The sessions that the answer to `command` names.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn sessions(&self, command: Command) -> Result<Vec<Session>, Unanswered> {
        self.all(command, |it| if let Answer::Session(it) = it { Some(it) } else { None })
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Unanswered {
    /// Says so on standard error. The status is 1 where the daemon says no, else 2.
    pub(super) fn complain(&self) -> ExitCode {
        let failure = super::complain(&self.to_string());
        match self {
            Self::Refused(_) => failure,
            Self::NotReached(..) | Self::Broken(_) | Self::NotUnderstood(_) => NO_ANSWER.into(),
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached(path, cause) => {
                write!(f, "cannot ask the daemon at {}: {cause}", path.display())?;
                let kind = cause.kind();
                if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
                    f.write_str(
                        "\nIs it running? `systemctl status xinetd` says so; with another \
                         `-control`, name it with --socket.",
                    )?;
                }
                let is_forbidden = kind == ErrorKind::PermissionDenied;
                f.write_str(if is_forbidden { "\nOnly root may ask it." } else { "" })
            }
            Self::Broken(cause) => write!(f, "the daemon has not answered: {cause}"),
            Self::NotUnderstood(cause) => write!(
                f,
                "the answer of the daemon is not understood ({cause}): it may be of another \
                 version than xinetctl {}",
                env!("CARGO_PKG_VERSION")
            ),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

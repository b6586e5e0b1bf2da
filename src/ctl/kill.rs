//! `xinetctl kill`: ends sessions, and waits until they have ended.

use std::collections::HashSet;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::live::{Daemon, Unanswered};

use crate::control::{self, Command, Whom};

/// How long sessions may take: four seconds until SIGKILL, and some more for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 all have ended, or there were none; 1 some go on, or one does not exist, and then \
none was told to end; 2 the daemon does not answer, or usage.")]
pub(super) struct KillArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The numbers of sessions (xinetctl sessions)
    #[arg(value_name = "SESSION")]
    sessions: Vec<u64>,
    /// All sessions of this service
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// All sessions of this client: an address, or unix:uid=N
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<String>,
}

impl Which {
    fn whom(&self) -> Whom {
        match (&self.service, &self.peer) {
            (Some(service), _) => Whom::Service(service.clone()),
            (None, Some(peer)) => Whom::Peer(peer.clone()),
            (None, None) => Whom::Sessions(self.sessions.clone()),
        }
    }
}

pub(super) fn run(args: &KillArgs) -> ExitCode {
    match kill(args) {
        Ok(left) if left.is_empty() => ExitCode::SUCCESS,
        Ok(left) => {
            let words: Vec<_> =
                left.iter().map(|it| format!("{} (pid {})", it.id, it.pid)).collect();
            super::complain(&format!("still there: {}", words.join(", ")))
        }
        Err(unanswered) => unanswered.complain(),
    }
}

/// Ends them; those that have not ended in time.
fn kill(args: &KillArgs) -> Result<Vec<control::Session>, Unanswered> {
    let told = args.daemon.sessions(Command::Kill(args.which.whom()))?;
    let until = Instant::now() + PATIENCE;
    let mut left: HashSet<_> = told.iter().map(|session| session.id).collect();
    while !left.is_empty() && Instant::now() < until {
        thread::sleep(PAUSE);
        let now: HashSet<_> =
            args.daemon.sessions(Command::Sessions)?.iter().map(|it| it.id).collect();
        left.retain(|id| now.contains(id));
    }
    let (left, ended): (Vec<_>, Vec<_>) = told.into_iter().partition(|it| left.contains(&it.id));
    let plural = if ended.len() == 1 { " has" } else { "s have" };
    super::say(&format!("{} session{plural} ended\n", ended.len()));
    Ok(left)
}

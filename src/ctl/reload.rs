//! `xinetctl reload`: has the daemon read its files again, and says what came of it.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;

use super::live::{Daemon, Unanswered};

use crate::control::{Answer, Command, Difference, Level};
use crate::diag::{count, wants_colour};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 the files are in force, 1 nothing was taken over, 2 the daemon does not answer, \
or usage.")]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn run(args: &ReloadArgs) -> ExitCode {
    let mut err = io::stderr().lock();
    let colour = err.is_terminal().then(|| wants_colour(&err));
    let mut errors = 0_usize;
    let mut written = Ok(());
    // A closed standard error leaves nobody to tell; the status says it.
    let heard = args.daemon.ask(Command::Reload { colour }, |answer| {
        if let Answer::Note(note) = &answer {
            errors += usize::from(note.level == Level::Error);
            let _written = err.write_all(note.text.as_bytes());
        }
        if let Answer::Difference(difference) = &answer {
            written = super::print(&text(difference));
        }
    });
    match heard {
        Ok(()) => {
            if errors > 0 {
                let _written =
                    writeln!(err, "xinetctl: entries with errors are left out, or go on as before");
            }
            drop(err);
            super::printed(written, ExitCode::SUCCESS)
        }
        Err(Unanswered::Refused(why)) => {
            drop(err);
            super::complain(&format!("nothing was taken over: {why}"))
        }
        Err(unanswered) => {
            drop(err);
            unanswered.complain()
        }
    }
}

/// A line for each kind of change, and one for the rest.
fn text(difference: &Difference) -> String {
    let Difference { added, changed, reopened, dropped, unchanged } = difference;
    let kinds =
        [("added", added), ("changed", changed), ("reopened", reopened), ("dropped", dropped)];
    let some = kinds.iter().filter(|(_, ids)| !ids.is_empty());
    let mut text: String = some.map(|(kind, ids)| format!("{kind}: {}\n", ids.join(" "))).collect();
    let rest = if text.is_empty() { "nothing has changed" } else { "unchanged" };
    text.push_str(&format!("{rest}: {}\n", count(*unchanged, "service")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_named() {
        let some = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let difference =
            Difference { added: some(&["a", "b"]), dropped: some(&["c"]), ..Difference::default() };
        assert_eq!(text(&difference), "added: a b\ndropped: c\nunchanged: 0 services\n");
        let difference = Difference { unchanged: 1, ..Difference::default() };
        assert_eq!(text(&difference), "nothing has changed: 1 service\n");
    }
}

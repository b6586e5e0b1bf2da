//! `xinetctl connections`: the sockets of the daemon and its services, as netstat shows them.

mod daemon;
mod host;
mod inet;
mod json;
mod names;
mod ours;
mod processes;
mod report;
mod table;
mod text;
mod unix;
mod wanted;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use super::{complain, live, width};
use daemon::Daemon;
use host::Host;
use json::Document;
use names::Names;
use report::Report;
use text::Text;
use wanted::Wanted;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 reported; 1 the kernel's tables cannot be read; 2 usage, or there is no daemon to \
ask.")]
pub(super) struct ConnectionsArgs {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    daemon: live::Daemon,
    /// Accepted as netstat's: programs are always shown
    #[arg(short = 'p', long = "programs")]
    _programs: bool,
}

#[derive(Debug, Args)]
struct Form {
    /// Numbers instead of the names of hosts, ports and users
    #[arg(short = 'n', long)]
    numeric: bool,
    /// Cut nothing to the width of the terminal
    #[arg(short = 'W', long)]
    wide: bool,
    /// For programs (docs/connections.md)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ConnectionsArgs) -> ExitCode {
    let daemon = match daemon::ask(&args.daemon) {
        Ok(daemon) => Some(daemon),
        Err(why) if args.wanted.others() => {
            remark(&format!("{why}\nServices are not known."));
            None
        }
        Err(why) => return why.complain(),
    };
    let host = match Host::look(daemon.as_ref()) {
        Ok(host) => host,
        Err(error) => return complain(&format!("cannot read the sockets of the kernel: {error}")),
    };
    super::printed(show(args, &host, daemon.as_ref()), ExitCode::SUCCESS)
}

fn show(args: &ConnectionsArgs, host: &Host, daemon: Option<&Daemon>) -> io::Result<()> {
    let (wanted, form) = (&args.wanted, &args.form);
    let report = Report::of(host, daemon, wanted);
    if host.is_elsewhere {
        remark("the daemon is in a network namespace of its own; these are the sockets there");
    }
    if report.is_partial(host, daemon) {
        remark("not all processes show what they have open; run it as root to see all");
    }
    let mut out = io::stdout().lock();
    if form.json {
        serde_json::to_writer_pretty(&mut out, &Document::of(host, daemon, &report))?;
        writeln!(out)?;
        return out.flush();
    }
    let names = (!form.numeric).then(|| Names::ask(text::questions(&report)));
    if let Some(names @ Names { unanswered: 1.., .. }) = &names {
        remark(&format!("{} names did not come in time; see -n", names.unanswered));
    }
    let limit = if form.wide { None } else { width(&out) };
    let text = Text { report: &report, names: names.as_ref(), limit };
    out.write_all(text.write(wanted).as_bytes())?;
    out.flush()
}

/// Something that does not change the status.
fn remark(text: &str) {
    let _said = complain(text);
}

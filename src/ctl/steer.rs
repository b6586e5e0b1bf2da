//! `xinetctl pause`, `drain` and `resume`: whether services let anybody in.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::live::{Daemon, Unanswered};
use super::status::page;

use crate::control::{self, Command, Services, State};
use crate::diag::count;

/// How long the engine may take for an order, or a new one to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until it has probably carried one out; twice as long each further time.
const MOMENT: Duration = Duration::from_millis(5);

/// Between two looks at those who are still served.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 done, 1 there is no such service, and nothing was done; 2 the daemon does not \
answer, or usage.")]
pub(super) struct SteerArgs {
    #[command(flatten)]
    order: Order,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 nobody is served any more; 1 somebody is, after --timeout, or there is no such \
service, and nothing was done; 2 the daemon does not answer, or usage. Ctrl-C ends the waiting: the \
services stay closed.")]
pub(super) struct DrainArgs {
    #[command(flatten)]
    order: Order,
    /// Wait no longer than this
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

#[derive(Debug, Args)]
struct Order {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// These services, by id or name
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// All services
    #[arg(long)]
    all: bool,
}

impl Which {
    fn services(&self) -> Services {
        if self.all { Services::All {} } else { Services::Named(self.services.clone()) }
    }
}

impl Order {
    /// How its services are, and others where one of them is not there any more.
    fn services(&self) -> Result<Vec<control::Service>, Unanswered> {
        match self.daemon.services(Command::Services(self.which.services())) {
            Err(Unanswered::Refused(_)) => self.daemon.services(Command::Status),
            answered => answered,
        }
    }
}

pub(super) fn pause(args: &SteerArgs) -> ExitCode {
    steer(args, Command::Pause)
}

pub(super) fn resume(args: &SteerArgs) -> ExitCode {
    steer(args, Command::Resume)
}

fn steer(args: &SteerArgs, command: fn(Services) -> Command) -> ExitCode {
    let Order { which, daemon } = &args.order;
    match daemon.services(command(which.services())) {
        Ok(services) => match in_force(&args.order, services) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => super::complain("ordered, but not in force: the engine does not answer"),
            Err(unanswered) => unanswered.complain(),
        },
        Err(unanswered) => unanswered.complain(),
    }
}

/// Waits until an order is in force, and says how services are then.
fn in_force(order: &Order, mut now: Vec<control::Service>) -> Result<bool, Unanswered> {
    let until = Instant::now() + PATIENCE;
    let ids: Vec<_> = now.iter().map(|service| service.id.clone()).collect();
    let mut moment = MOMENT;
    while now.iter().any(|service| service.is_turning) {
        if Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(moment);
        moment = (moment * 2).min(PAUSE);
        now = order.services()?;
        now.retain(|service| ids.contains(&service.id));
    }
    now.iter().for_each(|it| super::say(&format!("{}: {}\n", it.id, page::state(it))));
    Ok(true)
}

pub(super) fn drain(args: &DrainArgs) -> ExitCode {
    match wait(args) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => super::complain(&why),
        Err(unanswered) => unanswered.complain(),
    }
}

/// Closes services and waits until nobody is served; `Err`: it has not come to that.
fn wait(args: &DrainArgs) -> Result<Result<(), String>, Unanswered> {
    let Order { which, daemon } = &args.order;
    let until = args.timeout.and_then(|it| Instant::now().checked_add(Duration::from_secs(it)));
    let closed = daemon.services(Command::Drain(which.services()))?;
    let ids: Vec<_> = closed.into_iter().map(|service| service.id).collect();
    let mut said = None;
    loop {
        thread::sleep(PAUSE);
        let mut now = args.order.services()?;
        now.retain(|service| ids.contains(&service.id));
        if let Some(gone) = ids.iter().find(|id| now.iter().all(|it| it.id != **id)) {
            return Ok(Err(format!("{gone} is gone: the files were read again")));
        }
        let is_closed =
            |it: &&control::Service| matches!(it.state, State::Draining | State::Drained);
        if let Some(open) = now.iter().find(|service| !is_closed(service)) {
            return Ok(Err(format!(
                "{}: somebody else has made it {}",
                open.id,
                page::state(open)
            )));
        }
        let left: Vec<_> = now.iter().filter(|it| it.state == State::Draining).collect();
        if left.is_empty() {
            super::say(&format!("drained: {}\n", ids.join(" ")));
            return Ok(Ok(()));
        }
        let words = in_words(&left);
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(Err(format!("not drained in time: {words}")));
        }
        if said.as_ref() != Some(&words) {
            super::say(&format!("{words}\n"));
            said = Some(words);
        }
    }
}

/// Who is served still.
fn in_words(left: &[&control::Service]) -> String {
    let one = |service: &&control::Service| {
        let sessions = service.sessions + service.waiting;
        if sessions == 0 {
            return format!("{}: clients on the way in", service.id);
        }
        format!("{}: {}", service.id, count(sessions, "session"))
    };
    left.iter().map(one).collect::<Vec<_>>().join(", ")
}

//! `xinetctl demo`: the daemon at work, before anything is installed.
//!
//! One thread, one loop: the daemon's messages, its end, and Ctrl-C are events in it.

mod daemon;
mod door;
mod stage;
mod text;

use std::{
    collections::VecDeque,
    env, fmt,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use daemon::{Daemon, Event, STOP_LIMIT, Signals};
use door::Door;
use stage::Stage;

use super::DemoArgs;

/// How long the daemon may take until all services listen.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often we look whether they do.
const START_STEP: Duration = Duration::from_millis(20);
/// How many of its last lines are repeated when the daemon ends by itself.
const LAST_LINES: usize = 10;

/// Why the demo did not run, or did not run to its end.
#[derive(Debug)]
pub(super) enum Failure {
    System { act: &'static str, cause: io::Error },
    Ended { status: ExitStatus, last_lines: Vec<String> },
    Killed,
    NotReady { services: Vec<&'static str>, last_lines: Vec<String> },
}

impl Failure {
    fn system(act: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { act, cause }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last_lines = match self {
            Self::System { act, cause } => return write!(f, "cannot {act}: {cause}"),
            Self::Killed => return f.write_str("the daemon did not end when asked and was killed"),
            Self::Ended { status, last_lines } => {
                write!(f, "the daemon ended by itself ({status})")?;
                last_lines
            }
            Self::NotReady { services, last_lines } => {
                let (services, limit) = (services.join(", "), START_LIMIT.as_secs());
                write!(f, "the daemon does not listen for {services} after {limit} seconds")?;
                last_lines
            }
        };
        if last_lines.is_empty() {
            return f.write_str("; it said nothing");
        }
        f.write_str("; its last lines:")?;
        last_lines.iter().try_for_each(|line| write!(f, "\n{}{line}", text::LOG_MARK))
    }
}

/// Runs the demo until Ctrl-C.
pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let signals = Signals::block().map_err(Failure::system("block signals"))?;
    let doors = door::choose(args.port_base).map_err(Failure::system("find free ports"))?;
    let stage = Stage::set(&doors).map_err(Failure::system("write the files of the demo"))?;
    // Dropped before the stage: nothing runs any more when its files go.
    let daemon = Daemon::start(signals, &stage, args.xinetd.as_deref())
        .map_err(Failure::system("start the daemon"))?;
    // Another xinetd has nothing to ask.
    let asks = if args.xinetd.is_none() { env::current_exe().ok() } else { None };
    let phase = Phase::starting();
    Show { daemon, doors: &doors, stage: &stage, asks, out: &mut out, phase }.run()?;
    drop(stage);
    // Whoever asked us to stop may have closed our output as well.
    let _written = text::goodbye(&mut out);
    Ok(())
}

/// Where the show is.
enum Phase {
    /// The daemon's lines are held back so that they come below the header.
    Starting {
        until: Instant,
        held: Vec<String>,
    },
    Running,
    Stopping {
        until: Instant,
    },
}

impl Phase {
    fn starting() -> Self {
        Self::Starting { until: Instant::now() + START_LIMIT, held: Vec::new() }
    }
}

struct Show<'a> {
    daemon: Daemon,
    doors: &'a [Door],
    stage: &'a Stage,
    /// The program that asks our daemon.
    asks: Option<PathBuf>,
    out: &'a mut dyn Write,
    phase: Phase,
}

impl Show<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut last_lines = VecDeque::with_capacity(LAST_LINES);
        loop {
            let event = self.daemon.wait(self.patience());
            match event.map_err(Failure::system("watch the daemon"))? {
                Event::Quiet => {}
                Event::Line(line) => {
                    if last_lines.len() == LAST_LINES {
                        last_lines.pop_front();
                    }
                    last_lines.push_back(line.clone());
                    self.line(line)?;
                }
                Event::StopAsked => self.stop()?,
                Event::Ended(status) => return self.ended(status, last_lines.into()),
            }
            self.look_at_the_clock(&last_lines)?;
        }
    }

    fn patience(&self) -> Option<Duration> {
        match self.phase {
            Phase::Starting { .. } => Some(START_STEP),
            Phase::Running => None,
            Phase::Stopping { until } => Some(until.saturating_duration_since(Instant::now())),
        }
    }

    fn line(&mut self, line: String) -> Result<(), Failure> {
        if let Phase::Starting { held, .. } = &mut self.phase {
            held.push(line);
            return Ok(());
        }
        self.print(&[line])
    }

    fn print(&mut self, lines: &[String]) -> Result<(), Failure> {
        text::log_lines(self.out, lines).map_err(Failure::system("write to standard output"))
    }

    fn stop(&mut self) -> Result<(), Failure> {
        if matches!(self.phase, Phase::Stopping { .. }) {
            // Asked twice: somebody is in a hurry.
            return self.daemon.kill().map_err(Failure::system("kill the daemon"));
        }
        self.phase = Phase::Stopping { until: Instant::now() + STOP_LIMIT };
        self.daemon.terminate().map_err(Failure::system("stop the daemon"))
    }

    fn ended(&self, status: ExitStatus, last_lines: Vec<String>) -> Result<(), Failure> {
        if !matches!(self.phase, Phase::Stopping { .. }) {
            return Err(Failure::Ended { status, last_lines });
        }
        if status.signal() == Some(Signal::SIGKILL as i32) { Err(Failure::Killed) } else { Ok(()) }
    }

    fn look_at_the_clock(&mut self, last_lines: &VecDeque<String>) -> Result<(), Failure> {
        match &mut self.phase {
            Phase::Running => Ok(()),
            Phase::Stopping { until } if Instant::now() < *until => Ok(()),
            Phase::Stopping { .. } => {
                self.daemon.kill().map_err(Failure::system("kill the daemon"))
            }
            Phase::Starting { until, held } => {
                let closed: Vec<_> =
                    door::closed(self.doors).map(|door| door.service.name).collect();
                if closed.is_empty() {
                    let held = std::mem::take(held);
                    self.phase = Phase::Running;
                    text::header(self.out, self.doors, self.stage, self.asks.as_deref())
                        .map_err(Failure::system("write to standard output"))?;
                    return self.print(&held);
                }
                if Instant::now() < *until {
                    return Ok(());
                }
                let last_lines = last_lines.iter().cloned().collect();
                Err(Failure::NotReady { services: closed, last_lines })
            }
        }
    }
}

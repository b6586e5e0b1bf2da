//! The peers, and starting and stopping one.

use std::{
    fmt::Write as _,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use tempfile::TempDir;

use crate::{Args, Result, load, process::Reading, target::Targets};

/// The longest that a daemon may take to start, to come to rest, or to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Xinetd,
    Haproxy { splice: bool },
    Nobody,
}

/// One of those that are compared.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    kind: Kind,
}

pub(crate) fn all(args: &Args) -> Vec<Peer> {
    let peer = |name, program: &Path, kind| Peer { name, program: program.to_owned(), kind };
    let mut peers = vec![
        peer("ours", &args.ours, Kind::Xinetd),
        peer("original", &args.original, Kind::Xinetd),
        peer("haproxy", &args.haproxy, Kind::Haproxy { splice: false }),
        peer("haproxy-splice", &args.haproxy, Kind::Haproxy { splice: true }),
        peer("direct", Path::new("/"), Kind::Nobody),
    ];
    peers.retain(|peer| args.only.is_empty() || args.only.iter().any(|name| name == peer.name));
    peers
}

impl Peer {
    pub(crate) fn is_there(&self) -> bool {
        let is_there = self.program.exists();
        if !is_there {
            println!("left out: {}, there is no {}", self.name, self.program.display());
        }
        is_there
    }

    /// A fresh daemon, which has passed its first connection on.
    pub(crate) fn start(&self, targets: &Targets) -> Result<Running> {
        let Targets { greeter, source, sink } = *targets;
        let dir = tempfile::tempdir()?;
        if self.kind == Kind::Nobody {
            return Ok(Running { name: self.name, child: None, _dir: dir, greeter, source, sink });
        }
        let ports = [free_port()?, free_port()?, free_port()?];
        let [greets, sends, drains] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let ways =
            [("greeter", greets, greeter), ("source", sends, source), ("sink", drains, sink)];
        let file = dir.path().join("conf");
        let mut command = Command::new("setsid");
        command.args(["setpriv", "--pdeathsig", "TERM"]).arg(&self.program);
        if let Kind::Haproxy { splice } = self.kind {
            fs::write(&file, haproxy(&ways, splice))?;
            command.arg("-db").arg("-f").arg(&file);
        } else {
            fs::write(&file, xinetd(&ways, dir.path()))?;
            command.arg("-dontfork").arg("-f").arg(&file);
            command.arg("-pidfile").arg(dir.path().join("pid"));
            command.arg("-filelog").arg(dir.path().join("messages"));
        }
        let errors = File::create(dir.path().join("stderr"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = Some(command.spawn()?);
        let running = Running {
            name: self.name,
            child,
            _dir: dir,
            greeter: greets,
            source: sends,
            sink: drains,
        };
        running.first_connection()?;
        Ok(running)
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

type Way = (&'static str, SocketAddr, SocketAddr);

/// With a log to a file, and nothing in the way.
fn xinetd(ways: &[Way], dir: &Path) -> String {
    let user = if geteuid().is_root() { "nobody".to_owned() } else { geteuid().to_string() };
    let mut text = format!(
        "defaults\n{{\n\tlog_type = FILE {}/log\n\tlog_on_success = PID HOST EXIT DURATION\n\t\
         log_on_failure = HOST\n\tcps = 0 0\n\tinstances = UNLIMITED\n\tper_source = UNLIMITED\n}}\n",
        dir.display()
    );
    for (name, from, to) in ways {
        let _ = write!(
            text,
            "service {name}\n{{\n\ttype = UNLISTED\n\tsocket_type = stream\n\twait = no\n\t\
             user = {user}\n\tbind = {}\n\tport = {}\n\tredirect = {} {}\n}}\n",
            from.ip(),
            from.port(),
            to.ip(),
            to.port()
        );
    }
    text
}

/// Without a log, with as many threads as it likes.
fn haproxy(ways: &[Way], splice: bool) -> String {
    let mut text = "global\n\tmaxconn 6000\ndefaults\n\tmode tcp\n\ttimeout connect 10s\n\t\
                    timeout client 60s\n\ttimeout server 60s\n"
        .to_owned();
    if splice {
        text += "\toption splice-request\n\toption splice-response\n";
    }
    for (name, from, to) in ways {
        let _ = write!(text, "listen {name}\n\tbind {from}\n\tserver target {to}\n");
    }
    text
}

/// A running peer; it ends with its owner.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    child: Option<Child>,
    _dir: TempDir,
    pub(crate) greeter: SocketAddr,
    pub(crate) source: SocketAddr,
    pub(crate) sink: SocketAddr,
}

impl Running {
    fn first_connection(&self) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = load::greeting(self.greeter) {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{}: no service after {PATIENCE:?}: {error}", self.name).into());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn read(&self) -> Reading {
        let Some(child) = &self.child else { return Reading::default() };
        Reading::take(child.id().cast_signed(), "")
    }

    /// When nothing starts, ends or works any more.
    pub(crate) fn at_rest(&self) -> Reading {
        let begun = Instant::now();
        let mut last = self.read();
        loop {
            thread::sleep(LOOK);
            let reading = self.read();
            let is_idle = reading.since(&last).total() < LOOK / 20;
            if (is_idle && reading.daemons == last.daemons) || begun.elapsed() > PATIENCE {
                return reading;
            }
            last = reading;
        }
    }

    /// The memory of all its processes, in KiB; what several share counts once.
    pub(crate) fn memory(&self) -> f64 {
        let pss = |pid: &i32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?.to_owned();
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        };
        self.read().daemons.iter().filter_map(pss).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).ok();
        let begun = Instant::now();
        while let Ok(None) = child.try_wait() {
            if begun.elapsed() > PATIENCE {
                child.kill().ok();
                child.wait().ok();
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

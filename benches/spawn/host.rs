//! The machine: its facts, the two C programs, a directory, a user and a free port.

use std::{
    env,
    ffi::OsStr,
    fmt,
    fs::{self, Permissions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike as _,
    },
    unistd::{AccessFlags, User, access, geteuid},
};
use tempfile::TempDir;

use crate::Result;

/// The target's command name as `/proc` shows it; no daemon may have it.
pub(crate) const TARGET: &str = "bench-target";

/// Below the ephemeral ports, so that no client's own port is in the way.
const FIRST_PORT: u16 = 20_100;
const LAST_PORT: u16 = 29_900;

/// Where a run keeps its files.
pub(crate) struct Workshop {
    pub(crate) dir: PathBuf,
    pub(crate) floor: PathBuf,
    pub(crate) target: PathBuf,
    /// The user of the servers: nobody when root runs the bench, else who runs it.
    pub(crate) user: String,
    next_port: AtomicU16,
    /// Takes the files with it when the run is over.
    _passing: Option<TempDir>,
}

impl Workshop {
    /// Compiles the C programs into `keep`, or into a directory that goes away.
    pub(crate) fn open(keep: Option<&Path>) -> Result<Self> {
        let (dir, passing) = match keep {
            Some(dir) => (std::path::absolute(dir)?, None),
            None => passing_dir().map(|dir| (dir.path().to_owned(), Some(dir)))?,
        };
        fs::create_dir_all(&dir)?;
        if geteuid().is_root() && !is_open_to_all(&dir) {
            return Err(format!("the servers run as nobody, who cannot reach {dir:?}").into());
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        Ok(Self {
            floor: compile(&source.join("floor.c"), dir.join("bench-floor"))?,
            target: compile(&source.join("tiny.c"), dir.join(TARGET))?,
            user: server_user()?,
            next_port: AtomicU16::new(FIRST_PORT),
            dir,
            _passing: passing,
        })
    }

    /// A port of 127.0.0.1 that nothing listens on, another one each time.
    pub(crate) fn free_port(&self) -> Result<u16> {
        loop {
            let port = self.next_port.fetch_add(1, Ordering::Relaxed);
            if port > LAST_PORT {
                return Err(format!("no free port up to {LAST_PORT}").into());
            }
            if is_free(port) {
                return Ok(port);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the bench asks whether a port is free")]
fn is_free(port: u16) -> bool {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

/// A program with nothing on its standard input; the one place that makes one.
#[expect(clippy::disallowed_methods, reason = "the bench starts compilers and whole daemons")]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// A directory below target/, or a temporary one if the servers' user could not reach that.
fn passing_dir() -> Result<TempDir> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let is_good = access(&target, AccessFlags::W_OK).is_ok()
        && (!geteuid().is_root() || is_open_to_all(&target));
    let parent = if is_good { target } else { env::temp_dir() };
    let mut builder = tempfile::Builder::new();
    builder.prefix("spawn-").permissions(Permissions::from_mode(0o755));
    Ok(builder.tempdir_in(parent)?)
}

fn is_open_to_all(dir: &Path) -> bool {
    dir.ancestors()
        .all(|d| fs::metadata(d).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
}

/// Static and without a C library where that works: a loader costs more than what is measured.
fn compile(source: &Path, program: PathBuf) -> Result<PathBuf> {
    for flags in ["-static -nostdlib -fno-stack-protector -s", "-static", ""] {
        let mut cc = command("cc");
        cc.arg("-O2").args(flags.split_whitespace()).arg(source).arg("-o").arg(&program);
        let status = cc.stderr(Stdio::null()).status();
        if status.map_err(|e| format!("cannot run cc: {e}"))?.success() {
            return Ok(program);
        }
    }
    Err(format!("cc could not compile {}", source.display()).into())
}

fn server_user() -> Result<String> {
    if geteuid().is_root() {
        return Ok("nobody".to_owned());
    }
    let user = User::from_uid(geteuid())?;
    Ok(user.ok_or("the current user has no name")?.name)
}

/// What a reader must know to compare two runs.
pub(crate) struct Machine {
    model: String,
    kernel: String,
    cores: usize,
    load: String,
    autogroup: String,
    somaxconn: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find(|line| line.starts_with("model name"));
        Self {
            model: model.and_then(|l| l.split_once(": ")).map_or("unknown", |(_, m)| m).to_owned(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            load: load_average(),
            autogroup: first_line("/proc/sys/kernel/sched_autogroup_enabled"),
            somaxconn: first_line("/proc/sys/net/core/somaxconn"),
        }
    }

    pub(crate) fn json(&self) -> String {
        format!(
            r#"{{"kind":"machine","cpu":{:?},"kernel":{:?},"cores":{},"load":{:?},"autogroup":{:?}}}"#,
            self.model, self.kernel, self.cores, self.load, self.autogroup,
        )
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cpu       {} ({} cores), Linux {}", self.model, self.cores, self.kernel)?;
        writeln!(f, "load      {}", self.load)?;
        write!(f, "settings  sched_autogroup {}, somaxconn {}", self.autogroup, self.somaxconn)
    }
}

pub(crate) fn load_average() -> String {
    first_line("/proc/loadavg")
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// What the whole machine and the bench itself did from here on.
pub(crate) struct Watch {
    start: Instant,
    idle: Duration,
    bench: Duration,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), idle: idle(), bench: used_by_bench() }
    }

    /// The share of the machine, in percent, that neither idled nor belonged to the bench or
    /// its `peer`. Idle time comes in ticks of 10 ms: a few percent are nothing.
    pub(crate) fn others(&self, peer: Duration) -> f64 {
        let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
        let whole = self.start.elapsed().as_secs_f64() * cores;
        let idle = idle().saturating_sub(self.idle).as_secs_f64();
        let bench = used_by_bench().saturating_sub(self.bench).as_secs_f64();
        ((whole - idle - bench - peer.as_secs_f64()) / whole * 100.0).clamp(0.0, 100.0)
    }
}

/// Idle and waiting for a disk, all processors together: see proc_stat(5).
fn idle() -> Duration {
    let ticks = |text: &str| text.parse::<u32>().unwrap_or(0);
    let line = first_line("/proc/stat");
    let fields = line.split_whitespace().skip(4).take(2).map(ticks);
    Duration::from_millis(10) * fields.sum()
}

fn used_by_bench() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

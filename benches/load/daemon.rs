//! One daemon: started, told to reload, and timed by the lines of its log.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{Result, shape::Stage};

/// How long a daemon may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What something took, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    pub(crate) wall: f64,
    /// Processor time of the daemon and its children.
    pub(crate) cpu: f64,
}

pub(crate) struct Times {
    pub(crate) start: Took,
    pub(crate) reload: Took,
}

impl Times {
    pub(crate) const COLUMNS: [fn(&Self) -> f64; 4] = [
        |times| times.start.wall,
        |times| times.start.cpu,
        |times| times.reload.wall,
        |times| times.reload.cpu,
    ];
}

pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    begun: Instant,
    cpu: f64,
}

impl Daemon {
    pub(crate) fn start(program: &Path, stage: &Stage) -> Result<Self> {
        let log = stage.dir.path().join("log");
        fs::write(&log, "")?;
        let begun = Instant::now();
        let child = Command::new(program)
            .args(["-dontfork", "-filelog"])
            .arg(&log)
            .arg("-pidfile")
            .arg(stage.dir.path().join("pid"))
            .arg("-f")
            .arg(&stage.main)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, log, begun, cpu: 0.0 })
    }

    /// Until it says that it works.
    pub(crate) fn started(&mut self) -> Result<Took> {
        self.until("Started working")
    }

    /// A reload of what has not changed.
    pub(crate) fn reload(&mut self) -> Result<Took> {
        fs::File::options().write(true).truncate(true).open(&self.log)?;
        self.begun = Instant::now();
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGHUP)?;
        self.until("Reconfigured")
    }

    fn until(&mut self, line: &str) -> Result<Took> {
        while !String::from_utf8_lossy(&fs::read(&self.log)?).contains(line) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("a daemon ended with {status}").into());
            }
            if self.begun.elapsed() > PATIENCE {
                return Err(format!("a daemon does not say `{line}`").into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        let wall = self.begun.elapsed().as_secs_f64() * 1e3;
        let before = std::mem::replace(&mut self.cpu, cpu(self.child.id())?);
        Ok(Took { wall, cpu: self.cpu - before })
    }
}

impl Drop for Daemon {
    /// SIGKILL ends the engine too.
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Milliseconds of a process and of its children.
fn cpu(pid: u32) -> Result<f64> {
    let own = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let own: f64 = own.split(' ').next().unwrap_or_default().parse()?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let below = children.split_whitespace().filter_map(|child| cpu(child.parse().ok()?).ok());
    Ok(own / 1e6 + below.sum::<f64>())
}

//! The peers, and starting and stopping one.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Result,
    args::Args,
    config,
    host::{TARGET, Workshop, command},
    load,
    process::Reading,
};

/// The longest that a daemon may take to serve its first connection, or to end.
const START: Duration = Duration::from_secs(10);
/// How often to look whether something happened.
const LOOK: Duration = Duration::from_millis(20);

/// One of the daemons that are compared.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    configured: bool,
}

/// The peers that this run asks for, there or not.
pub(crate) fn all(args: &Args, shop: &Workshop) -> Vec<Peer> {
    let original = args.original.clone().unwrap_or_else(original_xinetd);
    let mut peers = vec![
        Peer { name: "ours", program: args.ours.clone(), configured: true },
        Peer { name: "original", program: original, configured: true },
        Peer { name: "floor", program: shop.floor.clone(), configured: false },
    ];
    peers.retain(|p| args.only.is_empty() || args.only.iter().any(|name| name == p.name));
    peers
}

fn original_xinetd() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join("xinetd")).find(|file| file.is_file());
    found.unwrap_or_else(|| PathBuf::from("/usr/sbin/xinetd"))
}

impl Peer {
    /// Starts it once and is served once.
    pub(crate) fn try_out(&self, shop: &Workshop) -> Result<()> {
        if !self.program.is_file() {
            return Err(format!("{}: there is no {}", self.name, self.program.display()).into());
        }
        self.start(shop, false)?.at_rest(START);
        Ok(())
    }

    /// A fresh daemon on a fresh port, which has served its first connection.
    pub(crate) fn start(&self, shop: &Workshop, hold: bool) -> Result<Daemon> {
        let port = shop.free_port()?;
        let dir = shop.dir.join(format!("{}-{port}", self.name));
        fs::create_dir_all(&dir)?;
        let errors = dir.join("stderr");
        let mut daemon = Daemon {
            child: self.command(shop, &dir, port, hold)?.stderr(File::create(&errors)?).spawn()?,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        daemon.first_connection(hold).map_err(|e| {
            let said =
                [dir.join("messages"), errors].map(|f| fs::read_to_string(f).unwrap_or_default());
            let said = said.concat();
            format!(
                "{}: {e}{}{}",
                self.name,
                if said.is_empty() { "" } else { "\n" },
                said.trim_end()
            )
        })?;
        Ok(daemon)
    }

    /// `setsid` execs, it does not fork: the pid is the daemon's. `setpriv` ends the daemon,
    /// which Ctrl-C in our session does not reach, when the bench ends.
    fn command(
        &self,
        shop: &Workshop,
        dir: &Path,
        port: u16,
        hold: bool,
    ) -> Result<std::process::Command> {
        let mut command = command("setsid");
        command.args(["setpriv", "--pdeathsig", "TERM"]).arg(&self.program);
        if self.configured {
            let file = dir.join("xinetd.conf");
            let text = config::text(port, &shop.user, &shop.target, &dir.join("log"), hold);
            fs::write(&file, text)?;
            command.arg("-dontfork").arg("-f").arg(file);
            command.arg("-pidfile").arg(dir.join("pid"));
            command.arg("-filelog").arg(dir.join("messages"));
        } else {
            command.arg(port.to_string()).arg(&shop.target).args(hold.then_some("hold"));
        }
        command.stdout(Stdio::null());
        Ok(command)
    }
}

/// A running daemon; it ends with its owner.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    fn first_connection(&mut self, hold: bool) -> Result<()> {
        let begin = Instant::now();
        loop {
            let served = if hold {
                load::first_byte(self.address).map(drop)
            } else {
                load::connection(self.address).map(drop)
            };
            match served {
                Ok(()) => return Ok(()),
                Err(e) if begin.elapsed() > START => {
                    return Err(format!("no service after {START:?}: {e}").into());
                }
                Err(_) => thread::sleep(LOOK),
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("ended before it served anything ({status})").into());
            }
        }
    }

    pub(crate) fn read(&self) -> Reading {
        Reading::take(self.pid().as_raw(), TARGET)
    }

    /// A reading without servers, and with the same processes twice.
    pub(crate) fn at_rest(&self, patience: Duration) -> Reading {
        let begin = Instant::now();
        let mut last = self.read();
        loop {
            thread::sleep(LOOK);
            let mut reading = self.read();
            reading.rested = reading.servers == 0 && reading.daemons == last.daemons;
            if reading.rested || begin.elapsed() > patience {
                return reading;
            }
            last = reading;
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let begin = Instant::now();
        let mut asked = false;
        while let Ok(None) = self.child.try_wait() {
            if begin.elapsed() > START {
                // It is gone already, or init's to reap: nothing is left to do about it.
                self.child.kill().unwrap_or_default();
                self.child.wait().map_or_else(drop, drop);
                return;
            }
            if !asked {
                kill(self.pid(), Signal::SIGTERM).unwrap_or_default();
                asked = true;
            }
            thread::sleep(LOOK);
        }
    }
}

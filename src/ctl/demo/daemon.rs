//! The daemon as a child of ours: its messages, its end, and the signals that end us.

use std::{
    collections::VecDeque,
    env,
    io::{self, ErrorKind, Read},
    os::fd::AsFd,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{self, FcntlArg, OFlag},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};

use crate::ctl::DAEMON_ARGUMENT;

use super::stage::Stage;

/// How long the daemon may take to end when asked.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A line beyond this is shown in pieces; only a broken daemon writes one.
const LINE_LIMIT: usize = 4096;

/// What happens to a demo.
#[derive(Debug)]
pub(super) enum Event {
    /// The daemon wrote a line.
    Line(String),
    /// Ctrl-C, SIGTERM, or the terminal is gone.
    StopAsked,
    /// The daemon is no more, and all its lines have been seen.
    Ended(ExitStatus),
    /// Nothing, in the time given.
    Quiet,
}

/// The signals we live by, blocked and made readable.
#[derive(Debug)]
pub(super) struct Signals {
    set: SigSet,
    file: SignalFd,
}

impl Signals {
    /// Blocks them from here on, so that Ctrl-C never leaves files or a daemon behind.
    pub(super) fn block() -> io::Result<Self> {
        let all = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD];
        let set = SigSet::from_iter(all);
        set.thread_block()?;
        let file = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { set, file })
    }

    /// Lets them through while `start` runs: a child inherits the mask (`Command` leaves
    /// it alone), and the daemon must hear its signals.
    fn pass<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.set.thread_unblock()?;
        let started = start();
        self.set.thread_block()?;
        started
    }
}

/// The running daemon. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    signals: Signals,
    /// Until its end.
    messages: Option<ChildStderr>,
    text: Vec<u8>,
    lines: VecDeque<String>,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts this executable as the daemon, or another `xinetd`.
    pub(super) fn start(
        signals: Signals,
        stage: &Stage,
        xinetd: Option<&Path>,
    ) -> io::Result<Self> {
        let mut child = signals.pass(|| start_daemon(stage, xinetd))?;
        let messages = child.stderr.take();
        let mut daemon = Self {
            child,
            signals,
            messages,
            text: Vec::new(),
            lines: VecDeque::new(),
            ended: None,
        };
        if let Some(messages) = &daemon.messages {
            // Our end of the pipe alone; the daemon's stays as it is.
            fcntl::fcntl(messages, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        // A SIGCHLD that came while the signals were let through is lost.
        daemon.ended = daemon.child.try_wait()?;
        if daemon.ended.is_some() {
            daemon.read()?;
        }
        Ok(daemon)
    }

    /// Waits for the next event, for ever when `patience` is `None`.
    pub(super) fn wait(&mut self, patience: Option<Duration>) -> io::Result<Event> {
        if self.lines.is_empty() && self.ended.is_none() {
            self.poll(patience)?;
            if let Some(signal) = self.signals.file.read_signal()? {
                if i32::try_from(signal.ssi_signo) != Ok(Signal::SIGCHLD as i32) {
                    return Ok(Event::StopAsked);
                }
                self.ended = self.child.try_wait()?;
            }
            self.read()?;
        }
        Ok(match (self.lines.pop_front(), self.ended) {
            (Some(line), _) => Event::Line(line),
            (None, Some(status)) => Event::Ended(status),
            (None, None) => Event::Quiet,
        })
    }

    /// Asks the daemon to end, as xinetd(8) says.
    pub(super) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Ends the daemon without asking.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        // Not reaped yet, so the number still means our child.
        Ok(kill(pid(&self.child)?, signal)?)
    }

    fn poll(&self, patience: Option<Duration>) -> io::Result<()> {
        let timeout = match patience {
            // Rounded up: a wait that ends too early would spin.
            Some(time) => PollTimeout::try_from(time.saturating_add(Duration::from_millis(1)))
                .unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut fds = vec![PollFd::new(self.signals.file.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.messages.iter().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes what the daemon has written, and all of it when the daemon is no more.
    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; LINE_LIMIT];
        while let Some(pipe) = &mut self.messages {
            match pipe.read(&mut chunk) {
                Ok(0) => self.messages = None,
                Ok(count) => self.take(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // One chunk at a time, so that Ctrl-C is heard even when it talks without end.
            if self.ended.is_none() {
                break;
            }
        }
        if self.ended.is_some() && !self.text.is_empty() {
            self.take(b"\n");
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        while let Some(end) = self.text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.text.drain(..=end).collect();
            self.lines.push_back(readable(&line));
        }
        if self.text.len() > LINE_LIMIT {
            self.lines.push_back(readable(&self.text));
            self.text.clear();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only when something went wrong; there is no one to tell about more of it.
        if self.ended.is_some() {
            return;
        }
        let _told = self.terminate();
        let until = Instant::now() + STOP_LIMIT;
        while self.ended.is_none() && Instant::now() < until {
            if self.wait(Some(until.saturating_duration_since(Instant::now()))).is_err() {
                break;
            }
        }
        let _killed = self.kill();
        let _status = self.child.wait();
    }
}

fn pid(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)
}

/// The start itself.
#[expect(
    clippy::disallowed_methods,
    reason = "the daemon is our own executable, not a server; it needs none of a server's set-up"
)]
fn start_daemon(stage: &Stage, xinetd: Option<&Path>) -> io::Result<Child> {
    let mut command = match xinetd {
        Some(path) => Command::new(path),
        None => {
            let mut command = Command::new(env::current_exe()?);
            // Its log lines are to look like the real ones.
            command.arg0("xinetd").arg(DAEMON_ARGUMENT).arg("-control").arg(stage.control());
            command
        }
    };
    command
        .args(["-dontfork", "-filelog", "/dev/stderr", "-f"])
        .arg(stage.configuration())
        .arg("-pidfile")
        .arg(stage.pid_file())
        // Ctrl-C at the terminal is for us alone; we pass it on in our own way.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// A line as it may be shown on a terminal.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end().chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_can_play_with_the_terminal() {
        assert_eq!(readable(b"a\tb \x1b[2J\xff\r\n"), "a\tb ?[2J\u{fffd}");
    }
}

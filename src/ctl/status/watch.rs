//! `xinetctl status --watch`: the status again and again.
//!
//! On a terminal each picture is written over the one before in a single write, so that nothing
//! flickers; elsewhere one follows the other.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use nix::unistd::read;

use super::{Status, StatusArgs, page};

use crate::ctl::columns;
use crate::ctl::live::Unanswered;

/// Another screen than the one with the shell's history, and no cursor on it; and the way back
/// (the private modes 1049 and 25 of xterm's control sequences).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// To the upper left corner; what is left of a line, and of the screen, goes (ECMA-48: CUP, EL, ED).
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

pub(super) fn run(args: &StatusArgs, pause: Duration) -> ExitCode {
    match watch(args, pause) {
        Ok(code) => code,
        Err(cause) => crate::ctl::complain(&cause.to_string()),
    }
}

fn watch(args: &StatusArgs, pause: Duration) -> io::Result<ExitCode> {
    let mut ends = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGWINCH] {
        ends.add(signal);
    }
    ends.thread_block()?;
    let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let screen = io::stdout().is_terminal().then(Screen::enter).transpose()?;
    loop {
        let mut answer = Status::ask(&args.daemon);
        if let Ok(status) = &mut answer {
            status.keep(&args.services);
        }
        let code = match &answer {
            Ok(status) => status.exit_code(),
            Err(_) => ExitCode::from(2),
        };
        let text = picture(&answer, screen.is_some());
        if io::stdout().lock().write_all(text.as_bytes()).is_err() {
            return Ok(code);
        }
        if !wait(&signals, screen.as_ref(), pause)? {
            return Ok(code);
        }
    }
}

/// One picture, as it is written.
fn picture(answer: &Result<Status, Unanswered>, is_screen: bool) -> String {
    let size = terminal_size::terminal_size_of(io::stdout());
    let width = size.map(|(width, _)| usize::from(width.0));
    let text = match answer {
        Ok(status) => page::text(status, width.filter(|_| is_screen)),
        Err(unanswered) => format!("{unanswered}\n"),
    };
    let (true, Some((width, height))) = (is_screen, size) else { return text + "\n" };
    let lines = first_lines(&columns::cut(&text, width.0.into()), height.0.into());
    let lines = lines.join(&format!("{REST_OF_LINE}\r\n"));
    format!("{HOME}{lines}{REST_OF_LINE}{REST_OF_SCREEN}")
}

/// As many as there is room for; the last one says how many more there are.
fn first_lines(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    if lines.len() > room {
        let hidden = lines.len() - room.saturating_sub(1);
        lines.truncate(room.saturating_sub(1));
        lines.push(format!("... {hidden} more lines"));
    }
    lines
}

/// Waits for the next picture. `false`: there is to be none.
fn wait(signals: &SignalFd, screen: Option<&Screen>, pause: Duration) -> io::Result<bool> {
    let until = Instant::now() + pause;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(true);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let keys = screen.map(|screen| PollFd::new(screen.keys(), PollFlags::POLLIN));
        let mut all = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        all.extend(keys);
        poll(&mut all, timeout)?;
        if let Some(signal) = signals.read_signal()? {
            // All others are to end it.
            return Ok(i32::try_from(signal.ssi_signo) == Ok(Signal::SIGWINCH as i32));
        }
        let has_keys = all.get(1).and_then(PollFd::revents).is_some_and(|it| !it.is_empty());
        if let Some(screen) = screen.filter(|_| has_keys) {
            match screen.key() {
                None | Some(b'q' | b'Q' | 0x03 | 0x04) => return Ok(false),
                Some(_) => {}
            }
        }
    }
}

/// The terminal, as long as it is ours.
struct Screen {
    input: io::Stdin,
    before: Option<Termios>,
}

impl Screen {
    fn enter() -> io::Result<Self> {
        let input = io::stdin();
        // Where keys come from elsewhere, none are heard.
        let before = termios::tcgetattr(&input).ok();
        if let Some(before) = &before {
            let mut mine = before.clone();
            mine.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            termios::tcsetattr(&input, SetArg::TCSADRAIN, &mine)?;
        }
        let screen = Self { input, before };
        io::stdout().lock().write_all(ENTER.as_bytes())?;
        Ok(screen)
    }

    fn keys(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// The next key; `None`: there will be no more.
    fn key(&self) -> Option<u8> {
        let mut key = [0];
        read(&self.input, &mut key).ok().filter(|count| *count > 0).map(|_| key[0])
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut output = io::stdout().lock();
        // Who has closed it does not miss it.
        let _left = output.write_all(LEAVE.as_bytes()).and_then(|()| output.flush());
        if let Some(before) = &self.before {
            let _restored = termios::tcsetattr(&self.input, SetArg::TCSADRAIN, before);
        }
    }
}

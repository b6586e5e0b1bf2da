//! One direction of a session: from one side to the other, holding nothing while nothing comes.
//!
//! Small pieces go through a buffer that all sessions share; where much comes at once, bytes stay
//! in the kernel and go through a pipe. What the other side does not take yet is kept, at most
//! as much as the buffer or a pipe holds, and nothing more is read before it is gone.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;

use super::end::End;
use super::pipes::{Loan, Pipes};
use crate::engine::session;
use crate::sys::Errno;
use crate::sys::socket;

/// What is read at once, in bytes. A read that fills it is followed by splice(2).
const BUFFER: usize = 64 << 10;

/// A pipe that is filled with less than this is not worth its system calls.
const LITTLE: usize = 16 << 10;

/// What a direction moves, in bytes, before others get their turn.
const BYTES_A_TURN: usize = 1 << 20;

/// How often it does so.
const STEPS_A_TURN: usize = 32;

/// What the sessions of an engine share.
#[derive(Debug)]
pub(in crate::engine) struct Workshop {
    buffer: RefCell<Vec<u8>>,
    pipes: Rc<Pipes>,
}

impl Workshop {
    /// With so many pipes at most.
    pub(in crate::engine) fn new(pipes: usize) -> Rc<Self> {
        Rc::new(Self { buffer: RefCell::default(), pipes: Pipes::new(pipes) })
    }
}

/// How a direction came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// All has been passed on.
    Complete,
    /// The side that is read from is gone.
    SourceLost,
    /// The side that is written to takes no more.
    SinkLost,
}

/// What has been read and not been taken yet.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    /// Bytes, of which so many are gone.
    Copied(Vec<u8>, usize),
    Piped(Loan),
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Buffer,
    /// The last read brought much.
    Pipe,
    /// splice(2) cannot read here.
    BufferOnly,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Direction {
    held: Held,
    way: Way,
    over: Option<Over>,
}

/// So many bytes have been moved, or it is over.
type Step = Result<usize, Over>;

impl Direction {
    /// Whether it has come to its end.
    pub(super) const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Moves what can be moved now, and counts what is read. Ready when it is over, and from
    /// then on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &End,
        to: &End,
        workshop: &Workshop,
        count: &Cell<u64>,
    ) -> Poll<Over> {
        let mut moved = 0;
        for _ in 0..STEPS_A_TURN {
            if let Some(over) = self.over {
                return Poll::Ready(over);
            }
            match ready!(self.step(cx, from, to, workshop, count)) {
                Ok(bytes) => moved += bytes,
                Err(over) => self.over = Some(over),
            }
            if moved >= BYTES_A_TURN {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn step(
        &mut self,
        cx: &mut Context<'_>,
        from: &End,
        to: &End,
        workshop: &Workshop,
        count: &Cell<u64>,
    ) -> Poll<Step> {
        if !matches!(self.held, Held::Nothing) {
            return self.pass_on(cx, to);
        }
        let loan = if self.way == Way::Pipe { workshop.pipes.take() } else { None };
        let step = match loan {
            Some(loan) => ready!(self.fill(cx, from, loan)),
            None => {
                let mut buffer = workshop.buffer.borrow_mut();
                buffer.resize(BUFFER, 0);
                ready!(self.copy(cx, from, to, &mut buffer))
            }
        };
        session::count(count, step.unwrap_or(0));
        Poll::Ready(step)
    }

    /// Reads a bufferful and writes what is taken of it.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &End,
        to: &End,
        buffer: &mut [u8],
    ) -> Poll<Step> {
        let whole = buffer.len();
        let read =
            attempt(cx, from, Interest::READABLE, whole, || socket::receive_now(from, buffer));
        let length = match ready!(read) {
            Ok(0) => return Poll::Ready(Err(Over::Complete)),
            Ok(length) => length,
            Err(_) => return Poll::Ready(Err(Over::SourceLost)),
        };
        if length == whole && self.way == Way::Buffer {
            self.way = Way::Pipe;
        }
        let bytes = buffer.get(..length).unwrap_or_default();
        let written = match send(cx, to, bytes) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Over::SinkLost)),
            Poll::Pending => 0,
        };
        if written < length {
            self.held = Held::Copied(bytes.get(written..).unwrap_or_default().to_vec(), 0);
        }
        Poll::Ready(Ok(length))
    }

    /// Takes what there is into a pipe.
    fn fill(&mut self, cx: &mut Context<'_>, from: &End, mut loan: Loan) -> Poll<Step> {
        let read = attempt(cx, from, Interest::READABLE, 0, || loan.pipe.fill(from));
        Poll::Ready(match ready!(read) {
            Ok(0) => Err(Over::Complete),
            Ok(length) => {
                loan.held = length;
                self.held = Held::Piped(loan);
                self.way = if length < LITTLE { Way::Buffer } else { Way::Pipe };
                Ok(length)
            }
            Err(cause) if cause.raw_os_error() == Some(Errno::EINVAL as i32) => {
                self.way = Way::BufferOnly;
                Ok(0)
            }
            Err(_) => Err(Over::SourceLost),
        })
    }

    /// Writes what is held, as far as it is taken.
    fn pass_on(&mut self, cx: &mut Context<'_>, to: &End) -> Poll<Step> {
        let (written, left) = match &mut self.held {
            Held::Nothing => (Ok(0), 0),
            Held::Copied(bytes, gone) => {
                let rest = bytes.get(*gone..).unwrap_or_default();
                let written = ready!(send(cx, to, rest));
                *gone += *written.as_ref().unwrap_or(&0);
                (written, bytes.len() - *gone)
            }
            Held::Piped(loan) => {
                let held = loan.held;
                let written = attempt(cx, to, Interest::WRITABLE, 0, || loan.pipe.drain(to, held));
                let written = ready!(written);
                loan.held -= *written.as_ref().unwrap_or(&0);
                (written, loan.held)
            }
        };
        if left == 0 || written.is_err() {
            self.held = Held::Nothing;
        }
        Poll::Ready(written.map_err(|_| Over::SinkLost))
    }
}

fn send(cx: &mut Context<'_>, to: &End, bytes: &[u8]) -> Poll<io::Result<usize>> {
    attempt(cx, to, Interest::WRITABLE, bytes.len(), || socket::send_now(to, bytes))
}

/// Waits until `act` may succeed, and lets it. Less than `whole` means that there is no more
/// now, which saves the system call that would say so.
fn attempt(
    cx: &mut Context<'_>,
    end: &End,
    interest: Interest,
    whole: usize,
    mut act: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(end.poll_ready(cx, interest))?;
        let mut done = None;
        let tried = end.try_io(interest, || {
            let length = act()?;
            done = Some(length);
            if (1..whole).contains(&length) {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match (done, tried) {
            (Some(length), _) => return Poll::Ready(Ok(length)),
            (None, Err(cause)) if cause.kind() != io::ErrorKind::WouldBlock => {
                return Poll::Ready(Err(cause));
            }
            (None, _) => {}
        }
    }
}

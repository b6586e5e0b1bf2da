//! Lines on their way to somebody who may not take them now. Nobody waits for them: they are
//! offered again, and what is too much is lost and counted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

/// How much is offered at once: so much a pipe takes whole or not at all (PIPE_BUF, pipe(7)),
/// and no other writer's line gets into one of ours.
const AT_ONCE: usize = 4096;

/// How long to wait after a refusal; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Lines that wait, in order.
#[derive(Debug)]
pub(super) struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// All of them together, in bytes.
    size: usize,
    /// Beyond this many bytes a line is lost.
    most: usize,
    /// Bytes of the first line that are written already.
    begun: usize,
    /// Lines lost since this was last told.
    lost: u64,
    pause: Option<Pause>,
    /// That nothing is taken has been told.
    is_told: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    length: Duration,
    /// Whoever takes the lines is busy, and room for more shows (poll(2)).
    is_for_room: bool,
}

/// What the daemon's own log must say about another log, once each time.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing is taken, for this reason.
    Stuck(io::Error),
    /// All is well again; so many lines are lost.
    Over { lost: u64 },
}

impl Queue {
    /// An empty one that takes up to `most` bytes.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            size: 0,
            most,
            begun: 0,
            lost: 0,
            pause: None,
            is_told: false,
        }
    }

    /// Takes a line to be written; says whether there was room for it.
    pub(super) fn push(&mut self, line: Vec<u8>) -> bool {
        let has_room = self.lines.is_empty() || self.size + line.len() <= self.most;
        if has_room {
            self.size += line.len();
            self.lines.push_back(line);
        } else {
            self.lost += 1;
        }
        has_room
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// When to offer the lines again, if any wait.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        let pause = self.pause.filter(|_| !self.lines.is_empty())?;
        Some(pause.until)
    }

    /// Whether it is worth while to wait for room. Not for ever: something that says it has room
    /// and takes nothing must not keep us busy.
    pub(super) fn wants_room(&self) -> bool {
        let pause = self.pause.filter(|_| !self.lines.is_empty());
        pause.is_some_and(|pause| pause.is_for_room && pause.length < LONGEST_PAUSE)
    }

    /// Offers the lines, unless it is too early for that. `take` is given some of them, and says
    /// how many bytes it has taken; it never waits. With `last` this goes on until then, and what
    /// is left is lost.
    pub(super) fn offer(
        &mut self,
        last: Option<Instant>,
        mut take: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Option<Trouble> {
        if self.lines.is_empty() {
            return None;
        }
        let Some(end) = last else {
            let is_early = self.pause.is_some_and(|pause| pause.until > Instant::now());
            let is_too_early = is_early && !self.wants_room();
            return if is_too_early { None } else { self.offer_now(take) };
        };
        loop {
            let trouble = self.offer_now(&mut take);
            if self.lines.is_empty() {
                return trouble;
            }
            if Instant::now() >= end {
                break;
            }
            std::thread::sleep(FIRST_PAUSE);
        }
        let lost = self.lost + self.lines.len() as u64;
        *self = Self::new(self.most);
        Some(Trouble::Over { lost })
    }

    fn offer_now(
        &mut self,
        mut take: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Option<Trouble> {
        while !self.lines.is_empty() {
            match take(&self.next()) {
                Ok(taken) if taken > 0 => self.remove(taken),
                Ok(_) => return self.refused(ErrorKind::WriteZero.into()),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return self.refused(cause),
            }
        }
        let (lost, is_told) = (std::mem::take(&mut self.lost), std::mem::take(&mut self.is_told));
        (lost > 0 || is_told).then_some(Trouble::Over { lost })
    }

    /// The lines to be offered next: one, and more while they are short.
    fn next(&self) -> Vec<IoSlice<'_>> {
        let (mut begun, mut size) = (self.begun, 0);
        let mut slices = Vec::new();
        for line in &self.lines {
            let line = line.get(std::mem::take(&mut begun)..).unwrap_or_default();
            size += line.len();
            if size > AT_ONCE && !slices.is_empty() {
                break;
            }
            slices.push(IoSlice::new(line));
        }
        slices
    }

    fn remove(&mut self, taken: usize) {
        self.pause = None;
        self.begun += taken;
        while let Some(first) = self.lines.front().filter(|first| first.len() <= self.begun) {
            self.begun -= first.len();
            self.size -= first.len();
            self.lines.pop_front();
        }
    }

    /// A reader who is slow is told about when lines are lost, anything else at once.
    fn refused(&mut self, cause: io::Error) -> Option<Trouble> {
        let is_for_room = cause.kind() == ErrorKind::WouldBlock;
        let now = Instant::now();
        self.pause = Some(match self.pause {
            None => Pause { until: now + FIRST_PAUSE, length: FIRST_PAUSE, is_for_room },
            // There was an offer before the pause was over, because room was looked for.
            Some(pause) if pause.until > now => Pause { is_for_room, ..pause },
            Some(pause) => {
                let length = (pause.length * 2).min(LONGEST_PAUSE);
                Pause { until: now + length, length, is_for_room }
            }
        });
        let is_news = !self.is_told && (!is_for_room || self.lost > 0);
        self.is_told |= is_news;
        is_news.then_some(Trouble::Stuck(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader who has room for `room` bytes in all.
    fn take(seen: &mut Vec<u8>, room: usize, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = lines.iter().flat_map(|line| line.iter().copied()).collect();
        let taken = all.len().min(room - seen.len());
        seen.extend_from_slice(&all[..taken]);
        if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    fn line(number: usize) -> Vec<u8> {
        format!("{number:09}\n").into_bytes()
    }

    #[test]
    fn what_is_not_taken_waits_and_what_is_too_much_is_counted() {
        let mut queue = Queue::new(30);
        assert_eq!((0..5).map(|n| queue.push(line(n))).filter(|taken| *taken).count(), 3);
        let mut seen = Vec::new();
        let trouble = queue.offer(None, |lines| take(&mut seen, 15, lines));
        assert!(matches!(trouble, Some(Trouble::Stuck(_))), "lines are lost: {trouble:?}");
        assert!(queue.retry_at().is_some() && queue.wants_room());
        let trouble = queue.offer(None, |lines| take(&mut seen, 100, lines));
        assert!(matches!(trouble, Some(Trouble::Over { lost: 2 })), "{trouble:?}");
        assert_eq!(seen, (0..3).flat_map(line).collect::<Vec<_>>(), "in order, and no line twice");
        assert!(queue.retry_at().is_none() && queue.is_empty());
    }

    #[test]
    fn a_slow_reader_is_no_news_and_a_full_disk_is_news_once() {
        let mut queue = Queue::new(30);
        queue.push(line(1));
        assert!(queue.offer_now(|_| Err(ErrorKind::WouldBlock.into())).is_none());
        let full = || Err(ErrorKind::StorageFull.into());
        assert!(matches!(queue.offer_now(|_| full()), Some(Trouble::Stuck(_))));
        assert!(queue.offer_now(|_| full()).is_none(), "told once");
        assert!(queue.retry_at().is_some() && !queue.wants_room(), "a disk does not show room");
        assert!(queue.offer(None, |_| panic!("too early")).is_none());
        assert!(matches!(queue.offer_now(|_| Ok(10)), Some(Trouble::Over { lost: 0 })));
    }

    #[test]
    fn a_reader_that_never_comes_is_looked_for_once_a_second() {
        let mut queue = Queue::new(30);
        queue.push(line(1));
        let mut lengths = Vec::new();
        while queue.pause.is_none() || queue.wants_room() {
            queue.offer(None, |_| Err(ErrorKind::WouldBlock.into()));
            let pause = queue.pause.as_mut().unwrap();
            lengths.push(pause.length.as_millis());
            pause.until += LONGEST_PAUSE; // so that it is early, however slow this thread is
            queue.offer(None, |_| Err(ErrorKind::WouldBlock.into())); // nothing changes
            queue.pause.as_mut().unwrap().until = Instant::now();
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]);
        queue.pause.as_mut().unwrap().until += LONGEST_PAUSE;
        assert!(queue.offer(None, |_| panic!("too early")).is_none());
    }

    #[test]
    fn many_lines_are_offered_at_once_but_no_more_than_a_pipe_takes_whole() {
        let mut queue = Queue::new(100_000);
        for number in 0..1000 {
            queue.push(line(number));
        }
        let mut sizes = Vec::new();
        queue.offer_now(|slices| {
            let size = slices.iter().map(|slice| slice.len()).sum();
            sizes.push(size);
            Ok(size)
        });
        assert_eq!(sizes, [4090, 4090, 1820]);
    }

    #[test]
    fn a_line_longer_than_that_is_offered_alone() {
        let mut queue = Queue::new(5000);
        queue.push(vec![b'x'; 6000]);
        assert!(!queue.push(line(1)), "there is no room beside it");
        let mut seen = Vec::new();
        queue.offer_now(|lines| take(&mut seen, 10_000, lines));
        assert_eq!(seen.len(), 6000);
    }

    #[test]
    fn what_nobody_takes_in_the_end_is_lost() {
        let mut queue = Queue::new(100);
        queue.push(line(1));
        let trouble = queue.offer(Some(Instant::now()), |_| Err(ErrorKind::WouldBlock.into()));
        assert!(matches!(trouble, Some(Trouble::Over { lost: 1 })), "{trouble:?}");
        assert!(queue.is_empty());
    }
}

//! Both directions of a session, and how one is ended by the other.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

use super::direction::{Direction, Over, Workshop};
use super::end::End;
use crate::engine::session::Traffic;

/// Passes bytes on in both directions, until both are over or one side is gone. When the target
/// has said all, a client that is silent for `patience` is done, too.
pub(super) async fn join(
    client: &End,
    target: &End,
    workshop: &Workshop,
    traffic: &Traffic,
    patience: Duration,
) {
    let mut pair = Pair { client, target, up: Direction::default(), down: Direction::default() };
    let both = async {
        let mut stage = poll_fn(|cx| pair.poll(cx, workshop, traffic, Stage::Open)).await;
        while stage == Stage::TargetDone {
            let before = traffic.received.get();
            let more = poll_fn(|cx| pair.poll(cx, workshop, traffic, Stage::TargetDone));
            match timeout(patience, more).await {
                Ok(next) => stage = next,
                Err(_) if traffic.received.get() == before => return,
                Err(_) => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = both => {}
        // Not only when it is read: a target that takes nothing must not keep it.
        () = client.failed() => target.reset_on_close(),
    }
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The client may have more to say.
    TargetDone,
    Over,
}

struct Pair<'s> {
    client: &'s End,
    target: &'s End,
    /// From the client.
    up: Direction,
    /// To the client.
    down: Direction,
}

impl Pair<'_> {
    /// Moves what can be moved; ready when a stage after `now` is reached.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        workshop: &Workshop,
        traffic: &Traffic,
        now: Stage,
    ) -> Poll<Stage> {
        let Self { client, target, .. } = self;
        let (up_was, down_was) = (self.up.is_over(), self.down.is_over());
        let up = self.up.poll(cx, client, target, workshop, &traffic.received);
        let down = self.down.poll(cx, target, client, workshop, &traffic.sent);
        // Who is reset, resets; what it has been sent before arrives first.
        if up == Poll::Ready(Over::SourceLost) {
            target.reset_on_close();
            return Poll::Ready(Stage::Over);
        }
        if down == Poll::Ready(Over::SourceLost) {
            client.reset_on_close();
            return Poll::Ready(Stage::Over);
        }
        match (up, down) {
            // Both are closed now, which says it, too.
            (Poll::Ready(_), Poll::Ready(_)) => return Poll::Ready(Stage::Over),
            (Poll::Ready(Over::Complete), Poll::Pending) if !up_was => target.end_output(),
            (Poll::Pending, Poll::Ready(Over::Complete)) if !down_was => client.end_output(),
            _ => {}
        }
        match down {
            Poll::Ready(_) if now == Stage::Open => Poll::Ready(Stage::TargetDone),
            Poll::Ready(_) | Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::rc::Rc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    const LONG: Duration = Duration::from_secs(60);

    /// Runs `test` with the far ends of a session; what was counted comes back.
    fn session<F: Future<Output = ()>>(
        patience: Duration,
        test: impl FnOnce(UnixStream, UnixStream) -> F,
    ) -> io::Result<(u64, u64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, near) = UnixStream::pair()?;
            let (far, target) = UnixStream::pair()?;
            let (near, far) = (End::Unix(near), End::Unix(far));
            let (workshop, traffic) = (Workshop::new(2), Traffic::default());
            let joined = async {
                join(&near, &far, &workshop, &traffic, patience).await;
                drop((near, far));
            };
            tokio::join!(joined, test(client, target));
            Ok((traffic.received.get(), traffic.sent.get()))
        })
    }

    #[test]
    fn every_byte_arrives_whatever_the_sizes_of_the_pieces() {
        let text: Rc<Vec<u8>> = Rc::new((0..5_000_000_u32).map(|n| (n % 251) as u8).collect());
        let wanted = Rc::clone(&text);
        let counted = session(LONG, |client, target| async move {
            let (mut from_target, mut to_target) = client.into_split();
            let (mut from_client, mut to_client) = target.into_split();
            let write = async {
                for (at, size) in [1, 70_000, 65_536, 4_000_000].into_iter().scan(0, |at, size| {
                    let from = *at;
                    *at += size;
                    Some((from, size))
                }) {
                    to_target.write_all(&text[at..at + size]).await.unwrap();
                }
                to_target.write_all(&text[4_135_537..]).await.unwrap();
                to_target.shutdown().await.unwrap();
            };
            let echo = async {
                let mut all = Vec::new();
                from_client.read_to_end(&mut all).await.unwrap();
                to_client.write_all(&all).await.unwrap();
                drop((from_client, to_client));
            };
            let read = async {
                let mut all = Vec::new();
                from_target.read_to_end(&mut all).await.unwrap();
                assert!(all == *wanted, "{} bytes", all.len());
            };
            tokio::join!(write, echo, read);
        });
        assert_eq!(counted.unwrap(), (5_000_000, 5_000_000));
    }

    #[test]
    fn a_silent_client_does_not_outlive_its_target_for_long() {
        let patience = Duration::from_millis(500);
        let counted = session(patience, |mut client, mut target| async move {
            target.write_all(b"bye").await.unwrap();
            target.shutdown().await.unwrap();
            client.write_all(b"and").await.unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).await.unwrap();
            assert_eq!(said, "bye");
            // The other direction is still open; then it is not.
            let mut heard = String::new();
            target.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "and");
        });
        assert_eq!(counted.unwrap(), (3, 3));
    }
}

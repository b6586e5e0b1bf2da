//! Work that may wait for a disk or a name server, on a thread of its own.
//!
//! tokio's own pool ends the process when the system has no thread left to give, and threads run
//! out when servers run wild: here it is an answer like any other.

use std::thread;
use tokio::sync::oneshot;

/// Runs `work` aside; `None`: there is no room for one more thread.
///
/// How many run at once is for the caller to limit. Who stops waiting does not stop the work.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (promise, answer) = oneshot::channel();
    let run = move || drop(promise.send(work()));
    thread::Builder::new().spawn(run).ok()?;
    answer.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_from_another_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let here = thread::current().id();
        let there = runtime.block_on(aside(|| thread::current().id()));
        assert!(there.is_some_and(|there| there != here));
    }
}

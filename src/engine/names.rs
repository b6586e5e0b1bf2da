//! The names of clients and of targets, asked of the resolver where nobody waits for it.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::admit::ClientName;
use crate::admit::wrap::HostName;
use crate::engine::aside::aside;
use crate::sys::names;

/// Look-ups at a time, at most. One that nobody waits for any more counts until it ends.
pub(super) const MOST_LOOKUPS: usize = 32;

/// How long a client waits for its name to be found out, its turn included.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What the resolver says about `address`, if it says so in time.
pub(super) async fn name_of(
    address: IpAddr,
    turns: Arc<Semaphore>,
    patience: Duration,
) -> ClientName {
    match in_turn(turns, patience, move || names::of_address(address)).await {
        Some(Ok(Some(name))) => ClientName::Known(name),
        Some(Ok(None)) => ClientName::None,
        Some(Err(_)) | None => ClientName::InDoubt,
    }
}

/// A name as TCP wrappers take it: one that does not lead back to the address may be a lie.
pub(super) async fn verified(name: ClientName, address: IpAddr, turns: Arc<Semaphore>) -> HostName {
    let ClientName::Known(host) = &name else { return HostName::of(name, false) };
    let host = host.clone();
    let leads_back = in_turn(turns, PATIENCE, move || {
        let mut found = (host.as_str(), 0).to_socket_addrs().into_iter().flatten();
        found.any(|found| found.ip().to_canonical() == address)
    });
    HostName::of(name, leads_back.await == Some(true))
}

/// The addresses of a host, each with the port; `None`: no answer in time, or none at all.
pub(super) async fn addresses_of(
    host: String,
    port: u16,
    turns: Arc<Semaphore>,
    patience: Duration,
) -> Option<Vec<SocketAddr>> {
    let found = move || (host.as_str(), port).to_socket_addrs().ok().map(Iterator::collect);
    in_turn(turns, patience, found).await.flatten()
}

/// Runs `question`, which may wait, aside; `None`: there was no turn or no answer in time, or no
/// thread to be had.
async fn in_turn<T: Send + 'static>(
    turns: Arc<Semaphore>,
    patience: Duration,
    question: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let asked = async {
        let turn = turns.acquire_owned().await.ok()?;
        aside(move || {
            let answer = question();
            drop(turn);
            answer
        })
        .await
    };
    timeout(patience, asked).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(turns: usize, patience: Duration) -> ClientName {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let turns = Arc::new(Semaphore::new(turns));
        runtime.unwrap().block_on(name_of([127, 0, 0, 1].into(), turns, patience))
    }

    #[test]
    fn a_client_has_the_name_that_its_address_resolves_to() {
        assert_eq!(asked(1, PATIENCE), ClientName::Known("localhost".into()), "ADDR-13");
    }

    #[test]
    fn who_waits_too_long_for_a_turn_is_in_doubt() {
        assert_eq!(asked(0, Duration::from_millis(1)), ClientName::InDoubt);
    }
}

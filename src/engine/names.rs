//! The names of clients, asked of the resolver where nobody waits for it.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::admit::ClientName;
use crate::admit::wrap::HostName;
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
    let asked = async {
        let turn = turns.acquire_owned().await.ok()?;
        let answer = spawn_blocking(move || {
            let name = names::of_address(address);
            drop(turn);
            name
        });
        answer.await.ok()?.ok()
    };
    match timeout(patience, asked).await {
        Ok(Some(Some(name))) => ClientName::Known(name),
        Ok(Some(None)) => ClientName::None,
        Ok(None) | Err(_) => ClientName::InDoubt,
    }
}

/// A name as TCP wrappers take it: one that does not lead back to the address may be a lie.
pub(super) async fn verified(name: ClientName, address: IpAddr, turns: Arc<Semaphore>) -> HostName {
    let ClientName::Known(name) = name else { return HostName::Unknown };
    let asked = async {
        let turn = turns.acquire_owned().await.ok()?;
        let host = name.clone();
        let answer = spawn_blocking(move || {
            let mut found = (host.as_str(), 0).to_socket_addrs().into_iter().flatten();
            let leads_back = found.any(|found| found.ip().to_canonical() == address);
            drop(turn);
            leads_back
        });
        answer.await.ok()
    };
    match timeout(PATIENCE, asked).await {
        Ok(Some(true)) if name.parse::<IpAddr>().is_err() => HostName::Known(name),
        _ => HostName::Paranoid,
    }
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

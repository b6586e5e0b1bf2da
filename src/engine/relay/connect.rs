//! The way to the target: one address after the other, not for ever.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpSocket, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::end::End;
use crate::sys::Errno;

/// How long it may take in all, over all addresses; a SYN is sent four times in this.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long the next address waits for this one (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of a name that are tried.
const MOST: usize = 8;

/// When a socket in the file system whose queue was full is tried again.
const FULL: Duration = Duration::from_millis(20);

/// Why a target cannot be had.
#[derive(Debug)]
pub(super) struct Failure {
    /// `None`: a socket in the file system.
    pub(super) address: Option<SocketAddr>,
    pub(super) cause: io::Error,
}

/// Connects to the first of `addresses` that answers; the failure is the first one.
pub(super) async fn to_host(addresses: &[SocketAddr], keepalive: bool) -> Result<End, Failure> {
    if let [only] = *addresses {
        return to_address(only, keepalive).await;
    }
    let mut left = addresses.iter().copied().take(MOST);
    let mut tries = JoinSet::new();
    let mut failure = None;
    loop {
        match left.next() {
            Some(address) => drop(tries.spawn_local(to_address(address, keepalive))),
            None if tries.is_empty() => return Err(failure.unwrap_or_else(Failure::nowhere)),
            None => {}
        }
        let patience = if left.len() > 0 { STAGGER } else { PATIENCE };
        match timeout(patience, tries.join_next()).await {
            Ok(Some(Ok(Ok(end)))) => return Ok(end),
            Ok(Some(Ok(Err(why)))) => drop(failure.get_or_insert(why)),
            Ok(Some(Err(_)) | None) | Err(_) => {}
        }
    }
}

async fn to_address(address: SocketAddr, keepalive: bool) -> Result<End, Failure> {
    let connect = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(true)?;
        if keepalive {
            socket.set_keepalive(true)?;
        }
        socket.connect(address).await
    };
    let stream = connect.await;
    stream.map(End::Tcp).map_err(|cause| Failure { address: Some(address), cause })
}

/// Connects to a socket in the file system, as the user that the engine is.
pub(super) async fn to_socket(path: &Path) -> Result<End, Failure> {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(End::Unix(stream)),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => sleep(FULL).await,
            Err(cause) => return Err(Failure { address: None, cause }),
        }
    }
}

impl Failure {
    /// There was no address to try.
    pub(super) fn nowhere() -> Self {
        Self { address: None, cause: Errno::EADDRNOTAVAIL.into() }
    }
}

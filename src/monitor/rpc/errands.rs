//! From a service to what rpcbind(8) is told of it.

use socket2::SockRef;
use std::net::{Ipv4Addr, SocketAddr};

use crate::ipc::{Deed, Errand, universal};
use crate::monitor::services::{Active, Listener};
use crate::plan::Protocol;
use crate::plan::Rpc;

/// All that rpcbind is told when a service is served; nothing, unless it is an RPC service.
pub(in crate::monitor) fn registration(active: &Active) -> Vec<Errand> {
    let Some(Rpc { program, versions }) = &active.service.rpc else { return Vec::new() };
    // It has one socket: rpcbind knows one address for each transport.
    let Some(Listener { key, fd, .. }) = active.listeners.first() else { return Vec::new() };
    let local = SockRef::from(fd).local_addr().ok().and_then(|address| address.as_socket());
    let transports = local.map(|local| transports(active.service.protocol, local, key.v6only));
    let errand = |(netid, address): (&str, SocketAddr)| Errand {
        deed: Deed::Set,
        program: *program,
        versions: versions.clone(),
        netid: netid.to_owned(),
        address: universal(address),
    };
    transports.into_iter().flatten().map(errand).collect()
}

/// The errand that takes back what `errand` has done.
pub(super) fn undone(errand: Errand) -> Errand {
    Errand { deed: Deed::Unset, ..errand }
}

/// The transports that lead to a socket, and its address in each (netconfig(5)).
fn transports(
    protocol: Protocol,
    local: SocketAddr,
    v6only: bool,
) -> Vec<(&'static str, SocketAddr)> {
    let (v4, v6) = if protocol == Protocol::UDP { ("udp", "udp6") } else { ("tcp", "tcp6") };
    match local {
        SocketAddr::V4(_) => vec![(v4, local)],
        SocketAddr::V6(all) if all.ip().is_unspecified() && !v6only => {
            vec![(v4, (Ipv4Addr::UNSPECIFIED, all.port()).into()), (v6, local)]
        }
        SocketAddr::V6(_) => vec![(v6, local)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_registered_for_each_transport_that_leads_to_it() {
        let words = |protocol, address: &str, v6only| {
            let found = transports(protocol, address.parse().unwrap(), v6only);
            found.iter().map(|(netid, address)| format!("{netid} {address}")).collect::<Vec<_>>()
        };
        for (protocol, address, v6only, found) in [
            (Protocol::TCP, "0.0.0.0:5", false, &["tcp 0.0.0.0:5"][..]),
            (Protocol::UDP, "192.0.2.1:5", false, &["udp 192.0.2.1:5"]),
            (Protocol::TCP, "[::]:5", false, &["tcp 0.0.0.0:5", "tcp6 [::]:5"]),
            (Protocol::UDP, "[::]:5", true, &["udp6 [::]:5"]),
            (Protocol::UDP, "[::1]:5", false, &["udp6 [::1]:5"]),
        ] {
            assert_eq!(words(protocol, address, v6only), found, "RPC-1: {address}");
        }
    }
}

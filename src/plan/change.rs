//! From the running services and a new plan to the list of what a reload has to do.

use std::collections::HashMap;

use crate::plan::{
    Action, Origin, Protocol, Service, ServiceId, ServiceIndex, SocketKey, SocketType, Wait,
};

/// One step of a reload. `usize` is a position in the new plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Same identity, same socket: only attributes are replaced (RELOAD-2).
    Keep(ServiceIndex, usize),
    /// Same identity, another address or family: servers end, the socket is new (RELOAD-7).
    Rebind(ServiceIndex, usize),
    /// Not running before.
    Open(usize),
    /// Gone, disabled, or of another identity now (RELOAD-3).
    Drop(ServiceIndex),
}

/// Compares what runs with what is wanted.
///
/// Drops come first, then every service of `new` in its order, so that a renamed
/// service can take over the port of its predecessor (RELOAD-3).
#[must_use]
pub fn changes(running: &[(ServiceIndex, &Service)], new: &[Service]) -> Vec<Change> {
    let mut left: HashMap<Identity<'_>, Vec<(ServiceIndex, &Service)>> = HashMap::new();
    for (index, service) in running {
        left.entry(identity(service)).or_default().push((*index, service));
    }
    let mut found: Vec<Option<Change>> = vec![None; new.len()];
    for exact in [true, false] {
        for (position, (slot, service)) in found.iter_mut().zip(new).enumerate() {
            let Some(same) = left.get_mut(&identity(service)).filter(|_| slot.is_none()) else {
                continue;
            };
            let fits =
                |(_, old): &(ServiceIndex, &Service)| !exact || old.socket.is_same(service.socket);
            if let Some(at) = same.iter().position(fits) {
                let (index, _) = same.remove(at);
                let change = if exact { Change::Keep } else { Change::Rebind };
                *slot = Some(change(index, position));
            }
        }
    }
    let mut gone: Vec<_> = left.into_values().flatten().map(|(index, _)| index).collect();
    gone.sort_unstable();
    let drops = gone.into_iter().map(Change::Drop);
    let rest = found
        .into_iter()
        .enumerate()
        .map(|(position, change)| change.unwrap_or(Change::Open(position)));
    drops.chain(rest).collect()
}

/// RELOAD-2: id, UNLISTED, INTERNAL, `wait`, protocol, socket type, and port; of an RPC
/// service the program number instead.
type Identity<'a> = (&'a ServiceId, Origin, bool, bool, Protocol, SocketType, (bool, u32));

fn identity(service: &Service) -> Identity<'_> {
    let internal = matches!(service.action, Action::Internal { .. } | Action::Sensor { .. });
    let port = match &service.rpc {
        Some(rpc) => (true, rpc.program),
        None => (false, service.socket.address.port().into()),
    };
    let SocketKey { protocol, socket_type, .. } = service.socket;
    let waits = service.wait != Wait::No;
    (&service.id, service.origin, internal, waits, protocol, socket_type, port)
}

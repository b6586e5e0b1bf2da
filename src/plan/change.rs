//! From the running services and a new plan to the list of what a reload has to do.

use std::collections::{HashMap, VecDeque};

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
    let mut found: Vec<Option<Change>> = vec![None; new.len()];
    let with_socket = |service: &Service| Some(service.socket.identity());
    let left = pair(running, new, &mut found, Change::Keep, with_socket);
    let gone = pair(&left, new, &mut found, Change::Rebind, |_| None);
    let drops = gone.into_iter().map(|(index, _)| Change::Drop(index));
    let rest = found
        .into_iter()
        .enumerate()
        .map(|(position, change)| change.unwrap_or(Change::Open(position)));
    drops.chain(rest).collect()
}

/// Gives each service of `new` that has no change yet the first of `running` with the same
/// identity and the same `socket`; those that are left over come back, in their order.
fn pair<'r>(
    running: &[(ServiceIndex, &'r Service)],
    new: &[Service],
    found: &mut [Option<Change>],
    change: fn(ServiceIndex, usize) -> Change,
    socket: impl Fn(&Service) -> Option<SocketKey>,
) -> Vec<(ServiceIndex, &'r Service)> {
    let mut left: HashMap<_, VecDeque<(ServiceIndex, &Service)>> = HashMap::new();
    for (index, service) in running {
        left.entry((identity(service), socket(service))).or_default().push_back((*index, service));
    }
    let open = found.iter_mut().zip(new).enumerate().filter(|(_, (slot, _))| slot.is_none());
    for (position, (slot, service)) in open {
        let same = left.get_mut(&(identity(service), socket(service)));
        *slot = same.and_then(VecDeque::pop_front).map(|(index, _)| change(index, position));
    }
    let mut left: Vec<_> = left.into_values().flatten().collect();
    left.sort_unstable_by_key(|(index, _)| *index);
    left
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

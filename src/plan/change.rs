//! From the running services and a new plan to the list of what a reload has to do.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::plan::{
    Action, Origin, Protocol, Service, ServiceId, ServiceIndex, SocketKey, SocketType, Wait,
};

/// One step of a reload. `usize` is a position in the new plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Same identity, and every socket it has stays: attributes are replaced (RELOAD-2), and
    /// more addresses may be added.
    Keep(ServiceIndex, usize),
    /// Same identity, but an address or family that it had is gone: servers end, and what is
    /// not on the same sockets as before is new (RELOAD-7).
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
    let sockets = |service: &Service| match service.sockets.as_slice() {
        [] => vec![None],
        sockets => sockets.iter().map(|socket| Some(socket.identity())).collect(),
    };
    let left = pair(running, new, &mut found, sockets);
    let gone = pair(&left, new, &mut found, |_| vec![None]);
    let drops = gone.into_iter().map(|(index, _)| Change::Drop(index));
    let rest = found
        .into_iter()
        .enumerate()
        .map(|(position, change)| change.unwrap_or(Change::Open(position)));
    drops.chain(rest).collect()
}

/// Gives each service of `new` that has no change yet the first of `running` with the same
/// identity that has one of its `marks`; those that are left over come back, in their order.
fn pair<'r>(
    running: &[(ServiceIndex, &'r Service)],
    new: &[Service],
    found: &mut [Option<Change>],
    marks: impl Fn(&Service) -> Vec<Option<SocketKey>>,
) -> Vec<(ServiceIndex, &'r Service)> {
    let mut by_mark: HashMap<_, VecDeque<ServiceIndex>> = HashMap::new();
    let mut left: BTreeMap<ServiceIndex, &Service> = running.iter().copied().collect();
    for (index, service) in running {
        for mark in marks(service) {
            by_mark.entry((identity(service), mark)).or_default().push_back(*index);
        }
    }
    let open = found.iter_mut().zip(new).enumerate().filter(|(_, (slot, _))| slot.is_none());
    for (position, (slot, service)) in open {
        let same = marks(service).into_iter().find_map(|mark| {
            let candidates = by_mark.get_mut(&(identity(service), mark))?;
            std::iter::from_fn(|| candidates.pop_front())
                .find_map(|index| Some((index, left.remove(&index)?)))
        });
        *slot =
            same.map(|(index, old)| match old.sockets.iter().all(|at| service.listens_on(at)) {
                true => Change::Keep(index, position),
                false => Change::Rebind(index, position),
            });
    }
    left.into_iter().collect()
}

/// RELOAD-2: id, UNLISTED, INTERNAL, `wait` (a socket with INTERCEPT never takes over what one
/// without it has let in), protocol, socket type, and port; of an RPC
/// service the program number instead.
type Identity<'a> = (&'a ServiceId, Origin, bool, Wait, Protocol, SocketType, (bool, u32));

fn identity(service: &Service) -> Identity<'_> {
    let internal = matches!(service.action, Action::Internal { .. } | Action::Sensor { .. });
    let port = match &service.rpc {
        Some(rpc) => (true, rpc.program),
        None => (false, service.port().into()),
    };
    let (protocol, socket_type) = (service.protocol, service.socket_type);
    (&service.id, service.origin, internal, service.wait, protocol, socket_type, port)
}

//! From the running services and a new plan to the list of what a reload has to do.

use crate::plan::{Service, ServiceIndex};

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
    let mut left: Vec<_> = running.to_vec();
    let mut found: Vec<Option<Change>> = vec![None; new.len()];
    for exact in [true, false] {
        for (position, (slot, service)) in found.iter_mut().zip(new).enumerate() {
            if slot.is_some() {
                continue;
            }
            let same = |old: &Service| {
                is_same_service(old, service) && (!exact || is_same_socket(old, service))
            };
            if let Some(at) = left.iter().position(|(_, old)| same(old)) {
                let (index, _) = left.remove(at);
                *slot = Some(if exact {
                    Change::Keep(index, position)
                } else {
                    Change::Rebind(index, position)
                });
            }
        }
    }
    let drops = left.into_iter().map(|(index, _)| Change::Drop(index));
    let rest = found
        .into_iter()
        .enumerate()
        .map(|(position, change)| change.unwrap_or(Change::Open(position)));
    drops.chain(rest).collect()
}

/// RELOAD-2: id, type, protocol, socket type, wait and port; the last four are one
/// for every service there is today, but for the port.
fn is_same_service(old: &Service, new: &Service) -> bool {
    old.id == new.id
        && old.origin == new.origin
        && old.socket.address.port() == new.socket.address.port()
}

/// RELOAD-7, RELOAD-8: address, family and `v6only`.
fn is_same_socket(old: &Service, new: &Service) -> bool {
    old.socket.address == new.socket.address && old.socket.v6only == new.socket.v6only
}

//! The sockets that services give up in a reload, as others look for them.

use std::collections::{HashMap, HashSet};

use crate::monitor::services::{Active, Listener};
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::SocketKey;
use crate::plan::SocketType;

/// A socket, and whose it is.
pub(super) type Number = (ServiceIndex, SocketIndex);

/// What is to go, unless its service turns out to stay.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Of services that go: the first of each kind.
    dropped: HashMap<SocketKey, Number>,
    /// Of services that have found another place, the same.
    left: HashMap<SocketKey, Number>,
    /// All that listen, by their port.
    by_port: HashMap<u16, Vec<(SocketKey, Number)>>,
    /// Services that go if those can be had that take their place.
    unsettled: HashSet<ServiceIndex>,
    /// Those that somebody has taken as they are.
    taken: HashSet<SocketKey>,
    /// What has been put to rest so that another may have its port, and whether it listened.
    resting: Vec<(Number, bool)>,
}

impl Leaving {
    /// One more socket that goes or moves.
    pub(super) fn add(&mut self, service: ServiceIndex, socket: &Listener) {
        // Those for datagrams are in nobody's way.
        let is_stream = socket.key.socket_type == SocketType::Stream;
        if is_stream && socket.key.address.ip().is_some() {
            let same_port = self.by_port.entry(socket.port).or_default();
            same_port.push((socket.key.identity(), (service, socket.index)));
        }
    }

    /// These go, or stay as they are.
    pub(super) fn may_stay<'i>(&mut self, services: impl IntoIterator<Item = &'i ServiceIndex>) {
        self.unsettled.extend(services);
    }

    /// Nobody stays any more who has not.
    pub(super) fn all_settled(&mut self) {
        self.unsettled.clear();
    }

    /// Its service goes: another may have it as it is.
    pub(super) fn offer_dropped(&mut self, service: ServiceIndex, socket: &Listener) {
        offer(&mut self.dropped, (service, socket.index), socket);
    }

    /// Its service has found another place, and may still have to come back.
    pub(super) fn offer_left(&mut self, service: ServiceIndex, socket: &Listener) {
        offer(&mut self.left, (service, socket.index), socket);
    }

    /// The sockets that are as good as a new one for `key`, if nobody has taken them.
    pub(super) fn heirlooms(&self, key: &SocketKey) -> impl Iterator<Item = Number> {
        let key = key.identity();
        let all = [&self.dropped, &self.left].into_iter();
        all.filter_map(move |all| all.get(&key).filter(|_| !self.taken.contains(&key)).copied())
    }

    /// Somebody has taken an heirloom for `key`.
    pub(super) fn take(&mut self, key: &SocketKey) {
        self.taken.insert(key.identity());
    }

    /// Who had a socket for `key` does without it after all.
    pub(super) fn take_back(&mut self, key: &SocketKey) {
        self.taken.remove(&key.identity());
    }

    /// Sockets of services that go, whatever comes.
    pub(super) fn dropped(&self) -> impl Iterator<Item = Number> {
        self.dropped.values().copied().filter(|(service, _)| !self.unsettled.contains(service))
    }

    /// What keeps a socket from `key`.
    pub(super) fn in_the_way(&self, key: &SocketKey) -> impl Iterator<Item = Number> {
        let same_port = self.by_port.get(&key.address.port()).into_iter().flatten();
        let old = same_port.filter(|(old, _)| overlap(old, key) && !self.taken.contains(old));
        old.map(|(_, number)| *number)
    }

    /// Takes note of a socket that rests now.
    pub(super) fn rests(&mut self, socket: Number, listened: bool) {
        if !self.resting.iter().any(|(known, _)| *known == socket) {
            self.resting.push((socket, listened));
        }
    }

    /// A service stays where it is: nobody gets its sockets. Those of them that rest come back,
    /// each with whether it listened.
    pub(super) fn keep(&mut self, index: ServiceIndex, stays: &Active) -> Vec<(Number, bool)> {
        let is_its = |number: &Number| number.0 == index;
        for socket in &stays.listeners {
            if let Some(same_port) = self.by_port.get_mut(&socket.port) {
                same_port.retain(|(_, number)| !is_its(number));
            }
            let key = socket.key.identity();
            for offered in [&mut self.dropped, &mut self.left] {
                if offered.get(&key).is_some_and(is_its) {
                    offered.remove(&key);
                }
            }
        }
        self.resting.extract_if(.., |(number, _)| is_its(number)).collect()
    }
}

fn offer(to: &mut HashMap<SocketKey, Number>, number: Number, socket: &Listener) {
    // A port that the system has chosen is nobody else's.
    if !socket.has_chosen_port() {
        to.entry(socket.key.identity()).or_insert(number);
    }
}

/// Whether one of two services can only have its socket if the other has none.
pub(super) fn exclude_each_other(one: &Listener, other: &Listener) -> bool {
    let streams = [one, other].iter().all(|it| it.key.socket_type == SocketType::Stream);
    streams && one.port == other.port && overlap(&one.key, &other.key)
        || one.key.is_same(&other.key)
}

/// Whether two sockets with these addresses may be in each other's way, if the ports are the
/// same. An address of all families counts for each of them.
fn overlap(one: &SocketKey, other: &SocketKey) -> bool {
    let ip = |key: &SocketKey| key.address.ip().map(|address| address.ip().to_canonical());
    let (Some(one), Some(other)) = (ip(one), ip(other)) else { return false };
    one == other || one.is_unspecified() || other.is_unspecified()
}

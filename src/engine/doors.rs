//! The listening sockets and their state: open, or paused by `cps`.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::admit::{Pace, Rate};
use crate::engine::Engine;
use crate::ipc::Event;
use crate::ipc::Kind;
use crate::ipc::ToMonitor;
use crate::ipc::Violation;
use crate::plan::Door;
use crate::plan::Generation;
use crate::plan::ServiceIndex;
use crate::sys::socket;

/// How often it is said that clients have to wait for their turn.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// How long a door that does not listen is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Clients of one service that wait for a banner or for their name, at most: slow readers at
/// one door hold up nobody at another.
const MOST_PENDING_HERE: usize = 64;

/// One door: whom to let in, and the socket they come through.
#[derive(Debug)]
pub(super) struct DoorState {
    pub(super) door: Door,
    pub(super) listener: OwnedFd,
    pub(super) rate: Rate,
    /// For `cps_action = pace`.
    pub(super) pace: Pace,
    /// Closed by nobody: the next client waits for its turn. And when that was last said.
    is_paced: bool,
    said_at: Option<Instant>,
    /// Closed by `cps`, or not listening; until when is in [`Engine::paused`].
    is_paused: bool,
    /// Clients of this door that wait for a banner or for their name.
    pending: usize,
}

impl DoorState {
    /// Whether one more client may wait here.
    pub(super) const fn has_room(&self) -> bool {
        self.pending < MOST_PENDING_HERE
    }
}

/// A plan on its way in.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) generation: Generation,
    pub(super) doors: Vec<Door>,
    pub(super) listeners: HashMap<ServiceIndex, OwnedFd>,
}

impl Engine {
    /// Swaps to the plan that has arrived: doors that stay keep their socket, their pause and
    /// whoever waits in their backlog; cps counters start anew (RELOAD-9).
    pub(super) fn adopt(&mut self, generation: Generation) -> Result<(), Violation> {
        let contradiction = |how| Violation::Contradiction(Kind::Commit, how);
        let mut arriving = self.arriving.take().ok_or(contradiction("without a plan"))?;
        if arriving.generation != generation {
            return Err(contradiction("of another plan"));
        }
        let mut old = std::mem::take(&mut self.doors);
        for door in arriving.doors {
            let index = door.index;
            self.counts.entry(index).or_default().count_by(door.policy.source_prefix);
            let before = old.remove(&index);
            let state = match (arriving.listeners.remove(&index), before) {
                (Some(listener), before) => {
                    if let Some(before) = before {
                        self.close(&before);
                        self.cut_off(index);
                        self.paused.retain(|(_, paused)| *paused != index);
                    }
                    self.open(door, listener)
                }
                (None, Some(mut before)) => {
                    before.door = door;
                    before.rate.restart();
                    before
                }
                (None, None) => return Err(contradiction("a door without a listener")),
            };
            self.doors.insert(index, state);
        }
        for (index, gone) in old {
            self.close(&gone);
            self.cut_off(index);
        }
        let doors = &self.doors;
        self.counts.retain(|index, counts| doors.contains_key(index) || counts.running() > 0);
        self.port.send(&ToMonitor::Adopted { generation }, None);
        Ok(())
    }

    /// Watches a new listener. An engine that died may have left it resting, so listen(2)
    /// comes first; on a socket that listens it changes nothing.
    fn open(&mut self, door: Door, listener: OwnedFd) -> DoorState {
        let index = door.index;
        let is_paused = socket::listen(&listener).is_err();
        if is_paused {
            self.paused.push((Instant::now() + RETRY, index));
        } else {
            let _ = self.ready.add(&listener, index.0);
        }
        DoorState {
            door,
            listener,
            rate: Rate::default(),
            pace: Pace::default(),
            is_paced: false,
            said_at: None,
            is_paused,
            pending: 0,
        }
    }

    /// The monitor may hold the same socket on: without this it would go on being reported.
    fn close(&self, state: &DoorState) {
        let _ = self.ready.remove(&state.listener);
    }

    /// `cps` exceeded: the port is closed for `pause` seconds, which clients see as "connection
    /// refused" (CPS-3). The socket stays bound, so nobody else can take the port.
    pub(super) fn pause(&mut self, index: ServiceIndex) {
        let Some(state) = self.doors.get_mut(&index).filter(|state| !state.is_paused) else {
            return;
        };
        let _ = self.ready.remove(&state.listener);
        socket::hold_port(&state.listener).ok();
        let pause = Duration::from_secs(u64::from(state.door.policy.rate.pause));
        state.is_paused = true;
        self.paused.push((Instant::now() + pause, index));
        let event = Event::Deactivated;
        self.port.send(&ToMonitor::Noticed { service: index, event }, None);
    }

    /// `cps_action = pace`: the door stays open, and clients wait in the backlog until the next
    /// one is due.
    pub(super) fn hold(&mut self, index: ServiceIndex, wait: Duration) {
        let now = Instant::now();
        let Some(state) = self.doors.get_mut(&index).filter(|state| !state.is_paused) else {
            return;
        };
        let _ = self.ready.remove(&state.listener);
        (state.is_paused, state.is_paced) = (true, true);
        self.paused.push((now + wait, index));
        if state.said_at.is_none_or(|at| now.duration_since(at) > SAID_AGAIN) {
            state.said_at = Some(now);
            self.port.send(&ToMonitor::Noticed { service: index, event: Event::Paced }, None);
        }
    }

    /// A door whose socket has stopped listening, by whatever hand.
    pub(super) fn try_later(&mut self, index: ServiceIndex) {
        if let Some(state) = self.doors.get_mut(&index).filter(|state| !state.is_paused) {
            let _ = self.ready.remove(&state.listener);
            state.is_paused = true;
            self.paused.push((Instant::now() + RETRY, index));
        }
    }

    /// One more client waits for something; a door with too many rests.
    pub(super) fn begin_visit(&mut self, index: ServiceIndex) {
        self.pending += 1;
        if let Some(state) = self.doors.get_mut(&index) {
            state.pending += 1;
            if state.pending == MOST_PENDING_HERE && !state.is_paused {
                let _ = self.ready.remove(&state.listener);
            }
        }
    }

    /// A client waits no more.
    pub(super) fn end_visit(&mut self, index: ServiceIndex) {
        self.pending = self.pending.saturating_sub(1);
        // A reload may have opened a door of this number anew, with nobody at it.
        if let Some(state) = self.doors.get_mut(&index).filter(|state| state.pending > 0) {
            state.pending -= 1;
            if state.pending + 1 == MOST_PENDING_HERE && !state.is_paused {
                let _ = self.ready.add(&state.listener, index.0);
            }
        }
        self.wake.notify_one();
    }

    /// Opens what has been closed long enough; accepts again after a rest.
    pub(super) fn meet_deadlines(&mut self) {
        let now = Instant::now();
        self.resting_until = self.resting_until.filter(|at| *at > now);
        let due: Vec<_> = self.paused.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, index) in due {
            // A reload may have closed the door for good, or given it a new socket.
            let Some(state) = self.doors.get_mut(&index).filter(|state| state.is_paused) else {
                continue;
            };
            if std::mem::take(&mut state.is_paced) {
                state.is_paused = false;
                if state.has_room() {
                    let _ = self.ready.add(&state.listener, index.0);
                }
                continue;
            }
            if socket::listen(&state.listener).is_err() {
                // Something else listens there now; it may go away again.
                self.paused.push((now + RETRY, index));
                continue;
            }
            state.is_paused = false;
            state.rate.restart();
            if state.has_room() {
                let _ = self.ready.add(&state.listener, index.0);
            }
            let event = Event::Activated;
            self.port.send(&ToMonitor::Noticed { service: index, event }, None);
        }
    }

    /// Stops watching every door; who has come through one still finds it in the table.
    pub(super) fn close_all(&self) {
        self.doors.values().for_each(|state| self.close(state));
    }
}

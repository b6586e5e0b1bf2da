//! The sockets of the services and their state: open, paused by `cps`, or lent to a server.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::admit::{Pace, Rate};
use crate::engine::Engine;
use crate::engine::Stop;
use crate::engine::door::{DoorState, MOST_PENDING_HERE, Pause};
use crate::engine::relay::Target;
use crate::ipc::Event;
use crate::ipc::Kind;
use crate::ipc::ToMonitor;
use crate::ipc::Violation;
use crate::plan::Door;
use crate::plan::Duty;
use crate::plan::Generation;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::sys::socket;

/// How often it is said that clients have to wait for their turn.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// How long a door that does not listen is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// A plan on its way in.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) generation: Generation,
    pub(super) doors: Vec<Door>,
    pub(super) listeners: HashMap<SocketIndex, OwnedFd>,
}

impl Engine {
    /// Swaps to the plan that has arrived: doors that stay keep their sockets, their pause and
    /// whoever waits in their backlog; cps counters start anew (RELOAD-9).
    pub(super) fn adopt(&mut self, generation: Generation) -> Result<(), Violation> {
        let contradiction = |how| Violation::Contradiction(Kind::Commit, how);
        let arriving = self.arriving.take().ok_or(contradiction("without a plan"))?;
        if arriving.generation != generation {
            return Err(contradiction("of another plan"));
        }
        self.generation = generation;
        let Arriving { doors, mut listeners, .. } = arriving;
        let mut old = std::mem::take(&mut self.doors);
        self.sockets.clear();
        for door in doors {
            let index = door.index;
            self.counts.entry(index).or_default().count_by(door.policy.source_prefix);
            self.sockets.extend(door.sockets.iter().map(|socket| (*socket, index)));
            let state = self.renew(door, old.remove(&index), &mut listeners);
            let state = state.ok_or(contradiction("a door without a listener"))?;
            self.doors.insert(index, state);
            self.settle(index);
        }
        for (index, gone) in old {
            gone.ignore(&self.ready);
            self.cut_off(index);
        }
        self.forget_gates();
        let doors = &self.doors;
        self.counts.retain(|index, counts| doors.contains_key(index) || counts.running() > 0);
        let answering = doors.values().filter(|state| matches!(state.door.duty, Duty::Reply(_)));
        self.replies.answer_at(answering.flat_map(DoorState::listeners).map(socket::local_port));
        self.tell(&ToMonitor::Adopted { generation });
        self.doubt_rules();
        Ok(())
    }

    /// A door as the new plan wants it. One that loses a socket is as good as new: its sessions
    /// end (RELOAD-7). `None`: a socket of it has not arrived.
    fn renew(
        &mut self,
        door: Door,
        before: Option<DoorState>,
        arrived: &mut HashMap<SocketIndex, OwnedFd>,
    ) -> Option<DoorState> {
        let index = door.index;
        let stays = |(socket, _): &(SocketIndex, _)| door.sockets.contains(socket);
        let (mut before, mut listeners) = (before, Vec::new());
        if let Some(before) = &mut before {
            listeners = before.listeners.extract_if(.., |one| stays(one)).collect();
        }
        let are_new = listeners.len() < door.sockets.len();
        for socket in &door.sockets {
            if !listeners.iter().any(|(index, _)| index == socket) {
                listeners.push((*socket, arrived.remove(socket)?));
            }
        }
        if let Some(before) = before.take_if(|before| !before.listeners.is_empty()) {
            before.ignore(&self.ready);
            self.cut_off(index);
            self.paused.retain(|(_, paused)| *paused != index);
        }
        let Some(mut state) = before else { return Some(self.open(door, listeners)) };
        if state.door.duty != door.duty {
            state.target = Target::of(&door.duty);
        }
        (state.door, state.listeners) = (door, listeners);
        state.rate.restart();
        if are_new {
            self.open_new(&mut state);
        }
        Some(state)
    }

    fn open(&mut self, door: Door, listeners: Vec<(SocketIndex, OwnedFd)>) -> DoorState {
        let mut state = DoorState {
            target: Target::of(&door.duty),
            gate: self.gate_of(door.index),
            door,
            listeners,
            rate: Rate::default(),
            pace: Pace::default(),
            said_at: None,
            pause: None,
            pending: 0,
            undone: 0,
        };
        self.open_new(&mut state);
        state
    }

    /// Opens those sockets of a door that are new, as far as it is open itself. An engine that
    /// died may have left them resting, so listen(2) comes first; on a socket that listens it
    /// changes nothing.
    fn open_new(&mut self, state: &mut DoorState) {
        if !state.is_open() {
            state.close(&self.loans);
        } else if self.stop == Stop::NotAsked && state.listen(&self.loans).is_err() {
            state.pause = Some(Pause::Closed);
            self.paused.push((Instant::now() + RETRY, state.door.index));
        }
    }

    /// Watches the sockets of a door exactly as long as somebody may be let in.
    pub(super) fn settle(&self, index: ServiceIndex) {
        let Some(state) = self.doors.get(&index) else { return };
        let lets_in = state.lets_in() && self.stop == Stop::NotAsked;
        for (number, listener) in &state.listeners {
            // It may be so already.
            let _ = match lets_in && !self.loans.contains_key(number) {
                true => self.ready.add(listener, number.0),
                false => self.ready.remove(listener),
            };
        }
    }

    /// `cps` exceeded: the port is closed for `pause` seconds, which clients see as "connection
    /// refused" (CPS-3). The socket stays bound, so nobody else can take the port.
    pub(super) fn pause(&mut self, index: ServiceIndex) {
        let Some(state) = self.doors.get(&index) else { return };
        let seconds = u64::from(state.door.policy.rate.pause);
        if self.begin_pause(index, Pause::Closed, Duration::from_secs(seconds)) {
            self.shut(index);
            let event = Event::Deactivated;
            self.tell(&ToMonitor::Noticed { service: index, event });
        }
    }

    /// Closes those sockets of a door that no server has, if it is closed.
    pub(super) fn shut(&self, index: ServiceIndex) {
        if let Some(state) = self.doors.get(&index).filter(|state| !state.is_open()) {
            state.close(&self.loans);
        }
    }

    /// Undoes [`shut`](Self::shut), unless the door is to stay closed for another reason. False if
    /// that has to be tried later.
    pub(super) fn unshut(&mut self, index: ServiceIndex) -> bool {
        let is_over = self.stop != Stop::NotAsked;
        let state = self.doors.get(&index).filter(|state| state.is_open() && !is_over);
        let is_done = state.is_none_or(|state| state.reopen(&self.loans).is_ok());
        if !is_done {
            // Something else listens there now; it may go away again.
            self.try_later(index);
        }
        is_done
    }

    /// The door stays open, and who comes waits in the queue of the socket.
    pub(super) fn hold(&mut self, index: ServiceIndex, wait: Duration) {
        self.begin_pause(index, Pause::Held, wait);
    }

    /// [`hold`](Self::hold), and a word about it: clients wait until the next one is due, by
    /// `cps_action = pace`, or until there are descriptors for it.
    pub(super) fn hold_for(&mut self, index: ServiceIndex, wait: Duration, why: Event) {
        self.hold(index, wait);
        self.say_once_a_minute(index, why);
    }

    /// Tells the monitor, unless something has been said about this door not long ago.
    pub(super) fn say_once_a_minute(&mut self, index: ServiceIndex, event: Event) {
        let now = Instant::now();
        let Some(state) = self.doors.get_mut(&index) else { return };
        if state.said_at.is_none_or(|at| now.duration_since(at) > SAID_AGAIN) {
            state.said_at = Some(now);
            self.tell(&ToMonitor::Noticed { service: index, event });
        }
    }

    /// A door whose socket has stopped listening, by whatever hand: perhaps the monitor's, which
    /// wants the port for another.
    pub(super) fn try_later(&mut self, index: ServiceIndex) {
        self.begin_pause(index, Pause::Closed, RETRY);
    }

    /// False if there is a pause already, or all doors have been closed for good.
    fn begin_pause(&mut self, index: ServiceIndex, pause: Pause, time: Duration) -> bool {
        let is_over = self.stop != Stop::NotAsked;
        let state = self.doors.get_mut(&index).filter(|state| !is_over && state.pause.is_none());
        let Some(state) = state else { return false };
        state.pause = Some(pause);
        self.paused.push((Instant::now() + time, index));
        self.settle(index);
        true
    }

    /// One more client waits for something; a door with too many rests.
    pub(super) fn begin_visit(&mut self, index: ServiceIndex) {
        self.pending += 1;
        if let Some(state) = self.doors.get_mut(&index) {
            state.pending += 1;
            if state.pending == MOST_PENDING_HERE {
                self.settle(index);
            }
        }
    }

    /// A client waits no more.
    pub(super) fn end_visit(&mut self, index: ServiceIndex) {
        self.pending = self.pending.saturating_sub(1);
        // A reload may have opened a door of this number anew, with nobody at it.
        if let Some(state) = self.doors.get_mut(&index).filter(|state| state.pending > 0) {
            state.pending -= 1;
            if state.pending + 1 == MOST_PENDING_HERE {
                self.settle(index);
            }
        }
        self.wake.notify_one();
    }

    /// Opens what has been closed long enough; accepts again after a rest.
    pub(super) fn meet_deadlines(&mut self) {
        let now = Instant::now();
        self.resting_until = self.resting_until.filter(|at| *at > now);
        self.report_counts(now);
        let due: Vec<_> = self.paused.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, index) in due {
            // A reload may have closed the door for good, or given it a new socket.
            let Some(state) = self.doors.get_mut(&index) else { continue };
            let Some(pause) = state.pause.take() else { continue };
            if pause == Pause::Closed {
                state.rate.restart();
                if !self.unshut(index) {
                    continue;
                }
                let event = Event::Activated;
                self.tell(&ToMonitor::Noticed { service: index, event });
            }
            self.settle(index);
        }
    }

    /// Stops watching every door; who has come through one still finds it in the table.
    pub(super) fn close_all(&self) {
        self.doors.values().for_each(|state| state.ignore(&self.ready));
    }
}

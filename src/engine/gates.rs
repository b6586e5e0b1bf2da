//! What an operator has made of doors: held, closed, and open again.
//!
//! No time ends it. `cps` and the rest of a door's pauses go on below it, unseen until the gate is
//! open again.

use crate::admit::Counts;
use crate::engine::Engine;
use crate::ipc::Event;
use crate::ipc::Gate;
use crate::ipc::ToMonitor;
use crate::plan::ServiceIndex;

impl Engine {
    /// An order about a door, which may be one of a plan that is still on its way in.
    pub(super) fn set_gate(&mut self, index: ServiceIndex, gate: Gate) {
        self.gates.insert(index, gate);
        self.turning.retain(|turning| *turning != index);
        let before = self.doors.get_mut(&index).map(|state| state.turn_gate(gate));
        match (before, gate) {
            (Some(Gate::Open | Gate::Held), Gate::Closed) => {
                self.shut(index);
                self.cut_off_flows_of(index);
            }
            (Some(Gate::Closed), Gate::Open | Gate::Held) => {
                self.unshut(index);
            }
            _ => {}
        }
        self.settle(index);
        self.turning.push(index);
    }

    /// What has been ordered about a door that is being opened.
    pub(super) fn gate_of(&self, index: ServiceIndex) -> Gate {
        self.gates.get(&index).copied().unwrap_or_default()
    }

    /// Orders about doors that are gone.
    pub(super) fn forget_gates(&mut self) {
        let doors = &self.doors;
        self.gates.retain(|index, _| doors.contains_key(index));
        self.turning.retain(|index| doors.contains_key(index));
    }

    /// Says which orders are in force. A door that was closed is watched until nobody is on the
    /// way through it: who comes after that word has been let in before.
    pub(super) fn finish_turning(&mut self) {
        let turning = std::mem::take(&mut self.turning);
        for service in turning {
            let gate = self.gate_of(service);
            // The plan with the door may be on its way in.
            let is_done = self.doors.get(&service).is_some_and(|state| {
                gate != Gate::Closed || !state.has_pending() && self.on_the_way(service) == 0
            });
            match is_done {
                true => {
                    let event = Event::Turned(gate);
                    self.tell(&ToMonitor::Noticed { service, event });
                }
                false => self.turning.push(service),
            }
        }
    }

    /// Clients who have been let in, and have no server yet and no session.
    fn on_the_way(&self, index: ServiceIndex) -> usize {
        let counted = self.counts.get(&index).map_or(0, Counts::running);
        let known = self.tickets.values().filter(|(service, _)| *service == index).count();
        usize::try_from(counted).unwrap_or(usize::MAX).saturating_sub(known)
    }
}

//! Services that an operator has paused, or drains: what was ordered, and how far it has come.
//!
//! An order holds as long as its service keeps its number, over reloads and engines; not over a
//! restart of the daemon.

use std::collections::HashMap;

use crate::ipc::Gate;
use crate::ipc::ToEngine;
use crate::monitor::Monitor;
use crate::plan::ServiceIndex;

/// What has been ordered, until a door is open again; nearly always nothing.
#[derive(Debug, Default)]
pub(super) struct Gates(HashMap<ServiceIndex, Order>);

#[derive(Debug)]
struct Order {
    gate: Gate,
    /// The engine has said so. Nobody is on the way in, where the door is closed.
    is_in_force: bool,
    /// It has been logged that nobody is served any more.
    is_told: bool,
}

impl Gates {
    pub(super) fn of(&self, index: ServiceIndex) -> Gate {
        self.0.get(&index).map(|order| order.gate).unwrap_or_default()
    }

    pub(super) fn is_closed(&self, index: ServiceIndex) -> bool {
        self.of(index) == Gate::Closed
    }

    /// Whether the engine has still to carry out an order.
    pub(super) fn is_turning(&self, index: ServiceIndex) -> bool {
        self.0.get(&index).is_some_and(|order| !order.is_in_force)
    }

    /// How many services let nobody in.
    pub(super) fn held(&self) -> usize {
        self.0.values().filter(|order| order.gate != Gate::Open).count()
    }

    /// What an engine has to be told.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ServiceIndex, Gate)> {
        self.0.iter().map(|(index, order)| (*index, order.gate))
    }

    /// An order; the same once more changes nothing.
    pub(super) fn set(&mut self, index: ServiceIndex, gate: Gate) {
        if self.of(index) != gate {
            self.0.insert(index, Order { gate, is_in_force: false, is_told: false });
        }
    }

    /// The service is gone.
    pub(super) fn remove(&mut self, index: ServiceIndex) {
        self.0.remove(&index);
    }

    /// A new engine is going to say for itself who is on the way in.
    pub(super) fn begin_anew(&mut self) {
        self.0.values_mut().for_each(|order| order.is_in_force = false);
    }
}

impl Monitor {
    /// The engine has carried out an order.
    pub(super) fn door_turned(&mut self, index: ServiceIndex, gate: Gate) {
        // The operator may have changed his mind meanwhile.
        let order = self.gates.0.get_mut(&index).filter(|order| order.gate == gate);
        if let Some(order) = order {
            order.is_in_force = true;
            if gate == Gate::Open {
                self.gates.remove(index);
            }
        }
    }

    /// Somebody who had been let in is with the engine again: if the door is closed it has to say
    /// anew when nobody is on the way through it.
    pub(super) fn ask_who_is_on_the_way(&mut self, service: ServiceIndex) {
        let order = self.gates.0.get_mut(&service).filter(|order| order.gate == Gate::Closed);
        if let Some(order) = order {
            order.is_in_force = false;
            self.tell_engine(&ToEngine::Gate { service, gate: Gate::Closed });
        }
    }

    /// Whether a service has been closed by order, and nobody is served any more.
    pub(super) fn is_drained(&self, index: ServiceIndex) -> bool {
        let order = self.gates.0.get(&index);
        order.is_some_and(|order| order.gate == Gate::Closed && order.is_in_force)
            && self.running.of(index) == 0
            && self.sessions.of(index) == 0
            && self.retries.iter().all(|client| client.index != index)
    }

    /// Logs which services have just been drained.
    pub(super) fn tell_drained(&mut self) {
        let open = self.gates.0.iter().filter(|(_, order)| !order.is_told);
        let news: Vec<_> =
            open.map(|(index, _)| *index).filter(|it| self.is_drained(*it)).collect();
        for index in news {
            if let Some(order) = self.gates.0.get_mut(&index) {
                order.is_told = true;
            }
            if let Some(active) = self.services.find(index) {
                tracing::info!("service {}: drained", active.service.id);
            }
        }
    }
}

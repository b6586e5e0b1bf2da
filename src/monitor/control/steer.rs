//! `xinetctl pause`, `drain` and `resume`: whether a service lets anybody in.

use std::collections::BTreeSet;

use crate::control::Services;
use crate::ipc::{Gate, ToEngine};
use crate::monitor::Monitor;
use crate::monitor::control::Outcome;
use crate::plan::ServiceIndex;

impl Monitor {
    /// Carries out an order about services, and how they are then. If one is unknown nothing is
    /// done.
    pub(super) fn steer(&mut self, which: &Services, gate: Gate, uid: u32) -> Outcome {
        self.refuse_at_the_end()?;
        let meant = self.meant(which)?;
        for index in &meant {
            self.turn_gate(*index, gate, uid);
        }
        Ok(self.answers_of(&meant))
    }

    /// How services are.
    pub(super) fn services_status(&self, which: &Services) -> Outcome {
        Ok(self.answers_of(&self.meant(which)?))
    }

    fn meant(&self, which: &Services) -> Result<BTreeSet<ServiceIndex>, String> {
        match which {
            Services::All {} => Ok(self.services.iter().map(|(index, _)| index).collect()),
            Services::Named(words) => {
                let mut all = BTreeSet::new();
                for word in words {
                    all.extend(self.named(word)?.into_iter().map(|(index, _)| index));
                }
                Ok(all)
            }
        }
    }

    fn turn_gate(&mut self, index: ServiceIndex, gate: Gate, uid: u32) {
        let Some(active) = self.services.find(index) else { return };
        if self.gates.of(index) == gate {
            return;
        }
        let what = match gate {
            Gate::Open => "open again",
            Gate::Held => "paused: clients wait",
            Gate::Closed => "closed: it serves whom it has let in",
        };
        tracing::info!("service {}: {what}, by order of uid {uid}", active.service.id);
        self.gates.set(index, gate);
        self.tell_engine(&ToEngine::Gate { service: index, gate });
    }
}

//! `xinetctl pause`, `drain` and `resume`: whether a service lets anybody in.

use std::collections::BTreeSet;

use crate::control::{Answer, Services};
use crate::ipc::{Gate, ToEngine};
use crate::monitor::Monitor;
use crate::plan::ServiceIndex;

impl Monitor {
    /// Carries out an order about services, and how they are then. If one is unknown nothing is
    /// done.
    pub(super) fn steer(&mut self, which: &Services, gate: Gate, uid: u32) -> Vec<Answer> {
        if self.stop_at.is_some() {
            return vec![Answer::Failed { why: "the daemon is about to end".to_owned() }];
        }
        let meant = match self.meant(which) {
            Ok(meant) => meant,
            Err(why) => return vec![Answer::Failed { why }],
        };
        for index in &meant {
            self.turn_gate(*index, gate, uid);
        }
        let answers = self.service_answers().filter(|(index, _)| meant.contains(index));
        let mut answers: Vec<_> = answers.map(|(_, answer)| answer).collect();
        answers.push(Answer::Done {});
        answers
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

//! `xinetctl deny`, `undeny` and `denied`: the list of who is locked out of every service.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::control::{Answer, Denied};
use crate::ipc::ToEngine;
use crate::monitor::Monitor;
use crate::monitor::control::Outcome;
use crate::monitor::history::wall_time;
use crate::monitor::reports::{locked_out, no_room};
use crate::plan::Listed;

impl Monitor {
    /// Locks an address out, for so many seconds or for ever.
    pub(super) fn deny(&mut self, address: IpAddr, seconds: Option<u32>, uid: u32) -> Outcome {
        let (address, now) = (address.to_canonical(), Instant::now());
        if seconds == Some(0) {
            return Err(format!("{address} is not locked out: for no time at all"));
        }
        let until = seconds.map(|seconds| now + Duration::from_secs(seconds.into()));
        if self.locked_out.add_until(address, until, now) == Listed::Full {
            return Err(no_room(address));
        }
        let sentence = locked_out(address, &in_words(seconds));
        tracing::warn!("{sentence}, by order of uid {uid}");
        self.tell_engine(&ToEngine::LockOut { peer: address, seconds: seconds.unwrap_or(0) });
        // It may be listed for longer than that.
        let listed = self.locked_out.iter(now).find(|(listed, _)| *listed == address);
        Ok(listed.map(entry).map(Answer::Denied).into_iter().collect())
    }

    /// Lets an address in again.
    pub(super) fn undeny(&mut self, address: IpAddr, uid: u32) -> Outcome {
        let address = address.to_canonical();
        if !self.locked_out.contains(address, Instant::now()) {
            return Err(format!("{address} is not locked out"));
        }
        self.locked_out.remove(address);
        tracing::warn!("Removing {address} from the global_no_access list, by order of uid {uid}");
        self.tell_engine(&ToEngine::LetIn { peer: address });
        Ok(Vec::new())
    }

    /// Who is locked out now, in order.
    pub(super) fn denied(&self) -> Vec<Answer> {
        let mut all: Vec<_> = self.locked_out.iter(Instant::now()).map(entry).collect();
        all.sort_by_key(|denied| denied.address);
        all.into_iter().map(Answer::Denied).collect()
    }
}

/// A part of a second at its end counts as one.
fn entry((address, until): (IpAddr, Option<Instant>)) -> Denied {
    Denied { address, until: until.map(|at| wall_time(at) + 1) }
}

/// As the list of old has it, in minutes, where it has words for it.
fn in_words(seconds: Option<u32>) -> String {
    match seconds {
        None => "ever".to_owned(),
        Some(seconds) if seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        Some(seconds) => format!("{seconds} seconds"),
    }
}

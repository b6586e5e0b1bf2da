//! What rpcbind(8) has still to be told, in order, and what of it could not be said.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ipc::Errand;
use crate::monitor::rpc::errands::undone;
use crate::monitor::rpc::why::Why;
use crate::plan::ServiceIndex;

/// How long rpcbind may take for what one child has to tell it.
const PATIENCE: Duration = Duration::from_secs(5);

/// When what could not be said is tried again.
const REST: Duration = Duration::from_secs(60);

/// What one child tells rpcbind.
#[derive(Debug)]
pub(super) struct Visit {
    pub errands: Vec<Errand>,
    pub stake: Stake,
}

/// What depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stake {
    /// A service that is left out unless a version of it is registered (RPC-2).
    New(ServiceIndex),
    /// One that was registered before, and goes on.
    Known(ServiceIndex),
    /// One that is gone.
    Gone,
    /// What could not be said before. Nobody waits for it.
    Owed,
}

/// A child under way.
#[derive(Debug)]
struct Child {
    pid: i32,
    visit: Visit,
    deadline: Instant,
}

/// The queue of visits; one child at a time makes them.
#[derive(Debug, Default)]
pub(in crate::monitor) struct Registrar {
    waiting: VecDeque<Visit>,
    child: Option<Child>,
    /// Until then what is owed has to wait, unless there is something new to be said.
    resting_until: Option<Instant>,
    /// Services that have turned out not to be known to rpcbind, and are to go.
    pub unregistered: Vec<ServiceIndex>,
}

impl Registrar {
    /// Whether rpcbind has been told everything that somebody waits for.
    pub(in crate::monitor) fn is_idle(&self) -> bool {
        let under_way = self.child.iter().map(|child| &child.visit);
        under_way.chain(&self.waiting).all(|visit| visit.stake == Stake::Owed)
    }

    /// When the child's time is over, or the time to try again has come.
    pub(in crate::monitor) fn deadline(&self) -> Option<Instant> {
        let is_to_come = |until: &Instant| !self.waiting.is_empty() && *until > Instant::now();
        let rest = || self.resting_until.filter(is_to_come);
        self.child.as_ref().map(|child| child.deadline).or_else(rest)
    }

    /// Registers a service that was not served before.
    pub(in crate::monitor) fn register(&mut self, index: ServiceIndex, registration: Vec<Errand>) {
        self.push(registration, Stake::New(index));
    }

    /// Registers a service whose registration was `before`. What has not changed is told once
    /// more: rpcbind may have been started anew since, without its memory.
    pub(in crate::monitor) fn register_anew(
        &mut self,
        index: ServiceIndex,
        before: Vec<Errand>,
        now: Vec<Errand>,
    ) {
        let old = if before == now { Vec::new() } else { before };
        let errands = old.into_iter().map(undone).chain(now).collect();
        self.push(errands, Stake::Known(index));
    }

    /// Takes a service away that is not served any more.
    pub(in crate::monitor) fn unregister(&mut self, registration: Vec<Errand>) {
        self.push(registration.into_iter().map(undone).collect(), Stake::Gone);
    }

    /// A reload: what is owed is tried again at once.
    pub(in crate::monitor) const fn try_again(&mut self) {
        self.resting_until = None;
    }

    fn push(&mut self, errands: Vec<Errand>, stake: Stake) {
        if !errands.is_empty() {
            self.waiting.push_back(Visit { errands, stake });
        }
    }

    /// The visit whose turn it is.
    pub(super) fn next(&mut self, now: Instant) -> Option<Visit> {
        let may_wait = self.resting_until.is_some_and(|until| until > now) && self.is_idle();
        if self.child.is_some() || may_wait {
            return None;
        }
        self.waiting.pop_front()
    }

    /// A child makes this visit.
    pub(super) fn begun(&mut self, pid: i32, visit: Visit, now: Instant) {
        self.child = Some(Child { pid, visit, deadline: now + PATIENCE });
    }

    /// The visit that the child `pid` has made.
    pub(super) fn ended(&mut self, pid: i32) -> Option<Visit> {
        self.child.take_if(|child| child.pid == pid).map(|child| child.visit)
    }

    /// The child that has had all its time, and its visit.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(i32, Visit)> {
        let child = self.child.take_if(|child| child.deadline <= now)?;
        Some((child.pid, child.visit))
    }

    /// Everything that has failed with `visit`: when rpcbind is away, all that waits.
    pub(super) fn failed_with(&mut self, visit: Visit, why: &Why) -> Vec<Visit> {
        let mut failed = vec![visit];
        if why.is_for_all() {
            failed.extend(std::mem::take(&mut self.waiting));
        }
        failed
    }

    /// Takes note of what has failed, and keeps what has to be said all the same.
    pub(super) fn keep_owed(&mut self, failed: Vec<Visit>, why: &Why, now: Instant) {
        for Visit { errands, stake } in failed.into_iter().rev() {
            let owed: Vec<_> = match stake {
                Stake::New(index) => {
                    self.unregistered.push(index);
                    // It may yet be heard, when nobody is there any more.
                    let was_said = matches!(why, Why::TooSlow);
                    errands.into_iter().filter(|_| was_said).map(undone).collect()
                }
                Stake::Known(_) | Stake::Gone | Stake::Owed if why.is_for_all() => errands,
                Stake::Known(_) | Stake::Gone | Stake::Owed => continue,
            };
            // Of what is owed several times the last one counts.
            if !owed.is_empty() && self.waiting.iter().all(|later| later.errands != owed) {
                self.waiting.push_front(Visit { errands: owed, stake: Stake::Owed });
            }
        }
        self.resting_until = Some(now + REST);
    }

    /// All that was begun and all that waits, and the child that is under way.
    pub(super) fn give_up(&mut self) -> (Option<i32>, Vec<Errand>) {
        let child = self.child.take();
        let pid = child.as_ref().map(|child| child.pid);
        let under_way = child.map(|child| child.visit);
        let all = under_way.into_iter().chain(std::mem::take(&mut self.waiting));
        (pid, all.flat_map(|visit| visit.errands).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::Deed;
    use crate::sys::process::End;

    fn errand(deed: Deed, version: u32) -> Errand {
        let (netid, address) = ("tcp".to_owned(), "0.0.0.0.8.1".to_owned());
        Errand { deed, program: 100_001, versions: version..=version, netid, address }
    }

    fn set(version: u32) -> Vec<Errand> {
        vec![errand(Deed::Set, version)]
    }

    fn unset(version: u32) -> Vec<Errand> {
        vec![errand(Deed::Unset, version)]
    }

    fn fail(registrar: &mut Registrar, why: &Why, now: Instant) {
        let visit = registrar.next(now).unwrap();
        let failed = registrar.failed_with(visit, why);
        registrar.keep_owed(failed, why, now);
    }

    fn left(registrar: &Registrar) -> Vec<Vec<Errand>> {
        registrar.waiting.iter().map(|visit| visit.errands.clone()).collect()
    }

    const SERVICE: ServiceIndex = ServiceIndex(1);

    #[test]
    fn what_rpcbind_was_not_there_for_is_said_later_and_in_order() {
        let (mut registrar, now) = (Registrar::default(), Instant::now());
        registrar.register_anew(SERVICE, set(2), set(3));
        registrar.unregister(set(9));
        fail(&mut registrar, &Why::Found(crate::ipc::Outcome::Unreachable), now);
        let first = [unset(2), set(3)].concat();
        assert_eq!(left(&registrar), [first.clone(), unset(9)]);
        assert!(registrar.is_idle() && registrar.next(now).is_none(), "nobody waits");
        assert_eq!(registrar.deadline(), Some(now + REST));
        assert_eq!(registrar.next(now + REST).unwrap().errands, first);
    }

    #[test]
    fn news_have_what_is_owed_said_first() {
        let (mut registrar, now) = (Registrar::default(), Instant::now());
        registrar.unregister(set(2));
        fail(&mut registrar, &Why::TooSlow, now);
        registrar.register(SERVICE, set(2));
        assert_eq!(registrar.next(now).unwrap().errands, unset(2));
        assert_eq!(registrar.next(now).unwrap().errands, set(2));
    }

    #[test]
    fn what_is_owed_does_not_grow_with_every_reload() {
        let (mut registrar, now) = (Registrar::default(), Instant::now());
        for _ in 0..3 {
            registrar.register_anew(SERVICE, set(2), set(2));
            fail(&mut registrar, &Why::TooSlow, now);
        }
        assert_eq!(left(&registrar), [set(2)]);
    }

    #[test]
    fn rpc_2_a_new_service_goes_and_leaves_nothing_behind() {
        for (why, owed) in [
            (Why::TooSlow, vec![unset(2)]),
            (Why::Found(crate::ipc::Outcome::Refused), vec![]),
            (Why::Ended(End::Status(1)), vec![]),
        ] {
            let (mut registrar, now) = (Registrar::default(), Instant::now());
            registrar.register(SERVICE, set(2));
            fail(&mut registrar, &why, now);
            assert_eq!(registrar.unregistered, [SERVICE]);
            assert_eq!(left(&registrar), owed, "{why}");
        }
    }

    #[test]
    fn a_refusal_is_one_service_s_own() {
        let (mut registrar, now) = (Registrar::default(), Instant::now());
        registrar.register_anew(SERVICE, set(2), set(2));
        registrar.unregister(set(9));
        fail(&mut registrar, &Why::Found(crate::ipc::Outcome::Refused), now);
        assert!(!registrar.is_idle());
        assert_eq!(left(&registrar), [unset(9)]);
    }
}

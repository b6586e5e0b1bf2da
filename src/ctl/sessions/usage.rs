//! Processor time and memory of servers, from proc_pid_stat(5).
//!
//! A server begins a session of processes (setsid(2)): what it has forked is counted with it,
//! unless that has begun one of its own.

use std::collections::HashMap;

use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

use crate::config::lookup::Lookup;
use crate::control;
use crate::ctl::process::{self, Stat};

/// What a session costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    /// Whom its process runs as: the name, else the number.
    pub user: Option<String>,
    /// Processor time in milliseconds, with that of processes that have ended; `null` for a session
    /// of the engine's.
    pub cpu_ms: Option<u64>,
    /// Resident bytes; what processes share counts once for each. `null` as above.
    pub memory: Option<u64>,
}

/// The processes of one session, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    ticks: u64,
    pages: u64,
}

/// All that run now, by the number of their session, which is the process id of a server.
pub(super) fn by_session() -> HashMap<i32, Sum> {
    let mut sums: HashMap<i32, Sum> = HashMap::new();
    for pid in process::all() {
        // One may have ended meanwhile.
        let stat = Stat::read(&process::directory(pid));
        let Some((session, one)) = stat.and_then(|stat| share(&stat)) else { continue };
        let sum = sums.entry(session).or_default();
        sum.ticks += one.ticks;
        sum.pages += one.pages;
    }
    sums
}

/// The session of a process, and its part of the sum.
fn share(stat: &Stat) -> Option<(i32, Sum)> {
    // utime and stime, of itself and of children that it has waited for.
    let ticks = [14, 15, 16, 17].map(|number| stat.field::<u64>(number));
    let ticks = ticks.into_iter().sum::<Option<u64>>()?;
    Some((stat.field(6)?, Sum { ticks, pages: stat.field(24)? }))
}

/// What `session` costs.
pub(super) fn of(
    session: &control::Session,
    sums: &HashMap<i32, Sum>,
    users: &dyn Lookup,
) -> Usage {
    let sum = sums.get(&session.pid).filter(|_| !session.in_engine);
    Usage {
        user: user(session.pid, users),
        cpu_ms: sum.map(|sum| sum.ticks * 1000 / system(SysconfVar::CLK_TCK).max(1)),
        memory: sum.map(|sum| sum.pages * system(SysconfVar::PAGE_SIZE)),
    }
}

fn system(variable: SysconfVar) -> u64 {
    sysconf(variable).ok().flatten().and_then(|value| value.try_into().ok()).unwrap_or(0)
}

/// Whom a process runs as.
fn user(pid: i32, users: &dyn Lookup) -> Option<String> {
    let uid = process::uid(&process::directory(pid.unsigned_abs()))?;
    Some(process::user_name(uid, users).unwrap_or_else(|| uid.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::system::System;
    use std::path::Path;

    #[test]
    fn a_name_may_hold_what_looks_like_fields() {
        let line =
            b"7 (a) R 1 2) S 1 7 7 0 -1 4194560 102 88 0 0 3 4 5 6 20 0 1 0 99 2338816 201 1";
        let parse = |line: &[u8]| share(&Stat::parse(line)?);
        assert_eq!(parse(line), Some((7, Sum { ticks: 18, pages: 201 })));
        assert_eq!(parse(b"7 (short) S 1 7 7"), None);
    }

    #[test]
    fn this_process_is_in_the_sum_of_its_session() {
        let (session, one) = share(&Stat::read(Path::new("/proc/self")).unwrap()).unwrap();
        assert!(one.pages > 0 && by_session().contains_key(&session));
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(user(own, &System::new()).is_some());
    }
}

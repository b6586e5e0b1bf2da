//! The processes of a daemon and the processor time they used, from `/proc`.
//!
//! A living process: the `schedstat` of its threads, in nanoseconds, or the ticks of its
//! `stat` if they say more (threads that ended are only there). Reaped children, and theirs:
//! `cutime` and `cstime`, which `/proc` cuts down to ticks of 10 ms. A difference of two
//! readings is therefore wrong by at most 20 ms, whatever the number of children.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

/// USER_HZ, which is 100 on every Linux that this crate is for.
const TICK: Duration = Duration::from_millis(10);

/// One line of `/proc/PID/stat`.
struct Stat {
    pid: i32,
    parent: i32,
    command: String,
    own: Duration,
    reaped: Duration,
}

/// A reading of a daemon's processes.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The daemon and its helpers, without the servers.
    pub(crate) daemons: BTreeSet<i32>,
    /// How many servers, living or not yet reaped, stand below them.
    pub(crate) servers: usize,
    /// Set by who waited: the processes were the same for a while.
    pub(crate) rested: bool,
    own: Duration,
    reaped: Duration,
}

/// Processor time between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) daemons: Duration,
    pub(crate) children: Duration,
}

impl Spent {
    pub(crate) fn total(self) -> Duration {
        self.daemons + self.children
    }
}

impl Reading {
    /// Reads the tree below `root`; `server` is the command name of the servers in it.
    pub(crate) fn take(root: i32, server: &str) -> Self {
        let all = every_process();
        let mut reading = Self::default();
        let mut known = BTreeSet::from([root]);
        // A child may have a smaller pid than its parent: look until nothing is new.
        loop {
            let before = known.len();
            known.extend(
                all.iter().filter(|s| known.contains(&s.parent)).map(|s| s.pid).collect::<Vec<_>>(),
            );
            if known.len() == before {
                break;
            }
        }
        for stat in all.iter().filter(|s| known.contains(&s.pid)) {
            if stat.command == server {
                reading.servers += 1;
            } else {
                reading.daemons.insert(stat.pid);
                reading.own += stat.own.max(scheduled(stat.pid));
                reading.reaped += stat.reaped;
            }
        }
        reading
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> Spent {
        Spent {
            daemons: self.own.saturating_sub(earlier.own),
            children: self.reaped.saturating_sub(earlier.reaped),
        }
    }
}

fn every_process() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

/// See proc_pid_stat(5); the command may hold spaces and parentheses.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let (_, command) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        command: command.to_owned(),
        own: TICK * (ticks(11)? + ticks(12)?),
        reaped: TICK * (ticks(13)? + ticks(14)?),
    })
}

/// The time on a processor of all living threads, where the kernel keeps it.
fn scheduled(pid: i32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Duration::ZERO;
    };
    let nanos = |path: &Path| -> Option<u64> {
        fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(|t| nanos(&t.path())).sum())
}

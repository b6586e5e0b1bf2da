//! Which process has which socket: one walk through `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use crate::ctl::process::{self, Stat, uid};

/// A process that has a socket or may have children that have.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub pid: u32,
    pub parent: u32,
    /// The first word of its command line, without the directory; empty for a process without
    /// sockets.
    pub program: String,
    /// Whom it runs as; `None` as above.
    pub uid: Option<u32>,
    /// For how long it has run.
    pub age: Duration,
}

/// The processes of this machine, as far as we may see them.
#[derive(Debug, Default)]
pub(super) struct Processes {
    by_pid: HashMap<u32, Process>,
    /// By inode; the lowest number first.
    holders: HashMap<u64, Vec<u32>>,
    /// Those that do not show what they have open.
    pub hidden: HashSet<u32>,
}

impl Processes {
    pub(super) fn look() -> Self {
        let mut all = Self::default();
        let mut pids: Vec<u32> = process::all().collect();
        pids.sort_unstable();
        let clock = Clock::read();
        for pid in pids {
            all.add(pid, &clock);
        }
        all
    }

    /// One that has ended meanwhile is left out.
    fn add(&mut self, pid: u32, clock: &Clock) {
        let directory = process::directory(pid);
        let Some((parent, age)) = stat(&directory, clock) else { return };
        let mut process = Process { pid, parent, age, ..Process::default() };
        match sockets(&directory) {
            Some(inodes) if inodes.is_empty() => {}
            Some(inodes) => {
                process.program = program(&directory);
                process.uid = uid(&directory);
                for inode in inodes {
                    self.holders.entry(inode).or_default().push(pid);
                }
            }
            None if directory.exists() => {
                self.hidden.insert(pid);
            }
            None => return,
        }
        self.by_pid.insert(pid, process);
    }

    /// Who has the socket, the lowest number first.
    pub(super) fn holders(&self, inode: u64) -> impl Iterator<Item = &Process> {
        let pids = self.holders.get(&inode).into_iter().flatten();
        pids.filter_map(|pid| self.by_pid.get(pid))
    }

    /// `roots` and all that descends from them, each with the nearest of its line, itself
    /// included, for which `known` has an answer.
    pub(super) fn family<T: Copy>(
        &self,
        roots: &[u32],
        known: impl Fn(u32) -> Option<T>,
    ) -> HashMap<u32, Option<T>> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for process in self.by_pid.values() {
            children.entry(process.parent).or_default().push(process.pid);
        }
        let mut family = HashMap::new();
        let mut to_do: Vec<_> = roots.iter().map(|root| (*root, None)).collect();
        while let Some((pid, of_parent)) = to_do.pop() {
            let of_this = known(pid).or(of_parent);
            if family.insert(pid, of_this).is_none() {
                let children = children.get(&pid).into_iter().flatten();
                to_do.extend(children.map(|child| (*child, of_this)));
            }
        }
        family
    }
}

/// What ages are counted by.
struct Clock {
    since_boot: Duration,
    ticks_a_second: u64,
}

impl Clock {
    fn read() -> Self {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten();
        Self {
            since_boot: since_boot.unwrap_or_default(),
            ticks_a_second: ticks.and_then(|ticks| ticks.try_into().ok()).unwrap_or(100),
        }
    }

    /// The time since something that was so many ticks after the boot.
    fn since(&self, ticks: u64) -> Duration {
        self.since_boot.saturating_sub(Duration::from_secs(ticks / self.ticks_a_second.max(1)))
    }
}

/// Parent and age.
fn stat(directory: &Path, clock: &Clock) -> Option<(u32, Duration)> {
    let stat = Stat::read(directory)?;
    Some((stat.field(4)?, clock.since(stat.field(22)?)))
}

/// The inodes of its sockets, each once; `None`: they are not shown.
fn sockets(directory: &Path) -> Option<HashSet<u64>> {
    let descriptors = fs::read_dir(directory.join("fd")).ok()?;
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Some(descriptors.flatten().filter_map(inode).collect())
}

/// As netstat shows it: a path without its directories, a title such as `sshd: me@pts/0` whole.
fn program(directory: &Path) -> String {
    let line = fs::read(directory.join("cmdline")).unwrap_or_default();
    let word = String::from_utf8_lossy(line.split(|byte| *byte == 0).next().unwrap_or_default());
    match word.starts_with('/') || !word.contains(' ') {
        true => word.rsplit('/').next().unwrap_or_default().to_owned(),
        false => word.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;
    use std::process;

    #[test]
    fn this_process_holds_its_own_socket() {
        let socket = TcpListener::from(std::os::fd::OwnedFd::from(
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap(),
        ));
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit());
        let all = Processes::look();
        // A child that another test is about to execute has it, too.
        let mut holders = all.holders(inode.parse().unwrap());
        let holder = holders.find(|holder| holder.pid == process::id()).unwrap();
        assert!(holder.program.starts_with("xinetd_rs-"), "{holder:?}");
        assert_eq!(holder.uid, Some(nix::unistd::geteuid().as_raw()));
        assert!(holder.age < Duration::from_secs(3600), "{holder:?}");
    }

    #[test]
    fn what_is_known_of_a_process_holds_for_its_children() {
        let mut all = Processes::default();
        for (pid, parent) in [(1, 0), (10, 1), (11, 10), (12, 11), (13, 12), (20, 1)] {
            all.by_pid.insert(pid, Process { pid, parent, ..Process::default() });
        }
        let family = all.family(&[10], |pid| (pid == 12).then_some("pop3"));
        let expected =
            [(10, None), (11, None), (12, Some("pop3")), (13, Some("pop3"))].into_iter().collect();
        assert_eq!(family, expected);
    }
}

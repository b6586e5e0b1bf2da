//! Sessions that stay: does the last connection cost what the first one cost?

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    Record, Result,
    host::Workshop,
    in_turn,
    peer::{Daemon, Peer},
    stats::{self, Spread, json},
};

/// The two groups of sessions that are compared.
const GROUP: u16 = 200;
/// How long the servers may take to end once their clients are gone.
const TEARDOWN: Duration = Duration::from_secs(60);

/// One peer in one round; times are microseconds, the groups are first and last.
struct Held {
    peer: &'static str,
    p50: [f64; 2],
    cpu: [f64; 2],
    /// Milliseconds from the first close to the end of the last server.
    teardown: f64,
    rested: bool,
}

pub(crate) fn run(
    sessions: u16,
    rounds: usize,
    peers: &[Peer],
    shop: &Workshop,
    record: &mut Record,
) -> Result<()> {
    allow_files(u64::from(sessions) + 100)?;
    let mut all = Vec::new();
    for round in 0..rounds {
        for peer in in_turn(peers, round) {
            let held = measure(sessions, peer, shop)?;
            record.line(&held.json(sessions, round))?;
            all.push(held);
        }
    }
    println!(
        "\n{sessions} sessions held, {rounds} rounds: first {GROUP} and last {GROUP}, median [min-max]"
    );
    println!(
        "{:<10}{:<43}{:<20}{:<43}{:<20}teardown ms",
        "peer",
        "first byte p50 us: first, last",
        "last/first",
        "daemon cpu us: first, last",
        "last/first"
    );
    for peer in peers {
        let mine: Vec<&Held> = all.iter().filter(|h| h.peer == peer.name).collect();
        println!("{}", row(&mine, peer.name));
    }
    Ok(())
}

/// Every session is a file of ours, and some more of a daemon that inherits the limit.
fn allow_files(wanted: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < wanted {
        return Err(format!("{wanted} open files are needed, the limit is {hard}").into());
    }
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard)?)
}

fn measure(sessions: u16, peer: &Peer, shop: &Workshop) -> Result<Held> {
    let daemon = peer.start(shop, true)?;
    let before = daemon.at_rest(crate::REST);
    let mut open = Vec::with_capacity(usize::from(sessions));
    let first = group(&daemon, GROUP, &mut open)?;
    group(&daemon, sessions - 2 * GROUP, &mut open)?;
    let last = group(&daemon, GROUP, &mut open)?;
    let begin = Instant::now();
    drop(open);
    let after = daemon.at_rest(TEARDOWN);
    Ok(Held {
        peer: peer.name,
        p50: [first.0, last.0],
        cpu: [first.1, last.1],
        teardown: begin.elapsed().as_secs_f64() * 1e3,
        rested: after.rested && before.daemons == after.daemons,
    })
}

/// Opens `count` sessions, one after the other: p50 to the first byte, daemon time for each.
fn group(daemon: &Daemon, count: u16, open: &mut Vec<TcpStream>) -> Result<(f64, f64)> {
    let before = daemon.read();
    let mut latencies = Vec::new();
    for _ in 0..count {
        let (stream, latency) = crate::load::first_byte(daemon.address)
            .map_err(|e| format!("session {}: {e}", open.len() + 1))?;
        open.push(stream);
        latencies.push(latency);
    }
    let spent = daemon.read().since(&before);
    latencies.sort_unstable();
    Ok((stats::percentile(&latencies, 50), stats::per(spent.daemons, usize::from(count))))
}

impl Held {
    fn json(&self, sessions: u16, round: usize) -> String {
        let [p50_first, p50_last] = self.p50.map(json);
        let [cpu_first, cpu_last] = self.cpu.map(json);
        format!(
            r#"{{"kind":"held","peer":"{}","round":{round},"sessions":{sessions},"p50_first":{p50_first},"p50_last":{p50_last},"daemon_cpu_first":{cpu_first},"daemon_cpu_last":{cpu_last},"teardown_ms":{},"rested":{}}}"#,
            self.peer,
            json(self.teardown),
            self.rested,
        )
    }
}

fn row(mine: &[&Held], peer: &str) -> String {
    let over = |value: fn(&Held) -> f64| {
        let spread = Spread::of(mine.iter().map(|h| value(h)));
        spread.map_or_else(|| "-".to_owned(), |s| s.to_string())
    };
    let note = if mine.iter().all(|h| h.rested) { "" } else { "  ! did not come to rest" };
    format!(
        "{peer:<10}{:<43}{:<20}{:<43}{:<20}{}{note}",
        format!("{}, {}", over(|h| h.p50[0]), over(|h| h.p50[1])),
        over(|h| h.p50[1] / h.p50[0]),
        format!("{}, {}", over(|h| h.cpu[0]), over(|h| h.cpu[1])),
        over(|h| h.cpu[1] / h.cpu[0]),
        over(|h| h.teardown),
    )
}

//! Spawn bench: what a connection to a plain TCP `nowait` service costs with this daemon,
//! with the original xinetd, and with a bare accept, vfork, exec loop, in one interleaved run.
//!
//! Every cell (one peer, one number of clients) gets a fresh daemon and a fresh port. The
//! peers take turns within a round and the order rotates from round to round, so a change in
//! the machine's mood falls on all of them.
//!
//! Each daemon is started in the same way: by `setsid`, in a session of its own, because
//! with `sched_autogroup` the scheduler shares the processors between sessions first. A
//! daemon whose servers call setsid(2) (the original's do, the floor's do not) is still
//! scheduled a little differently: trust the processor time more than the rate.
//!
//! `benches/README.md` tells how to run it and how to read it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

mod args;
mod begin;
mod config;
mod held;
mod host;
mod load;
mod peer;
mod process;
mod report;
mod stats;

use std::{
    error::Error,
    fs::{File, OpenOptions},
    io::Write as _,
    process::ExitCode,
    time::Duration,
};

use args::Args;
use clap::Parser as _;
use host::{Watch, Workshop};
use load::Load;
use peer::Peer;
use report::Cell;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long the processes of a daemon may take to come to rest after the last connection.
const REST: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let args = Args::parse();
    begin::begin("spawn", args.bench, || run(&args))
}

fn run(args: &Args) -> Result<()> {
    let shop = Workshop::open(args.config_out.as_deref())?;
    let mut record = Record::create(args)?;
    let machine = host::Machine::look();
    println!("{machine}");
    record.line(&machine.json())?;
    let mut peers = Vec::new();
    for peer in peer::all(args, &shop) {
        match peer.try_out(&shop) {
            Ok(()) => {
                println!("{:<9} {}", peer.name, peer.program.display());
                peers.push(peer);
            }
            Err(why) => println!("left out  {why}"),
        }
    }
    match args.held {
        Some(sessions) => held::run(sessions, args.rounds(), &peers, &shop, &mut record)?,
        None => spawn(args, &peers, &shop, &mut record)?,
    }
    println!("\nload average at the end: {}", host::load_average());
    Ok(())
}

fn spawn(args: &Args, peers: &[Peer], shop: &Workshop, record: &mut Record) -> Result<()> {
    let mut cells = Vec::new();
    for round in 0..args.rounds() {
        for clients in args.clients.iter().copied() {
            for peer in in_turn(peers, round) {
                let load = Load { clients, connections: args.connections(clients) };
                let cell = measure(peer, round, load, shop)?;
                eprintln!("round {:>2}: {}", round + 1, report::progress(&cell));
                record.line(&report::cell_json(&cell))?;
                cells.push(cell);
            }
        }
    }
    print!("{}", report::tables(&cells));
    let ratios = report::ratios(&cells);
    print!("{}", report::ratio_table(&ratios));
    ratios.iter().try_for_each(|ratio| record.line(&report::ratio_json(ratio)))
}

/// The peers in the order of this round: A B C, B C A, C A B.
fn in_turn(peers: &[Peer], round: usize) -> impl Iterator<Item = &Peer> {
    peers.iter().cycle().skip(round % peers.len().max(1)).take(peers.len())
}

/// One cell: a fresh daemon, the load, the processor time in between.
fn measure(peer: &Peer, round: usize, load: Load, shop: &Workshop) -> Result<Cell> {
    let daemon = peer.start(shop, false)?;
    let before = daemon.at_rest(REST);
    let watch = Watch::start();
    let outcome = load::run(daemon.address, load);
    let after = daemon.at_rest(REST);
    let spent = after.since(&before);
    let mut notes = outcome.notes();
    if !(before.rested && after.rested && before.daemons == after.daemons) {
        notes.push("the daemon's processes changed or did not come to rest".to_owned());
    }
    Ok(Cell {
        peer: peer.name,
        round,
        load,
        rate: outcome.rate(),
        p50: stats::percentile(&outcome.latencies, 50),
        p99: stats::percentile(&outcome.latencies, 99),
        cpu: stats::per(spent.total(), outcome.latencies.len()),
        daemon_cpu: stats::per(spent.daemons, outcome.latencies.len()),
        others: watch.others(spent.total()),
        errors: outcome.errors,
        notes,
    })
}

/// The JSON lines, if somebody wants them.
struct Record(Option<File>);

impl Record {
    fn create(args: &Args) -> Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(args.json.as_ref().map(open).transpose()?))
    }

    fn line(&mut self, json: &str) -> Result<()> {
        if let Some(file) = &mut self.0 {
            writeln!(file, "{json}")?;
        }
        Ok(())
    }
}

//! Relay bench: what it costs to pass connections on, with this daemon, the original xinetd and
//! haproxy, in one interleaved run; `direct` is the same without anybody between.
//!
//! In each round every peer is started once and runs all cells; the order of the peers rotates
//! from round to round, so a change in the machine's mood falls on all of them.
//!
//! `benches/README.md` tells how to run it and how to read it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench starts daemons, and plays the target")]

#[path = "../spawn/begin.rs"]
mod begin;
mod load;
mod peer;
#[path = "../spawn/process.rs"]
#[expect(dead_code, reason = "the other bench asks for more")]
mod process;
mod report;
#[path = "../spawn/stats.rs"]
#[expect(dead_code, reason = "the other bench asks for more")]
mod stats;
mod target;

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use load::Load;
use peer::{Peer, Running};
use report::Cell;
use target::Targets;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
#[command(name = "relay")]
struct Args {
    /// How many rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Numbers of clients that connect one after the other
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    clients: Vec<usize>,
    /// Connections in one cell
    #[arg(long, default_value_t = 4000)]
    connections: usize,
    /// Numbers of streams
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    streams: Vec<usize>,
    /// Mebibytes that all streams of a cell carry together
    #[arg(long, default_value_t = 1024)]
    mebibytes: u64,
    /// Connections that are held and say nothing; 0: none
    #[arg(long, default_value_t = 2000)]
    idle: usize,
    /// Peers, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    #[arg(long, default_value = "/usr/sbin/xinetd")]
    original: PathBuf,
    #[arg(long, default_value = env!("CARGO_BIN_EXE_xinetd"))]
    ours: PathBuf,
    #[arg(long, default_value = "/usr/sbin/haproxy")]
    haproxy: PathBuf,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    begin::begin("relay", args.bench, || run(&args))
}

fn run(args: &Args) -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let targets = Targets::open()?;
    let peers: Vec<_> = peer::all(args).into_iter().filter(Peer::is_there).collect();
    println!("load average at the start: {}", load_average());
    let mut cells = Vec::new();
    for round in 0..args.rounds {
        for peer in peers.iter().cycle().skip(round % peers.len().max(1)).take(peers.len()) {
            let running = peer.start(&targets)?;
            for load in loads(args) {
                match measure(&running, round, load) {
                    Ok(cell) => {
                        eprintln!("round {}: {cell}", round + 1);
                        cells.push(cell);
                    }
                    Err(why) => eprintln!("round {}: {} {load}: {why}", round + 1, peer.name),
                }
            }
        }
    }
    print!("{}", report::tables(&cells));
    println!("load average at the end: {}", load_average());
    Ok(())
}

fn loads(args: &Args) -> Vec<Load> {
    let bytes = args.mebibytes << 20;
    let connections = args.connections;
    let connect = args.clients.iter().map(|n| Load::Connect { clients: *n, connections });
    let receive = args.streams.iter().map(|n| Load::Receive { streams: *n, bytes });
    let send = args.streams.iter().map(|n| Load::Send { streams: *n, bytes });
    let idle = (args.idle > 0).then_some(Load::Idle { connections: args.idle });
    connect.chain(receive).chain(send).chain(idle).collect()
}

fn measure(running: &Running, round: usize, load: Load) -> Result<Cell> {
    let before = running.at_rest();
    let figure = load::run(running, load)?;
    let spent = running.at_rest().since(&before).total();
    Ok(Cell { peer: running.name, round, load, figure, spent })
}

fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

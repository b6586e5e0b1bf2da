//! The command line of the bench.

use std::path::PathBuf;

use clap::Parser;

/// Compare this daemon, the original xinetd and a bare accept-vfork-exec loop.
#[derive(Parser, Debug)]
#[command(name = "spawn")]
pub(crate) struct Args {
    /// Fewer connections and rounds: minutes become seconds, and the figures coarser
    #[arg(long)]
    pub(crate) quick: bool,

    /// Rounds; in each one every peer runs once per number of clients [default: 5, quick: 2]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Numbers of clients
    #[arg(long, value_name = "N,N...", value_delimiter = ',', default_value = "1,8,64")]
    pub(crate) clients: Vec<usize>,

    /// Connections per cell, instead of 1000 with one client and 3000 with more (quick: 300, 1000)
    #[arg(long, value_name = "N")]
    connections: Option<usize>,

    /// The original xinetd [default: xinetd from PATH or /usr/sbin]
    #[arg(long, value_name = "PATH")]
    pub(crate) original: Option<PathBuf>,

    /// This daemon
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_xinetd"))]
    pub(crate) ours: PathBuf,

    /// Peers to run, by name (ours, original, floor)
    #[arg(long, value_name = "NAME,NAME...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// Hold N sessions open and compare the first 200 with the last 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(400..=15000))]
    pub(crate) held: Option<u16>,

    /// Write configuration, logs and messages of the daemons here and keep them
    #[arg(long, value_name = "DIR")]
    pub(crate) config_out: Option<PathBuf>,

    /// Append every figure to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Passed by `cargo bench`, but not by `cargo test --all-targets`
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Args {
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    /// Enough connections that the 10 ms tick of a reaped child's time does not matter.
    pub(crate) fn connections(&self, clients: usize) -> usize {
        let usual = match (clients, self.quick) {
            (1, false) => 1000,
            (_, false) => 3000,
            (1, true) => 300,
            (_, true) => 1000,
        };
        self.connections.unwrap_or(usual).max(clients)
    }
}

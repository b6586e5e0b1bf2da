//! Load bench: what it takes to read many services, with this daemon and with the original
//! xinetd, in one file and in an includedir, in one interleaved run.
//!
//! The original has no check mode, so both daemons are started, which opens every socket, and
//! are then told to reload what has not changed, which opens none: the reload is the reading.
//! Both get the same limit of descriptors, because the original looks at every one of them.
//!
//! `benches/README.md` tells how to run it and how to read it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench starts daemons, not servers")]

#[path = "../spawn/begin.rs"]
mod begin;
mod daemon;
mod shape;

use std::{
    error::Error,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use daemon::{Daemon, Times};
use shape::Shape;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Descriptors beside the sockets of the services.
const SPARE: u64 = 1000;

#[derive(Debug, Parser)]
struct Args {
    /// How many services
    #[arg(long, default_value_t = 5000)]
    services: usize,
    /// How many rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// At how many services the growth is measured, with `xinetctl check`
    #[arg(long, value_delimiter = ',', default_values_t = [5000, 10_000, 20_000, 50_000])]
    growth: Vec<usize>,
    #[arg(long, default_value = "/usr/sbin/xinetd")]
    original: PathBuf,
    #[arg(long, default_value = env!("CARGO_BIN_EXE_xinetd"))]
    ours: PathBuf,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    begin::begin("load", args.bench, || side_by_side(&args).and_then(|()| growth(&args)))
}

/// Start and reload of both daemons; the order within a round turns.
fn side_by_side(args: &Args) -> Result<()> {
    let wanted = u64::try_from(args.services)? + SPARE;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < wanted {
        return Err(format!("{wanted} descriptors are needed, the limit is {hard}").into());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    println!("{} services, {} rounds, ulimit -n {wanted}", args.services, args.rounds);
    println!(
        "median [min-max], ms           start wall         start cpu       reload wall        reload cpu"
    );
    for shape in [Shape::OneFile, Shape::Directory] {
        let stage = shape.write(args.services)?;
        let mut peers = vec![("ours", &args.ours, Vec::new())];
        match args.original.exists() {
            true => peers.push(("original", &args.original, Vec::new())),
            false => println!("left out: there is no {}", args.original.display()),
        }
        for _ in 0..args.rounds {
            for (_, program, found) in &mut peers {
                let mut daemon = Daemon::start(program, &stage)?;
                found.push(Times { start: daemon.started()?, reload: daemon.reload()? });
            }
            peers.rotate_left(1);
        }
        peers.sort_by_key(|(name, ..)| std::cmp::Reverse(*name));
        for (name, _, found) in &peers {
            let columns = Times::COLUMNS.map(|column| spread(found.iter().map(column)));
            println!("{:<12}{name:<10}{}", shape.name(), columns.concat());
        }
        if let [(_, _, ours), (_, _, original)] = &peers[..] {
            let ratios = Times::COLUMNS.map(|column| {
                let pairs = ours.iter().map(column).zip(original.iter().map(column));
                spread(pairs.map(|(ours, original)| ours / original))
            });
            println!("{:<12}{:<10}{}", "", "ratio", ratios.concat());
        }
    }
    Ok(())
}

/// What `xinetctl check` takes, which opens no socket: it must grow like the files.
fn growth(args: &Args) -> Result<()> {
    println!("\nxinetctl check, ms for each 1000 services");
    for shape in [Shape::OneFile, Shape::Directory] {
        print!("{:<12}", shape.name());
        for services in args.growth.iter().copied() {
            let stage = shape.write(services)?;
            let best = (0..args.rounds).map(|_| check(&stage)).min().unwrap_or_default();
            let each = best.as_secs_f64() * 1e6 / f64::from(u32::try_from(services)?);
            print!("  {services}: {each:.1}");
        }
        println!();
    }
    Ok(())
}

fn check(stage: &shape::Stage) -> Duration {
    let start = Instant::now();
    let mut check = Command::new(env!("CARGO_BIN_EXE_xinetctl"));
    let done = check.arg("check").arg(&stage.main).stdout(Stdio::null()).status();
    if done.is_ok_and(|status| status.success()) { start.elapsed() } else { Duration::MAX }
}

/// Median, smallest and largest.
fn spread(figures: impl Iterator<Item = f64>) -> String {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |position: usize| sorted.get(position).copied().unwrap_or(f64::NAN);
    let digits = if at(0) < 20.0 { 2 } else { 0 };
    let (low, middle, high) = (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)));
    format!("{:>18}", format!("{middle:.digits$} [{low:.digits$}-{high:.digits$}]"))
}

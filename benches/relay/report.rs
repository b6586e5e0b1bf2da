//! The figures as tables.

use std::{fmt, fmt::Write as _, time::Duration};

use crate::{
    load::Load,
    stats::{Figure, Spread},
};

/// One peer under one load in one round.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) peer: &'static str,
    pub(crate) round: usize,
    pub(crate) load: Load,
    /// In the unit of the load.
    pub(crate) figure: f64,
    /// Processor time of all its processes.
    pub(crate) spent: Duration,
}

impl Cell {
    /// Milliseconds for a thousand connections, or for a gigabyte.
    fn cpu(&self) -> f64 {
        self.spent.as_secs_f64() * 1e3 / self.load.amount()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figure, unit, cpu) = (Figure(self.figure), self.load.unit(), self.cpu());
        write!(f, "{:<14} {:<11} {figure} {unit}", self.peer, self.load)?;
        if cpu.is_nan() { Ok(()) } else { write!(f, ", {} ms cpu", Figure(cpu)) }
    }
}

/// Every load with its peers, and the ratios of ours to theirs, taken round by round.
pub(crate) fn tables(cells: &[Cell]) -> String {
    let mut text = String::new();
    for load in distinct(cells.iter().map(|cell| cell.load)) {
        let _ = writeln!(text, "\n{load}, median [min-max]");
        let here: Vec<_> = cells.iter().filter(|cell| cell.load == load).collect();
        for peer in distinct(here.iter().map(|cell| cell.peer)) {
            let of = |value: fn(&Cell) -> f64| {
                Spread::of(here.iter().filter(|cell| cell.peer == peer).map(|cell| value(cell)))
            };
            let figure = of(|cell| cell.figure).map_or_else(String::new, |s| s.to_string());
            let cpu = of(Cell::cpu).map_or_else(String::new, |s| format!("{s} ms cpu"));
            let ratio = ratio(&here, peer).map_or_else(String::new, |s| format!("ours/{peer} {s}"));
            let line = format!("  {peer:<14} {figure:<24} {:<9}{cpu:<28} {ratio}", load.unit());
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

fn ratio(here: &[&Cell], peer: &str) -> Option<Spread> {
    let of = |peer: &str, round| {
        let found = here.iter().find(|cell| cell.peer == peer && cell.round == round);
        found.map(|cell| cell.figure)
    };
    let rounds = here.iter().filter(|cell| cell.peer == peer && peer != "ours");
    Spread::of(rounds.filter_map(|cell| Some(of("ours", cell.round)? / cell.figure)))
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut found, one| {
        if !found.contains(&one) {
            found.push(one);
        }
        found
    })
}

//! The tables, the ratios with their goals, and the JSON lines.

use std::collections::BTreeSet;

use crate::{
    load::Load,
    stats::{Figure, Spread, json},
};

/// One peer under one load in one round; times are microseconds.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) peer: &'static str,
    pub(crate) round: usize,
    pub(crate) load: Load,
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) cpu: f64,
    pub(crate) daemon_cpu: f64,
    /// The share of the machine that went to other work, in percent.
    pub(crate) others: f64,
    pub(crate) errors: usize,
    pub(crate) notes: Vec<String>,
}

/// What is compared, and what the ratio ours/original should be: now, and later.
struct Measure {
    name: &'static str,
    title: &'static str,
    value: fn(&Cell) -> f64,
    higher: bool,
    goal: fn(usize) -> Option<[f64; 2]>,
}

const MEASURES: [Measure; 5] = [
    Measure {
        name: "rate",
        title: "conn/s",
        value: |c| c.rate,
        higher: true,
        goal: |clients| (clients >= 8).then_some([1.5, 2.2]),
    },
    Measure {
        name: "p50",
        title: "first byte p50 us",
        value: |c| c.p50,
        higher: false,
        goal: |_| None,
    },
    Measure {
        name: "p99",
        title: "first byte p99 us",
        value: |c| c.p99,
        higher: false,
        goal: |_| None,
    },
    Measure {
        name: "cpu",
        title: "cpu us/conn",
        value: |c| c.cpu,
        higher: false,
        goal: |_| Some([0.6, 0.4]),
    },
    Measure {
        name: "daemon_cpu",
        title: "of it daemon",
        value: |c| c.daemon_cpu,
        higher: false,
        goal: |_| None,
    },
];

const PAIRS: [[&str; 2]; 3] = [["ours", "original"], ["ours", "floor"], ["original", "floor"]];

pub(crate) fn progress(cell: &Cell) -> String {
    format!(
        "{:>2} clients, {:<8} {:>6} conn/s, p50 {:>5} us, cpu {:>4} us/conn, others {:>2.0} %{}",
        cell.load.clients,
        cell.peer,
        Figure(cell.rate),
        Figure(cell.p50),
        Figure(cell.cpu),
        cell.others,
        marks(cell),
    )
}

fn marks(cell: &Cell) -> String {
    if cell.errors == 0 && cell.notes.is_empty() {
        return String::new();
    }
    format!("  ! {} errors; {}", cell.errors, cell.notes.join("; "))
}

/// One table for each number of clients: medians over the rounds [min-max].
pub(crate) fn tables(cells: &[Cell]) -> String {
    let mut text = String::new();
    for clients in levels(cells) {
        let here: Vec<&Cell> = cells.iter().filter(|c| c.load.clients == clients).collect();
        let connections = here.first().map_or(0, |c| c.load.connections);
        let rounds = here.iter().map(|c| c.round).collect::<BTreeSet<_>>().len();
        text += &format!(
            "\n{clients} clients, {connections} connections, {rounds} rounds: median [min-max]\n"
        );
        text += &format!("{:<10}", "peer");
        for measure in &MEASURES {
            text += &format!("{:<23}", measure.title);
        }
        text += "others %  errors\n";
        for peer in names(&here) {
            text += &row(peer, here.iter().copied().filter(|c| c.peer == peer));
        }
    }
    text
}

fn row<'a>(peer: &str, cells: impl Iterator<Item = &'a Cell>) -> String {
    let cells: Vec<&Cell> = cells.collect();
    let mut text = format!("{peer:<10}");
    for measure in &MEASURES {
        let spread = Spread::of(cells.iter().map(|c| (measure.value)(c)));
        text += &format!("{:<23}", spread.map_or_else(|| "-".to_owned(), |s| s.to_string()));
    }
    let others = Spread::of(cells.iter().map(|c| c.others)).map_or(f64::NAN, |s| s.median);
    text += &format!("{others:<10.0}{}\n", cells.iter().map(|c| c.errors).sum::<usize>());
    for cell in cells {
        let marks = marks(cell);
        if !marks.is_empty() {
            text += &format!("          round {}{marks}\n", cell.round + 1);
        }
    }
    text
}

/// A ratio of two peers, taken round by round.
pub(crate) struct Ratio {
    clients: usize,
    measure: &'static Measure,
    pair: [&'static str; 2],
    spread: Spread,
}

impl Ratio {
    fn goal(&self) -> Option<[f64; 2]> {
        (self.measure.goal)(self.clients).filter(|_| self.pair == ["ours", "original"])
    }

    fn meets(&self, goal: f64) -> bool {
        if self.measure.higher { self.spread.median >= goal } else { self.spread.median <= goal }
    }
}

/// Every ratio that the run has both peers for; a round with errors counts for neither.
pub(crate) fn ratios(cells: &[Cell]) -> Vec<Ratio> {
    let good: Vec<&Cell> = cells.iter().filter(|c| c.errors == 0).collect();
    let mut ratios = Vec::new();
    for pair in PAIRS {
        for clients in levels(cells) {
            let of =
                |peer| good.iter().filter(move |c| c.peer == peer && c.load.clients == clients);
            for measure in &MEASURES {
                let by_round = of(pair[0]).filter_map(|one| {
                    let other = of(pair[1]).find(|c| c.round == one.round)?;
                    Some((measure.value)(one) / (measure.value)(other))
                });
                if let Some(spread) = Spread::of(by_round) {
                    ratios.push(Ratio { clients, measure, pair, spread });
                }
            }
        }
    }
    ratios
}

pub(crate) fn ratio_table(ratios: &[Ratio]) -> String {
    if ratios.is_empty() {
        return String::new();
    }
    let mut text =
        String::from("\nratios, each round without errors by itself: median [min-max]\n");
    for pair in PAIRS {
        let mut here = ratios.iter().filter(|r| r.pair == pair).peekable();
        if here.peek().is_none() {
            continue;
        }
        let [one, other] = pair;
        let goal = if pair == ["ours", "original"] { "goal            later" } else { "" };
        let head = format!("{one} / {other}");
        text += format!("\n{head:<20}{:<20}{:<22}{goal}", "measure", "ratio").trim_end();
        text += "\n";
        for ratio in here {
            let clients = format!("{} clients", ratio.clients);
            let spread = ratio.spread.to_string();
            let line = format!("{clients:<20}{:<20}{spread:<22}", ratio.measure.title);
            text += (line + &goals(ratio)).trim_end();
            text += "\n";
        }
    }
    text
}

fn goals(ratio: &Ratio) -> String {
    let sign = if ratio.measure.higher { ">=" } else { "<=" };
    let mut text = String::new();
    for goal in ratio.goal().into_iter().flatten() {
        let verdict = if ratio.meets(goal) { "met" } else { "missed" };
        text += &format!("{:<16}", format!("{sign} {goal} {verdict}"));
    }
    text
}

pub(crate) fn cell_json(cell: &Cell) -> String {
    let mut text = format!(
        r#"{{"kind":"cell","peer":"{}","round":{},"clients":{},"connections":{},"errors":{}"#,
        cell.peer, cell.round, cell.load.clients, cell.load.connections, cell.errors
    );
    for measure in &MEASURES {
        text += &format!(r#","{}":{}"#, measure.name, json((measure.value)(cell)));
    }
    text + &format!(r#","others":{},"notes":{:?}}}"#, json(cell.others), cell.notes)
}

pub(crate) fn ratio_json(ratio: &Ratio) -> String {
    let goal = ratio.goal().map_or("null".to_owned(), |[now, _]| now.to_string());
    format!(
        r#"{{"kind":"ratio","of":"{}","to":"{}","clients":{},"measure":"{}","median":{},"min":{},"max":{},"goal":{goal}}}"#,
        ratio.pair[0],
        ratio.pair[1],
        ratio.clients,
        ratio.measure.name,
        json(ratio.spread.median),
        json(ratio.spread.min),
        json(ratio.spread.max),
    )
}

fn levels(cells: &[Cell]) -> BTreeSet<usize> {
    cells.iter().map(|c| c.load.clients).collect()
}

/// The peers in the order in which they first ran.
fn names(cells: &[&Cell]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for cell in cells {
        if !names.contains(&cell.peer) {
            names.push(cell.peer);
        }
    }
    names
}

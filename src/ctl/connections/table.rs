//! A table whose columns line up, on a terminal of any width.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::ctl::columns::{Align, cut};

/// A column, as wide as its longest cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub title: &'static str,
    /// In characters; it is never narrower.
    pub least: usize,
    pub align: Align,
}

/// What stands in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    /// Cut as netstat does it: of a long one the end of the host is missing, not the port.
    Address {
        host: String,
        port: String,
    },
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl Cell {
    fn width(&self) -> usize {
        match self {
            Self::Text(text) => characters(text),
            Self::Address { host, port } => characters(host) + 1 + characters(port),
        }
    }

    fn fit(&self, width: usize) -> Cow<'_, str> {
        match self {
            Self::Text(text) => first(text, width).into(),
            Self::Address { host, port } => {
                // netstat's: the port keeps what is left by four characters.
                let port = first(port, width.saturating_sub(5));
                let room = width.saturating_sub(1 + characters(port));
                format!("{}:{port}", first(host, room)).into()
            }
        }
    }
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

/// The first characters of `text`.
fn first(text: &str, count: usize) -> &str {
    let end = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// How far the second line of a row begins to the right.
const INDENT: usize = 6;

/// Rows, all with a cell for each column.
#[derive(Debug)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    /// How many of them are netstat's own first ones. The others have a line of their own where
    /// one line has not enough room for all.
    pub first: usize,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// With a line of titles. No line is longer than `limit`, if there is one.
    pub(super) fn text(&self, limit: Option<usize>) -> String {
        let mut text = String::new();
        let widest = self.widest();
        let Some(limit) = limit else {
            self.write(&mut text, &[(0, 0, &widest)]);
            return text;
        };
        let mut widths = widest.clone();
        if self.squeeze(&mut widths, 0, limit) {
            self.write(&mut text, &[(0, 0, &widths)]);
            return text;
        }
        let mut upper = widest.get(..self.first).unwrap_or(&widest).to_vec();
        let mut lower = widest.get(self.first..).unwrap_or_default().to_vec();
        self.squeeze(&mut upper, 0, limit);
        self.squeeze(&mut lower, self.first, limit.saturating_sub(INDENT));
        self.write(&mut text, &[(0, 0, &upper), (self.first, INDENT, &lower)]);
        // A terminal may be narrower than netstat's columns.
        cut(&text, limit)
    }

    fn widest(&self) -> Vec<usize> {
        let mut widths: Vec<usize> =
            self.columns.iter().map(|column| column.least.max(column.title.len())).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }

    /// Makes `widths`, those of the columns from `from` on, so narrow that they fit, the widest
    /// first; whether they do.
    fn squeeze(&self, widths: &mut [usize], from: usize, limit: usize) -> bool {
        let least = |at: usize| self.columns.get(from + at).map_or(0, |column| column.least);
        loop {
            let total = widths.iter().map(|width| width + 1).sum::<usize>().saturating_sub(1);
            if total <= limit {
                return true;
            }
            let wide = widths.iter_mut().enumerate().filter(|(at, width)| **width > least(*at));
            let Some((_, widest)) = wide.max_by_key(|(_, width)| **width) else { return false };
            *widest -= 1;
        }
    }

    /// Each part of a row is a line: its first column, how far it begins to the right, and widths.
    fn write(&self, text: &mut String, parts: &[(usize, usize, &[usize])]) {
        let titles: Vec<Cell> = self.columns.iter().map(|column| column.title.into()).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            for (from, indent, widths) in parts {
                let line_begins = text.len();
                text.extend(std::iter::repeat_n(' ', *indent));
                let columns = self.columns.iter().zip(row).skip(*from);
                for ((column, cell), width) in columns.zip(*widths) {
                    let (cell, width) = (cell.fit(*width), *width);
                    let _never_fails = match column.align {
                        Align::Right => write!(text, "{cell:>width$} "),
                        Align::Left => write!(text, "{cell:<width$} "),
                    };
                }
                text.truncate(text.trim_end().len().max(line_begins));
                text.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(host: &str) -> Table {
        let column = |title, least, align| Column { title, least, align };
        let address =
            |host: &str, port: &str| Cell::Address { host: host.into(), port: port.into() };
        Table {
            columns: vec![
                column("Proto", 5, Align::Left),
                column("Recv-Q", 6, Align::Right),
                column("Local Address", 23, Align::Left),
                column("State", 11, Align::Left),
                column("Service", 7, Align::Left),
                column("Age", 5, Align::Right),
            ],
            first: 4,
            rows: vec![vec![
                "tcp6".into(),
                "17".into(),
                address(host, "51002"),
                "ESTABLISHED".into(),
                "pop3".into(),
                "00:07".into(),
            ]],
        }
    }

    const LONG: &str = "2001:db8:1234:5678:9abc:def0:1234:5678";

    #[test]
    fn where_there_is_room_nothing_is_cut() {
        let expected = format!(
            "Proto Recv-Q {:44} State       Service   Age\n\
             tcp6      17 {LONG}:51002 ESTABLISHED pop3    00:07\n",
            "Local Address"
        );
        assert_eq!(table(LONG).text(None), expected);
        assert_eq!(table(LONG).text(Some(83)), expected);
    }

    #[test]
    fn addresses_are_cut_first_and_then_there_are_two_lines() {
        assert_eq!(
            table(LONG).text(Some(62)),
            "Proto Recv-Q Local Address           State       Service   Age\n\
             tcp6      17 2001:db8:1234:567:51002 ESTABLISHED pop3    00:07\n"
        );
        assert_eq!(
            table(LONG).text(Some(61)),
            format!(
                "Proto Recv-Q {:36} State\n      Service   Age\n\
                 tcp6      17 2001:db8:1234:5678:9abc:def0:1:51002 ESTABLISHED\n      pop3    00:07\n",
                "Local Address"
            )
        );
        let cut = table(LONG).text(Some(20));
        assert!(cut.lines().all(|line| line.len() <= 20), "{cut}");
    }

    #[test]
    fn a_line_never_ends_in_blanks_and_an_empty_cell_keeps_its_place() {
        let mut table = table("::1");
        table.rows =
            vec![vec!["udp".into(), "0".into(), "x".into(), "".into(), "y".into(), "".into()]];
        let text = table.text(None);
        assert_eq!(text.lines().nth(1).unwrap(), format!("udp        0 {:23} {:11} y", "x", ""));
    }
}

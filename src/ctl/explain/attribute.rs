//! `xinetctl explain --attribute`: all that the table of attributes knows.

use std::fmt;
use std::process::ExitCode;

use crate::config;
use crate::config::attr::{Miscount, Operators, Row, Scope, TABLE, Values};
use crate::diag::printable;

use super::complain;

/// How long a line of text may be.
const WIDTH: usize = 78;

/// The page about the attribute `name`, or one line about each.
pub(super) fn run(name: Option<&str>) -> ExitCode {
    let text = match name {
        None => TABLE.iter().map(|row| format!("{:<15} {}\n", row.name(), row.summary)).collect(),
        Some(name) => match find(name) {
            Some(row) => Page(row).to_string(),
            None => return unknown(name),
        },
    };
    crate::ctl::printed(crate::ctl::print(&text), ExitCode::SUCCESS)
}

/// By any spelling, in any case (PARSE-6).
fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.names.iter().any(|one| one.eq_ignore_ascii_case(name)))
}

fn unknown(name: &str) -> ExitCode {
    let hint = config::nearest(name, TABLE.iter().flat_map(|row| row.names.iter().copied()));
    let hint = hint.map_or_else(
        || "; `xinetctl explain --attribute` lists all".to_owned(),
        |hint| format!("; did you mean `{hint}`?"),
    );
    complain(&printable(&format!("there is no attribute `{name}`{hint}")))
}

struct Page(&'static Row);

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.0;
        for name in row.names {
            writeln!(f, "{name} = {}", row.form)?;
        }
        writeln!(f, "\n  {}\n", row.summary)?;
        fact(f, "default", row.default)?;
        fact(f, "stands in", stands_in(row.scope))?;
        fact(f, "values", values(row.values))?;
        fact(f, "operators", operators(row))?;
        fact(f, "lines", lines(row))?;
        let origin = match row.extension {
            true => "ours: xinetd 2.3.15 ignores the line, with a message",
            false => "xinetd",
        };
        fact(f, "comes from", &format!("{origin} ({})", row.spec))?;
        if row.text.is_empty() { Ok(()) } else { write!(f, "\n{}", wrapped(row.text)) }
    }
}

fn fact(f: &mut fmt::Formatter<'_>, what: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {what:<12} {value}")
}

/// DEF-2, DEF-3
const fn stands_in(scope: Scope) -> &'static str {
    match scope {
        Scope::Service => "services",
        Scope::Both => "services and `defaults`",
        Scope::Defaults => "`defaults`",
    }
}

/// PARSE-3, PARSE-13, PARSE-14, ATTR-39
const fn values(values: Values) -> &'static str {
    match (values.min, values.max, values.miscount) {
        (0, _, _) => "any number; a comment behind them is read as more of them",
        (1, 1, Miscount::Ignored) => "one; with more, such as a comment, the line is NOT in force",
        (1, 1, Miscount::Rejected) => "one; with more, such as a comment, the service is left out",
        (1, ..) => "one or more; a comment behind them is read as more of them",
        (..) => "two; with more, such as a comment, the line is NOT in force",
    }
}

/// PARSE-16, ATTR-43, DEF-4, DEF-5
const fn operators(row: &Row) -> &'static str {
    match (row.operators, row.scope) {
        (Operators::Set, _) => "=",
        (Operators::SetAdd, _) => "= begins the list anew, += adds to it",
        (Operators::All, Scope::Defaults) => "=, += and -= all add",
        (Operators::All, _) => "= begins anew (in `defaults` it adds), += adds, -= removes",
    }
}

/// PARSE-15
const fn lines(row: &Row) -> &'static str {
    if row.repeats { "several, one after the other" } else { "one; of several the first counts" }
}

/// `text` in lines of [`WIDTH`] at most, indented.
fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        if width > 0 && width + 1 + word.len() <= WIDTH {
            wrapped.push(' ');
            width += 1;
        } else {
            wrapped.push_str(if width > 0 { "\n  " } else { "  " });
            width = 2;
        }
        wrapped.push_str(word);
        width += word.len();
    }
    wrapped + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_a_page_under_each_of_its_names() {
        for row in TABLE {
            let page = Page(row).to_string();
            for name in row.names {
                assert_eq!(find(&name.to_ascii_uppercase()).unwrap().name(), row.name());
                assert!(page.contains(&format!("{name} = {}\n", row.form)), "{page}");
            }
            let text = page.replace("\n  ", " ");
            for part in [row.summary, row.default, row.spec, row.text] {
                assert!(!part.is_empty() && text.contains(part), "{part}: {page}");
            }
            let long = page.lines().skip(row.names.len()).find(|line| line.len() > WIDTH);
            assert_eq!(long, None, "{}", row.name());
        }
    }

    #[test]
    fn the_trap_of_a_comment_is_named_where_it_opens_a_service() {
        for name in ["per_source", "cps", "bind", "server_args"] {
            let page = Page(find(name).unwrap()).to_string();
            let values = page.lines().find(|line| line.contains("values  ")).unwrap();
            assert!(values.contains("comment"), "PARSE-3: {page}");
        }
    }
}

//! A line with too many or too few values, most often because of a comment behind them.

use crate::config::ast::Assignment;
use crate::config::attr::{Miscount, Row, Values};
use crate::config::code;
use crate::config::comment;
use crate::config::value::COMMA;
use crate::diag::Diagnostic;

/// What to say about a line whose number of values is wrong (PARSE-13, PARSE-14, ATTR-39).
#[must_use]
pub(super) fn wrong(row: &Row, line: &Assignment) -> Diagnostic {
    let commented = comment::too_many(row, line, &takes(row.values));
    let note = commented.unwrap_or_else(|| wrong_count(row, line));
    match row.values.miscount {
        Miscount::Ignored => note.legacy(format!(
            "attribute {} expects {} values and {} values were specified: it is NOT in force",
            row.name(),
            row.values.min,
            line.values.len()
        )),
        Miscount::Rejected => note,
    }
}

fn wrong_count(row: &Row, line: &Assignment) -> Diagnostic {
    let given = match line.values.len() {
        0 => "none".to_owned(),
        given => given.to_string(),
    };
    let plural = if row.values.min == 1 { "" } else { "s" };
    let (name, takes) = (row.name(), takes(row.values));
    let message = format!("`{name}` takes {takes} value{plural}, {given} given");
    let comma = line.values.iter().any(|word| word.bytes.contains(&b','));
    let note = match row.values.miscount {
        Miscount::Ignored => {
            let message = format!("{message}: it is NOT in force");
            Diagnostic::warning(code::WRONG_COUNT, line.values_span(), message)
        }
        Miscount::Rejected => Diagnostic::error(code::WRONG_COUNT, line.values_span(), message),
    };
    comment::way_out(line, note.maybe_help(comma.then(|| COMMA.to_owned())))
}

fn takes(values: Values) -> String {
    match (values.min, values.max) {
        (1, 1) => "one".to_owned(),
        (min, max) if min == max => min.to_string(),
        (1, 2) => "one or two".to_owned(),
        _ => "at least one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ast::Item;
    use crate::config::{attr, parse};
    use crate::diag::FileId;

    fn note(line: &str) -> Diagnostic {
        let text = format!("service a\n{{\n{line}\n}}\n");
        let ast = parse(FileId::default(), text.as_bytes(), &mut Vec::new());
        let Item::Service { body, .. } = &ast.items[0] else { panic!() };
        let line = &body.lines[0];
        wrong(attr::find(&line.name).unwrap(), line)
    }

    #[test]
    fn a_comment_behind_a_limit_is_called_what_it_is() {
        let found = note("Per_Source = 10 # ten");
        assert_eq!(found.code, code::COMMENT_AS_VALUE, "PARSE-3");
        assert_eq!(
            found.message,
            "`per_source` is NOT in force: `# ten` is read as values, and it takes one"
        );
        assert_eq!(found.instead, ["# ten", "Per_Source = 10"]);
        assert_eq!(found.span.end - found.span.start, 5, "the comment alone");
        let found = note("cps = 50 10 #fast");
        assert!(found.message.ends_with("`#fast` is read as a value, and it takes 2"), "{found:?}");
    }

    #[test]
    fn nothing_is_proposed_where_the_values_do_not_fit_either() {
        for line in ["per_source = # ten", "instances = 1 2 # ten"] {
            assert!(note(line).instead.is_empty(), "{line}");
        }
        assert_eq!(note("bind = 127.0.0.1 # here").severity, crate::diag::Severity::Error);
    }

    #[test]
    fn a_long_comment_is_cut_in_the_message_only() {
        let found = note(&format!("instances = 5 # {}", "é".repeat(100)));
        assert!(found.message.contains("ééé...`") && found.message.len() < 160, "{found:?}");
        assert_eq!(found.instead[0].chars().count(), 102);
    }
}

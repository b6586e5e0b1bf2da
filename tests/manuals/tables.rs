//! What a page takes from the program: attributes, options, examples.

use std::fs;

use xinetd_rs::cli;
use xinetd_rs::config;
use xinetd_rs::config::attr::{Operators, Row, Scope, TABLE};

use crate::commands;
use crate::mdoc::{line, literal_line, sentences};

const EXTENSION: &str = "Extension: not in xinetd 2.3.15. ";

/// What a line `@WHAT@` stands for.
pub(crate) fn table(what: &str) -> String {
    match what.split_once(' ').unwrap_or((what, "")) {
        ("attributes", "") => list(attributes().iter().map(|row| attribute(row))),
        ("extensions", "") => names(attributes().into_iter().filter(|row| row.extension)),
        ("defaults", "") => names(attributes().into_iter().filter(|row| row.scope == Scope::Both)),
        ("lists", "") => names(attributes().into_iter().filter(|row| row.repeats)),
        ("options", "") => list(cli::TABLE.iter().map(option)),
        ("facilities", "") => words(config::facilities()),
        ("levels", "") => words(config::levels()),
        ("command", name) => commands::section(name),
        ("example", name) => example(name),
        _ => panic!("nothing is known of @{what}@"),
    }
}

pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    format!(".Bl -tag -width Ds\n{}.El\n", items.collect::<String>())
}

/// In the order of names, as they are looked for.
fn attributes() -> Vec<&'static Row> {
    let mut rows: Vec<_> = TABLE.iter().collect();
    rows.sort_unstable_by_key(|row| row.name());
    rows
}

fn names<'r>(rows: impl IntoIterator<Item = &'r Row>) -> String {
    words(rows.into_iter().map(Row::name))
}

fn words<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    line(&format!("{}.", words.join(", ")))
}

fn attribute(row: &Row) -> String {
    let heads = row.names.iter().map(|name| {
        let form = row.form.replace(" | ", " \\&| ").replace('-', "\\-");
        format!(".It Ic {name} No = {form}\n")
    });
    let operators = match (row.operators, row.scope) {
        (Operators::Set, _) | (Operators::All, Scope::Defaults) => "",
        (Operators::SetAdd, _) => " It takes `=` and `+=`.",
        (Operators::All, _) => " It takes `=`, `+=` and `-=`.",
    };
    let scope = match row.scope {
        Scope::Service => "",
        Scope::Both => " May stand in `defaults`.",
        Scope::Defaults => " Stands in `defaults` only.",
    };
    let extension = if row.extension { EXTENSION } else { "" };
    let summary = sentences(&format!("{extension}{}.", capital(row.summary)));
    let facts = sentences(&format!("Default: {}.{operators}{scope}", row.default));
    format!("{}{summary}{}{facts}", heads.collect::<String>(), with_values(row))
}

/// The text of an attribute; sentences `VALUE: meaning.` become a list.
fn with_values(row: &Row) -> String {
    let mut text = String::new();
    let mut in_list = false;
    for sentence in sentences(row.text).split_inclusive(".\n") {
        let value = value(sentence, row.form);
        if value.is_some() != in_list {
            text += if in_list { ".El\n" } else { ".Bl -tag -width Ds -compact\n" };
            in_list = !in_list;
        }
        text += &match value {
            Some((value, meaning)) => format!(".It Cm {value}\n{}", capital(meaning)),
            None => sentence.to_owned(),
        };
    }
    text + if in_list { ".El\n" } else { "" }
}

/// The values of the form `form` that a sentence is about, and what it says of them.
fn value<'s>(sentence: &'s str, form: &str) -> Option<(String, &'s str)> {
    let (head, meaning) = sentence.split_once(": ")?;
    let head = head.replace("\\fB\\%", "").replace("\\fP", "");
    let (values, remark) = head.split_once(" (").unwrap_or((&head, ""));
    let remark = if remark.is_empty() { remark.to_owned() } else { format!(" No ({remark}") };
    let known: Vec<_> = form.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let is_known = values.split(", ").all(|value| known.contains(&value));
    is_known.then(|| (values.replace(", ", " , ") + &remark, meaning))
}

fn option(row: &cli::Row) -> String {
    let argument = row.argument.map_or(String::new(), |argument| format!(" Ar {argument}"));
    let extension = if row.extension { EXTENSION } else { "" };
    let text = format!("{extension}{}. {}", capital(row.summary), row.text);
    format!(".It Fl {}{argument}\n{}", row.name.replacen('-', "", 1), sentences(&text))
}

/// `text` as the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A file of `etc/examples`.
fn example(name: &str) -> String {
    let path = crate::root().join("etc/examples").join(name);
    let text = fs::read_to_string(&path).unwrap();
    let lines: String = text.lines().map(literal_line).collect();
    format!(".Bd -literal -offset indent\n{lines}.Ed\n")
}

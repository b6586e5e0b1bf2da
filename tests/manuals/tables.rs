//! What a page takes from the program: attributes, options, commands, examples.

use std::fs;

use clap::{Arg, Command};
use xinetd_rs::cli;
use xinetd_rs::config;
use xinetd_rs::config::attr::{Operators, Row, Scope, TABLE};
use xinetd_rs::ctl;

use crate::mdoc::{line, literal, literal_line, sentences};

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
        ("command", name) => command(name),
        ("example", name) => example(name),
        _ => panic!("nothing is known of @{what}@"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
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
    let head = head.replace("\\fB", "").replace("\\fP", "");
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

/// The command line of xinetctl(8), without what is hidden.
pub(crate) fn xinetctl() -> Command {
    let whole = ctl::command();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let commands: Vec<_> = commands.map(shown).collect();
    Command::new("xinetctl")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .subcommands(commands)
}

fn shown(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    // clap keeps names for ever
    Command::new(&*command.get_name().to_owned().leak())
        .about(command.get_about().cloned().unwrap_or_default())
        .after_help(command.get_after_help().cloned().unwrap_or_default())
        .args(arguments.cloned())
        .subcommands(command.get_subcommands().filter(|one| !one.is_hide_set()).map(shown))
}

fn command(name: &str) -> String {
    let whole = xinetctl();
    let command = whole.find_subcommand(name).unwrap_or_else(|| panic!("no command `{name}`"));
    let mut named = command.clone().bin_name(format!("xinetctl {name}"));
    let usage = named.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines().map(str::trim);
    let usage: String = usage.map(|line| format!(".Dl {}\n", literal(line))).collect();
    let about = named.get_about().map(ToString::to_string).unwrap_or_default();
    let arguments = named.get_positionals().chain(named.get_opts()).map(argument);
    let flags = named.get_arguments().filter(|one| !one.is_positional()).filter(|one| {
        !one.get_action().takes_values() && !matches!(one.get_id().as_str(), "help" | "version")
    });
    let items: Vec<_> = arguments.chain(flags.map(argument)).collect();
    let items = if items.is_empty() { String::new() } else { list(items.into_iter()) };
    let status = named.get_after_help().map(ToString::to_string).unwrap_or_default();
    let status: String = status
        .split("\n\n")
        .filter(|paragraph| !paragraph.is_empty())
        .map(|paragraph| format!(".Pp\n{}", sentences(&paragraph.replace('\n', " "))))
        .collect();
    format!(".Ss {name}\n{usage}{}{items}{status}", sentences(&format!("{about}.")))
}

fn argument(argument: &Arg) -> String {
    let value = argument.get_value_names().map(|names| names[0].to_string()).unwrap_or_default();
    let is_optional = argument.get_num_args().is_some_and(|range| range.min_values() == 0);
    let value = match (argument.get_action().takes_values(), is_optional) {
        (false, _) => String::new(),
        (true, true) => format!("[{value}]"),
        (true, false) => value,
    };
    let glue = if argument.is_require_equals_set() { "=" } else { " " };
    let value = if glue == "=" && is_optional {
        format!(" Ns {}", value.replacen('[', "[=", 1))
    } else if value.is_empty() {
        String::new()
    } else {
        format!(" Ar {value}")
    };
    let long = argument.get_long().map(|long| format!("Fl \\-{long}"));
    let short = argument.get_short().map(|short| format!("Fl {short}"));
    let flags: Vec<_> = short.into_iter().chain(long).collect();
    let head = if flags.is_empty() {
        value.trim_start().to_owned()
    } else {
        format!("{}{value}", flags.join(" , "))
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values = argument.get_possible_values();
    let values: Vec<_> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let values = match argument.get_action().takes_values() && !values.is_empty() {
        true => format!(" One of {}.", values.join(", ")),
        false => String::new(),
    };
    let default: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match argument.get_action().takes_values() && !default.is_empty() {
        true => format!(" Default: `{}`.", default.join(" ")),
        false => String::new(),
    };
    format!(".It {head}\n{}", sentences(&format!("{help}.{values}{default}")))
}

/// A file of `etc/examples`.
fn example(name: &str) -> String {
    let path = crate::root().join("etc/examples").join(name);
    let text = fs::read_to_string(&path).unwrap();
    let lines: String = text.lines().map(literal_line).collect();
    format!(".Bd -literal -offset indent\n{lines}.Ed\n")
}

//! Completions for bash, zsh and fish: of xinetctl(8) by clap, of xinetd(8) by its table.

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::{Shell, generate};
use xinetd_rs::cli::{Row, TABLE};
use xinetd_rs::config;
use xinetd_rs::config::attr;

use crate::commands;

/// Every file, with its text.
pub(crate) fn files() -> Vec<(String, String)> {
    let of_xinetctl =
        [("xinetctl.bash", Shell::Bash), ("_xinetctl", Shell::Zsh), ("xinetctl.fish", Shell::Fish)];
    let of_xinetctl = of_xinetctl.map(|(name, shell)| (name, xinetctl(shell)));
    let of_xinetd = [("xinetd.bash", bash()), ("_xinetd", zsh()), ("xinetd.fish", fish())];
    let all = of_xinetctl.into_iter().chain(of_xinetd);
    all.map(|(name, text)| (format!("completions/{name}"), text)).collect()
}

fn xinetctl(shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut with_attributes(commands::xinetctl()), "xinetctl", &mut text);
    String::from_utf8(text).unwrap()
}

/// With the names of attributes, which the program itself looks up with more patience.
fn with_attributes(command: Command) -> Command {
    let names: Vec<_> = attr::TABLE.iter().map(attr::Row::name).collect();
    command.mut_subcommand("explain", |explain| {
        explain.mut_arg("attribute", |one| one.value_parser(PossibleValuesParser::new(names)))
    })
}

/// What may stand behind an option.
enum Argument {
    None,
    File,
    OneOf(String),
    Other,
}

fn argument(row: &Row) -> Argument {
    match row.argument {
        None => Argument::None,
        Some("FILE") => Argument::File,
        Some("FACILITY") => Argument::OneOf(config::facilities().collect::<Vec<_>>().join(" ")),
        Some("FORM") => Argument::OneOf("text json".to_owned()),
        Some(_) => Argument::Other,
    }
}

fn names(wanted: fn(&Argument) -> bool) -> Vec<&'static str> {
    TABLE.iter().filter(|row| wanted(&argument(row))).map(|row| row.name).collect()
}

const ORIGIN: &str = "# By: BLESS=1 cargo test --test manuals\n";

fn bash() -> String {
    let of = |wanted| names(wanted).join("|");
    let words =
        |words: &str| format!("mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$word\")");
    let choices = TABLE.iter().filter_map(|row| match argument(row) {
        Argument::OneOf(known) => Some(format!("    {}) {} ;;\n", row.name, words(&known))),
        Argument::None | Argument::File | Argument::Other => None,
    });
    format!(
        "# bash completion of xinetd(8)\n{ORIGIN}\
         _xinetd() {{\n    \
             local word=${{COMP_WORDS[COMP_CWORD]}}\n    \
             COMPREPLY=()\n    \
             case ${{COMP_WORDS[COMP_CWORD-1]}} in\n    \
             {}) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n\
             {}    {}) ;;\n    \
             *) {} ;;\n    \
             esac\n\
         }}\n\
         complete -o filenames -F _xinetd xinetd\n",
        of(|one| matches!(one, Argument::File)),
        choices.collect::<String>(),
        of(|one| matches!(one, Argument::Other)),
        words(&names(|_| true).join(" ")),
    )
}

fn zsh() -> String {
    let option = |row: &Row| {
        let name = row.argument.unwrap_or_default();
        let argument = match argument(row) {
            Argument::None => String::new(),
            Argument::File => format!(":{name}:_files"),
            Argument::OneOf(known) => format!(":{name}:({known})"),
            Argument::Other => format!(":{name}:"),
        };
        format!(" \\\n    {}", quoted(&format!("{}[{}]{argument}", row.name, row.summary)))
    };
    let options: String = TABLE.iter().map(option).collect();
    format!("#compdef xinetd\n{ORIGIN}_arguments{options}\n")
}

fn fish() -> String {
    let option = |row: &Row| {
        let name = match row.name.strip_prefix("--") {
            Some(long) => format!("-l {long}"),
            None if row.name.len() == 2 => format!("-s {}", &row.name[1..]),
            None => format!("-o {}", &row.name[1..]),
        };
        let argument = match argument(row) {
            Argument::None => String::new(),
            Argument::File => " -r -F".to_owned(),
            Argument::OneOf(known) => format!(" -x -a '{known}'"),
            Argument::Other => " -x".to_owned(),
        };
        format!("complete -c xinetd {name}{argument} -d {}\n", quoted(row.summary))
    };
    format!(
        "# fish completion of xinetd(8)\n{ORIGIN}complete -c xinetd -f\n{}",
        TABLE.iter().map(option).collect::<String>()
    )
}

/// One word for zsh and fish; no text has a backslash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

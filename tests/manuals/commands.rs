//! The commands of xinetctl(8), as clap knows them.

use clap::{Arg, Command};
use xinetd_rs::ctl;

use crate::mdoc::{literal, sentences};
use crate::tables::list;

/// The command line of xinetctl(8), without what is hidden.
pub(crate) fn xinetctl() -> Command {
    shown(&ctl::command()).version(env!("CARGO_PKG_VERSION"))
}

fn shown(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    // clap keeps names for ever
    Command::new(&*command.get_name().to_owned().leak())
        .about(command.get_about().cloned().unwrap_or_default())
        .after_help(command.get_after_help().cloned().unwrap_or_default())
        .args(arguments.cloned())
        .subcommands(commands.map(shown))
}

/// All about one command: usage, what it does, its arguments, its exit status.
pub(crate) fn section(name: &str) -> String {
    let whole = xinetctl();
    let command = whole.find_subcommand(name).unwrap_or_else(|| panic!("no command `{name}`"));
    let mut command = command.clone().bin_name(format!("xinetctl {name}"));
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines().map(str::trim);
    let usage: String = usage.map(|line| format!(".Dl {}\n", literal(line))).collect();
    let about = sentences(&format!("{}.", command.get_about().cloned().unwrap_or_default()));
    let of_clap = |argument: &&Arg| matches!(argument.get_id().as_str(), "help" | "version");
    let named = command.get_arguments().filter(|argument| !argument.is_positional());
    let named = named.filter(|argument| !of_clap(argument));
    let items: Vec<_> = command.get_positionals().chain(named).map(item).collect();
    let items = if items.is_empty() { String::new() } else { list(items.into_iter()) };
    let more = command.get_after_help().cloned().unwrap_or_default().to_string();
    let paragraphs = more.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    let more: String = paragraphs
        .map(|paragraph| format!(".Pp\n{}", sentences(&paragraph.replace('\n', " "))))
        .collect();
    format!(".Ss {name}\n{usage}{about}{items}{more}")
}

fn item(argument: &Arg) -> String {
    let help = argument.get_help().cloned().unwrap_or_default();
    let mut text = format!("{help}.");
    if argument.get_action().takes_values() {
        let known = argument.get_possible_values();
        let known: Vec<_> = known.iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !known.is_empty() {
            text += &format!(" One of {}.", known.join(", "));
        }
        for default in argument.get_default_values() {
            text += &format!(" Default: `{}`.", default.display());
        }
    }
    format!(".It {}\n{}", head(argument), sentences(&text))
}

/// The words of an argument: `-f`, `--file FILE`, or `FILE`.
fn head(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("Fl {short}"));
    let long = argument.get_long().map(|long| format!("Fl {}", literal(&format!("-{long}"))));
    let mut words = short.into_iter().chain(long).collect::<Vec<_>>().join(" , ");
    if argument.get_action().takes_values() {
        let name = argument.get_value_names().and_then(|names| names.first()).unwrap();
        let is_optional = argument.get_num_args().is_some_and(|range| range.min_values() == 0);
        words += &match (is_optional, argument.is_require_equals_set()) {
            (true, true) => format!(" Ns [= Ns Ar {name} ]"),
            (true, false) => format!(" Op Ar {name}"),
            (false, true) => format!(" Ns = Ns Ar {name}"),
            (false, false) => format!(" Ar {name}"),
        };
    }
    words.trim_start().to_owned()
}

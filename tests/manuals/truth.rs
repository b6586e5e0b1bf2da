//! What the pages say is so: names exist, examples load, command lines are understood.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use xinetd_rs::cli;
use xinetd_rs::config::{self, Request, attr};
use xinetd_rs::ctl;
use xinetd_rs::plan::{Denial, NoId};

use crate::common::{complaints, machine};
use crate::{commands, pages, root};

const SOURCES: [&str; 6] =
    ["xinetd.8", "xinetd.conf.5", "xinetd.log.5", "xinetctl.8", "itox.8", "xconv.pl.8"];

fn source(name: &str) -> String {
    fs::read_to_string(root().join("docs/man").join(format!("{name}.in"))).unwrap()
}

fn attributes() -> BTreeSet<&'static str> {
    attr::TABLE.iter().flat_map(|row| row.names).copied().collect()
}

/// What stands between backticks, outside of indented blocks.
fn code(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with("    "));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_attribute_option_and_command_is_in_a_page() {
    let pages = pages();
    let page = |name: &str| &pages.iter().find(|(known, _)| known == name).unwrap().1;
    for name in attributes() {
        assert!(page("xinetd.conf.5").contains(&format!("\n.It Ic {name} No = ")), "{name}");
    }
    for row in cli::TABLE {
        let item = format!("\n.It Fl {}", row.name.replacen('-', "", 1));
        let lines = page("xinetd.8").matches(&item).count();
        assert!(lines > 0, "{}", row.name);
    }
    for command in commands::xinetctl().get_subcommands() {
        let head = format!("\n.Ss {}\n", command.get_name());
        let to_do = "write a line @command NAME@ in docs/man/xinetctl.8.in";
        assert!(page("xinetctl.8").contains(&head), "{}: {to_do}", command.get_name());
    }
}

#[test]
fn nothing_of_the_source_is_left_in_a_page() {
    for (name, text) in pages() {
        let is_left = |line: &&str| line.contains('`') || line.starts_with('@');
        assert_eq!(text.lines().find(is_left), None, "{name}");
    }
}

#[test]
fn the_overview_has_every_attribute_once() {
    let conf = source("xinetd.conf.5");
    let begin = conf.find("By what they are for:").unwrap();
    let overview = &conf[begin..][..conf[begin..].find(".El").unwrap()];
    let mut found = code(overview);
    found.sort_unstable();
    let wanted: Vec<_> = attributes().into_iter().collect();
    assert_eq!(found, wanted, "ATTRIBUTES in docs/man/xinetd.conf.5.in");
}

#[test]
fn every_attribute_and_option_in_a_page_exists() {
    let options: BTreeSet<String> = cli::TABLE.iter().map(|row| row.name.to_owned()).collect();
    let commands = commands::xinetctl();
    let arguments = commands.get_subcommands().flat_map(clap::Command::get_arguments);
    let of_xinetctl: BTreeSet<String> = arguments
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
        .chain(["--help".into(), "--version".into(), "-f".into(), "-daemon_dir".into()])
        .collect();
    let reasons: Vec<_> = Denial::ALL.iter().map(ToString::to_string).chain(facts()).collect();
    let sources = SOURCES.map(|name| (name, source(name)));
    let others = ["docs/migration.md", "README.md"];
    let others = others.map(|name| (name, fs::read_to_string(root().join(name)).unwrap()));
    for (name, text) in sources.into_iter().chain(others) {
        let words = code(&text);
        let flags = text.lines().filter(|line| line.starts_with('.')).flat_map(fl);
        for word in words.iter().map(|word| (*word).to_owned()).chain(flags) {
            let first = word.split([' ', '=']).next().unwrap();
            if first.starts_with('-') && first.len() > 2 {
                assert!(options.contains(first) || of_xinetctl.contains(first), "{name}: {word}");
            }
            let sets = [" =", " +=", " -="].iter().any(|operator| word.contains(operator));
            let is_long = first.contains('_') && first == word && !word.starts_with('-');
            let is_known = attributes().contains(first) || reasons.iter().any(|one| one == first);
            let is_prefix = attributes().iter().any(|known| known.starts_with(first));
            let is_name = first.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_name && (sets && !first.is_empty() || is_long) {
                assert!(is_known || first.ends_with('_') && is_prefix, "{name}: {word}");
            }
        }
    }
}

/// The options that a line names with `.Fl`, dash and all.
fn fl(line: &str) -> Vec<String> {
    let words: Vec<_> = line.split(' ').collect();
    let named = words.windows(2).filter(|pair| matches!(pair[0], "Fl" | ".Fl"));
    named.map(|pair| format!("-{}", pair[1].replace("\\-", "-"))).collect()
}

#[test]
fn every_reason_is_in_the_page_of_the_log() {
    let log = source("xinetd.log.5");
    let denials = Denial::ALL.iter().map(|why| format!("\n.It `{why}`\n"));
    let no_ids = NoId::ALL.iter().map(|why| format!("`{why}`"));
    for reason in denials.chain(no_ids) {
        assert!(log.contains(&reason), "{reason}");
    }
}

/// The names of facts in records of a log, as the source has them.
fn facts() -> Vec<String> {
    let source = fs::read_to_string(root().join("src/log/record.rs")).unwrap();
    let begin = source.find("fn facts(").unwrap();
    let function = &source[begin..][..source[begin..].find("\n    }\n").unwrap()];
    let strings = function.split('"').skip(1).step_by(2);
    strings.map(str::to_owned).collect()
}

#[test]
fn every_fact_of_a_record_is_in_the_page_of_the_log() {
    let log = source("xinetd.log.5");
    let section = &log[log.find(".Sh JSON").unwrap()..];
    let list = &section[..section.find("\n.El\n").unwrap()];
    let described: BTreeSet<_> = code(list).into_iter().collect();
    let facts = facts();
    assert!(facts.len() > 9, "{facts:?}");
    for fact in facts {
        assert!(described.contains(fact.as_str()), "{fact}");
    }
}

/// A literal block of a page, and what the comment before it says.
struct Block {
    what: String,
    is_indented: bool,
    text: String,
}

fn blocks(source: &str) -> Vec<Block> {
    let parts = source.split("\n.Bd -literal").skip(1);
    let comments = source.split("\n.Bd -literal").map(|part| part.lines().last().unwrap());
    let block = |(part, comment): (&str, &str)| {
        let (arguments, text) = part.split_once('\n').unwrap();
        Block {
            what: comment.strip_prefix(".\\\" ").unwrap_or_default().to_owned(),
            is_indented: arguments.contains("-offset indent"),
            text: text.split_once(".Ed").unwrap().0.to_owned(),
        }
    };
    parts.zip(comments).map(block).collect()
}

#[test]
fn examples_load_as_the_text_says() {
    let mut seen = 0;
    for name in SOURCES {
        let mut said = Vec::new();
        for Block { what, text, .. } in blocks(&source(name)) {
            let is_config = text.lines().any(|line| line == "{");
            assert_eq!(is_config, what.starts_with("example"), "{name}: mark examples: {text}");
            if what == "diagnostic" {
                assert_eq!(said, [text.trim_end().to_owned()], "{name}");
            }
            if is_config {
                let (codes, messages) = loaded(what.trim_start_matches("example").trim(), &text);
                let wanted: Vec<_> =
                    what.split(' ').skip(1).filter(|one| *one != "overlay").collect();
                assert_eq!(codes, wanted, "{name}: {messages:?}: {text}");
                said = messages;
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "{seen}");
}

/// The codes and messages of an example; an overlay is one of a service pop3.
fn loaded(what: &str, text: &str) -> (Vec<&'static str>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let main = if what == "overlay" {
        write("d/pop3", &fs::read_to_string(root().join("etc/xinetd.d/pop3")).unwrap());
        write("d/pop3.local", text);
        write("main", &format!("includedir {}\n", directory.path().join("d").display()))
    } else {
        write("d/.none", "");
        let here = directory.path().join("d").display().to_string();
        write("main", &text.replace("/etc/xinetd.d", &here))
    };
    let (base, lookup) = (directory.path(), machine());
    let loaded = config::load(&Request { path: &main, base, inetd: None, lookup: &lookup });
    let found = complaints(&loaded);
    (
        found.iter().map(|note| note.code).collect(),
        found.iter().map(|note| note.message.clone()).collect(),
    )
}

#[test]
fn examples_fit_on_a_page_of_80_columns() {
    const ROOM: usize = 80 - 5;
    const INDENT: usize = 6;
    let columns = |line: &str| {
        line.chars().fold(0, |at, c| if c == '\t' { (at / 8 + 1) * 8 } else { at + 1 })
    };
    let too_wide = |text: &str, room: usize| -> Vec<String> {
        text.lines().filter(|line| columns(line) > room).map(str::to_owned).collect()
    };
    let examples = fs::read_dir(root().join("etc/examples")).unwrap();
    let examples = examples.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let wide = examples.flat_map(|text| too_wide(&text, ROOM - INDENT));
    let blocks = pages().into_iter().flat_map(|(name, _)| blocks(&source(&name)));
    let in_pages = blocks.flat_map(|block| {
        too_wide(&block.text, if block.is_indented { ROOM - INDENT } else { ROOM })
    });
    let wide: Vec<_> = wide.chain(in_pages).collect();
    assert!(wide.is_empty(), "too wide: {wide:#?}");
}

#[test]
fn command_lines_in_pages_and_documents_are_understood() {
    let mut texts = Vec::new();
    for directory in ["docs", "docs/man", "."] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md" || extension == "in") {
                texts.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    let mut seen = 0;
    for (path, text) in texts {
        for words in text.lines().filter_map(command_line) {
            assert!(is_understood(&words), "{}: {words:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

/// A line that shows a command of ours, word by word, up to what is the shell's.
fn command_line(line: &str) -> Option<Vec<String>> {
    let line = line.strip_prefix(".Dl ").or_else(|| line.strip_prefix("    ")).unwrap_or(line);
    let line = line.replace("\\-", "-");
    let words = line.split_whitespace();
    let end =
        |word: &&str| !matches!(*word, "&&" | "|" | ">" | "<" | ";") && !word.starts_with('#');
    let words: Vec<_> = words.take_while(end).map(|word| word.replace('\'', "")).collect();
    let first = words.first()?.rsplit('/').next()?.to_owned();
    let is_placeholder = |word: &String| word.contains(['[', '(', '…', '`']);
    let is_ours = matches!(first.as_str(), "xinetctl" | "xinetd");
    let is_command = words.len() > 1 && !words.iter().any(is_placeholder);
    (is_ours && is_command)
        .then(|| std::iter::once(first).chain(words.into_iter().skip(1)).collect())
}

fn is_understood(words: &[String]) -> bool {
    if words[0] == "xinetctl" {
        return match ctl::command().try_get_matches_from(words) {
            Ok(_) => true,
            Err(error) => error.exit_code() == 0,
        };
    }
    let words: Vec<_> = words.iter().map(Into::into).collect();
    match cli::parse(&words) {
        Ok(cli::Action::Run(options) | cli::Action::Check(options)) => options.unknown.is_empty(),
        Ok(cli::Action::Help | cli::Action::Version) => true,
        Err(_) => false,
    }
}

#[test]
fn what_is_no_command_is_not_understood() {
    let words = |line: &str| command_line(line).unwrap();
    assert!(is_understood(&words("    xinetctl check --strict # why")));
    assert!(!is_understood(&words(".Dl xinetctl check \\-\\-stric")));
    assert!(is_understood(&words("/usr/sbin/xinetd -d && echo")));
    assert!(!is_understood(&words("xinetd -dd")));
    assert_eq!(command_line("xinetd is a daemon (8)"), None);
}

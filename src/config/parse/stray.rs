//! Lines outside entries that begin nothing known, and what each of them may have cost.

use crate::config::ast::{Body, Ending, Item, Word};
use crate::config::code;
use crate::config::near::nearest;
use crate::config::parse::{Kind, Opening, Parser};
use crate::diag::Diagnostic;

/// What a mistake costs that nobody can lay to one service (house rule of reloads: a
/// typo never ends sessions).
pub(in crate::config) const KEPT: &str = "a reload keeps the old configuration";

/// The words a line outside entries may begin with.
const KEYWORDS: [&str; 4] = ["service", "defaults", "include", "includedir"];

/// What was lost with a line.
enum Loss<'w> {
    Nothing,
    /// The service of this name.
    Service(&'w Word),
    /// Something that may reach every service.
    More,
}

impl Parser<'_, '_> {
    /// PARSE-21, and its like for includes.
    pub(super) fn incomplete(&mut self, keyword: &Word) {
        let (code, what, legacy) = if keyword.is("service") {
            (code::MISSING_NAME, "the name of the service", "service name missing")
        } else {
            (code::MISSING_PATH, "a path", "Unable to open included configuration file: no path")
        };
        let message = format!("`{}` needs {what} on the same line; {KEPT}", keyword.text());
        let note = Diagnostic::error(code, keyword.span, message);
        let note = note.legacy(format!("{legacy}; {KEPT}"));
        let opens = self.lines.peek().is_some_and(|line| line.is_open());
        self.notes.push(swallows_unless(opens, note));
        self.ast.incomplete = true;
        if opens {
            self.skip_block(keyword);
        }
    }

    /// PARSE-20: a block is skipped only where one begins.
    pub(super) fn stray(&mut self, words: &[Word]) {
        let Some(word) = words.first() else { return };
        let text = word.text();
        let meant = meant_by(&text);
        let opens = words.last().is_some_and(|word| word.bytes == b"{")
            || self.lines.peek().is_some_and(|line| line.is_open());
        let loss = loss(words, meant, opens);
        let cost = match loss {
            Loss::Nothing => String::new(),
            Loss::Service(name) => format!("; service `{}` is left out", name.text()),
            Loss::More => format!("; {KEPT}"),
        };
        let message = format!("`{text}` begins neither an entry nor an `include`{cost}");
        let note = Diagnostic::error(code::STRAY_LINE, word.span, message)
            .label("not known here")
            .maybe_help(meant.map(|meant| format!("did you mean `{meant}`?")))
            .legacy(format!("missing service keyword{cost}"));
        self.notes.push(swallows_unless(opens, note));
        let (body, more) = if opens { self.skip_block(word) } else { (broken(), Vec::new()) };
        match loss {
            Loss::Nothing => {}
            Loss::Service(name) => self.ast.items.push(Item::Service { name: name.clone(), body }),
            Loss::More => self.ast.incomplete = true,
        }
        self.ast.items.extend(more);
    }

    /// What can be used of a block whose header was not understood: see [`skip`](Self::skip).
    fn skip_block(&mut self, header: &Word) -> (Body, Vec<Item>) {
        let what = format!("`{}`", header.text());
        let opening = Opening { kind: Kind::Service, name: what.clone(), what, span: header.span };
        let mut body = broken();
        let more = self.skip(None, &opening, &mut body);
        (body, more)
    }
}

/// PARSE-20: the original skips a block even where none begins.
fn swallows_unless(opens: bool, note: Diagnostic) -> Diagnostic {
    match opens {
        true => note,
        false => note
            .differs("PARSE-20", "skips from here to the next `}`, and loses the entry in between"),
    }
}

fn broken() -> Body {
    Body { ending: Ending::Broken, ..Body::default() }
}

fn loss<'w>(words: &'w [Word], meant: Option<&str>, opens: bool) -> Loss<'w> {
    let name = words.get(1).filter(|name| name.bytes != b"{");
    match (meant, name) {
        (None, _) if !opens => Loss::Nothing,
        (None | Some("service"), Some(name)) => Loss::Service(name),
        _ => Loss::More,
    }
}

/// The keyword that `text` was meant to be.
fn meant_by(text: &str) -> Option<&'static str> {
    let word = text.split(['=', '/']).next().unwrap_or_default();
    nearest(word, KEYWORDS)
}

#[cfg(test)]
mod tests {
    use crate::config::ast::{Ast, Item};
    use crate::config::parse::parse;
    use crate::diag::FileId;

    fn read(text: &str) -> (Vec<String>, bool) {
        let Ast { items, incomplete } = parse(FileId::default(), text.as_bytes(), &mut Vec::new());
        let names = items.into_iter().filter_map(|item| match item {
            Item::Service { name, .. } => Some(name.text().into_owned()),
            Item::Defaults { .. } | Item::Include(_) | Item::IncludeDir(_) => None,
        });
        (names.collect(), incomplete)
    }

    #[test]
    fn a_misspelt_header_costs_the_service_that_it_names() {
        for header in ["servce b\n{", "frobnicate b\n{", "servce b {", "servce b and more\n{"] {
            let text = format!("{header}\nservice = x\n}}\nservice a\n{{\n}}\n");
            assert_eq!(read(&text), (vec!["b".into(), "a".into()], false), "{header}");
        }
        assert_eq!(read("servce b\nservice a\n{\n}\n").0, ["b", "a"]);
    }

    #[test]
    fn a_line_that_may_concern_everybody_is_remembered() {
        for text in [
            "includdir /etc/xinetd.d",
            "includedir=/etc/xinetd.d",
            "include/etc/xinetd.d/a",
            "defualts\n{\ninstances = 1\n}",
            "defautls {\ninstances = 1\n}",
            "include",
            "includedir",
            "service",
            "servce",
            "service\n{\nwait = no\n}",
            "frobnicate\n{\nwait = no\n}",
        ] {
            assert_eq!(read(text), (vec![], true), "{text}");
        }
        for text in ["frobnicate", "}", "10.0.0.1 is my address"] {
            assert_eq!(read(text), (vec![], false), "{text}");
        }
    }

    #[test]
    fn an_entry_swallowed_by_a_misspelt_one_is_reported_too() {
        let text = "servce b\n{\nservice a\n{\n}\nservice c\n{\n}\n";
        assert_eq!(read(text).0, ["b", "a", "c"], "PARSE-22");
    }
}

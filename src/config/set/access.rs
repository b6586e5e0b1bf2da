//! `only_from` and `no_access`.

use crate::config::addr::{self, AddrPattern, Meaning, Unread};
use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::comment;
use crate::config::lookup::Lookup;
use crate::config::read::Reader;
use crate::config::value::{self, Outcome};
use crate::diag::Diagnostic;

type Result = Outcome<()>;

pub(in crate::config) fn only_from(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let patterns = addresses(reader, line, |word, message| {
        let effect = "it matches nobody";
        Diagnostic::warning(code::NOT_AN_ADDRESS, word.span, format!("{message}: {effect}"))
            .label("does not match anybody")
            .legacy(format!("failed to parse {}: {effect}", word.text()))
    });
    let operator = reader.operator(line);
    reader.draft.only_from.push(operator, patterns);
    Ok(())
}

/// ADDR-17: skipping a word here would let somebody in.
pub(in crate::config) fn no_access(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let patterns = addresses(reader, line, |word, message| {
        Diagnostic::error(code::NOT_AN_ADDRESS, word.span, message)
            .label("cannot be kept out")
            .legacy(format!("failed to parse {}", word.text()))
            .differs("ADDR-17", "skips the word, and lets in whoever was meant")
    });
    let operator = reader.operator(line);
    reader.draft.no_access.push(operator, patterns);
    Ok(())
}

fn addresses(
    reader: &mut Reader<'_>,
    line: &Assignment,
    not_understood: impl Fn(&Word, String) -> Diagnostic,
) -> Vec<AddrPattern> {
    let mut patterns = Vec::with_capacity(line.values.len());
    let mut comment = false; // the words of a comment need no message each
    for word in &line.values {
        let text = word.text();
        let said = comment;
        comment |= text.starts_with('#');
        let note = match meaning(reader.lookup, &text) {
            Err(_) if said => continue,
            Ok(meaning) => {
                patterns.extend(meaning.patterns);
                let difference = meaning.unlike;
                let difference =
                    difference.map(|(spec, deed)| Diagnostic::difference(spec, word.span, deed));
                reader.notes.extend(difference);
                let Some(plainly) = meaning.plainly else { continue };
                let message = format!("`{text}` means {plainly}");
                Diagnostic::warning(code::SURPRISING_ADDRESS, word.span, message)
                    .help("write all four numbers, without leading zeros")
            }
            Err(Unread::Wrong(why, unlike)) => {
                let listed = text.contains(',') && !text.contains(['{', '}']);
                let note =
                    Diagnostic::error(code::BAD_ADDRESS, word.span, format!("`{text}`: {why}"))
                        .maybe_help(listed.then(|| value::COMMA.to_owned()))
                        .legacy(format!("Bad address: {text}"));
                match unlike {
                    Some((spec, deed)) => note.differs(spec, deed),
                    None => note,
                }
            }
            Err(Unread::Name) => {
                let message =
                    format!("`{text}` is neither an address nor a name that can be found");
                not_understood(word, message).help(instead_of(&text))
            }
        };
        reader.notes.push(comment::way_out(line, note));
    }
    patterns
}

/// What a word of an address list stands for.
pub(in crate::config) fn meaning(
    lookup: &dyn Lookup,
    text: &str,
) -> std::result::Result<Meaning, Unread> {
    match addr::read(text) {
        Err(Unread::Name) => named(lookup, text).ok_or(Unread::Name),
        read => read,
    }
}

/// A `.domain` (ADDR-14), a network of networks(5) (ADDR-16), a host that can be found
/// (ADDR-13).
fn named(lookup: &dyn Lookup, text: &str) -> Option<Meaning> {
    let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !text.bytes().all(in_names) {
        return None;
    }
    if text.len() > 1 && text.starts_with('.') {
        return Some(Meaning::of_name(text));
    }
    if let Some(number) = lookup.network(text) {
        return Some(Meaning::of_network(number));
    }
    (!lookup.addresses(text).is_empty()).then(|| Meaning::of_name(text))
}

/// What to write instead of a word that is no address and no name.
fn instead_of(text: &str) -> String {
    match text {
        _ if text.starts_with('#') => value::COMMENT.into(),
        _ if text.eq_ignore_ascii_case("all") => "everybody is `0.0.0.0 ::/0`".into(),
        _ if text.contains('*') && text.contains(|c: char| c.is_ascii_alphabetic()) => {
            let domain = text.trim_start_matches(['*', '.']);
            format!("the hosts of a domain are written `.{domain}`")
        }
        _ if text.contains('*') => {
            let known = text.split('.').take_while(|part| *part != "*").count();
            let network = text.replace('*', "0");
            format!("a network is written with its bits: `{network}/{}`", 8 * known)
        }
        _ => "write addresses: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`".into(),
    }
}

//! `only_from` and `no_access`.

use crate::config::addr::{self, AddrPattern, Unread};
use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::read::Reader;
use crate::config::value::{self, Outcome};
use crate::diag::Diagnostic;

type Result = Outcome<()>;

pub(in crate::config) fn only_from(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let patterns = addresses(reader, line, |word, message| {
        let effect = "it matches nobody";
        Diagnostic::warning(code::NOT_AN_ADDRESS, word.span, format!("{message}: {effect}"))
            .label("does not match anybody")
            .legacy(format!("failed to parse {}: {NO_NAMES}: {effect}", word.text()))
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
            .legacy(format!("failed to parse {}: {NO_NAMES}", word.text()))
    });
    let operator = reader.operator(line);
    reader.draft.no_access.push(operator, patterns);
    Ok(())
}

/// ADDR-13 to ADDR-16 are for a later version.
const NO_NAMES: &str = "names are not supported by this version";

fn addresses(
    reader: &mut Reader<'_>,
    line: &Assignment,
    name: impl Fn(&Word, String) -> Diagnostic,
) -> Vec<AddrPattern> {
    let mut patterns = Vec::with_capacity(line.values.len());
    let mut comment = false; // the words of a comment need no message each
    for word in &line.values {
        let text = word.text();
        let said = comment;
        comment |= text.starts_with('#');
        let note = match addr::read(&text) {
            Err(_) if said => continue,
            Ok(meaning) => {
                patterns.extend(meaning.patterns);
                let Some(plainly) = meaning.plainly else { continue };
                let message = format!("`{text}` means {plainly}");
                Diagnostic::warning(code::SURPRISING_ADDRESS, word.span, message)
                    .help("write all four numbers, without leading zeros")
            }
            Err(Unread::Wrong(why)) => {
                let listed = text.contains(',') && !text.contains(['{', '}']);
                Diagnostic::error(code::BAD_ADDRESS, word.span, format!("`{text}`: {why}"))
                    .maybe_help(listed.then(|| value::COMMA.to_owned()))
                    .legacy(format!("Bad address: {text}"))
            }
            Err(Unread::Name) => {
                let message = format!("`{text}` is not an address; {NO_NAMES}");
                name(word, message).help(instead_of(&text))
            }
        };
        reader.notes.push(note);
    }
    patterns
}

/// What to write instead of a word that is no address.
fn instead_of(text: &str) -> String {
    match text {
        _ if text.starts_with('#') => value::COMMENT.into(),
        _ if text.eq_ignore_ascii_case("all") => "everybody is `0.0.0.0 ::/0`".into(),
        _ if text.contains('*') && text.contains(|c: char| c.is_ascii_alphabetic()) => {
            let domain = text.trim_start_matches(['*', '.']);
            format!("write the addresses of the hosts of `{domain}`, or their network")
        }
        _ if text.contains('*') => {
            let known = text.split('.').take_while(|part| *part != "*").count();
            let network = text.replace('*', "0");
            format!("a network is written with its bits: `{network}/{}`", 8 * known)
        }
        _ => "write addresses: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`".into(),
    }
}

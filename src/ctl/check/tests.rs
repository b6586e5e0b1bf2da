//! Tests of what is shown and of the status, on configurations made here.

use super::*;
use crate::diag::{Sources, Span};

fn args(format: Format, legacy: bool, portable: bool) -> CheckArgs {
    let (paths, compat) = (Vec::new(), Compat::default());
    CheckArgs { paths, compat, format, color: Colour::Never, strict: false, legacy, portable }
}

/// Two files with a warning and two differences in the first, one of them an extension.
fn sample() -> Checked {
    let mut sources = Sources::default();
    let first = sources.add("/etc/first", b"one two\n\xfc three\n".to_vec());
    let second = sources.add("/etc/second", b"four\n".to_vec());
    let at = |start, end| Span { file: first, start, end };
    let notes = vec![
        Diagnostic::warning("odd", at(4, 7), "`two` is odd").related(at(0, 3), "even"),
        Diagnostic::warning("odd", Span { file: second, start: 0, end: 4 }, "`four` is odd"),
    ];
    let difference = |span, message, spec, extension| Difference {
        note: Diagnostic::note("differs", span, message),
        spec,
        extension,
    };
    let differences = vec![
        difference(at(0, 3), "xinetd 2.3.15 would take one for two", "PARSE-14", false),
        difference(at(10, 15), "xinetd 2.3.15 would leave the service out", "ADDR-17", true),
    ];
    let loaded = Loaded { sources, notes, differences, ..Loaded::default() };
    let mut tally = Tally::default();
    tally.add(&loaded);
    Checked { configurations: vec![loaded], tally, extensions: 1 }
}

fn messages(args: &CheckArgs) -> Vec<String> {
    let checked = sample();
    in_order(&checked.configurations[0], args).into_iter().map(|note| note.message).collect()
}

#[test]
fn differences_stand_behind_the_mistakes_of_their_file() {
    let all = messages(&args(Format::Human, true, false));
    assert_eq!(
        all,
        [
            "`two` is odd",
            "xinetd 2.3.15 would take one for two (PARSE-14)",
            "xinetd 2.3.15 would leave the service out (ADDR-17)",
            "`four` is odd",
        ]
    );
}

#[test]
fn portable_lists_extensions_only_and_counts_them_as_mistakes() {
    let portable = args(Format::Human, false, true);
    let listed = messages(&portable);
    assert_eq!(listed.len(), 3);
    assert!(listed[1].ends_with("(ADDR-17)"), "{listed:?}");
    assert_eq!(messages(&args(Format::Human, false, false)).len(), 2);
    let status = |args: &CheckArgs| format!("{:?}", sample().status(args));
    let (success, failure) =
        (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::FAILURE));
    assert_eq!(status(&portable), failure);
    assert_eq!(status(&args(Format::Human, true, false)), success);
    assert_eq!(status(&CheckArgs { strict: true, ..args(Format::Human, false, false) }), failure);
}

#[test]
fn the_document_has_places_as_people_count_and_only_text() {
    let mut bytes = Vec::new();
    let args = args(Format::Json, true, false);
    sample().json(&args, &mut bytes).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let note = &document["diagnostics"][0];
    assert_eq!(note["file"], "/etc/first");
    assert_eq!((&note["line"], &note["column"]), (&1.into(), &5.into()));
    assert_eq!((&note["end_line"], &note["end_column"]), (&1.into(), &8.into()));
    assert_eq!(note["related"]["message"], "even");
    assert!(note["help"].is_null() && note["label"].is_null());
    let difference = &document["differences"][1];
    assert_eq!(difference["spec"], "ADDR-17");
    assert_eq!((&difference["line"], &difference["column"]), (&2.into(), &3.into()));
    assert_eq!(document["summary"]["warnings"], 2);
    assert_eq!(document["summary"]["files"], 2);
}

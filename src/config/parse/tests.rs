//! Tests of the parser: recovery line by line, and that what is printed is parsed again.

use super::*;
use proptest::prelude::*;

fn read(text: &[u8]) -> (Ast, Vec<Diagnostic>) {
    let mut notes = Vec::new();
    let ast = parse(FileId::default(), text, &mut notes);
    (ast, notes)
}

/// Every service and how its reading ended.
fn services(text: &str) -> Vec<(String, Ending)> {
    let services = read(text.as_bytes()).0.items.into_iter().filter_map(|item| match item {
        Item::Service { name, body } => Some((name.text().into_owned(), body.ending)),
        Item::Defaults { .. } | Item::Include(_) | Item::IncludeDir(_) => None,
    });
    services.collect()
}

#[test]
fn keywords_and_braces_may_be_indented_and_in_capitals() {
    let text = "\t SERVICE a and more\n # c\n\n \t{ \nwait = no\n\t } \n";
    assert_eq!(services(text), [("a".into(), Ending::Closed)], "PARSE-6 to PARSE-8");
}

#[test]
fn a_malformed_line_costs_its_entry_alone() {
    for line in ["foo", "wait= no", "} # end\n}", "include /etc/x"] {
        let text = format!("service a\n{{\n{line}\nid = x\n}}\nservice b\n{{\nwait = no\n}}\n");
        let wanted = [("a".into(), Ending::Broken), ("b".into(), Ending::Closed)];
        assert_eq!(services(&text), wanted, "PARSE-10, PARSE-11, INC-7: {line}");
    }
}

#[test]
fn a_missing_brace_costs_this_entry_and_the_next() {
    let text = "service a\n{\nservice b\n{\nid = bee\n}\nservice c\n{\n}\n";
    let wanted = [("a", Ending::Broken), ("b", Ending::Broken), ("c", Ending::Closed)];
    assert_eq!(services(text), wanted.map(|(name, end)| (name.into(), end)), "PARSE-22");
    let Item::Service { body, .. } = &read(text.as_bytes()).0.items[1] else { panic!() };
    assert_eq!(body.lines[0].first().text(), "bee");
}

#[test]
fn disable_ends_the_reading_unless_something_said_no_before() {
    let text = |lines: &str| format!("service a\n{{\n{lines}\nfoo bar\n}}\n");
    assert_eq!(services(&text("disable = yes"))[0].1, Ending::Disabled, "PARSE-19");
    assert_eq!(services(&text("disable = maybe\ndisable = yes"))[0].1, Ending::Disabled);
    assert_eq!(services(&text("disable = no\ndisable = yes"))[0].1, Ending::Broken);
}

#[test]
fn a_stray_line_skips_a_block_only_where_one_begins() {
    assert_eq!(services("foo\nservice a\n{\n}\n").len(), 1, "PARSE-20");
    let text = "servce b\n{\nid = x\n}\nservice a\n{\n}\n";
    let wanted = [("b".into(), Ending::Broken), ("a".into(), Ending::Closed)];
    assert_eq!(services(text), wanted, "PARSE-20");
}

#[test]
fn a_file_that_is_no_text_is_one_mistake() {
    let utf16: Vec<u8> = "service a\n{\n}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let elf = [b"\x7fELF\x02\x01\x01".to_vec(), vec![0; 500], b"\nservice a\n".to_vec()].concat();
    for text in [[vec![0xff, 0xfe], utf16.clone()].concat(), utf16, elf] {
        let (ast, notes) = read(&text);
        assert!(ast.incomplete && ast.items.is_empty());
        assert_eq!(notes.iter().map(|note| note.code).collect::<Vec<_>>(), [code::NOT_TEXT]);
    }
}

#[test]
fn a_swallowed_defaults_or_include_is_remembered() {
    for text in ["defaults\n{\n}\n", "includedir /etc/xinetd.d\n}\n"] {
        let text = format!("service a\n{{\n{text}");
        assert!(read(text.as_bytes()).0.incomplete, "PARSE-22");
    }
}

/// The text of an Ast without broken entries; those that are switched off are whole.
fn print(ast: &Ast) -> Vec<u8> {
    let mut text = Vec::new();
    for item in &ast.items {
        let (head, body) = match item {
            Item::Service { name, body } => (vec![&b"service"[..], &name.bytes], Some(body)),
            Item::Defaults { body, .. } => (vec![&b"defaults"[..]], Some(body)),
            Item::Include(path) => (vec![&b"include"[..], &path.bytes], None),
            Item::IncludeDir(path) => (vec![&b"includedir"[..], &path.bytes], None),
        };
        text.extend(head.join(&b' '));
        let Some(body) = body else {
            text.push(b'\n');
            continue;
        };
        text.extend(b"\n{\n");
        let rest = body.rest.iter().flat_map(|rest| &rest.lines);
        for line in body.lines.iter().chain(rest) {
            let mut words = vec![&line.name.bytes[..], line.operator.symbol().as_bytes()];
            words.extend(line.values.iter().map(|value| &value.bytes[..]));
            text.extend(words.join(&b' '));
            text.push(b'\n');
        }
        text.extend(b"}\n");
    }
    text
}

/// The Ast without places, which a reprinted file has elsewhere.
fn without_places(ast: &Ast) -> String {
    let text = format!("{ast:?}");
    let mut parts = text.split("Span {");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('}').map_or("", |(_, rest)| rest))
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_./=+ä-]{1,8}"
}

fn line() -> impl Strategy<Value = String> {
    let operator = prop_oneof![Just("="), Just("+="), Just("-=")];
    let values = prop::collection::vec(word(), 0..4);
    let plain = ("[a-z_]{1,8}", operator, values)
        .prop_map(|(name, operator, values)| format!("\t{name} {operator} {}", values.join(" ")));
    let known = prop::sample::select(vec!["disable = yes", "DISABLE =no", "id = x", "\tid -= y\r"]);
    prop_oneof![4 => plain, 1 => known.prop_map(str::to_owned)]
}

fn item() -> impl Strategy<Value = String> {
    let body = || {
        prop::collection::vec(line(), 0..5)
            .prop_map(|lines| format!("\n# note\n{{\n{}\n}}\n", lines.join("\n")))
    };
    prop_oneof![
        (word(), body()).prop_map(|(name, body)| format!("service {name}{body}")),
        body().prop_map(|body| format!("defaults{body}")),
        word().prop_map(|path| format!("include {path}\n")),
        word().prop_map(|path| format!("includedir {path}\r\n")),
    ]
}

/// Bytes, but such as a parser cares about.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            &b"service a"[..],
            b"defaults",
            b"{",
            b"}",
            b"\n",
            b"\n",
            b" ",
            b"=",
            b"+=",
            b"include x",
            b"disable = yes",
            b"id = b",
            b"#",
            b"\r",
            b"\0",
            b"wait = no\n",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_and_spans_stay_inside(text in soup()) {
        let (_, notes) = read(&text);
        let mut sources = crate::diag::Sources::default();
        sources.add("/x", text.clone());
        for note in notes {
            prop_assert!(note.span.start <= note.span.end);
            prop_assert!(usize::try_from(note.span.end).unwrap() <= text.len());
            drop((note.human(&sources, false), note.log_line(&sources)));
        }
    }

    #[test]
    fn what_is_printed_is_read_again(items in prop::collection::vec(item(), 0..5)) {
        let (ast, notes) = read(items.concat().as_bytes());
        prop_assert_eq!(notes, vec![]);
        let (again, _) = read(&print(&ast));
        prop_assert_eq!(without_places(&ast), without_places(&again));
    }
}

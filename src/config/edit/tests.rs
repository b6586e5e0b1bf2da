//! Tests of the switch: nothing but `disable` changes, on any text.

use super::*;
use proptest::prelude::*;

fn name_of(text: &[u8], number: usize) -> u32 {
    let ast = parse(FileId::default(), text, &mut Vec::new());
    let names = ast.items.iter().filter_map(|item| match item {
        Item::Service { name, .. } => Some(name.span.start),
        Item::Defaults { .. } | Item::Include(_) | Item::IncludeDir(_) => None,
    });
    names.into_iter().nth(number).unwrap()
}

/// The first service of `text` switched.
fn switched(text: &str, to: Switch) -> Result<Option<String>, Refusal> {
    let changed = switch(text.as_bytes(), name_of(text.as_bytes(), 0), to)?;
    Ok(changed.map(|change| String::from_utf8(change.text).unwrap()))
}

fn entry(lines: &str) -> String {
    format!("# head\nservice a\n{{\n{lines}}}\n")
}

#[test]
fn only_the_value_of_the_line_that_counts_is_replaced() {
    for (lines, to, wanted) in [
        ("\tdisable\t= no\n", Switch::Off, "\tdisable\t= yes\n"),
        ("\tdisable =YES  \n", Switch::On, "\tdisable =no  \n"),
        ("DISABLE = no\r\n", Switch::Off, "DISABLE = yes\r\n"),
        ("disable = no\ndisable = yes\n", Switch::Off, "disable = yes\ndisable = yes\n"),
        ("disable = maybe\ndisable = yes\n", Switch::On, "disable = maybe\ndisable = no\n"),
        ("wait = no\ndisable = yes\nport = 1\n", Switch::On, "wait = no\ndisable = no\nport = 1\n"),
    ] {
        assert_eq!(switched(&entry(lines), to), Ok(Some(entry(wanted))), "PARSE-15: {lines}");
    }
}

#[test]
fn what_is_so_already_is_not_touched() {
    for (lines, to) in [
        ("", Switch::On),
        ("disable = no\ndisable = yes\n", Switch::On),
        ("disable = yes # monday\n", Switch::On),
        ("disable = yes\nnonsense\n", Switch::Off),
    ] {
        assert_eq!(switched(&entry(lines), to), Ok(None), "{lines}");
    }
}

#[test]
fn a_new_line_looks_like_those_around_it() {
    for (lines, wanted) in [
        ("", "\tdisable\t\t= yes\n"),
        ("\tsocket_type\t= stream\n\twait\t\t= no\n", "\tdisable\t\t= yes\n"),
        ("\tsocket_type\t\t= stream\n\tid\t= x\n\twait\t\t\t=no\n", "\tdisable\t\t\t= yes\n"),
        ("    socket_type     = stream\n    wait            = no\n", "    disable         = yes\n"),
        ("  wait = no\n", "  disable = yes\n"),
        ("wait =no\n", "disable =yes\n"),
        ("\twait\t= no\n", "\tdisable\t= yes\n"),
        ("\twait\t    = no\n", "\tdisable\t    = yes\n"),
        ("\tdisable = no # x\n", "\tdisable = yes\n"),
    ] {
        let wanted = entry(&format!("{wanted}{lines}"));
        assert_eq!(switched(&entry(lines), Switch::Off), Ok(Some(wanted)), "{lines:?}");
    }
    let dos = "service a\r\n{\r\n\twait\t= no\r\n}\r\n";
    let wanted = "service a\r\n{\r\n\tdisable\t= yes\r\n\twait\t= no\r\n}\r\n";
    assert_eq!(switched(dos, Switch::Off), Ok(Some(wanted.into())), "PARSE-5");
}

#[test]
fn a_text_that_would_be_read_otherwise_is_not_written() {
    assert_eq!(switched(&entry("disable = yes\nnonsense\n"), Switch::On), Err(Refusal::Broken));
    assert_eq!(switched("service a {\n}\n", Switch::Off), Err(Refusal::NoBrace), "PARSE-7");
    let swallowed = "service a\n{\ndisable = yes\nservice b\n{\n}\n";
    assert_eq!(switched(swallowed, Switch::On), Err(Refusal::Broken), "PARSE-22");
    assert_eq!(switch(b"service a\n{\n}\n", 3, Switch::Off), Err(Refusal::NoEntry));
}

#[test]
fn the_line_that_changed_is_named() {
    let text = entry("\twait = no\n\tdisable = no\n");
    let at = name_of(text.as_bytes(), 0);
    assert_eq!(switch(text.as_bytes(), at, Switch::Off).unwrap().unwrap().line, 5);
    let text = entry("\twait = no\n");
    assert_eq!(switch(text.as_bytes(), at, Switch::Off).unwrap().unwrap().line, 4);
}

/// A line as people write them, in any layout and not always in UTF-8.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let assignment =
        ("[ \t]{0,3}", "[a-z_]{1,8}", "[ \t]{1,4}", "[-+]?=", "[ \t]{0,2}[a-z0-9 ]{0,6}").prop_map(
            |(indent, name, pad, operator, values)| {
                format!("{indent}{name}{pad}{operator}{values}").into_bytes()
            },
        );
    let disable = ("[ \t]{0,2}", prop::sample::select(vec!["yes", "no", "NO", "maybe", "yes # x"]))
        .prop_map(|(indent, value)| format!("{indent}disable\t= {value}").into_bytes());
    let note =
        prop::collection::vec(128_u8..=255, 0..4).prop_map(|bytes| [&b" # "[..], &bytes].concat());
    prop_oneof![4 => assignment, 2 => disable, 1 => note, 1 => Just(Vec::new())]
}

fn text() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let entry = prop::collection::vec(line(), 0..6);
    let end = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..])];
    let entries = prop::collection::vec(entry, 1..4);
    (entries, end, any::<bool>(), any::<prop::sample::Index>()).prop_map(
        |(entries, end, last_end, chosen)| {
            let chosen = chosen.index(entries.len());
            let wrapped = entries.into_iter().map(|lines| {
                let head = [b"service a".to_vec(), b"{".to_vec()];
                [&head[..], &lines, &[b"}".to_vec()]].concat().join(end)
            });
            let mut text = wrapped.collect::<Vec<_>>().join(end);
            if last_end {
                text.extend_from_slice(end);
            }
            (text, chosen)
        },
    )
}

/// What stands between the longest common beginning and end of two texts.
fn different<'t>(old: &'t [u8], new: &'t [u8]) -> (&'t [u8], &'t [u8]) {
    let front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[front..], &new[front..]);
    let back = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    (&old[..old.len() - back], &new[..new.len() - back])
}

fn all_but_disable(text: &[u8], chosen: usize) -> (Vec<Words>, Vec<(Words, Option<Ending>)>) {
    let name = name_of(text, chosen);
    let lines = other_lines(&Entry::find(text, name).unwrap());
    let ast = parse(FileId::default(), text, &mut Vec::new());
    let others = ast.items.iter().enumerate().filter(|(number, _)| *number != chosen);
    (lines, others.map(|(_, item)| meaning(item)).collect())
}

proptest! {
    #[test]
    fn switching_changes_one_line_and_the_way_back_restores_the_meaning((old, chosen) in text()) {
        let name = name_of(&old, chosen);
        let was = Entry::find(&old, name).unwrap().deciding().map(|(_, said)| said);
        let off = switch(&old, name, Switch::Off).unwrap();
        let off = off.map_or_else(|| old.clone(), |change| change.text);
        let (gone, come) = different(&old, &off);
        if was.is_some() {
            prop_assert!(gone.len() <= 3 && come.len() <= 3 && !come.contains(&b'\n'));
        } else {
            prop_assert!(gone.is_empty());
            prop_assert_eq!(come.iter().filter(|byte| **byte == b'\n').count(), 1);
        }
        prop_assert_eq!(all_but_disable(&old, chosen), all_but_disable(&off, chosen));
        let ast = parse(FileId::default(), &off, &mut Vec::new());
        prop_assert_eq!(ast.items[chosen].body().unwrap().ending, Ending::Disabled);
        prop_assert_eq!(switch(&off, name, Switch::Off), Ok(None));

        let on = switch(&off, name, Switch::On).unwrap().unwrap().text;
        prop_assert_eq!(all_but_disable(&old, chosen), all_but_disable(&on, chosen));
        let ast = parse(FileId::default(), &on, &mut Vec::new());
        prop_assert_eq!(ast.items[chosen].body().unwrap().ending, Ending::Closed);
        // and again: now it is the value only, so the text comes back to the byte
        let again = switch(&on, name, Switch::Off).unwrap().unwrap().text;
        let back = switch(&again, name, Switch::On).unwrap().unwrap().text;
        prop_assert_eq!(on, back);
    }
}

//! Overlays: `NAME.local` beside `NAME`.

use std::fs;

use super::{entry, machine};
use crate::config::{Fate, Loaded, Request, code, load};
use crate::plan::{Limit, LogField};

/// Loads a directory with these files.
fn directory(files: &[(&str, &str)]) -> Loaded {
    let root = tempfile::tempdir().unwrap();
    let main = root.path().join("xinetd.conf");
    fs::write(&main, "defaults\n{\nlog_on_success = PID\n}\nincludedir d\n").unwrap();
    fs::create_dir(root.path().join("d")).unwrap();
    for (name, text) in files {
        fs::write(root.path().join("d").join(name), text).unwrap();
    }
    load(&Request { path: &main, base: root.path(), lookup: &machine(), inetd: None })
}

fn overlay(name: &str, lines: &str) -> String {
    format!("service {name}\n{{\n{lines}\n}}\n")
}

#[test]
fn an_overlay_replaces_values_and_extends_lists() {
    let base = entry("a", 1001, "instances = 1\nlog_on_success += HOST\nnice = 3");
    let local = overlay("a", "instances = 2\nlog_on_success += EXIT\nlog_on_success -= PID");
    let loaded = directory(&[("a", &base), ("a.local", &local)]);
    let service = &loaded.plan.services[0];
    assert_eq!((service.policy.instances, service.nice), (Limit::Max(2), Some(3)));
    for (field, wanted) in [(LogField::Host, true), (LogField::Exit, true), (LogField::Pid, false)]
    {
        assert_eq!(service.log.on_success.has(field), wanted, "{field:?}");
    }
    let files: Vec<_> = loaded.declared[0]
        .lines
        .iter()
        .filter(|(name, _)| *name == "instances")
        .map(|(_, span)| loaded.sources.path(span.file).file_name().unwrap().to_owned())
        .collect();
    assert_eq!(files, ["a.local"]);
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    assert!(loaded.differences.iter().any(|found| found.extension && found.spec == "INC-3"));
}

#[test]
fn an_overlay_switches_services_on_and_off() {
    let off = entry("a", 1001, "").replace("\ntype", "\ndisable = yes\ntype");
    let on = entry("b", 1002, "");
    let loaded = directory(&[
        ("ab", &(off + &on)),
        ("ab.local", &(overlay("a", "disable = no") + &overlay("B", "disable = yes"))),
    ]);
    assert_eq!(loaded.declared[0].fate, Fate::Starts(0), "the rest of the entry counts");
    assert_eq!(loaded.declared[1].fate, Fate::Disabled);
}

#[test]
fn a_mistake_in_an_overlay_or_under_it_costs_the_service() {
    let off = entry("a", 1001, "").replace("\ntype =", "\ndisable = yes\ntype");
    for (base, local) in [
        (entry("a", 1001, ""), overlay("a", "instances = many")),
        (entry("a", 1001, ""), overlay("a", "instances")),
        (off, overlay("a", "disable = no")),
    ] {
        let loaded = directory(&[("a", &base), ("a.local", &local)]);
        assert_eq!(loaded.declared[0].fate, Fate::Faulty, "{base}{local}");
    }
}

#[test]
fn a_line_that_is_ignored_replaces_nothing() {
    let local = overlay("a", "wait = no # really");
    let loaded = directory(&[("a", &entry("a", 1001, "")), ("a.local", &local)]);
    assert_eq!(loaded.declared[0].fate, Fate::Starts(0), "PARSE-13");
    assert_eq!(loaded.notes.len(), 1);
}

#[test]
fn an_overlay_without_its_file_is_not_read_and_one_without_its_service_is_reported() {
    let loaded = directory(&[("a", &entry("a", 1001, "")), ("b.local", &overlay("a", "nice = x"))]);
    assert!(loaded.notes.is_empty(), "INC-3");
    let loaded =
        directory(&[("a", &entry("a", 1001, "")), ("a.local", &overlay("aa", "nice = 1"))]);
    assert_eq!(loaded.notes[0].code, code::UNKNOWN_ID);
}

#[test]
fn an_overlay_is_found_by_the_id() {
    let base = entry("time", 1001, "id = time-stream");
    let local = overlay("time", "id = time-stream\nnice = 4");
    let loaded = directory(&[("time", &base), ("time.local", &local)]);
    assert_eq!(loaded.plan.services[0].nice, Some(4));
}

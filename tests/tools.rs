//! What other people's tools write, and what we ship ourselves, loads without a diagnostic.
//!
//! The files of `tests/tools` are ours, laid out as those tools lay them out: the Augeas
//! lens, the templates of Puppet, Ansible and Chef, chkconfig(8), and sed(1) of hardening
//! guides.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;

use xinetd_rs::config::edit::{self, Switch};
use xinetd_rs::config::report::Tally;
use xinetd_rs::config::{self, Loaded, Request};
use xinetd_rs::diag::Diagnostic;
use xinetd_rs::plan::Service;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(path: &Path) -> Loaded {
    let base = path.parent().unwrap();
    config::load(&Request { path, base, inetd: None, lookup: &common::machine() })
}

fn complaints(loaded: &Loaded) -> Vec<String> {
    let text = |note: &Diagnostic| note.human(&loaded.sources, false);
    common::complaints(loaded).into_iter().map(text).collect()
}

#[test]
fn what_tools_write_loads_without_a_diagnostic() {
    let entries = fs::read_dir(root().join("tests/tools")).unwrap();
    let mut mains: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    mains.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    assert_eq!(mains.len(), 6);
    for main in mains {
        let loaded = load(&main);
        assert_eq!(complaints(&loaded), [""; 0], "{}", main.display());
        assert!(!loaded.declared.is_empty(), "{}", main.display());
    }
}

#[test]
fn what_we_ship_loads_without_a_diagnostic() {
    let path = root().join("etc/xinetd.conf");
    let text = fs::read_to_string(&path).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().join("xinetd.conf");
    let ours = root().join("etc/xinetd.d");
    fs::write(&here, text.replace("/etc/xinetd.d", &ours.display().to_string())).unwrap();
    let loaded = load(&here);
    let mut tally = Tally::default();
    tally.add(&loaded);
    assert!(loaded.notes.is_empty(), "{:?}", complaints(&loaded));
    assert_eq!((tally.services, tally.left_out), (4, 0));
    for entry in fs::read_dir(ours).unwrap() {
        assert!(load(&entry.unwrap().path()).notes.is_empty(), "each by itself");
    }
}

#[test]
fn every_example_loads_without_a_diagnostic() {
    let entries = fs::read_dir(root().join("etc/examples")).unwrap();
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    for name in ["mail", "tftp", "rsync", "git", "check_mk", "redirect"] {
        assert!(paths.iter().any(|path| path.ends_with(name)), "there is no example {name}");
    }
    for path in paths {
        let loaded = load(&path);
        assert_eq!(complaints(&loaded), [""; 0], "{}", path.display());
        assert!(!loaded.declared.is_empty(), "{}", path.display());
    }
}

/// What `chkconfig NAME on` and `off` make of a file: no line that begins with `disable`,
/// no empty line, and one line with it behind each `{`.
fn chkconfig(text: &str, to: Switch) -> String {
    let keeps = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("disable");
    text.lines().filter(keeps).fold(String::new(), |written, line| {
        let switch = match line.trim_start().starts_with('{') {
            true => format!("\tdisable\t= {}\n", to.word()),
            false => String::new(),
        };
        written + line + "\n" + &switch
    })
}

/// Where the name of the service stands.
fn name_in(text: &str) -> u32 {
    u32::try_from(text.find("service rsync").unwrap() + "service ".len()).unwrap()
}

#[test]
fn chkconfig_and_we_switch_a_service_to_the_same_meaning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rsync");
    let meaning = |text: &[u8]| {
        fs::write(&path, text).unwrap();
        let loaded = load(&path);
        assert_eq!(complaints(&loaded), [""; 0]);
        let place = |service: &Service| {
            let mut service = service.clone();
            service.declared_at.line = 0;
            service
        };
        loaded.plan.services.iter().map(place).collect::<Vec<_>>()
    };
    for name in ["chkconfig.d/rsync", "augeas.d/rsync", "puppet.d/rsync", "chef.d/rsync"] {
        let text = fs::read_to_string(root().join("tests/tools").join(name)).unwrap();
        let at = name_in(&text);
        let off = edit::switch(text.as_bytes(), at, Switch::Off).unwrap().unwrap().text;
        assert_eq!(meaning(&off), meaning(chkconfig(&text, Switch::Off).as_bytes()), "{name}");
        assert!(meaning(&off).is_empty());
        let on = edit::switch(&off, at, Switch::On).unwrap().unwrap().text;
        assert_eq!(meaning(&on), meaning(chkconfig(&text, Switch::On).as_bytes()), "{name}");
        assert_eq!(meaning(&on).len(), 1);
        // and what chkconfig wrote is switched by one word
        let theirs = chkconfig(&text, Switch::On);
        let ours =
            edit::switch(theirs.as_bytes(), name_in(&theirs), Switch::Off).unwrap().unwrap().text;
        assert_eq!(String::from_utf8(ours).unwrap(), chkconfig(&text, Switch::Off), "{name}");
    }
}

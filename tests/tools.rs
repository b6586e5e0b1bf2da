//! What other people's tools write, and what we ship ourselves, loads without a diagnostic.
//!
//! The files of `tests/tools` are ours, laid out as those tools lay them out: the Augeas
//! lens, the templates of Puppet, Ansible and Chef, chkconfig(8), and sed(1) of hardening
//! guides.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use xinetd_rs::config::edit::{self, Switch};
use xinetd_rs::config::lookup::{Table, User};
use xinetd_rs::config::report::Tally;
use xinetd_rs::config::{self, Loaded, Request, code};
use xinetd_rs::diag::{Diagnostic, Severity};
use xinetd_rs::plan::Service;

/// A machine with all that the files name.
fn machine() -> Table {
    let user = |name: &str, uid, gid| User { name: name.into(), uid, gid };
    let tcp = [("rsync", 873), ("telnet", 23), ("shell", 514), ("discard", 9), ("pop3", 110)];
    let more = [("pop3s", 995), ("imap4", 143), ("imap4s", 993), ("nrpe", 5666)];
    let tcp = tcp.iter().chain(&more).map(|(name, port)| ((*name, "tcp"), *port));
    let udp = [(("tftp", "udp"), 69), (("time", "udp"), 37)];
    let port =
        |((name, protocol), port): ((&str, &str), u16)| ((name.into(), protocol.into()), port);
    let programs = [
        "/usr/bin/check_mk_agent",
        "/usr/bin/git",
        "/usr/bin/rsync",
        "/usr/sbin/imap4d",
        "/usr/sbin/in.tftpd",
        "/usr/sbin/nrpe",
        "/usr/sbin/pop3d",
    ];
    Table {
        users: vec![user("root", 0, 0), user("nobody", 65534, 65534), user("nagios", 110, 120)],
        groups: [("root".into(), 0), ("nogroup".into(), 65534), ("nagios".into(), 120)].into(),
        ports: tcp.chain(udp).map(port).collect(),
        protocols: [("tcp".into(), 6), ("udp".into(), 17)].into(),
        executables: programs.map(PathBuf::from).into(),
        variables: ["PATH".into()].into(),
        ..Table::default()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(path: &Path) -> Loaded {
    let base = path.parent().unwrap();
    config::load(&Request { path, base, inetd: None, lookup: &machine() })
}

/// Everything but that a kind of service is not run yet, or that a word does nothing yet.
fn complaints(loaded: &Loaded) -> Vec<String> {
    let told = |note: &&Diagnostic| match note.severity {
        Severity::Error => note.code != code::NOT_SUPPORTED,
        Severity::Warning => true,
        Severity::Note => note.code != code::NO_EFFECT,
    };
    loaded.notes.iter().filter(told).map(|note| note.human(&loaded.sources, false)).collect()
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

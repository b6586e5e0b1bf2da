//! Any bytes as a configuration file and as an inetd.conf: read, resolved, every mistake shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use xinetd_rs::config::lookup::{Table, User};
use xinetd_rs::config::{Request, load, parse};
use xinetd_rs::diag::{Diagnostic, Sources};

thread_local! {
    static HOUSE: RefCell<(tempfile::TempDir, Table)> =
        RefCell::new((tempfile::tempdir().expect("a directory"), table()));
}

fuzz_target!(|bytes: &[u8]| {
    let mut sources = Sources::default();
    let mut notes = Vec::new();
    let file = sources.add(Path::new("/etc/xinetd.conf"), bytes.to_vec());
    let _ = parse(file, sources.bytes(file), &mut notes);
    show(&notes, &sources);
    // An include could name a device, or a directory without end.
    if bytes.windows(7).any(|word| word.eq_ignore_ascii_case(b"include")) {
        return;
    }
    HOUSE.with_borrow(|(directory, lookup)| {
        let path = directory.path().join("xinetd.conf");
        fs::write(&path, bytes).expect("room in the directory");
        let base = directory.path();
        let loaded = load(&Request { path: &path, base, lookup, inetd: Some(&path) });
        show(&loaded.notes, &loaded.sources);
        let services = &loaded.plan.services;
        for service in services {
            let address = service.socket.address;
            let sharing = services.iter().filter(|other| other.socket.address == address);
            assert!(address.port() == 0 || sharing.count() == 1, "two services on one socket");
        }
    });
});

/// Every form that a diagnostic is shown in.
fn show(notes: &[Diagnostic], sources: &Sources) {
    for note in notes {
        let _ = (note.human(sources, false), note.short(sources), note.log_line(sources));
    }
}

/// A machine with a little of everything.
fn table() -> Table {
    let user = |name: &str, id| User { name: name.into(), uid: id, gid: id };
    Table {
        users: vec![user("root", 0), user("mail", 8)],
        groups: [("root".into(), 0), ("mail".into(), 8)].into(),
        members: [("mail".into(), vec![8, 50])].into(),
        ports: [(("pop3".into(), "tcp".into()), 110), (("time".into(), "udp".into()), 37)].into(),
        protocols: [("tcp".into(), 6), ("udp".into(), 17)].into(),
        hosts: [(
            "localhost".into(),
            vec![IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST)],
        )]
        .into(),
        executables: ["/bin/cat".into(), "/usr/sbin/pop3d".into()].into(),
        variables: ["PATH".into()].into(),
    }
}

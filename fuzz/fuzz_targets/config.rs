//! Any bytes as the files of a configuration: read, resolved, and every mistake shown. The
//! main file is read as an inetd.conf too.
//!
//! The byte 0x1c (FS, the file separator) ends a file. The first is the main file, the
//! others are those of [`FILES`], which it may include.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use xinetd_rs::config::ast::{Ast, Item};
use xinetd_rs::config::attr::TABLE;
use xinetd_rs::config::edit::{Switch, switch};
use xinetd_rs::config::lookup::{Table, User};
use xinetd_rs::config::{Loaded, Request, load, parse};
use xinetd_rs::diag::{Diagnostic, Sources};
use xinetd_rs::plan::{Door, ServiceIndex, SocketIndex, decode_doors, encode_doors};

/// Where the parts of the input go, below the directory of the configuration.
const FILES: [&str; 6] = ["main", "d/a", "d/a.local", "d/b", "d/b.local", "other"];

thread_local! {
    static HOUSE: RefCell<(tempfile::TempDir, Table)> = RefCell::new((house(), table()));
}

fuzz_target!(|bytes: &[u8]| {
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == 0x1c).take(FILES.len()).collect();
    if !parts.iter().all(|text| stays_inside(&parsed(text))) {
        return;
    }
    HOUSE.with_borrow(|(directory, lookup)| {
        let base = directory.path();
        for (number, name) in FILES.iter().enumerate() {
            lay(&base.join(name), parts.get(number).copied()).expect("room in the directory");
        }
        let main = base.join("main");
        let loaded = load(&Request { path: &main, base, lookup, inetd: Some(&main) });
        show(&loaded.notes, &loaded.sources);
        for difference in &loaded.differences {
            show(std::slice::from_ref(&difference.note), &loaded.sources);
        }
        dump(&loaded);
        carry(&loaded);
        flip(parts.first().copied().unwrap_or_default());
    });
});

/// The file by itself, with every mistake shown.
fn parsed(text: &[u8]) -> Ast {
    let mut sources = Sources::default();
    let mut notes = Vec::new();
    let file = sources.add(Path::new("/etc/xinetd.conf"), text.to_vec());
    let ast = parse(file, sources.bytes(file), &mut notes);
    show(&notes, &sources);
    ast
}

/// Whether no `include` leads out of the directory: what is there is not ours to read.
fn stays_inside(ast: &Ast) -> bool {
    ast.items.iter().all(|item| match item {
        Item::Include(path) | Item::IncludeDir(path) => {
            !path.bytes.starts_with(b"/") && !path.bytes.windows(2).any(|two| two == b"..")
        }
        Item::Service { .. } | Item::Defaults { .. } => true,
    })
}

fn lay(path: &Path, text: Option<&[u8]>) -> io::Result<()> {
    match text {
        Some(text) => fs::write(path, text),
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

/// Every form that a diagnostic is shown in.
fn show(notes: &[Diagnostic], sources: &Sources) {
    for note in notes {
        let (short, log) = (note.short(sources), note.log_line(sources));
        assert!(!short.contains(char::is_control) && !log.contains(char::is_control));
        let human = note.human(sources, false);
        assert!(!human.contains(|one: char| one.is_control() && one != '\n'), "{human:?}");
    }
}

/// What `explain` and `dump` say: every attribute of every service, and where it is from.
fn dump(loaded: &Loaded) {
    for declared in &loaded.declared {
        let _ = loaded.sources.position(declared.span);
        let Some(service) = loaded.service(declared) else { continue };
        assert_eq!((&service.id, &service.name), (&declared.id, &declared.name));
        for row in TABLE {
            let _ = row.show.value(service, &loaded.plan.common_log);
        }
    }
}

/// The plan on its way to the engine; and no socket is given twice.
fn carry(loaded: &Loaded) {
    let services = &loaded.plan.services;
    let mut taken = HashSet::new();
    for socket in services.iter().flat_map(|service| &service.sockets) {
        let first = taken.insert((socket.protocol, &socket.address));
        let is_any = socket.address.ip().is_some_and(|address| address.port() == 0);
        assert!(first || is_any, "two services on {socket}");
    }
    let doors: Vec<Door> = (0..)
        .zip(services)
        .map(|(number, one)| Door::of(ServiceIndex(number), one, vec![SocketIndex(number)]))
        .collect();
    let bytes = encode_doors(&doors).expect("memory");
    assert_eq!(decode_doors(&bytes).expect("what was written"), doors);
}

/// `enable` and `disable` on every entry: all that differs is within one line.
fn flip(text: &[u8]) {
    for item in parsed(text).items {
        let Item::Service { name, .. } = item else { continue };
        for to in [Switch::On, Switch::Off] {
            let Ok(Some(change)) = switch(text, name.span.start, to) else { continue };
            let front = text.iter().zip(&change.text).take_while(|(a, b)| a == b).count();
            let (old, new) = (&text[front..], &change.text[front..]);
            let back = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
            let (gone, come) = (&old[..old.len() - back], &new[..new.len() - back]);
            let ends = |part: &[u8]| part.iter().filter(|byte| **byte == b'\n').count();
            assert!(ends(gone) == 0 && ends(come) <= 1, "{gone:?} became {come:?}");
        }
    }
}

fn house() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("d")).expect("a directory in it");
    directory
}

/// A machine with a little of everything.
fn table() -> Table {
    let user = |name: &str, id| User { name: name.into(), uid: id, gid: id };
    let (v4, v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    let port = |name: &str, protocol: &str, port| ((name.into(), protocol.into()), port);
    Table {
        users: vec![user("root", 0), user("mail", 8)],
        groups: [("root".into(), 0), ("mail".into(), 8)].into(),
        members: [("mail".into(), vec![8, 50])].into(),
        ports: [
            port("pop3", "tcp", 110),
            port("time", "tcp", 37),
            port("time", "udp", 37),
            port("echo", "tcp", 7),
            port("tcpmux", "tcp", 1),
        ]
        .into(),
        protocols: [("tcp".into(), 6), ("udp".into(), 17), ("icmp".into(), 1)].into(),
        rpc: [("rstatd".into(), 100_001)].into(),
        networks: [("loopback".into(), 0x7f00_0000)].into(),
        hosts: [("localhost".into(), vec![SocketAddr::from((v6, 0)), SocketAddr::from((v4, 0))])]
            .into(),
        executables: ["/bin/cat".into(), "/usr/sbin/pop3d".into()].into(),
        variables: ["PATH".into()].into(),
    }
}

//! Lines of inetd.conf: the services they become, and what is said of those that become none.

use std::path::Path;

use super::{Request, credentials, defaults, entry, ids, load, machine, program};
use crate::config::{Fate, Loaded, Verdict, code};
use crate::plan::{Action, Groups, Internal, Libwrap, Limit, Passed, Service, SocketType, Wait};

/// A machine where the names of these tests are in services(5), beside a `main`.
fn compat(main: &str, inetd: &str) -> Loaded {
    let mut lookup = machine();
    let listed = |name: &str, protocol: &str, port| ((name.to_owned(), protocol.to_owned()), port);
    lookup.ports.extend([
        listed("pop3", "tcp", 110),
        listed("ftp", "tcp", 21),
        listed("tftp", "udp", 69),
        listed("time", "tcp", 37),
        listed("time", "udp", 37),
        listed("tcpmux", "tcp", 1),
        listed("discard", "tcp", 9),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("main"), main).unwrap();
    std::fs::write(at("inetd.conf"), inetd).unwrap();
    let inetd = at("inetd.conf");
    let (path, base) = (at("main"), directory.path());
    load(&Request { path: &path, base, lookup: &lookup, inetd: Some(&inetd) })
}

/// The one service of `line`, whether this version runs it or not.
fn one(line: &str) -> Service {
    let Loaded { plan, mut unserved, notes, .. } = compat("", line);
    unserved.extend(plan.services);
    assert_eq!(unserved.len(), 1, "{line}: {notes:#?}");
    unserved.remove(0)
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.notes.iter().map(|note| note.code).collect()
}

const POP3: &str = "pop3 stream tcp nowait root /bin/cat cat\n";

#[test]
fn a_line_is_a_service_with_the_groups_of_its_user() {
    let service = one("# comment\n \t\npop3\tstream tcp\tnowait games /bin/cat other -u # x\n");
    assert_eq!((service.name.as_str(), service.port()), ("pop3", 110), "INETD-2");
    assert_eq!(program(&service).argv, ["other", "-u", "#", "x"], "INETD-1");
    assert_eq!(credentials(&service).groups, Groups::List(vec![60, 20]), "INETD-3");
    assert_eq!(service.libwrap, Libwrap::Off, "INETD-3");
    assert_eq!((service.wait, service.declared_at.line), (Wait::No, 3));
    assert!(service.declared_at.file.ends_with("inetd.conf"));
}

#[test]
fn a_dot_separates_user_and_group_and_numbers_are_names() {
    let line = |user: &str| format!("pop3 stream tcp nowait {user} /bin/cat cat\n");
    let service = one(&line("games.daemon"));
    assert_eq!((credentials(&service).uid, credentials(&service).gid), (5, 1), "INETD-2");
    for (user, wanted) in [
        ("5", code::UNKNOWN_USER),
        ("root:daemon", code::UNKNOWN_USER),
        (".daemon", code::UNKNOWN_USER),
        ("root.", code::UNKNOWN_GROUP),
        ("root.1", code::UNKNOWN_GROUP),
        ("root.daemon.x", code::UNKNOWN_GROUP),
    ] {
        let found = compat("", &line(user));
        assert_eq!((codes(&found), ids(&found).1), (vec![wanted], vec!["pop3"]), "INETD-2: {user}");
    }
}

#[test]
fn what_is_neither_wait_nor_nowait_is_taken_as_nowait() {
    let line = |wait: &str| POP3.replace("nowait", wait);
    for (word, wait, said) in [
        ("wait", Wait::Yes, vec![]),
        ("NoWait", Wait::No, vec![]),
        ("nowait.40", Wait::No, vec![code::NOWAIT_LIMIT]),
        ("nowait/40", Wait::No, vec![code::NOWAIT_LIMIT]),
        ("wait.40", Wait::No, vec![code::UNKNOWN_WORD]),
        ("maybe", Wait::No, vec![code::UNKNOWN_WORD]),
    ] {
        assert_eq!(one(&line(word)).wait, wait, "INETD-2: {word}");
        assert_eq!(codes(&compat("", &line(word))), said, "{word}");
    }
}

#[test]
fn names_and_protocols_must_be_known() {
    for (line, wanted) in [
        (POP3.replace("pop3", "no-such"), code::UNKNOWN_SERVICE),
        (POP3.replace("pop3", "110"), code::UNKNOWN_SERVICE),
        (POP3.replace("pop3", "127.0.0.1:pop3"), code::UNKNOWN_SERVICE),
        (
            POP3.replace("tcp", "udp").replace("stream", "dgram").replace("no", ""),
            code::UNKNOWN_SERVICE,
        ),
        (POP3.replace("tcp", "tcp6"), code::UNKNOWN_PROTOCOL),
        (POP3.replace("stream", "rdm"), code::UNKNOWN_WORD),
    ] {
        let found = compat("", &line);
        assert_eq!(
            (codes(&found), found.plan.services.len()),
            (vec![wanted], 0),
            "INETD-2: {line}"
        );
    }
}

#[test]
fn all_of_defaults_applies_and_where_the_original_does_otherwise_is_said() {
    let lists = "only_from = 192.0.2.1\npassenv = PATH\nbanner = /b\nbanner_fail = /f";
    let main = defaults(&format!("{lists}\ninstances = 3\nbind = 127.0.0.9\ngroups = no"));
    let found = compat(&main, POP3);
    let service = &found.plan.services[0];
    assert!(service.policy.only_from.is_some() && service.policy.no_access.is_none(), "INETD-4");
    assert_eq!(service.env.passed, Passed::Only(vec!["PATH".into()]), "INETD-4");
    assert!(service.banners.always.is_some() && service.banners.fail.is_some(), "INETD-4");
    assert_eq!(service.policy.instances, Limit::Max(3), "INETD-3");
    assert_eq!(service.sockets[0].address.to_string(), "127.0.0.9:110", "INETD-3");
    assert_ne!(credentials(service).groups, Groups::None, "INETD-3");
    let said: Vec<_> = found.differences.iter().map(|one| (one.spec, &*one.note.message)).collect();
    let deed = "xinetd 2.3.15 does not apply `only_from`, `passenv`, `banner`, `banner_fail` of \
                `defaults` here";
    assert_eq!(said, [("INETD-4", deed)]);
    assert!(compat(&defaults("instances = 3"), POP3).differences.is_empty());
}

#[test]
fn internal_services_have_dgram_in_their_id_and_discard_is_refused() {
    for (line, id, which) in [
        ("time stream tcp nowait root internal", "time-dgram", Internal::Time),
        ("time dgram udp wait root INTERNAL x y", "time-dgram", Internal::Time),
        ("tcpmux stream tcp nowait root internal", "tcpmux", Internal::Tcpmux),
    ] {
        let service = one(line);
        assert_eq!(service.id.0, id, "INETD-5");
        assert!(matches!(service.action, Action::Internal { service, .. } if service == which));
    }
    let refused = compat("", "discard stream tcp nowait root internal\n");
    assert_eq!((codes(&refused), ids(&refused).1), (vec![code::UNKNOWN_INTERNAL], vec!["discard"]));
    assert_eq!(one("discard stream tcp nowait root /bin/cat cat").id.0, "discard", "INETD-5");
}

#[test]
fn the_service_of_xinetd_conf_wins_unless_it_is_switched_off() {
    let both = |lines: &str| compat(&entry("a", 110, lines), POP3);
    let found = both("");
    assert_eq!(ids(&found), (vec!["a"], vec!["pop3"]), "INETD-6");
    assert_eq!(codes(&found), [code::DUPLICATE]);
    assert_eq!(ids(&both("disable = yes")), (vec!["pop3"], vec![]), "INETD-6");
    let list = |line: &str| compat(&defaults(line), POP3).declared[0].fate;
    assert!(matches!(list("disabled = POP3"), Fate::KeptOff(_)), "DEF-8");
    assert!(matches!(list("enabled = x"), Fate::KeptOff(_)), "DEF-8");
}

#[test]
fn a_short_line_costs_itself_and_says_what_is_missing() {
    let words: Vec<_> = POP3.split_whitespace().collect();
    for (count, missing) in
        [(1, "socket type"), (2, "protocol"), (3, "`wait` or `nowait`"), (4, "user"), (5, "server")]
    {
        let found =
            compat("", &format!("{}\nftp stream tcp nowait root /x x\n", words[..count].join(" ")));
        assert_eq!(ids(&found), (vec!["ftp"], vec!["pop3"]), "INETD-7, RELOAD-4");
        assert!(found.notes[0].message.contains(&format!("has no {missing};")), "{missing}");
        let crash = found.differences.iter().any(|one| one.spec == "INETD-7");
        assert_eq!(crash, count == 2);
        assert_eq!(found.verdict, Verdict::Good);
    }
    let zero = compat("", &POP3.replace("/bin/cat", "/bin\0/cat"));
    assert_eq!((codes(&zero), ids(&zero).1), (vec![code::MALFORMED_LINE], vec!["pop3"]));
}

#[test]
fn a_server_without_words_has_its_name_as_argv_0() {
    let found = compat("", "pop3 stream tcp nowait root /bin/cat\n");
    assert_eq!(program(&found.plan.services[0]).argv, ["cat"]);
    assert_eq!(found.differences[0].spec, "INETD-1");
}

#[test]
fn a_server_that_is_not_there_is_a_warning() {
    let found = compat("", &POP3.replace("/bin/cat", "nothing"));
    assert_eq!(
        (codes(&found), ids(&found).0),
        (vec![code::NOT_EXECUTABLE], vec!["pop3"]),
        "INETD-8"
    );
    assert_eq!(program(&found.plan.services[0]).path, Path::new("/nothing"));
    assert!(!found.notes[0].is_error());
}

#[test]
fn rpc_lines_become_rpc_services() {
    let line = "rstatd/1-3 dgram rpc/udp wait root /bin/cat cat\n";
    let service = one(line);
    let rpc = service.rpc.unwrap();
    assert_eq!((rpc.program, rpc.versions), (100_001, 1..=3), "INETD-9");
    assert_eq!((service.name.as_str(), service.socket_type), ("rstatd", SocketType::Dgram));
    assert_eq!(compat("", line).differences[0].spec, "INETD-9");
    for (line, wanted) in [
        (line.replace("/1-3", ""), vec![code::MISSING_ATTRIBUTE]),
        (line.replace("1-3", "3-1"), vec![code::BAD_NUMBER]),
        (line.replace("rstatd", "nothing"), vec![code::UNKNOWN_SERVICE]),
        (POP3.replace("pop3", "pop3/2"), vec![code::NO_EFFECT]),
    ] {
        assert_eq!(codes(&compat("", &line)), wanted, "{line}");
    }
}

#[test]
fn files_of_other_systems_are_read() {
    let found = compat("", &format!("\u{feff}{}", POP3.replace('\n', "\r\n")));
    assert_eq!(program(&found.plan.services[0]).argv, ["cat"]);
    let specs: Vec<_> = found.differences.iter().map(|one| one.spec).collect();
    assert_eq!(specs, ["PARSE-5"]);
}

#[test]
fn a_missing_file_is_a_note_and_an_unreadable_one_keeps_the_old_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("main");
    std::fs::write(&path, entry("a", 1001, "")).unwrap();
    let with = |inetd: &Path| {
        let base = directory.path();
        load(&Request { path: &path, base, lookup: &machine(), inetd: Some(inetd) })
    };
    let missing = with(&directory.path().join("nothing"));
    assert_eq!((codes(&missing), missing.verdict), (vec![code::NO_INETD_CONF], Verdict::Good));
    assert_eq!(missing.plan.services.len(), 1);
    let unreadable = with(directory.path());
    assert_eq!(codes(&unreadable), [code::UNREADABLE]);
    assert_eq!(unreadable.verdict, Verdict::FaultyDefaults { fatal: false });
    std::fs::write(directory.path().join("binary"), b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0").unwrap();
    assert_eq!(codes(&with(&directory.path().join("binary"))), [code::NOT_TEXT]);
}

#[test]
fn long_files_are_read_in_time_that_grows_with_their_length() {
    let text = POP3.repeat(20_000) + &"x ".repeat(500_000);
    let start = std::time::Instant::now();
    let found = compat("", &text);
    assert_eq!((found.plan.services.len(), found.faulty.len()), (1, 20_000));
    assert!(start.elapsed().as_secs() < super::MOST_SECONDS, "{:?}", start.elapsed());
}

//! Whole configurations into plans: what the contract says about defaults, ports, sockets.

mod differences;
mod hours;
mod inetd;
mod kinds;
mod names;
mod overlays;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::lookup::{Table, User};
use crate::config::{Loaded, Request, Verdict, code, load};
use crate::plan::{
    Credentials, Groups, Limit, LogField, LogTarget, Origin, Passed, Plan, Program, RateLimit,
    Service,
};

/// What takes minutes when time grows with the square, and seconds on the slowest machine when
/// it does not.
const MOST_SECONDS: u64 = 60;

fn machine() -> Table {
    let user = |name: &str, uid, gid| User { name: name.into(), uid, gid };
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Table {
        users: vec![user("root", 0, 0), user("games", 5, 60)],
        groups: [("daemon".into(), 1)].into(),
        members: [("games".into(), vec![20])].into(),
        ports: [(("http".into(), "tcp".into()), 80)].into(),
        protocols: [("tcp".into(), 6), ("udp".into(), 17), ("icmp".into(), 1)].into(),
        hosts: [
            ("dual".into(), vec![address("192.0.2.1:0"), address("[2001:db8::1]:0")]),
            ("four".into(), vec![address("192.0.2.8:0"), address("192.0.2.9:0")]),
            ("fe80::1%eth0".into(), vec![address("[fe80::1%2]:0")]),
            ("fe80::1%eth1".into(), vec![address("[fe80::1%3]:0")]),
        ]
        .into(),
        executables: [PathBuf::from("/bin/cat")].into(),
        networks: [("campus".into(), 0x0a01_0000)].into(),
        rpc: [("rstatd".into(), 100_001)].into(),
        variables: ["PATH".into(), "HOME".into()].into(),
    }
}

fn loaded(text: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("xinetd.conf");
    std::fs::write(&path, text).unwrap();
    load(&Request { path: &path, base: directory.path(), lookup: &machine(), inetd: None })
}

fn entry(name: &str, port: u16, lines: &str) -> String {
    format!(
        "service {name}\n{{\ntype = UNLISTED\nsocket_type = stream\nwait = no\nuser = root\n\
         server = /bin/cat\nport = {port}\n{lines}\n}}\n"
    )
}

fn defaults(lines: &str) -> String {
    format!("defaults\n{{\n{lines}\n}}\n")
}

fn one(text: &str) -> Service {
    let Plan { mut services, .. } = loaded(text).plan;
    assert_eq!(services.len(), 1, "{text}");
    services.remove(0)
}

fn with(lines: &str) -> Service {
    one(&entry("a", 1001, lines))
}

fn program(service: &Service) -> &Program {
    service.action.start().unwrap().0
}

fn credentials(service: &Service) -> &Credentials {
    service.action.credentials().unwrap()
}

fn ids(loaded: &Loaded) -> (Vec<&str>, Vec<&str>) {
    let up = loaded.plan.services.iter().map(|service| service.id.0.as_str()).collect();
    (up, loaded.faulty.iter().map(|faulty| faulty.id.0.as_str()).collect())
}

#[test]
fn a_line_that_says_the_same_once_more_is_no_mistake() {
    for (again, notes) in [("instances = 5", 0), ("INSTANCES =\t5", 0), ("instances = 6", 1)] {
        let found = loaded(&entry("a", 1001, &format!("instances = 5\n{again}")));
        assert_eq!(found.notes.len(), notes, "PARSE-15: {again}");
        assert_eq!(found.plan.services[0].policy.instances, Limit::Max(5));
    }
    let twice = "log_type = SYSLOG mail\n".repeat(2);
    assert_eq!(loaded(&defaults(&twice)).verdict, Verdict::FaultyDefaults { fatal: true }, "DEF-9");
}

#[test]
fn a_plain_service_has_the_documented_defaults() {
    let service = with("");
    assert_eq!(service.origin, Origin::Unlisted);
    assert_eq!(service.sockets[0].to_string(), "[::]:1001/tcp");
    assert!(service.sockets[0].any_family && !service.sockets[0].v6only, "BIND-1");
    assert_eq!(program(&service).argv, ["cat"], "SRV-3");
    assert_eq!(service.policy.instances, Limit::Unlimited);
    assert_eq!(service.policy.rate, RateLimit { per_second: 50, pause: 10 }, "CPS-4");
    assert_eq!((service.policy.only_from, service.policy.no_access), (None, None));
    assert_eq!((service.env.passed, service.log.target), (Passed::All, LogTarget::None));
    assert_eq!(service.declared_at.line, 1);
}

#[test]
fn defaults_reach_services_before_and_after_them() {
    let text = entry("a", 1001, "")
        + &defaults("only_from = 192.0.2.1\nbanner = /etc/motd\ninstances = 3\nv6only = yes")
        + &entry("b", 1002, "");
    let plan = loaded(&text).plan;
    for service in &plan.services {
        assert!(service.policy.only_from.is_some(), "DEF-10");
        assert_eq!(service.banners.always.as_deref(), Some(Path::new("/etc/motd")));
        assert_eq!(service.policy.instances, Limit::Max(3));
        assert!(service.sockets[0].v6only, "DEF-12");
    }
    assert_eq!(plan.services.len(), 2);
}

#[test]
fn a_service_overrides_the_scalars_of_defaults() {
    let text = defaults("instances = 0\numask = 077\ngroups = yes\nlog_type = SYSLOG mail")
        + &entry("a", 1001, "instances = UNLIMITED\numask = 027\ngroups = no");
    let service = one(&text);
    assert_eq!(service.policy.instances, Limit::Unlimited, "DEF-19");
    assert_eq!((service.umask, &credentials(&service).groups), (Some(0o27), &Groups::None));
    assert_eq!(service.log.target, LogTarget::Common, "DEF-18");
}

#[test]
fn traffic_of_defaults_is_left_out_and_that_of_a_service_is_a_mistake() {
    let text = defaults("log_on_success = TRAFFIC PID") + &entry("a", 1001, "");
    let log = one(&text).log;
    assert!(log.on_success.has(LogField::Pid), "DEF-11");
    assert!(!log.on_success.has(LogField::Traffic));
    assert_eq!(ids(&loaded(&entry("a", 1001, "log_on_success = TRAFFIC"))).1, ["a"], "CHK-13");
}

#[test]
fn an_error_wins_over_disable_no_and_enabled() {
    let text = defaults("enabled = a") + &entry("a", 1001, "no_access = 10.{x}\ndisable = no");
    assert_eq!(ids(&loaded(&text)), (vec![], vec!["a"]), "PARSE-18");
}

#[test]
fn enabled_and_disabled_select_by_id_in_any_case_and_nobody_else_is_faulty() {
    let text = defaults("enabled = ONE two\ndisabled = two")
        + &entry("a", 1001, "id = one")
        + &entry("b", 1002, "id = two")
        + &entry("c", 1003, "nice = x")
        + &entry("d", 1004, "id = one\ndisable = yes");
    let loaded = loaded(&text);
    assert_eq!(ids(&loaded), (vec!["one"], vec![]), "DEF-8");
    assert!(loaded.notes.is_empty());
}

#[test]
fn the_port_comes_from_services_and_the_four_mail_names_are_known_anyway() {
    let listed = |name: &str, more: &str| {
        format!(
            "service {name}\n{{\nprotocol = tcp\nwait = no\nuser = root\nserver = /bin/cat\n{more}\n}}\n"
        )
    };
    for (name, port) in
        [("http", 80), ("pop3", 110), ("pop3s", 995), ("imap4", 143), ("imap4s", 993)]
    {
        assert_eq!(one(&listed(name, "")).port(), port, "PORT-1: {name}");
    }
    assert_eq!(ids(&loaded(&listed("http", "port = 81"))).1, ["http"], "PORT-2");
    assert_eq!(ids(&loaded(&listed("httpd", "port = 80"))).1, ["httpd"], "PORT-1");
}

#[test]
fn the_address_follows_bind_and_the_family_flags() {
    for (lines, socket) in [
        ("flags = IPv4", Some("0.0.0.0:1001")),
        ("flags = IPv6", Some("[::]:1001")),
        ("flags = IPv4 IPv6", Some("[::]:1001")),
        ("bind = 127.0.0.3", Some("127.0.0.3:1001")),
        ("bind = dual", Some("[2001:db8::1]:1001")),
        ("bind = dual\nflags = IPv4", Some("192.0.2.1:1001")),
        ("bind = four", Some("192.0.2.8:1001")),
        ("bind = fe80::1%eth0", Some("[fe80::1%2]:1001")),
        ("bind = fe80::1%eth9", None),
        ("bind = ::1\nflags = IPv4", None),
        ("bind = 127.0.0.1\nflags = IPv6", None),
        ("bind = 127.0.0.1 127.0.0.2", Some("127.0.0.1:1001 127.0.0.2:1001")),
        ("bind = 127.0.0.1 dual ::1", Some("127.0.0.1:1001 [2001:db8::1]:1001 [::1]:1001")),
        ("bind = 127.0.0.1 ::1\nflags = IPv6", None),
        ("bind = 127.0.0.1 nowhere", None),
        ("bind = ::1 0:0::1", Some("[::1]:1001")),
        ("bind = unix:/run/a ::1", Some("unix:/run/a [::1]:1001")),
        ("bind = unix:/run/a unix:@b\nflags = IPv4", Some("unix:/run/a unix:@b")),
        ("bind = unix:/run/a\0b", None),
        ("bind = unix:@", None),
        ("bind =", None),
    ] {
        let plan = loaded(&entry("a", 1001, lines)).plan;
        let found = plan.services.first().map(|service| {
            let sockets = service.sockets.iter().map(|socket| socket.address.to_string());
            sockets.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(found.as_deref(), socket, "BIND-2 to BIND-7, PARSE-14: {lines}");
    }
    assert!(
        with("v6only = yes").sockets[0].v6only && !with("v6only = no").sockets[0].v6only,
        "BIND-5"
    );
}

#[test]
fn credentials_are_those_of_the_passwd_entry_even_for_a_number() {
    let entry = |lines: &str| entry("a", 1001, "").replace("user = root", lines);
    for (lines, uid, gid, groups) in [
        ("user = games", 5, 60, Groups::None),
        ("user = 5", 5, 60, Groups::None),
        ("user = 4242", 4242, 4242, Groups::None),
        ("user = 4242\ngroup = 4343\ngroups = yes", 4242, 4343, Groups::Unknown),
        ("user = games\ngroup = daemon\ngroups = yes", 5, 1, Groups::List(vec![60, 20])),
    ] {
        let wanted = Credentials { uid, gid, groups };
        assert_eq!(*credentials(&one(&entry(lines))), wanted, "ATTR-46, ATTR-47, SRV-12: {lines}");
    }
}

#[test]
fn nameinargs_works_before_and_after_server_args() {
    for lines in ["flags = NAMEINARGS\nserver_args = x y", "server_args = x y\nflags = NAMEINARGS"]
    {
        assert_eq!(program(&with(lines)).argv, ["x", "y"], "ATTR-49");
    }
    assert_eq!(ids(&loaded(&entry("a", 1001, "flags = NAMEINARGS"))).1, ["a"], "CHK-10");
}

#[test]
fn the_environment_is_passed_and_set_as_written() {
    let names = |lines: &str| match with(lines).env.passed {
        Passed::All => panic!("{lines}"),
        Passed::Only(names) => names,
    };
    assert_eq!(names("passenv = PATH\npassenv += HOME NOTHING"), ["PATH", "HOME"], "ATTR-44");
    assert!(names("passenv =").is_empty(), "ATTR-39");
    let set = with("env = A=1\nenv = B=x=y\nenv += C=").env.set;
    assert_eq!(set, [("B".into(), "x=y".into()), ("C".into(), "".into())], "SRV-7");
    assert_eq!(with("env = =x").env.set, [("".into(), "x".into())], "ATTR-43");
}

#[test]
fn file_logs_have_absolute_paths_and_a_hard_limit() {
    for (line, limits) in [
        ("FILE /log", None),
        ("FILE /log 0 5", None),
        ("FILE /log 100", Some((100, 100 + 5 * 1024))),
        ("FILE /log 1M", Some((1 << 20, (1 << 20) + (1 << 20) / 100))),
        ("FILE /log 100M", Some((100 << 20, (100 << 20) + 20 * 1024))),
        ("FILE /log 1K 2K", Some((1024, 2048))),
        ("FILE /log 5000M 6000M", Some((5000 << 20, 6000 << 20))),
    ] {
        let LogTarget::File(log) = with(&format!("log_type = {line}")).log.target else { panic!() };
        assert_eq!(
            (log.path.as_path(), log.limits),
            (Path::new("/log"), limits),
            "ATTR-52, HARD-4"
        );
    }
    let LogTarget::File(log) = with("log_type = FILE log").log.target else { panic!() };
    assert!(log.path.is_absolute(), "START-10");
}

#[test]
fn limits_of_zero_are_left_out() {
    let rlimits = with("rlimit_cpu = 0\nrlimit_as = 2M\nrlimit_files = UNLIMITED").rlimits;
    let values: Vec<_> = rlimits.iter().map(|rlimit| rlimit.value).collect();
    assert_eq!(values, [Some(2 << 20), None], "ATTR-45");
}

#[test]
fn the_second_service_on_a_socket_is_left_out() {
    let text = entry("a", 1001, "")
        + &entry("b", 1001, "")
        + &entry("d", 0, "")
        + &entry("e", 0, "")
        + &entry("f", 1002, "bind = fe80::1%eth0")
        + &entry("g", 1002, "bind = fe80::1%eth1");
    assert_eq!(
        ids(&loaded(&text)),
        (vec!["a", "d", "e", "f", "g"], vec!["b"]),
        "CHK-4, CHK-6, BIND-8"
    );
}

#[test]
fn all_addresses_beside_one_of_them_are_a_warning() {
    for (first, second, warned) in [
        ("", "bind = 127.0.0.1", true),
        ("bind = ::1", "", true),
        ("flags = IPv4", "", true),
        ("flags = IPv4", "bind = 127.0.0.1", true),
        ("flags = IPv4", "bind = ::1", false),
        ("v6only = yes", "bind = 127.0.0.1", false),
        ("v6only = yes", "flags = IPv4", false),
        ("v6only = yes", "bind = ::1", true),
        ("bind = 127.0.0.2", "bind = 127.0.0.1", false),
    ] {
        let loaded = loaded(&(entry("a", 1001, first) + &entry("b", 1001, second)));
        let codes: Vec<_> = loaded.notes.iter().map(|note| note.code).collect();
        assert_eq!(codes.contains(&code::OVERLAP), warned, "{first}, {second}");
        assert_eq!(ids(&loaded), (vec!["a", "b"], vec![]), "the system decides");
    }
}

#[test]
fn a_misspelt_header_makes_its_service_faulty_by_its_id() {
    let text =
        "servce a\n{\nid = one\n}\nservce b\n{\nid = x y\nid=z\n}\nservce c\n{\ndisable = yes\n}\n";
    let loaded = loaded(text);
    assert_eq!(ids(&loaded).1, ["one", "b"], "PARSE-20");
    let names: Vec<_> = loaded.faulty.iter().map(|faulty| faulty.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn the_id_of_a_faulty_entry_is_its_name_where_the_line_is_faulty() {
    for line in ["id = x y", "id += x", "id =", "id=x"] {
        let text = entry("a", 1001, &format!("{line}\nnice = x"));
        assert_eq!(ids(&loaded(&text)).1, ["a"], "{line}");
    }
}

#[test]
fn the_verdict_tells_lines_from_values() {
    let service = entry("a", 1001, "");
    let verdict = |text: &str| loaded(&(text.to_owned() + &service)).verdict;
    assert_eq!(verdict(""), Verdict::Good, "PARSE-26");
    assert_eq!(verdict(&defaults("instances = 0 0")), Verdict::Good, "PARSE-13");
    let fatal = |fatal| Verdict::FaultyDefaults { fatal };
    assert_eq!(verdict(&defaults("instances=5")), fatal(false), "DEF-7");
    assert_eq!(verdict(&defaults("instances = lots")), fatal(true), "DEF-6");
    for text in ["include /nonexistent/f\n", "includedir /nonexistent/d\n", "defualts\n{\n}\n"] {
        assert_eq!(verdict(text), fatal(false), "INC-1, INC-4: {text}");
    }
    for text in ["include\n", "service\n", "includdir /etc/xinetd.d\n", "servce\n{\n}\n"] {
        assert_eq!(verdict(text), fatal(false), "PARSE-21: {text}");
    }
    assert_eq!(verdict("servce b\n{\n}\nfrobnicate\n"), Verdict::Good, "PARSE-20");
    let twice = "log_type = SYSLOG mail\nlog_type = SYSLOG mail";
    assert_eq!(verdict(&defaults(twice)), fatal(true), "DEF-9");
    let nowhere = Request {
        path: Path::new("/nonexistent/d"),
        base: Path::new("/"),
        lookup: &machine(),
        inetd: None,
    };
    assert!(matches!(load(&nowhere).verdict, Verdict::Unreadable(_)), "START-14");
}

#[test]
fn large_files_are_read_in_time_that_grows_with_their_length() {
    let mut text: String = (1..=5000).map(|port| entry(&format!("s{port}"), port, "")).collect();
    let addresses: Vec<_> = (0..100_000_u32)
        .map(|n| std::net::Ipv4Addr::from_bits(0x0a00_0001 + n * 2).to_string())
        .collect();
    let line = addresses.join(" ");
    text += &entry("long", 5001, &format!("only_from = {line}\nonly_from -= {line}"));
    text += &(0..5000).map(|_| entry("twin", 1, "nonsense = 1")).collect::<String>();
    let start = std::time::Instant::now();
    let loaded = loaded(&text);
    let lines = loaded.notes.iter().map(|note| note.short(&loaded.sources).len()).sum::<usize>();
    assert!(lines > 0 && start.elapsed().as_secs() < MOST_SECONDS, "{:?}", start.elapsed());
    assert_eq!((loaded.plan.services.len(), loaded.faulty.len()), (5001, 5000));
}

#[test]
fn of_too_many_mistakes_the_worst_are_kept() {
    let unknown = "nonsense = 1\n".repeat(100_000);
    let text = entry("a", 1001, &unknown) + &entry("b", 1002, "nice = x") + &"frob\n".repeat(500);
    let loaded = loaded(&text);
    let count = |code| loaded.notes.iter().filter(|note| note.code == code).count();
    assert_eq!((loaded.notes.len(), count(code::STRAY_LINE)), (1001, 500));
    assert_eq!((count(code::BAD_NUMBER), count(code::TOO_MANY)), (1, 1));
    let last = loaded.notes.last().unwrap();
    assert_eq!(last.message, "too many mistakes: 99501 more are not shown");
    assert_eq!(ids(&loaded), (vec!["a"], vec!["b"]));
}

#[test]
fn thousands_of_unknown_words_are_compared_with_thousands_in_time() {
    let unknown: Vec<_> = (0..5000).map(|n| format!("service-{n}-x")).collect();
    let services: String =
        (0..5000).map(|n| format!("service service-{n}\n{{\nuser = root\n}}\n")).collect();
    let lines: String = (0..100_000).map(|n| format!("only_fr{n} = x\n")).collect();
    let text = defaults(&format!("enabled = {} a", unknown.join(" ")))
        + &services
        + &entry("a", 1001, &lines);
    let start = std::time::Instant::now();
    let loaded = loaded(&text);
    assert!(start.elapsed().as_secs() < MOST_SECONDS, "{:?}", start.elapsed());
    assert_eq!(ids(&loaded), (vec!["a"], vec![]));
}

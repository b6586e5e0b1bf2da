//! Kinds of services: what each must have, what cannot stand together, and what it becomes.

use super::{entry, ids, loaded};
use crate::config::{Fate, Loaded};
use crate::plan::{Action, DenyTime, Internal, Libwrap, Mux, Redirect, Service, Wait};

/// What becomes of one entry with these lines: served here, known but not served, left out.
fn fate(text: &str) -> Fate {
    loaded(text).declared[0].fate
}

/// The one service of `text`, whether this version runs it or not.
fn any(text: &str) -> Service {
    let Loaded { plan, mut unserved, notes, .. } = loaded(text);
    unserved.extend(plan.services);
    assert_eq!(unserved.len(), 1, "{text}: {notes:#?}");
    unserved.remove(0)
}

fn of(name: &str, lines: &str) -> String {
    format!("service {name}\n{{\n{lines}\n}}\n")
}

const BARE: &str = "type = UNLISTED\nport = 1001\nuser = root\nserver = /bin/cat";

#[test]
fn socket_type_and_protocol_are_derived_from_one_another() {
    for (lines, wanted) in [
        ("socket_type = stream\nwait = no", Some("tcp stream")),
        ("protocol = tcp\nwait = no", Some("tcp stream")),
        ("socket_type = dgram\nwait = yes", Some("udp dgram")),
        ("protocol = udp\nwait = yes", Some("udp dgram")),
        ("socket_type = raw\nprotocol = icmp\nwait = yes", None),
        ("wait = no", None),
        ("socket_type = raw\nwait = yes", None),
        ("socket_type = seqpacket\nwait = no", None),
        ("protocol = icmp\nwait = yes", None),
        ("socket_type = stream\nprotocol = udp\nwait = no", None),
        ("socket_type = dgram\nprotocol = tcp\nwait = yes", None),
    ] {
        let text = of("a", &format!("{BARE}\n{lines}"));
        let Loaded { plan, unserved, .. } = loaded(&text);
        let found = plan.services.iter().chain(&unserved).next();
        let found =
            found.map(|service| format!("{} {}", service.protocol, service.socket_type.word()));
        assert_eq!(found.as_deref(), wanted, "ATTR-1, ATTR-2, PORT-4, CHK-16: {lines}");
    }
}

#[test]
fn a_server_for_every_datagram_is_left_out_but_internal_services_answer_each() {
    let dgram = "socket_type = dgram\nwait = no";
    assert_eq!(fate(&of("a", &format!("{BARE}\n{dgram}"))), Fate::Faulty, "CHK-14");
    let internal = of("time", &format!("type = INTERNAL UNLISTED\nport = 1001\n{dgram}"));
    assert_eq!(any(&internal).wait, Wait::No, "CHK-14");
}

#[test]
fn internal_services_are_those_of_the_original() {
    for (name, socket_type, wanted) in [
        ("echo", "stream", Some(Internal::Echo)),
        ("echo", "dgram", Some(Internal::Echo)),
        ("discard", "stream", Some(Internal::Discard)),
        ("chargen", "dgram", Some(Internal::Chargen)),
        ("daytime", "stream", Some(Internal::Daytime)),
        ("time", "dgram", Some(Internal::Time)),
        ("tcpmux", "stream", Some(Internal::Tcpmux)),
        ("tcpmux", "dgram", None),
        ("services", "stream", Some(Internal::Services)),
        ("servers", "stream", Some(Internal::Servers)),
        ("servers", "dgram", None),
        ("ECHO", "stream", None),
    ] {
        let lines =
            format!("type = INTERNAL UNLISTED\nport = 7\nwait = yes\nsocket_type = {socket_type}");
        let Loaded { plan, unserved, .. } = loaded(&of(name, &lines));
        let found =
            plan.services.first().or(unserved.first()).and_then(|service| match &service.action {
                Action::Internal { service, credentials: None } => Some(*service),
                Action::Internal { .. }
                | Action::Start { .. }
                | Action::Redirect { .. }
                | Action::Sensor { .. } => None,
            });
        assert_eq!(found, wanted, "CHK-7, CHK-21: {name} {socket_type}");
    }
}

#[test]
fn what_cannot_stand_together_is_left_out() {
    for (id, lines) in [
        ("CHK-8", "type = TCPMUX\nsocket_type = stream\nwait = no"),
        ("CHK-8", "type = TCPMUX UNLISTED\nsocket_type = dgram\nwait = yes"),
        ("CHK-9", "redirect = dual 80\nsocket_type = dgram\nwait = yes"),
        ("CHK-9", "redirect = unix:/x\nsocket_type = dgram\nwait = no"),
        ("CHK-9", "redirect = dual 80\nsocket_type = stream\nwait = yes"),
        (
            "CHK-9",
            "redirect = dual 80\nsocket_type = stream\nwait = no\nflags = NAMEINARGS\nserver_args = a",
        ),
        ("CHK-10", "socket_type = stream\nwait = no\nflags = NAMEINARGS"),
        ("CHK-12", "socket_type = stream\nwait = no\nflags = LABELED"),
        ("CHK-22", "type = RPC UNLISTED\nsocket_type = stream\nwait = no\nrpc_version = 1"),
        ("CHK-22", "type = RPC UNLISTED\nsocket_type = stream\nwait = no\nrpc_number = 1"),
        ("PORT-5", "type = RPC\nsocket_type = stream\nwait = no\nrpc_version = 1"),
    ] {
        let unlisted = if lines.starts_with("type") { "" } else { "type = UNLISTED\n" };
        let text =
            of("a", &format!("{unlisted}port = 1001\nuser = root\nserver = /bin/cat\n{lines}"));
        assert_eq!(fate(&text), Fate::Faulty, "{id}: {lines}");
    }
}

#[test]
fn a_redirected_service_needs_a_user_and_no_server() {
    let lines =
        "type = UNLISTED\nport = 1001\nsocket_type = stream\nwait = no\nredirect = dual http";
    assert_eq!(fate(&of("a", lines)), Fate::Faulty, "CHK-20: no user");
    let service = any(&of("a", &format!("{lines}\nuser = games\nlog_on_success = TRAFFIC")));
    let Action::Redirect { target, .. } = &service.action else { panic!("{service:?}") };
    let Redirect::Host { name, port: 80, addresses } = target else { panic!("{target:?}") };
    assert_eq!((name.as_str(), addresses.len()), ("dual", 2), "ATTR-50");
    assert!(addresses[0].is_ipv4(), "the original takes no other");
    assert!(addresses.iter().all(|address| address.port() == 80));
    assert_eq!(service.libwrap, Libwrap::Daemon("a".into()), "WRAP-2");
    for bad in [
        "dual 0",
        "dual -1",
        "dual 70000",
        "dual nosuch",
        "nosuch 80",
        "dual",
        "unix:x",
        "unix:/x 80",
    ] {
        let text = of("a", &lines.replace("dual http", bad));
        assert_eq!(fate(&text), Fate::Faulty, "ATTR-50: {bad}");
    }
}

#[test]
fn a_sensor_needs_neither_server_nor_user() {
    let lines = "type = UNLISTED\nport = 1001\nsocket_type = stream\nwait = no\nflags = SENSOR";
    for (deny_time, wanted) in [
        ("", Some(DenyTime::Never)),
        ("deny_time = 0", Some(DenyTime::Never)),
        ("deny_time = never", Some(DenyTime::Never)),
        ("deny_time = 5", Some(DenyTime::Minutes(5))),
        ("deny_time = -1", Some(DenyTime::Forever)),
        ("deny_time = forever", Some(DenyTime::Forever)),
        ("deny_time = -2", None),
        ("deny_time = 5m", None),
    ] {
        let Loaded { plan, .. } = loaded(&of("a", &format!("{lines}\n{deny_time}")));
        let found = plan.services.first().and_then(|service| match service.action {
            Action::Sensor { deny, .. } => Some(deny),
            Action::Internal { .. } | Action::Start { .. } | Action::Redirect { .. } => None,
        });
        assert_eq!(found, wanted, "CHK-17, SENS-3, ATTR-35: {deny_time}");
    }
}

#[test]
fn rpc_services_have_a_program_and_versions_and_no_port() {
    let rpc = |name: &str, lines: &str| {
        of(
            name,
            &format!("socket_type = stream\nwait = yes\nuser = root\nserver = /bin/cat\n{lines}"),
        )
    };
    let listed = any(&rpc("rstatd", "type = RPC\nrpc_version = 2-4"));
    let program = listed.rpc.as_ref().unwrap();
    assert_eq!((program.program, &program.versions), (100_001, &(2..=4)), "PORT-5, ATTR-16");
    assert_eq!(listed.libwrap, Libwrap::Off, "WRAP-4");
    let own = any(&rpc("a", "type = RPC UNLISTED\nrpc_version = 1\nrpc_number = 20000001"));
    assert_eq!(own.rpc.unwrap().program, 20_000_001, "ATTR-17");
    for bad in ["x", "2-1", "1-", "-1", "1-x", "4294967296"] {
        assert_eq!(fate(&rpc("rstatd", &format!("type = RPC\nrpc_version = {bad}"))), Fate::Faulty);
    }
}

#[test]
fn services_behind_tcpmux_have_no_port() {
    let lines = "socket_type = stream\nwait = no\nuser = root\nserver = /bin/cat\ntype = UNLISTED";
    assert_eq!(any(&of("a", &format!("{lines} TCPMUX"))).mux, Some(Mux::Plain), "CHK-23");
    assert_eq!(any(&of("a", &format!("{lines} TCPMUXPLUS"))).mux, Some(Mux::Plus), "MUX-2");
}

#[test]
fn one_port_serves_tcp_and_udp() {
    let udp = of("b", &format!("{BARE}\nsocket_type = dgram\nwait = yes"));
    let loaded = loaded(&(entry("a", 1001, "") + &udp));
    assert_eq!((ids(&loaded).0, loaded.unserved.len()), (vec!["a", "b"], 0), "CHK-4");
}

#[test]
fn the_ident_service_is_never_asked_about_itself() {
    let service = any(&entry("a", 113, "log_on_success = USERID PID\nlog_on_failure = USERID"));
    assert!(service.log.on_failure.is_empty(), "CHK-15");
    assert_eq!(
        service.log.on_success,
        crate::plan::LogFields::default().with(crate::plan::LogField::Pid)
    );
}

//! Where xinetd 2.3.15 reads something else: said for every place, under its statement.

use super::{defaults, entry, loaded};

/// The statements that the differences of `text` name.
fn specs(text: &str) -> Vec<&'static str> {
    loaded(text).differences.iter().map(|found| found.spec).collect()
}

#[test]
fn each_difference_is_found_and_nothing_else() {
    let a = |lines: &str| entry("a", 1001, lines);
    let udp = |name, lines| {
        entry(name, 1001, lines).replace("stream", "dgram").replace("wait = no", "wait = yes")
    };
    let numeric = a("").replace("user = root", "user = 5");
    for (spec, text) in [
        ("PARSE-5", a("nice = 1\r").replace('\n', "\r\n").replace("\r\r", "\r")),
        ("PARSE-11", a("nice")),
        ("PARSE-14", a("bind = 127.0.0.1 127.0.0.2")),
        ("PARSE-18", a("nice = x\ndisable = no")),
        ("PARSE-18", defaults("enabled = a") + &a("nice = x")),
        ("PARSE-20", "stray\n".to_owned() + &a("")),
        ("PARSE-20", "include\n".to_owned() + &a("")),
        ("PARSE-25", a(&format!("server_args = {}", "x ".repeat(5000)))),
        ("INC-6", "include xinetd.conf\n".to_owned() + &a("")),
        ("DEF-7", defaults("nice : 3") + &a("")),
        ("DEF-10", a("") + &defaults("only_from = 192.0.2.1")),
        ("DEF-11", defaults("log_on_success = TRAFFIC") + &a("")),
        ("DEF-12", defaults("v6only = yes") + &a("")),
        ("NUM-1", a("instances = 4294967297")),
        ("NUM-1", a("cps = -1 10")),
        ("NUM-1", a("rlimit_as = -1")),
        ("ATTR-40", a("log_on_failure = RECORD")),
        ("ATTR-47", numeric),
        ("ATTR-49", a("server_args = x\nflags = NAMEINARGS")),
        ("CHK-6", udp("a", "") + &udp("b", "")),
        ("CHK-12", a("flags = LABELED")),
        ("CHK-14", a("").replace("stream", "dgram")),
        ("CHK-17", a("flags = SENSOR").replace("server = /bin/cat\n", "")),
        (
            "PORT-1",
            a("")
                .replace("service a", "service pop3")
                .replace("UNLISTED", "SPECIAL")
                .replace("1001", "110"),
        ),
        ("BIND-4", a("bind = ::1\nflags = IPv4")),
        ("BIND-5", a("v6only = no")),
        ("BIND-7", a("bind = four")),
    ] {
        assert_eq!(specs(&text), [spec], "{text}");
    }
}

#[test]
fn what_is_read_alike_differs_in_nothing() {
    for text in [
        entry("a", 1001, "nice = x"),
        entry("a", 1001, "disable = no\nnice = x"),
        entry("a", 1001, "flags = NAMEINARGS\nserver_args = x"),
        entry("a", 1001, "v6only = yes\nbind = dual"),
        entry("a", 1001, "") + &entry("b", 1001, ""),
        defaults("only_from = 192.0.2.1") + &entry("a", 1001, ""),
        entry("a", 1001, "only_from = 192.0.2.2") + &defaults("only_from = 192.0.2.1"),
        entry("a", 1001, "") + &defaults("instances = 3"),
    ] {
        assert!(specs(&text).is_empty(), "{text}: {:?}", loaded(&text).differences);
    }
}

#[test]
fn only_what_the_original_does_not_understand_is_an_extension() {
    let found = loaded(&entry("a", 1001, "v6only = no")).differences;
    assert!(found.iter().all(|found| !found.extension));
    assert_eq!(
        found[0].note.message,
        "xinetd 2.3.15 takes `no` for `yes`: it serves IPv6 clients only"
    );
}

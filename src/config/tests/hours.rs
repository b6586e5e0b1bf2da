//! `access_times` and `max_load`: what is accepted, and what it comes to.

use super::*;
use crate::plan::Load;

fn times(words: &str) -> Option<String> {
    let loaded = loaded(&entry("a", 1001, &format!("access_times = {words}")));
    let service = loaded.plan.services.first()?;
    let intervals: Vec<_> = service.policy.hours.iter().map(|one| one.to_string()).collect();
    Some(intervals.join(" "))
}

#[test]
fn an_interval_begins_before_it_ends_on_the_same_day() {
    for (words, wanted) in [
        ("8:00-18:00", Some("08:00-18:00")),
        ("0:0-9:5 10:00-11:00", Some("00:00-09:05 10:00-11:00")),
        ("05:000-6:00", Some("05:00-06:00")),
        ("23:59-24:00", Some("23:59-24:00")),
        ("24:00-24:00", None),
        ("5:00-4:00", None),
        ("5:00-5:00", None),
        ("5-6", None),
        ("1:60-2:00", None),
        ("0:00-24:01", None),
        ("5:00-6:00,", None),
        ("5:00-6:00 -", None),
        ("5:00-6:00 x", None),
        ("5:00--6:00", None),
        ("+5:00-6:00", None),
        ("", None),
    ] {
        assert_eq!(times(words).as_deref(), wanted, "ATTR-14, TIME-1, TIME-2: {words}");
    }
}

#[test]
fn a_load_is_a_decimal_fraction_and_not_zero() {
    for (word, wanted) in [
        ("2.5", Some(2500)),
        (".5", Some(500)),
        ("5.", Some(5000)),
        ("1e3", Some(1_000_000)),
        ("+2", Some(2000)),
        ("1x", Some(1000)),
        ("2,5", Some(2000)),
        ("0.00001", Some(1)),
        ("-1", Some(-1000)),
        ("-0.00001", Some(-1)),
        ("100000.5", Some(100_000_500)),
        ("1e300", Some(i64::MAX)),
        ("0", None),
        ("0.0", None),
        ("x", None),
        ("-", None),
    ] {
        let loaded = loaded(&entry("a", 1001, &format!("max_load = {word}")));
        let load = loaded.plan.services.first().map(|service| service.policy.max_load);
        assert_eq!(load, wanted.map(|load| Some(Load(load))), "ATTR-31: {word}");
    }
}

#[test]
fn a_load_of_defaults_reaches_those_who_set_none() {
    let text = defaults("max_load = 3") + &entry("a", 1001, "") + &entry("b", 1002, "max_load = 1");
    let loads: Vec<_> =
        loaded(&text).plan.services.iter().map(|service| service.policy.max_load).collect();
    assert_eq!(loads, [Some(Load(3000)), Some(Load(1000))], "DEF-19");
}

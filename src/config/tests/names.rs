//! Names in `only_from` and `no_access`.

use super::*;
use crate::plan::AccessList;

fn only_from(words: &str) -> Option<AccessList> {
    loaded(&entry("a", 1001, &format!("only_from = {words}")))
        .plan
        .services
        .remove(0)
        .policy
        .only_from
}

fn shown(words: &str) -> String {
    let list = only_from(words).unwrap();
    list.networks().chain(list.names().iter().cloned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn hosts_that_can_be_found_domains_and_networks_are_names() {
    for (words, wanted) in [
        ("Dual", ""),
        ("dual", "dual"),
        (".Example.ORG", ".example.org"),
        ("campus 192.0.2.1", "10.1.0.0/16 192.0.2.1/32"),
        ("no.such.host ALL 127.0.0.* .", ""),
        ("192.0.2.1 # dual", "192.0.2.1/32 dual"),
    ] {
        assert_eq!(shown(words), wanted, "ADDR-13, ADDR-14, ADDR-16, ADDR-17, PARSE-3: {words}");
    }
}

#[test]
fn what_cannot_be_kept_out_leaves_the_service_out() {
    let up = |words: &str| !loaded(&entry("a", 1001, words)).plan.services.is_empty();
    assert!(up("no_access = dual .example.org campus"));
    assert!(!up("no_access = 192.0.2.1 no.such.host"), "ADDR-17");
}

#[test]
fn a_name_is_removed_by_the_same_name() {
    let text = defaults("only_from = dual .example.org 192.0.2.1")
        + &entry("a", 1001, "only_from -= DUAL .Example.org");
    // A host is looked up as it is written, and this one is not found (PARSE-27).
    let list = one(&text).policy.only_from.unwrap();
    assert_eq!(list.names(), ["dual"], "ADDR-19");
}

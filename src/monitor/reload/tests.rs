//! What a reload makes of one plan and the next.

use super::*;
use crate::monitor::recipe::tests::service;
use crate::plan::Address;

fn at(id: &str, address: &str) -> Service {
    let mut service = service();
    service.id = ServiceId(id.into());
    service.sockets[0].address = Address::Ip(address.parse().unwrap());
    service
}

fn changes(old: &[Service], new: &[Service]) -> Vec<Change> {
    let numbered: Vec<_> = (0..).map(ServiceIndex).zip(old).collect();
    plan::changes(&numbered, new)
}

#[test]
fn reload_2_a_service_is_known_by_id_and_port() {
    let old = [at("a", "127.0.0.1:1"), at("b", "127.0.0.1:2"), at("c", "127.0.0.1:3")];
    let new = [at("c", "127.0.0.1:3"), at("a", "127.0.0.1:9"), at("b", "127.0.0.2:2")];
    assert_eq!(
        changes(&old, &new),
        [
            Change::Drop(ServiceIndex(0)),
            Change::Keep(ServiceIndex(2), 0),
            Change::Open(1),
            Change::Rebind(ServiceIndex(1), 2),
        ]
    );
}

#[test]
fn chk_5_twins_of_one_id_and_port_keep_their_own_sockets() {
    let old = [at("a", "127.0.0.1:1"), at("a", "127.0.0.2:1")];
    let new = [at("a", "127.0.0.3:1"), at("a", "127.0.0.2:1")];
    assert_eq!(
        changes(&old, &new),
        [Change::Rebind(ServiceIndex(0), 0), Change::Keep(ServiceIndex(1), 1)]
    );
}

fn at_all(id: &str, addresses: &[&str]) -> Service {
    let mut service = at(id, addresses[0]);
    service.sockets = addresses.iter().map(|one| at(id, one).sockets.remove(0)).collect();
    service
}

#[test]
fn a_longer_list_of_addresses_keeps_the_service_and_a_lost_address_moves_it() {
    let old = || at_all("a", &["127.0.0.1:1", "127.0.0.2:1"]);
    type Expected = fn(ServiceIndex, usize) -> Change;
    let cases: [(Service, Expected); 3] = [
        (at_all("a", &["127.0.0.3:1", "127.0.0.2:1", "127.0.0.1:1"]), Change::Keep),
        (at_all("a", &["127.0.0.2:1"]), Change::Rebind),
        (at_all("a", &["127.0.0.1:1", "127.0.0.3:1"]), Change::Rebind),
    ];
    for (new, change) in cases {
        let changes = changes(&[old(), at("b", "127.0.0.9:1")], std::slice::from_ref(&new));
        assert_eq!(changes, [Change::Drop(ServiceIndex(1)), change(ServiceIndex(0), 0)]);
    }
}

#[test]
fn of_twins_each_keeps_the_address_it_has() {
    let old = [at("a", "127.0.0.1:1"), at("a", "127.0.0.2:1")];
    let new = [at_all("a", &["127.0.0.3:1", "127.0.0.2:1"]), at("a", "127.0.0.1:1")];
    assert_eq!(
        changes(&old, &new),
        [Change::Keep(ServiceIndex(1), 0), Change::Keep(ServiceIndex(0), 1)]
    );
}

#[test]
fn a_service_without_a_socket_is_known_by_its_id() {
    let mut behind = at("a", "127.0.0.1:0");
    behind.sockets.clear();
    let changes = changes(&[behind.clone()], &[behind]);
    assert_eq!(changes, [Change::Keep(ServiceIndex(0), 0)]);
}

#[test]
fn reload_8_v6only_is_a_part_of_the_socket() {
    let mut new = at("a", "[::]:1");
    new.sockets[0].v6only = true;
    let changes = changes(&[at("a", "[::]:1")], &[new]);
    assert_eq!(changes, [Change::Rebind(ServiceIndex(0), 0)]);
}

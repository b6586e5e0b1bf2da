//! Nothing of the monitor's grows without end, whatever an engine says or does not read.

use super::*;
use crate::ipc::{Event, Gate};
use crate::plan::{BannerKind, Limit, Redirect};

#[test]
fn an_engine_that_does_not_read_its_answers_is_not_heard() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let ask = ToMonitor::Banner { number: 1, service: ServiceIndex(1), kind: BannerKind::Fail };
    for _ in 0..5000 {
        port.send(&ask, None);
        monitor.hear_engine().unwrap();
    }
    let engine = monitor.engine.as_ref().unwrap();
    assert!(!engine.is_heard());
    assert!(!port.is_clear(), "what is not read waits at the engine's end");
}

#[test]
fn limits_hold_whatever_the_engine_believes() {
    let mut full = plain();
    full.policy.instances = Limit::Max(0);
    let (mut monitor, mut port) = monitor(State::Serving, vec![full]);
    let (socket, _client) = connection(&monitor);
    assert_eq!(hear(&mut monitor, &mut port, &start(1, 1), Some(socket)), Ok(()));
    assert_eq!(monitor.running.count(), 0);
    let answer = port.receive::<ToEngine>().unwrap();
    let expected = ToEngine::NotStarted { ticket: Ticket(1) };
    assert!(matches!(answer, Incoming::Message(message, None) if message == expected));
}

/// A service that redirects.
fn redirected() -> Service {
    let mut service = plain();
    let credentials = service.action.credentials().unwrap().clone();
    service.action = Action::Redirect { target: Redirect::Unix("/nowhere".into()), credentials };
    service
}

#[test]
fn there_are_no_more_sessions_than_an_engine_can_have_descriptors() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![redirected()]);
    monitor.descriptors = 3;
    let began = |ticket| {
        let (ticket, service) = (Ticket(ticket), ServiceIndex(1));
        ToMonitor::Began { ticket, service, peer: PEER, ports: Ports::default() }
    };
    for ticket in 1..=3 {
        assert_eq!(hear(&mut monitor, &mut port, &began(ticket), None), Ok(()));
    }
    assert_eq!(hear(&mut monitor, &mut port, &began(4), None), Err(Exit::Violation));
}

#[test]
fn rules_that_fall_short_are_remembered_as_long_as_there_may_be_so_many() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    for line in 0..3000 {
        let event = Event::RuleFallsShort { is_allow: true, line };
        let noticed = ToMonitor::Noticed { service: ServiceIndex(1), event };
        assert_eq!(hear(&mut monitor, &mut port, &noticed, None), Ok(()));
    }
    assert_eq!(monitor.rules_told.len(), 1024);
}

#[test]
fn an_engine_that_is_owed_too_much_is_given_up() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    port.send(
        &ToMonitor::Banner { number: 1, service: ServiceIndex(1), kind: BannerKind::Fail },
        None,
    );
    for _ in 0..100_000 {
        monitor.tell_engine(&ToEngine::Gate { service: ServiceIndex(1), gate: Gate::Held });
        assert!(monitor.engine.as_ref().unwrap().port.owed() <= 70_000);
    }
    assert_eq!(monitor.engine.as_ref().unwrap().port.owed(), 0);
    assert_eq!(monitor.hear_engine(), Ok(()));
    assert!(monitor.engine.as_ref().unwrap().ended, "its last words have been heard");
}

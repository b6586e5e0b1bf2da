//! Engines that die, and what is said while the daemon ends.

use super::*;
use crate::plan::BannerKind;
use crate::sys::signal::Name;

#[test]
fn the_last_words_of_a_dead_engine_are_heard_however_much_it_was_owed() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let ask = ToMonitor::Banner { number: 1, service: ServiceIndex(1), kind: BannerKind::Fail };
    for _ in 0..2000 {
        port.send(&ask, None);
        port.flush();
        monitor.hear_engine().unwrap();
    }
    assert!(!monitor.engine.as_ref().unwrap().is_heard());
    drop(port);
    assert_eq!(monitor.hear_last_words(), Ok(()));
    assert!(monitor.engine.as_ref().unwrap().ended);
}

#[test]
fn the_last_words_of_a_dead_engine_end_though_somebody_has_its_end_of_the_channel() {
    for owed in [0, 2000] {
        let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
        for _ in 0..owed {
            monitor.tell_engine(&ToEngine::Check);
        }
        let (socket, _client) = connection(&monitor);
        port.send(&start(1, 1), Some(socket));
        assert_eq!(monitor.hear_last_words(), Ok(()));
        assert_eq!(monitor.running.count(), 1, "what it has said is carried out");
        port.send(&start(1, 1), None);
        assert_eq!(monitor.hear_engine(), Ok(()), "and more is not heard");
        let pid = monitor.running.iter().next().unwrap().0;
        process::wait_for(pid);
    }
}

#[test]
fn sigterm_before_the_greeting_is_no_violation() {
    let (mut monitor, mut port) = monitor(State::Stopping, vec![plain()]);
    let hello = ToMonitor::Hello { build: BUILD, confinement: Confinement::default() };
    assert_eq!(hear(&mut monitor, &mut port, &hello, None), Ok(()));
}

#[test]
fn what_an_engine_sent_before_it_died_is_carried_out() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let (socket, _client) = connection(&monitor);
    port.send(&start(1, 1), Some(socket));
    drop(port);
    assert_eq!(monitor.hear_engine(), Ok(()));
    assert_eq!(monitor.running.count(), 1);
    assert!(monitor.engine.as_ref().unwrap().ended);
    let pid = monitor.running.iter().next().unwrap().0;
    process::wait_for(pid);
}

#[test]
fn an_engine_that_is_told_to_go_gets_nothing_more_of_a_plan() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let fresh = vec![(ServiceIndex(1), SocketIndex(1))];
    let engine = monitor.engine.as_mut().unwrap();
    engine.offer(Generation(2), &monitor.services, fresh, Ticket(0), &monitor.options).unwrap();
    monitor.on_signal(Name::SIGTERM).unwrap();
    monitor.engine.as_mut().unwrap().pump(&monitor.services);
    let mut kinds = Vec::new();
    while let Ok(Incoming::Message(message, _)) = port.receive::<ToEngine>() {
        kinds.push(message.kind());
    }
    assert_eq!(kinds, [Kind::Plan, Kind::Stop]);
}

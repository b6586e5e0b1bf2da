//! An operator's orders about doors, and what an engine may say of them.

use super::*;
use crate::ipc::{Event, Gate};

fn turned(service: u32, gate: Gate) -> ToMonitor {
    ToMonitor::Noticed { service: ServiceIndex(service), event: Event::Turned(gate) }
}

#[test]
fn a_service_is_drained_when_its_door_is_closed_and_nobody_is_left() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let index = ServiceIndex(1);
    monitor.gates.set(index, Gate::Closed);
    assert!(monitor.gates.is_turning(index) && !monitor.is_drained(index));
    let (socket, _client) = connection(&monitor);
    assert_eq!(hear(&mut monitor, &mut port, &start(1, 1), Some(socket)), Ok(()));
    assert_eq!(hear(&mut monitor, &mut port, &turned(1, Gate::Closed), None), Ok(()));
    assert!(!monitor.gates.is_turning(index) && !monitor.is_drained(index));
    let pid = monitor.running.iter().next().unwrap().0;
    process::wait_for(pid);
    monitor.running.remove(pid);
    assert!(monitor.is_drained(index));
    monitor.gates.begin_anew();
    assert!(!monitor.is_drained(index), "the next engine has to say so itself");
}

#[test]
fn the_word_about_another_order_is_not_the_word_about_this_one() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let index = ServiceIndex(1);
    assert_eq!(hear(&mut monitor, &mut port, &turned(1, Gate::Open), None), Ok(()));
    monitor.gates.set(index, Gate::Closed);
    monitor.gates.set(index, Gate::Held);
    assert_eq!(hear(&mut monitor, &mut port, &turned(1, Gate::Closed), None), Ok(()));
    assert!(monitor.gates.is_turning(index) && monitor.gates.of(index) == Gate::Held);
    monitor.gates.set(index, Gate::Open);
    assert_eq!(hear(&mut monitor, &mut port, &turned(1, Gate::Open), None), Ok(()));
    assert_eq!(monitor.gates.iter().count(), 0);
}

#[test]
fn of_a_service_that_does_not_exist_no_word_is_heard() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    assert!(hear(&mut monitor, &mut port, &turned(2, Gate::Closed), None).is_err());
}

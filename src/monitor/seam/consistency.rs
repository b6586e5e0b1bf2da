//! SIG-6: the consistency check finds what is made wrong on purpose.

use super::*;

#[test]
fn sig_6_the_check_finds_what_contradicts_itself() {
    let (mut monitor, _port) = monitor(State::Serving, vec![plain()]);
    let service = Rc::clone(&monitor.services.find(ServiceIndex(1)).unwrap().service);
    assert_eq!(monitor.contradictions(), [""; 0]);
    let own = i32::try_from(std::process::id()).unwrap();
    let server =
        |ticket, index| Server::new(Ticket(ticket), ServiceIndex(index), Rc::clone(&service), PEER);
    monitor.last_ticket = Ticket(1);
    monitor.running.add(own, server(1, 1));
    assert_eq!(monitor.contradictions(), [""; 0]);
    monitor.running.add(1, server(1, 1));
    assert_eq!(monitor.contradictions(), ["ticket 1 has been given twice, or never"]);
    monitor.running.remove(1);
    monitor.last_ticket = Ticket(2);
    monitor.running.add(i32::MAX, server(2, 1));
    assert_eq!(monitor.contradictions(), ["server 2147483647 of a is gone"]);
    monitor.running.remove(i32::MAX);
    monitor.running.add(own, server(2, 9));
    monitor.closed.insert(ServiceIndex(8), Instant::now());
    let found = monitor.contradictions().join("; ");
    let gone = format!("server {own} of a, which is gone, was not told to end");
    assert!(found.contains(&gone) && found.contains("#8 is closed and does not exist"), "{found}");
}

#[test]
fn sig_6_a_socket_of_another_address_is_found() {
    let (mut monitor, _port) = monitor(State::Serving, vec![plain()]);
    let mut active = monitor.services.remove(ServiceIndex(1)).unwrap();
    active.listeners[0].fd = listener().into();
    monitor.services.insert(ServiceIndex(1), active);
    assert_eq!(monitor.contradictions(), ["service a is not bound to its address"]);
}

#[test]
fn sig_6_what_the_engine_says_is_compared_with_what_it_knew_then() {
    let (mut monitor, _port) = monitor(State::Serving, vec![plain()]);
    monitor.fork_failed(unforked(&monitor, 1, 1), Errno::EAGAIN);
    monitor.last_ticket = Ticket(1);
    monitor.check_consistency(true);
    // Told of the end of a ticket after it was asked, the engine still counted it.
    monitor.tell_engine(&ToEngine::Exited { ticket: Ticket(0) });
    let question = monitor.question.take().unwrap();
    let count = |tickets, doors, errors| {
        monitor.differences(&question, Answer { tickets, doors, errors }).len()
    };
    assert_eq!(count(2, 1, 0), 0);
    assert_eq!((count(1, 1, 0), count(2, 2, 0), count(2, 1, 4)), (1, 1, 1));
}

#[test]
fn an_answer_that_nobody_asked_for_is_a_violation() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let answer = ToMonitor::Checked { tickets: 0, doors: 1, errors: 0 };
    monitor.check_consistency(false);
    assert_eq!(hear(&mut monitor, &mut port, &answer, None), Ok(()));
    assert_eq!(hear(&mut monitor, &mut port, &answer, None), Err(Exit::Violation));
}

#[test]
fn sig_6_an_engine_that_is_late_is_an_error_and_is_not_asked_twice() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    monitor.check_consistency(true);
    monitor.question.as_mut().unwrap().asked -= Duration::from_secs(6);
    monitor.check_consistency(true);
    let mut asked = 0;
    while let Ok(Incoming::Message(ToEngine::Check, None)) = port.receive::<ToEngine>() {
        asked += 1;
        let answer = ToMonitor::Checked { tickets: 0, doors: 1, errors: 0 };
        assert_eq!(hear(&mut monitor, &mut port, &answer, None), Ok(()), "its answer {asked}");
    }
    assert_eq!(asked, 1);
    monitor.check_consistency(true);
    assert!(matches!(port.receive(), Ok(Incoming::Message(ToEngine::Check, None))), "anew");
}

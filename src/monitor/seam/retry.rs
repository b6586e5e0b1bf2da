//! RETRY-1, RETRY-2: what becomes of clients whose servers cannot be forked.

use super::*;

#[test]
fn retry_1_a_client_comes_back_with_its_connection_until_the_fifth_failure() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    let nothing = |port: &mut Port| matches!(port.receive::<ToEngine>(), Ok(Incoming::Nothing));
    for failures in 1..=4 {
        let before = Instant::now();
        monitor.fork_failed(unforked(&monitor, failures.into(), failures), Errno::EAGAIN);
        monitor.retry_due(before + Duration::from_millis(4900));
        assert!(nothing(&mut port), "five seconds are not over");
        monitor.retry_due(Instant::now() + Duration::from_secs(5));
        let again = ToEngine::Again { ticket: Ticket(failures.into()), failures };
        let heard = port.receive::<ToEngine>().unwrap();
        assert!(matches!(heard, Incoming::Message(message, Some(_)) if message == again));
    }
    monitor.fork_failed(unforked(&monitor, 5, 5), Errno::EAGAIN);
    let heard = port.receive::<ToEngine>().unwrap();
    let given_up = ToEngine::NotStarted { ticket: Ticket(5) };
    assert!(matches!(heard, Incoming::Message(message, None) if message == given_up));
    assert_eq!(monitor.retries.count(), 0);
}

#[test]
fn retry_2_who_is_not_tried_again_is_given_up_at_once() {
    let mut hasty = plain();
    hasty.retry = false;
    for (service, errno) in [(hasty, Errno::EAGAIN), (plain(), Errno::ETIMEDOUT)] {
        let (mut monitor, _port) = monitor(State::Serving, vec![service]);
        monitor.fork_failed(unforked(&monitor, 1, 1), errno);
        assert_eq!(monitor.retries.count(), 0, "{errno}");
    }
}

#[test]
fn who_waits_for_a_fork_takes_an_eighth_of_the_descriptors_at_most() {
    let (mut monitor, _port) = monitor(State::Serving, vec![plain()]);
    for ticket in 1..200 {
        monitor.fork_failed(unforked(&monitor, ticket, 1), Errno::ENOMEM);
    }
    assert_eq!(monitor.retries.count(), 1000 / 8);
}

#[test]
fn nobody_is_tried_again_while_no_engine_serves() {
    let (mut monitor, mut port) = monitor(State::Opening, vec![plain()]);
    monitor.fork_failed(unforked(&monitor, 1, 1), Errno::EAGAIN);
    assert_eq!(monitor.next_retry(), None, "nothing to wake up for");
    monitor.retry_due(Instant::now() + Duration::from_secs(9));
    assert_eq!(monitor.retries.count(), 1);
    let adopted = ToMonitor::Adopted { generation: Generation(1) };
    assert_eq!(hear(&mut monitor, &mut port, &adopted, None), Ok(()));
    assert!(monitor.next_retry().is_some());
}

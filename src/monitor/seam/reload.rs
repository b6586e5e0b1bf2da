//! What an engine may say, and be wrong about, while a reload is under way.

use super::*;
use crate::monitor::reload::Reload;
use crate::plan::{BannerKind, Redirect};

#[test]
fn a_banner_that_a_reload_took_away_is_no_file_and_no_violation() {
    let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
    for (number, service) in [(1, 1), (2, 9)] {
        let service = ServiceIndex(service);
        let ask = ToMonitor::Banner { number, service, kind: BannerKind::Fail };
        assert_eq!(hear(&mut monitor, &mut port, &ask, None), Ok(()));
        let answer = port.receive::<ToEngine>().unwrap();
        let expected = ToEngine::Banner { number };
        assert!(matches!(answer, Incoming::Message(message, None) if message == expected));
    }
}

#[test]
fn who_becomes_of_another_kind_is_asked_about_as_before_until_the_engine_knows() {
    let target = Redirect::Unix("/nowhere".into());
    let mut redirected = plain();
    let credentials = redirected.action.credentials().unwrap().clone();
    redirected.action = Action::Redirect { target, credentials };
    let began = ToMonitor::Began {
        ticket: Ticket(1),
        service: ServiceIndex(1),
        peer: PEER,
        ports: Ports::default(),
    };
    for is_reloading in [true, false] {
        let (mut monitor, mut port) = monitor(State::Serving, vec![redirected.clone()]);
        let mut reload = Reload::default();
        let old = monitor.services.find(ServiceIndex(1)).unwrap();
        let listeners = old.duplicate().unwrap().listeners;
        monitor.remember(ServiceIndex(1), &plain(), &mut reload);
        let new = monitor.household.activate(Rc::new(plain()), listeners).unwrap();
        monitor.services.insert(ServiceIndex(1), new);
        monitor.reload = is_reloading.then_some(reload);
        let heard = hear(&mut monitor, &mut port, &began, None);
        assert_eq!(heard.is_ok(), is_reloading);
    }
}

#[test]
fn reload_7_a_socket_that_was_replaced_leads_to_its_service_until_the_engine_knows() {
    for (of, is_reloading, is_obeyed) in [(1, true, true), (2, true, false), (1, false, false)] {
        let (mut monitor, mut port) = monitor(State::Serving, vec![plain()]);
        let (socket, _client) = connection(&monitor);
        let mut active = monitor.services.remove(ServiceIndex(1)).unwrap();
        let key = active.listeners[0].key.clone();
        let new = Open { file: None, fd: listener().into(), stored: None };
        let new = Listener::new(monitor.services.new_socket_index(), key, new);
        let old = std::mem::replace(&mut active.listeners[0], new);
        monitor.services.insert(ServiceIndex(1), active);
        let mut reload = Reload::default();
        reload.replaced.push((ServiceIndex(of), old));
        monitor.reload = is_reloading.then_some(reload);
        let heard = hear(&mut monitor, &mut port, &start(1, 1), Some(socket));
        assert_eq!(heard.is_ok(), is_obeyed, "of {of}, {is_reloading}");
        assert_eq!(monitor.running.count(), u32::from(is_obeyed));
        for (pid, _) in monitor.running.iter() {
            process::wait_for(pid);
        }
    }
}

#[test]
fn adopting_what_was_not_offered_is_a_violation() {
    let adopted = |generation| ToMonitor::Adopted { generation: Generation(generation) };
    let (mut monitor, mut port) = monitor(State::Opening, vec![plain()]);
    assert_eq!(hear(&mut monitor, &mut port, &adopted(1), None), Ok(()));
    assert_eq!(hear(&mut monitor, &mut port, &adopted(1), None), Err(Exit::Violation), "twice");
}

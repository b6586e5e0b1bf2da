//! Every message on the wire and back.

use proptest::prelude::*;
use std::net::IpAddr;

use super::*;
use crate::ipc::{ToEngine, ToMonitor};
use crate::plan::{BannerKind, Generation, NoId, SocketIndex};
use crate::sys::sandbox::Confinement;

fn packet() -> impl Strategy<Value = Packet> {
    // Half of them short messages with zeros behind, so that many decode.
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<bool>(), 0..32_u8).prop_map(
        |(head, tail, short, kind)| {
            let mut packet = [0; 64];
            packet[..32].copy_from_slice(&head);
            if short {
                packet[0] = kind;
                packet[1 + usize::from(kind)..32].fill(0);
            } else {
                packet[32..].copy_from_slice(&tail);
            }
            packet
        },
    )
}

proptest! {
    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(packet in packet()) {
        if let Ok(message) = ToMonitor::decode(&packet) {
            prop_assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
        }
        if let Ok(message) = ToEngine::decode(&packet) {
            prop_assert_eq!(ToEngine::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn one_stray_byte_makes_a_message_malformed(at in 40_usize..64, byte in 1_u8..) {
        let mut packet = ToMonitor::Stopped.encode();
        packet[at] = byte;
        prop_assert_eq!(ToMonitor::decode(&packet), Err(Violation::Malformed));
    }
}

#[test]
fn every_message_survives_the_wire() {
    let (service, ticket) = (ServiceIndex(7), Ticket(u64::MAX));
    let address = [192, 0, 2, 1].into();
    let peers = [address, "2001:db8::1".parse::<IpAddr>().unwrap()].map(Source::Ip);
    for peer in peers.into_iter().chain([Source::User(1000), Source::Unknown]) {
        for why in Denial::ALL {
            let message = ToMonitor::Refused(Refusal { service, why, peer });
            assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
        }
        for message in [
            ToMonitor::Hello { build: 5, confinement: Confinement::default() },
            ToMonitor::Hello {
                build: 5,
                confinement: Confinement { landlock: true, seccomp: false },
            },
            ToMonitor::Adopted { generation: Generation(3) },
            ToMonitor::Start { ticket, service, peer, failures: 1 },
            ToMonitor::Banner { number: 8, service, kind: BannerKind::Fail },
            ToMonitor::Sensed { service, peer: address },
            ToMonitor::NoId { service, why: NoId::Timeout, peer: address },
            ToMonitor::Serve { ticket, service, socket: SocketIndex(9), peer },
            ToMonitor::Began { ticket, service, peer, ports: Ports { peer: u16::MAX, own: 110 } },
            ToMonitor::Ended { ticket, how: Ending::CutOff, received: 1, sent: u64::MAX },
            ToMonitor::Answered { service, peer },
            ToMonitor::Checked { tickets: 1, doors: 2, errors: 3 },
            ToMonitor::Counted { service, refused: None, clients: 3 },
            ToMonitor::Counted { service, refused: Some(Denial::Libwrap), clients: u32::MAX },
            ToMonitor::Stopped,
        ] {
            assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
        }
        for message in [
            ToEngine::Plan {
                generation: Generation(1),
                length: 2,
                last_ticket: ticket,
                process_limit: u32::MAX,
                log_processes: 15,
            },
            ToEngine::Listener { socket: SocketIndex(9) },
            ToEngine::Running { ticket, service, peer, lent: None },
            ToEngine::Running { ticket, service, peer, lent: Some(SocketIndex(9)) },
            ToEngine::LockOut { peer: address, seconds: 60 },
            ToEngine::Commit { generation: Generation(1) },
            ToEngine::NotStarted { ticket },
            ToEngine::Again { ticket, failures: 4 },
            ToEngine::Exited { ticket },
            ToEngine::Banner { number: 1 },
            ToEngine::Check,
            ToEngine::Stop,
            ToEngine::Drain,
            ToEngine::Leave,
            ToEngine::End { ticket },
            ToEngine::LetIn { peer: address },
            ToEngine::Gate { service, gate: Gate::Open },
            ToEngine::Gate { service, gate: Gate::Held },
            ToEngine::Gate { service, gate: Gate::Closed },
        ] {
            assert_eq!(ToEngine::decode(&message.encode()), Ok(message));
        }
    }
}

#[test]
fn every_event_survives_the_wire() {
    let address = Some([192, 0, 2, 1].into());
    for event in [
        Event::Deactivated,
        Event::Activated,
        Event::Paced,
        Event::LeftUndone,
        Event::AcceptFailed(24),
        Event::RuleFallsShort { is_allow: true, line: 7 },
        Event::RuleFallsShort { is_allow: false, line: 0 },
        Event::NotReached { address, errno: 111 },
        Event::NotReached { address: None, errno: 2 },
        Event::Full,
        Event::Withheld,
        Event::Crowded,
        Event::Turned(Gate::Closed),
    ] {
        let message = ToMonitor::Noticed { service: ServiceIndex(7), event };
        assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn a_message_of_the_other_direction_is_malformed() {
    assert_eq!(ToMonitor::decode(&ToEngine::Stop.encode()), Err(Violation::Malformed));
    assert_eq!(ToEngine::decode(&ToMonitor::Stopped.encode()), Err(Violation::Malformed));
}

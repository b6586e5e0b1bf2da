//! Doors as bytes, for the memfd that carries them from the monitor to the engine.

use crate::plan::Door;

/// Writes `doors` down.
///
/// # Errors
/// Only when memory runs out inside the encoder.
pub fn encode_doors(doors: &[Door]) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_allocvec(doors)
}

/// Reads what [`encode_doors`] wrote.
///
/// # Errors
/// When `bytes` are anything else.
pub fn decode_doors(bytes: &[u8]) -> Result<Vec<Door>, postcard::Error> {
    postcard::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        AccessList, Behind, DenyTime, DoorBanners, Duty, Hours, Ident, Interval, Limit, Load, Mux,
        Policy, RateAction, RateLimit, Redirect, Relay, ServiceId, ServiceIndex, SocketIndex,
        SocketType, SourcePrefix,
    };
    use std::net::Ipv4Addr;

    #[test]
    fn what_was_written_is_read_again() {
        let addresses =
            vec!["192.0.2.1:110".parse().unwrap(), "[2001:db8::1]:110".parse().unwrap()];
        let duties = [
            Duty::LockOut(DenyTime::Minutes(5)),
            Duty::Relay(Relay {
                to: Redirect::Host { name: "mail".into(), port: 110, addresses },
                keepalive: true,
            }),
            Duty::Forward(Redirect::Unix("/run/y".into())),
            Duty::Relay(Relay { to: Redirect::Unix("/run/x".into()), keepalive: false }),
        ];
        let doors: Vec<_> = duties.into_iter().map(door).collect();
        let bytes = encode_doors(&doors).unwrap();
        assert_eq!(decode_doors(&bytes).unwrap(), doors);
        assert!(decode_doors(&bytes[..bytes.len() - 1]).is_err());
    }

    fn door(duty: Duty) -> Door {
        Door {
            index: ServiceIndex(7),
            id: ServiceId("pop3".into()),
            sockets: vec![SocketIndex(8), SocketIndex(9)],
            socket_type: SocketType::Dgram,
            policy: Policy {
                instances: Limit::Max(3),
                per_source: Limit::Unlimited,
                rate: RateLimit { per_second: 5, pause: 6 },
                rate_action: RateAction::Pace,
                source_prefix: SourcePrefix { v6: 64, v4: 24 },
                max_load: Some(Load(2500)),
                hours: Hours::new(vec![Interval { first: 0, last: 1440 }]),
                only_from: Some(AccessList::new([(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)], [])),
                no_access: None,
            },
            duty,
            wrap: Some("pop3d".into()),
            ident: Ident { on_success: true, on_failure: false, is_required: true },
            banners: DoorBanners { always: true, success: false, fail: true },
            behind: Some(Behind { name: "POP3".into(), mux: Mux::Plus }),
            reports_refusals: true,
            reports_answers: true,
        }
    }
}

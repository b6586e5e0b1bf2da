//! A client that is only imagined: where it comes from, and when.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::admit::{ClientName, Moment, Peer};
use crate::config::system::System;
use crate::plan::SocketKey;

/// Who asks to be let in, and when.
#[derive(Debug)]
pub(super) struct Client {
    /// An IPv4 client in its plain form, however it was written (BIND-11).
    pub address: IpAddr,
    pub moment: Moment,
}

impl Client {
    /// A client from `address` that comes at a minute of the day; now, if none is given.
    pub(super) fn new(address: IpAddr, minute: Option<u16>) -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let minute = minute.unwrap_or_else(System::minute_of_day);
        let moment = Moment { seconds, minute, load: System::load() };
        Self { address: address.to_canonical(), moment }
    }

    /// The client at the first of a service's sockets that it can reach; `None`: there is none.
    pub(super) fn at(&self, sockets: &[SocketKey]) -> Option<Peer> {
        if sockets.is_empty() {
            // tcpmux has let it in.
            return Some(Peer { source: self.address.into(), mapped: false });
        }
        sockets.iter().find_map(|socket| self.at_one(socket))
    }

    fn at_one(&self, socket: &SocketKey) -> Option<Peer> {
        let bound = socket.address.ip()?.ip();
        let mapped = self.address.is_ipv4() && bound.is_ipv6();
        let reached = match (self.address.is_ipv4(), bound) {
            (true, IpAddr::V6(bound)) => !socket.v6only && bound.is_unspecified(),
            (false, IpAddr::V4(_)) => false,
            (true, IpAddr::V4(_)) | (false, IpAddr::V6(_)) => true,
        };
        reached.then_some(Peer { source: self.address.into(), mapped })
    }

    /// What its address resolves to.
    pub(super) fn name(&self) -> ClientName {
        match System::name_of(self.address) {
            Ok(Some(name)) => ClientName::Known(name),
            Ok(None) => ClientName::None,
            Err(_) => ClientName::InDoubt,
        }
    }
}

/// Minutes since midnight of `HOUR:MIN`.
///
/// # Errors
/// When it is no time of the day.
pub(super) fn minute(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is no time of the day: HOUR:MIN, from 0:00 to 23:59");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    match (hour.parse(), minute.parse()) {
        (Ok(hour @ 0..=23_u16), Ok(minute @ 0..=59_u16)) => Ok(hour * 60 + minute),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_is_hours_and_minutes() {
        assert_eq!(minute("23:30"), Ok(1410));
        for text in ["24:00", "12:60", "12", "x:1", ""] {
            assert!(minute(text).is_err(), "{text}");
        }
    }
}

//! `only_from` and `no_access`: is this client welcome, by its address or by its name?

use crate::admit::Peer;
use crate::plan::{AccessList, Denial, Policy, Source};

/// How a client may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    In,
    /// The lists have names on them, and the address alone does not settle it: to be asked
    /// for, and then for [`decide_by_name`]. Or the files of TCP wrappers ask for more.
    NameDecides,
}

/// What is known of a client's name, which is what its address resolves to (ADDR-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// The address has none.
    None,
    /// It could not be found out, or not in time.
    InDoubt,
    Known(String),
}

/// Decides by the address, as far as that goes.
pub(super) fn by_address(policy: &Policy, peer: Peer) -> Result<Welcome, Denial> {
    match is_welcome(policy, peer, None) {
        Some(true) => Ok(Welcome::In),
        Some(false) => Err(Denial::Address),
        None => Ok(Welcome::NameDecides),
    }
}

/// Decides when the name is known, or will never be. Who may be on `no_access` stays out.
///
/// # Errors
/// [`Denial::Address`]
pub fn decide_by_name(policy: &Policy, peer: Peer, name: &ClientName) -> Result<(), Denial> {
    match is_welcome(policy, peer, Some(name)) {
        Some(true) => Ok(()),
        Some(false) | None => Err(Denial::Address),
    }
}

/// Who matches both lists is refused, whatever the manual says (ADDR-2). `None`: the name
/// decides. Who has no address is on no list, and nobody looks (ACC-7).
fn is_welcome(policy: &Policy, peer: Peer, name: Option<&ClientName>) -> Option<bool> {
    if peer.source.ip().is_none() {
        return Some(true);
    }
    let no_access = policy.no_access.as_ref();
    let banned = no_access.map_or(Some(false), |list| is_on(list, peer, name, true));
    let only_from = policy.only_from.as_ref();
    let invited = only_from.map_or(Some(true), |list| is_on(list, peer, name, false));
    match (banned, invited) {
        (Some(true), _) | (_, Some(false)) => Some(false),
        (Some(false), Some(true)) => Some(true),
        (None, _) | (_, None) => None,
    }
}

/// Whether a client is on a list; `in_doubt` is the answer when its name cannot be found out.
/// `None`: the name decides, and is not known yet.
#[must_use]
pub fn is_on(
    list: &AccessList,
    peer: Peer,
    name: Option<&ClientName>,
    in_doubt: bool,
) -> Option<bool> {
    let Source::Ip(address) = peer.source else { return Some(false) };
    if list.contains(address, peer.mapped) {
        return Some(true);
    }
    if list.names().is_empty() {
        return Some(false);
    }
    Some(match name? {
        ClientName::None => false,
        ClientName::InDoubt => in_doubt,
        ClientName::Known(name) => list.contains_name(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn peer(address: [u8; 4]) -> Peer {
        Peer { source: Source::Ip(Ipv4Addr::from(address).into()), mapped: false }
    }

    fn list(from: [u8; 4], to: [u8; 4], name: &str) -> AccessList {
        let names = Some(name).filter(|name| !name.is_empty());
        AccessList::new([(from.into(), to.into())], []).with_names(names.map(str::to_owned))
    }

    #[test]
    fn addr_2_no_access_always_wins() {
        let all = list([0; 4], [255; 4], "");
        let policy =
            Policy { only_from: Some(all.clone()), no_access: Some(all), ..Policy::default() };
        assert_eq!(by_address(&policy, peer([127, 0, 0, 1])), Err(Denial::Address));
    }

    #[test]
    fn the_name_is_asked_only_where_the_address_does_not_settle_it() {
        let named = Some(list([10, 0, 0, 1], [10, 0, 0, 1], ".example.org"));
        let invite = Policy { only_from: named.clone(), ..Policy::default() };
        assert_eq!(by_address(&invite, peer([10, 0, 0, 1])), Ok(Welcome::In));
        assert_eq!(by_address(&invite, peer([10, 0, 0, 2])), Ok(Welcome::NameDecides));
        let ban = Policy { no_access: named, ..Policy::default() };
        assert_eq!(by_address(&ban, peer([10, 0, 0, 1])), Err(Denial::Address));
        assert_eq!(by_address(&ban, peer([10, 0, 0, 2])), Ok(Welcome::NameDecides));
    }

    #[test]
    fn a_name_that_cannot_be_found_out_lets_nobody_in() {
        let named = Some(list([10, 0, 0, 1], [10, 0, 0, 1], ".example.org"));
        let invite = Policy { only_from: named.clone(), ..Policy::default() };
        let ban = Policy { no_access: named, ..Policy::default() };
        let known = ClientName::Known("mail.example.org".into());
        let other = ClientName::Known("mail.example.com".into());
        for (name, invited, banned) in [
            (known, true, true),
            (other, false, false),
            (ClientName::None, false, false),
            (ClientName::InDoubt, false, true),
        ] {
            let is_in = |policy| decide_by_name(policy, peer([10, 0, 0, 2]), &name).is_ok();
            assert_eq!((is_in(&invite), !is_in(&ban)), (invited, banned), "ADDR-13: {name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_longer_no_access_never_admits_more(
            client in any::<[u8; 4]>(),
            short in any::<([u8; 4], [u8; 4])>(),
            more in any::<([u8; 4], [u8; 4])>(),
        ) {
            let range = |(a, b): ([u8; 4], [u8; 4])| (a.min(b).into(), a.max(b).into());
            let policy = |ranges: Vec<(Ipv4Addr, Ipv4Addr)>| Policy {
                no_access: Some(AccessList::new(ranges, [])),
                ..Policy::default()
            };
            let before = by_address(&policy(vec![range(short)]), peer(client)).is_ok();
            let after = by_address(&policy(vec![range(short), range(more)]), peer(client)).is_ok();
            prop_assert!(before || !after);
        }
    }
}

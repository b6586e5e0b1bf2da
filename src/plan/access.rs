//! A compiled address list, sorted, so that a look-up costs the logarithm of its length.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of `only_from` or `no_access`.
///
/// IPv4 entries match IPv4 clients however they are connected; IPv6 entries also
/// match the mapped form (`::ffff:a.b.c.d`) of an IPv4 client on a dual-stack
/// socket (ADDR-12).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessList {
    /// Inclusive, sorted, disjoint.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
    /// Host names and `.domain`s in small letters, sorted.
    names: Vec<String>,
}

impl AccessList {
    /// Compiles inclusive ranges, given in any order, overlapping or not.
    #[must_use]
    pub fn new(
        v4: impl IntoIterator<Item = (Ipv4Addr, Ipv4Addr)>,
        v6: impl IntoIterator<Item = (Ipv6Addr, Ipv6Addr)>,
    ) -> Self {
        Self {
            v4: merge(v4.into_iter().map(|(a, b)| (a.to_bits(), b.to_bits())).collect()),
            v6: merge(v6.into_iter().map(|(a, b)| (a.to_bits(), b.to_bits())).collect()),
            names: Vec::new(),
        }
    }

    /// The same list with `names` on it: host names, and domains that begin with a dot.
    #[must_use]
    pub fn with_names(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names.into_iter().map(|name| name.to_ascii_lowercase()));
        self.names.sort_unstable();
        self.names.dedup();
        self
    }

    /// The names on it, in small letters.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a client of this name is on the list: the whole name (ADDR-13), or the domain
    /// it ends in (ADDR-14), in any case.
    #[must_use]
    pub fn contains_name(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let has =
            |wanted: &str| self.names.binary_search_by(|known| known.as_str().cmp(wanted)).is_ok();
        let domains = name.match_indices('.').filter_map(|(dot, _)| name.get(dot..));
        has(&name) || domains.into_iter().any(has)
    }

    /// The list as networks, the fewest that cover it: `192.0.2.0/24`, `2001:db8::1/128`.
    pub fn networks(&self) -> impl Iterator<Item = String> {
        let v4 = self.v4.iter().flat_map(|(first, last)| {
            let network = |(address, bits): (u128, u32)| {
                let address = u32::try_from(address).unwrap_or_default();
                format!("{}/{bits}", Ipv4Addr::from_bits(address))
            };
            cover((*first).into(), (*last).into(), 32).into_iter().map(network)
        });
        let v6 = self.v6.iter().flat_map(|(first, last)| {
            let network = |(address, bits)| format!("{}/{bits}", Ipv6Addr::from_bits(address));
            cover(*first, *last, 128).into_iter().map(network)
        });
        v4.chain(v6)
    }

    /// The IPv4 addresses on it, as inclusive ranges; with `mapped` also those of which the mapped
    /// form is (ADDR-12).
    #[must_use]
    pub fn v4_ranges(&self, mapped: bool) -> Vec<(u32, u32)> {
        const FIRST: u128 = 0xffff_0000_0000;
        const LAST: u128 = 0xffff_ffff_ffff;
        let v4 = |address: u128| u32::try_from(address & 0xffff_ffff).unwrap_or_default();
        let of_v6 =
            self.v6.iter().filter(|(first, last)| mapped && *first <= LAST && *last >= FIRST);
        let of_v6 = of_v6.map(|(first, last)| (v4((*first).max(FIRST)), v4((*last).min(LAST))));
        self.v4.iter().copied().chain(of_v6).collect()
    }

    /// The IPv6 addresses on it, as address and length of each prefix.
    #[must_use]
    pub fn v6_prefixes(&self) -> Vec<(u128, u32)> {
        self.v6.iter().flat_map(|(first, last)| cover(*first, *last, 128)).collect()
    }

    /// Whether `address` is on the list. `mapped` says that an IPv4 client came
    /// in through an IPv6 socket.
    #[must_use]
    pub fn contains(&self, address: IpAddr, mapped: bool) -> bool {
        match address {
            IpAddr::V4(v4) => {
                within(&self.v4, v4.to_bits())
                    || mapped && within(&self.v6, v4.to_ipv6_mapped().to_bits())
            }
            IpAddr::V6(v6) => within(&self.v6, v6.to_bits()),
        }
    }
}

/// The networks, as address and length of the prefix, of an inclusive range of addresses
/// of `width` bits.
fn cover(first: u128, last: u128, width: u32) -> Vec<(u128, u32)> {
    let mut networks = Vec::new();
    let mut next = Some(first).filter(|first| *first <= last);
    while let Some(address) = next {
        let aligned = address.trailing_zeros().min(width);
        let host_bits = (0..=aligned).rev().find(|bits| address | ones(*bits) <= last);
        let end = address | ones(host_bits.unwrap_or(0));
        networks.push((address, width - host_bits.unwrap_or(0)));
        next = end.checked_add(1).filter(|next| *next <= last);
    }
    networks
}

/// The lowest `bits` bits set, of at most 128.
fn ones(bits: u32) -> u128 {
    u128::MAX.checked_shr(128 - bits).unwrap_or(0)
}

/// Sorts, and joins what overlaps.
fn merge<T: Copy + Ord>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joined = next.0 <= kept.1;
        if joined && next.1 > kept.1 {
            kept.1 = next.1;
        }
        joined
    });
    ranges
}

fn within<T: Copy + Ord>(ranges: &[(T, T)], wanted: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= wanted);
    after.checked_sub(1).and_then(|i| ranges.get(i)).is_some_and(|(_, last)| wanted <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(s: &str) -> Ipv4Addr {
        s.parse().unwrap()
    }

    #[test]
    fn an_empty_list_holds_nobody() {
        assert!(!AccessList::default().contains(IpAddr::V4(v4("127.0.0.1")), true));
    }

    #[test]
    fn overlapping_ranges_are_joined_and_both_ends_belong() {
        let list = AccessList::new(
            [
                (v4("10.0.0.5"), v4("10.0.0.9")),
                (v4("10.0.0.0"), v4("10.0.0.6")),
                (v4("10.0.0.1"), v4("10.0.0.2")),
                (v4("192.0.2.1"), v4("192.0.2.1")),
            ],
            [],
        );
        assert_eq!(list.v4.len(), 2);
        for (address, wanted) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.0.0.9", true),
            ("10.0.0.10", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
        ] {
            assert_eq!(list.contains(IpAddr::V4(v4(address)), false), wanted, "{address}");
        }
    }

    #[test]
    fn a_list_is_shown_as_the_fewest_networks() {
        let v6 = |s: &str| s.parse::<Ipv6Addr>().unwrap();
        let list = AccessList::new(
            [(v4("0.0.0.0"), v4("255.255.255.255")), (v4("10.0.0.5"), v4("10.0.0.9"))],
            [(v6("2001:db8::1"), v6("2001:db8::1")), (v6("::"), v6("::ffff"))],
        );
        let shown: Vec<_> = list.networks().collect();
        assert_eq!(shown, ["0.0.0.0/0", "::/112", "2001:db8::1/128"]);
        let list = AccessList::new([(v4("10.0.0.5"), v4("10.0.0.9"))], []);
        let shown: Vec<_> = list.networks().collect();
        assert_eq!(shown, ["10.0.0.5/32", "10.0.0.6/31", "10.0.0.8/31"]);
    }

    #[test]
    fn names_match_whole_or_as_a_domain() {
        let list = AccessList::default()
            .with_names(["mail.Example.org", ".example.net", ".org"].map(str::to_owned));
        for (name, wanted) in [
            ("MAIL.example.ORG", true),
            ("mail.example.org.evil.com", false),
            ("a.b.example.net", true),
            ("example.net", false),
            ("xexample.net", false),
            ("example.com", false),
            ("", false),
        ] {
            assert_eq!(list.contains_name(name), wanted, "ADDR-13, ADDR-14: {name}");
        }
        assert!(list.contains_name("x.org"));
    }

    #[test]
    fn ipv6_entries_match_mapped_clients_only() {
        let all = AccessList::new([], [(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX))]);
        let client = IpAddr::V4(v4("192.0.2.1"));
        assert!(all.contains(client, true), "ADDR-12");
        assert!(!all.contains(client, false));
    }
}

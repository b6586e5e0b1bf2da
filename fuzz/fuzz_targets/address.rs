//! Words of `only_from` and `no_access`: what is read matches what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{Ipv4Addr, Ipv6Addr};
use xinetd_rs::config::addr::{AddrPattern, compile, read};

fuzz_target!(|word: &str| {
    let Ok(meaning) = read(word) else { return };
    assert!(!meaning.patterns.is_empty(), "an address matches somebody");
    let list = compile(&meaning.patterns);
    for pattern in &meaning.patterns {
        match *pattern {
            AddrPattern::V4 { network, mask } => {
                assert_eq!(network & !mask, 0);
                assert_eq!(mask.leading_ones(), mask.count_ones());
                assert!(list.contains(Ipv4Addr::from_bits(network).into(), false));
                assert!(list.contains(Ipv4Addr::from_bits(network | !mask).into(), false));
            }
            AddrPattern::V6 { network, mask } => {
                assert_eq!(network & !mask, 0);
                assert_eq!(mask.leading_ones(), mask.count_ones());
                assert!(list.contains(Ipv6Addr::from_bits(network).into(), false));
                assert!(list.contains(Ipv6Addr::from_bits(network | !mask).into(), false));
            }
        }
    }
    // The plain spelling that a warning recommends must mean the same.
    if let Some(plainly) = &meaning.plainly {
        let plain = read(plainly).expect("the plain spelling is an address");
        assert_eq!(plain.patterns, meaning.patterns, "{word} and {plainly}");
    }
});

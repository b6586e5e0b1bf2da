//! Words of `only_from` and `no_access`: what is read matches what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use xinetd_rs::config::addr::{AddrPattern, Meaning, Unread, compile, read};
use xinetd_rs::plan::AccessList;

fuzz_target!(|words: &str| {
    let mut patterns = Vec::new();
    for word in words.split_ascii_whitespace() {
        let meaning = match read(word) {
            Ok(meaning) => meaning,
            Err(Unread::Name) => {
                named(word);
                continue;
            }
            Err(Unread::Wrong(..)) => continue,
        };
        assert!(!meaning.patterns.is_empty(), "an address matches somebody");
        // The plain spelling that a warning recommends must mean the same.
        if let Some(plainly) = &meaning.plainly {
            let plain = read(plainly).expect("the plain spelling is an address");
            assert_eq!(plain.patterns, meaning.patterns, "{word} and {plainly}");
            assert_eq!(plain.plainly, None, "{plainly} is as plain as can be");
        }
        for pattern in &meaning.patterns {
            alone(pattern);
        }
        patterns.extend(meaning.patterns);
    }
    together(&patterns);
});

/// A host matches its own name in any case, a domain every host below it.
fn named(word: &str) {
    let list = compile(&Meaning::of_name(word).patterns);
    let host = if word.starts_with('.') { format!("host{word}") } else { word.to_owned() };
    assert!(list.contains_name(&host) && list.contains_name(&host.to_ascii_uppercase()));
    assert!(!list.contains_name(&format!("{host}x")), "{word}");
}

/// The first and the last address of a network, and those beside it.
struct Ends {
    within: [IpAddr; 2],
    beside: [Option<IpAddr>; 2],
}

impl Ends {
    fn of(pattern: &AddrPattern) -> Self {
        match *pattern {
            AddrPattern::V4 { network: first, mask } => {
                let (last, at) = (first | !mask, |bits| IpAddr::from(Ipv4Addr::from_bits(bits)));
                let beside = [first.checked_sub(1).map(at), last.checked_add(1).map(at)];
                Self { within: [at(first), at(last)], beside }
            }
            AddrPattern::V6 { network: first, mask } => {
                let (last, at) = (first | !mask, |bits| IpAddr::from(Ipv6Addr::from_bits(bits)));
                let beside = [first.checked_sub(1).map(at), last.checked_add(1).map(at)];
                Self { within: [at(first), at(last)], beside }
            }
            AddrPattern::Name(_) => panic!("an address is read as a name"),
        }
    }
}

/// A pattern is one network, and its list has this network and nothing else.
fn alone(pattern: &AddrPattern) {
    let prefix = match *pattern {
        AddrPattern::V4 { network, mask } => {
            network & !mask == 0 && mask.leading_ones() == mask.count_ones()
        }
        AddrPattern::V6 { network, mask } => {
            network & !mask == 0 && mask.leading_ones() == mask.count_ones()
        }
        AddrPattern::Name(_) => false,
    };
    assert!(prefix, "{pattern:?}");
    let (list, ends) = (compile(std::slice::from_ref(pattern)), Ends::of(pattern));
    assert!(ends.within.iter().all(|address| list.contains(*address, false)), "{pattern:?}");
    assert!(!ends.beside.iter().flatten().any(|one| list.contains(*one, false)), "{pattern:?}");
    assert_eq!(list.networks().count(), 1, "{pattern:?}");
}

/// A list has what one of its patterns has; written down and read again it is the same list.
fn together(patterns: &[AddrPattern]) {
    let list = compile(patterns);
    let singles: Vec<AccessList> = patterns.iter().map(|one| compile(std::slice::from_ref(one))).collect();
    let written = list.networks().map(|word| read(&word).expect("a network").patterns);
    let again = compile(&written.flatten().collect::<Vec<_>>());
    for ends in patterns.iter().map(Ends::of) {
        for address in ends.within.into_iter().chain(ends.beside.into_iter().flatten()) {
            let wanted = singles.iter().any(|single| single.contains(address, false));
            assert_eq!(list.contains(address, false), wanted, "{address}");
            assert_eq!(again.contains(address, false), wanted, "{address}, written down");
        }
    }
}

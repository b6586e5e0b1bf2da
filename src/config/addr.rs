//! The addresses of `only_from` and `no_access`, in all the ways xinetd.conf(5) has for them.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::plan::AccessList;

/// One network, a single host being a network of one; or a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AddrPattern {
    /// `network` has no bit outside `mask`.
    V4 {
        network: u32,
        mask: u32,
    },
    V6 {
        network: u128,
        mask: u128,
    },
    /// A host (ADDR-13), or a domain that begins with a dot (ADDR-14), in small letters.
    Name(String),
}

/// Why a word is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Nothing like an address: a name, perhaps.
    Name,
    /// Like an address, but wrong; says how (ADDR-18), and what the original makes of it
    /// where it takes it all the same.
    Wrong(String, Option<Unlike>),
}

/// What the original makes of an address: the statement of the contract, and the deed.
pub type Unlike = (&'static str, &'static str);

const ONE_HOST: Unlike = ("ADDR-6", "takes this for one host, whatever stands behind the `/`");
const OVERFLOWS: Unlike = ("ADDR-8", "drops digits, or lets them run into the next number");
const NOBODY: Unlike = ("ADDR-10", "matches nobody with this");

/// What an address word means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub patterns: Vec<AddrPattern>,
    /// Set when it reads otherwise than it looks (ADDR-4): the plain spelling.
    pub plainly: Option<String>,
    /// Set when the original reads it otherwise.
    pub unlike: Option<Unlike>,
}

impl Meaning {
    /// The network that networks(5) has for a name, its trailing zero bytes being wildcards
    /// (ADDR-16).
    #[must_use]
    pub fn of_network(number: u32) -> Self {
        let patterns = vec![v4(number, without_trailing_zeros(number))];
        let unlike = ("ADDR-16", "matches nobody with the name of a network");
        Self { patterns, plainly: None, unlike: Some(unlike) }
    }

    /// The host or the domain of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let patterns = vec![AddrPattern::Name(name.to_ascii_lowercase())];
        Self { patterns, plainly: None, unlike: None }
    }
}

/// Reads one word of an address list.
///
/// # Errors
/// When it is no address.
pub fn read(word: &str) -> Result<Meaning, Unread> {
    let certain = |patterns| Ok(Meaning { patterns, plainly: None, unlike: None });
    if word.contains(['{', '}']) {
        return certain(factorised(word)?);
    }
    if word.contains(',') {
        return Err(wrong("a comma is allowed only between braces"));
    }
    if word.contains(':') {
        return ipv6(word);
    }
    ipv4(word)
}

/// Puts patterns into the form that is searched.
#[must_use]
pub fn compile(patterns: &[AddrPattern]) -> AccessList {
    let v4 = patterns.iter().filter_map(|pattern| match *pattern {
        AddrPattern::V4 { network, mask } => {
            Some((Ipv4Addr::from_bits(network), Ipv4Addr::from_bits(network | !mask)))
        }
        AddrPattern::V6 { .. } | AddrPattern::Name(_) => None,
    });
    let v6 = patterns.iter().filter_map(|pattern| match *pattern {
        AddrPattern::V6 { network, mask } => {
            Some((Ipv6Addr::from_bits(network), Ipv6Addr::from_bits(network | !mask)))
        }
        AddrPattern::V4 { .. } | AddrPattern::Name(_) => None,
    });
    let names = patterns.iter().filter_map(|pattern| match pattern {
        AddrPattern::Name(name) => Some(name.clone()),
        AddrPattern::V4 { .. } | AddrPattern::V6 { .. } => None,
    });
    AccessList::new(v4, v6).with_names(names)
}

fn wrong(why: impl Into<String>) -> Unread {
    Unread::Wrong(why.into(), None)
}

fn unlike(why: impl Into<String>, unlike: Unlike) -> Unread {
    Unread::Wrong(why.into(), Some(unlike))
}

fn v4(address: u32, mask: u32) -> AddrPattern {
    AddrPattern::V4 { network: address & mask, mask }
}

/// The mask with `bits` ones in front; `bits` is at most 32.
fn mask4(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

/// ADDR-3: trailing zero bytes are wildcards.
fn without_trailing_zeros(address: u32) -> u32 {
    mask4(32 - address.trailing_zeros().min(32) / 8 * 8)
}

/// ADDR-3 to ADDR-6: an address as inet_aton(3) reads it, with `/bits` or `/mask`.
fn ipv4(word: &str) -> Result<Meaning, Unread> {
    let (address, mask) = match word.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (word, None),
    };
    let number = aton(address).ok_or(Unread::Name)?;
    let mask = mask.map(netmask).transpose()?;
    let pattern = v4(number, mask.unwrap_or_else(|| without_trailing_zeros(number)));
    let parts = || address.split('.');
    let short = parts().count() < 4 && !number.to_be_bytes().ends_with(&[0]);
    let octal = parts().any(is_octal);
    let plainly = (octal || short && !address.contains(['x', 'X'])).then(|| match mask {
        Some(mask) => format!("{}/{}", Ipv4Addr::from_bits(number & mask), mask.count_ones()),
        None => Ipv4Addr::from_bits(number).to_string(),
    });
    let dotted = word.split_once('/').is_some_and(|(_, mask)| mask.contains('.'));
    Ok(Meaning { patterns: vec![pattern], plainly, unlike: dotted.then_some(ONE_HOST) })
}

/// What stands behind the `/`: a number of bits or a dotted mask (ADDR-5, ADDR-6).
fn netmask(text: &str) -> Result<u32, Unread> {
    if let Ok(dotted) = text.parse::<Ipv4Addr>() {
        let bits = dotted.to_bits();
        let gaps = bits.leading_ones() != bits.count_ones();
        return if gaps {
            Err(unlike(format!("the mask {text} has gaps"), ONE_HOST))
        } else {
            Ok(bits)
        };
    }
    let expected = "behind the `/` a number from 0 to 32 or a mask is expected";
    match text.parse() {
        Ok(bits @ 0..=32) => Ok(mask4(bits)),
        Ok(_) => Err(unlike(expected, ONE_HOST)),
        Err(_) => Err(wrong(expected)),
    }
}

fn is_octal(part: &str) -> bool {
    part.len() > 1 && part.starts_with('0') && !part.starts_with("0x") && !part.starts_with("0X")
}

/// inet_aton(3): one to four numbers, decimal, octal or hexadecimal; the last fills
/// the bytes that are left.
fn aton(text: &str) -> Option<u32> {
    let parts: Vec<u32> = text.split('.').map(aton_number).collect::<Option<_>>()?;
    let (last, front) = parts.split_last()?;
    let room = 32_u32.checked_sub(u32::try_from(front.len()).ok()? * 8).filter(|room| *room > 0)?;
    if front.iter().any(|part| *part > 255) || last.checked_shr(room).is_some_and(|over| over > 0) {
        return None;
    }
    let (mut address, mut shift) = (*last, 32);
    for part in front {
        shift -= 8;
        address |= part << shift;
    }
    Some(address)
}

fn aton_number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if is_octal(text) => (text, 8),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// ADDR-9, ADDR-10: no wildcard rule, and `/128` is one host.
fn ipv6(word: &str) -> Result<Meaning, Unread> {
    let (address, bits) = match word.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (word, None),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| Unread::Name)?;
    let expected = "behind the `/` a number from 0 to 128 is expected";
    let (bits, unlike): (u32, _) = match bits.map(str::parse) {
        None => (128, None),
        Some(Ok(128)) => (128, Some(NOBODY)),
        Some(Ok(bits @ 0..=127)) => (bits, None),
        Some(Ok(_)) => return Err(unlike(expected, NOBODY)),
        Some(Err(_)) => return Err(wrong(expected)),
    };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    let pattern = AddrPattern::V6 { network: address.to_bits() & mask, mask };
    Ok(Meaning { patterns: vec![pattern], plainly: None, unlike })
}

/// ADDR-7: `10.1.{2,3}`; as many bytes count as there are numbers.
fn factorised(word: &str) -> Result<Vec<AddrPattern>, Unread> {
    let number = |text: &str| -> Result<u32, Unread> {
        match text.parse::<u8>() {
            Ok(number) if !text.starts_with('+') => Ok(number.into()),
            _ => {
                let why = format!("`{text}` is not a number from 0 to 255");
                let large = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                Err(if large { unlike(why, OVERFLOWS) } else { wrong(why) })
            }
        }
    };
    let (front, rest) = word.split_once('{').ok_or_else(|| wrong("a `}` without its `{`"))?;
    let list = rest.strip_suffix('}').filter(|list| !list.contains(['{', '}']));
    let list = list.ok_or_else(|| wrong("one pair of braces is expected, at the end"))?;
    let front = match front.strip_suffix('.') {
        Some(front) => front.split('.').map(number).collect::<Result<Vec<_>, _>>()?,
        None if front.is_empty() => Vec::new(),
        None => return Err(unlike("a dot is expected before the `{`", OVERFLOWS)),
    };
    if front.len() > 3 {
        return Err(wrong("an address has four numbers"));
    }
    let (mut base, mut shift) = (0, 32);
    for part in &front {
        shift -= 8;
        base |= part << shift;
    }
    let shift = shift - 8;
    list.split(',').map(|last| Ok(v4(base | number(last)? << shift, mask4(32 - shift)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(word: &str) -> String {
        let one = |pattern: &AddrPattern| match pattern {
            AddrPattern::V4 { network, mask } => {
                format!("{}/{}", Ipv4Addr::from_bits(*network), mask.count_ones())
            }
            AddrPattern::V6 { network, mask } => {
                format!("{}/{}", Ipv6Addr::from_bits(*network), mask.count_ones())
            }
            AddrPattern::Name(name) => name.clone(),
        };
        match read(word) {
            Ok(meaning) => meaning.patterns.iter().map(one).collect::<Vec<_>>().join(" "),
            Err(Unread::Name) => "name".into(),
            Err(Unread::Wrong(..)) => "wrong".into(),
        }
    }

    #[test]
    fn trailing_zero_bytes_of_a_literal_are_wildcards() {
        for (word, meaning) in [
            ("127.0.0.1", "127.0.0.1/32"),
            ("127.0.0.0", "127.0.0.0/8"),
            ("127.0.1.0", "127.0.1.0/24"),
            ("10.16.0.0", "10.16.0.0/16"),
            ("0.0.0.0", "0.0.0.0/0"),
        ] {
            assert_eq!(shown(word), meaning, "ADDR-3: {word}");
        }
    }

    #[test]
    fn short_octal_and_hexadecimal_forms_follow_inet_aton() {
        for (word, meaning) in [
            ("127.0.0", "127.0.0.0/8"),
            ("127.1", "127.0.0.1/32"),
            ("127", "0.0.0.127/32"),
            ("0", "0.0.0.0/0"),
            ("0x7f000001", "127.0.0.1/32"),
            ("0177.0.0.1", "127.0.0.1/32"),
            ("192.168.65535", "192.168.255.255/32"),
            ("256.0.0.1", "name"),
            ("1.2.3.256", "name"),
            ("1.2.3.4.5", "name"),
            ("4294967296", "name"),
            ("10.", "name"),
            ("+1.2.3.4", "name"),
        ] {
            assert_eq!(shown(word), meaning, "ADDR-4: {word}");
        }
        assert_eq!(read("127").unwrap().plainly.as_deref(), Some("0.0.0.127"));
        assert_eq!(read("192.168.1/24").unwrap().plainly.as_deref(), Some("192.168.0.0/24"));
        assert_eq!(read("010.0.0.1").unwrap().plainly.as_deref(), Some("8.0.0.1"));
        assert_eq!(read("127.0.0").unwrap().plainly, None);
    }

    #[test]
    fn prefixes_and_dotted_masks_are_read() {
        for (word, meaning) in [
            ("127.0.0.1/31", "127.0.0.0/31"),
            ("127.0.0.0/32", "127.0.0.0/32"),
            ("127.0.0.1/0", "0.0.0.0/0"),
            ("10.1.2.3/255.255.0.0", "10.1.0.0/16"),
            ("10.1.2.3/255.0.255.0", "wrong"),
            ("127.0.0.1/33", "wrong"),
            ("127.0.0.1/", "wrong"),
            ("127.0.0.1/-1", "wrong"),
        ] {
            assert_eq!(shown(word), meaning, "ADDR-5, ADDR-6: {word}");
        }
    }

    #[test]
    fn braces_multiply_the_last_number() {
        for (word, meaning) in [
            ("127.0.0.{1,5}", "127.0.0.1/32 127.0.0.5/32"),
            ("127.0.{0,1}", "127.0.0.0/24 127.0.1.0/24"),
            ("{127}", "127.0.0.0/8"),
            ("127.0.0.{256}", "wrong"),
            ("127.0.0.1{1}", "wrong"),
            ("127.0.0.{}", "wrong"),
            ("127.0.0.{1", "wrong"),
            ("127.0.0.1}", "wrong"),
            ("1.2.3.4.{5}", "wrong"),
            ("1.{2}.3", "wrong"),
            ("127.0.0.{x}", "wrong"),
            ("1.2.3.4,5", "wrong"),
        ] {
            assert_eq!(shown(word), meaning, "ADDR-7, ADDR-8, ADDR-18: {word}");
        }
    }

    #[test]
    fn ipv6_is_exact_unless_it_has_a_prefix() {
        for (word, meaning) in [
            ("::1", "::1/128"),
            ("::", "::/128"),
            ("::/0", "::/0"),
            ("fe80::1/10", "fe80::/10"),
            ("::1/128", "::1/128"),
            ("::1/129", "wrong"),
            ("::g", "name"),
        ] {
            assert_eq!(shown(word), meaning, "ADDR-9, ADDR-10: {word}");
        }
    }

    #[test]
    fn names_are_told_from_mistakes() {
        for word in ["ALL", "127.0.0.*", "mail.example.org", ".example.org", "#"] {
            assert_eq!(shown(word), "name", "ADDR-17: {word}");
        }
    }
}

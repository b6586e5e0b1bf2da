//! Calls and replies of ONC RPC over a stream (RFC 5531), as far as rpcbind(8) needs them (RFC 1833).

use std::io::{self, Read};

use crate::ipc::Errand;

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;
const AUTH_NONE: [u32; 2] = [0, 0];
const RPCBPROG: u32 = 100_000;
/// Of the protocol of rpcbind, the oldest that knows transports: in the one before (portmap)
/// an UNSET takes the tcp and the udp half of a program away (RPC-4).
const RPCBVERS: u32 = 3;

/// The bit of a record mark that says: this fragment is the last.
const LAST_FRAGMENT: u32 = 0x8000_0000;
/// More than any reply that we ask for has, in bytes: 28, and a verifier of at most 400.
const LONGEST_REPLY: usize = 512;

/// A procedure of rpcbind, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Procedure {
    Set = 1,
    Unset = 2,
}

/// A call as it goes over the wire, its record mark in front.
pub(super) fn call(number: u32, procedure: Procedure, errand: &Errand, version: u32) -> Vec<u8> {
    let header = [number, CALL, RPC_VERSION, RPCBPROG, RPCBVERS, procedure as u32];
    let words = header.into_iter().chain(AUTH_NONE).chain(AUTH_NONE);
    let words = words.chain([errand.program, version]);
    let mut body: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
    // The owner comes last, and rpcbind does not take our word for it.
    for text in [&*errand.netid, &*errand.address, ""] {
        put_string(&mut body, text);
    }
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut call = (LAST_FRAGMENT | length).to_be_bytes().to_vec();
    call.append(&mut body);
    call
}

/// XDR's string: the length, the bytes, and zeros up to a multiple of four (RFC 4506, 4.11).
fn put_string(into: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    into.extend(length.to_be_bytes());
    into.extend(text.as_bytes());
    into.resize(into.len().next_multiple_of(4), 0);
}

/// Reads one record, of one fragment or more (RFC 5531, 11).
///
/// # Errors
/// As read(2); `UnexpectedEof` at the end, `InvalidData` for a record that is too long.
pub(super) fn read_record(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut record = Vec::new();
    loop {
        let mut mark = [0; 4];
        from.read_exact(&mut mark)?;
        let mark = u32::from_be_bytes(mark);
        let length = (mark & !LAST_FRAGMENT) as usize;
        if length == 0 && mark == 0 || record.len() + length > LONGEST_REPLY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let begin = record.len();
        record.resize(begin + length, 0);
        from.read_exact(record.get_mut(begin..).unwrap_or_default())?;
        if mark & LAST_FRAGMENT != 0 {
            return Ok(record);
        }
    }
}

/// The answer that `reply` gives to the call `number`; `None` when it is no such answer.
#[must_use]
pub(super) fn granted(reply: &[u8], number: u32) -> Option<bool> {
    const ACCEPTED: u32 = 0;
    const SUCCESS: u32 = 0;
    let mut rest = reply;
    let mut word = || {
        let (word, after) = rest.split_first_chunk()?;
        rest = after;
        Some(u32::from_be_bytes(*word))
    };
    let head = [word()?, word()?, word()?];
    let (_verifier, length) = (word()?, word()?);
    if head != [number, REPLY, ACCEPTED] {
        return None;
    }
    for _ in 0..length.div_ceil(4) {
        word()?;
    }
    match (word()?, word()?) {
        (SUCCESS, answer @ 0..=1) if rest.is_empty() => Some(answer == 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::Deed;
    use proptest::prelude::*;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_call_is_what_rfc_1833_says() {
        let (netid, address) = ("udp".to_owned(), "0.0.0.0.8.1".to_owned());
        let errand = Errand { deed: Deed::Set, program: 100_001, versions: 3..=3, netid, address };
        let call = call(7, Procedure::Set, &errand, 3);
        let (mark, body) = call.split_first_chunk().unwrap();
        assert_eq!((*mark, body.len()), ([0x80, 0, 0, 76], 76));
        let (words, strings) = body.split_at(48);
        assert_eq!(words, bytes(&[7, 0, 2, 100_000, 3, 1, 0, 0, 0, 0, 100_001, 3]));
        assert_eq!(strings, b"\0\0\0\x03udp\0\0\0\0\x0b0.0.0.0.8.1\0\0\0\0\0");
    }

    #[test]
    fn an_answer_counts_when_it_is_to_the_call() {
        for (words, answer) in [
            (&[7, 1, 0, 0, 0, 0, 1][..], Some(true)),
            (&[7, 1, 0, 0, 0, 0, 0], Some(false)),
            (&[7, 1, 0, 9, 5, 1, 2, 0, 1], Some(true)), // a verifier of five bytes
            (&[7, 1, 0, 0, 0, 0, 2], None),             // no XDR boolean
            (&[8, 1, 0, 0, 0, 0, 1], None),             // to another call
            (&[7, 0, 0, 0, 0, 0, 1], None),             // a call
            (&[7, 1, 1, 0, 0, 0, 1], None),             // denied
            (&[7, 1, 0, 0, 0, 2, 2, 4], None),          // no such version of the protocol
            (&[7, 1, 0, 0, 0, 0, 1, 0], None),          // too long
            (&[7, 1, 0, 0, 0, 0], None),
            (&[7, 1, 0, 0, u32::MAX, 0, 1], None),
        ] {
            assert_eq!(granted(&bytes(words), 7), answer, "{words:?}");
        }
    }

    #[test]
    fn a_record_may_come_in_fragments_and_has_an_end() {
        let whole = [&[0, 0, 0, 1, b'a'][..], &[0x80, 0, 0, 2, b'b', b'c', b'd']].concat();
        assert_eq!(read_record(&mut &*whole).unwrap(), b"abc");
        for endless in [&[0, 0, 0, 0][..], &[0x80, 0, 2, 1], &[0xff, 0xff, 0xff, 0xff]] {
            let endless = [endless, &[0; 600]].concat();
            assert!(read_record(&mut &*endless).is_err(), "{endless:?}");
        }
        assert!(read_record(&mut &[0x80, 0, 0, 2, 1][..]).is_err(), "the end of the stream");
    }

    proptest! {
        #[test]
        fn no_bytes_from_rpcbind_make_a_reader_panic(noise: Vec<u8>) {
            let _ = granted(&noise, 1);
            read_record(&mut &*noise).ok();
        }
    }
}

//! Texts longer than a packet, part by part.

use crate::ipc::Violation;
use crate::ipc::wire::{Reader, Writer};

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    bytes: [u8; Self::MOST],
    length: u8,
    pub is_last: bool,
}

impl Part {
    /// Bytes in a part, at most.
    pub const MOST: usize = 48;
    /// Bytes in all parts of a text, at most (HARD-3).
    pub const LONGEST_TEXT: usize = 1024;

    /// All parts of `text`; an empty text is one empty part.
    pub fn all(text: &[u8]) -> impl Iterator<Item = Self> {
        let last = text.len().saturating_sub(1) / Self::MOST;
        (0..=last).map(move |number| {
            let from = text.get(number * Self::MOST..).unwrap_or_default();
            let length = from.len().min(Self::MOST);
            let mut bytes = [0; Self::MOST];
            for (place, byte) in bytes.iter_mut().zip(from) {
                *place = *byte;
            }
            let length = u8::try_from(length).unwrap_or_default();
            Self { bytes, length, is_last: number == last }
        })
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub(super) fn encode(&self, w: Writer) -> Writer {
        w.flag(self.is_last).u8(self.length).bytes(&self.bytes)
    }

    /// Nothing but what [`Self::encode`] makes: behind the text there are zeros.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, Violation> {
        let is_last = r.flag()?;
        let (length, bytes) = (r.u8()?, r.array()?);
        let part = Self { bytes, length, is_last };
        let rest = bytes.get(usize::from(length)..).ok_or(Violation::Malformed)?;
        if rest.iter().all(|byte| *byte == 0) { Ok(part) } else { Err(Violation::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{Message as _, ToMonitor};
    use crate::plan::ServiceIndex;

    #[test]
    fn a_text_comes_in_parts_and_is_whole_again() {
        for length in [0, 1, Part::MOST, Part::MOST + 1, 1000] {
            let text: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let parts: Vec<_> = Part::all(&text).collect();
            let lasts: Vec<_> = parts.iter().map(|part| part.is_last).collect();
            assert!(lasts.iter().rev().skip(1).all(|last| !last) && lasts.ends_with(&[true]));
            assert_eq!(
                parts.iter().flat_map(|part| part.bytes().to_vec()).collect::<Vec<_>>(),
                text
            );
            for part in parts {
                let message = ToMonitor::UserId { service: ServiceIndex(7), part };
                assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
            }
        }
    }
}

//! The pattern of `chargen` (RFC 864, INTL-5): lines of 72 characters, each of which begins one
//! character later than the one before.

/// Characters of a line, without CR LF.
const WIDTH: usize = 72;

/// `!` to `}`: the original leaves out the last printable character.
const FIRST: u8 = b'!';
const CHARACTERS: usize = 93;

/// Lines after which the pattern begins anew: two more than there are characters, as the
/// original has it.
const PERIOD: usize = 95;

/// Line `number` of the pattern, cut to `width` characters, and CR LF.
fn line(number: usize, width: usize) -> impl Iterator<Item = u8> {
    let start = number % PERIOD;
    let character = |at: usize| FIRST + u8::try_from(at % CHARACTERS).unwrap_or_default();
    (start..start + width).map(character).chain(*b"\r\n")
}

/// Characters of the last line of a datagram, which makes it 1024 bytes long (INTL-6).
const LAST_WIDTH: usize = 60;
const LINES_OF_A_DATAGRAM: usize = 14;

/// The next piece of the pattern for a datagram; `next_line` is where it goes on.
pub(super) fn datagram(next_line: &mut usize) -> Vec<u8> {
    let first = *next_line;
    let last = first + LINES_OF_A_DATAGRAM - 1;
    *next_line = (last + 1) % PERIOD;
    (first..last).flat_map(|number| line(number, WIDTH)).chain(line(last, LAST_WIDTH)).collect()
}

/// The whole pattern, once.
pub(super) fn pattern() -> Vec<u8> {
    (0..PERIOD).flat_map(|number| line(number, WIDTH)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_that_of_the_original() {
        let text = String::from_utf8(pattern()).unwrap();
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert!(lines.iter().all(|line| line.len() == 72));
        assert!(lines[0].starts_with("!\"#") && lines[0].ends_with("fgh"));
        assert!(lines[92].starts_with("}!\""));
        assert_eq!((lines[93], lines[94]), (lines[0], lines[1]), "before it begins anew");
        assert_eq!(lines.len(), 95);
    }

    #[test]
    fn a_datagram_goes_on_where_the_last_one_ended() {
        let mut next_line = 0;
        let [first, second] = [(); 2].map(|()| datagram(&mut next_line));
        assert_eq!((first.len(), second.len()), (1024, 1024));
        assert!(first.starts_with(b"!\"#") && first.ends_with(b"ghi\r\n"));
        assert!(second.starts_with(b"/01") && next_line == 28);
    }
}

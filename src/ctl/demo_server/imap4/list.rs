//! The one mailbox, and the patterns that find it (RFC 3501 section 6.3.8).

/// The name INBOX is written in any case (section 5.1).
pub(super) fn is_inbox(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"INBOX")
}

/// LIST with an empty pattern asks for the hierarchy delimiter (section 6.3.8).
pub(super) fn list(reply: &str, pattern: &[u8]) -> Vec<u8> {
    if pattern.is_empty() {
        format!("* {reply} (\\Noselect) \"/\" \"\"\r\n").into()
    } else if is_match(pattern, b"INBOX") {
        format!("* {reply} () \"/\" INBOX\r\n").into()
    } else {
        Vec::new()
    }
}

/// `*` and `%` stand for anything; they differ only at a delimiter, and INBOX has none.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let mut pieces = pattern.split(|byte| b"*%".contains(byte));
    let first = pieces.next().unwrap_or_default();
    let Some((start, mut rest)) = name.split_at_checked(first.len()) else { return false };
    if !start.eq_ignore_ascii_case(first) {
        return false;
    }
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let mut windows = rest.windows(piece.len());
        let Some(at) = windows.position(|part| part.eq_ignore_ascii_case(piece)) else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.len()
        .checked_sub(last.len())
        .and_then(|at| rest.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(last))
}

//! As much of MIME (RFC 2045, 2046) as IMAP's BODYSTRUCTURE and ENVELOPE ask for.

use super::mailbox;

/// How deep multiparts may be nested. The samples need one level.
const DEEPEST: usize = 4;

/// A message or one of its parts.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// With the empty line that ends it.
    pub(super) header: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) content: Content<'a>,
}

/// What the body of a part is.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Leaf,
    Multipart(Vec<Part<'a>>),
}

/// A Content-Type field: `text/plain; charset=utf-8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentType {
    pub(super) kind: String,
    pub(super) subtype: String,
    pub(super) parameters: Vec<(String, String)>,
}

impl<'a> Part<'a> {
    /// Takes a message, or the part of a multipart, to pieces.
    pub(super) fn parse(octets: &'a [u8]) -> Self {
        Self::parse_at(octets, 0)
    }

    fn parse_at(octets: &'a [u8], depth: usize) -> Self {
        let length = mailbox::header_length(octets);
        let (header, body) = octets.split_at_checked(length).unwrap_or_default();
        let kind = ContentType::of(header);
        let content = match kind.boundary() {
            Some(boundary) if depth < DEEPEST => Content::Multipart(
                pieces(body, boundary).into_iter().map(|p| Self::parse_at(p, depth + 1)).collect(),
            ),
            _ => Content::Leaf,
        };
        Self { header, body, content }
    }

    /// The part with this address; `[]` is the message itself. Part 1 of a message
    /// that is not multipart is its text (RFC 3501 section 6.4.5).
    pub(super) fn at(&self, address: &[usize]) -> Option<&Self> {
        let Some((first, rest)) = address.split_first() else { return Some(self) };
        match &self.content {
            Content::Multipart(parts) => parts.get(first.checked_sub(1)?)?.at(rest),
            Content::Leaf => (*first == 1 && rest.is_empty()).then_some(self),
        }
    }
}

impl ContentType {
    /// The content type that a header declares, or text/plain (RFC 2045 section 5.2).
    pub(super) fn of(header: &[u8]) -> Self {
        let plain = || Self {
            kind: "text".into(),
            subtype: "plain".into(),
            parameters: vec![("charset".into(), "us-ascii".into())],
        };
        let Some(value) = field(header, "content-type") else { return plain() };
        let mut pieces = value.split(';').map(str::trim);
        let Some((kind, subtype)) = pieces.next().and_then(|name| name.split_once('/')) else {
            return plain();
        };
        let parameters = pieces
            .filter_map(|piece| piece.split_once('='))
            .map(|(name, value)| (name.trim().into(), value.trim().trim_matches('"').into()))
            .collect();
        Self { kind: kind.trim().into(), subtype: subtype.trim().into(), parameters }
    }

    fn boundary(&self) -> Option<&str> {
        let of_multipart = self.kind.eq_ignore_ascii_case("multipart");
        self.parameters
            .iter()
            .find(|(name, _)| of_multipart && name.eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.as_str())
    }
}

/// What lies between the boundaries of a multipart, preamble and epilogue left out.
fn pieces<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut pieces = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let after = at + line.len();
        if let Some(rest) = line.strip_prefix(delimiter.as_slice()) {
            if let Some(start) = start {
                // The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1).
                let piece = body.get(start..at).unwrap_or_default();
                pieces.push(piece.strip_suffix(b"\r\n").unwrap_or(piece));
            }
            start = (!rest.starts_with(b"--")).then_some(after);
        }
        at = after;
    }
    pieces
}

/// The fields of a header: each field as it stands, with its folded lines.
pub(super) fn fields(header: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in header.split_inclusive(|&byte| byte == b'\n') {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        if !folded && at > start {
            fields.push(header.get(start..at).unwrap_or_default());
            start = at;
        }
        at += line.len();
    }
    let last = header.get(start..).unwrap_or_default();
    if !last.trim_ascii().is_empty() {
        fields.push(last);
    }
    fields
}

/// The name of a field as it stands.
pub(super) fn field_name(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == b':').next().unwrap_or_default().trim_ascii()
}

/// The unfolded value of the first field with this name, in any case.
pub(super) fn field(header: &[u8], name: &str) -> Option<String> {
    let found = fields(header)
        .into_iter()
        .find(|field| field_name(field).eq_ignore_ascii_case(name.as_bytes()))?;
    let colon = found.iter().position(|&byte| byte == b':')?;
    let value = found.get(colon + 1..)?;
    let unfolded: Vec<u8> =
        value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    Some(String::from_utf8_lossy(&unfolded).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ctl::demo_server::mailbox;

    #[test]
    fn the_postcard_has_two_parts() {
        let messages = mailbox::messages();
        let whole = Part::parse(messages[1].octets());
        let Content::Multipart(parts) = &whole.content else { panic!("not a multipart") };
        assert_eq!(parts.len(), 2);
        assert!(parts[0].body.starts_with(b"Liebe Leserin"));
        assert!(parts[1].body.ends_with(b"Zo=C3=AB</p>\r\n"));
        assert_eq!(ContentType::of(parts[1].header).subtype, "html");
        assert!(whole.at(&[2]).is_some() && whole.at(&[3]).is_none() && whole.at(&[0]).is_none());
    }

    #[test]
    fn part_one_of_a_plain_message_is_its_text() {
        let messages = mailbox::messages();
        let whole = Part::parse(messages[0].octets());
        assert_eq!(whole.at(&[1]).unwrap().body, messages[0].text());
        assert!(whole.at(&[2]).is_none() && whole.at(&[1, 1]).is_none());
    }

    #[test]
    fn folded_fields_are_one_value() {
        let header = b"A: one\r\n two\r\nB: three\r\n\r\n";
        assert_eq!(field(header, "a").as_deref(), Some("one two"));
        assert_eq!(field(header, "b").as_deref(), Some("three"));
        assert_eq!(fields(header).len(), 2);
    }

    proptest! {
        #[test]
        fn any_octets_can_be_taken_to_pieces(
            octets in prop::collection::vec(any::<u8>(), 0..200),
            body in "(--x(--)?\r\n|Content-Type: multipart/mixed; boundary=x\r\n|\r\n|a){0,12}",
        ) {
            Part::parse(&octets);
            Part::parse(format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{body}").as_bytes());
        }
    }
}

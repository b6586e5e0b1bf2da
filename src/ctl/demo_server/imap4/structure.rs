//! ENVELOPE and BODYSTRUCTURE (RFC 3501 section 7.4.2).

use crate::ctl::demo_server::mime::{self, Content, ContentType, Part};

/// BODY leaves out the extension data that BODYSTRUCTURE gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Basic,
    Extended,
}

/// Date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id.
pub(super) fn envelope(header: &[u8]) -> String {
    let text = |name| nstring(mime::field(header, name).as_deref());
    let people = |name| mime::field(header, name).map(|value| addresses(&value));
    let nil = || "NIL".to_owned();
    let from = people("from").unwrap_or_else(nil);
    let fields = [
        text("date"),
        text("subject"),
        from.clone(),
        // "the server sets the corresponding member of the envelope from the From field".
        people("sender").unwrap_or_else(|| from.clone()),
        people("reply-to").unwrap_or(from),
        people("to").unwrap_or_else(nil),
        people("cc").unwrap_or_else(nil),
        people("bcc").unwrap_or_else(nil),
        text("in-reply-to"),
        text("message-id"),
    ];
    format!("({})", fields.join(" "))
}

/// A list of address structures: name, source route, mailbox, host.
fn addresses(value: &str) -> String {
    let each = split_outside_quotes(value).into_iter().map(|one| {
        let (name, address) = match one.split_once('<') {
            Some((name, rest)) => (name.trim().trim_matches('"'), rest.trim_end_matches('>')),
            None => ("", one),
        };
        let (mailbox, host) = address.trim().split_once('@').unwrap_or((address.trim(), ""));
        let name = nstring(Some(name).filter(|name| !name.is_empty()));
        format!("({name} NIL {} {})", nstring(Some(mailbox)), nstring(Some(host)))
    });
    format!("({})", each.collect::<String>())
}

/// The addresses of a field: a comma within quotes belongs to a name.
fn split_outside_quotes(value: &str) -> Vec<&str> {
    let mut quoted = false;
    let pieces = value.split(|character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

/// The structure of a message or of a part.
pub(super) fn body(part: &Part<'_>, detail: Detail) -> String {
    let kind = ContentType::of(part.header);
    match &part.content {
        Content::Leaf => leaf(part, &kind, detail),
        Content::Multipart(parts) => {
            let parts: String = parts.iter().map(|part| body(part, detail)).collect();
            let extension = match detail {
                Detail::Basic => String::new(),
                // Parameters, disposition, language, location.
                Detail::Extended => format!(" {} NIL NIL NIL", parameters(&kind)),
            };
            format!("({parts} {}{extension})", string(&kind.subtype.to_ascii_uppercase()))
        }
    }
}

/// Type, subtype, parameters, id, description, encoding, size; for text the lines too.
fn leaf(part: &Part<'_>, kind: &ContentType, detail: Detail) -> String {
    let encoding = mime::field(part.header, "content-transfer-encoding");
    let encoding = encoding.map_or_else(|| "7BIT".to_owned(), |name| name.to_ascii_uppercase());
    let lines = if kind.kind.eq_ignore_ascii_case("text") {
        format!(" {}", part.body.split_inclusive(|&byte| byte == b'\n').count())
    } else {
        String::new()
    };
    let extension = match detail {
        Detail::Basic => "",
        // MD5, disposition, language, location.
        Detail::Extended => " NIL NIL NIL NIL",
    };
    format!(
        "({} {} {} {} {} {} {}{lines}{extension})",
        string(&kind.kind.to_ascii_uppercase()),
        string(&kind.subtype.to_ascii_uppercase()),
        parameters(kind),
        nstring(mime::field(part.header, "content-id").as_deref()),
        nstring(mime::field(part.header, "content-description").as_deref()),
        string(&encoding),
        part.body.len(),
    )
}

fn parameters(kind: &ContentType) -> String {
    if kind.parameters.is_empty() {
        return "NIL".into();
    }
    let each = kind.parameters.iter();
    let pairs = each.map(|(n, v)| format!("{} {}", string(&n.to_ascii_uppercase()), string(v)));
    format!("({})", pairs.collect::<Vec<_>>().join(" "))
}

fn nstring(text: Option<&str>) -> String {
    text.map_or_else(|| "NIL".into(), string)
}

/// A quoted string. What may not stand in one (the samples have nothing of the kind)
/// becomes a question mark.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::demo_server::mailbox;

    #[test]
    fn the_envelope_of_the_errand() {
        let messages = mailbox::messages();
        assert_eq!(
            envelope(messages[2].header()),
            "(\"Wed, 07 Jan 2026 18:45:00 -0500\" \"Re: Welcome, the kettle is on\" \
             ((\"Brook, Tom\" NIL \"tom\" \"example.org\")) \
             ((\"Brook, Tom\" NIL \"tom\" \"example.org\")) \
             ((NIL NIL \"post\" \"example.org\")) \
             ((\"Demo Reader\" NIL \"demo\" \"localhost\")) NIL NIL \
             \"<welcome.1@example.org>\" \"<errand.3@example.org>\")"
        );
    }

    #[test]
    fn a_comma_in_a_quoted_name_does_not_end_an_address() {
        assert_eq!(
            addresses("Ada Brook <ada@example.org>, \"Brook, Tom\" <tom@example.org>"),
            "((\"Ada Brook\" NIL \"ada\" \"example.org\")(\"Brook, Tom\" NIL \"tom\" \"example.org\"))"
        );
    }

    #[test]
    fn a_multipart_lists_its_parts() {
        let messages = mailbox::messages();
        let part = Part::parse(messages[1].octets());
        let Content::Multipart(parts) = &part.content else { panic!("not a multipart") };
        let (plain, html) = (parts[0].body.len(), parts[1].body.len());
        assert_eq!(
            body(&part, Detail::Basic),
            format!(
                "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"QUOTED-PRINTABLE\" {plain} 8)\
                 (\"TEXT\" \"HTML\" (\"CHARSET\" \"utf-8\") NIL NIL \"QUOTED-PRINTABLE\" {html} 4) \
                 \"ALTERNATIVE\")"
            )
        );
        assert!(
            body(&part, Detail::Extended)
                .ends_with(" \"ALTERNATIVE\" (\"BOUNDARY\" \"a-slice-of-cake\") NIL NIL NIL)")
        );
    }
}

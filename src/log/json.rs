//! One JSON object a line (RFC 8259), put together field by field.

use std::fmt::Write as _;

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push('"');
        for c in value.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                c if c.is_control() => {
                    let _infallible = write!(self.0, "\\u{:04x}", u32::from(c));
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        let _infallible = write!(self.0, "{value}");
    }

    /// The line, with its end.
    pub(super) fn line(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }

    /// The names are ours and need no escapes.
    fn name(&mut self, name: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _infallible = write!(self.0, "{comma}\"{name}\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_one_line_whatever_is_in_it() {
        let mut object = Object::new();
        object.text("who", "a\"b\\c\nd\u{7f}\u{85}\0 \u{1f600}");
        object.number("pid", u64::MAX);
        let wanted = r#"{"who":"a\"b\\c\u000ad\u007f\u0085\u0000 😀","pid":18446744073709551615}"#;
        assert_eq!(object.line(), format!("{wanted}\n"));
        assert_eq!(Object::new().line(), "{}\n");
    }
}

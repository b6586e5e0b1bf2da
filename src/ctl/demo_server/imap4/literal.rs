//! Literals: strings that are announced at the end of a line (RFC 3501 section 4.3).

/// `{n}` or `{n+}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) length: usize,
    pub(super) form: Form,
}

/// Who speaks next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `{n}`: the client waits for our "+".
    Synchronising,
    /// `{n+}` (RFC 7888): it does not.
    Immediate,
}

impl Literal {
    /// The literal that the end of a line announces.
    pub(super) fn announced(line: &[u8]) -> Option<Self> {
        let inner = line.strip_suffix(b"}")?;
        let open = inner.iter().rposition(|&byte| byte == b'{')?;
        let digits = inner.get(open + 1..)?;
        let (digits, form) = match digits.strip_suffix(b"+") {
            Some(digits) => (digits, Form::Immediate),
            None => (digits, Form::Synchronising),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // A number that does not fit is a literal that does not fit either.
        let length = str::from_utf8(digits).ok()?.parse().unwrap_or(usize::MAX);
        Some(Self { length, form })
    }

    pub(super) fn prompt(self) -> &'static str {
        match self.form {
            Form::Synchronising => "+ go ahead\r\n",
            Form::Immediate => "",
        }
    }
}

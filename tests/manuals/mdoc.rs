//! Text with `code` and names such as services(5) in it, as mdoc(7).

/// A text that is one or more sentences, each on a line of its own.
pub(crate) fn sentences(text: &str) -> String {
    let mut lines = String::new();
    let mut rest = text;
    while let Some(end) = sentence_end(rest) {
        let (sentence, after) = rest.split_at(end);
        lines += &line(sentence);
        rest = after.trim_start();
    }
    lines + &line(rest)
}

/// Behind the first full stop that ends a sentence and does not end the text.
fn sentence_end(text: &str) -> Option<usize> {
    let begins = |c: char| c.is_uppercase() || c.is_ascii_digit() || c == '`';
    let mut in_code = false;
    text.char_indices().find_map(|(at, c)| {
        in_code ^= c == '`';
        let mut after = text[at..].chars().skip(1);
        let ends = c == '.' && after.next() == Some(' ') && after.next().is_some_and(begins);
        (ends && !in_code).then_some(at + 1)
    })
}

/// One line of text; a reference to a page becomes a line of its own.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            out += &code(part);
            continue;
        }
        for (position, word) in part.split(' ').enumerate() {
            if position > 0 && !out.is_empty() && !out.ends_with('\n') {
                out.push(' ');
            }
            match reference(word) {
                // what is glued to it cannot be on another line
                Some(reference) if position > 0 || out.is_empty() => {
                    out.truncate(out.trim_end_matches(' ').len());
                    if !out.is_empty() && !out.ends_with('\n') {
                        out.push('\n');
                    }
                    out += &reference;
                }
                _ => out += &word.replace('\\', "\\e"),
            }
        }
    }
    let out = out.trim_end();
    let guard = if out.starts_with(['.', '\'']) && reference(text).is_none() { "\\&" } else { "" };
    if out.starts_with(".Xr ") { format!("{out}\n") } else { format!("{guard}{out}\n") }
}

/// `services(5),` as a line of mdoc.
fn reference(word: &str) -> Option<String> {
    let (name, rest) = word.split_once('(')?;
    let (section, after) = rest.split_once(')')?;
    let is_section = matches!(section.as_bytes(), [b'1'..=b'8']);
    let is_name = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let is_end = after.chars().all(|c| ".,;:)".contains(c));
    let ends: String = after.chars().map(|c| format!(" {c}")).collect();
    (is_section && is_name && is_end).then(|| format!(".Xr {name} {section}{ends}\n"))
}

/// Bold, and no word of it divided.
pub(crate) fn code(text: &str) -> String {
    let words: Vec<_> = text.split(' ').map(|word| format!("\\%{}", literal(word))).collect();
    format!("\\fB{}\\fP", words.join(" "))
}

/// What must be on the page as it is, for example to be copied into a file.
pub(crate) fn literal(text: &str) -> String {
    let escape = |c: char| match c {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        '\'' => "\\(aq".to_owned(),
        '`' => "\\(ga".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        '"' => "\\(dq".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A line of a literal block.
pub(crate) fn literal_line(text: &str) -> String {
    let guard = if text.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{guard}{}\n", literal(text))
}

#[test]
fn code_is_bold_and_references_stand_alone() {
    let text = "A `-f` path, see inet_aton(3). It is (cf. hosts(5)) `a.b`. Zeros";
    let wanted = "A \\fB\\%\\-f\\fP path, see\n.Xr inet_aton 3 .\nIt is (cf.\n.Xr hosts 5 )\n\
                  \\fB\\%a.b\\fP.\nZeros\n";
    assert_eq!(sentences(text), wanted);
    assert_eq!(line("rpcbind(8) and (RFC 1413)"), ".Xr rpcbind 8\nand (RFC 1413)\n");
    assert_eq!(line(".domain"), "\\&.domain\n");
    assert_eq!(literal_line(".x 'y'"), "\\&.x \\(aqy\\(aq\n");
}

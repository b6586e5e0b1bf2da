//! A page out of its source in `docs/man`: mdoc(7) with backticks for code, and lines
//! `@WHAT@` where something is put in that the program knows itself.

use crate::mdoc;
use crate::tables;

/// The page of a source; `name` is its file name, such as `xinetd.8`.
pub(crate) fn page(name: &str, source: &str) -> String {
    let mut out = format!(".\\\" From docs/man/{name}.in, by: BLESS=1 cargo test --test manuals\n");
    let mut in_block = false;
    for line in source.lines() {
        if line.starts_with(".Bd -literal") {
            in_block = true;
        } else if line == ".Ed" {
            in_block = false;
        }
        out += &match line.strip_prefix('@').and_then(|line| line.strip_suffix('@')) {
            Some(what) => tables::table(what),
            None if line.starts_with(".\\\"") => continue,
            None if line.starts_with(".Os") => format!("{line} {}\n", env!("CARGO_PKG_VERSION")),
            None if line.starts_with('.') => with_code(line),
            None if in_block => mdoc::literal_line(line),
            None => mdoc::line(line),
        };
    }
    out
}

/// A line that begins with a macro.
fn with_code(line: &str) -> String {
    let part = |(number, part): (usize, &str)| match number % 2 {
        0 => part.to_owned(),
        _ => mdoc::code(part),
    };
    line.split('`').enumerate().map(part).collect::<String>() + "\n"
}

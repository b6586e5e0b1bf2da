//! How many notes are held while files are read: a file of mistakes must not fill the memory.

use crate::diag::Diagnostic;

/// How many notes are held at once; nobody reads as many (see [`limited`](super::limited)).
pub(super) const MOST_HELD: usize = 200_000;

/// Lets go of the last notes where there are too many. What is an error stays one: the last
/// place is kept for it, because an error decides what becomes of an entry.
pub(super) fn bound(notes: &mut Vec<Diagnostic>) {
    let mut over = notes.split_off(notes.len().min(MOST_HELD));
    let error = over.drain(..).find(Diagnostic::is_error);
    if let (Some(last), Some(error)) = (notes.last_mut(), error) {
        *last = error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    #[test]
    fn of_too_many_notes_an_error_is_kept() {
        let warning = Diagnostic::warning("w", Span::default(), "");
        let mut notes = vec![warning; MOST_HELD + 2];
        bound(&mut notes);
        assert!(notes.len() == MOST_HELD && !notes.iter().any(Diagnostic::is_error));
        notes.push(Diagnostic::error("e", Span::default(), ""));
        bound(&mut notes);
        assert!(notes.len() == MOST_HELD && notes.last().is_some_and(Diagnostic::is_error));
    }
}

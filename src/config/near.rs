//! "Did you mean": the word that a misspelt one was meant to be.

/// The candidate that differs least from `word`, if it differs by little enough.
///
/// Capitals do not count. Costs the product of the lengths for every candidate.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let allowed = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// [`nearest`] as the help of a diagnostic.
pub(super) fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// Letters to insert, remove, replace or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (row, from) in a.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, to) in b.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let mut cost = (at(&above, column) + usize::from(from != *to))
                .min(at(&above, column + 1) + 1)
                .min(at(&line, column) + 1);
            let swapped = column > 0 && last == Some(*to) && b.get(column - 1) == Some(&from);
            if swapped {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            line.push(cost);
        }
        before = std::mem::replace(&mut above, line);
        last = Some(from);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_slip_is_recognised() {
        let words = ["only_from", "no_access", "port", "wait", "NODELAY"];
        for (word, meant) in [
            ("only_form", Some("only_from")),
            ("onlyfrom", Some("only_from")),
            ("prot", Some("port")),
            ("nodeley", Some("NODELAY")),
            ("frobnicate", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, words), meant, "{word}");
        }
    }

    #[test]
    fn distances_are_those_of_the_book() {
        for (a, b, wanted) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("form", "from", 1), ("a", "a", 0)]
        {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }
}

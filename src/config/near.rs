//! "Did you mean": the word that a misspelt one was meant to be.

/// No longer word gets a hint: it is no slip of the finger.
const LONGEST: usize = 64;

/// The candidate that differs least from `word`, if it differs by little enough; of
/// equals one that begins like it.
///
/// Capitals do not count. The words are compared letter by letter only where their
/// lengths and the letters in them leave a chance.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = Letters::of(word);
    let allowed = match word.letters.len() {
        0..=4 => 1,
        5..=7 => 2,
        _ => 3,
    };
    let rank = |candidate: &'c str| {
        if candidate.len().abs_diff(word.bytes) > 4 * allowed {
            return None;
        }
        let other = Letters::of(candidate);
        let distance = word.distance(&other, allowed)?;
        let alike = word.letters.first() == other.letters.first();
        (distance < other.letters.len()).then_some((distance, !alike, candidate))
    };
    let ranked = candidates.into_iter().filter_map(rank);
    ranked.min_by_key(|(distance, unlike, _)| (*distance, *unlike)).map(|(.., best)| best)
}

/// [`nearest`] as the help of a diagnostic.
pub(super) fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// That there is no service of this name or id, and which one may be meant.
pub fn no_service<'c>(word: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let hint = did_you_mean(word, known).map_or_else(String::new, |hint| format!("; {hint}"));
    format!("there is no service {word}{hint}")
}

/// How many pairs of words are compared to find out which ones were meant.
const MOST_COMPARISONS: usize = 100_000;

/// [`did_you_mean`] for many words and many candidates, as long as that takes no time.
pub(super) struct Hints<'c> {
    /// In order, so that of equals it is always the same one.
    candidates: Vec<&'c str>,
    compared: usize,
}

impl<'c> Hints<'c> {
    pub(super) fn new(candidates: impl IntoIterator<Item = &'c String>) -> Self {
        let mut candidates: Vec<_> = candidates.into_iter().map(String::as_str).collect();
        candidates.sort_unstable();
        Self { candidates, compared: 0 }
    }

    /// What `word` was meant to be, unless too many have asked before.
    pub(super) fn for_word(&mut self, word: &str) -> Option<String> {
        if self.compared >= MOST_COMPARISONS {
            return None;
        }
        self.compared += self.candidates.len();
        did_you_mean(word, self.candidates.iter().copied())
    }
}

/// A word as it is compared.
struct Letters {
    /// In small letters.
    letters: Vec<char>,
    /// Its length as it is written.
    bytes: usize,
    /// A bit for each letter that occurs.
    present: u32,
}

impl Letters {
    fn of(word: &str) -> Self {
        let letters: Vec<char> = word.chars().map(|letter| letter.to_ascii_lowercase()).collect();
        let present = letters.iter().fold(0, |bits, letter| bits | 1 << (u32::from(*letter) % 32));
        Self { letters, bytes: word.len(), present }
    }

    /// Letters to insert, remove, replace or swap with their neighbour: `None` if more
    /// than `allowed`. One of these changes two kinds of letters at most.
    fn distance(&self, other: &Self, allowed: usize) -> Option<usize> {
        let kinds = usize::try_from((self.present ^ other.present).count_ones()).ok()?;
        let lengths = self.letters.len().abs_diff(other.letters.len());
        if kinds > 2 * allowed || lengths > allowed {
            return None;
        }
        Some(distance(&self.letters, &other.letters)).filter(|distance| *distance <= allowed)
    }
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (row, from) in a.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, to) in b.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let mut cost = (at(&above, column) + usize::from(from != to))
                .min(at(&above, column + 1) + 1)
                .min(at(&line, column) + 1);
            let swapped = column > 0 && last == Some(to) && b.get(column - 1) == Some(from);
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
            ("waits", Some("wait")),
            ("pert", Some("port")),
            ("tore", None),
            ("frobnicate", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, words), meant, "{word}");
        }
    }

    #[test]
    fn of_equals_the_one_that_begins_alike_is_meant() {
        assert_eq!(nearest("pot", ["hot", "port"]), Some("port"));
        assert_eq!(nearest("only_from".repeat(8).as_str(), ["only_from"]), None);
    }

    #[test]
    fn of_very_many_words_only_the_first_get_a_hint() {
        let ids: Vec<String> = (0..MOST_COMPARISONS).map(|n| format!("service-{n}")).collect();
        let mut hints = Hints::new(&ids);
        assert_eq!(hints.for_word("servce-77").as_deref(), Some("did you mean `service-77`?"));
        assert_eq!(hints.for_word("servce-77"), None);
    }

    #[test]
    fn distances_are_those_of_the_book() {
        for (a, b, wanted) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("form", "from", 1), ("a", "a", 0)]
        {
            let (from, to) = (Letters::of(a).letters, Letters::of(b).letters);
            assert_eq!(distance(&from, &to), wanted, "{a} {b}");
        }
    }
}

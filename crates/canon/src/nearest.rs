//! The word somebody meant when they mistyped another.

/// More edits than this are another word, not a typo.
const EDITS_MAX: usize = 3;

/// The known word closest to `typed`, if it is close enough to be a typo.
pub(crate) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let scored = known.into_iter().map(|word| (edits(typed, word), word));
    let (distance, word) = scored.min()?;
    let most = EDITS_MAX.min(word.chars().count() / 2);
    (distance <= most).then_some(word)
}

/// Levenshtein distance, row by row.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (position, letter) in from.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(position + 1);
        for (other, pair) in to.iter().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let left = next.last().copied().unwrap_or(0);
            let replaced = diagonal + usize::from(letter != *other);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_does_not() {
        let known = ["id", "reason", "approval", "limit"];
        assert_eq!(nearest("aproval", known), Some("approval"));
        assert_eq!(nearest("reasn", known), Some("reason"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}

//! "Did you mean": the nearest of the words that would have been right.

/// The word of `known` that is most like `given`, if one is like it at all.
#[must_use]
pub fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if given.chars().count() > 64 {
        return None;
    }
    let given_lower = given.to_lowercase();
    let most = 1 + given.chars().count() / 3;
    known
        .into_iter()
        .filter(|word| word.len().abs_diff(given.len()) <= 2 * most)
        .map(|word| (distance(&given_lower, word), word))
        .filter(|(edits, word)| *edits <= most && *edits < word.chars().count())
        .min()
        .map(|(_, word)| word)
}

/// The hint that goes with an unknown word: the nearest known one, else all of them.
#[must_use]
pub fn hint<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(word) = nearest(given, known.iter().copied()) {
        return Some(format!("did you mean `{word}`?"));
    }
    (!known.is_empty()).then(|| format!("known here: {}", quoted(&known)))
}

/// `a`, `b` and so on, at most twelve of them.
#[must_use]
pub fn quoted(words: &[&str]) -> String {
    let mut list: Vec<String> = words.iter().take(12).map(|word| format!("`{word}`")).collect();
    if words.len() > 12 {
        list.push("…".to_owned());
    }
    list.join(", ")
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to another:
/// the optimal string alignment distance.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for letter in from.chars() {
        let mut row = vec![last.first().map_or(0, |first| first + 1)];
        for (column, other) in to.iter().enumerate() {
            let replaced = at(&last, column) + usize::from(letter != *other);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&row, column) + 1);
            let swapped =
                column > 0 && previous == Some(*other) && to.get(column - 1) == Some(&letter);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(letter);
    }
    at(&last, to.len())
}

fn at(row: &[usize], column: usize) -> usize {
    row.get(column).copied().unwrap_or(usize::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word() {
        let words = ["needs", "if", "foreach", "uses", "with"];
        for (given, expected) in [
            ("need", Some("needs")),
            ("Needs", Some("needs")),
            ("nedes", Some("needs")),
            ("forEach", Some("foreach")),
            ("use", Some("uses")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, words), expected, "{given}");
        }
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

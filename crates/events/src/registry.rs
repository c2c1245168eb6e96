//! The one registry of types. A run is announced in the words that the outside uses for it;
//! everything else is called what the ledger calls it. What others say for the same is in
//! `docs/reference/events.md`.

use cog_ledger::Kind;

/// The source of events of runs.
pub const OF_A_RUN: &str = "/core-engine/workflows";
/// The source of events of the log itself: keys, canons, prunings.
pub const NOT_OF_A_RUN: &str = "/core-engine/ledger";

/// What the type of an event begins with that is called as in the ledger.
const OURS: &str = "cognitionos.";
/// What the type of an event begins with that tells how a run stands.
const RUNS: &str = "workflow.execution.";

/// The type of the event that an entry of this kind is. It never changes, as kinds do not:
/// `session.sealed` is `workflow.execution.completed`, any other `session.x` is
/// `workflow.execution.x`, and any other kind is itself behind `cognitionos.`.
#[must_use]
pub fn type_of(kind: Kind) -> String {
    match kind.as_str().strip_prefix("session.") {
        Some("sealed") => [RUNS, "completed"].concat(),
        Some(state) => [RUNS, state].concat(),
        None => [OURS, kind.as_str()].concat(),
    }
}

/// Whether an entry of this kind tells how its run stands.
pub(crate) fn is_of_a_state(kind: Kind) -> bool {
    kind.as_str().starts_with("session.")
}

/// How a run that ended is told to the outside: `completed` is `succeeded` there, the other
/// words are ours.
#[must_use]
pub fn status(of_seal: &str) -> &str {
    if of_seal == "completed" { "succeeded" } else { of_seal }
}

/// Which types a consumer wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Types(Vec<String>);

impl Types {
    /// The most patterns.
    pub const PATTERNS_MAX: usize = 64;

    /// Every type.
    #[must_use]
    pub const fn all() -> Self {
        Self(Vec::new())
    }

    /// The types that one of the patterns matches: words between dots, `*` for one word and
    /// `#` for any number of them, as in the bindings of a topic exchange. Without patterns,
    /// every type. Patterns beyond [`Types::PATTERNS_MAX`] are let go.
    #[must_use]
    pub fn matching(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(patterns.into_iter().map(Into::into).take(Self::PATTERNS_MAX).collect())
    }

    /// Whether events of this type are wanted.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, kind))
    }
}

/// Both are walked word by word; after a `#`, any place may be where it ended.
fn matches(pattern: &str, text: &str) -> bool {
    let words: Vec<&str> = text.split('.').collect();
    // Which numbers of words are matched by the pattern so far.
    let mut reached = vec![false; words.len() + 1];
    if let Some(begin) = reached.first_mut() {
        *begin = true;
    }
    for part in pattern.split('.') {
        let before = std::mem::replace(&mut reached, vec![false; words.len() + 1]);
        let mut any = false;
        for (count, now) in reached.iter_mut().enumerate() {
            let here = before.get(count) == Some(&true);
            let one_less = count.checked_sub(1);
            let word = one_less.and_then(|place| words.get(place));
            let from_before = one_less.and_then(|place| before.get(place)) == Some(&true);
            any |= here;
            *now = match part {
                "#" => any,
                "*" => from_before,
                other => from_before && word == Some(&other),
            };
        }
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_type_of_its_own() {
        let mut types: Vec<String> = Kind::ALL.iter().map(|kind| type_of(*kind)).collect();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), Kind::ALL.len());
    }

    #[test]
    fn patterns_are_those_of_a_topic_exchange() {
        let check = |pattern: &str, wanted: &[&str], not: &[&str]| {
            let types = Types::matching([pattern]);
            assert!(wanted.iter().all(|one| types.wants(one)), "{pattern} wants {wanted:?}");
            assert!(!not.iter().any(|one| types.wants(one)), "{pattern} does not want {not:?}");
        };
        check("#", &["a", "a.b.c", ""], &[]);
        check("a.#", &["a", "a.b", "a.b.c"], &["b", "ab", "b.a"]);
        check("#.c", &["c", "a.c", "a.b.c"], &["c.a", "a.bc"]);
        check("a.*", &["a.b"], &["a", "a.b.c"]);
        check("a.#.c", &["a.c", "a.b.c", "a.b.b.c"], &["a", "a.b"]);
        check("*.#.*", &["a.b", "a.b.c"], &["a"]);
        check("a.b", &["a.b"], &["a.b.c", "a"]);
        assert!(Types::all().wants("whatever"));
        assert!(Types::matching(["x", "a.*"]).wants("a.b"));
    }
}

//! What a consumer remembers of what it was given: at least once becomes once.

use std::collections::{HashSet, VecDeque};

/// The most ids that one inbox remembers.
pub const IDS_MAX: usize = 1_000_000;

/// The ids of the last events that a consumer has taken, the oldest forgotten first.
///
/// An event is delivered again at most from where its cursor stood when a delivery was cut
/// short, or from where somebody set the cursor; an inbox that remembers more ids than lie
/// between them lets each through once. It is as durable as what its ids are kept with: a
/// consumer with a database keeps the id in the transaction of the effect instead
/// (`docs/reference/events.md` has the statement).
#[derive(Debug, Clone)]
pub struct Inbox {
    order: VecDeque<Box<str>>,
    ids: HashSet<Box<str>, Spread>,
    max: usize,
}

/// Chance is not needed: ids come from the ledger, and each is looked up by its whole text.
type Spread = std::hash::BuildHasherDefault<std::collections::hash_map::DefaultHasher>;

impl Inbox {
    /// An inbox that remembers so many ids, 1 to [`IDS_MAX`].
    #[must_use]
    pub fn remembering(ids: usize) -> Self {
        let max = ids.clamp(1, IDS_MAX);
        Self { order: VecDeque::new(), ids: HashSet::default(), max }
    }

    /// Whether an event was not taken yet; from now on it was.
    pub fn take(&mut self, id: &str) -> bool {
        if self.ids.contains(id) {
            return false;
        }
        if self.order.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.order.push_back(id.into());
        self.ids.insert(id.into());
        true
    }

    /// The ids from the oldest on, to keep and to [`Inbox::take`] again after a restart.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|id| &**id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_taken_once_while_it_is_remembered() {
        let mut inbox = Inbox::remembering(2);
        let taken = ["a", "b", "a", "b", "c", "b", "a"].map(|id| inbox.take(id));
        assert_eq!(taken, [true, true, false, false, true, false, true]);
        assert_eq!(inbox.ids().collect::<Vec<_>>(), ["c", "a"]);
    }

    #[test]
    fn what_was_kept_goes_on_after_a_restart() {
        let mut inbox = Inbox::remembering(10);
        inbox.take("a");
        let mut after = Inbox::remembering(10);
        assert!(inbox.ids().all(|id| after.take(id)));
        assert!(!after.take("a") && after.take("b"));
    }
}

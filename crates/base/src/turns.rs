//! Whose turn it is among those who share a thread or a commit: deficit round robin.
//!
//! Each who has something to do stands in a ring. Whoever's turn it is may do as much as its
//! account says, in whatever work is counted in; then it goes to the end of the ring, or out of it
//! when nothing is left. What it did beyond that is owed, and its next turns are shorter for it.
//! So whoever has thousands of things to do keeps another one waiting for one turn of each, however
//! much each of them has; and over time all who are never done get work in the proportion of their
//! weights.

use std::collections::{BTreeMap, VecDeque};

/// The most that one may weigh more than another.
pub const WEIGHT_MAX: u32 = 100;

/// Whose turn it is.
#[derive(Clone, Debug)]
pub struct Turns<K> {
    /// What one gets in a turn, for each unit of its weight.
    quantum: u64,
    ring: VecDeque<K>,
    /// What each of the ring may do, or owes.
    accounts: BTreeMap<K, i64>,
    weights: BTreeMap<K, u32>,
}

impl<K: Copy + Ord> Turns<K> {
    /// Turns of so much work.
    #[must_use]
    pub fn new(quantum: u64) -> Self {
        Self { quantum, ring: VecDeque::new(), accounts: BTreeMap::new(), weights: BTreeMap::new() }
    }

    /// The same, where some get so many times as much as others. Whoever is not named has a weight
    /// of 1; none has less, and none more than [`WEIGHT_MAX`].
    #[must_use]
    pub fn weighing(mut self, weights: BTreeMap<K, u32>) -> Self {
        self.weights = weights;
        self
    }

    /// Somebody has something to do: it goes to the end of the ring, unless it stands there.
    pub fn join(&mut self, who: K) {
        if let std::collections::btree_map::Entry::Vacant(account) = self.accounts.entry(who) {
            account.insert(0);
            self.ring.push_back(who);
        }
    }

    /// Whose turn it is, and how much it may do: more than nothing. It is out of the ring until
    /// [`Turns::did`] says what it did.
    pub fn begin(&mut self) -> Option<(K, u64)> {
        loop {
            let who = self.ring.pop_front()?;
            let share = self.share(who);
            let account = self.accounts.entry(who).or_default();
            *account = account.saturating_add(share);
            match u64::try_from(*account) {
                Ok(credit) if credit > 0 => return Some((who, credit)),
                // It owes: the others come first.
                Ok(_) | Err(_) => self.ring.push_back(who),
            }
        }
    }

    /// Whose turn it was did so much. When it has more to do it goes to the end of the ring, and has
    /// saved what it was kept from doing, but no more than one turn; otherwise it leaves, and neither
    /// what it saved nor what it owes is kept.
    pub fn did(&mut self, who: K, work: u64, has_more: bool) {
        if !has_more {
            self.accounts.remove(&who);
            return;
        }
        let share = self.share(who);
        let account = self.accounts.entry(who).or_default();
        let left = account.saturating_sub(i64::try_from(work).unwrap_or(i64::MAX));
        *account = left.min(share);
        self.ring.push_back(who);
    }

    /// Whose turn it was could not do anything for now: it is the first again, with what it had
    /// before that turn.
    pub fn stays(&mut self, who: K) {
        let share = self.share(who);
        let account = self.accounts.entry(who).or_default();
        *account = account.saturating_sub(share);
        self.ring.push_front(who);
    }

    /// Somebody has nothing to do any more.
    pub fn leave(&mut self, who: K) {
        if self.accounts.remove(&who).is_some() {
            self.ring.retain(|other| *other != who);
        }
    }

    /// How many stand in the ring.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether nobody has anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// What one gets in a turn.
    fn share(&self, who: K) -> i64 {
        let weight = self.weights.get(&who).copied().unwrap_or(1).clamp(1, WEIGHT_MAX);
        i64::try_from(self.quantum.max(1).saturating_mul(weight.into())).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    /// Take so many turns, where each has so many pieces of work of a size left, and say who did
    /// how much in each.
    fn taken(
        turns: &mut Turns<char>,
        left: &mut BTreeMap<char, (u64, u64)>,
        count: usize,
    ) -> String {
        let mut said = Vec::new();
        for _ in 0..count {
            let Some((who, credit)) = turns.begin() else { break };
            let (pieces, size) = left.get_mut(&who).unwrap();
            let mut done = 0;
            while *pieces > 0 && done < credit {
                done += *size;
                *pieces -= 1;
            }
            said.push(format!("{who}{done}"));
            turns.did(who, done, *pieces > 0);
        }
        said.join(" ")
    }

    #[test]
    fn who_has_much_to_do_keeps_the_others_waiting_for_one_turn() {
        // Pieces of work, and how large each is; then who does how much, turn by turn.
        let table = [
            ("all alike", vec![('a', 3, 1), ('b', 3, 1)], "a2 b2 a1 b1"),
            ("one has much", vec![('a', 9, 1), ('b', 1, 1), ('c', 1, 1)], "a2 b1 c1 a2 a2 a2 a1"),
            ("one does large things", vec![('a', 3, 5), ('b', 9, 1)], "a5 b2 b2 a5 b2 b2 b1 a5"),
            ("one alone", vec![('a', 5, 1)], "a2 a2 a1"),
        ];
        for (what, work, expected) in table {
            let mut turns = Turns::new(2);
            work.iter().for_each(|(who, ..)| turns.join(*who));
            let mut left =
                work.into_iter().map(|(who, count, size)| (who, (count, size))).collect();
            assert_eq!(taken(&mut turns, &mut left, 100), expected, "{what}");
            assert!(turns.is_empty(), "{what}");
        }
    }

    #[test]
    fn who_weighs_more_gets_more() {
        let mut turns = Turns::new(2).weighing([('b', 3), ('c', 0), ('d', 1_000)].into());
        ['a', 'b', 'c', 'd'].into_iter().for_each(|who| turns.join(who));
        let mut left = ['a', 'b', 'c', 'd'].map(|who| (who, (1_000, 1))).into();
        assert_eq!(taken(&mut turns, &mut left, 4), "a2 b6 c2 d200");
    }

    #[test]
    fn who_comes_again_and_again_stands_in_the_ring_once() {
        let mut turns = Turns::new(1);
        for who in ['a', 'a', 'b', 'a'] {
            turns.join(who);
        }
        assert_eq!(turns.len(), 2);
        let (who, _) = turns.begin().unwrap();
        // What comes during a turn does not make a second one.
        turns.join(who);
        assert_eq!((who, turns.len()), ('a', 1));
        turns.did(who, 1, true);
        assert_eq!(turns.len(), 2);
        turns.leave('b');
        turns.leave('x');
        assert_eq!((turns.begin(), turns.len()), (Some(('a', 1)), 0));
    }

    #[test]
    fn who_could_do_nothing_is_the_first_again_and_has_saved_nothing() {
        let mut turns = Turns::new(4);
        ['a', 'b'].into_iter().for_each(|who| turns.join(who));
        for _ in 0..3 {
            assert_eq!(turns.begin(), Some(('a', 4)));
            turns.stays('a');
        }
        assert_eq!(turns.begin(), Some(('a', 4)));
    }

    #[test]
    fn who_leaves_saves_nothing_for_later() {
        let mut turns = Turns::new(4);
        for _ in 0..3 {
            turns.join('a');
            assert_eq!(turns.begin(), Some(('a', 4)));
            turns.did('a', 1, false);
        }
    }

    #[test]
    fn who_is_kept_from_doing_something_saves_one_turn_and_no_more() {
        let mut turns = Turns::new(4);
        turns.join('a');
        for credit in [4, 7, 8, 8] {
            assert_eq!(turns.begin(), Some(('a', credit)));
            turns.did('a', 1, true);
        }
    }

    /// However large the pieces of each are: between two who always have more to do, the work done
    /// differs by no more than a turn and two pieces for each unit of weight; and nobody's turn
    /// comes twice while another who owes nothing waits.
    #[test]
    fn those_who_are_never_done_get_work_by_their_weights() {
        for seed in 0..200 {
            let mut dice = SeededEntropy::new(seed);
            let (quantum, count) = (1 + dice.below(50), 2 + dice.below(6));
            let largest = 1 + dice.below(120);
            let weights: BTreeMap<u64, u32> =
                (0..count).map(|who| (who, 1 + dice.below(5) as u32)).collect();
            let mut turns = Turns::new(quantum).weighing(weights.clone());
            (0..count).for_each(|who| turns.join(who));
            let mut done: BTreeMap<u64, u64> = (0..count).map(|who| (who, 0)).collect();
            for _ in 0..2_000 {
                let (who, credit) = turns.begin().unwrap();
                let mut work = 0;
                while work < credit {
                    work += 1 + dice.below(largest);
                }
                *done.get_mut(&who).unwrap() += work;
                turns.did(who, work, true);
            }
            let each = done.iter().map(|(who, work)| work / u64::from(weights[who]));
            let (least, most) = (each.clone().min().unwrap(), each.max().unwrap());
            let apart = 2 * (quantum + largest) + quantum;
            assert!(most - least <= apart, "seed {seed}: {least} to {most}, more than {apart}");
        }
    }
}

//! Whole numbers that say where something is, so that the trees of the database are keyed by
//! one integer: the number of the log in the upper bits, the place in it in the lower.

use cog_store::StoreError;

pub(crate) const SEQ_BITS: u32 = 40;
const LEVEL_BITS: u32 = 34;
/// Subtree roots are kept at the levels that this divides.
pub(crate) const LEVEL_STEP: u8 = 8;
/// The most entries of one log.
pub(crate) const ENTRIES_MAX: u64 = 1 << SEQ_BITS;
/// The most logs of one store.
pub(crate) const LOGS_MAX: u64 = 1 << 22;

/// The places of one log: entries, bodies, signed heads (by size), runs (by first entry).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The place of the first entry.
    begin: i64,
}

impl Range {
    /// The places of the log with this number.
    pub(crate) const fn of(log: i64) -> Self {
        Self { begin: log << SEQ_BITS }
    }

    /// The place of `seq`; of the end of the range for one that no log can have.
    pub(crate) fn place(self, seq: u64) -> i64 {
        let seq = i64::try_from(seq.min(ENTRIES_MAX - 1)).unwrap_or(0);
        self.begin + seq
    }

    /// The sequence number at a place of this range.
    pub(crate) fn seq(self, place: i64) -> u64 {
        u64::try_from(place - self.begin).unwrap_or(0)
    }

    /// The key of a subtree root. Levels are multiples of 8.
    pub(crate) fn node(self, level: u8, index: u64) -> i64 {
        let level = i64::from(level >> 3) << LEVEL_BITS;
        self.begin + level + i64::try_from(index & ((1 << LEVEL_BITS) - 1)).unwrap_or(0)
    }
}

/// Refuse what the numbers cannot hold.
pub(crate) const fn check_size(size: u64) -> Result<(), StoreError> {
    if size >= ENTRIES_MAX {
        let what = "entries in one log";
        return Err(StoreError::TooMuch { what, asked: size, max: ENTRIES_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_one_log_are_apart_from_those_of_the_next() {
        let (one, two) = (Range::of(1), Range::of(2));
        assert!(one.place(u64::MAX) < two.place(0));
        assert!(one.node(32, u64::MAX) < two.node(8, 0));
        assert_eq!(two.seq(two.place(77)), 77);
        assert!(check_size(ENTRIES_MAX - 1).is_ok() && check_size(ENTRIES_MAX).is_err());
    }
}

//! Whole numbers that say where something is, so that the trees of the database are keyed by
//! one integer: the number of the log in the upper bits, the place in it in the lower.

use cog_base::Digest;
use cog_ledger::Kind;
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

/// What an id is looked up by: the upper half of a TypeID's UUID, which grows with time, so
/// that new ids come to lie side by side; for any other text, part of its hash. Different
/// ids may share it: whoever finds by it compares the text.
pub(crate) fn id_key(id: &str) -> i64 {
    let uuid = id.rsplit_once('_').and_then(|(_, digits)| upper_half(digits));
    uuid.unwrap_or_else(|| {
        let hash = Digest::of(&[id.as_bytes()]);
        i64::from_be_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    })
}

/// The upper 64 of the 128 bits that 26 Crockford base32 digits write.
fn upper_half(digits: &str) -> Option<i64> {
    const DIGITS: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    if digits.len() != 26 {
        return None;
    }
    let mut bits = 0_u128;
    for digit in digits.chars() {
        bits = (bits << 5) | DIGITS.find(digit)? as u128;
    }
    let bytes = bits.to_be_bytes();
    bytes.first_chunk().copied().map(i64::from_be_bytes)
}

/// The number of a kind in the database. It never changes.
pub(crate) const fn kind_code(kind: Kind) -> i64 {
    match kind {
        Kind::Genesis => 1,
        Kind::KeyRotated => 2,
        Kind::CanonProposed => 3,
        Kind::CanonApproved => 4,
        Kind::CanonRejected => 5,
        Kind::CanonActivated => 6,
        Kind::Evidence => 7,
        Kind::Promotion => 8,
        Kind::SessionStarted => 9,
        Kind::PlanSelected => 10,
        Kind::Receipt => 11,
        Kind::Denial => 12,
        Kind::ApprovalRequested => 13,
        Kind::ApprovalGranted => 14,
        Kind::ApprovalRejected => 15,
        Kind::Outcome => 16,
        Kind::SessionSealed => 17,
        Kind::BodiesErased => 18,
        Kind::SegmentPruned => 19,
    }
}

/// Whether entries of this kind have an index of their own. The two that every effect
/// writes do not: they are found by id, by run or in passing.
pub(crate) fn is_rare(kind: Kind) -> bool {
    kind != Kind::Receipt && kind != Kind::Outcome
}

#[cfg(test)]
mod tests {
    use cog_base::Timestamp;
    use cog_base::entropy::SeededEntropy;
    use cog_base::id::ReceiptId;

    use super::*;

    #[test]
    fn kinds_have_numbers_of_their_own() {
        let mut codes: Vec<i64> = Kind::ALL.iter().map(|kind| kind_code(*kind)).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
    }

    #[test]
    fn a_typed_id_is_found_by_the_upper_half_of_its_uuid() {
        let id = ReceiptId::new(Timestamp::from_micros(1 << 50), &mut SeededEntropy::new(3));
        let id = id.unwrap();
        let upper = i64::try_from(id.uuid().as_u128() >> 64).unwrap();
        assert_eq!(id_key(&id.to_string()), upper);
        assert_ne!(id_key("invoice-1"), id_key("invoice-2"));
    }

    #[test]
    fn the_places_of_one_log_are_apart_from_those_of_the_next() {
        let (one, two) = (Range::of(1), Range::of(2));
        assert!(one.place(u64::MAX) < two.place(0));
        assert!(one.node(32, u64::MAX) < two.node(8, 0));
        assert_eq!(two.seq(two.place(77)), 77);
        assert!(check_size(ENTRIES_MAX - 1).is_ok() && check_size(ENTRIES_MAX).is_err());
    }
}

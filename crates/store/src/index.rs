//! What entries are found by, the same in every database.

use cog_base::Digest;
use cog_base::id::digit;
use cog_ledger::Kind;

/// What an id is looked up by: the upper half of a TypeID's UUID, which grows with time, so
/// that new ids come to lie side by side; for any other text, part of its hash. Different
/// ids may share it: whoever finds by it compares the text.
#[must_use]
pub fn id_key(id: &str) -> i64 {
    let uuid = id.rsplit_once('_').and_then(|(_, digits)| upper_half(digits));
    uuid.unwrap_or_else(|| {
        let hash = Digest::of(&[id.as_bytes()]);
        i64::from_be_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    })
}

/// The upper 64 of the 128 bits that 26 Crockford base32 digits write.
fn upper_half(digits: &str) -> Option<i64> {
    if digits.len() != 26 {
        return None;
    }
    let mut bits = 0_u128;
    for letter in digits.bytes() {
        bits = (bits << 5) | u128::from(digit(letter)?);
    }
    let bytes = bits.to_be_bytes();
    bytes.first_chunk().copied().map(i64::from_be_bytes)
}

/// The number of a kind in the database. It never changes.
#[must_use]
pub const fn kind_code(kind: Kind) -> i64 {
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
        Kind::Signal => 20,
        Kind::SessionPaused => 21,
        Kind::SessionUnpaused => 22,
        Kind::ChildStarted => 23,
        Kind::ChildEnded => 24,
        Kind::Checkpoint => 25,
        Kind::Replay => 26,
        Kind::ScheduleSet => 27,
        Kind::ScheduleRemoved => 28,
        Kind::ScheduleFired => 29,
        Kind::SessionQueued => 30,
        Kind::SessionUnqueued => 31,
        Kind::ApprovalEscalated => 32,
        Kind::Output => 33,
        Kind::SchedulePaused => 34,
        Kind::ScheduleUnpaused => 35,
        Kind::WorkflowActivated => 36,
        Kind::ApprovalDelegated => 37,
    }
}

/// Whether entries of this kind have an index of their own. The two that every effect
/// writes do not: they are found by id, by run or in passing.
#[must_use]
pub fn is_rare(kind: Kind) -> bool {
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
}

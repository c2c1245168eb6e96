//! Ids, times, money, digests and sealed bytes as they are written and read.

use cog_base::cipher::Key;
use cog_base::entropy::SeededEntropy;
use cog_base::id::{ReceiptId, RunId};
use cog_base::{Digest, Micros, Timestamp};
use proptest::prelude::*;

#[test]
fn ids_sort_by_age_and_name_their_kind() {
    let mut entropy = SeededEntropy::new(1);
    let early = RunId::new(Timestamp::from_micros(1_000_000), &mut entropy).expect("id");
    let late = RunId::new(Timestamp::from_micros(2_000_000), &mut entropy).expect("id");
    assert!(early < late && early.to_string() < late.to_string());
    assert!(early.to_string().starts_with("run_0"));
    let wrong = early.to_string().parse::<ReceiptId>().expect_err("another kind");
    assert!(wrong.to_string().contains("rcp_"), "{wrong}");
}

#[test]
fn a_uuid_says_version_seven_and_the_rfc_variant() {
    let id = RunId::new(Timestamp::from_micros(i64::MAX), &mut SeededEntropy::new(9)).expect("id");
    let bits = id.uuid().as_u128();
    assert_eq!((bits >> 76) & 0xF, 7);
    assert_eq!((bits >> 62) & 0b11, 0b10);
}

#[test]
fn a_time_has_one_text() {
    let time: Timestamp = "2026-11-21T04:12:38.000123Z".parse().expect("reads");
    assert_eq!(time.micros(), 1_795_234_358_000_123);
    assert_eq!(time.weekday_and_minute(), (5, 252)); // a Saturday
    for other in
        ["2026-11-21T04:12:38Z", "2026-11-21 04:12:38.000123Z", "2026-02-30T00:00:00.000000Z"]
    {
        assert!(other.parse::<Timestamp>().is_err(), "{other}");
    }
}

#[test]
fn money_shows_cents_and_what_is_below_only_when_there() {
    assert_eq!(Micros::new(250_000).to_string(), "$0.25");
    assert_eq!(Micros::new(125).to_string(), "$0.000125");
    assert_eq!(Micros::new(3_000_000).to_string(), "$3.00");
    assert_eq!(Micros::new(u64::MAX).checked_add(Micros::new(1)), None);
}

#[test]
fn a_digest_in_one_context_is_no_digest_in_another() {
    let one = Digest::in_context("cognitionos/intent/v1", b"x");
    assert_ne!(one, Digest::in_context("cognitionos/body/v1", b"x"));
    assert_eq!(one.to_string().parse::<Digest>().expect("reads"), one);
    assert!(one.to_string().to_uppercase().parse::<Digest>().is_err());
}

#[test]
fn sealed_bytes_open_only_unchanged_in_their_place() {
    let mut entropy = SeededEntropy::new(3);
    let key = Key::new(&mut entropy).expect("key");
    let sealed = key.seal(b"here", b"body", &mut entropy).expect("sealed");
    assert_eq!(key.open(b"here", &sealed).expect("opens"), b"body");
    assert!(key.open(b"there", &sealed).is_err());
    assert!(Key::new(&mut entropy).expect("key").open(b"here", &sealed).is_err());
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(key.open(b"here", &changed).is_err(), "bit {bit}");
    }
}

proptest! {
    #[test]
    fn times_and_ids_read_back(micros in Timestamp::MIN.micros()..=Timestamp::MAX.micros(), seed: u64) {
        let time = Timestamp::from_micros(micros);
        prop_assert_eq!(time.to_string().parse::<Timestamp>().expect("reads"), time);
        let id = RunId::new(time, &mut SeededEntropy::new(seed)).expect("id");
        prop_assert_eq!(id.to_string().parse::<RunId>().expect("reads"), id);
    }
}

//! Canonical JSON: what is read, what is refused, and what the bytes are.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{RunId, Uuid};
use cog_base::json::{Canonical, Integer, Json, JsonError, Members, Object, parse, parse_loose};
use cog_base::{Digest, Micros, Timestamp, Value};
use proptest::prelude::*;

fn check(text: &str, canonical: &str) {
    let value = parse_loose(text).expect("reads");
    assert_eq!(String::from_utf8(value.canonical()).expect("is UTF-8"), canonical);
}

#[test]
fn members_are_sorted_by_utf16_units() {
    check(r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#);
    // U+10000 is D800 DC00 in UTF-16 and so comes before U+FB33, against byte order.
    check("{\"\u{fb33}\":1,\"\u{10000}\":2}", "{\"\u{10000}\":2,\"\u{fb33}\":1}");
}

#[test]
fn numbers_are_written_as_ecmascript_does() {
    check("[56.0, 1E30, 4.50, 2e-3, -0, 1e-27]", "[56,1e+30,4.5,0.002,0,1e-27]");
    check("9007199254740993", "9007199254740992");
}

#[test]
fn escapes_are_the_shortest() {
    check(
        r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#,
        "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"",
    );
}

#[test]
fn two_readings_of_the_same_bytes_are_refused() {
    let wrong = |text: &str| parse(text).expect_err("is refused").to_string();
    assert_eq!(wrong(r#"{"a":1,"a":2}"#), "the key `a` stands twice in one object, at byte 13");
    assert_eq!(wrong(r#""\ud800""#), "a lone surrogate at byte 7");
    assert_eq!(wrong("[1] 2"), "text after the value at byte 4");
    assert_eq!(wrong("01"), "a number that starts with 0 at byte 2");
    assert_eq!(wrong("[1,]"), "not a JSON value at byte 3");
    assert_eq!(wrong("1e999"), "a number beyond the range of doubles at byte 5");
    assert!(matches!(parse(&"[".repeat(100)), Err(JsonError::TooDeep { .. })));
}

#[test]
fn a_float_is_never_hashed() {
    let error = parse(r#"{"amount": 12.5}"#).expect_err("is refused");
    assert_eq!(error, JsonError::Float { text: "12.5".into() });
    let kept = parse_loose(r#"{"amount": 12.5}"#).expect("reads").lenient();
    assert_eq!(kept.to_string(), r#"{"amount":"12.5"}"#);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "[ -~\u{0}\u{e000}]{0,80}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::List),
            prop::collection::vec((any::<String>(), inner), 0..8).prop_map(Json::map),
        ]
    })
}

fn as_value_and_directly(value: impl Into<Value> + Canonical) -> (Vec<u8>, Vec<u8>) {
    let direct = value.canonical();
    (value.into().canonical(), direct)
}

#[test]
fn what_writes_itself_writes_what_a_value_of_it_writes() {
    let check = |(value, direct): (Vec<u8>, Vec<u8>)| {
        assert_eq!(
            String::from_utf8(direct).expect("is UTF-8"),
            String::from_utf8(value).expect("is UTF-8")
        );
    };
    let numbers = [0, 1, 9, 10, 99, 100, (1 << 53) - 1, 1 << 53, u64::MAX];
    numbers.into_iter().for_each(|number| check(as_value_and_directly(number)));
    numbers.into_iter().for_each(|number| check(as_value_and_directly(Micros::new(number))));
    [Some(true), Some(false), None].into_iter().for_each(|it| check(as_value_and_directly(it)));
    check(as_value_and_directly(Digest::of(&[b"anything"])));
    check(as_value_and_directly(Timestamp::from_micros(1_800_000_000_123_456)));
    check(as_value_and_directly(RunId::from_uuid(Uuid::from_u128(u128::MAX))));
    assert_eq!(Value::from(-Integer::MAX).to_string(), "-9007199254740991");
}

#[test]
fn an_object_is_written_member_by_member() {
    let mut out = b"1".to_vec();
    let texts = ["b", "a\u{1f}\"\\"];
    Object::new(&mut out)
        .put("a", &texts[..])
        .put_some("b", None::<&str>)
        .put_some("c", Some("x"))
        .put_with("d", |out| Object::new(out).end())
        .put("e_micros", &BTreeSet::from(["z", "y"].map(str::to_owned)))
        .end();
    let expected = r#"1{"a":["b","a\u001f\"\\"],"c":"x","d":{},"e_micros":["y","z"]}"#;
    assert_eq!(String::from_utf8(out).expect("is UTF-8"), expected);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "`a` must stand before `b`")]
fn members_out_of_order_are_a_mistake() {
    let mut out = Vec::new();
    Object::new(&mut out).put("b", &1_u64).put("a", &1_u64).end();
}

proptest! {
    #[test]
    fn canonical_bytes_read_back_as_the_same_value(value in values()) {
        let text = value.to_string();
        let again = parse(&text).expect("reads");
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = parse_loose(&text);
    }
}

/// One thing that is done to members.
#[derive(Clone, Debug)]
enum Act {
    Insert(String, u8),
    Remove(String),
    Extend(Vec<(String, u8)>),
    Keep(u8),
    Raise(String),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = || "[a-c]{0,2}|[\u{e000}\u{10000}]";
    let act = prop_oneof![
        (name(), any::<u8>()).prop_map(|(name, value)| Act::Insert(name, value)),
        name().prop_map(Act::Remove),
        prop::collection::vec((name(), any::<u8>()), 0..6).prop_map(Act::Extend),
        any::<u8>().prop_map(Act::Keep),
        name().prop_map(Act::Raise),
    ];
    prop::collection::vec(act, 0..20)
}

proptest! {
    /// The map of the standard library is the measure.
    #[test]
    fn members_are_a_map(begin in prop::collection::vec(("[a-c]{0,2}", any::<u8>()), 0..9), acts in acts()) {
        let mut map: BTreeMap<_, _> = begin.iter().cloned().collect();
        let mut members: Members<_> = begin.into_iter().collect();
        for act in acts {
            match act {
                Act::Insert(name, value) => {
                    prop_assert_eq!(members.insert(name.clone(), value), map.insert(name, value));
                }
                Act::Remove(name) => prop_assert_eq!(members.remove(&name), map.remove(&name)),
                Act::Extend(more) => {
                    members.extend(more.clone());
                    map.extend(more);
                }
                Act::Keep(below) => {
                    members.retain(|_, value| *value < below);
                    map.retain(|_, value| *value < below);
                }
                Act::Raise(name) => {
                    let raise = |value: &mut u8| *value = value.wrapping_add(1);
                    prop_assert_eq!(members.get_mut(&name).map(raise), map.get_mut(&name).map(raise));
                }
            }
            prop_assert!(members.iter().eq(map.iter()));
            prop_assert_eq!((members.len(), members.is_empty()), (map.len(), map.is_empty()));
            for name in ["", "a", "bc", "\u{10000}"] {
                prop_assert_eq!(members.get(name), map.get(name));
                prop_assert_eq!(members.contains_key(name), map.contains_key(name));
            }
        }
        prop_assert_eq!(format!("{members:?}"), format!("{map:?}"));
        prop_assert!(members.into_iter().eq(map));
    }
}

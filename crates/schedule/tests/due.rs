//! Looking at what is due: every time once, whatever the looks.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use cog_base::Timestamp;
use cog_base::json::{Map, Value};
use cog_schedule::{
    BUFFER_MAX, FIRES_PER_LOOK_MAX, Fire, MISSED_COUNT_MAX, Overlap, Rule, Schedule, Start,
};
use proptest::prelude::*;

const MINUTE: u64 = 60_000;

fn start() -> Timestamp {
    "2026-03-28T12:00:00.000000Z".parse().unwrap()
}

fn rules() -> impl Strategy<Value = Rule> {
    let expressions =
        ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 9 * * mon-fri", "5,50 1-4 * * *"];
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
    let cron =
        (proptest::sample::select(expressions.to_vec()), proptest::sample::select(zones.to_vec()))
            .prop_map(|(cron, zone)| Rule::cron(cron, zone).unwrap());
    let every = (1_000..7_200_000_u64).prop_map(|ms| Rule::every(ms, ms / 3).unwrap());
    prop_oneof![cron, every]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    (rules(), 0..300_000_u64).prop_map(|(rule, jitter_ms)| {
        let mut schedule = Schedule::new("it", rule);
        schedule.jitter_ms = jitter_ms;
        schedule.catch_up_ms = 366 * 24 * 60 * MINUTE;
        schedule
    })
}

/// Every time of the rule until `end`, one after the other.
fn all(schedule: &Schedule, end: Timestamp) -> Vec<Fire> {
    let mut cursor = start();
    let mut fires = Vec::new();
    while let Some(fire) = schedule.next_after(cursor).filter(|fire| fire.at <= end) {
        cursor = fire.nominal;
        fires.push(fire);
    }
    fires
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However often somebody looks, each time is given once and in order.
    #[test]
    fn every_time_is_given_once(
        schedule in schedules(),
        looks in proptest::collection::vec(1..6 * 60 * MINUTE, 1..12),
    ) {
        let (mut cursor, mut now, mut given) = (start(), start(), Vec::new());
        for ms in looks {
            now = now.plus_ms(ms);
            loop {
                let due = schedule.due(cursor, now);
                prop_assert_eq!(due.missed, 0);
                prop_assert!(due.fires.len() <= FIRES_PER_LOOK_MAX);
                prop_assert!(due.cursor >= cursor);
                cursor = due.cursor;
                given.extend_from_slice(&due.fires);
                if due.next.is_none_or(|next| next > now) {
                    break;
                }
            }
        }
        prop_assert_eq!(given, all(&schedule, now));
    }

    /// The jitter stays in its bound, and a restart does not change it.
    #[test]
    fn jitter_is_bounded_and_steady(schedule in schedules()) {
        let fire = schedule.next_after(start()).unwrap();
        prop_assert!(fire.at.ms_since(fire.nominal) <= schedule.jitter_ms);
        prop_assert_eq!(schedule.clone().next_after(start()), Some(fire));
    }

    /// What is written reads back the same.
    #[test]
    fn it_reads_back_as_written(schedule in schedules()) {
        let value = schedule.to_value();
        let read = Schedule::from_value(&value, &[]).unwrap();
        prop_assert_eq!(read.to_value(), value);
        prop_assert_eq!(read.next_after(start()), schedule.next_after(start()));
    }
}

#[test]
fn what_is_older_than_the_window_is_missed() {
    let mut schedule = Schedule::new("minutely", Rule::every(MINUTE, 0).unwrap());
    schedule.catch_up_ms = 5 * MINUTE;
    let due = schedule.due(start(), start().plus_ms(60 * MINUTE));
    assert_eq!((due.missed, due.fires.len()), (54, 6));
    assert_eq!(due.next, Some(start().plus_ms(61 * MINUTE)));
}

#[test]
fn a_year_of_seconds_missed_is_no_long_work() {
    let schedule = Schedule::new("secondly", Rule::every(1_000, 0).unwrap());
    let due = schedule.due(start(), start().plus_ms(365 * 24 * 60 * MINUTE));
    assert_eq!(due.missed, MISSED_COUNT_MAX);
    assert_eq!(due.fires.len(), 60);
}

#[test]
fn a_clock_that_was_set_back_finds_nothing() {
    let schedule = Schedule::new("minutely", Rule::every(MINUTE, 0).unwrap());
    let due = schedule.due(start().plus_ms(10 * MINUTE), start());
    assert_eq!((due.fires.len(), due.missed), (0, 0));
    assert_eq!(due.cursor, start().plus_ms(10 * MINUTE));
}

#[test]
fn bounds_hold_with_the_bound_itself() {
    let mut schedule = Schedule::new("minutely", Rule::every(MINUTE, 0).unwrap());
    schedule.catch_up_ms = 60 * MINUTE;
    schedule.from = Some(start().plus_ms(2 * MINUTE));
    schedule.until = Some(start().plus_ms(4 * MINUTE));
    let due = schedule.due(start(), start().plus_ms(MINUTE * 5));
    let nominal: Vec<_> =
        due.fires.iter().map(|fire| fire.nominal.ms_since(start()) / MINUTE).collect();
    assert_eq!(nominal, [2, 3, 4]);
    assert_eq!(due.next, None);
}

#[test]
fn overlap_decides_by_what_runs_and_waits() {
    let table = [
        (Overlap::Skip, 1, 0, Start::Skip),
        (Overlap::BufferOne, 1, 0, Start::Wait),
        (Overlap::BufferOne, 1, 1, Start::Skip),
        (Overlap::BufferAll, 1, 7, Start::Wait),
        (Overlap::BufferAll, 1, BUFFER_MAX, Start::Skip),
        (Overlap::CancelOther, 1, 0, Start::CancelAndWait),
        (Overlap::AllowAll, 9, 0, Start::Now),
    ];
    for (overlap, running, waiting, expected) in table {
        assert_eq!(overlap.decide(running, waiting), expected, "{overlap:?}");
        assert_eq!(overlap.decide(0, 0), Start::Now, "{overlap:?}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let table: [(&[(&str, Value)], &str); 10] = [
        (&[("cron", "0 0 * * *".into())], "`id` of the schedule is missing"),
        (&[("id", "a".into())], "`every_ms` or `at` must say when"),
        (
            &[("id", "a".into()), ("cron", "0 0 * * *".into()), ("at", "x".into())],
            "only one of them",
        ),
        (&[("id", "a".into()), ("cron", 5_u64.into())], "must be text, not"),
        (&[("id", "a".into()), ("every_ms", 5_u64.into())], "5 ms is too short"),
        (&[("id", "a".into()), ("at", "tomorrow".into())], "2026-11-21T09:00:00Z"),
        (
            &[("id", "a".into()), ("cron", "@daily".into()), ("overlap", "stack".into())],
            "one of skip,",
        ),
        (&[("id", "a".into()), ("cron", "@daily".into()), ("jitter", 1_u64.into())], "is unknown"),
        (
            &[("id", "a".into()), ("every_ms", 5_000_u64.into()), ("timezone", "UTC".into())],
            "beside `cron` only",
        ),
        (
            &[
                ("id", "a".into()),
                ("cron", "@daily".into()),
                ("from", "2027-01-01T00:00:00Z".into()),
                ("until", "2026-01-01T00:00:00+02:00".into()),
            ],
            "would never start",
        ),
    ];
    for (members, message) in table {
        let map: Map =
            members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let error = Schedule::from_value(&Value::Map(map), &[]).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

//! Looking at what is due: every time is decided once, whatever the looks.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use cog_base::Timestamp;
use cog_base::json::{Map, Value};
use cog_schedule::{Decided, Fire, LEFT_OUT_MAX, Overlap, Past, Rule, Schedule, Why};
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

/// Every time of the rule up to `last` that has come, one after the other.
fn all(schedule: &Schedule, last: Timestamp, now: Timestamp) -> Vec<Fire> {
    let mut cursor = start();
    let mut fires = Vec::new();
    let is_decided = |fire: &Fire| fire.at <= now && fire.nominal <= last;
    while let Some(fire) = schedule.next_after(cursor).filter(is_decided) {
        cursor = fire.nominal;
        fires.push(fire);
    }
    fires
}

const OVERLAPS: [Overlap; 5] = [
    Overlap::Skip,
    Overlap::BufferOne,
    Overlap::BufferAll,
    Overlap::CancelOther,
    Overlap::AllowAll,
];

/// A time so many minutes after the first.
fn minute(number: u64) -> Timestamp {
    start().plus_ms(number * MINUTE)
}

fn minutely(overlap: Overlap) -> Schedule {
    let schedule = Schedule::new("minutely", Rule::every(MINUTE, 0).unwrap());
    Schedule { overlap, ..schedule }
}

/// Nothing of it runs or ran, and times are decided up to this one.
fn idle(cursor: Timestamp) -> Past {
    Past { cursor, is_open: false, began: None, ended: None }
}

fn missed(until: u64, times: u64) -> Option<Decided> {
    Some(Decided::LeaveOut { until: minute(until), times, why: Why::Missed })
}

fn overlaps(until: u64, times: u64) -> Option<Decided> {
    Some(Decided::LeaveOut { until: minute(until), times, why: Why::Overlap })
}

fn starts(at: u64) -> Option<Decided> {
    Some(Decided::Start(minute(at)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However often somebody looks and whatever runs meanwhile, each time is decided once and in
    /// order, and when all may run together each is started.
    #[test]
    fn every_time_is_decided_once(
        schedule in schedules(),
        overlap in proptest::sample::select(OVERLAPS.to_vec()),
        looks in proptest::collection::vec((1..6 * 60 * MINUTE, any::<bool>()), 1..12),
    ) {
        let schedule = Schedule { overlap, ..schedule };
        let (mut looked, mut now) = (start(), start());
        let mut past = Past { cursor: start(), is_open: false, began: None, ended: None };
        let (mut started, mut decided) = (Vec::new(), 0);
        for (ms, ends) in looks {
            now = now.plus_ms(ms);
            if past.is_open && ends {
                past = Past { is_open: false, ended: Some(now), ..past };
            }
            while let Some(what) = schedule.decide(&past, looked, now) {
                let before = past.cursor;
                match what {
                    Decided::Start(at) => {
                        prop_assert!(!past.is_open || overlap == Overlap::AllowAll);
                        past = Past { cursor: at, is_open: true, began: Some(now), ..past };
                        started.push(at);
                        decided += 1;
                    }
                    Decided::LeaveOut { until, times, why } => {
                        prop_assert_eq!(why, Why::Overlap);
                        past.cursor = until;
                        decided += times;
                    }
                    Decided::EndOpen => {
                        past = Past { is_open: false, ended: Some(now), ..past };
                        continue;
                    }
                }
                prop_assert!(past.cursor > before);
            }
            looked = now;
        }
        let all = all(&schedule, past.cursor, now);
        prop_assert_eq!(decided, all.len() as u64);
        if overlap == Overlap::AllowAll {
            let nominal: Vec<_> = all.iter().map(|fire| fire.nominal).collect();
            prop_assert_eq!(started, nominal);
        }
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
    let schedule = Schedule { catch_up_ms: 5 * MINUTE, ..minutely(Overlap::AllowAll) };
    let now = minute(60);
    assert_eq!(schedule.decide(&idle(minute(0)), now, now), missed(54, 54));
    assert_eq!(schedule.decide(&idle(minute(54)), now, now), starts(55));
    assert_eq!(schedule.decide(&idle(minute(60)), now, now), None);
}

#[test]
fn what_came_since_the_last_look_is_not_missed() {
    let schedule = Schedule { catch_up_ms: 0, ..minutely(Overlap::AllowAll) };
    assert_eq!(schedule.decide(&idle(minute(0)), minute(0), minute(60)), starts(1));
    assert_eq!(schedule.decide(&idle(minute(0)), minute(2), minute(60)), missed(1, 1));
}

#[test]
fn a_year_of_seconds_missed_is_no_long_work() {
    let schedule = Schedule::new("secondly", Rule::every(1_000, 0).unwrap());
    let now = minute(365 * 24 * 60);
    let first = schedule.decide(&idle(start()), now, now);
    let until = Timestamp::from_micros(now.micros() - 60_000_000);
    let why = Why::Missed;
    assert_eq!(first, Some(Decided::LeaveOut { until, times: LEFT_OUT_MAX, why }));
    let next = schedule.decide(&idle(until), now, now);
    assert_eq!(next, Some(Decided::Start(until.plus_ms(1_000))));
}

#[test]
fn a_clock_that_was_set_back_finds_nothing() {
    let schedule = minutely(Overlap::Skip);
    assert_eq!(schedule.decide(&idle(minute(10)), minute(0), minute(0)), None);
}

#[test]
fn bounds_hold_with_the_bound_itself() {
    let mut schedule = minutely(Overlap::AllowAll);
    schedule.catch_up_ms = 60 * MINUTE;
    (schedule.from, schedule.until) = (Some(minute(2)), Some(minute(4)));
    let decide = |cursor: u64| schedule.decide(&idle(minute(cursor)), minute(5), minute(5));
    assert_eq!(
        [decide(0), decide(2), decide(3), decide(4)],
        [starts(2), starts(3), starts(4), None]
    );
}

#[test]
fn a_run_that_is_not_over_decides_by_the_rule_of_overlap() {
    // The times of minutes 1 to 3 have come, and the run of minute 0 began then.
    let open = Past { is_open: true, began: Some(minute(0)), ..idle(minute(0)) };
    let over = Past { is_open: false, ended: Some(minute(3).plus_ms(1)), ..open };
    let end = Some(Decided::EndOpen);
    for (overlap, while_open, when_over) in [
        (Overlap::Skip, overlaps(3, 3), overlaps(3, 3)),
        (Overlap::BufferOne, None, starts(1)),
        (Overlap::BufferAll, None, starts(1)),
        (Overlap::CancelOther, end, overlaps(2, 2)),
        (Overlap::AllowAll, starts(1), starts(1)),
    ] {
        let schedule = Schedule { catch_up_ms: 10 * MINUTE, ..minutely(overlap) };
        let now = minute(3).plus_ms(2);
        assert_eq!(schedule.decide(&open, now, now), while_open, "{overlap:?}");
        assert_eq!(schedule.decide(&over, now, now), when_over, "{overlap:?}");
    }
}

#[test]
fn of_those_that_waited_one_is_started_or_all() {
    // The run of minute 1 began in minute 3, when those of minutes 2 and 3 had come as well.
    let now = minute(5);
    let over = Past { began: Some(minute(3)), ended: Some(minute(4)), ..idle(minute(1)) };
    assert_eq!(minutely(Overlap::BufferOne).decide(&over, now, now), overlaps(3, 2));
    assert_eq!(minutely(Overlap::BufferAll).decide(&over, now, now), starts(2));
}

#[test]
fn what_waited_for_a_run_is_late_by_the_end_of_that_run() {
    let schedule = minutely(Overlap::BufferAll);
    let over = |ended| Past { began: Some(minute(0)), ended: Some(ended), ..idle(minute(0)) };
    let now = minute(600);
    assert_eq!(schedule.decide(&over(now), now, now), starts(1));
    assert_eq!(schedule.decide(&over(minute(500)), now, now), missed(598, 598));
    let open = Past { is_open: true, ..over(minute(0)) };
    assert_eq!(schedule.decide(&open, now, now), None);
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

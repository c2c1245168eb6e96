//! The times of rules, across calendars and clock changes.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use cog_base::Timestamp;
use cog_schedule::{Rule, Schedule};

fn time(text: &str) -> Timestamp {
    format!("{text}:00.000000Z").parse().unwrap()
}

/// The next times after a moment, to the minute.
fn check(cron: &str, timezone: &str, after: &str, expected: &[&str]) {
    let rule = Rule::cron(cron, timezone).unwrap();
    let mut at = time(after);
    for expected in expected {
        at = rule.next_after(at).unwrap();
        assert_eq!(at, time(expected), "{cron} {timezone}: {at}");
    }
}

#[test]
fn cron_names_minutes_in_its_zone() {
    check(
        "*/15 9 * * *",
        "UTC",
        "2026-11-21T09:20",
        &["2026-11-21T09:30", "2026-11-21T09:45", "2026-11-22T09:00"],
    );
    check("0 9 * * mon-fri", "Europe/Berlin", "2026-11-20T12:00", &["2026-11-23T08:00"]);
    check("0 9 * * *", "Asia/Kolkata", "2026-11-20T03:29", &["2026-11-20T03:30"]);
    check("0 0 29 2 *", "UTC", "2026-01-01T00:00", &["2028-02-29T00:00", "2032-02-29T00:00"]);
    check("0 0 L * *", "UTC", "2026-01-31T00:00", &["2026-02-28T00:00", "2026-03-31T00:00"]);
    check("0 0 * * fri#2", "UTC", "2026-11-01T00:00", &["2026-11-13T00:00"]);
    check("@monthly", "America/New_York", "2026-11-21T00:00", &["2026-12-01T05:00"]);
}

#[test]
fn day_of_month_or_day_of_week_as_in_posix() {
    check(
        "0 0 13 * fri",
        "UTC",
        "2026-11-01T00:00",
        &["2026-11-06T00:00", "2026-11-13T00:00", "2026-11-20T00:00"],
    );
    check("0 0 13 * fri", "UTC", "2026-12-12T00:00", &["2026-12-13T00:00"]);
}

/// Berlin leaves out 02:00 to 03:00 on 29 March 2026 and has it twice on 25 October 2026.
#[test]
fn clock_changes_lose_and_double_nothing() {
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T00:00",
        &["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
    );
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00",
        &["2026-10-25T00:30", "2026-10-26T01:30"],
    );
    check(
        "0 * * * *",
        "Europe/Berlin",
        "2026-10-24T23:30",
        &["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"],
    );
    check(
        "0 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:30",
        &["2026-03-29T01:00", "2026-03-29T02:00"],
    );
}

#[test]
fn intervals_are_counted_from_1970() {
    let rule = Rule::every(3_600_000, 60_000).unwrap();
    let schedule = Schedule::new("hourly", rule);
    let next = schedule.next_after(time("2026-11-21T10:01")).unwrap();
    assert_eq!(next.nominal, time("2026-11-21T11:01"));
}

#[test]
fn a_moment_comes_once() {
    let at = time("2026-11-21T10:00");
    assert_eq!(Rule::At(at).next_after(time("2026-11-21T09:59")), Some(at));
    assert_eq!(Rule::At(at).next_after(at), None);
}

#[test]
fn what_names_no_times_is_refused() {
    for (cron, zone, message) in [
        ("* * * *", "UTC", "it has 4 fields"),
        ("0 0 * * * *", "UTC", "it has 6 fields"),
        ("61 * * * *", "UTC", "must be in range 0..=59; found 61"),
        ("0 0 * * *", "Mars/Olympus", "no time zone of the IANA database"),
        ("0 0 * * mon-", "UTC", "is no cron expression"),
    ] {
        let error = Rule::cron(cron, zone).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert!(Rule::every(10, 0).unwrap_err().to_string().contains("too short"));
    assert!(Rule::every(1_000, 1_000).unwrap_err().to_string().contains("not below"));
}

#[test]
fn a_day_that_never_comes_has_no_time() {
    let rule = Rule::cron("0 0 31 2 *", "UTC").unwrap();
    assert_eq!(rule.next_after(time("2026-01-01T00:00")), None);
}

#[test]
fn a_span_has_its_first_and_its_last_time_and_no_more_than_are_wanted() {
    let mut daily = Schedule::new("daily", Rule::cron("0 9 * * *", "UTC").unwrap());
    daily.from = Some(time("2026-11-02T00:00"));
    let day = |day: u32| time(&format!("2026-11-0{day}T09:00"));
    for (from, until, most, days) in [
        ("2026-11-03T09:00", "2026-11-05T09:00", 9, vec![3, 4, 5]),
        ("2026-11-03T09:01", "2026-11-05T08:59", 9, vec![4]),
        ("2026-11-03T09:00", "2026-11-05T09:00", 2, vec![3, 4]),
        ("2026-10-01T00:00", "2026-11-03T10:00", 9, vec![2, 3]),
        ("2026-11-05T09:00", "2026-11-03T09:00", 9, vec![]),
    ] {
        let days: Vec<_> = days.into_iter().map(day).collect();
        assert_eq!(daily.within((time(from), time(until)), most), days, "{from} {until}");
    }
}

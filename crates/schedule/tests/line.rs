//! Who may begin: limits and rates are kept, priority counts, and nobody starves.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use cog_base::id::{RunId, Uuid};
use cog_base::{Digest, Timestamp};
use cog_schedule::{Ask, Concurrency, Line, Rate, STEP_MS, Waits, WhenFull};
use proptest::prelude::*;

fn run(n: u64) -> RunId {
    RunId::from_uuid(Uuid::from_u128(u128::from(n) + 1))
}

fn at(ms: u64) -> Timestamp {
    "2026-03-28T12:00:00.000000Z".parse::<Timestamp>().unwrap().plus_ms(ms)
}

fn key(n: u8) -> Digest {
    Digest::of(&[&[n]])
}

fn limited(n: u8, limit: u32) -> Ask {
    let concurrency = Concurrency { key: key(n), limit, when_full: WhenFull::Queue };
    Ask { concurrency: Some(concurrency), ..Ask::default() }
}

fn rated(n: u8, count: u32, per_seconds: u64) -> Ask {
    Ask { rate: Some(Rate { key: key(n), count, per_seconds }), ..Ask::default() }
}

/// Those that may begin at a time, in their order; all of them begin.
fn begin(line: &mut Line, ms: u64) -> Vec<RunId> {
    let mut began = Vec::new();
    while let Some(next) = line.next(at(ms), usize::MAX) {
        line.begin(next, at(ms));
        began.push(next);
    }
    began
}

#[test]
fn one_of_a_key_waits_for_the_end_of_another_and_other_keys_do_not() {
    let mut line = Line::default();
    for (n, key) in [(0, 1), (1, 1), (2, 2)] {
        line.ask(run(n), limited(key, 1), at(n), Some(n));
    }
    assert_eq!(begin(&mut line, 10), [run(0), run(2)]);
    let waits = line.room(run(1), &limited(1, 1), at(10));
    assert_eq!(waits, Err(Waits::Key(vec![run(0)])));
    line.end(run(2));
    assert_eq!(begin(&mut line, 20), []);
    line.end(run(0));
    assert_eq!(begin(&mut line, 30), [run(1)]);
    assert!(line.is_empty());
}

#[test]
fn what_is_not_durable_is_not_called() {
    let mut line = Line::default();
    line.ask(run(0), limited(1, 1), at(0), None);
    assert_eq!(line.next(at(1), usize::MAX), None);
    line.ask(run(0), limited(1, 1), at(0), Some(3));
    assert_eq!(line.next(at(1), usize::MAX), Some(run(0)));
}

#[test]
fn one_that_is_called_holds_its_place() {
    let mut line = Line::default();
    line.ask(run(0), limited(1, 1), at(0), Some(0));
    line.ask(run(1), limited(1, 1), at(1), Some(1));
    line.call(run(0), true);
    assert_eq!(line.next(at(2), usize::MAX), None);
    assert_eq!(line.room(run(0), &limited(1, 1), at(2)), Ok(()));
    line.call(run(0), false);
    assert_eq!(line.next(at(2), usize::MAX), Some(run(0)));
    line.leave(run(0));
    assert_eq!(line.next(at(2), usize::MAX), Some(run(1)));
    assert_eq!(line.next(at(2), 0), None, "there is no room");
}

#[test]
fn a_rate_lets_so_many_begin_in_any_stretch_of_its_time() {
    let mut line = Line::default();
    (0..5).for_each(|n| line.ask(run(n), rated(1, 2, 10), at(0), Some(n)));
    assert_eq!(begin(&mut line, 0), [run(0), run(1)]);
    assert_eq!(line.due(at(0)), Some(at(10_000)));
    assert_eq!(begin(&mut line, 9_999), []);
    assert_eq!(begin(&mut line, 10_000), [run(2), run(3)]);
    assert_eq!(begin(&mut line, 19_999), []);
    assert_eq!(begin(&mut line, 20_000), [run(4)]);
}

#[test]
fn a_start_counts_from_when_the_log_has_it() {
    let mut line = Line::default();
    line.ask(run(0), rated(1, 1, 10), at(0), Some(0));
    line.begin(run(0), at(0));
    line.began(run(0), at(3_000));
    line.ask(run(1), rated(1, 1, 10), at(0), Some(1));
    assert_eq!(begin(&mut line, 12_999), []);
    assert_eq!(begin(&mut line, 13_000), [run(1)]);
}

#[test]
fn nothing_begins_before_its_time() {
    let mut line = Line::default();
    let ask = Ask { not_before: Some(at(5_000)), ..Ask::default() };
    line.ask(run(0), ask, at(0), Some(0));
    assert_eq!(line.due(at(0)), Some(at(5_000)));
    assert_eq!(begin(&mut line, 4_999), []);
    assert_eq!(begin(&mut line, 5_000), [run(0)]);
}

#[test]
fn a_step_of_priority_counts_as_a_minute_of_waiting() {
    let first = |ahead_ms: u64, low: u8, high: u8| {
        let mut line = Line::default();
        let ask = |priority| Ask { priority, ..limited(1, 1) };
        line.ask(run(0), ask(low), at(0), Some(0));
        line.ask(run(1), ask(high), at(ahead_ms), Some(1));
        line.next(at(ahead_ms), usize::MAX).unwrap()
    };
    assert_eq!(first(1, 5, 5), run(0), "of one priority the older goes first");
    assert_eq!(first(STEP_MS - 1, 4, 5), run(1));
    assert_eq!(first(STEP_MS + 1, 4, 5), run(0));
    assert_eq!(first(9 * STEP_MS - 1, 0, 9), run(1));
    assert_eq!(first(9 * STEP_MS + 1, 0, 9), run(0), "nothing starves");
}

#[test]
fn who_is_in_the_way_is_named_only_where_that_was_asked_for() {
    let mut line = Line::default();
    let ask = |when_full| {
        let concurrency = Concurrency { key: key(1), limit: 2, when_full };
        Ask { concurrency: Some(concurrency), ..Ask::default() }
    };
    (0..2).for_each(|n| line.ask(run(n), ask(WhenFull::Queue), at(n), Some(n)));
    let cancels = ask(WhenFull::CancelRunning);
    assert_eq!(line.in_the_way(run(3), &cancels, at(5)), []);
    begin(&mut line, 5);
    assert_eq!(line.in_the_way(run(3), &cancels, at(5)), [run(0)]);
    assert_eq!(line.in_the_way(run(3), &ask(WhenFull::Queue), at(5)), []);
    line.ask(run(2), cancels, at(6), None);
    assert_eq!(line.superseded(run(3), &cancels, at(6)), [run(2)]);
    assert_eq!(line.displacing(at(6)), [], "it is not durable yet");
    line.ask(run(2), cancels, at(6), Some(6));
    line.ask(run(3), cancels, at(6), Some(7));
    assert_eq!(line.displacing(at(6)), [run(3), run(2)]);
    assert_eq!(line.superseded(run(2), &cancels, at(6)), [], "the other came behind it");
    line.ask(run(4), ask(WhenFull::Refuse), at(7), None);
    assert_eq!(line.refused(at(8)), [run(4)]);
}

#[test]
fn nobody_is_in_the_way_of_one_that_could_not_begin_without_them() {
    let concurrency = Concurrency { key: key(1), limit: 1, when_full: WhenFull::CancelRunning };
    let cancels = Ask { concurrency: Some(concurrency), ..Ask::default() };
    let later = Ask { not_before: Some(at(100)), ..cancels };
    let rate = Some(Rate { key: key(1), count: 1, per_seconds: 10 });
    let rated = Ask { rate, ..cancels };
    for (what, new, from) in [("its time", later, 100), ("its rate", rated, 10_000)] {
        let mut line = Line::default();
        line.ask(run(0), rated, at(0), Some(0));
        begin(&mut line, 0);
        line.ask(run(1), Ask { not_before: Some(at(200_000)), ..cancels }, at(1), Some(1));
        line.ask(run(2), new, at(2), Some(2));
        let ended = |now| {
            let (open, waiting) =
                (line.in_the_way(run(2), &new, at(now)), line.superseded(run(2), &new, at(now)));
            (line.displacing(at(now)), open, waiting)
        };
        assert_eq!(ended(from - 1), (vec![], vec![], vec![]), "{what}");
        assert_eq!(line.due(at(from - 1)), Some(at(from)), "{what}");
        assert_eq!(ended(from), (vec![run(2)], vec![run(0)], vec![run(1)]), "{what}");
    }
}

#[test]
fn what_has_to_be_read_again_begins_with_the_oldest_that_counts() {
    let mut line = Line::default();
    assert_eq!(line.since(9), None);
    line.ask(run(0), limited(1, 1), at(0), Some(3));
    line.ask(run(1), rated(2, 1, 10), at(0), Some(5));
    line.ask(run(2), limited(1, 1), at(0), None);
    assert_eq!(line.since(7), Some(3));
    begin(&mut line, 0);
    line.end(run(0));
    line.begin(run(2), at(1));
    assert_eq!(line.since(7), Some(5), "the rate still counts the start of one that has begun");
    line.forget(at(10_000));
    assert_eq!(line.since(7), Some(7), "of what is not durable nobody knows the number");
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Ask { key: u8, rate: u8, priority: u8, put_off_ms: u64 },
    Pass(u64),
    End(usize),
    Leave(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let ask = (0..3_u8, 0..3_u8, 0..=9_u8, 0..20_000_u64).prop_map(|(key, rate, priority, ms)| {
        Deed::Ask { key, rate, priority, put_off_ms: ms.saturating_sub(10_000) }
    });
    let other = prop_oneof![
        (1..90_000_u64).prop_map(Deed::Pass),
        (0..8_usize).prop_map(Deed::End),
        (0..20_usize).prop_map(Deed::Leave),
    ];
    proptest::collection::vec(prop_oneof![2 => ask, 2 => other], 1..80)
}

const LIMIT: u32 = 2;
const COUNT: u32 = 3;
const PER_SECONDS: u64 = 30;

/// What begins, and when, with what it was asked for; and what never does.
struct Story {
    began: Vec<(RunId, Ask, Timestamp)>,
    open: BTreeMap<RunId, Ask>,
    asked: BTreeMap<RunId, Timestamp>,
}

fn tell(deeds: &[Deed]) -> Story {
    let (mut line, mut now) = (Line::default(), 0);
    let mut story = Story { began: Vec::new(), open: BTreeMap::new(), asked: BTreeMap::new() };
    let mut asks = BTreeMap::new();
    for (number, deed) in deeds.iter().enumerate() {
        match *deed {
            Deed::Ask { key: one, rate: other, priority, put_off_ms } => {
                let not_before = (put_off_ms > 0).then(|| at(now + put_off_ms));
                let concurrency =
                    Concurrency { key: key(one), limit: LIMIT, when_full: WhenFull::Queue };
                let rate = Rate { key: key(100 + other), count: COUNT, per_seconds: PER_SECONDS };
                let (concurrency, rate) = (Some(concurrency).filter(|_| one > 0), Some(rate));
                let rate = rate.filter(|_| other > 0);
                let ask = Ask { priority, not_before, concurrency, rate };
                line.ask(run(number as u64), ask, at(now), Some(number as u64));
                asks.insert(run(number as u64), ask);
                story.asked.insert(run(number as u64), at(now));
            }
            Deed::Pass(ms) => now += ms,
            Deed::End(place) => {
                if let Some(over) = story.open.keys().nth(place).copied() {
                    story.open.remove(&over);
                    line.end(over);
                }
            }
            Deed::Leave(place) => {
                let gone = line.waiting().nth(place);
                if let Some(gone) = gone {
                    line.leave(gone);
                    story.asked.remove(&gone);
                }
            }
        }
        for began in begin(&mut line, now) {
            story.began.push((began, asks[&began], at(now)));
            story.open.insert(began, asks[&began]);
            for one in 1..3 {
                let same = |ask: &&Ask| ask.concurrency.is_some_and(|it| it.key == key(one));
                assert!(story.open.values().filter(same).count() <= LIMIT as usize);
            }
        }
        line.forget(at(now));
    }
    // Everything that is open ends, and time passes.
    for _ in 0..200 {
        now += 30_000;
        std::mem::take(&mut story.open).into_keys().for_each(|over| line.end(over));
        for began in begin(&mut line, now) {
            story.began.push((began, asks[&began], at(now)));
            story.open.insert(began, asks[&began]);
        }
    }
    assert!(line.is_empty(), "somebody starves");
    story
}

proptest! {
    #[test]
    fn limits_rates_and_times_are_kept_and_everybody_begins_once(deeds in deeds()) {
        let story = tell(&deeds);
        let mut once: Vec<RunId> = story.began.iter().map(|(run, ..)| *run).collect();
        once.sort_unstable();
        let before = once.len();
        once.dedup();
        prop_assert_eq!(before, once.len());
        prop_assert_eq!(once, story.asked.keys().copied().collect::<Vec<_>>());
        for (_, ask, began) in &story.began {
            prop_assert!(ask.not_before.is_none_or(|at| at <= *began));
        }
        for one in 1..3 {
            let same = |ask: &Ask| ask.rate.is_some_and(|it| it.key == key(100 + one));
            let starts: Vec<Timestamp> =
                story.began.iter().filter(|(_, ask, _)| same(ask)).map(|(.., at)| *at).collect();
            for pair in starts.windows(COUNT as usize + 1) {
                let apart = pair.last().unwrap().ms_since(*pair.first().unwrap());
                prop_assert!(apart >= PER_SECONDS * 1_000);
            }
        }
    }

    #[test]
    fn what_an_entry_says_is_what_was_asked_for(key_of in 0..9_u8, priority in 0..=9_u8) {
        let not_before = (key_of > 3).then(|| at(u64::from(key_of)));
        let ask = Ask { priority, not_before, rate: rated(key_of, 7, 60).rate, ..limited(key_of, 3) };
        prop_assert_eq!(Ask::read(&ask.members()), Some(ask));
    }
}

//! Runs that wait for their turn: the log says who does, and nothing else has to be known.

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::admission::asked;
use cog_engine::{Input, Record, What};
use cog_ledger::audit::Audit;
use cog_ledger::{Entry, Kind};
use cog_schedule::Waits;

use crate::house::House;

const ONE: &str = "concurrency: { key: all, limit: 1 }";
const WRITE: &str = "  - { id: a, uses: file.write, with: { root: out, path: a, text: b } }\n";
const WAITS: &str = "  - { id: go, wait_for: { signal: go } }\n";

/// What happened to the runs, in the order of the log.
fn story(house: &House) -> Vec<(Kind, RunId)> {
    let run = |entry: &Entry| entry.session().or(entry.id().and_then(|id| id.parse().ok()));
    let kinds =
        [Kind::SessionQueued, Kind::SessionStarted, Kind::SessionUnqueued, Kind::SessionSealed];
    let log = house.log();
    let entries = log.entries().filter(|entry| kinds.contains(&entry.kind()));
    entries.filter_map(|entry| Some((entry.kind(), run(entry)?))).collect()
}

fn holds(house: &House) {
    let mut audit = Audit::new(0);
    house.log().entries().for_each(|entry| audit.entry(entry));
    assert_eq!(audit.finish().findings.kept(), []);
}

/// Who was called and is not begun yet.
fn called(house: &mut House) -> Vec<RunId> {
    let notices = std::mem::take(&mut house.notices);
    notices.into_iter().filter(|it| it.what == What::Called).map(|it| it.run).collect()
}

/// What was asked for as a run, as the log has it.
fn record(house: &House, run: RunId) -> Record {
    house.record_of(|entry| {
        entry.kind() == Kind::SessionQueued && entry.id() == Some(run.to_string().as_str())
    })
}

/// Whoever drives the engine hands in what was called.
fn hand_in(house: &mut House, run: RunId) {
    let start = asked(&record(house, run)).unwrap();
    house.give(Input::Start(Box::new(start)));
}

fn end(house: &mut House, run: RunId) {
    house.cancel_by(run, "user:operator");
}

#[test]
fn a_run_waits_until_no_more_of_its_key_are_open_than_may() {
    let mut house = House::new();
    let first = house.start_with(ONE, WAITS);
    let second = house.start_with(ONE, WAITS);
    let other = house.start_with("concurrency: { key: other, limit: 1 }", WAITS);
    let kinds = [(Kind::SessionQueued, first), (Kind::SessionStarted, first)];
    let more = [(Kind::SessionQueued, second), (Kind::SessionQueued, other)];
    assert_eq!(story(&house), [&kinds[..], &more[..], &[(Kind::SessionStarted, other)]].concat());
    let queued = What::Queued { waits: Waits::Key(vec![first]), ends: Vec::new() };
    assert!(house.notices.iter().any(|it| it.run == second && it.what == queued));
    assert_eq!(called(&mut house), []);

    end(&mut house, first);
    assert_eq!(called(&mut house), [second]);
    hand_in(&mut house, second);
    assert_eq!(story(&house).last(), Some(&(Kind::SessionStarted, second)));
    holds(&house);
}

#[test]
fn workflows_of_a_domain_share_what_they_say_is_of_the_domain() {
    for (scope, shares) in [("workflow", false), ("domain", true), ("tenant", true)] {
        let mut house = House::new();
        let limit = format!("concurrency: {{ key: all, limit: 1, scope: {scope} }}");
        let first = house.start_with(&limit, WAITS);
        let source = format!("name: other\ndomain: simulation\n{limit}\nsteps:\n{WAITS}");
        let second = house.start_family(&source, &[]);
        let begun = story(&house).contains(&(Kind::SessionStarted, second));
        assert_eq!(begun, !shares, "{scope}");
        end(&mut house, first);
        assert_eq!(called(&mut house), if shares { vec![second] } else { vec![] }, "{scope}");
        holds(&house);
    }
}

#[test]
fn who_is_handed_in_out_of_turn_or_twice_does_not_begin() {
    let mut house = House::new();
    let first = house.start_with(ONE, WAITS);
    let second = house.start_with(ONE, WAITS);
    let third = house.start_with(ONE, WAITS);
    hand_in(&mut house, second);
    end(&mut house, first);
    hand_in(&mut house, third);
    let started = |run| story(&house).contains(&(Kind::SessionStarted, run));
    assert!(!started(second) && !started(third));
    hand_in(&mut house, second);
    hand_in(&mut house, second);
    let begun = (Kind::SessionStarted, second);
    assert_eq!(story(&house).iter().filter(|it| **it == begun).count(), 1);
    holds(&house);
}

#[test]
fn the_log_alone_says_who_waits() {
    let mut house = House::new();
    let first = house.start_with(ONE, WAITS);
    let second = house.start_with(ONE, WAITS);
    house.restart();
    let third = house.start_with(ONE, WAITS);
    house.notices.clear();
    end(&mut house, first);
    assert_eq!(called(&mut house), [second]);
    // It was called, and whoever was to hand it in died.
    house.restart();
    house.give(Input::Look);
    assert_eq!(called(&mut house), [second]);
    hand_in(&mut house, second);
    end(&mut house, second);
    assert_eq!(called(&mut house), [third]);
    holds(&house);
}

#[test]
fn a_run_is_refused_where_as_many_are_open_as_may() {
    let mut house = House::new();
    let refuse = "concurrency: { key: all, limit: 1, when_full: refuse }";
    let first = house.start_with(refuse, WAITS);
    let second = house.start_with(refuse, WAITS);
    let over = [(Kind::SessionQueued, second), (Kind::SessionUnqueued, second)];
    assert_eq!(story(&house)[2..], over);
    let is_told = |it: &cog_engine::Notice| {
        it.run == second
            && matches!(&it.what, What::Unqueued { why: "refused", reason } if reason.contains(&first.to_string()))
    };
    assert!(house.notices.iter().any(is_told));
    end(&mut house, first);
    assert_eq!(called(&mut house), []);
    holds(&house);
}

#[test]
fn one_that_cancels_takes_the_place_of_those_that_are_open_and_of_those_that_wait() {
    let mut house = House::new();
    let cancels = "concurrency: { key: all, limit: 1, when_full: cancel_running }";
    // An effect is under way in the first: it is waited for.
    let first = house.start_with(cancels, WRITE);
    let second = house.start_with(cancels, WAITS);
    let third = house.start_with(cancels, WAITS);
    assert!(story(&house).contains(&(Kind::SessionUnqueued, second)));
    (0..2).for_each(|_| house.give(Input::Look));
    let ends = |it: &cog_engine::Notice| matches!(it.what, What::EndsAlready { .. });
    assert!(!house.notices.iter().any(ends), "it is asked for once");
    assert_eq!(called(&mut house), []);
    house.done("written");
    assert!(story(&house).contains(&(Kind::SessionSealed, first)));
    assert_eq!(called(&mut house), [third]);
    hand_in(&mut house, third);
    assert_eq!(story(&house).last(), Some(&(Kind::SessionStarted, third)));
    holds(&house);
}

#[test]
fn nobody_is_ended_for_one_that_cannot_begin_yet() {
    const CANCELS: &str = "concurrency: { key: all, limit: 1, when_full: cancel_running }
rate: { key: all, count: 1, per_seconds: 10 }";
    for dies in [false, true] {
        let mut house = House::new();
        let first = house.start_with(CANCELS, WAITS);
        let second = house.start_with(CANCELS, WAITS);
        let third = house.start_with(CANCELS, WAITS);
        let over = |house: &House| {
            let story = story(house);
            let over = [(Kind::SessionSealed, first), (Kind::SessionUnqueued, second)];
            over.map(|it| story.contains(&it))
        };
        let (timer, ms) = house.timers.pop().unwrap();
        assert!((10_000..=10_001).contains(&ms), "{ms}");
        house.later(ms - 2);
        house.give(Input::Look);
        assert_eq!(over(&house), [false, false], "as long as its rate holds it back");
        house.later(2);
        if dies {
            house.restart();
            house.give(Input::Look);
        } else {
            house.give(Input::Due(timer));
        }
        assert_eq!(over(&house), [true, true], "the last takes the place of all others");
        assert_eq!(called(&mut house), [third]);
        hand_in(&mut house, third);
        assert_eq!(story(&house).last(), Some(&(Kind::SessionStarted, third)));
        holds(&house);
    }
}

#[test]
fn who_asked_for_a_run_withdraws_it_and_nobody_else() {
    let mut house = House::new();
    let first = house.start_with(ONE, WAITS);
    let second = house.start_with(ONE, WAITS);
    house.cancel_by(second, "user:eve");
    assert!(!story(&house).contains(&(Kind::SessionUnqueued, second)));
    let log = house.log();
    let denial = log.entries().find(|entry| entry.kind() == Kind::Denial).unwrap();
    assert_eq!(denial.data().get("action"), Some(&Value::from("run.withdraw")));
    assert_eq!((denial.session(), denial.actor()), (None, "user:eve"));
    drop(log);
    end(&mut house, second);
    assert!(story(&house).contains(&(Kind::SessionUnqueued, second)));
    end(&mut house, first);
    assert_eq!(called(&mut house), []);
    // It was on its way in.
    hand_in(&mut house, second);
    assert!(!story(&house).contains(&(Kind::SessionStarted, second)));
    holds(&house);
}

#[test]
fn a_rate_and_a_time_are_waited_for() {
    let mut house = House::new();
    let rate = "rate: { key: all, count: 1, per_seconds: 10 }";
    let first = house.start_with(rate, WAITS);
    let second = house.start_with(rate, WAITS);
    assert!(story(&house).contains(&(Kind::SessionStarted, first)));
    assert!(!story(&house).contains(&(Kind::SessionStarted, second)));
    let (timer, ms) = house.timers.pop().unwrap();
    assert!((10_000..=10_001).contains(&ms), "{ms}");
    house.later(ms);
    house.give(Input::Due(timer));
    assert_eq!(called(&mut house), [second]);
    hand_in(&mut house, second);
    assert_eq!(story(&house).last(), Some(&(Kind::SessionStarted, second)));
    holds(&house);
}

#[test]
fn what_cannot_be_recorded_is_not_queued() {
    let mut house = House::new();
    house.start_with(ONE, WAITS);
    house.no_space = true;
    let second = house.start_with(ONE, WAITS);
    let is_stopped =
        |it: &cog_engine::Notice| it.run == second && matches!(it.what, What::Stopped { .. });
    assert!(house.notices.iter().any(is_stopped));
    assert!(!story(&house).iter().any(|(_, run)| *run == second));
}

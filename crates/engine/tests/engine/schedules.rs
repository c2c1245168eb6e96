//! Runs that schedules start: the time and the start are one append, and the log is all there is
//! to know.

use std::collections::BTreeSet;

use cog_base::{Timestamp, Value};
use cog_engine::timetable::{NotFired, Stands, made_by, setting};
use cog_engine::{Firing, Input, Sent, Timetable};
use cog_flow::Signal;
use cog_ledger::Kind;
use cog_ledger::audit::Audit;
use cog_schedule::{Decided, Overlap, Rule, Schedule, Why};

use crate::house::House;

fn tick() -> Schedule {
    Schedule::new("tick", Rule::every(1_000, 0).unwrap())
}

fn timetable(house: &House) -> Timetable {
    let mut timetable = Timetable::default();
    house.log().entries().for_each(|entry| timetable.observe(entry));
    timetable
}

/// Set a schedule of the flow `x`.
fn set(house: &mut House, schedule: &Schedule) {
    let who = "user:ada".parse().unwrap();
    let draft = setting(schedule, ("x", Value::Null), ("lab", "development"), (&who, None));
    house.record(draft);
}

#[test]
fn the_time_and_the_start_of_the_run_are_one_append() {
    let mut house = House::new();
    set(&mut house, &tick());
    let at = house.now().plus_ms(1_000);
    let firing = Firing { schedule: "tick".to_owned(), at, by: None };
    house.hold = true;
    house.firing = Some(firing);
    let run = house.start("  - { id: nap, sleep: { ms: 1 } }\n");
    let (_, drafts) = house.held.front().unwrap();
    let kinds: Vec<Kind> = drafts.iter().map(|(_, draft)| draft.kind).collect();
    assert_eq!(kinds[..2], [Kind::ScheduleFired, Kind::SessionStarted]);
    let fired = &drafts[0].1;
    assert_eq!(fired.session, None);
    assert_eq!(fired.data.get("run"), Some(&run.into()));
    assert_eq!(fired.data.get("at"), Some(&at.into()));
}

#[test]
fn what_is_to_be_done_is_told_by_the_log_alone() {
    let mut house = House::new();
    set(&mut house, &tick());
    let begin = timetable(&house).plans()["tick"].next().unwrap().nominal;
    let firing = Firing { schedule: "tick".to_owned(), at: begin, by: None };
    house.firing = Some(firing);
    let run = house.start("  - { id: paid, wait_for: { signal: payment } }\n");
    let second = |number: u64| begin.plus_ms(number * 1_000);
    let mut table = timetable(&house);
    assert_eq!(table.plans()["tick"].open(), [run]);
    let overlaps = |until| Decided::LeaveOut { until, times: 2, why: Why::Overlap };
    assert_eq!(table.decide("tick", second(2)), Some(overlaps(second(2))));
    let draft = table.plans()["tick"].leaving_out(second(2), 2, "overlap");
    house.record(draft);
    let mut table = timetable(&house);
    assert_eq!(table.decide("tick", second(2)), None, "each time is decided once");
    table.look_after("tick", |_| Ok::<_, ()>(Stands::Over(second(2)))).unwrap();
    assert_eq!(table.decide("tick", second(3)), Some(Decided::Start(second(3))));
    let draft = table.plans()["tick"].not_started(second(3), &"ä".repeat(5_000));
    house.record(draft);
    let (from, payload) = ("user:ada".to_owned(), Value::Null);
    let signal = Signal { id: "1".to_owned(), name: "payment".to_owned(), from, payload };
    house.give(Input::Signal { run, sent: Box::new(Sent { signal, subject: None }) });
    assert!(house.log().entries().any(|entry| entry.kind() == Kind::SessionSealed));
    let draft = table.plans()["tick"].removing(&"user:ada".parse().unwrap());
    house.record(draft);
    assert!(timetable(&house).plans().is_empty());
    set(&mut house, &Schedule { overlap: Overlap::AllowAll, ..tick() });
    let next = timetable(&house).plans()["tick"].next().unwrap().nominal;
    assert!(next > second(3), "what was decided before it was removed stays decided");
    let mut audit = Audit::new(0);
    house.log().entries().for_each(|entry| audit.entry(entry));
    assert_eq!(audit.finish().findings.kept(), []);
}

#[test]
fn the_same_schedule_is_not_set_twice() {
    let mut house = House::new();
    set(&mut house, &tick());
    let (table, ada) = (timetable(&house), "user:ada".parse().unwrap());
    assert!(table.has(&tick(), Value::Null, &ada));
    assert!(!table.has(&tick(), Value::Null, &"user:bob".parse().unwrap()));
    assert!(!table.has(&tick(), "another".into(), &ada));
    assert!(!table.has(&Schedule { jitter_ms: 5, ..tick() }, Value::Null, &ada));
    assert_eq!(table.next(), table.plans()["tick"].next().map(|fire| fire.at));
    assert!(table.next() > Some(Timestamp::MIN));
}

/// Have the schedule `tick` start a run for a time because somebody asks.
fn ask(house: &mut House, at: Timestamp, steps: &str) -> cog_base::id::RunId {
    let by = Some("user:ada".parse().unwrap());
    house.firing = Some(Firing { schedule: "tick".to_owned(), at, by });
    house.start(steps)
}

#[test]
fn a_run_that_somebody_asks_for_decides_no_time_and_is_in_the_way() {
    let mut house = House::new();
    set(&mut house, &tick());
    let begin = timetable(&house).plans()["tick"].next().unwrap().nominal;
    let run = ask(&mut house, begin.plus_ms(5_500), "  - { id: paid, wait_for: { signal: it } }\n");
    let mut table = timetable(&house);
    assert_eq!(table.plans()["tick"].open(), [run]);
    assert_eq!(table.plans()["tick"].next().unwrap().nominal, begin);
    let left = Decided::LeaveOut { until: begin, times: 1, why: Why::Overlap };
    assert_eq!(table.decide("tick", begin), Some(left), "it is open");
    let over = Stands::Over(begin.plus_ms(9_000));
    table.look_after("tick", |_| Ok::<_, ()>(over)).unwrap();
    assert_eq!(table.decide("tick", begin), Some(Decided::Start(begin)), "it came before");
    let mut audit = Audit::new(0);
    house.log().entries().for_each(|entry| audit.entry(entry));
    assert_eq!(audit.finish().findings.kept(), []);
}

#[test]
fn somebody_may_ask_for_times_that_are_decided_and_that_no_run_was_started_for() {
    let mut house = House::new();
    set(&mut house, &tick());
    let begin = timetable(&house).plans()["tick"].next().unwrap().nominal;
    let second = |number: u64| begin.plus_ms(number * 1_000);
    let leave_out = timetable(&house).plans()["tick"].leaving_out(second(3), 4, "missed");
    house.record(leave_out);
    ask(&mut house, second(1), "  - { id: nap, sleep: { ms: 1 } }\n");
    let table = timetable(&house);
    let plan = &table.plans()["tick"];
    let made = house.log().entries().filter_map(|entry| made_by(entry, "tick")).collect();
    assert_eq!(made, BTreeSet::from([second(1)]));
    let before = Timestamp::from_micros(begin.micros() - 3_600_000_000);
    for (at, no) in [
        (before, None),
        (begin, None),
        (begin.plus_ms(1), Some(NotFired::NotNamed(begin.plus_ms(1)))),
        (second(1), Some(NotFired::Made)),
        (second(3), None),
        (second(4), Some(NotFired::Undecided(second(4)))),
    ] {
        assert_eq!(plan.not_for(at, second(20), &made), no, "{at}");
    }
    let draft = plan.pausing(&"user:ada".parse().unwrap(), true);
    house.record(draft);
    let plan = timetable(&house);
    let plan = &plan.plans()["tick"];
    assert_eq!(plan.not_for(second(4), second(4), &made), None, "nothing comes of it by itself");
    assert!(plan.not_for(second(5), second(4), &made).is_some(), "it has not come");
}

//! Schedules of a tenant: each of their times counts once, whoever owns the log.

use std::time::Duration;

use cog_base::id::{MailId, RunId, Uuid};
use cog_base::{Clock as _, Timestamp, Value};
use cog_ledger::{Entry, Kind};
use cog_node::{Fire, Request, Told};

use crate::asking::refusal;
use crate::town::{Now, Town, canon, tenant, wait, wanted};

/// Every second, with these steps.
fn tick(overlap: &str, steps: &str) -> Request {
    let every = ("every_ms", 1_000_u64.into());
    let when = Value::map([("id", Value::from("tick")), every, ("overlap", overlap.into())]);
    Request::Schedule { when, wanted: Box::new(wanted(steps, "/srv/archive")), seen: 0 }
}

fn remove(id: &str) -> Request {
    let who = "user:operator".parse().unwrap();
    Request::Unschedule { schedule: id.to_owned(), who, seen: 0 }
}

fn fired(town: &Town) -> Vec<Entry> {
    let entries = town.entries(tenant(1)).into_iter();
    entries.filter(|entry| entry.kind() == Kind::ScheduleFired).collect()
}

/// How many times the entries decide: each second from the first to the last of them, once.
fn seconds(fired: &[Entry]) -> i64 {
    let at = |entry: &Entry| entry.text("at").unwrap().parse::<Timestamp>().unwrap().micros();
    let mut sum = 0;
    for pair in fired.windows(2) {
        let [before, after] = pair else { panic!() };
        let times = i64::try_from(after.count("times").unwrap_or(1)).unwrap();
        assert_eq!(at(after) - at(before), times * 1_000_000, "{before:?} {after:?}");
        sum += times;
    }
    sum
}

const NAP: &str = "  - { id: nap, sleep: { ms: 1 } }\n";

#[test]
fn each_time_is_fired_once_across_nodes_that_are_overtaken() {
    let town = Town::new();
    town.request(tenant(1), &canon());
    let (one, two) = (town.node("one"), town.node("two"));
    town.request(tenant(1), &tick("allow_all", NAP));
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1_300));
        let taken = "UPDATE cognitionos.owner SET node = 'dead', fence = fence + 1,
            until = clock_timestamp() + interval '1500 milliseconds'";
        town.database().statement(taken).unwrap();
    }
    wait("eight times have come", || fired(&town).len() >= 8);
    let who = "user:eve".parse().unwrap();
    let by_another = Request::Unschedule { schedule: "tick".to_owned(), who, seen: 0 };
    let no = town.request(tenant(1), &by_another);
    assert!(refusal(&town, no).starts_with("It takes user:operator"));
    let no = town.request(tenant(1), &by_another);
    assert!(refusal(&town, no).starts_with("It takes user:operator"));
    let denials = town.entries(tenant(1)).into_iter().filter(|it| it.kind() == Kind::Denial);
    assert_eq!(denials.count(), 1, "the same is on record once");
    town.request(tenant(1), &remove("tick"));
    let nothing = town.request(tenant(1), &remove("tock"));
    assert_eq!(refusal(&town, nothing), "there is no schedule `tock`");
    town.wait_for_empty_mail();
    let fired = fired(&town);
    assert_eq!(seconds(&fired), fired.len() as i64 - 1);
    for entry in &fired {
        let run = entry.text("run").unwrap().parse().unwrap();
        assert_eq!(town.end(tenant(1), run), "completed");
    }
    let starts = town.entries(tenant(1));
    let starts = starts.iter().filter(|entry| entry.kind() == Kind::SessionStarted).count();
    assert_eq!(starts, fired.len());
    one.node.stop();
    two.node.stop();
    town.assert_whole(tenant(1));
}

pub(super) fn what_overlaps_is_left_out_and_what_is_wrong_is_refused(town: &Town) {
    town.request(tenant(1), &canon());
    let house = town.node("one");
    let bad = town.request(tenant(1), &tick("sometimes", NAP));
    assert!(refusal(town, bad).contains("`overlap`"), "{}", refusal(town, bad));
    let waits = tick("skip", "  - { id: paid, wait_for: { signal: payment } }\n");
    // Delivered twice, it is set once.
    for _ in 0..2 {
        town.request(tenant(1), &waits);
        town.wait_for_empty_mail();
    }
    house.wait_for(|told| matches!(told, Told::Fired { run: Ok(_), .. }));
    house.wait_for(|told| matches!(told, Told::Fired { run: Err(why), .. } if why == "overlap"));
    house.node.stop();
    let fired = fired(town);
    assert!(seconds(&fired) > 0);
    assert_eq!(fired.iter().filter(|entry| entry.text("run").is_some()).count(), 1);
    let sets = town.entries(tenant(1));
    assert_eq!(sets.iter().filter(|entry| entry.kind() == Kind::ScheduleSet).count(), 1);
    town.assert_whole(tenant(1));
}

pub(super) fn the_run_before_is_ended_where_the_schedule_says_so(town: &Town) {
    town.request(tenant(1), &canon());
    let house = town.node("one");
    let waits = tick("cancel_other", "  - { id: paid, wait_for: { signal: payment } }\n");
    town.request(tenant(1), &waits);
    for _ in 0..2 {
        house.wait_for(|told| matches!(told, Told::Fired { run: Ok(_), .. }));
    }
    town.request(tenant(1), &remove("tick"));
    town.wait_for_empty_mail();
    house.node.stop();
    let fired = fired(town);
    let first = fired[0].text("run").unwrap().parse().unwrap();
    assert_eq!(town.end(tenant(1), first), "cancelled");
    assert!(seconds(&fired) > 0);
    town.assert_whole(tenant(1));
}

pub(super) fn a_paused_schedule_starts_nothing_and_makes_up_for_nothing(town: &Town) {
    town.request(tenant(1), &canon());
    let house = town.node("one");
    town.request(tenant(1), &tick("allow_all", NAP));
    house.wait_for(|told| matches!(told, Told::Fired { run: Ok(_), .. }));
    let hold = |pauses: bool| {
        let who = "user:operator".parse().unwrap();
        let seen = town.entries(tenant(1)).len() as u64;
        town.request(
            tenant(1),
            &Request::HoldSchedule { schedule: "tick".into(), pauses, who, seen },
        )
    };
    hold(true);
    town.wait_for_empty_mail();
    let paused = fired(town).len();
    let no = hold(true);
    assert_eq!(refusal(town, no), "the schedule `tick` is paused");
    // Whoever has the tenant next knows it.
    house.node.stop();
    let house = town.node("two");
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(fired(town).len(), paused);
    let before = Now.now();
    hold(false);
    house.wait_for(|told| matches!(told, Told::Fired { run: Ok(_), .. }));
    house.node.stop();
    let next: Timestamp = fired(town)[paused].text("at").unwrap().parse().unwrap();
    assert!(next >= before, "{next} {before}: nothing is made up for");
    town.assert_whole(tenant(1));
}

pub(super) fn somebody_has_a_schedule_start_runs_once_for_each_time(town: &Town) {
    town.request(tenant(1), &canon());
    let house = town.node("one");
    let waits = "  - { id: paid, wait_for: { signal: payment } }\n";
    town.request(tenant(1), &tick("skip", waits));
    house.wait_for(|told| matches!(told, Told::Fired { run: Ok(_), .. }));
    house.wait_for(|told| matches!(told, Told::Fired { run: Err(why), .. } if why == "overlap"));
    let fire = |number: u128, who: &str, at: Option<Timestamp>, beside: bool| {
        let run = RunId::from_uuid(Uuid::from_u128(number));
        let (schedule, who) = ("tick".to_owned(), who.parse().unwrap());
        let request = Request::Fire(Box::new(Fire { run, schedule, at, beside, who }));
        let mail = MailId::from_uuid(run.uuid());
        town.post(tenant(1), mail, &request);
        town.wait_for_empty_mail();
        mail
    };
    let left_out = fired(town)[1].text("at").unwrap().parse::<Timestamp>().unwrap();
    let (operator, far) = ("user:operator", left_out.plus_ms(86_400_000));
    for (number, who, at, beside, no) in [
        (1, "user:eve", None, true, "It takes user:operator."),
        (2, operator, None, false, "is not over, and its runs do not overlap"),
        (3, operator, Some(far), true, "is not decided yet"),
        (4, operator, Some(left_out.plus_ms(1)), true, "is none of its times"),
    ] {
        let mail = fire(number, who, at, beside);
        assert!(refusal(town, mail).contains(no), "{no}: {}", refusal(town, mail));
    }
    // Delivered twice, it is one run.
    for _ in 0..2 {
        fire(5, operator, Some(left_out), true);
        fire(6, operator, None, true);
    }
    let again = fire(7, operator, Some(left_out), true);
    assert!(refusal(town, again).contains("a run was started for that time"));
    house.node.stop();
    let asked: Vec<_> = fired(town).into_iter().filter(|it| it.text("by").is_some()).collect();
    let ats: Vec<&str> = asked.iter().map(|it| it.text("at").unwrap()).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(ats[0], left_out.to_string());
    assert!(asked.iter().all(|it| it.text("by") == Some(operator)));
    town.assert_whole(tenant(1));
}

on_each_store! {
    somebody_has_a_schedule_start_runs_once_for_each_time,
    a_paused_schedule_starts_nothing_and_makes_up_for_nothing,
    what_overlaps_is_left_out_and_what_is_wrong_is_refused,
    the_run_before_is_ended_where_the_schedule_says_so,
}

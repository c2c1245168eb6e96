//! Timers and schedules.

use std::time::Duration;

use cog_base::{Timestamp, Value};
use cog_ledger::{Entry, Kind};
use cog_node::{Request, Told};
use cog_sim::{Call, Mishap, Plan, Side, Trap};

use crate::{flow, of_kind, rest, town, town_of, wait_for, write};

const DAY_MS: u64 = 86_400_000;

/// Each time from the first that counts to the last is decided once, whatever fails while one is.
#[test]
fn s07_database_fails_while_a_schedule_is_decided() {
    let calls = [
        (Call::Time, Side::There),
        (Call::Scope, Side::There),
        (Call::Commit, Side::There),
        (Call::Commit, Side::Back),
        (Call::Read, Side::There),
    ];
    for (at, mishap) in calls
        .into_iter()
        .flat_map(|at| [Mishap::Lost, Mishap::Cut(3_000), Mishap::Dies].map(|mishap| (at, mishap)))
    {
        let (town, tenant) = town(2);
        let when = Value::map([
            ("id", Value::from("tick")),
            ("every_ms", 1_000_u64.into()),
            ("overlap", "allow_all".into()),
        ]);
        let wanted = Box::new(town.wanted(&flow("tick", "", &write("w", ""))));
        town.ask(tenant, &Request::Schedule { when, wanted, seen: 0 });
        let fired = |town: &cog_sim::Town| town.count(tenant, Kind::ScheduleFired);
        town.run_until("a time was decided", |town| fired(town) > 0).unwrap();
        for _ in 0..3 {
            town.trap(Trap { node: None, at, after: 2, mishap });
            let before = fired(&town);
            town.run_until("times are decided again", |town| fired(town) > before + 2).unwrap();
        }
        town.disarm();
        let who = "user:operator".parse().unwrap();
        let schedule = "tick".to_owned();
        town.ask(tenant, &Request::Unschedule { schedule, who, seen: 0 });
        town.run_until("it is removed", |town| town.count(tenant, Kind::ScheduleRemoved) == 1)
            .unwrap();
        rest(&town);
        let entries = town.entries(tenant);
        let fired = of_kind(&entries, Kind::ScheduleFired);
        let at = |entry: &Entry| entry.text("at").unwrap().parse::<Timestamp>().unwrap().micros();
        for pair in fired.windows(2) {
            let times = i64::try_from(pair[1].count("times").unwrap_or(1)).unwrap();
            assert_eq!(
                at(pair[1]) - at(pair[0]),
                times * 1_000_000,
                "{at:?} {mishap:?}",
                at = calls
            );
        }
        let begun = fired.iter().filter(|entry| entry.text("run").is_some()).count();
        assert_eq!(of_kind(&entries, Kind::SessionStarted).len(), begun);
        assert_eq!(town.done(tenant), begun as u64);
    }
}

/// A timer of two days, while nodes die that have it: it fires when it is due, once.
#[test]
fn s11_timer_longer_than_any_claim() {
    let lease = Duration::from_secs(4 * 3_600);
    let plan = Plan { lease, events_max: 400_000, ..Plan::staged(3, 2, 1) };
    let (town, tenant) = town_of(plan);
    let steps =
        format!("  - {{ id: nap, sleep: {{ ms: {} }} }}\n", 2 * DAY_MS) + &write("w", "nap");
    let begun = town.now();
    let run = town.start(tenant, &flow("days", "", &steps));
    for _ in 0..2 {
        town.pass(DAY_MS / 2).unwrap();
        let owner = town.owner(tenant).unwrap();
        town.kill(owner, Some(5_000));
    }
    wait_for(&town, tenant, &[run], "completed");
    let took = town.now().ms_since(begun);
    assert!((2 * DAY_MS..2 * DAY_MS + 3_600_000).contains(&took), "{took} ms");
    assert!(town.told().iter().any(|(_, told)| matches!(told, Told::Parked { .. })));
    rest(&town);
    assert_eq!(town.done(tenant), 1);
}

/// What is noted beside the log of runs that nobody has in memory is gone, and so are all nodes.
#[test]
fn s12_armed_timer_and_everything_beside_the_log_is_lost() {
    let (town, tenant) = town(2);
    let steps = "  - { id: nap, sleep: { ms: 90000 } }\n".to_owned() + &write("w", "nap");
    let begun = town.now();
    let run = town.start(tenant, &flow("nap", "", &steps));
    let is_parked = |told: &Told| matches!(told, Told::Parked { .. });
    town.run_until("it has left memory", |town| town.told().iter().any(|(_, it)| is_parked(it)))
        .unwrap();
    town.forget_notes();
    (0..2).for_each(|node| town.kill(node, Some(2_000)));
    wait_for(&town, tenant, &[run], "completed");
    let took = town.now().ms_since(begun);
    assert!((90_000..100_000).contains(&took), "{took} ms");
    rest(&town);
    assert_eq!(town.done(tenant), 1);
}

//! Timers and schedules.

use std::time::Duration;

use cog_base::{Timestamp, Value};
use cog_ledger::{Entry, Kind};
use cog_node::{Request, Told};
use cog_sim::{Call, Mishap, Plan, Side, Town, Trap};

use crate::{flow, of_kind, rest, town, town_of, wait_for, write, writes};

const DAY_MS: u64 = 86_400_000;
const HOUR_S: i64 = 3_600;

/// Each time from the first that counts to the last is decided once, whatever fails while one is.
#[test]
fn s07_database_fails_while_a_schedule_is_decided() {
    let calls = [
        (Call::Renew, Side::There),
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

/// The clock of one node is an hour ahead, that of the other an hour behind. Each takes over from the
/// other while a run sleeps, which sleeps as long as it is to.
#[test]
fn nodes_whose_clocks_are_hours_apart_take_over_from_each_other() {
    for seed in 0..6 {
        let town = Town::new(Plan::staged(seed, 2, 1)).unwrap();
        let tenant = town.tenant(0);
        town.set_clock(0, HOUR_S);
        town.set_clock(1, -HOUR_S);
        town.found(0);
        let steps = write("a", "")
            + "  - { id: nap, needs: [a], sleep: { ms: 30000 } }\n"
            + &write("b", "nap");
        let begun = town.now();
        let run = town.start(tenant, &flow("nap", "", &steps));
        for written in 1..=2 {
            let is_written = |town: &Town| town.count(tenant, Kind::Outcome) >= written;
            town.run_until("a step is done", is_written).unwrap();
            let owner = town.owner(tenant).unwrap();
            town.kill(owner, Some(9_000));
            town.run_until("another life has it", |town| town.owner(tenant).is_some()).unwrap();
            // A life that starts anew has the clock of its machine.
            town.set_clock(owner, if owner == 0 { HOUR_S } else { -HOUR_S });
        }
        wait_for(&town, tenant, &[run], "completed");
        let took = town.now().ms_since(begun);
        assert!((30_000..90_000).contains(&took), "seed {seed}: {took} ms");
        rest(&town);
        for entry in town.entries(tenant) {
            assert!(begun <= entry.at() && entry.at() <= town.now(), "seed {seed}: {entry:?}");
        }
        assert_eq!(town.done(tenant), 2);
    }
}

/// A clock jumps ahead, and before its node hears what time it is something is written by it. Whoever
/// has the log then lets it be until that time has come, and says so.
#[test]
fn log_that_is_dated_ahead_is_let_be_until_its_time_has_come() {
    for dies in [true, false] {
        let (town, tenant) = town(2);
        let run = town.start(tenant, &flow("pages", "", &writes(2)));
        town.run_until("an effect is under way", |town| town.in_hand() > 0).unwrap();
        let owner = town.owner(tenant).unwrap();
        for _ in 0..6 {
            let (at, mishap) = ((Call::Renew, Side::There), Mishap::Lost);
            town.trap(Trap { node: Some(owner), at, after: 0, mishap });
        }
        town.set_clock(owner, 600);
        let ahead =
            |town: &Town| town.entries(tenant).last().unwrap().at().ms_since(town.now()) > 500_000;
        town.run_until("something is dated ahead", ahead).unwrap();
        town.disarm();
        let until = town.entries(tenant).last().unwrap().at();
        if dies {
            town.kill(owner, Some(1_000));
            let stands = "the last entry of its log stands at";
            let why = |(_, told): &(usize, Told)| matches!(told, Told::Stalled { why, .. } if why.contains(stands));
            town.run_until("it is told", |town| town.told().iter().any(why)).unwrap();
        }
        wait_for(&town, tenant, &[run], "completed");
        // Whoever wrote it goes on at the time where it stands.
        let is_waited_for = town.now() >= Timestamp::from_micros(until.micros() - 5_000_000);
        assert_eq!(is_waited_for, dies);
        rest(&town);
        assert_eq!(town.done(tenant), 2);
    }
}

/// Another server takes the place of the database whose clock is behind: nothing is refused, and
/// nothing goes on in the past.
#[test]
fn database_that_goes_on_with_an_earlier_time_has_everybody_wait() {
    for dies in [true, false] {
        let (town, tenant) = town(2);
        let run = town.start(tenant, &flow("pages", "", &writes(3)));
        town.run_until("a step is done", |town| town.count(tenant, Kind::Outcome) > 0).unwrap();
        let before = town.now();
        town.set_back(300_000);
        if dies {
            let owner = town.owner(tenant).unwrap();
            town.kill(owner, Some(1_000));
        }
        wait_for(&town, tenant, &[run], "completed");
        if dies {
            assert!(town.now() >= Timestamp::from_micros(before.micros() - 6_000_000));
        }
        rest(&town);
        assert_eq!(town.done(tenant), 3);
        let entries = town.entries(tenant);
        assert!(entries.is_sorted_by_key(Entry::at));
    }
}

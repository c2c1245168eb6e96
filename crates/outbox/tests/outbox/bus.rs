//! Publish and subscribe in one process.

use std::sync::Arc;
use std::time::Duration;

use cog_conformance::tenant;
use cog_events::{Event, Types};
use cog_outbox::{Bus, Heard, SUBSCRIBERS_MAX, Sink as _, Subscription, TooMany, Verdict};

use crate::house::{events, filled};

const SOON: Duration = Duration::from_millis(0);

fn all() -> Vec<Arc<Event>> {
    events(&filled(1, 3, 2), tenant(1))
}

fn heard(subscription: &Subscription) -> Vec<Heard> {
    let next = || Some(subscription.next(SOON)).filter(|heard| *heard != Heard::Nothing);
    std::iter::from_fn(next).take(1_000).collect()
}

fn seqs(heard: &[Heard]) -> Vec<u64> {
    let seq = |heard: &Heard| match heard {
        Heard::Event(event) => Some(event.seq()),
        Heard::Missed { .. } | Heard::Nothing | Heard::Closed => None,
    };
    heard.iter().filter_map(seq).collect()
}

#[test]
fn three_subscribers_hear_what_each_of_them_wants() {
    let mut bus = Bus::new();
    let billing = bus.subscribe(Types::matching(["workflow.execution.completed"]), 100).unwrap();
    let notifications = bus.subscribe(Types::matching(["workflow.#"]), 100).unwrap();
    let analytics = bus.subscribe(Types::all(), 100).unwrap();
    let all = all();
    assert_eq!(bus.deliver(&all), vec![Verdict::Confirmed; all.len()]);
    let completed: Vec<u64> = all.iter().rev().take(3).rev().map(|event| event.seq()).collect();
    assert_eq!(seqs(&heard(&billing)), completed);
    assert_eq!(seqs(&heard(&notifications)), [&[1, 2, 3], completed.as_slice()].concat());
    let every: Vec<u64> = all.iter().map(|event| event.seq()).collect();
    assert_eq!(seqs(&heard(&analytics)), every);
}

#[test]
fn who_is_too_slow_is_told_what_it_missed_and_hears_on_in_order() {
    let bus = Bus::new();
    let slow = bus.subscribe(Types::all(), 2).unwrap();
    let quick = bus.subscribe(Types::all(), 100).unwrap();
    let all = all();
    all.iter().take(6).for_each(|event| bus.publish(event));
    assert_eq!(seqs(&heard(&quick)), [0, 1, 2, 3, 4, 5]);
    assert!(matches!(slow.next(SOON), Heard::Event(event) if event.seq() == 0));
    // There is room, but what was missed comes first.
    bus.publish(&all[6]);
    assert!(matches!(slow.next(SOON), Heard::Event(event) if event.seq() == 1));
    assert_eq!(slow.next(SOON), Heard::Missed { tenant: tenant(1), entries: 2..7 });
    bus.publish(&all[7]);
    assert_eq!(seqs(&heard(&slow)), [7]);
}

#[test]
fn who_has_left_is_forgotten_and_who_stays_is_told_of_the_end() {
    let bus = Bus::new();
    let stays = bus.subscribe(Types::all(), 10).unwrap();
    for _ in 0..2 * SUBSCRIBERS_MAX {
        bus.subscribe(Types::all(), 10).unwrap();
    }
    bus.publish(&all()[0]);
    drop(bus);
    assert_eq!(seqs(&[stays.next(SOON)]), [0]);
    assert_eq!(stays.next(Duration::from_secs(60)), Heard::Closed);
}

#[test]
fn subscribers_have_a_maximum() {
    let bus = Bus::new();
    let held: Vec<_> = (0..SUBSCRIBERS_MAX).map(|_| bus.subscribe(Types::all(), 1)).collect();
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(bus.subscribe(Types::all(), 1).err(), Some(TooMany));
}

#[test]
fn a_subscriber_waits_until_something_comes() {
    let bus = Bus::new();
    let subscription = bus.subscribe(Types::all(), 10).unwrap();
    let all = all();
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| subscription.next(Duration::from_secs(60)));
        bus.publish(&all[0]);
        assert_eq!(waiting.join().unwrap(), Heard::Event(Arc::clone(&all[0])));
    });
}

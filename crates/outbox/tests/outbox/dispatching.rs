//! Dispatchers over a store, each on its thread.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use cog_base::{Clock, Timestamp};
use cog_conformance::{House, evidence, tenant};
use cog_events::{Event, Types};
use cog_outbox::{Bus, Consumer, Dispatcher, Heard, Notice, Policy, Verdict};
use cog_store::{Cursors as _, Keep, MemoryStore};

use crate::house::{InMemory, events, filled, runs};

/// Goes on by itself, fast: what waits half a minute waits some milliseconds.
struct Hasty(std::time::Instant);

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        let ms = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        Timestamp::from_micros(1_800_000_000_000_000).plus_ms(ms * 100)
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(Hasty(std::time::Instant::now()))
}

fn quiet() -> Box<dyn FnMut(&Notice) + Send> {
    Box::new(|_| {})
}

const LONG: Duration = Duration::from_secs(60);

type Taker = Box<dyn FnMut(&Event) -> Verdict + Send>;

/// A sink that hands what it takes to the test.
fn collector() -> (mpsc::Receiver<u64>, Taker) {
    let (send, receive) = mpsc::channel();
    let take = move |event: &Event| {
        let _ = send.send(event.seq());
        Verdict::Confirmed
    };
    (receive, Box::new(take))
}

fn take(receive: &mpsc::Receiver<u64>, count: usize) -> Vec<u64> {
    let mut seqs: Vec<u64> = (0..count).map(|_| receive.recv_timeout(LONG).unwrap()).collect();
    seqs.sort_unstable();
    seqs
}

#[test]
fn what_is_there_and_what_comes_is_delivered_and_recorded() {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    house.append(tenant(1), runs(2, 1));
    let (receive, sink) = collector();
    let store: Arc<dyn Keep> = house.shared();
    let dispatcher =
        Dispatcher::spawn(Consumer::new("billing"), store, Box::new(sink), clock(), quiet());
    dispatcher.follow(tenant(1), 0);
    assert_eq!(take(&receive, 10), (0..10).collect::<Vec<_>>());
    house.append(tenant(1), [evidence("more")]);
    dispatcher.grew(tenant(1));
    assert_eq!(take(&receive, 1), [10]);
    dispatcher.stop();
    assert_eq!(house.store().cursors(tenant(1)).unwrap()[0].next, 11);
    assert!(receive.try_recv().is_err(), "something came twice");
    // The next life goes on from there.
    house.append(tenant(1), [evidence("and more")]);
    let (receive, sink) = collector();
    let dispatcher = Dispatcher::spawn(
        Consumer::new("billing"),
        house.shared(),
        Box::new(sink),
        clock(),
        quiet(),
    );
    dispatcher.follow(tenant(1), 0);
    assert_eq!(take(&receive, 1), [11]);
}

#[test]
fn a_log_that_nobody_speaks_of_is_looked_at_while_another_grows_all_the_time() {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    house.append(tenant(1), [evidence("first")]);
    house.append(tenant(2), [evidence("busy")]);
    let (receive, sink) = collector();
    let consumer = Consumer::new("billing");
    let dispatcher = Dispatcher::spawn(consumer, house.shared(), Box::new(sink), clock(), quiet());
    dispatcher.follow(tenant(1), 0);
    let first = take(&receive, 1);
    house.append(tenant(1), [evidence("more")]);
    dispatcher.follow(tenant(2), 1);
    let begun = std::time::Instant::now();
    let more = loop {
        dispatcher.grew(tenant(2));
        if let Ok(seq) = receive.recv_timeout(Duration::from_millis(1)) {
            break seq;
        }
        assert!(begun.elapsed() < LONG, "it is not looked at");
    };
    assert_eq!((first, more), (vec![0], 1));
}

#[test]
fn one_that_stands_still_holds_up_no_other() {
    let store = filled(1, 5, 3);
    let all = events(&store, tenant(1)).len();
    let (release, stuck) = mpsc::channel::<()>();
    let stuck = Mutex::new(stuck);
    let stands = move |_: &Event| {
        let _ = stuck.lock().unwrap().recv();
        Verdict::Confirmed
    };
    let shared = || -> Arc<dyn Keep> { Arc::new(store.clone()) };
    let first =
        Dispatcher::spawn(Consumer::new("stuck"), shared(), Box::new(stands), clock(), quiet());
    first.follow(tenant(1), 0);
    let away = |_: &Event| Verdict::Lost("away".to_owned());
    let second =
        Dispatcher::spawn(Consumer::new("away"), shared(), Box::new(away), clock(), quiet());
    second.follow(tenant(1), 0);
    let (receive, sink) = collector();
    let third =
        Dispatcher::spawn(Consumer::new("quick"), shared(), Box::new(sink), clock(), quiet());
    third.follow(tenant(1), 0);
    assert_eq!(take(&receive, all).len(), all);
    drop(release);
    drop((first, second, third));
    let next = |name: &str| {
        let cursors = store.cursors(tenant(1)).unwrap();
        cursors.into_iter().find(|cursor| cursor.consumer == name).unwrap().next
    };
    assert_eq!((next("quick"), next("away")), (all as u64, 0));
}

#[test]
fn a_dead_letter_is_revived_when_the_consumer_takes_it_after_all() {
    let store = filled(1, 1, 1);
    let takes = Arc::new(Mutex::new(false));
    let (send, receive) = mpsc::channel();
    let ready = Arc::clone(&takes);
    let sink = move |event: &Event| {
        if event.seq() == 2 && !*ready.lock().unwrap() {
            return Verdict::Refused("no queue".to_owned());
        }
        let _ = send.send(event.seq());
        Verdict::Confirmed
    };
    let (tell, told) = mpsc::channel();
    let watch = move |notice: &Notice| drop(tell.send(notice.clone()));
    let policy = Policy { backoff_ms: 1, ..Policy::default() };
    let consumer = Consumer { policy, ..Consumer::new("billing") };
    let keep: Arc<dyn Keep> = Arc::new(store.clone());
    let dispatcher = Dispatcher::spawn(consumer, keep, Box::new(sink), clock(), Box::new(watch));
    dispatcher.follow(tenant(1), 0);
    assert_eq!(take(&receive, 5), [0, 1, 3, 4, 5]);
    let given_up = told.recv_timeout(LONG).unwrap();
    assert!(matches!(given_up, Notice::GivenUp { seq: 2, .. }), "{given_up:?}");
    let letters = || store.dead_letters(tenant(1), "billing", 0, 10).unwrap();
    let begun = std::time::Instant::now();
    while letters().is_empty() {
        assert!(begun.elapsed() < LONG, "it is not recorded");
        std::thread::yield_now();
    }
    assert_eq!(letters()[0].why, "no queue");
    *takes.lock().unwrap() = true;
    dispatcher.revive(tenant(1));
    assert_eq!(take(&receive, 1), [2]);
    dispatcher.stop();
    assert!(letters().is_empty());
    assert_eq!(store.cursors(tenant(1)).unwrap()[0].next, 6);
}

#[test]
fn the_bus_gets_what_it_has_subscribers_for_and_a_new_one_begins_at_the_end() {
    let store = filled(1, 2, 1);
    let bus = Bus::new();
    let subscription = bus.subscribe(Types::all(), 100).unwrap();
    let types = Types::matching(["workflow.execution.completed"]);
    let consumer = Consumer { types, ..Consumer::new("bus") };
    let keep: Arc<dyn Keep> = Arc::new(store);
    let dispatcher = Dispatcher::spawn(consumer, keep, Box::new(bus.clone()), clock(), quiet());
    dispatcher.follow(tenant(1), 9);
    match subscription.next(LONG) {
        Heard::Event(event) => assert_eq!(event.seq(), 9),
        other => panic!("{other:?}"),
    }
    drop(dispatcher);
    assert_eq!(subscription.next(Duration::ZERO), Heard::Nothing);
}

#[test]
fn who_takes_a_cursor_ends_the_one_who_had_it() {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    house.append(tenant(1), [evidence("1")]);
    let (tell, told) = mpsc::channel();
    let watch = move |notice: &Notice| drop(tell.send(notice.clone()));
    let (old, sink) = collector();
    let first = Dispatcher::spawn(
        Consumer::new("billing"),
        house.shared(),
        Box::new(sink),
        clock(),
        Box::new(watch),
    );
    first.follow(tenant(1), 0);
    assert_eq!(take(&old, 2), [0, 1]);
    // Until it is recorded.
    while house.store().cursors(tenant(1)).unwrap()[0].next < 2 {
        std::thread::yield_now();
    }
    house.store().set_cursor(tenant(1), "billing", 1).unwrap();
    house.append(tenant(1), [evidence("2")]);
    first.grew(tenant(1));
    assert_eq!(told.recv_timeout(LONG).unwrap(), Notice::Overtaken { tenant: tenant(1) });
    let (new, sink) = collector();
    let second = Dispatcher::spawn(
        Consumer::new("billing"),
        house.shared(),
        Box::new(sink),
        clock(),
        quiet(),
    );
    second.follow(tenant(1), 0);
    assert_eq!(take(&new, 2), [1, 2]);
}

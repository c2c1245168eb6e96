//! The broker is killed during load, twice, and comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cog_base::json::{Value, parse};
use cog_base::{Clock, Timestamp};
use cog_conformance::{House, tenant};
use cog_events::{Inbox, check};
use cog_outbox::{Consumer as To, Dispatcher, Policy};
use cog_services::rabbitmq::Broker;
use cog_store::{Cursors as _, MemoryStore};

use crate::consumer::{Consumer, LONG};
use crate::place::{InMemory, begin, end, events, grow, options, sink};

const ROUNDS: u64 = 90;

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let ms = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        Timestamp::from_micros(1_800_000_000_000_000).plus_ms(ms)
    }
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).unwrap().as_text().unwrap()
}

#[test]
fn a_broker_that_is_killed_during_load_gets_every_event_and_runs_keep_their_order() {
    let broker = Broker::start().unwrap();
    let url = broker.url();
    let options = options(&url);
    let queue = format!("{}.all", options.exchange);
    let mut sink = sink(&options);
    sink.make_queue(&queue, &["#"]).unwrap();
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    begin(&mut house);
    // Quick to try again, so that the test is short.
    let policy = Policy { open_ms: 1_000, backoff_ms: 50, batch_max: 16, ..Policy::default() };
    let to = To { policy, ..To::new("rabbit") };
    let clock = Arc::new(Wall(Instant::now()));
    let dispatcher = Dispatcher::spawn(to, house.shared(), Box::new(sink), clock, Box::new(|_| {}));
    dispatcher.follow(tenant(1), 0);
    let total = usize::try_from(1 + 5 + ROUNDS * 11 + 5).unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    let consumer = Consumer::new(&url, &queue);
    let listener = std::thread::spawn(move || {
        consumer.take_until(&kept, |taken| ids(taken).len() >= total);
    });
    for round in 0..ROUNDS {
        grow(&mut house, round..round + 1);
        dispatcher.grew(tenant(1));
        if round == ROUNDS / 3 || round == 2 * ROUNDS / 3 {
            // In the middle of what was just said to have grown.
            wait_for(|| taken.lock().unwrap().len() > usize::try_from(round).unwrap());
            broker.kill().unwrap();
            broker.restart().unwrap();
        }
    }
    end(&mut house);
    dispatcher.grew(tenant(1));
    listener.join().unwrap();
    let done = place.0.scope_size();
    wait_for(|| place.0.cursors(tenant(1)).unwrap()[0].next == done);
    dispatcher.stop();
    let cursor = place.0.cursors(tenant(1)).unwrap().remove(0);
    assert_eq!((cursor.next, cursor.dead_letters), (done, 0));
    compare(&place.0, &taken.lock().unwrap());
}

trait Size {
    fn scope_size(&self) -> u64;
}

impl Size for MemoryStore {
    fn scope_size(&self) -> u64 {
        events(self).len() as u64
    }
}

fn ids(taken: &[String]) -> BTreeSet<String> {
    taken.iter().map(|one| text(&parse(one).unwrap(), "id").to_owned()).collect()
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "it does not come to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What came is what the log says: with duplicates that are the same, and without them each
/// once and those of a run in their order.
fn compare(store: &MemoryStore, taken: &[String]) {
    let mut inbox = Inbox::remembering(100_000);
    let mut once: BTreeMap<String, String> = BTreeMap::new();
    let mut lanes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in taken {
        let event = parse(one).unwrap();
        check(&event).unwrap();
        let id = text(&event, "id").to_owned();
        if inbox.take(&id) {
            let lane = lanes.entry(text(&event, "partitionkey").to_owned()).or_default();
            lane.push(text(&event, "sequence").to_owned());
            once.insert(id, one.clone());
        } else {
            assert_eq!(once.get(&id), Some(one), "another event of the same id");
        }
    }
    assert!(lanes.values().all(|lane| lane.is_sorted()), "out of order");
    let all = events(store);
    assert_eq!(once.len(), all.len());
    for event in all {
        assert_eq!(once.get(event.id()).map(String::as_str), Some(event.json()));
    }
}

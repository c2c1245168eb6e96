//! Logs to deliver from, and names at a broker that no other test uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cog_conformance::{House, Place, evidence, outcome, receipt, run, sealed, started, tenant};
use cog_events::{Event, Types};
use cog_outbox::page;
use cog_outbox_amqp::{AmqpSink, Options};
use cog_store::{Keep, MemoryStore, PAGE_MAX, Store as _};

pub(crate) struct InMemory(pub(crate) MemoryStore);

impl Place for InMemory {
    fn open(&self) -> Arc<dyn Keep> {
        Arc::new(self.0.clone())
    }
}

/// So many entries of five runs and of none, in turn.
pub(crate) fn grow(house: &mut House<'_>, rounds: std::ops::Range<u64>) {
    for round in rounds {
        let drafts = (1..=5).flat_map(|number| {
            let id = number * 100_000 + round;
            [receipt(run(number), id), outcome(run(number), id)]
        });
        house.append(tenant(1), drafts.chain([evidence(&format!("round {round}"))]));
    }
}

pub(crate) fn begin(house: &mut House<'_>) {
    house.append(tenant(1), (1..=5).map(|number| started(run(number))));
}

pub(crate) fn end(house: &mut House<'_>) {
    house.append(tenant(1), (1..=5).map(|number| sealed(run(number), "completed")));
}

pub(crate) fn events(store: &MemoryStore) -> Vec<Arc<Event>> {
    let log = store.scope(tenant(1)).unwrap();
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let page = page(&*log, from, PAGE_MAX, &Types::all()).unwrap();
        if page.next == from {
            return all;
        }
        from = page.next;
        all.extend(page.events);
    }
}

/// The events of a small log: one run of one effect, and what is around it.
pub(crate) fn few() -> Vec<Arc<Event>> {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    house.append(tenant(1), [started(run(1)), receipt(run(1), 1), outcome(run(1), 1)]);
    house.append(tenant(1), [sealed(run(1), "completed"), evidence("after")]);
    drop(house);
    events(&place.0)
}

/// An exchange of a test's own.
pub(crate) fn options(url: &str) -> Options {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let exchange = format!("test.{}.{number}", std::process::id());
    Options { exchange, ..Options::new(url) }
}

pub(crate) fn sink(options: &Options) -> AmqpSink {
    AmqpSink::new(options.clone()).unwrap()
}

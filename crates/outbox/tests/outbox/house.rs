//! Logs to deliver from.

use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::id::TenantId;
use cog_conformance::{House, Place, evidence, outcome, receipt, run, sealed, started, tenant};
use cog_events::{Event, Types};
use cog_ledger::Draft;
use cog_outbox::page;
use cog_store::{Keep, MemoryStore, PAGE_MAX};

pub(crate) struct InMemory(pub(crate) MemoryStore);

impl Place for InMemory {
    fn open(&self) -> Arc<dyn Keep> {
        Arc::new(self.0.clone())
    }
}

/// A moment so many milliseconds into the tests.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).plus_ms(ms)
}

/// Runs of a log, their entries interleaved, with something outside runs between them.
pub(crate) fn runs(count: u64, effects: u64) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = (1..=count).map(|number| started(run(number))).collect();
    for effect in 0..effects {
        for number in 1..=count {
            drafts.push(receipt(run(number), number * 1_000 + effect));
        }
        drafts.push(evidence(&format!("between {effect}")));
        for number in 1..=count {
            drafts.push(outcome(run(number), number * 1_000 + effect));
        }
    }
    drafts.extend((1..=count).map(|number| sealed(run(number), "completed")));
    drafts
}

/// A store with such logs for tenants 1 to `tenants`.
pub(crate) fn filled(tenants: u64, count: u64, effects: u64) -> MemoryStore {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    for number in 1..=tenants {
        house.append(tenant(number), runs(count, effects));
    }
    drop(house);
    place.0
}

/// All events of a log.
pub(crate) fn events(store: &dyn Keep, tenant: TenantId) -> Vec<Arc<Event>> {
    let log = store.scope(tenant).unwrap();
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let page = page(&*log, from, PAGE_MAX, &Types::all()).unwrap();
        if page.next == from {
            return all;
        }
        from = page.next;
        all.extend(page.events);
    }
}

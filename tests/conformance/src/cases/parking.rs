//! Runs that nobody has in memory, and when they go on by themselves.

#![expect(missing_docs, reason = "the name of a case is the sentence that it holds")]

use std::sync::Arc;

use cog_base::entropy::SeededEntropy;
use cog_base::id::RunId;
use cog_base::{Clock as _, Timestamp};
use cog_ledger::{Draft, Shelf, Writer};
use cog_store::{After, Claim, Parked, Shared, StoreError};

use crate::{SharedPlace, Stopped, claimed, evidence, run, sealed, started, tenant};

/// A store, its writer, and the claim on the first tenant.
struct Desk {
    store: Arc<dyn Shared>,
    writer: Writer<Box<dyn Shelf + Send>>,
    claim: Claim,
}

impl Desk {
    fn at(place: &dyn SharedPlace) -> Self {
        let store = place.share();
        let claim = claimed(&*store, 1);
        let (shelf, keys) = (store.shelf().unwrap(), store.signing_keys().unwrap());
        Self { store, writer: Writer::new(shelf, keys, "cognitionos/test"), claim }
    }

    /// With runs of these numbers begun.
    fn with(place: &dyn SharedPlace, runs: &[u64]) -> Self {
        let mut desk = Self::at(place);
        desk.append(runs.iter().map(|number| started(run(*number))).collect());
        desk
    }

    fn append(&mut self, drafts: Vec<Draft>) {
        let drafts = drafts.into_iter().map(|draft| (tenant(1), draft)).collect();
        self.writer.append(drafts, Stopped.now(), &mut SeededEntropy::new(3)).unwrap();
    }

    fn park(&self, number: u64, wake: Option<i64>) {
        let wake = wake.map(at);
        self.store.park(&self.claim, &[Parked { run: run(number), wake }]).unwrap();
    }

    fn due(&self, until: i64, limit: u32) -> Vec<RunId> {
        self.store.unpark(&self.claim, at(until), limit).unwrap()
    }

    fn awake(&self) -> Vec<RunId> {
        self.store.awake(tenant(1)).unwrap()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.store.next_wake(tenant(1)).unwrap()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_900_000_000_000_000 + seconds * 1_000_000)
}

pub fn those_that_are_open_are_awake_in_their_order(place: &dyn SharedPlace) {
    let mut desk = Desk::with(place, &[3, 1, 2]);
    assert_eq!(desk.awake(), [3, 1, 2].map(run));
    desk.append(vec![sealed(run(1), "completed")]);
    assert_eq!(desk.awake(), [3, 2].map(run));
    assert_eq!(desk.store.awake(tenant(2)).unwrap(), [], "each tenant has its own");
}

pub fn the_first_due_comes_first(place: &dyn SharedPlace) {
    let desk = Desk::with(place, &[1, 2, 3, 4]);
    desk.park(1, Some(30));
    desk.park(2, Some(10));
    desk.park(3, None);
    assert_eq!((desk.awake(), desk.next_wake()), (vec![run(4)], Some(at(10))));
    assert_eq!(desk.due(9, 8), []);
    assert_eq!(desk.due(30, 1), [run(2)]);
    assert_eq!((desk.awake(), desk.next_wake()), (vec![run(2), run(4)], Some(at(30))));
    assert_eq!(desk.due(30, 8), [run(1)]);
    assert_eq!((desk.due(30, 8), desk.next_wake()), (vec![], None));
    assert_eq!(desk.awake(), [1, 2, 4].map(run));
}

pub fn one_that_is_parked_again_has_the_later_time(place: &dyn SharedPlace) {
    let desk = Desk::with(place, &[1]);
    desk.park(1, Some(10));
    desk.park(1, Some(20));
    assert_eq!((desk.due(10, 8), desk.due(20, 8)), (vec![], vec![run(1)]));
}

pub fn whatever_is_recorded_takes_it_back(place: &dyn SharedPlace) {
    let mut desk = Desk::with(place, &[1, 2, 3]);
    for number in 1..=3 {
        desk.park(number, Some(10));
    }
    let of_run = Draft { session: Some(run(2)), ..evidence("heard") };
    desk.append(vec![of_run, sealed(run(3), "completed")]);
    assert_eq!(desk.awake(), [run(2)]);
    assert_eq!(desk.due(10, 8), [run(1)]);
}

pub fn one_that_has_ended_is_not_parked(place: &dyn SharedPlace) {
    let mut desk = Desk::with(place, &[1]);
    desk.append(vec![sealed(run(1), "completed")]);
    desk.park(1, Some(1));
    desk.park(9, Some(1));
    assert_eq!((desk.next_wake(), desk.due(1, 8), desk.awake()), (None, vec![], vec![]));
}

pub fn they_stay_parked_when_the_store_is_closed(place: &dyn SharedPlace) {
    let desk = Desk::with(place, &[1, 2]);
    desk.park(1, Some(10));
    drop(desk);
    let desk = Desk::at(place);
    assert_eq!((desk.awake(), desk.next_wake()), (vec![run(2)], Some(at(10))));
}

pub fn who_gave_a_tenant_back_parks_nothing_of_it(place: &dyn SharedPlace) {
    let desk = Desk::with(place, &[1]);
    desk.store.release(tenant(1), After::Stopping).unwrap();
    let again = claimed(&*desk.store, 1);
    let is_owned = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::Owned { .. })), "{result:?}");
    };
    let parked = [Parked { run: run(1), wake: Some(at(1)) }];
    is_owned(desk.store.park(&desk.claim, &parked));
    desk.store.park(&again, &parked).unwrap();
    is_owned(desk.store.unpark(&desk.claim, at(1), 8).map(drop));
    assert_eq!(desk.store.unpark(&again, at(1), 8).unwrap(), [run(1)]);
}

//! Runs that nobody has in memory, and when they go on by themselves.

use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_conformance::{run, sealed, started, tenant};
use cog_ledger::{Draft, Writer};
use cog_store::{Parked, Shared as _, Store, StoreError};
use cog_store_postgres::PostgresStore;

use crate::place::Database;

fn node(database: &Database, name: &str) -> PostgresStore {
    let mut options = database.options(name);
    options.claims_itself = false;
    database.node(options)
}

fn append(store: &PostgresStore, drafts: Vec<Draft>) {
    let shelf = store.shelf().unwrap();
    let mut writer = Writer::new(shelf, store.signing_keys().unwrap(), "cognitionos/test");
    let drafts = drafts.into_iter().map(|draft| (tenant(1), draft)).collect();
    writer.append(drafts, Timestamp::MIN, &mut SeededEntropy::new(3)).unwrap();
}

fn at(ms: u64) -> Timestamp {
    Timestamp::MIN.plus_ms(ms)
}

#[test]
fn parked_runs_come_back_when_they_are_due_or_something_is_recorded_of_them() {
    let database = Database::new();
    let one = node(&database, "one");
    let claim = one.claim(tenant(1)).unwrap();
    append(&one, (1..=4).map(|number| started(run(number))).collect());
    let awake = || one.awake(tenant(1)).unwrap();
    assert_eq!(awake(), [1, 2, 3, 4].map(run));
    let parked = [(1, Some(at(30))), (2, Some(at(10))), (3, None)];
    let parked = parked.map(|(number, wake)| Parked { run: run(number), wake });
    one.park(&claim, &parked).unwrap();
    assert_eq!(awake(), [run(4)]);
    assert_eq!(one.next_wake(tenant(1)).unwrap(), Some(at(10)));
    assert_eq!(one.unpark(&claim, at(9), 8).unwrap(), []);
    assert_eq!(one.unpark(&claim, at(30), 1).unwrap(), [run(2)], "the first due first");
    assert_eq!(one.unpark(&claim, at(30), 8).unwrap(), [run(1)]);
    assert_eq!(one.next_wake(tenant(1)).unwrap(), None);
    assert_eq!(awake(), [1, 2, 4].map(run));
    // What is recorded of a run takes it back.
    append(&one, vec![started(run(5)), sealed(run(3), "completed")]);
    one.park(&claim, &[Parked { run: run(3), wake: Some(at(1)) }]).unwrap();
    assert_eq!(one.next_wake(tenant(1)).unwrap(), None, "it has ended");
    assert_eq!(awake(), [1, 2, 4, 5].map(run));
    assert_eq!(one.awake(tenant(2)).unwrap(), [], "each tenant has its own");
}

#[test]
fn who_has_lost_a_tenant_parks_nothing_of_it() {
    let database = Database::new();
    let (one, two) = (node(&database, "one"), node(&database, "two"));
    let claim = one.claim(tenant(1)).unwrap();
    append(&one, vec![started(run(1))]);
    database.admin("UPDATE cognitionos.owner SET until = clock_timestamp()");
    two.claim(tenant(1)).unwrap();
    let is_owned = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::Owned { ref owner, .. }) if owner == two.node()));
    };
    is_owned(one.park(&claim, &[Parked { run: run(1), wake: None }]));
    is_owned(one.unpark(&claim, at(1), 8).map(drop));
    assert_eq!(two.awake(tenant(1)).unwrap(), [run(1)]);
}

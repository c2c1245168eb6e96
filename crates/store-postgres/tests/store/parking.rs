//! Runs that nobody has in memory, and when they go on by themselves.

use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_conformance::{run, started, tenant};
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

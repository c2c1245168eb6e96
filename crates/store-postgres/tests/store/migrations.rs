//! Migrations go forward and back over data, and only over what this release knows.

use cog_conformance::{House, Place as _, evidence, tenant};
use cog_services::postgres::shared_url;
use cog_store::StoreError;
use cog_store_postgres::{MIGRATION_LATEST, Migrated, PostgresStore, migrate};

use crate::place::{APPLICATION, Database, OWNER, entropy};

fn empty() -> Database {
    Database::empty(&shared_url("{database}").unwrap())
}

fn go(database: &Database, to: usize) -> Result<Migrated, StoreError> {
    migrate(&database.url(OWNER), APPLICATION, to)
}

/// Tables, columns, indexes, policies and rights, to compare.
fn shape(database: &Database) -> Vec<String> {
    let all = "SELECT x FROM (
        SELECT format('%s.%s %s %s', table_name, column_name, data_type, is_nullable) x
            FROM information_schema.columns WHERE table_schema = 'cognitionos'
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'cognitionos'
        UNION ALL SELECT format('%s %s %s', tablename, policyname, qual) FROM pg_policies
        UNION ALL SELECT format('%s %s %s', table_name, grantee, privilege_type)
            FROM information_schema.role_table_grants WHERE table_schema = 'cognitionos'
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'cognitionos'::regnamespace
    ) all_of_it ORDER BY x";
    database.admin(all)
}

#[test]
fn forward_and_back_and_forward_again_is_as_forward_once() {
    let database = empty();
    assert_eq!(
        go(&database, MIGRATION_LATEST).unwrap(),
        Migrated { from: 0, to: MIGRATION_LATEST }
    );
    let whole = shape(&database);
    for to in (0..MIGRATION_LATEST).rev() {
        go(&database, to).unwrap();
        let part = shape(&database);
        assert!(part.len() < whole.len(), "going back to {to} leaves less");
        go(&database, MIGRATION_LATEST).unwrap();
        assert_eq!(shape(&database), whole, "from {to}");
    }
    go(&database, 0).unwrap();
    let left = shape(&database);
    assert!(left.iter().all(|one| one.contains("migration")), "{left:?}");
    assert_eq!(go(&database, 0).unwrap(), Migrated { from: 0, to: 0 });
}

#[test]
fn logs_survive_going_back_and_forward() {
    let database = empty();
    go(&database, MIGRATION_LATEST).unwrap();
    let mut house = House::at(&database);
    house.append(tenant(1), [evidence("1"), evidence("2")]);
    let before = house.entries(tenant(1));
    drop(house);
    go(&database, 1).unwrap();
    let error = PostgresStore::open(database.options("one"), entropy()).map(drop).unwrap_err();
    assert!(error.to_string().contains("before its owner migrates it"), "{error}");
    go(&database, MIGRATION_LATEST).unwrap();
    let mut house = House::at(&database);
    assert_eq!(house.entries(tenant(1)), before);
    house.append(tenant(1), [evidence("3")]);
    assert_eq!(house.entries(tenant(1)).len(), 4);
}

#[test]
fn going_back_over_logs_is_refused_and_leaves_everything() {
    let database = empty();
    go(&database, MIGRATION_LATEST).unwrap();
    House::at(&database).append(tenant(1), [evidence("1")]);
    assert!(go(&database, 0).is_err());
    // What was undone before it came to the logs is brought back.
    go(&database, MIGRATION_LATEST).unwrap();
    assert_eq!(House::at(&database).entries(tenant(1)).len(), 2);
}

#[test]
fn what_was_moved_away_is_not_here_again_by_going_back() {
    let (database, log) = (empty(), tenant(1));
    go(&database, 5).unwrap();
    database.admin(
        "INSERT INTO cognitionos.owner VALUES
        ('00000000000000000000000000000001', NULL, 7, '-infinity', true, 2)",
    );
    go(&database, MIGRATION_LATEST).unwrap();
    let owner = "SELECT concat_ws(' ', fence, calls, wanted, place IS NULL, place_until)
        FROM cognitionos.owner";
    assert_eq!(database.admin(owner), ["7 2 t t -infinity"]);
    let store = database.node(database.options("one"));
    store.send_to(log, "east").unwrap();
    let error = go(&database, 5).unwrap_err();
    assert!(format!("{error:?}").contains("bring them back first"), "{error:?}");
    database.admin("UPDATE cognitionos.owner SET place = NULL, elsewhere = NULL");
    go(&database, 5).unwrap();
    go(&database, MIGRATION_LATEST).unwrap();
    assert_eq!(database.admin(owner).len(), 2);
}

#[test]
fn a_database_of_a_later_release_is_refused() {
    let database = empty();
    go(&database, MIGRATION_LATEST).unwrap();
    database.admin("INSERT INTO cognitionos.migration VALUES (99, '0099_later', '')");
    let open = PostgresStore::open(database.options("one"), entropy()).map(drop);
    for error in [open.unwrap_err(), go(&database, 1).unwrap_err(), go(&empty(), 99).unwrap_err()] {
        assert!(matches!(error, StoreError::TooNew { .. }), "{error:?}");
    }
}

#[test]
fn a_migration_that_is_not_the_released_one_is_refused() {
    let database = empty();
    go(&database, MIGRATION_LATEST).unwrap();
    database.admin("UPDATE cognitionos.migration SET digest = '\\x00' WHERE number = 1");
    let open = PostgresStore::open(database.options("one"), entropy()).map(drop);
    for error in [open.unwrap_err(), go(&database, 1).unwrap_err()] {
        assert!(error.to_string().contains("0001_ledger"), "{error}");
    }
}

#[test]
fn a_database_without_tables_says_so() {
    let database = empty();
    let error = PostgresStore::open(database.options("one"), entropy()).map(drop).unwrap_err();
    assert!(error.to_string().contains("before its owner migrates it"), "{error}");
}

#[test]
fn two_that_migrate_at_once_do_it_once() {
    let database = empty();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| go(&database, MIGRATION_LATEST).unwrap());
        }
    });
    drop(database.open());
}

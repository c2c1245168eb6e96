//! Who may open a folder, and what must be in it.

use std::os::unix::fs::PermissionsExt as _;

use cog_conformance::{House, body, evidence, tenant, with_body};
use cog_store::{Cursors as _, Keep as _, Select, Shared as _, Store as _, StoreError};
use cog_store_sqlite::Mode;

use crate::Folder;

fn set_mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_folder_and_its_keys_are_for_the_owner_alone() {
    let folder = Folder::new();
    drop(folder.store());
    assert_eq!(mode(&folder.data("")), 0o700);
    assert_eq!(mode(&folder.data("keys")), 0o700);
    assert_eq!(mode(&folder.data("keys/master.key")), 0o600);
    for file in ["keys/high-water", "ledger.db", "ledger.db-wal", "ledger.db-shm", "lock"] {
        assert_eq!(mode(&folder.data(file)), 0o600, "{file}");
    }
}

#[test]
fn keys_that_others_can_get_at_are_refused_with_the_remedy() {
    let folder = Folder::new();
    drop(folder.store());
    for (path, open, closed) in [("keys/master.key", 0o640, 0o600), ("keys", 0o701, 0o700)] {
        set_mode(&folder.data(path), open);
        for mode in [Mode::ReadWrite, Mode::ReadOnly] {
            let error = folder.try_open(mode).err().unwrap();
            assert!(matches!(error, StoreError::Permissions { .. }), "{error}");
            assert!(error.advice().starts_with(&format!("Run: chmod {closed:o} ")), "{error}");
        }
        set_mode(&folder.data(path), closed);
    }
    assert!(folder.try_open(Mode::ReadWrite).is_ok());
}

#[test]
fn one_process_writes_and_the_refusal_names_it() {
    let folder = Folder::new();
    let store = folder.store();
    let error = folder.try_open(Mode::ReadWrite).err().unwrap();
    let own = std::process::id().to_string();
    assert!(matches!(&error, StoreError::InUse { holder, .. } if *holder == own), "{error}");
    assert!(error.advice().contains(&own));
    drop(store);
    assert!(folder.try_open(Mode::ReadWrite).is_ok());
}

#[test]
fn others_read_while_one_writes() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    house.append(tenant(1), [with_body(evidence("1"), Some("user:ada"), body(9))]);
    let reader = folder.try_open(Mode::ReadOnly).unwrap();
    let other = folder.try_open(Mode::ReadOnly).unwrap();
    for size in 3..20 {
        house.append(tenant(1), [evidence("more")]);
        for store in [&reader, &other] {
            let scope = store.scope(tenant(1)).unwrap();
            assert_eq!(scope.tail().unwrap().unwrap().frontier.size(), size);
            assert_eq!(scope.body(1).unwrap().unwrap().bytes, body(9));
        }
    }
    house.store().erase(tenant(1), "user:ada").unwrap();
    assert!(reader.scope(tenant(1)).unwrap().body(1).unwrap().is_none());
    drop(house);
    assert_eq!(reader.scope(tenant(1)).unwrap().select(&Select::default()).unwrap().len(), 19);
}

#[test]
fn what_is_open_for_reading_cannot_be_written() {
    let folder = Folder::new();
    drop(folder.store());
    let store = folder.try_open(Mode::ReadOnly).unwrap();
    let refused = |result: Option<StoreError>| matches!(result, Some(StoreError::ReadOnly));
    assert!(refused(store.shelf().err()) && refused(store.signing_keys().err()));
    assert!(refused(store.erase(tenant(1), "user:ada").err()));
    assert!(refused(store.prune_entries(tenant(1), 1).err()));
    assert!(refused(store.prune_bodies(tenant(1), 1).err()));
    let digest = cog_base::Digest::of(&[]);
    assert!(refused(store.put_canon(tenant(1), digest, &Default::default()).err()));
}

#[test]
fn reading_makes_nothing() {
    let folder = Folder::new();
    let error = folder.try_open(Mode::ReadOnly).err().unwrap();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(!folder.data("").exists());
}

#[test]
fn a_database_whose_making_was_cut_short_is_none() {
    let (folder, killed) = (Folder::new(), Folder::new());
    drop(folder.store());
    std::fs::create_dir_all(killed.data("")).unwrap();
    let making = killed.database();
    // With so small a cache it is written to before anything is committed.
    making
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN; CREATE TABLE entry (bytes); \
             INSERT INTO entry SELECT zeroblob(60000) FROM json_each('[1,2,3,4,5,6,7,8]');",
        )
        .unwrap();
    for name in ["ledger.db", "ledger.db-journal"] {
        std::fs::copy(killed.data(name), folder.data(name)).unwrap();
        set_mode(&folder.data(name), 0o600);
    }
    let _ = std::fs::remove_file(folder.data("ledger.db-wal"));
    let _ = std::fs::remove_file(folder.data("ledger.db-shm"));
    let error = folder.try_open(Mode::ReadOnly).err().unwrap();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    drop(making);
    drop(folder.store());
    assert!(folder.try_open(Mode::ReadOnly).is_ok(), "the next run makes it");
}

#[test]
fn a_missing_master_key_is_not_made_again() {
    let folder = Folder::new();
    drop(folder.store());
    let key = folder.data("keys/master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let error = folder.try_open(mode).err().unwrap();
        assert!(matches!(error, StoreError::NoMasterKey { .. }), "{error}");
    }
    assert!(!key.exists());
    std::fs::write(&key, &kept[..31]).unwrap();
    set_mode(&key, 0o600);
    assert!(matches!(folder.try_open(Mode::ReadWrite).err(), Some(StoreError::NoMasterKey { .. })));
    std::fs::write(&key, &kept).unwrap();
    assert!(folder.try_open(Mode::ReadWrite).is_ok());
}

#[test]
fn a_master_key_that_was_not_written_to_its_end_is_none() {
    let folder = Folder::new();
    for part in ["", "keys"] {
        std::fs::create_dir(folder.data(part)).unwrap();
        set_mode(&folder.data(part), 0o700);
    }
    std::fs::write(folder.data("keys/master.new"), b"half").unwrap();
    std::fs::write(folder.data("ledger.db"), b"").unwrap();
    drop(folder.store());
    assert!(folder.data("keys/master.key").exists());
    assert!(!folder.data("keys/master.new").exists());
    let again = folder.try_open(Mode::ReadWrite);
    assert!(again.is_ok(), "{:?}", again.err());
}

#[test]
fn another_master_key_opens_nothing() {
    let (folder, other) = (Folder::new(), Folder::new());
    let mut house = House::at(&folder);
    house.append(tenant(1), [with_body(evidence("1"), None, body(9))]);
    drop(house);
    drop(other.store());
    std::fs::copy(other.data("keys/master.key"), folder.data("keys/master.key")).unwrap();
    let store = folder.store();
    let error = store.scope(tenant(1)).err().unwrap();
    assert!(matches!(error, StoreError::OtherKeyFile { .. }), "{error}");
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let folder = Folder::new();
    std::fs::create_dir(folder.data("")).unwrap();
    folder
        .database()
        .execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
        .unwrap();
    let error = folder.try_open(Mode::ReadWrite).err().unwrap();
    assert!(
        matches!(error, StoreError::NotOurs { .. } | StoreError::NoMasterKey { .. }),
        "{error}"
    );
    let kept: i64 =
        folder.database().query_row("SELECT count(*) FROM theirs", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1);
    assert!(!folder.data("keys/master.key").exists());
}

#[test]
fn data_of_a_later_release_are_refused() {
    let folder = Folder::new();
    drop(folder.store());
    folder.database().pragma_update(None, "user_version", 99).unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let error = folder.try_open(mode).err().unwrap();
        assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
    }
}

#[test]
fn data_of_a_format_that_bound_nothing_are_refused() {
    let folder = Folder::new();
    drop(folder.store());
    folder.database().pragma_update(None, "user_version", 1).unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let error = folder.try_open(mode).err().unwrap();
        assert!(matches!(error, StoreError::TooOld { found: 1, .. }), "{error}");
    }
}

#[test]
fn data_without_cursors_are_read_as_they_are_and_brought_up_to_be_written() {
    let folder = Folder::new();
    House::at(&folder).append(tenant(1), [evidence("1")]);
    let format = |db: &rusqlite::Connection| -> i64 {
        db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    folder
        .database()
        .execute_batch(
            "DROP TABLE cursor; DROP TABLE dead_letter; DROP TABLE fence; DROP TABLE owner;
             DROP TABLE mail; DROP TABLE request; DROP TABLE parked; PRAGMA user_version = 2",
        )
        .unwrap();
    let reader = folder.try_open(Mode::ReadOnly).unwrap();
    assert!(reader.cursors(tenant(1)).unwrap().is_empty());
    assert!(reader.dead_letters(tenant(1), "billing", 0, 10).unwrap().is_empty());
    drop(reader);
    assert_eq!(format(&folder.database()), 2);
    let mut house = House::at(&folder);
    assert_eq!(house.store().take_cursor(tenant(1), "billing", 1).unwrap().next, 1);
    house.append(tenant(1), [evidence("2")]);
    assert_eq!(house.entries(tenant(1)).len(), 3);
    assert_eq!(format(&folder.database()), 4);
}

/// Nobody has looked yet which of their runs go on.
#[test]
fn data_without_what_a_node_takes_wait_for_one_when_they_are_brought_up() {
    let folder = Folder::new();
    House::at(&folder).append(tenant(1), [evidence("1")]);
    folder
        .database()
        .execute_batch(
            "DROP TABLE owner; DROP TABLE mail; DROP TABLE request; DROP TABLE parked;
             PRAGMA user_version = 3",
        )
        .unwrap();
    let store = folder.store();
    let claims = store.claim_waiting(8, &[]).unwrap();
    assert_eq!(claims.iter().map(|claim| claim.tenant).collect::<Vec<_>>(), [tenant(1)]);
}

#[test]
fn the_write_ahead_log_is_grown_once_and_does_not_grow_for_ever() {
    const MIB: u64 = 1024 * 1024;
    let folder = Folder::new();
    let mut house = House::at(&folder);
    let size = || std::fs::metadata(folder.data("ledger.db-wal")).unwrap().len();
    assert_eq!(size(), 16 * MIB);
    let drafts = || (0..20).map(|_| with_body(evidence("1"), None, body(50_000)));
    for _ in 0..150 {
        house.append(tenant(1), drafts());
    }
    assert!(size() < 64 * MIB, "{} MiB", size() / MIB);
    let tail = house.scope(tenant(1)).tail().unwrap();
    house.reopen();
    assert!(size() >= 16 * MIB);
    assert_eq!(house.scope(tenant(1)).tail().unwrap(), tail);
    assert!(folder.try_open(Mode::ReadOnly).unwrap().check_pages().is_ok());
}

#[test]
fn a_long_reader_stops_nobody() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    house.append(tenant(1), [evidence("1")]);
    let reader = folder.try_open(Mode::ReadOnly).unwrap();
    let early = reader.scope(tenant(1)).unwrap();
    for _ in 0..40 {
        let draft = || with_body(evidence("1"), None, body(50_000));
        house.append(tenant(1), (0..20).map(|_| draft()));
    }
    assert_eq!(early.tail().unwrap().unwrap().frontier.size(), 2);
    assert_eq!(house.scope(tenant(1)).tail().unwrap().unwrap().frontier.size(), 802);
}

//! Backups, and data that went back in time.

use std::path::Path;

use cog_conformance::{House, body, evidence, tenant, with_body};
use cog_store::{Store as _, StoreError};
use cog_store_sqlite::{Mode, Restored, SqliteStore};

use crate::Folder;
use crate::place::open;

/// Put a backup in the place of the data, as the manual says: the database, and nothing else.
fn restore(folder: &Folder, backup: &Path) {
    for file in ["ledger.db-wal", "ledger.db-shm"] {
        std::fs::remove_file(folder.data(file)).unwrap();
    }
    std::fs::copy(backup.join("ledger.db"), folder.data("ledger.db")).unwrap();
}

fn grow(house: &mut House<'_>, number: u64) {
    house.append(tenant(number), [with_body(evidence("1"), None, body(9)), evidence("2")]);
}

#[test]
fn a_backup_taken_while_writing_is_whole() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    grow(&mut house, 1);
    let backup = folder.beside("backup");
    house.store().backup(&backup).unwrap();
    assert!(house.store().backup(&backup).is_err(), "it must not exist");
    let tail = house.scope(tenant(1)).tail().unwrap();
    drop(house);
    restore(&folder, &backup);
    let store = folder.store();
    assert!(store.check_pages().is_ok());
    let scope = store.scope(tenant(1)).unwrap();
    assert_eq!(scope.tail().unwrap(), tail);
    assert_eq!(scope.body(1).unwrap().unwrap().bytes, body(9));
}

#[test]
fn a_backup_alone_opens_no_body() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    grow(&mut house, 1);
    house.store().backup(&folder.beside("backup")).unwrap();
    let error = open(&folder.beside("backup"), Mode::ReadWrite).err().unwrap();
    assert!(matches!(error, StoreError::NoMasterKey { .. }), "{error}");
}

#[test]
fn an_old_backup_is_refused_until_it_is_accepted() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    [1, 2].into_iter().for_each(|number| grow(&mut house, number));
    let backup = folder.beside("backup");
    house.store().backup(&backup).unwrap();
    [2, 3].into_iter().for_each(|number| grow(&mut house, number));
    drop(house);
    restore(&folder, &backup);
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let error = folder.try_open(mode).err().unwrap();
        assert!(matches!(error, StoreError::RolledBack { was, now, .. } if was > now), "{error}");
        assert!(error.advice().contains("accept"));
    }
    let accepted = SqliteStore::accept_restore(&folder.data("")).unwrap();
    let restored = |number, was, now| Restored { tenant: tenant(number), was: Some(was), now };
    assert_eq!(accepted, [restored(2, 5, 3), restored(3, 3, 0)]);
    assert!(SqliteStore::accept_restore(&folder.data("")).unwrap().is_empty());
    let mut house = House::at(&folder);
    grow(&mut house, 2);
    assert_eq!(house.entries(tenant(2)).len(), 5);
}

#[test]
fn nothing_is_accepted_while_somebody_writes() {
    let folder = Folder::new();
    let store = folder.store();
    let refused = SqliteStore::accept_restore(&folder.data("")).err();
    assert!(matches!(refused, Some(StoreError::InUse { .. })));
    drop(store);
    let missing = SqliteStore::accept_restore(&folder.beside("nowhere")).err();
    assert!(matches!(missing, Some(StoreError::Missing { .. })));
}

#[test]
fn removed_entries_are_noticed_like_an_old_backup() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    grow(&mut house, 1);
    drop(house);
    folder
        .database()
        .execute_batch("DELETE FROM entry WHERE place % 1024 = 2; UPDATE log SET size = 2")
        .unwrap();
    let error = folder.try_open(Mode::ReadWrite).err().unwrap();
    assert!(matches!(error, StoreError::RolledBack { was: 3, now: 2, .. }), "{error}");
}

#[test]
fn a_damaged_mark_is_not_passed_over() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    grow(&mut house, 1);
    drop(house);
    let path = folder.data("keys/high-water");
    let mut marks = std::fs::read(&path).unwrap();
    assert_eq!(marks.len(), 64);
    marks[50] = b'0';
    std::fs::write(&path, marks).unwrap();
    let error = folder.try_open(Mode::ReadWrite).err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_log_without_its_mark_is_refused_until_it_is_accepted() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    [1, 2].into_iter().for_each(|number| grow(&mut house, number));
    drop(house);
    let path = folder.data("keys/high-water");
    let whole = std::fs::read(&path).unwrap();
    for marks in [None, Some(&whole[..0]), Some(&whole[..64])] {
        std::fs::remove_file(&path).unwrap();
        if let Some(marks) = marks {
            std::fs::write(&path, marks).unwrap();
        }
        for mode in [Mode::ReadWrite, Mode::ReadOnly] {
            let error = folder.try_open(mode).err().unwrap();
            assert!(matches!(error, StoreError::NoMark { now: 3, .. }), "{error}");
            assert!(error.advice().contains("accept-restore"));
        }
        let accepted = SqliteStore::accept_restore(&folder.data("")).unwrap();
        assert!(accepted.iter().all(|log| log.was.is_none() && log.now == 3), "{accepted:?}");
        assert_eq!(accepted.len(), if marks.is_some_and(|it| !it.is_empty()) { 1 } else { 2 });
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len());
        drop(folder.store());
    }
}

#[test]
fn a_log_has_its_mark_before_its_first_entry() {
    let folder = Folder::new();
    let store = folder.store();
    store.limit_bytes(1).unwrap();
    let keys = store.signing_keys().unwrap();
    let mut writer = cog_ledger::Writer::new(store.shelf().unwrap(), keys, "test");
    let mut entropy = cog_base::entropy::SeededEntropy::new(3);
    let now = cog_base::Timestamp::from_micros(1 << 60);
    let drafts = vec![(tenant(1), with_body(evidence("1"), None, body(1 << 20)))];
    assert!(writer.append(drafts, now, &mut entropy).is_err());
    drop(writer);
    assert!(store.scope(tenant(1)).unwrap().tail().unwrap().is_none());
    assert_eq!(std::fs::read(folder.data("keys/high-water")).unwrap().len(), 64);
    drop(store);
    grow(&mut House::at(&folder), 1);
}

//! What was changed behind the store's back is noticed where it is read.

use cog_conformance::{House, body, evidence, receipt, run, started, tenant, with_body};
use cog_store::{Select, Store as _, StoreError};
use cog_store_sqlite::{Mode, SqliteStore};

use crate::Folder;

/// A log of four entries, then the store closed, changed by `sql`, and opened again.
fn changed(sql: &str) -> (Folder, SqliteStore) {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    let with = |number| with_body(receipt(run(1), number), None, body(9));
    house.append(tenant(1), [started(run(1)), with(1), with(2)]);
    house.append(tenant(2), [evidence("1")]);
    drop(house);
    let database = folder.database();
    database.execute_batch(sql).unwrap();
    drop(database);
    let store = folder.store();
    (folder, store)
}

#[track_caller]
fn corrupt<T>(result: Result<T, StoreError>) {
    let error = result.err().expect("damage was not noticed");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_changed_entry_or_leaf_hash() {
    for change in [
        "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'file.write', 'file.reads')
            AS BLOB) WHERE kind = 11",
        "UPDATE entry SET bytes = x'7b7d' WHERE kind = 11",
        "UPDATE entry SET tag = zeroblob(16) WHERE kind = 11",
        "UPDATE entry SET tag = x'00' WHERE kind = 11",
        "UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE kind = 1 LIMIT 1) WHERE kind = 11",
        "UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE kind = 1 LIMIT 1),
            tag = (SELECT tag FROM entry WHERE kind = 1 LIMIT 1) WHERE kind = 11",
    ] {
        let (_folder, store) = changed(change);
        let scope = store.scope(tenant(1)).unwrap();
        corrupt(scope.entry(2));
        corrupt(scope.select(&Select::default()));
        corrupt(scope.select(&Select::session(run(1))));
        assert!(scope.entry(1).unwrap().is_some());
    }
}

#[test]
fn a_changed_or_exchanged_body() {
    for change in [
        "UPDATE body SET sealed = zeroblob(100)",
        "UPDATE body SET sealed = x'00'",
        "UPDATE body SET sealed = (SELECT sealed FROM body ORDER BY place DESC LIMIT 1)",
    ] {
        let (_folder, store) = changed(change);
        let scope = store.scope(tenant(1)).unwrap();
        corrupt(scope.body(2));
        assert!(scope.entry(2).unwrap().is_some());
    }
}

#[test]
fn a_changed_end_of_a_log() {
    for change in [
        "UPDATE log SET last_leaf = zeroblob(32)",
        "UPDATE log SET frontier = zeroblob(31)",
        "UPDATE log SET frontier = zeroblob(320)",
        "UPDATE log SET frontier = zeroblob(length(frontier))",
        "UPDATE log SET last_at = last_at + 1",
        "UPDATE log SET entries_from = 256",
        "UPDATE log SET state = zeroblob(length(state))",
        "UPDATE log SET own_key = (SELECT own_key FROM log ORDER BY no DESC LIMIT 1)",
        "DELETE FROM entry WHERE kind = 11",
        "UPDATE log SET size = size + 1",
        "UPDATE entry SET head = NULL",
        "UPDATE entry SET head = 'none' WHERE head IS NOT NULL",
    ] {
        let (_folder, store) = changed(change);
        corrupt(store.scope(tenant(1)).and_then(|scope| scope.tail()));
        assert!(store.shelf().unwrap().tail(tenant(1)).is_err());
    }
}

#[test]
fn a_changed_signature_is_noticed_by_the_writer() {
    let (_folder, store) = changed(
        "UPDATE entry SET head = substr(head, 1, length(head) - 30) || 'AAAA'
         || substr(head, length(head) - 25) WHERE head IS NOT NULL",
    );
    let keys = store.signing_keys().unwrap();
    let mut writer = cog_ledger::Writer::new(store.shelf().unwrap(), keys, "test");
    assert!(matches!(writer.head(tenant(1)), Err(cog_ledger::AppendError::Corrupt { .. })));
}

#[test]
fn a_file_that_was_cut_or_is_no_database() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    house.append(tenant(1), (0..300).map(|number| evidence(&number.to_string())));
    drop(house);
    let path = folder.data("ledger.db");
    let whole = std::fs::read(&path).unwrap();
    std::fs::remove_file(folder.data("ledger.db-wal")).unwrap();
    std::fs::write(&path, &whole[..8_192]).unwrap();
    let noticed = match folder.try_open(Mode::ReadWrite) {
        Err(error) => matches!(error, StoreError::Corrupt { .. }),
        Ok(store) => store.check_pages().is_err(),
    };
    assert!(noticed);
    std::fs::write(&path, vec![b'x'; 50_000]).unwrap();
    let error = folder.try_open(Mode::ReadWrite).err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(!error.advice().is_empty());
}

#[test]
fn a_changed_byte_anywhere_is_noticed_or_harmless() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    house.append(tenant(1), (0..60).map(|_| with_body(evidence("1"), None, body(400))));
    let expected = house.entries(tenant(1));
    drop(house);
    std::fs::remove_file(folder.data("ledger.db-wal")).unwrap();
    let path = folder.data("ledger.db");
    let whole = std::fs::read(&path).unwrap();
    let mut dice = cog_base::entropy::SeededEntropy::new(4);
    for _ in 0..60 {
        let mut bytes = whole.clone();
        let place = dice.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << dice.below(8);
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = folder.try_open(Mode::ReadOnly) else { continue };
        let Ok(scope) = store.scope(tenant(1)) else { continue };
        let Ok(entries) = scope.select(&Select::default()) else { continue };
        let known = entries.iter().all(|entry| expected.contains(entry));
        assert!(known, "byte {place}: an entry that was never written");
        for seq in 0..61 {
            if let Ok(Some(open)) = scope.body(seq) {
                assert_eq!(open.bytes, body(400), "byte {place}");
            }
        }
    }
}

#[test]
fn what_somebody_added_to_the_database_does_not_act_and_nothing_is_written_beside_it() {
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON body BEGIN DELETE FROM body WHERE place = new.place; END",
        "CREATE VIEW v AS SELECT * FROM entry",
        "CREATE TABLE theirs (a)",
        "CREATE INDEX theirs ON entry (kind)",
        "ALTER TABLE entry RENAME TO kept; CREATE VIEW entry AS SELECT * FROM kept",
        "DROP INDEX session_open",
    ] {
        let folder = Folder::new();
        let mut house = House::at(&folder);
        house.append(tenant(1), [with_body(evidence("1"), None, body(9))]);
        drop(house);
        folder.database().execute_batch(sql).unwrap();
        let error = folder.try_open(Mode::ReadWrite).err().unwrap();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{sql}: {error}");
        assert!(error.advice().contains("ledger verify"), "{sql}");
        // Who looks is told, and is shown nothing that a view makes up.
        let reader = folder.try_open(Mode::ReadOnly).unwrap();
        assert!(reader.check_schema().unwrap().has("store.schema"), "{sql}");
        let entries = reader.scope(tenant(1)).and_then(|scope| scope.select(&Select::default()));
        assert_eq!(entries.is_err(), sql.contains("VIEW entry"), "{sql}");
    }
}

#[test]
fn a_trigger_that_is_added_while_the_store_is_open_does_not_act() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    house.append(tenant(1), [evidence("1")]);
    let sql =
        "CREATE TRIGGER t AFTER INSERT ON body BEGIN DELETE FROM body WHERE place = new.place; END";
    folder.database().execute_batch(sql).unwrap();
    house.append(tenant(1), [with_body(evidence("2"), None, body(9))]);
    assert_eq!(house.scope(tenant(1)).body(2).unwrap().unwrap().bytes, body(9));
}

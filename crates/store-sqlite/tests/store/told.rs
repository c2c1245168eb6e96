//! Damage is told whole: the comparison goes on behind it, and says what holds all the same.

use cog_conformance::{House, body, evidence, receipt, run, started, tenant, with_body};
use cog_store::{Store as _, StoreError};
use cog_store_sqlite::{Mode, SqliteStore};

use crate::Folder;

/// The bytes of an entry, on a page that is not the first of its table.
const PAGE: usize = 4_096;

/// Twelve commits: a genesis and a run with eleven receipts, each with a body.
fn written() -> Folder {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    house.append(tenant(1), [started(run(1))]);
    for number in 1..12 {
        house.append(tenant(1), [with_body(receipt(run(1), number), None, body(9))]);
    }
    drop(house);
    folder
}

fn changed(folder: &Folder, sql: &str) -> SqliteStore {
    folder.database().execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    folder.try_open(Mode::ReadOnly).unwrap()
}

fn place(seq: u64) -> String {
    format!("(SELECT min(place) + {seq} FROM entry)")
}

/// What is found, with the entries it is about.
fn found(store: &SqliteStore) -> Vec<(Option<u64>, &'static str)> {
    let tables = store.check_tables(tenant(1)).unwrap();
    tables.findings.kept().iter().map(|finding| (finding.seq, finding.code)).collect()
}

#[test]
fn nothing_is_found_in_what_is_whole() {
    let folder = written();
    let store = folder.try_open(Mode::ReadOnly).unwrap();
    let tables = store.check_tables(tenant(1)).unwrap();
    assert!(tables.findings.is_empty() && tables.is_whole(), "{tables:?}");
    assert_eq!(tables.held.unwrap().size(), 13);
    assert!(store.look(tenant(1), 1_000).unwrap().is_empty());
    assert!(store.check_schema().unwrap().is_empty());
}

#[test]
fn every_damaged_entry_is_named_and_so_is_what_holds_before_the_first() {
    let folder = written();
    let (four, nine) = (place(4), place(9));
    let sql = format!("UPDATE entry SET bytes = x'7b7d' WHERE place IN ({four}, {nine})");
    let store = changed(&folder, &sql);
    let tables = store.check_tables(tenant(1)).unwrap();
    let found = found(&store);
    assert!(found.contains(&(Some(4), "store.entry")), "{found:?}");
    assert!(found.contains(&(Some(9), "store.entry")), "{found:?}");
    assert!(!tables.is_whole());
    assert_eq!(tables.held.unwrap().size(), 4, "entries 0 to 3 hold");
    let mut held = Vec::new();
    store.held_entries(tenant(1), 4, &mut |entry| held.push(entry.seq())).unwrap();
    assert_eq!(held, [0, 1, 2, 3]);
}

#[test]
fn an_altered_entry_that_still_reads_is_told_once_and_ends_what_holds() {
    let folder = written();
    let sql = format!(
        "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'file.write', 'file.reads')
         AS BLOB) WHERE place = {}",
        place(5)
    );
    let store = changed(&folder, &sql);
    let found = found(&store);
    let about = |code| found.iter().filter(|it| it.1 == code).count();
    assert!(found.contains(&(Some(5), "store.entry")), "{found:?}");
    assert_eq!(about("store.head"), 1, "not once for each head behind it: {found:?}");
    assert_eq!(store.check_tables(tenant(1)).unwrap().held.unwrap().size(), 5);
}

#[test]
fn a_head_that_nobody_signed_is_found_and_the_one_before_it_says_what_holds() {
    let folder = written();
    let sql = format!(
        "UPDATE entry SET head = substr(head, 1, length(head) - 20)
         || replace(replace(substr(head, length(head) - 19, 10), 'A', 'B'), 'a', 'b') || 'Q'
         || substr(head, length(head) - 8) WHERE place = {}",
        place(12)
    );
    let store = changed(&folder, &sql);
    let tables = store.check_tables(tenant(1)).unwrap();
    assert!(tables.findings.has("store.head"), "{tables:?}");
    assert_eq!(tables.held.unwrap().size(), 12);
    assert!(store.look(tenant(1), 4).unwrap().has("store.head"));
}

#[test]
fn bodies_are_looked_at_where_entries_are_damaged() {
    let folder = written();
    let (three, six, eight) = (place(3), place(6), place(8));
    let sql = format!(
        "UPDATE entry SET bytes = x'7b7d' WHERE place = {three};
         DELETE FROM body WHERE place = {six};
         UPDATE body SET sealed = zeroblob(100) WHERE place = {eight}"
    );
    let found = found(&changed(&folder, &sql));
    assert!(found.contains(&(Some(6), "body.absent")), "{found:?}");
    assert!(found.contains(&(Some(8), "body.changed")), "{found:?}");
}

#[test]
fn a_log_whose_end_does_not_open_still_says_which_entries_hold() {
    let folder = written();
    let store = changed(&folder, "UPDATE log SET state = zeroblob(40), size = 1000000000");
    let tables = store.check_tables(tenant(1)).unwrap();
    assert!(tables.findings.has("store.unreadable"), "{tables:?}");
    assert_eq!(tables.held.unwrap().size(), 13);
}

#[test]
fn a_table_that_is_gone_ends_no_comparison_but_its_own() {
    for (sql, table) in [
        ("DROP TABLE body", "`body`"),
        ("DROP TABLE entry_id", "`entry_id`"),
        ("DROP TABLE session", "`session`"),
        ("DROP INDEX session_open", "`session_open`"),
        ("ALTER TABLE node RENAME COLUMN hash TO other", "`node`"),
    ] {
        let folder = written();
        let sql = format!("{sql}; UPDATE entry SET bytes = x'7b7d' WHERE place = {}", place(7));
        let store = changed(&folder, &sql);
        let tables = store.check_tables(tenant(1)).unwrap();
        let named = tables.findings.kept().iter().any(|it| it.message.contains(table));
        assert!(named && tables.findings.has("store.schema"), "{sql}: {tables:?}");
        assert!(tables.findings.kept().iter().any(|it| it.seq == Some(7)), "{sql}: {tables:?}");
        assert!(store.check_schema().unwrap().has("store.schema"), "{sql}");
    }
}

#[test]
fn damaged_pages_are_told_in_words_of_ours_and_what_is_behind_them_is_looked_at() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    house.append(tenant(1), (0..200).map(|_| with_body(evidence("1"), None, body(40))));
    drop(house);
    folder.database().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let path = folder.data("ledger.db");
    let whole = std::fs::read(&path).unwrap();
    let mut pages = 0;
    for page in 2..whole.len() / PAGE {
        let mut bytes = whole.clone();
        bytes[page * PAGE..page * PAGE + 16].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = folder.try_open(Mode::ReadOnly) else { continue };
        let tables = store.check_tables(tenant(1)).unwrap();
        for finding in tables.findings.kept() {
            let message = &finding.message;
            let raw = ["malformed", "Error code", "btreeInitPage", "Tree ", "***", "SQL"];
            assert!(!raw.iter().any(|raw| message.contains(raw)), "page {page}: {message}");
        }
        pages += usize::from(!tables.findings.is_empty());
    }
    assert!(pages > 10, "{pages}");
}

#[test]
fn a_quick_look_finds_what_is_near_the_end() {
    let newest = place(12);
    for (sql, code) in [
        (format!("UPDATE entry SET bytes = x'7b7d' WHERE place = {newest}"), "store.end"),
        (format!("DELETE FROM body WHERE place = {newest}"), "body.absent"),
        (format!("UPDATE body SET sealed = zeroblob(90) WHERE place = {newest}"), "body.changed"),
        (format!("DELETE FROM entry WHERE place = {}", place(10)), "store.entry"),
        (format!("DELETE FROM entry WHERE place = {}", place(0)), "store.entry"),
        ("DELETE FROM signing_key".into(), "store.key.missing"),
        ("UPDATE log SET state = zeroblob(40)".into(), "store.unreadable"),
        ("UPDATE session SET entries = entries + 1".into(), "store.run.other"),
        ("DELETE FROM log".into(), "store.stray"),
        (format!("UPDATE entry SET place = place + 90 WHERE place = {newest}"), "store.entry"),
    ] {
        let folder = written();
        std::fs::remove_file(folder.data("keys/high-water")).unwrap();
        folder.database().execute_batch(&sql).unwrap();
        let (store, _) = SqliteStore::look_behind(&folder.data("")).unwrap();
        let found = store.look(tenant(1), 4).unwrap();
        assert!(found.has(code), "{sql}: {found:?}");
    }
    // What is older is not looked at.
    let folder = written();
    let store = changed(&folder, &format!("DELETE FROM body WHERE place = {}", place(3)));
    assert!(store.look(tenant(1), 4).unwrap().is_empty());
    assert!(store.look(tenant(1), 20).unwrap().has("body.absent"));
}

#[test]
fn another_master_key_is_told_from_damage() {
    let folder = written();
    let path = folder.data("keys/master.key");
    let own = std::fs::read(&path).unwrap();
    std::fs::write(&path, [7; 32]).unwrap();
    let error = folder.try_open(Mode::ReadOnly).unwrap().scope(tenant(1)).err().unwrap();
    assert!(matches!(error, StoreError::OtherKeyFile { .. }), "{error}");
    for words in ["keys/master.key", "chmod 600", "Nothing was changed"] {
        assert!(error.advice().contains(words), "{}", error.advice());
    }
    assert!(error.to_string().contains("keys/master.key"), "{error}");
    // The key of the log alone is damage.
    std::fs::write(&path, own).unwrap();
    let store = changed(&folder, "UPDATE log SET own_key = zeroblob(60)");
    assert!(matches!(store.scope(tenant(1)).err(), Some(StoreError::Corrupt { .. })));
}

#[test]
fn what_was_put_back_can_be_looked_at_before_it_is_accepted() {
    let folder = written();
    let copy = std::fs::read(folder.data("ledger.db")).unwrap();
    let wal = std::fs::read(folder.data("ledger.db-wal")).unwrap();
    let mut house = House::at(&folder);
    house.append(tenant(1), [evidence("1")]);
    drop(house);
    let _ = std::fs::remove_file(folder.data("ledger.db-shm"));
    std::fs::write(folder.data("ledger.db"), copy).unwrap();
    std::fs::write(folder.data("ledger.db-wal"), wal).unwrap();
    assert!(matches!(folder.try_open(Mode::ReadOnly).err(), Some(StoreError::RolledBack { .. })));
    let (store, behind) = SqliteStore::look_behind(&folder.data("")).unwrap();
    assert_eq!(behind.iter().map(|log| (log.was, log.now)).collect::<Vec<_>>(), [(Some(14), 13)]);
    assert!(store.check_tables(tenant(1)).unwrap().findings.is_empty());
}

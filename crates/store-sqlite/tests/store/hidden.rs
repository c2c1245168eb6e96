//! Somebody edits the tables that entries are found by, without the key of the log. What is
//! read is what was written, or an error; and the comparison of all tables names every change.

use std::collections::BTreeMap;
use std::path::Path;

use cog_conformance::{
    House, canon_activated, denial, evidence, outcome, receipt, run, sealed, started, tenant,
};
use cog_ledger::Kind;
use cog_store::{Select, Store as _, StoreError};
use cog_store_sqlite::{Mode, SqliteStore};

use crate::Folder;
use crate::place::open;

/// A log with two canons, a run that ended, two that are open and cross each other, one of
/// which is long enough for marks, and a second log beside it.
fn written(folder: &Folder) {
    let mut house = House::at(folder);
    house.append(tenant(1), [canon_activated("one"), evidence("1")]);
    house.append(tenant(1), [started(run(1)), receipt(run(1), 1), outcome(run(1), 1)]);
    house.append(tenant(1), [sealed(run(1), "completed"), canon_activated("two")]);
    house.append(tenant(1), [started(run(2)), started(run(3))]);
    for number in 100..250 {
        house.append(tenant(1), [receipt(run(2), number), receipt(run(3), number + 1_000)]);
    }
    house.append(tenant(1), [denial(run(3), 9), evidence("2")]);
    house.append(tenant(2), [canon_activated("other"), started(run(4)), receipt(run(4), 1)]);
}

/// What is read by kind and by run, and how that can be said for comparison.
const READINGS: [&str; 13] = [
    "canons",
    "canons newest first",
    "newest canon",
    "first canon",
    "canons in the middle",
    "evidence",
    "denials",
    "all",
    "open runs",
    "newest runs",
    "run 1",
    "run 2",
    "run 3 from its middle",
];

fn read(store: &SqliteStore, what: &str) -> Result<String, StoreError> {
    let scope = store.scope(tenant(1))?;
    let of = |kind| Select { kinds: vec![kind], ..Select::default() };
    let canons = of(Kind::CanonActivated);
    let select = match what {
        "open runs" => return Ok(format!("{:?}", scope.open_sessions()?)),
        "newest runs" => return Ok(format!("{:?}", scope.sessions(10)?)),
        "canons" => canons,
        "canons newest first" => Select { newest_first: true, ..canons },
        "newest canon" => Select { newest_first: true, limit: 1, ..canons },
        "first canon" => Select { limit: 1, ..canons },
        "canons in the middle" => Select { from: 1, to: 6, ..canons },
        "evidence" => of(Kind::Evidence),
        "denials" => of(Kind::Denial),
        "all" => Select::default(),
        "run 1" => Select::session(run(1)),
        "run 2" => Select::session(run(2)),
        "run 3 from its middle" => Select { from: 150, limit: 90, ..Select::session(run(3)) },
        other => panic!("nobody reads {other}"),
    };
    let seqs: Vec<_> = scope.select(&select)?.into_iter().map(|entry| entry.leaf()).collect();
    Ok(format!("{:?}", seqs))
}

fn honest(store: &SqliteStore) -> BTreeMap<&'static str, String> {
    READINGS.iter().map(|what| (*what, read(store, what).unwrap())).collect()
}

/// A folder that was written, closed, and can be changed again and again.
struct Victim {
    folder: Folder,
    honest: BTreeMap<&'static str, String>,
    whole: Vec<u8>,
}

impl Victim {
    fn new() -> Self {
        let folder = Folder::new();
        written(&folder);
        let store = folder.store();
        let honest = honest(&store);
        assert!(codes(&store).is_empty(), "{:?}", codes(&store));
        drop(store);
        let database = folder.database();
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(database);
        let whole = std::fs::read(folder.data("ledger.db")).unwrap();
        Self { folder, honest, whole }
    }

    /// Change the database, and open it for reading.
    fn changed(&self, sql: &str) -> SqliteStore {
        self.folder.database().execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        self.folder.try_open(Mode::ReadOnly).unwrap()
    }

    fn restore(&self) {
        for file in ["ledger.db-wal", "ledger.db-shm"] {
            let _ = std::fs::remove_file(self.folder.data(file));
        }
        std::fs::write(self.folder.data("ledger.db"), &self.whole).unwrap();
    }

    /// What notices a change: the readings that fail. The others read what was written.
    #[track_caller]
    fn notice(&self, sql: &str, store: &SqliteStore) -> Vec<&'static str> {
        let mut noticed = Vec::new();
        for what in READINGS {
            if is_blind(sql, what) {
                continue;
            }
            match read(store, what) {
                Ok(found) => {
                    assert!(self.honest.get(what) == Some(&found), "{sql}: {what} changed unseen");
                }
                Err(StoreError::Corrupt { .. }) => noticed.push(what),
                Err(error) => panic!("{sql}: {what}: {error}"),
            }
        }
        noticed
    }
}

/// The row of a run that ended may be hidden: nothing but the comparison of the tables knows
/// that it was there. SECURITY.md says so.
fn is_blind(sql: &str, what: &str) -> bool {
    let hides = sql.starts_with("DELETE")
        || ["SET id =", "SET log =", "SET first = CASE"].iter().any(|set| sql.contains(set));
    hides && sql.contains(" session ") && ["newest runs", "run 1"].contains(&what)
}

fn codes(store: &SqliteStore) -> Vec<&'static str> {
    let findings = store.check_tables(tenant(1)).unwrap().findings;
    let mut codes: Vec<_> = findings.kept().iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// After `sql` the reading of `what` fails, if one must, every other one fails or gives what was written,
/// and the comparison of tables finds `code` among others.
#[track_caller]
fn check(victim: &Victim, sql: &str, what: &str, code: &str) {
    let store = victim.changed(sql);
    let noticed = victim.notice(sql, &store);
    let is_noticed = what.is_empty() || noticed.contains(&what);
    assert!(is_noticed, "{sql}: {what} was read; noticed by {noticed:?}");
    let codes = codes(&store);
    assert!(codes.contains(&code), "{sql}: {code} is not among {codes:?}");
    drop(store);
    victim.restore();
}

#[test]
fn a_canon_in_force_cannot_be_hidden() {
    let victim = Victim::new();
    let newest = "place = (SELECT max(place) FROM entry_kind WHERE kind = 6 AND place >> 40 = 1)";
    let oldest = "place = (SELECT min(place) FROM entry_kind WHERE kind = 6)";
    for (sql, what, code) in [
        (format!("DELETE FROM entry_kind WHERE {newest}"), "canons", "store.kind.missing"),
        (format!("DELETE FROM entry_kind WHERE {oldest}"), "canons", "store.kind.missing"),
        (format!("DELETE FROM entry_kind WHERE {oldest}"), "first canon", "store.kind.missing"),
        ("DELETE FROM entry_kind".into(), "canons", "store.kind.missing"),
        ("DELETE FROM entry_kind".into(), "evidence", "store.kind.missing"),
        (format!("UPDATE entry_kind SET kind = 7 WHERE {newest}"), "canons", "store.kind.foreign"),
        (format!("DELETE FROM entry WHERE {newest}"), "newest canon", "store.entry"),
        (format!("DELETE FROM entry WHERE {newest}"), "all", "store.entry"),
        (format!("UPDATE entry SET kin = 0 WHERE {newest}"), "newest canon", "store.links"),
        (format!("UPDATE entry SET kind = 11 WHERE {newest}"), "newest canon", "store.links"),
        (format!("UPDATE entry SET back = 0 WHERE {newest}"), "newest canon", "store.links"),
        ("UPDATE log SET state = x''".into(), "canons", "store.unreadable"),
        (
            "UPDATE log SET state = (SELECT state FROM log WHERE no = 2) WHERE no = 1".into(),
            "newest canon",
            "store.unreadable",
        ),
    ] {
        check(&victim, &sql, what, code);
    }
}

#[test]
fn a_canon_cannot_be_exchanged() {
    let victim = Victim::new();
    // The second activation says what the first one said, or what the other log's says.
    for from in ["place >> 40 = 1 ORDER BY place", "place >> 40 = 2 ORDER BY place"] {
        let row = format!("(SELECT %c FROM entry WHERE kind = 6 AND {from} LIMIT 1)");
        let set: Vec<_> =
            ["tag", "bytes"].map(|c| format!("{c} = {}", row.replace("%c", c))).into();
        let newest = "(SELECT max(place) FROM entry WHERE kind = 6 AND place >> 40 = 1)";
        let sql = format!("UPDATE entry SET {} WHERE place = {newest}", set.join(", "));
        check(&victim, &sql, "newest canon", "store.entry");
    }
}

#[test]
fn a_receipt_cannot_be_hidden_from_its_run() {
    let victim = Victim::new();
    let run_2 = "first = (SELECT min(first) FROM session WHERE is_open = 1)";
    let ended = "first = (SELECT min(first) FROM session)";
    let last = format!("(SELECT last FROM session WHERE {run_2})");
    for (sql, what, code) in [
        (
            format!(
                "UPDATE session SET last = last - (SELECT back FROM entry WHERE place = {last}),
                 entries = entries - 1 WHERE {run_2}"
            ),
            "run 2",
            "store.run.other",
        ),
        (
            format!("UPDATE session SET entries = entries - 1 WHERE {run_2}"),
            "run 2",
            "store.run.other",
        ),
        (format!("UPDATE entry SET back = back * 2 WHERE place = {last}"), "run 2", "store.links"),
        (format!("UPDATE entry SET back = 0 WHERE place = {last}"), "run 2", "store.links"),
        (format!("UPDATE entry SET back = NULL WHERE place = {last}"), "run 2", "store.links"),
        (format!("DELETE FROM entry WHERE place = {last} - 2"), "run 2", "store.entry"),
        (format!("DELETE FROM session WHERE {run_2}"), "run 2", "store.run.missing"),
        (format!("DELETE FROM session WHERE {run_2}"), "open runs", "store.run.missing"),
        (format!("UPDATE session SET is_open = 0 WHERE {run_2}"), "run 2", "store.run.other"),
        (
            format!("UPDATE session SET is_open = 0, status = 'completed' WHERE {run_2}"),
            "open runs",
            "store.run.other",
        ),
        (format!("UPDATE session SET started = 0 WHERE {run_2}"), "open runs", "store.run.other"),
        (format!("UPDATE session SET first = first + 2 WHERE {run_2}"), "run 2", "store.run.other"),
        (
            format!("UPDATE session SET id = zeroblob(16) WHERE {run_2}"),
            "run 2",
            "store.run.foreign",
        ),
        ("DELETE FROM session ".into(), "open runs", "store.run.missing"),
        // One that ended is taken for open, so that it would be gone on with.
        (
            format!("UPDATE session SET is_open = 1, status = NULL WHERE {ended}"),
            "run 1",
            "store.run.other",
        ),
        (
            format!("UPDATE session SET is_open = 0, last = last - 1, entries = 3 WHERE {ended}"),
            "run 1",
            "store.run.other",
        ),
        (format!("UPDATE session SET first = first + 1 WHERE {ended}"), "run 1", "store.run.other"),
        (format!("UPDATE session SET status = 'failed' WHERE {ended}"), "run 1", "store.run.other"),
    ] {
        check(&victim, &sql, what, code);
    }
}

#[test]
fn a_row_that_was_true_once_cannot_be_put_back() {
    let folder = Folder::new();
    let mut house = House::at(&folder);
    let opening = [started(run(1)), receipt(run(1), 1), started(run(2)), canon_activated("one")];
    house.append(tenant(1), opening);
    house.reopen();
    let attach = format!("ATTACH '{}' AS old;", folder.beside("old.db").display());
    let keep = "CREATE TABLE old.old_session AS SELECT * FROM session;
         CREATE TABLE old.old_log AS SELECT * FROM log;";
    folder.database().execute_batch(&format!("{attach} {keep}")).unwrap();
    house.append(tenant(1), [outcome(run(1), 1), receipt(run(1), 2), canon_activated("two")]);
    house.append(tenant(1), [sealed(run(2), "completed")]);
    drop(house);
    let rows = "SET last = o.last, entries = o.entries, status = o.status, is_open = o.is_open
         FROM old_session o WHERE o.first = session.first";
    for sql in [
        format!("UPDATE session {rows}"),
        format!("UPDATE session {rows} AND o.id = (SELECT id FROM old_session LIMIT 1)"),
        "UPDATE log SET state = (SELECT state FROM old_log)".to_owned(),
    ] {
        folder.database().execute_batch(&format!("{attach} {sql};")).unwrap();
        let store = folder.store();
        let select = Select::session(run(1));
        let read = store.scope(tenant(1)).and_then(|scope| scope.select(&select));
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{sql}");
        let open = store.scope(tenant(1)).and_then(|scope| scope.open_sessions());
        assert!(matches!(open, Err(StoreError::Corrupt { .. })), "{sql}");
        assert!(!codes(&store).is_empty());
        // Nor is anything written on top of it.
        let keys = store.signing_keys().unwrap();
        let mut writer = cog_ledger::Writer::new(store.shelf().unwrap(), keys, "test");
        let mut entropy = cog_base::entropy::SeededEntropy::new(3);
        let drafts = vec![(tenant(1), receipt(run(1), 3))];
        let now = cog_base::Timestamp::from_micros(1 << 60);
        assert!(writer.append(drafts, now, &mut entropy).is_err(), "{sql}");
    }
}

#[test]
fn foreign_rows_are_not_taken_for_ours() {
    let victim = Victim::new();
    let evidence = "(SELECT place FROM entry_kind WHERE kind = 7 ORDER BY place LIMIT 1)";
    for (sql, what, code) in [
        (format!("INSERT INTO entry_kind VALUES (6, {evidence})"), "canons", "store.kind.foreign"),
        ("INSERT INTO entry_kind VALUES (6, (1 << 40) + 100000)".into(), "", "store.kind.foreign"),
        (
            "INSERT INTO session VALUES ((1 << 40) + 5, 1, zeroblob(16), (1 << 40) + 9, 2, 1, NULL, 1)"
                .into(),
            "open runs",
            "store.run.foreign",
        ),
        (
            "INSERT INTO session VALUES ((1 << 40) + 5, 1, zeroblob(16), (1 << 40) + 9, 2, 1, 'x', 0)"
                .into(),
            "newest runs",
            "store.run.foreign",
        ),
        (
            "INSERT INTO entry SELECT (1 << 40) + 100000, kind, back, kin, tag, head, bytes
             FROM entry WHERE kind = 6 LIMIT 1"
                .into(),
            "",
            "store.entry",
        ),
        ("INSERT INTO entry_id VALUES (5, (1 << 40) + 3)".into(), "", "store.id.foreign"),
        ("DELETE FROM entry_id WHERE place = (1 << 40) + 4".into(), "", "store.id.missing"),
        ("INSERT INTO node VALUES ((1 << 40) + (1 << 34) + 77, zeroblob(32))".into(), "", "store.node"),
        ("UPDATE node SET hash = zeroblob(32)".into(), "", "store.node"),
        ("INSERT INTO tile VALUES (1 << 40, zeroblob(8192))".into(), "", "store.tile"),
        ("INSERT INTO body VALUES ((1 << 40) + 2, NULL, x'00')".into(), "", "store.body.foreign"),
        ("INSERT INTO body VALUES ((9 << 40) + 2, NULL, x'00')".into(), "", "store.stray"),
        (
            "UPDATE entry SET head = (SELECT head FROM entry WHERE head IS NOT NULL LIMIT 1)
             WHERE place = (1 << 40) + 7"
                .into(),
            "",
            "store.head",
        ),
        (
            "INSERT INTO checkpoint SELECT place + 1, head FROM entry WHERE head IS NOT NULL".into(),
            "",
            "store.head",
        ),
        ("DELETE FROM signing_key".into(), "", "store.key.missing"),
        (
            "INSERT INTO signing_key SELECT tenant, 'more', id, zeroblob(60) FROM signing_key".into(),
            "",
            "store.key.foreign",
        ),
        (
            "UPDATE signing_key SET sealed = (SELECT sealed FROM signing_key ORDER BY id LIMIT 1),
             id = id + 1"
                .into(),
            "",
            "store.key.missing",
        ),
        (
            "INSERT INTO canon SELECT tenant, zeroblob(32), '{}' FROM log".into(),
            "",
            "store.canon",
        ),
    ] {
        check(&victim, &sql, what, code);
    }
}

#[test]
fn a_moved_mark_of_a_run_hides_nothing() {
    let victim = Victim::new();
    for (sql, code) in [
        ("DELETE FROM session_mark", "store.mark.missing"),
        ("UPDATE session_mark SET place = place - 2", "store.mark.foreign"),
        ("UPDATE session_mark SET place = place + 1", "store.mark.foreign"),
        ("UPDATE session_mark SET place = place - 1", "store.mark.foreign"),
        (
            "INSERT INTO session_mark SELECT session, place + 6 FROM session_mark",
            "store.mark.foreign",
        ),
        (
            "INSERT OR IGNORE INTO session_mark SELECT first, first + 1 FROM session",
            "store.mark.foreign",
        ),
        (
            "INSERT INTO session_mark SELECT first, (1 << 40) + 100000 FROM session",
            "store.mark.foreign",
        ),
        ("UPDATE session_mark SET session = session + 1", "store.mark.foreign"),
    ] {
        let store = victim.changed(sql);
        victim.notice(sql, &store);
        assert!(codes(&store).contains(&code), "{sql}: {:?}", codes(&store));
        drop(store);
        victim.restore();
    }
}

/// Each row of each table that is derived: gone, or one of its columns another.
#[test]
fn every_change_of_a_row_is_named_and_changes_no_reading() {
    let victim = Victim::new();
    let tables: [(&str, &[&str], i64); 8] = [
        ("entry", &["kind", "back", "kin", "tag", "bytes"], 29),
        ("entry_kind", &["kind", "place"], 1),
        ("entry_id", &["key", "place"], 41),
        ("session", &["first", "log", "id", "last", "entries", "started", "status", "is_open"], 1),
        ("session_mark", &["session", "place"], 1),
        ("node", &["place", "hash"], 1),
        ("canon", &["digest"], 1),
        (
            "log",
            &["size", "frontier", "last_leaf", "last_at", "bodies_from", "entries_from", "state"],
            1,
        ),
    ];
    let mut changes = 0;
    for (table, columns, every) in tables {
        let keys: &[&str] = match table {
            "entry_kind" => &["kind", "place"],
            "entry_id" => &["key", "place"],
            "session_mark" => &["session", "place"],
            "canon" => &["tenant", "digest"],
            "session" => &["first"],
            "log" => &["no"],
            _ => &["place"],
        };
        let own = if table == "log" { "no = 1" } else { "true" };
        for row in rows(&victim, table, keys, own, every) {
            let mut edits = vec![format!("DELETE FROM {table} WHERE {row}")];
            edits.extend(columns.iter().map(|column| {
                format!(
                    "UPDATE OR IGNORE {table} SET {column} = CASE typeof({column}) \
                     WHEN 'integer' THEN 1 - {column} WHEN 'blob' THEN zeroblob(length({column})) \
                     WHEN 'text' THEN {column} || 'x' ELSE 0 END WHERE {row}"
                )
            }));
            // Without the log there is nothing to compare: the mark beside it tells.
            edits.retain(|edit| !(edit.starts_with("DELETE") && ["log", "canon"].contains(&table)));
            for edit in edits {
                let database = victim.folder.database();
                let Ok(1) = database.execute(&edit, []) else { continue };
                drop(database);
                let Ok(store) = victim.folder.try_open(Mode::ReadOnly) else {
                    victim.restore();
                    continue;
                };
                victim.notice(&edit, &store);
                assert!(!codes(&store).is_empty(), "{edit}: not named");
                drop(store);
                victim.restore();
                changes += 1;
            }
        }
    }
    assert!(changes > 150, "{changes}");
}

/// Conditions that each find one row of the first log.
fn rows(victim: &Victim, table: &str, keys: &[&str], own: &str, every: i64) -> Vec<String> {
    let conditions: Vec<_> = keys.iter().map(|key| format!("'{key} = ' || quote({key})")).collect();
    let place = keys.iter().find(|key| ["place", "first"].contains(key));
    let own = place.map_or(own.to_owned(), |place| format!("{place} >> 40 = 1"));
    let sql = format!(
        "SELECT {} FROM {table} WHERE {own} AND rowid_of % {every} = 0",
        conditions.join(" || ' AND ' || ")
    );
    let sql = sql.replace("rowid_of", place.unwrap_or(&"0"));
    let database = victim.folder.database();
    let mut read = database.prepare(&sql).unwrap();
    let rows = read.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_canon_whose_files_were_changed_is_not_read() {
    let folder = Folder::new();
    let house = House::at(&folder);
    let files = cog_store::Files::from([("canon.toml".to_owned(), "name = \"one\"".to_owned())]);
    let none = cog_base::Digest::of(&[]);
    let canon = cog_ledger::bundle::CanonFiles { digest: none, files };
    let digest = canon.computed();
    cog_store::Keep::put_canon(house.store(), tenant(1), digest, &canon.files).unwrap();
    drop(house);
    let sql = "UPDATE canon SET files = replace(files, 'one', 'two')";
    folder.database().execute_batch(sql).unwrap();
    let read = folder.store().scope(tenant(1)).unwrap().canon(digest);
    assert!(matches!(read, Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_log_of_another_folder_is_not_taken_over() {
    let (folder, other) = (Folder::new(), Folder::new());
    written(&folder);
    written(&other);
    let path: &Path = &other.data("ledger.db");
    std::fs::copy(path, folder.data("ledger.db")).unwrap();
    let _ = std::fs::remove_file(folder.data("ledger.db-wal"));
    let store = open(&folder.data(""), Mode::ReadOnly).unwrap();
    assert!(matches!(store.scope(tenant(1)).err(), Some(StoreError::OtherKeyFile { .. })));
}

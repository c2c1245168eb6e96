//! Rows that no entry stands behind.

use cog_base::Digest;
use cog_base::json::{Value, parse};
use cog_ledger::Entry;
use cog_ledger::audit::Findings;
use cog_ledger::bundle::CanonFiles;
use cog_store::StoreError;
use cog_store::index::id_key;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::entries::Derived;
use super::part;
use crate::error::failed;
use crate::log::Log;
use crate::place::{LOGS_MAX, SEQ_BITS};
use crate::reading::SEGMENT;

/// The tables whose rows belong to a log by their place, and what the column is called.
const PLACED: [(&str, &str); 9] = [
    ("entry", "place"),
    ("entry_id", "place"),
    ("entry_kind", "place"),
    ("tile", "place"),
    ("node", "place"),
    ("checkpoint", "place"),
    ("body", "place"),
    ("session", "first"),
    ("session_mark", "session"),
];

/// Rows that belong to no log at all.
pub(super) fn strays(db: &Connection, findings: &mut Findings) -> Result<(), StoreError> {
    let logs = format!("(SELECT no FROM log WHERE no > 0 AND no < {LOGS_MAX})");
    for (table, column) in PLACED {
        let done = strays_of(db, (table, column), &logs, findings);
        part(findings, done)?;
    }
    Ok(())
}

fn strays_of(
    db: &Connection,
    (table, column): (&str, &str),
    logs: &str,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT count(*) FROM {table} WHERE {column} IS NULL
         OR ({column} >> {SEQ_BITS}) NOT IN {logs}"
    );
    let count: u64 = db
        .query_row(&sql, [], |row| row.get(0))
        .map_err(|error| failed("check the tables", error))?;
    if count > 0 {
        let what = format!("{count} rows of the table `{table}` are of no log");
        findings.add(None, "store.stray", what);
    }
    Ok(())
}

/// Rows of this log that must not be there; those that must be were looked for before.
pub(super) fn compare(
    db: &Connection,
    log: &Log,
    derived: &Derived,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let range = log.range();
    let span = [range.place(0), range.place(u64::MAX)];
    let done = kinds(db, log, derived, span, findings);
    part(findings, done)?;
    let done = ids(db, log, derived, span, findings);
    part(findings, done)?;
    for foreign in foreigners(log) {
        let sql = format!(
            "SELECT place FROM {} WHERE place >= ?1 AND place <= ?2 AND {}",
            foreign.table, foreign.from
        );
        let found = places(db, &sql, span).map(|places| {
            for place in places {
                findings.add(Some(range.seq(place)), foreign.code, foreign.what);
            }
        });
        part(findings, found)?;
    }
    let done = nodes(db, derived, span, findings);
    part(findings, done)?;
    let done = canons(db, log, findings);
    part(findings, done)
}

/// Rows of a table that must not be there.
struct Foreign {
    table: &'static str,
    from: String,
    code: &'static str,
    what: &'static str,
}

fn foreigners(log: &Log) -> [Foreign; 3] {
    let range = log.range();
    let (first, pruned) = (range.place(0), range.place(log.end.pruned.entries));
    [
        Foreign {
            table: "tile",
            from: format!("(place >= {pruned} OR (place - {first}) % {SEGMENT} <> 0)"),
            code: "store.tile",
            what: "leaf hashes are kept for what was not pruned",
        },
        Foreign {
            table: "checkpoint",
            from: format!("(place > {pruned} OR place = {first})"),
            code: "store.head",
            what: "a signed head is kept apart that is not of what was pruned",
        },
        Foreign {
            table: "body",
            from: format!(
                "(place < {} OR NOT EXISTS (SELECT 1 FROM entry WHERE entry.place = body.place))",
                range.place(log.end.pruned.bodies)
            ),
            code: "store.body.foreign",
            what: "a body is kept for an entry that is not, or that was pruned",
        },
    ]
}

fn kinds(
    db: &Connection,
    log: &Log,
    derived: &Derived,
    span: [i64; 2],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FROM entry_kind WHERE place >= ?1 AND place <= ?2";
    if count(db, sql, span)? == derived.kinds {
        return Ok(());
    }
    let sql = "SELECT k.place FROM entry_kind k LEFT JOIN entry e ON e.place = k.place
         WHERE k.place >= ?1 AND k.place <= ?2 AND (e.place IS NULL OR e.kind <> k.kind)";
    for place in places(db, sql, span)? {
        let what = "it is found by a kind that it does not have";
        findings.add(Some(log.range().seq(place)), "store.kind.foreign", what);
    }
    Ok(())
}

fn ids(
    db: &Connection,
    log: &Log,
    derived: &Derived,
    span: [i64; 2],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FROM entry_id WHERE place >= ?1 AND place <= ?2";
    if count(db, sql, span)? == derived.ids {
        return Ok(());
    }
    let cannot = |error| failed("check the ids", error);
    let sql =
        "SELECT i.key, i.place, e.bytes FROM entry_id i LEFT JOIN entry e ON e.place = i.place
         WHERE i.place >= ?1 AND i.place <= ?2";
    let mut read = db.prepare(sql).map_err(cannot)?;
    let mut rows = read.query(span).map_err(cannot)?;
    while let Some(row) = rows.next().map_err(cannot)? {
        let (key, place): (i64, i64) = (row.get(0).map_err(cannot)?, row.get(1).map_err(cannot)?);
        let bytes: Option<Vec<u8>> = row.get(2).map_err(cannot)?;
        let entry = bytes.and_then(|bytes| Entry::parse(&bytes).ok());
        let own = entry.as_ref().and_then(Entry::id).map(id_key);
        if own != Some(key) {
            let what = "it is found by an id that it does not have";
            findings.add(Some(log.range().seq(place)), "store.id.foreign", what);
        }
    }
    Ok(())
}

fn nodes(
    db: &Connection,
    derived: &Derived,
    span: [i64; 2],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FROM node WHERE place >= ?1 AND place <= ?2";
    let kept = count(db, sql, span)?;
    if derived.tree.is_some() && kept != derived.nodes {
        let what = format!("{kept} subtree roots are kept, and the tree has {}", derived.nodes);
        findings.add(None, "store.node", what);
    }
    Ok(())
}

/// The files of each version of canon must be those of its digest.
fn canons(db: &Connection, log: &Log, findings: &mut Findings) -> Result<(), StoreError> {
    let cannot = |error| failed("check the canons", error);
    let mut read =
        db.prepare("SELECT digest, files FROM canon WHERE tenant = ?1").map_err(cannot)?;
    let tenant = log.tenant.uuid().as_u128().to_be_bytes();
    let mut rows = read.query(params![tenant]).map_err(cannot)?;
    while let Some(row) = rows.next().map_err(cannot)? {
        let digest = row.get(0).map(Digest::from_bytes).ok();
        let text: Option<String> = row.get(1).ok();
        let map = text.and_then(|text| parse(&text).ok());
        let files = map.as_ref().and_then(Value::as_map).and_then(|map| {
            let file =
                |(path, text): (&String, &Value)| Some((path.clone(), text.as_text()?.to_owned()));
            map.iter().map(file).collect::<Option<_>>()
        });
        let canon = digest.zip(files).map(|(digest, files)| CanonFiles { digest, files });
        if canon.is_none_or(|canon| canon.computed() != canon.digest) {
            let what = "the files of a kept version of canon are not those of its digest";
            findings.add(None, "store.canon", what);
        }
    }
    Ok(())
}

fn count(db: &Connection, sql: &str, span: impl Params) -> Result<u64, StoreError> {
    let count = db.query_row(sql, span, |row| row.get(0)).optional();
    Ok(count.map_err(|error| failed("check the tables", error))?.unwrap_or(0))
}

fn places(db: &Connection, sql: &str, span: impl Params) -> Result<Vec<i64>, StoreError> {
    let cannot = |error| failed("check the tables", error);
    let mut read = db.prepare(sql).map_err(cannot)?;
    let rows = read.query_map(span, |row| row.get(0)).map_err(cannot)?;
    rows.collect::<Result<_, _>>().map_err(cannot)
}

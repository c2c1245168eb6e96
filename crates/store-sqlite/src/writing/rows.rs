//! The statements that write entries, prepared once and kept.

use cog_ledger::{Entry, Node, SealedBatch};
use cog_store::StoreError;
use rusqlite::{CachedStatement, Transaction, params};

use crate::error::failed;
use crate::place::{Range, id_key, is_rare, kind_code};

/// The statements of one commit.
pub(super) struct Rows<'a> {
    tx: &'a Transaction<'a>,
    entry: CachedStatement<'a>,
    id: CachedStatement<'a>,
    kind: CachedStatement<'a>,
    body: CachedStatement<'a>,
}

impl<'a> Rows<'a> {
    pub(super) fn prepare(tx: &'a Transaction<'a>) -> Result<Self, StoreError> {
        let prepare = |sql| {
            tx.prepare_cached(sql).map_err(|error| failed("prepare to write to the ledger", error))
        };
        Ok(Self {
            tx,
            entry: prepare(
                "INSERT INTO entry (place, kind, back, leaf, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            id: prepare("INSERT INTO entry_id (key, place) VALUES (?1, ?2)")?,
            kind: prepare("INSERT INTO entry_kind (kind, place) VALUES (?1, ?2)")?,
            body: prepare("INSERT INTO body (place, key, sealed) VALUES (?1, ?2, ?3)")?,
        })
    }

    /// Write an entry and what it is found by.
    pub(super) fn entry(
        &mut self,
        place: i64,
        back: Option<i64>,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let kind = kind_code(entry.kind());
        let leaf = entry.leaf();
        let row = params![place, kind, back, leaf.as_bytes(), entry.bytes()];
        self.entry.execute(row).map_err(|error| failed("write an entry", error))?;
        if let Some(id) = entry.id() {
            let written = self.id.execute(params![id_key(id), place]);
            written.map_err(|error| failed("index an entry", error))?;
        }
        if is_rare(entry.kind()) {
            let written = self.kind.execute(params![kind, place]);
            written.map_err(|error| failed("index an entry", error))?;
        }
        Ok(())
    }

    /// Write a sealed body.
    pub(super) fn body(
        &mut self,
        place: i64,
        key: Option<i64>,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let written = self.body.execute(params![place, key, sealed]);
        written.map(drop).map_err(|error| failed("write a body", error))
    }

    /// Write subtree roots.
    pub(super) fn nodes(&self, range: Range, nodes: &[Node]) -> Result<(), StoreError> {
        for node in nodes {
            self.tx
                .prepare_cached("INSERT INTO node (place, hash) VALUES (?1, ?2)")
                .and_then(|mut insert| {
                    insert
                        .execute(params![range.node(node.level, node.index), node.hash.as_bytes()])
                })
                .map_err(|error| failed("write a subtree root", error))?;
        }
        Ok(())
    }

    /// Write the end of the log and its signed head.
    pub(super) fn end(&self, log: i64, batch: &SealedBatch) -> Result<(), StoreError> {
        let Some(last) = batch.entries.last() else { return Ok(()) };
        let frontier = &batch.frontier;
        let roots: Vec<u8> =
            frontier.roots().iter().flat_map(|root| root.as_bytes().iter().copied()).collect();
        let (leaf, at) = (last.entry.leaf(), last.entry.at().micros());
        self.tx
            .prepare_cached(
                "UPDATE log SET size = ?2, frontier = ?3, last_leaf = ?4, last_at = ?5 WHERE no = ?1",
            )
            .and_then(|mut update| {
                update.execute(params![log, frontier.size(), roots, leaf.as_bytes(), at])
            })
            .map_err(|error| failed("write the end of a log", error))?;
        let place = Range::of(log).place(batch.checkpoint.size());
        self.tx
            .prepare_cached("INSERT INTO checkpoint (place, note) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![place, batch.checkpoint.to_string()]))
            .map(drop)
            .map_err(|error| failed("write a signed head", error))
    }
}

//! The statements that write entries, prepared once and kept.

use cog_ledger::{Entry, Node};
use cog_store::StoreError;
use cog_store::index::id_key;
use rusqlite::{CachedStatement, Transaction, params};

use crate::binding::{Links, TAG_BYTES};
use crate::error::failed;
use crate::place::Range;

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
                "INSERT INTO entry (place, kind, back, kin, tag, head, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            id: prepare("INSERT INTO entry_id (key, place) VALUES (?1, ?2)")?,
            kind: prepare("INSERT INTO entry_kind (kind, place) VALUES (?1, ?2)")?,
            body: prepare("INSERT INTO body (place, key, sealed) VALUES (?1, ?2, ?3)")?,
        })
    }

    /// Write an entry and what it is found by; with the head that ends with it, if one does.
    pub(super) fn entry(
        &mut self,
        place: i64,
        links: Links,
        tag: [u8; TAG_BYTES],
        head: Option<&str>,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let Links { kind, back, kin } = links;
        let row = params![place, kind, back, kin, tag, head, entry.bytes()];
        self.entry.execute(row).map_err(|error| failed("write an entry", error))?;
        if let Some(id) = entry.id() {
            let written = self.id.execute(params![id_key(id), place]);
            written.map_err(|error| failed("index an entry", error))?;
        }
        if kin.is_some() {
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
}

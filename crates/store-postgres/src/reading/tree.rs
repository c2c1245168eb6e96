//! Leaf hashes and subtree roots, read many at a time: a proof asks for one after the other,
//! and each way to the server costs more than what is brought from it.

use std::collections::HashMap;

use cog_base::Digest;
use cog_store::StoreError;
use tokio_postgres::types::ToSql;

use super::{DIGEST_BYTES, SEGMENT, Scope, number, place};

/// The most segments whose leaf hashes are held, half a megabyte of them.
const SEGMENTS_MAX: usize = 64;
/// The most subtree roots that are held.
const NODES_MAX: usize = 16_384;

const LEAVES: &str = "SELECT seq, leaf FROM entry WHERE tenant = $1 AND seq >= $2 AND seq < $3";
const TILE: &str = "SELECT hashes FROM tile WHERE tenant = $1 AND seq = $2";
const NODE: &str = "SELECT hash FROM node WHERE tenant = $1 AND level = $2 AND index = $3";

/// What was read of the tree of one log. A scope's state never changes.
#[derive(Default)]
pub(super) struct Tree {
    /// By the first entry of the segment.
    leaves: HashMap<u64, HashMap<u64, Digest>>,
    nodes: HashMap<(u8, u64), Option<Digest>>,
}

impl Scope<'_> {
    /// The leaf hash at `seq`, which outlives the entry.
    pub(super) fn kept_leaf(&self, seq: u64) -> Result<Option<Digest>, StoreError> {
        let begin = seq - seq % SEGMENT;
        if let Some(leaves) = self.tree.borrow().leaves.get(&begin) {
            return Ok(leaves.get(&seq).copied());
        }
        let leaves = self.segment(begin)?;
        let leaf = leaves.get(&seq).copied();
        let mut tree = self.tree.borrow_mut();
        if tree.leaves.len() >= SEGMENTS_MAX {
            tree.leaves.clear();
        }
        tree.leaves.insert(begin, leaves);
        Ok(leaf)
    }

    /// The leaf hashes of a segment: all of one that was pruned, else those of its entries.
    fn segment(&self, begin: u64) -> Result<HashMap<u64, Digest>, StoreError> {
        let what = "a leaf hash";
        let tile = self.query("read leaf hashes", TILE, &[&place(begin)])?;
        if let Some(row) = tile.first() {
            let hashes = row.get::<_, &[u8]>(0).chunks_exact(DIGEST_BYTES);
            let hashes = (begin..).zip(hashes);
            return hashes.map(|(seq, hash)| Ok((seq, self.digest(hash, what)?))).collect();
        }
        let span: &[&(dyn ToSql + Sync)] = &[&place(begin), &place(begin + SEGMENT)];
        let rows = self.query("read leaf hashes", LEAVES, span)?;
        rows.iter().map(|row| Ok((number(row.get(0)), self.digest(row.get(1), what)?))).collect()
    }

    /// The root of a perfect subtree, where one is kept.
    pub(super) fn kept_node(&self, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        if let Some(node) = self.tree.borrow().nodes.get(&(level, index)) {
            return Ok(*node);
        }
        let values: &[&(dyn ToSql + Sync)] = &[&i16::from(level), &place(index)];
        let rows = self.query("read a subtree root", NODE, values)?;
        let node = rows.first().map(|row| self.digest(row.get(0), "a subtree root")).transpose()?;
        let mut tree = self.tree.borrow_mut();
        if tree.nodes.len() >= NODES_MAX {
            tree.nodes.clear();
        }
        tree.nodes.insert((level, index), node);
        Ok(node)
    }
}

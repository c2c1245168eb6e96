//! Where logs are kept: the one thing the ledger asks of a store.

use std::sync::Arc;

use cog_base::id::TenantId;
use cog_base::{Digest, Timestamp};

use crate::body::SealedBody;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::merkle::Frontier;

/// Subtree roots are kept at these levels: the tile height of C2SP `tlog-tiles`.
pub const LEVEL_STEP: u8 = 8;

/// An entry with its body, ready to be kept.
#[derive(Debug, Clone)]
pub struct SealedEntry {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its body, to be sealed under its subject's key.
    pub body: Option<SealedBody>,
}

/// The root of a perfect subtree of 2^`level` leaves, the `index`-th of that level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// A multiple of [`LEVEL_STEP`].
    pub level: u8,
    /// Counted from the left, from 0.
    pub index: u64,
    /// Its hash.
    pub hash: Digest,
}

/// What one tenant's log grows by in one commit.
#[derive(Debug, Clone)]
pub struct SealedBatch {
    /// Whose log.
    pub tenant: TenantId,
    /// The sequence number of the first entry: the size of the log before.
    pub first: u64,
    /// The entries, gapless. At least one.
    pub entries: Vec<SealedEntry>,
    /// The subtree roots at levels 8, 16, 24, … that this batch completes.
    pub nodes: Vec<Node>,
    /// The right edge of the tree after this batch, for [`Tail::frontier`].
    pub frontier: Frontier,
    /// The signed head of the log after this batch.
    pub checkpoint: Checkpoint,
}

/// The end of a log: what is needed to go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The right edge of the tree; its size is the number of entries.
    pub frontier: Frontier,
    /// The leaf hash of the last entry.
    pub last_leaf: Digest,
    /// The time of the last entry.
    pub last_at: Timestamp,
    /// The signed head.
    pub checkpoint: Checkpoint,
}

/// Keeps logs. Implementations are told of every batch exactly once and in order.
pub trait Shelf {
    /// Keep all of `batches`, or none, durably: when this returns `Ok`, they survive a
    /// power cut. A batch whose `first` is not the size of the kept log must be refused.
    ///
    /// # Errors
    /// [`ShelfError`]; the writer then takes nothing for granted and reads the tail again.
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError>;

    /// The end of a tenant's log, or nothing when there is none.
    ///
    /// # Errors
    /// [`ShelfError`] when it cannot be read.
    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError>;
}

impl<S: Shelf + ?Sized> Shelf for &mut S {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        (**self).commit(batches)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        (**self).tail(tenant)
    }
}

impl<S: Shelf + ?Sized> Shelf for Box<S> {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        (**self).commit(batches)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        (**self).tail(tenant)
    }
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("the store of the ledger failed{}", if *transient { ", perhaps only for now" } else { "" })]
pub struct ShelfError {
    /// What the store said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// Whether trying again may help.
    pub transient: bool,
}

impl ShelfError {
    /// An error that trying again will not mend.
    pub fn lasting(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into(), transient: false }
    }

    /// An error that may pass.
    pub fn transient(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: source.into(), transient: true }
    }
}

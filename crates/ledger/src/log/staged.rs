//! A batch of one tenant's log between its drafts and its commit.

use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::entropy::Entropy;
use cog_base::id::TenantId;

use super::{AppendError, Open};
use crate::body::SealedBody;
use crate::checkpoint::Checkpoint;
use crate::entry::{BatchText, Draft, Place};
use crate::keys::Signer;
use crate::merkle::Frontier;
use crate::shelf::{LEVEL_STEP, Node, SealedBatch, SealedEntry, Tail};

/// Entries in their places, not yet signed.
pub(super) struct Staged {
    pub(super) tenant: TenantId,
    pub(super) open: Open,
    /// The key that takes over after this batch, and signs it too.
    pub(super) next: Option<Box<dyn Signer>>,
    at: Timestamp,
    text: BatchText,
    frontier: Frontier,
    entries: Vec<SealedEntry>,
    nodes: Vec<Node>,
    /// For each entry, which draft it was; nothing for those of the writer's own.
    drafts: Vec<Option<usize>>,
    scratch: Vec<u8>,
}

impl Staged {
    /// An empty batch at the end of `open`. Its time is now, but never before the last.
    pub(super) fn new(tenant: TenantId, open: Open, engine: &Arc<str>, now: Timestamp) -> Self {
        let at = open.tail.as_ref().map_or(now, |tail| now.max(tail.last_at));
        let frontier = open.tail.as_ref().map_or_else(Frontier::new, |tail| tail.frontier.clone());
        Self {
            tenant,
            open,
            next: None,
            at,
            text: BatchText::new(tenant, at, engine),
            frontier,
            entries: Vec::new(),
            nodes: Vec::new(),
            drafts: Vec::new(),
            scratch: Vec::with_capacity(1024),
        }
    }

    /// Give the draft the next place in the log.
    pub(super) fn add(
        &mut self,
        index: Option<usize>,
        mut draft: Draft,
        entropy: &mut dyn Entropy,
    ) -> Result<(), AppendError> {
        let body = draft.body.take().map(|body| SealedBody::new(body, entropy)).transpose()?;
        let before = self.entries.last().map(|sealed| sealed.entry.leaf());
        let place = Place {
            tenant: self.tenant,
            seq: self.frontier.size(),
            at: self.at,
            prev: before.or_else(|| self.open.tail.as_ref().map(|tail| tail.last_leaf)),
            commit: body.as_ref().map(|body| body.commit),
            batch: &self.text,
        };
        let entry = draft
            .place(&place, &mut self.scratch)
            .map_err(|source| AppendError::Draft { index: index.unwrap_or_default(), source })?;
        let nodes = &mut self.nodes;
        self.frontier.push(entry.leaf(), |level, index, hash| {
            if level.is_multiple_of(LEVEL_STEP) {
                nodes.push(Node { level, index, hash });
            }
        });
        self.entries.push(SealedEntry { entry: Arc::new(entry), body });
        self.drafts.push(index);
        Ok(())
    }

    /// Sign the head over all entries. Also returns the log as it will be when the batch
    /// is kept, and which draft each entry was.
    pub(super) fn seal(mut self) -> Result<(SealedBatch, Open, Vec<Option<usize>>), AppendError> {
        let tenant = self.tenant;
        let mut signers: Vec<&mut dyn Signer> = vec![self.open.signer.as_mut()];
        if let Some(next) = &mut self.next {
            signers.push(next.as_mut());
        }
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let checkpoint = Checkpoint::sign(&self.open.origin, size, root, &mut signers)
            .map_err(|source| AppendError::Sign { tenant, source })?;
        let last = self.entries.last().map(|sealed| sealed.entry.leaf());
        self.open.tail = last.map(|last_leaf| Tail {
            frontier: self.frontier.clone(),
            last_leaf,
            last_at: self.at,
            checkpoint: checkpoint.clone(),
        });
        if let Some(next) = self.next {
            self.open.signer = next;
        }
        let batch = SealedBatch {
            tenant,
            first: size.saturating_sub(self.entries.len() as u64),
            entries: self.entries,
            nodes: self.nodes,
            frontier: self.frontier,
            checkpoint,
        };
        Ok((batch, self.open, self.drafts))
    }
}

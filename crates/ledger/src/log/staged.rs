//! A batch of one tenant's log between its drafts and its commit.

use std::sync::Arc;

use cog_base::entropy::Entropy;
use cog_base::id::TenantId;
use cog_base::{Digest, Timestamp};

use super::{AppendError, Numbered, Open};
use crate::body::{SealedBody, commitment};
use crate::checkpoint::Checkpoint;
use crate::entry::{BatchText, Draft, Place};
use crate::keys::Signer;
use crate::merkle::Frontier;
use crate::shelf::{LEVEL_STEP, Node, SealedBatch, SealedEntry, Tail};

/// What a draft's body takes: a salt and the commitment under it, if there is a body.
pub(super) struct Ready {
    salt: [u8; 32],
    commit: Option<Digest>,
}

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
    /// The bytes of the draft that was prepared last.
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

    /// Salt and write what a draft becomes in the next place, without taking it: whatever
    /// can fail, fails here.
    pub(super) fn prepare(
        &mut self,
        index: usize,
        draft: &Draft,
        entropy: &mut dyn Entropy,
    ) -> Result<Ready, AppendError> {
        let mut ready = Ready { salt: [0; 32], commit: None };
        if let Some(body) = &draft.body {
            entropy.fill(&mut ready.salt)?;
            ready.commit = Some(commitment(&ready.salt, &body.bytes));
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        let written = draft.write(&self.place(ready.commit), &mut bytes);
        self.scratch = bytes;
        written.map_err(|source| AppendError::Draft { index, source })?;
        Ok(ready)
    }

    /// Give the draft that was prepared last the next place in the log.
    pub(super) fn add(&mut self, index: Option<usize>, mut draft: Draft, ready: Ready) {
        let Ready { salt, commit } = ready;
        let body = draft.body.take().zip(commit);
        let body = body.map(|(body, commit)| SealedBody::with(body, salt, commit));
        let entry = draft.into_entry(&self.place(commit), &self.scratch);
        let nodes = &mut self.nodes;
        self.frontier.push(entry.leaf(), |level, index, hash| {
            if level.is_multiple_of(LEVEL_STEP) {
                nodes.push(Node { level, index, hash });
            }
        });
        self.entries.push(SealedEntry { entry: Arc::new(entry), body });
        self.drafts.push(index);
    }

    /// Give an entry of the writer's own the next place.
    pub(super) fn add_own(
        &mut self,
        draft: Draft,
        entropy: &mut dyn Entropy,
    ) -> Result<(), AppendError> {
        let ready = self.prepare(0, &draft, entropy)?;
        self.add(None, draft, ready);
        Ok(())
    }

    fn place(&self, commit: Option<Digest>) -> Place<'_> {
        let before = self.entries.last().map(|sealed| sealed.entry.leaf());
        Place {
            tenant: self.tenant,
            seq: self.frontier.size(),
            at: self.at,
            prev: before.or_else(|| self.open.tail.as_ref().map(|tail| tail.last_leaf)),
            commit,
            batch: &self.text,
        }
    }

    /// Sign the head over all entries.
    pub(super) fn sign(&mut self) -> Result<Checkpoint, AppendError> {
        let tenant = self.tenant;
        let mut signers: Vec<&mut dyn Signer> = vec![self.open.signer.as_mut()];
        if let Some(next) = &mut self.next {
            signers.push(next.as_mut());
        }
        let (size, root) = (self.frontier.size(), self.frontier.root());
        Checkpoint::sign(&self.open.origin, size, root, &mut signers)
            .map_err(|source| AppendError::Sign { tenant, source })
    }

    /// The batch under its signed head, the log as it will be when the batch is kept, and
    /// which draft each entry was.
    pub(super) fn seal(mut self, head: Checkpoint) -> (SealedBatch, Open, Vec<Option<usize>>) {
        let last = self.entries.last().map(|sealed| sealed.entry.leaf());
        self.open.tail = last.map(|last_leaf| Tail {
            frontier: self.frontier.clone(),
            last_leaf,
            last_at: self.at,
            checkpoint: head.clone(),
        });
        if let Some(next) = self.next {
            self.open.signer = next;
        }
        let batch = SealedBatch {
            tenant: self.tenant,
            first: self.frontier.size().saturating_sub(self.entries.len() as u64),
            entries: self.entries,
            nodes: self.nodes,
            frontier: self.frontier,
            checkpoint: head,
        };
        (batch, self.open, self.drafts)
    }

    /// The drafts that were added, as they were.
    pub(super) fn undo(self) -> impl Iterator<Item = Numbered> {
        undone(self.drafts.into_iter().zip(self.entries))
    }
}

/// The drafts of entries that were not kept, without those of the writer's own.
pub(super) fn undone(
    entries: impl Iterator<Item = (Option<usize>, SealedEntry)>,
) -> impl Iterator<Item = Numbered> {
    entries.filter_map(|(index, SealedEntry { entry, body })| {
        let tenant = entry.tenant();
        let mut draft = Arc::unwrap_or_clone(entry).into_draft();
        draft.body = body.map(SealedBody::into_draft);
        Some((index?, (tenant, draft)))
    })
}

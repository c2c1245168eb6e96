//! A batch of one tenant's log between its drafts and its commit.

use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::entropy::Entropy;
use cog_base::id::TenantId;

use super::{AppendError, Numbered, Open};
use crate::checkpoint::Checkpoint;
use crate::entry::{BatchText, Draft, EntryError, Place, Prepared};
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
        }
    }

    /// Whether a draft can have the next place: whatever can fail, fails here.
    pub(super) fn check(&self, draft: &Prepared) -> Result<(), EntryError> {
        draft.check(|| self.place())
    }

    /// Give a draft that was checked for it the next place in the log.
    pub(super) fn add(&mut self, index: Option<usize>, draft: Prepared) {
        let (entry, body) = draft.into_entry(&self.place());
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
        let draft = Prepared::of(draft, entropy)?;
        self.check(&draft).map_err(|source| AppendError::Draft { index: 0, source })?;
        self.add(None, draft);
        Ok(())
    }

    fn place(&self) -> Place<'_> {
        let before = self.entries.last().map(|sealed| sealed.entry.leaf());
        let prev = before.or_else(|| self.open.tail.as_ref().map(|tail| tail.last_leaf));
        Place::new((self.tenant, self.frontier.size()), self.at, prev, &self.text)
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
        Some((index?, (tenant, Prepared::again(Arc::unwrap_or_clone(entry), body))))
    })
}

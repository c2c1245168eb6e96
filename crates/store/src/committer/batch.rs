//! Submissions that share a commit.

use cog_base::id::TenantId;
use cog_ledger::{Durable, Entry, Prepared};

use super::{Reply, SUBMISSIONS_PER_BATCH_MAX};

/// The drafts of several submissions one after the other, and how many each of them has.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) drafts: Vec<(TenantId, Prepared)>,
    pub(super) submissions: Vec<(usize, Reply)>,
}

impl Batch {
    pub(super) fn push(&mut self, drafts: Vec<(TenantId, Prepared)>, reply: Reply) {
        self.submissions.push((drafts.len(), reply));
        self.drafts.extend(drafts);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.submissions.is_empty()
    }

    /// Whether no more may be recorded together.
    pub(super) fn is_full(&self) -> bool {
        self.submissions.len() >= SUBMISSIONS_PER_BATCH_MAX
    }

    /// Take a submission out.
    pub(super) fn remove(&mut self, submission: usize) -> (Vec<(TenantId, Prepared)>, Reply) {
        let before: usize = self.submissions.iter().take(submission).map(|(count, _)| count).sum();
        let (count, reply) = self.submissions.remove(submission);
        (self.drafts.drain(before..before + count).collect(), reply)
    }

    /// Which submission the `index`-th draft belongs to, and where in it.
    pub(super) fn place(&self, mut index: usize) -> (usize, usize) {
        for (submission, (count, _)) in self.submissions.iter().enumerate() {
            if index < *count {
                return (submission, index);
            }
            index -= count;
        }
        (self.submissions.len().saturating_sub(1), 0)
    }

    /// The first submission with a draft that `is_it`.
    pub(super) fn find(&self, is_it: impl FnMut(&(TenantId, Prepared)) -> bool) -> Option<usize> {
        let index = self.drafts.iter().position(is_it)?;
        Some(self.place(index).0)
    }

    /// The submission with the most drafts.
    pub(super) fn largest(&self) -> usize {
        let sizes = self.submissions.iter().enumerate();
        sizes.max_by_key(|(_, (count, _))| *count).map_or(0, |(place, _)| place)
    }

    /// Hand each submission its entries.
    pub(super) fn answer(self, entries: Vec<Durable<Entry>>) {
        let mut entries = entries.into_iter();
        for (count, reply) in self.submissions {
            reply(Ok(entries.by_ref().take(count).collect()));
        }
    }
}

//! When a decision was made, as far as the log shows it.
//!
//! A decision is older than its entry by as long as the store took to record it, and by then other
//! entries may have been recorded, also of its own run. So it is not held against the entry before it,
//! but against what whoever decided knew: receipts that had come to their end, and the answers of people
//! that it names.

use std::collections::BTreeMap;

use cog_base::Timestamp;
use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_gate::decision::CLOCK_BEHIND_MS_MAX;
use cog_gate::snapshot::Snapshot;
use cog_ledger::Entry;

/// How far the clock may be set back in all while a decision is recorded, in milliseconds.
const SET_BACK_MS_MAX: u64 = 60_000;

/// What the log shows of the time.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// When the log began, where its beginning is here.
    begun: Option<Timestamp>,
    /// When each receipt that has no outcome yet was recorded.
    open: BTreeMap<ReceiptId, Timestamp>,
    /// When the newest receipt that has one was recorded, by the run that began the tree.
    settled: BTreeMap<RunId, Timestamp>,
    /// When people first answered a request.
    answered: BTreeMap<ApprovalId, Timestamp>,
}

impl Times {
    /// The entry that began the log.
    pub(super) fn genesis(&mut self, entry: &Entry) {
        self.begun = Some(entry.at());
    }

    pub(super) fn receipt(&mut self, receipt: ReceiptId, entry: &Entry) {
        self.open.insert(receipt, entry.at());
    }

    /// An outcome, in the tree that `root` began. An effect begins when its receipt is durable, and
    /// time never goes back along a log.
    pub(super) fn outcome(&mut self, root: Option<RunId>, receipt: ReceiptId) {
        if let Some((root, given)) = root.zip(self.open.remove(&receipt)) {
            let newest = self.settled.entry(root).or_insert(given);
            *newest = given.max(*newest);
        }
    }

    /// What somebody answered, however that counts.
    pub(super) fn answer(&mut self, entry: &Entry) {
        if let Some(id) = entry.id().and_then(|id| id.parse().ok()) {
            self.answered.entry(id).or_insert(entry.at());
        }
    }

    /// Whether a decision that `entry` records can have been made at the time that its snapshot says.
    /// The clock may have been set back by as much as the gate lets pass.
    pub(super) fn fit(&self, root: Option<RunId>, entry: &Entry, snapshot: &Snapshot) -> bool {
        let answers = snapshot.approvals.iter().filter(|it| it.rejected || !it.by.is_empty());
        let answered = answers.filter_map(|it| self.answered.get(&it.id));
        let settled = root.and_then(|root| self.settled.get(&root));
        let known = answered.chain(settled).max().copied();
        let now = snapshot.now.plus_ms(CLOCK_BEHIND_MS_MAX);
        // The genesis is recorded with the first entry, which may be of a decision that was made.
        self.begun.is_none_or(|begun| begun <= now)
            && known.is_none_or(|known| known <= now)
            && snapshot.now <= entry.at().plus_ms(SET_BACK_MS_MAX)
    }
}

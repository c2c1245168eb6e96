//! What all runs of a domain do together in a period, as the gate reads and counts it.

use std::collections::BTreeMap;

use cog_base::id::ReceiptId;
use cog_base::{Period, Timestamp};
use cog_canon::Canon;
use cog_ledger::Entry;

use crate::book::Counts;
use crate::decision::Decision;
use crate::effect::Footprint;
use crate::gate::Gate;
use crate::intent::Intent;
use crate::snapshot::Tally;
use crate::world::World;

impl Gate {
    /// What is used of the periods in which the canon counts.
    pub(crate) fn tallies(
        &self,
        intent: &Intent,
        footprint: &Footprint,
        world: &World<'_>,
    ) -> BTreeMap<Period, Tally> {
        let Some(canon) = world.canon().filter(|canon| !canon.periods().is_empty()) else {
            return BTreeMap::new();
        };
        let now = world.now.max(world.ledger_at);
        let stands = self.book.stands(intent.origin().session);
        self.domains.tallies((canon, &intent.origin().domain), now, footprint, &stands)
    }

    /// What a permitted intent counts in the periods of its domain; nothing when the canon counts
    /// in none.
    #[must_use]
    pub fn counts(
        &self,
        intent: &Intent,
        footprint: &Footprint,
        decision: &Decision,
        canon: Option<&Canon>,
        at: Timestamp,
    ) -> Option<Counts> {
        let stands = self.book.stands(intent.origin().session);
        Counts::of(intent, footprint, decision, (canon?, at), &stands)
    }

    /// Count a receipt in the periods of its domain as another canon would have it, once; what
    /// came of it is recalled.
    pub fn suppose(
        &mut self,
        receipt: ReceiptId,
        intent: &Intent,
        footprint: &Footprint,
        decision: &Decision,
        canon: &Canon,
        at: Timestamp,
    ) {
        if let Some(counts) = self.counts(intent, footprint, decision, Some(canon), at) {
            let domain = &intent.origin().domain;
            self.domains.count(receipt, domain, counts, intent.cost(), None);
        }
    }

    /// Count an entry that was recorded before this gate was made, for the periods of its domain:
    /// receipts and outcomes, once and in the order of the log, from the beginning of the periods on.
    pub fn recall(&mut self, entry: &Entry) {
        self.domains.recall(entry);
    }
}

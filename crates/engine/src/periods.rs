//! What all runs of a domain did together in the hour, day, week and month of now: an engine that
//! begins counts it again from the entries of those periods, if a canon counts in them at all.

use cog_base::{Digest, Period, Timestamp};
use cog_ledger::{Entry, Kind};
use cog_store::{Select, StoreError, TenantTx};

use crate::admission::Queue;
use crate::engine::Engine;

/// The kinds of entries that are counted.
const COUNTED: [Kind; 2] = [Kind::Receipt, Kind::Outcome];

/// A version of canon, and since when it is in force.
pub(crate) type Enacted = (Timestamp, Digest);

/// The version of canon that an entry puts in force.
pub(crate) fn enacted(entry: &Entry) -> Option<Enacted> {
    Some((entry.at(), entry.digest("digest").filter(|_| entry.kind() == Kind::CanonActivated)?))
}

impl Engine {
    /// From when on receipts and outcomes are to be recalled: the beginning of the longest period
    /// that a canon names which is in force in it, when it is `now` and no earlier than the ledger's
    /// last entry. Nothing where none does.
    ///
    /// What is decided from then on is of these periods or later ones, as no decision is dated back
    /// before the ledger's last entry, whatever the clock says.
    #[must_use]
    pub fn recalled_since(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.max(self.ledger_at);
        let of_domain = self.enacted.values().filter_map(|versions| {
            let periods = Period::ALL.into_iter().rev();
            let mut starts = periods.map(|period| (period, period.start(now)));
            starts.find(|(period, start)| self.is_named(versions, *period, *start))
        });
        of_domain.map(|(_, start)| start).min()
    }

    /// Whether a version names the period that was in force at `start` or came to be since.
    fn is_named(&self, versions: &[Enacted], period: Period, start: Timestamp) -> bool {
        let until = versions.iter().skip(1).map(|(at, _)| *at).chain([Timestamp::MAX]);
        let of_now = versions.iter().zip(until).filter(|(_, until)| *until >= start);
        let mut known = of_now.filter_map(|((_, digest), _)| self.canons.get(digest));
        known.any(|canon| canon.periods().contains(&period))
    }

    /// Count what is on record of the periods of now, and see who waits for their turn. Whoever makes an engine from a log does it
    /// once, when it has observed the entries about canon and the newest one, and knows the canons.
    /// Says how many entries were read.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub fn recall(&mut self, scope: &dyn TenantTx) -> Result<u64, StoreError> {
        self.queue = Queue::read(scope)?;
        let Some(since) = self.recalled_since(self.ledger_at) else { return Ok(0) };
        let mut read = 0_u64;
        let from = cog_store::first_since(scope, since)?;
        let select = Select { kinds: COUNTED.into(), from, ..Select::default() };
        scope.each(select, &mut |entry| {
            read = read.saturating_add(1);
            self.recall_entry(entry);
        })?;
        Ok(read)
    }

    /// Count one entry that is on record, in the order of the log.
    pub fn recall_entry(&mut self, entry: &Entry) {
        self.gate.recall(entry);
    }
}

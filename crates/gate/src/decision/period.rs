//! Bounds of a domain in a period: what all its runs do together.

use cog_base::{Period, Timestamp};
use cog_canon::{Bounds, Settings};

use super::trace::Fact;
use super::{Seen, amount_of};
use crate::intent::Intent;
use crate::snapshot::Snapshot;

/// A bound of a period that an intent would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) period: Period,
    pub(crate) start: Timestamp,
    pub(crate) used: u64,
    pub(crate) wanted: u64,
    pub(crate) limit: u64,
}

impl Over {
    /// The bound, if more is wanted than is left of it. Whoever wants nothing passes none.
    pub(crate) fn of(
        (period, start): (Period, Timestamp),
        used: u64,
        wanted: u64,
        limit: u64,
    ) -> Option<Self> {
        let is_within = wanted == 0 || used.checked_add(wanted).is_some_and(|after| after <= limit);
        (!is_within).then_some(Self { period, start, used, wanted, limit })
    }

    pub(crate) fn end(&self) -> Timestamp {
        self.period.end(self.start)
    }

    /// What is left.
    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen::Facts(vec![
            ("ends", Fact::Time(self.end())),
            ("limit", self.limit.into()),
            ("per", self.period.word().into()),
            ("starts", Fact::Time(self.start)),
            ("used", self.used.into()),
            ("wanted", self.wanted.into()),
        ])
    }
}

/// The first bound of the domain that an intent would pass, with its code; nothing of it where
/// what is used of the period is not known, and that is no.
pub(crate) fn over(
    settings: &Settings,
    intent: &Intent,
    snapshot: &Snapshot,
) -> Option<(&'static str, Option<Over>)> {
    settings.envelope.periods().find_map(|(period, bounds)| {
        let Some(tally) = snapshot.tally(period) else {
            return Some(("envelope.period_unknown", None));
        };
        let Bounds { effects_max, resources_max, amount_max, cost_micros_max } = *bounds;
        let amount = amount_of(settings, intent);
        let all = [
            ("envelope.period_effects", tally.effects, 1, effects_max),
            ("envelope.period_resources", tally.resources, tally.adds, resources_max),
            ("envelope.period_amount", tally.amount, amount, amount_max),
            ("envelope.period_cost", tally.cost_micros, intent.cost().get(), cost_micros_max),
        ];
        all.into_iter().find_map(|(code, used, wanted, limit)| {
            let over = Over::of((period, tally.start), used, wanted, limit?)?;
            Some((code, Some(over)))
        })
    })
}

//! What a run spends, against the budget of its definition.

use std::collections::BTreeMap;

use cog_flow::Flow;

use crate::checker::Record;
use crate::log::{End, Event, Log, What};
use crate::property::Property;
use crate::report::Report;

/// For how long a receipt is good, from when it was decided. How long it then waited for its commit
/// is no matter of the budget.
const RECEIPT_LIFE_MS: u64 = 15 * 60_000;
/// How much later than the end of the minutes it may be decided: between the look at the clock and
/// that, time goes by.
const DECIDED_LATE_MS: u64 = 1_000;

#[derive(Default)]
struct Account<'l> {
    effects: u64,
    spent: u64,
    /// What open receipts reserve.
    reserved: BTreeMap<&'l str, u64>,
}

/// How many effects the runs had done that a run goes on from. What was under way there begins
/// anew.
pub(crate) fn kept(parts: &[&[Record]]) -> u64 {
    let done = |part: &&[Record]| {
        let log = Log::read(*part);
        let mut account = Account::default();
        log.events.iter().for_each(|event| account.follow(event));
        account.effects.saturating_sub(account.reserved.len() as u64)
    };
    parts.iter().map(done).fold(0, u64::saturating_add)
}

/// Effects, cost and minutes stay within the budget, at every receipt. Effects of the runs that it
/// goes on from, which are `kept`, count.
pub(crate) fn check(log: &Log, kept: u64, flow: &Flow, report: &mut Report) {
    let budget = &flow.budget;
    let mut account = Account { effects: kept, ..Account::default() };
    let end = log.events.first().zip(budget.minutes);
    let end = end.map(|(start, minutes)| start.at.plus_ms(minutes.saturating_mul(60_000)));
    let end = end.map(|end| end.plus_ms(DECIDED_LATE_MS));
    for event in &log.events {
        account.follow(event);
        let What::Receipt(receipt) = &event.what else { continue };
        if let Some(limit) = budget.effects {
            report.test(Property::Effects, account.effects <= limit, event.seq, || {
                format!("effect {} of a run that has {limit}", account.effects)
            });
        }
        if let Some(limit) = budget.cost_micros {
            let all = account.all();
            report.test(Property::Cost, all <= limit, event.seq, || {
                format!("{all} micros are spent and reserved, of {limit}")
            });
        }
        if let Some(end) = end.filter(|_| !is_undoing(&receipt.step)) {
            let is_in_time = receipt.expires <= end.plus_ms(RECEIPT_LIFE_MS);
            report.test(Property::Minutes, is_in_time, event.seq, || {
                format!(
                    "`{}` may begin until {}, 15 minutes from when that was decided, and the \
                     budget ended before {end}",
                    receipt.step, receipt.expires
                )
            });
        }
    }
}

impl<'l> Account<'l> {
    fn follow(&mut self, event: &'l Event) {
        if let What::Receipt(receipt) = &event.what {
            self.effects = self.effects.saturating_add(1);
            self.reserved.insert(&receipt.id, receipt.reserve);
        } else if let What::Outcome(outcome) = &event.what {
            self.reserved.remove(outcome.receipt.as_str());
            self.spent = self.spent.saturating_add(outcome.cost);
            // What never began is given back.
            if outcome.end == End::Abandoned {
                self.effects = self.effects.saturating_sub(1);
            }
        }
    }

    fn all(&self) -> u64 {
        self.reserved.values().fold(self.spent, |sum, micros| sum.saturating_add(*micros))
    }
}

/// Whether a step is one of those that undo.
pub(crate) fn is_undoing(step: &str) -> bool {
    step.split(['.', '[']).any(|part| part == "on_cancel")
}

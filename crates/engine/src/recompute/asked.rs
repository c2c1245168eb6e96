//! What was asked for, made anew of its arguments and the canon: a record that names another resource,
//! risk or cost than its arguments come to was not decided on what was done. And whether it was decided
//! when it says.

use cog_base::id::RunId;
use cog_canon::Canon;
use cog_gate::door::RECEIPT_LIFE_MS;
use cog_gate::snapshot::Snapshot;
use cog_gate::{AnyEffect, Gate, Intent, Question};
use cog_ledger::{Entry, Kind};

use super::Recompute;

impl Recompute {
    /// The record beside a decision is of what its arguments are.
    pub(super) fn asked(
        &mut self,
        entry: &Entry,
        intent: &Intent,
        effect: Option<AnyEffect>,
        canon: Option<&Canon>,
    ) {
        if !is_as_asked(intent, effect, canon, entry.kind()) {
            let message = "its record is of another resource, risk, cost or arguments than the \
                           effect and the canon come to";
            self.find(entry, "decision.intent", message);
        }
    }

    /// It was made when it says, and its receipt is good for as long as one is.
    pub(super) fn time(&mut self, run: RunId, entry: &Entry, snapshot: &Snapshot) {
        let root = self.roots.get(&run).copied();
        let expires = snapshot.now.plus_ms(RECEIPT_LIFE_MS).to_string();
        let is_receipt = entry.kind() == Kind::Receipt;
        if !self.times.fit(root, entry, snapshot)
            || (is_receipt && entry.text("expires") != Some(&expires))
        {
            let message = "it was decided before what it rests on or after its own entry, or for \
                           another time than it is good for";
            self.find(entry, "decision.time", message);
        }
    }
}

/// Whether an intent is the one that its own arguments make under the canon. Where the canon's files
/// could not be read, it was refused without.
fn is_as_asked(
    intent: &Intent,
    effect: Option<AnyEffect>,
    canon: Option<&Canon>,
    kind: Kind,
) -> bool {
    let Some(effect) = effect else {
        // A question to people, and what is wanted of a run, have no effect.
        return !cog_canon::EFFECTS.contains(&intent.action());
    };
    let question = Question {
        origin: intent.origin(),
        step: intent.step(),
        actor: intent.actor().clone(),
        effect,
        subject: None,
        sources: intent.sources().cloned().unwrap_or_default(),
    };
    let is_it = |canon| Gate::intent(&question, canon) == *intent;
    is_it(canon) || (kind == Kind::Denial && is_it(None))
}

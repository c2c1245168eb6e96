//! A receipt whose outcome was lost: it can be settled, never performed.

use cog_base::id::ReceiptId;
use cog_base::{Digest, Micros};
use cog_ledger::Draft;

use crate::door::{End, Report, Scope, Settling};
use crate::effect::{Effect, Redo};
use crate::gate::{Gate, scope_of};
use crate::intent::Intent;
use crate::redact::redact;

/// An open receipt found in the ledger after a crash.
#[derive(Debug)]
pub struct Lost<E> {
    effect: E,
    receipt: ReceiptId,
    scope: Scope,
    reserve: Micros,
    redact: Vec<String>,
    subject: Option<String>,
}

impl Gate {
    /// An open receipt found in the ledger, counted again before: it can be settled, never performed.
    #[must_use]
    pub fn lost<E: Effect>(
        &self,
        receipt: ReceiptId,
        intent: &Intent,
        effect: E,
        canon: Option<Digest>,
        subject: Option<String>,
    ) -> Lost<E> {
        let redact = self.redacted.get(&receipt).cloned().unwrap_or_default();
        let scope = scope_of(intent, canon);
        Lost { effect, receipt, scope, reserve: intent.cost(), redact, subject }
    }
}

impl<E: Effect> Lost<E> {
    /// What was authorised.
    #[must_use]
    pub fn effect(&self) -> &E {
        &self.effect
    }

    /// The receipt's id: what the adapter is asked about.
    #[must_use]
    pub fn receipt(&self) -> ReceiptId {
        self.receipt
    }

    /// What may be done about it.
    #[must_use]
    pub fn redo(&self) -> Redo {
        self.effect.redo()
    }

    /// Settle it by what was found out. What nobody can tell costs the whole reserve; what the canon
    /// wants redacted is gone from what was found.
    pub fn settle(self, end: End) -> (Draft, Settling) {
        let end = match end {
            End::Completed(output) => End::Completed(redact(output, &self.redact)),
            end @ (End::Failed(_) | End::Abandoned | End::Unknown) => end,
        };
        let cost = match end {
            End::Unknown => self.reserve,
            End::Completed(_) | End::Failed(_) | End::Abandoned => Micros::ZERO,
        };
        let report = Report { end, cost, attempts: 1 };
        let draft = report.draft(self.receipt, &self.scope, self.subject);
        (draft, Settling::new(self.receipt, self.scope.tenant, report))
    }
}

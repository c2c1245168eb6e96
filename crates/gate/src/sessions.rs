//! The accounts of sessions, as those who drive the gate open, close and read them.

use cog_base::Micros;
use cog_base::id::{ReceiptId, RunId, TenantId};

use crate::book::{Account, Carried, Limits, Used};
use crate::gate::Gate;

impl Gate {
    /// Open the account of a session of this tenant. What is asked in its name for another
    /// tenant is refused as for one that nobody knows.
    pub fn open_session(&mut self, tenant: TenantId, session: RunId, limits: Limits) {
        self.book.open(tenant, session, limits, None);
    }

    /// Open the account of a session that another began: what it uses counts there too, and what
    /// that one may use bounds both.
    pub fn open_child(&mut self, tenant: TenantId, session: RunId, limits: Limits, parent: RunId) {
        self.book.open(tenant, session, limits, Some(parent));
    }

    /// What a session that goes on from this one, as it stands now, begins with.
    #[must_use]
    pub fn carried(&self, session: RunId) -> Carried {
        self.book.carried(session)
    }

    /// Have a session whose account was just opened begin with what was used before it: limits of
    /// the canon count what a run goes on from as what it does itself.
    pub fn carry(&mut self, session: RunId, carried: Carried) {
        self.book.carry(session, carried);
    }

    /// Take over what a gate of its own has counted of an earlier life of a session, whose account was
    /// just opened here. `settled` are the receipts of it that have an outcome.
    pub fn adopt(&mut self, session: RunId, other: Self, settled: &[ReceiptId]) {
        let Self { book, leases, approvals, redacted, ledger_at, .. } = other;
        self.ledger_at = self.ledger_at.max(ledger_at);
        settled.iter().for_each(|receipt| self.domains.is_final(*receipt));
        self.book.adopt(session, book);
        self.leases.adopt(leases);
        self.approvals.adopt(approvals);
        self.redacted.extend(redacted);
    }

    /// Hold no longer what a receipt of an earlier life touches. Says whether a lease ended.
    pub fn unclaim(&mut self, receipt: ReceiptId) -> bool {
        self.leases.release(receipt)
    }

    /// Whether `session` was begun by `above`, or by one that was.
    #[must_use]
    pub fn is_below(&self, session: RunId, above: RunId) -> bool {
        self.book.is_below(session, above)
    }

    /// How many sessions were begun in the tree that `session` belongs to, but for the first.
    #[must_use]
    pub fn descendants(&self, session: RunId) -> u64 {
        self.book.descendants(session)
    }

    /// Close the account of a sealed session.
    pub fn close_session(&mut self, session: RunId) {
        self.book.close(session);
        self.approvals.forget(session);
    }

    /// What a session spent so far.
    #[must_use]
    pub fn spent(&self, session: RunId) -> Micros {
        self.book.account(session).map_or(Micros::ZERO, Account::spent)
    }

    /// What is left of a session's money; nothing when it has no limit.
    #[must_use]
    pub fn budget_left(&self, session: RunId) -> Option<Micros> {
        let budget = self.book.budget(session);
        budget.limit.map(|limit| Micros::new(limit.saturating_sub(budget.used)))
    }

    /// What a session has used of its blast radius.
    #[must_use]
    pub fn used(&self, session: RunId) -> Used {
        self.book.used(session)
    }
}

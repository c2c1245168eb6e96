//! The running accounts of each session: effects, money, spread and limits.
//!
//! Everything here can be rebuilt from the ledger. Money is reserved with the receipt and
//! settled with the outcome, so that the sum of what is spent and reserved never passes
//! the limit.

mod carried;
mod domain;

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Micros;
use cog_base::id::{ReceiptId, RunId, TenantId};

use crate::effect::Footprint;
use crate::intent::Intent;
use crate::snapshot::{Access, Allowance, Folder, Spread};

pub use carried::Carried;
pub use domain::Counts;
pub(crate) use domain::Domains;

/// What a run may use, fixed at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most money, in micros; absent for no limit.
    pub cost: Option<Micros>,
    /// The most effects; absent for no limit.
    pub effects: Option<u64>,
    /// The run's roots.
    pub roots: BTreeMap<String, Access>,
    /// Where they stand.
    pub folders: BTreeMap<String, Folder>,
}

/// A receipt without outcome: what it has reserved and counted.
#[derive(Debug, Clone)]
struct Open {
    /// The session that it was given to: this one, or one below.
    session: RunId,
    cost: Micros,
    charge: Charge,
}

/// What a session has used of its blast radius.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Keys written.
    pub resources: BTreeSet<String>,
    /// Money moved, in minor units.
    pub amount: u64,
    /// Actions taken.
    pub actions: BTreeSet<String>,
}

/// The accounts of one session.
#[derive(Debug)]
pub(crate) struct Account {
    tenant: TenantId,
    limits: Limits,
    /// The session that began this one: what is used here is used there too.
    parent: Option<RunId>,
    /// How many sessions it began, and those in turn.
    children: u64,
    /// How many of the sessions that it began itself have an account.
    kept: u64,
    /// Its session is sealed; it stays for those that it began.
    is_closed: bool,
    effects: u64,
    spent: Micros,
    open: BTreeMap<ReceiptId, Open>,
    written: BTreeSet<String>,
    amount: u64,
    actions: BTreeSet<String>,
    by_policy: BTreeMap<String, u64>,
    sums: BTreeMap<String, u64>,
}

/// The accounts of all open sessions.
#[derive(Debug, Default)]
pub(crate) struct Book {
    accounts: BTreeMap<RunId, Account>,
}

impl Book {
    pub(crate) fn open(
        &mut self,
        tenant: TenantId,
        session: RunId,
        limits: Limits,
        parent: Option<RunId>,
    ) {
        self.each(parent, |account| account.children = account.children.saturating_add(1));
        let mut account = Account::new(tenant, limits, parent);
        match self.accounts.get(&session) {
            Some(earlier) => account.kept = earlier.kept,
            None => self.keep(parent, |kept| kept.saturating_add(1)),
        }
        self.accounts.insert(session, account);
    }

    fn keep(&mut self, parent: Option<RunId>, change: impl FnOnce(u64) -> u64) {
        if let Some(account) = parent.and_then(|parent| self.accounts.get_mut(&parent)) {
            account.kept = change(account.kept);
        }
    }

    /// Close an account, and those above that were kept for it alone.
    pub(crate) fn close(&mut self, session: RunId) {
        let mut next = Some(session);
        if let Some(account) = self.accounts.get_mut(&session) {
            account.is_closed = true;
        }
        while let Some(id) = next {
            let is_done = |account: &Account| account.is_closed && account.kept == 0;
            if !self.accounts.get(&id).is_some_and(is_done) {
                return;
            }
            next = self.accounts.remove(&id).and_then(|account| account.parent);
            self.keep(next, |kept| kept.saturating_sub(1));
        }
    }

    /// The account of a session and of those above it, the own first.
    fn chain(&self, session: RunId) -> impl Iterator<Item = &Account> {
        std::iter::successors(self.accounts.get(&session), |account| {
            self.accounts.get(&account.parent?)
        })
    }

    pub(crate) fn is_below(&self, session: RunId, above: RunId) -> bool {
        self.chain(session).any(|account| account.parent == Some(above))
    }

    /// The account of the session that began all of its tree.
    fn root(&self, session: RunId) -> Option<&Account> {
        self.chain(session).last()
    }

    fn each(&mut self, session: Option<RunId>, mut change: impl FnMut(&mut Account)) {
        let mut next = session;
        while let Some(account) = next.and_then(|id| self.accounts.get_mut(&id)) {
            change(account);
            next = account.parent;
        }
    }

    /// How many sessions the one that began the tree of `session` began, and those in turn.
    pub(crate) fn descendants(&self, session: RunId) -> u64 {
        self.root(session).map_or(0, |root| root.children)
    }

    /// The effects of a session: where least is left, its own or those of a session above.
    pub(crate) fn effects(&self, session: RunId) -> Allowance {
        tightest(self.chain(session).map(Account::effects))
    }

    /// The money of a session: where least is left.
    pub(crate) fn budget(&self, session: RunId) -> Allowance {
        tightest(self.chain(session).map(Account::budget))
    }

    /// What the tree of a session has used: limits of the canon count for all of it, so that
    /// nobody gets past them by beginning more runs.
    pub(crate) fn used(&self, session: RunId) -> Used {
        self.root(session).map(Account::used).unwrap_or_default()
    }

    /// As [`Book::used`], with what `wanted` adds.
    pub(crate) fn spread(&self, session: RunId, wanted: &Footprint) -> Spread {
        self.root(session).map(|root| root.spread(wanted)).unwrap_or_default()
    }

    pub(crate) fn reserve(
        &mut self,
        receipt: ReceiptId,
        intent: &Intent,
        wanted: &Footprint,
        charge: &Charge,
    ) {
        self.each(Some(intent.origin().session), |account| {
            account.reserve(receipt, intent, wanted, charge.clone());
        });
    }

    /// Let an open receipt hold `cost` in place of what it holds, if every limit admits that.
    pub(crate) fn reserve_again(
        &mut self,
        session: RunId,
        receipt: ReceiptId,
        cost: Micros,
    ) -> bool {
        let is_known = self.accounts.contains_key(&session);
        let admitted =
            is_known && self.chain(session).all(|account| account.admits_again(receipt, cost));
        if admitted {
            self.each(Some(session), |account| account.hold(receipt, cost));
        }
        admitted
    }

    pub(crate) fn settle(&mut self, session: RunId, receipt: ReceiptId, cost: Micros) {
        self.each(Some(session), |account| account.settle(receipt, cost));
    }

    pub(crate) fn give_back(&mut self, session: RunId, receipt: ReceiptId) {
        self.each(Some(session), |account| account.give_back(receipt));
    }

    /// What was counted for a session in a book of its own counts here, in its account and those above.
    pub(crate) fn adopt(&mut self, session: RunId, mut other: Self) {
        if let Some(used) = other.accounts.remove(&session) {
            self.each(Some(session), |account| account.adopt(&used));
        }
    }

    /// Where the roots of a session stand.
    pub(crate) fn stands<'a>(&'a self, session: RunId) -> impl Fn(&str) -> Option<&'a str> + 'a {
        let account = self.accounts.get(&session);
        move |root| account?.folder(root).map(|folder| folder.path.as_str())
    }

    pub(crate) fn account(&self, session: RunId) -> Option<&Account> {
        self.accounts.get(&session)
    }
}

/// Of several allowances the one of which least is left.
fn tightest(all: impl Iterator<Item = Allowance>) -> Allowance {
    let left = |it: &Allowance| it.limit.map_or(u64::MAX, |limit| limit.saturating_sub(it.used));
    all.min_by_key(left).unwrap_or_default()
}

/// What one authorised intent adds to an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Money it moves, in minor units.
    pub(crate) amount: u64,
    /// The policies with a limit that let it through.
    pub(crate) limited: BTreeSet<String>,
    /// The sums it adds to, by `policy path`.
    pub(crate) sums: BTreeMap<String, u64>,
}

impl Account {
    fn new(tenant: TenantId, limits: Limits, parent: Option<RunId>) -> Self {
        Self {
            tenant,
            limits,
            parent,
            children: 0,
            kept: 0,
            is_closed: false,
            effects: 0,
            spent: Micros::ZERO,
            open: BTreeMap::new(),
            written: BTreeSet::new(),
            amount: 0,
            actions: BTreeSet::new(),
            by_policy: BTreeMap::new(),
            sums: BTreeMap::new(),
        }
    }

    pub(crate) fn is_of(&self, tenant: TenantId) -> bool {
        self.tenant == tenant
    }

    fn effects(&self) -> Allowance {
        Allowance { used: self.effects, limit: self.limits.effects }
    }

    fn budget(&self) -> Allowance {
        let reserved = self.open.values().fold(0_u64, |sum, it| sum.saturating_add(it.cost.get()));
        Allowance {
            used: self.spent.get().saturating_add(reserved),
            limit: self.limits.cost.map(Micros::get),
        }
    }

    pub(crate) fn spent(&self) -> Micros {
        self.spent
    }

    pub(crate) fn folder(&self, root: &str) -> Option<&Folder> {
        self.limits.folders.get(root)
    }

    pub(crate) fn roots(&self) -> &BTreeMap<String, Access> {
        &self.limits.roots
    }

    fn used(&self) -> Used {
        Used { resources: self.written.clone(), amount: self.amount, actions: self.actions.clone() }
    }

    fn spread(&self, wanted: &Footprint) -> Spread {
        let new = wanted.writes.iter().filter(|key| !self.written.contains(*key)).count();
        Spread {
            resources: self.written.len() as u64,
            adds: new as u64,
            amount: self.amount,
            actions: self.actions.clone(),
            receipts_by_policy: self.by_policy.clone(),
            sums_by_policy: self.sums.clone(),
        }
    }

    fn reserve(&mut self, receipt: ReceiptId, intent: &Intent, wanted: &Footprint, charge: Charge) {
        self.effects = self.effects.saturating_add(1);
        self.written.extend(wanted.writes.iter().cloned());
        self.amount = self.amount.saturating_add(charge.amount);
        if !self.actions.contains(intent.action()) {
            self.actions.insert(intent.action().to_owned());
        }
        for policy in &charge.limited {
            let count = self.by_policy.entry(policy.clone()).or_default();
            *count = count.saturating_add(1);
        }
        for (key, value) in &charge.sums {
            let sum = self.sums.entry(key.clone()).or_default();
            *sum = sum.saturating_add(*value);
        }
        let session = intent.origin().session;
        self.open.insert(receipt, Open { session, cost: intent.cost(), charge });
    }

    fn adopt(&mut self, other: &Self) {
        self.effects = self.effects.saturating_add(other.effects);
        self.spent = self.spent.checked_add(other.spent).unwrap_or(Micros::new(u64::MAX));
        self.written.extend(other.written.iter().cloned());
        self.amount = self.amount.saturating_add(other.amount);
        self.actions.extend(other.actions.iter().cloned());
        for (counts, more) in
            [(&mut self.by_policy, &other.by_policy), (&mut self.sums, &other.sums)]
        {
            for (name, value) in more {
                let count = counts.entry(name.clone()).or_default();
                *count = count.saturating_add(*value);
            }
        }
        self.open.extend(other.open.iter().map(|(receipt, open)| (*receipt, open.clone())));
    }

    /// Whether an open receipt may hold `cost` in place of what it holds.
    fn admits_again(&self, receipt: ReceiptId, cost: Micros) -> bool {
        let budget = self.budget();
        let Some(open) = self.open.get(&receipt) else { return false };
        let others = budget.used.saturating_sub(open.cost.get());
        Allowance { used: others, ..budget }.admits(cost.get())
    }

    fn hold(&mut self, receipt: ReceiptId, cost: Micros) {
        if let Some(open) = self.open.get_mut(&receipt) {
            open.cost = cost;
        }
    }

    /// The outcome of a receipt: its reserve ends and its cost is final.
    fn settle(&mut self, receipt: ReceiptId, cost: Micros) {
        if self.open.remove(&receipt).is_some() {
            self.spent = self.spent.checked_add(cost).unwrap_or(Micros::new(u64::MAX));
        }
    }

    /// A receipt whose effect never began: all it counted is given back, but for the keys it
    /// would have written, which may have been written before.
    fn give_back(&mut self, receipt: ReceiptId) {
        let Some(Open { charge, .. }) = self.open.remove(&receipt) else { return };
        self.effects = self.effects.saturating_sub(1);
        self.amount = self.amount.saturating_sub(charge.amount);
        take_off(&mut self.by_policy, charge.limited.iter().map(|policy| (policy, 1)));
        take_off(&mut self.sums, charge.sums.iter().map(|(key, value)| (key, *value)));
    }
}

/// Take from each of these counts what is given with it.
fn take_off<'c>(counts: &mut BTreeMap<String, u64>, less: impl Iterator<Item = (&'c String, u64)>) {
    for (name, value) in less {
        if let Some(count) = counts.get_mut(name) {
            *count = count.saturating_sub(value);
        }
    }
}

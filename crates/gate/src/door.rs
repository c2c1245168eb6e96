//! The only door to the world, as types.
//!
//! ```text
//! Intent → Decision → Durable<Entry> (receipt) → Permit<E> → Cleared<E>
//!        → Performed<E> → Durable<Entry> (outcome) → Settled<E>
//! ```
//!
//! Each arrow consumes what stands before it. `Durable` is made only by the ledger's
//! append; `Permit`, `Cleared`, `Performed` and `Settled` only here. None of them can be
//! cloned, defaulted or read from bytes, so that an authorisation is used once or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::json::{Canonical, Map, Object};
use cog_base::{Digest, Micros, Timestamp, Value};
use cog_ledger::{BodyDraft, Draft, Durable, Entry, Kind};

use crate::effect::{AnyEffect, Effect, Prices};
use crate::onward::Onward;
use crate::piece::Ear;
use crate::redact::redact;

/// How long a receipt may wait for its effect to begin, in milliseconds.
pub const RECEIPT_LIFE_MS: u64 = 15 * 60 * 1_000;

/// An authorisation that was decided but is not durable yet. It authorises nothing.
#[derive(Debug)]
pub struct Pending<E> {
    effect: E,
    pass: Pass,
}

/// A durable, unused authorisation of one effect.
#[derive(Debug)]
#[must_use = "a permit that is dropped leaves its receipt open"]
pub struct Permit<E> {
    effect: E,
    pass: Pass,
}

/// An effect that an adapter may perform now, once.
#[derive(Debug)]
#[must_use = "a cleared effect must be performed and settled"]
pub struct Cleared<E> {
    effect: E,
    pass: Pass,
}

/// What an adapter did, not yet in the ledger.
#[derive(Debug)]
#[must_use = "what was performed must be settled in the ledger"]
pub struct Performed<E> {
    effect: E,
    pass: Pass,
    report: Report,
}

/// An outcome on its way into the ledger.
#[derive(Debug)]
#[must_use = "a settlement counts only when it is durable"]
pub struct Settling {
    receipt: ReceiptId,
    tenant: TenantId,
    report: Report,
}

/// A finished effect: its receipt and its outcome are both durable.
#[derive(Debug)]
pub struct Settled {
    receipt: ReceiptId,
    report: Report,
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// What it cost.
    pub cost: Micros,
    /// How often it was tried.
    pub attempts: u64,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was done; this is what it gave.
    Completed(Value),
    /// It was not done, or was answered with an error.
    Failed(Failure),
    /// It never began.
    Abandoned,
    /// Nobody can tell whether it was done.
    Unknown,
}

/// Why an effect failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable code such as `file.not_found`.
    pub code: String,
    /// What was tried and what went wrong, for a person.
    pub message: String,
    /// Whether another try may help.
    pub transient: bool,
}

/// The identity of one authorisation as it travels from type to type.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) receipt: ReceiptId,
    pub(crate) intent: Digest,
    /// The digest of the effect that travels with this.
    pub(crate) effect: Digest,
    pub(crate) draft: Option<Draft>,
    pub(crate) expires: Timestamp,
    pub(crate) reserve: Micros,
    pub(crate) prices: Option<Prices>,
    pub(crate) redact: Vec<String>,
    pub(crate) subject: Option<String>,
    pub(crate) attempts: u64,
    /// What a redirect of it is decided on.
    pub(crate) onward: Option<Arc<Onward>>,
    /// What earlier tries under this receipt cost.
    pub(crate) spent: Micros,
    pub(crate) scope: Scope,
    /// Who hears what the effect gives while it is under way.
    pub(crate) ear: Option<Ear>,
}

/// The header of the entries that belong to an authorisation.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) tenant: TenantId,
    pub(crate) actor: String,
    pub(crate) domain: String,
    pub(crate) environment: String,
    pub(crate) session: RunId,
    pub(crate) canon: Option<Digest>,
}

impl Scope {
    /// Whether an entry stands in the log, the run and under the canon that are meant.
    fn holds(&self, entry: &Entry) -> bool {
        entry.tenant() == self.tenant
            && entry.session() == Some(self.session)
            && entry.actor() == self.actor
            && entry.canon() == self.canon
    }

    pub(crate) fn draft(&self, kind: Kind, data: Map, body: Option<BodyDraft>) -> Draft {
        Draft {
            kind,
            actor: self.actor.clone(),
            domain: self.domain.clone(),
            environment: self.environment.clone(),
            session: Some(self.session),
            canon: self.canon,
            data,
            body,
        }
    }
}

/// A durable entry that is not the one that was awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the durable entry {seq} is not the one that was awaited for {receipt}")]
pub struct NotThisEntry {
    /// The entry's place.
    pub seq: u64,
    /// The receipt that awaited it.
    pub receipt: ReceiptId,
}

/// Why a permit is not cleared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCleared {
    /// Its time is over.
    #[error("receipt {receipt} expired at {expires}; it is {now}")]
    Expired {
        /// The receipt.
        receipt: ReceiptId,
        /// Its end.
        expires: Timestamp,
        /// The time of the attempt.
        now: Timestamp,
    },
    /// It was used before, or settled, or never issued here.
    #[error("receipt {receipt} is not open here: it was used, settled or never issued")]
    NotOpen {
        /// The receipt.
        receipt: ReceiptId,
    },
}

impl<E: Effect> Pending<E> {
    pub(crate) fn new(effect: E, pass: Pass) -> Self {
        Self { effect, pass }
    }

    pub(crate) fn into_pass(self) -> Pass {
        self.pass
    }

    /// The receipt's id.
    #[must_use]
    pub fn receipt(&self) -> ReceiptId {
        self.pass.receipt
    }

    /// The receipt as it must be appended. It is given once.
    pub fn take_draft(&mut self) -> Option<Draft> {
        self.pass.draft.take()
    }

    /// The permit, once the receipt is durable.
    ///
    /// # Errors
    /// [`NotThisEntry`] when `entry` is another entry than this receipt: of another log, run,
    /// actor, canon, intent or effect, or with another end.
    pub fn granted(self, entry: &Durable<Entry>) -> Result<Permit<E>, NotThisEntry> {
        let Self { effect, pass } = self;
        let same = entry.kind() == Kind::Receipt
            && entry.text("id").and_then(|id| id.parse().ok()) == Some(pass.receipt)
            && pass.scope.holds(entry)
            && entry.digest("intent") == Some(pass.intent)
            && entry.text("expires").and_then(|at| at.parse().ok()) == Some(pass.expires)
            && entry.digest("effect") == Some(pass.effect);
        if same {
            Ok(Permit { effect, pass })
        } else {
            Err(NotThisEntry { seq: entry.seq(), receipt: pass.receipt })
        }
    }
}

impl<E: Effect> Permit<E> {
    /// The receipt's id.
    #[must_use]
    pub fn receipt(&self) -> ReceiptId {
        self.pass.receipt
    }

    /// What would be done.
    #[must_use]
    pub fn effect(&self) -> &E {
        &self.effect
    }

    pub(crate) fn scope(&self) -> Scope {
        self.pass.scope.clone()
    }

    /// The effect is not wanted any more: the outcome `abandoned` of its unused receipt.
    pub fn abandon(self) -> (Draft, Settling) {
        let Pass { receipt, scope, .. } = self.pass;
        let report = Report { end: End::Abandoned, cost: Micros::ZERO, attempts: 0 };
        let draft = report.draft(receipt, &scope, None);
        (draft, Settling::new(receipt, scope.tenant, report))
    }

    pub(crate) fn clear(self, now: Timestamp) -> Result<Cleared<E>, NotCleared> {
        let Self { effect, mut pass } = self;
        if now > pass.expires {
            let (receipt, expires) = (pass.receipt, pass.expires);
            return Err(NotCleared::Expired { receipt, expires, now });
        }
        pass.attempts = 1;
        Ok(Cleared { effect, pass })
    }
}

impl<E: Effect> Cleared<E> {
    pub(crate) fn new(effect: E, pass: Pass) -> Self {
        Self { effect, pass }
    }

    pub(crate) fn into_parts(self) -> (E, Pass) {
        (self.effect, self.pass)
    }

    pub(crate) fn pass(&self) -> &Pass {
        &self.pass
    }

    /// What must be done.
    #[must_use]
    pub fn effect(&self) -> &E {
        &self.effect
    }

    /// The receipt's id: the same for every try, so that it serves as idempotency key.
    #[must_use]
    pub fn idempotency_key(&self) -> ReceiptId {
        self.pass.receipt
    }

    /// The run it belongs to: whose roots are meant.
    #[must_use]
    pub fn session(&self) -> RunId {
        self.pass.scope.session
    }

    /// What it is billed at, where it is billed.
    #[must_use]
    pub fn prices(&self) -> Prices {
        self.pass.prices.unwrap_or_default()
    }

    /// The effect was done and gave `output`, at this cost. What the canon wants redacted
    /// is removed here, before anybody sees it.
    pub fn done(self, output: Value, cost: Micros) -> Performed<E> {
        let output = redact(output, &self.pass.redact);
        self.report(End::Completed(output), cost)
    }

    /// The effect was not done, or was answered with an error.
    pub fn failed(self, failure: Failure, cost: Micros) -> Performed<E> {
        self.report(End::Failed(failure), cost)
    }

    /// Nobody can tell whether the effect was done. The whole reserve counts as spent.
    pub fn unknown(self) -> Performed<E> {
        let reserve = self.pass.reserve;
        self.report(End::Unknown, reserve)
    }

    /// Nobody began it, and nobody will: the receipt was not used. When an earlier attempt was made
    /// under it, this one failed.
    pub fn not_begun(mut self) -> Performed<E> {
        if self.pass.attempts > 1 {
            let message = "nobody began another attempt before its receipt expired".to_owned();
            let failure = Failure { code: "effect.not_begun".into(), message, transient: true };
            return self.failed(failure, Micros::ZERO);
        }
        self.pass.attempts = 0;
        self.report(End::Abandoned, Micros::ZERO)
    }

    fn report(self, end: End, cost: Micros) -> Performed<E> {
        let attempts = self.pass.attempts;
        let cost = self.pass.spent.checked_add(cost).unwrap_or(Micros::new(u64::MAX));
        Performed { effect: self.effect, pass: self.pass, report: Report { end, cost, attempts } }
    }
}

impl<E: Effect> Performed<E> {
    pub(crate) fn map<F: Effect>(self, widen: impl FnOnce(E) -> F) -> Performed<F> {
        Performed { effect: widen(self.effect), pass: self.pass, report: self.report }
    }

    /// What came of it.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The receipt's id.
    #[must_use]
    pub fn receipt(&self) -> ReceiptId {
        self.pass.receipt
    }

    /// The run it belongs to.
    #[must_use]
    pub fn session(&self) -> RunId {
        self.pass.scope.session
    }

    /// What one attempt may cost.
    pub(crate) fn reserve(&self) -> Micros {
        self.pass.reserve
    }

    /// What was to be done.
    #[must_use]
    pub fn effect(&self) -> &E {
        &self.effect
    }

    /// Whether there can be another try at that time: it failed, and the receipt will not have
    /// expired.
    #[must_use]
    pub fn is_repeatable(&self, at: Timestamp) -> bool {
        matches!(self.report.end, End::Failed(_)) && at <= self.pass.expires
    }

    /// Another try of the same effect under the same receipt, when it failed and the
    /// receipt has not expired; otherwise what was performed, to be settled.
    ///
    /// # Errors
    /// The unchanged value, when there is no other try.
    pub fn again(self, now: Timestamp) -> Result<Cleared<E>, Box<Self>> {
        if !self.is_repeatable(now) {
            return Err(Box::new(self));
        }
        let mut pass = self.pass;
        pass.attempts += 1;
        pass.spent = self.report.cost;
        Ok(Cleared { effect: self.effect, pass })
    }

    /// The outcome as it must be appended, and the settlement that waits for it.
    pub fn settle(self) -> (Draft, Settling) {
        let Self { effect: _, pass, report } = self;
        let draft = report.draft(pass.receipt, &pass.scope, pass.subject);
        (draft, Settling::new(pass.receipt, pass.scope.tenant, report))
    }
}

impl Settling {
    pub(crate) fn new(receipt: ReceiptId, tenant: TenantId, report: Report) -> Self {
        Self { receipt, tenant, report }
    }

    /// The receipt's id.
    #[must_use]
    pub fn receipt(&self) -> ReceiptId {
        self.receipt
    }

    /// What came of it.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The settled effect, once its outcome is durable.
    ///
    /// # Errors
    /// [`NotThisEntry`] when `entry` is another entry than this outcome: of another log or
    /// receipt, or with another end or cost.
    pub fn settled(self, entry: &Durable<Entry>) -> Result<Settled, NotThisEntry> {
        let says = |name: &str, value: Value| entry.data().get(name) == Some(&value);
        let same = entry.kind() == Kind::Outcome
            && entry.tenant() == self.tenant
            && says("receipt", self.receipt.into())
            && says("disposition", self.report.end.word().into())
            && says("cost_micros", self.report.cost.into());
        if same {
            Ok(Settled { receipt: self.receipt, report: self.report })
        } else {
            Err(NotThisEntry { seq: entry.seq(), receipt: self.receipt })
        }
    }
}

impl Settled {
    /// The receipt's id.
    #[must_use]
    pub fn receipt(&self) -> ReceiptId {
        self.receipt
    }

    /// What came of it.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What came of it, by value.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report
    }
}

impl Report {
    pub(crate) fn draft(
        &self,
        receipt: ReceiptId,
        scope: &Scope,
        subject: Option<String>,
    ) -> Draft {
        let mut data = Map::from([
            ("receipt".into(), receipt.into()),
            ("disposition".into(), self.end.word().into()),
            ("cost_micros".into(), self.cost.into()),
            ("attempts".into(), self.attempts.into()),
        ]);
        let mut bytes = Vec::with_capacity(256);
        match &self.end {
            End::Completed(output) => Object::new(&mut bytes).put("output", output).end(),
            End::Failed(failure) => {
                data.insert("code".into(), failure.code.as_str().into());
                Object::new(&mut bytes).put("error", failure).end();
            }
            End::Abandoned | End::Unknown => {}
        }
        let body = (!bytes.is_empty()).then_some(BodyDraft { subject, bytes });
        scope.draft(Kind::Outcome, data, body)
    }

    /// The report in an outcome entry and its body.
    #[must_use]
    pub fn from_record(data: &Map, body: Option<&Value>) -> Option<Self> {
        let text = |name| data.get(name).and_then(Value::as_text);
        let number = |name| data.get(name).and_then(Value::as_u64);
        let end = match text("disposition")? {
            "completed" => End::Completed(body?.get("output")?.clone()),
            "failed" => End::Failed(Failure::from_value(body?.get("error")?)?),
            "abandoned" => End::Abandoned,
            "unknown" => End::Unknown,
            _ => return None,
        };
        Some(Self { end, cost: Micros::new(number("cost_micros")?), attempts: number("attempts")? })
    }
}

impl End {
    /// The word in the ledger.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
            Self::Abandoned => "abandoned",
            Self::Unknown => "unknown",
        }
    }
}

impl Canonical for Failure {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Object::new(out)
            .put("code", &self.code)
            .put("message", &self.message)
            .put("transient", &self.transient)
            .end();
    }
}

impl Failure {
    fn from_value(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_text).map(str::to_owned);
        let transient = value.get("transient").and_then(Value::as_bool)?;
        Some(Self { code: text("code")?, message: text("message")?, transient })
    }
}

/// Receipts that are open here: issued, not settled. It refuses a second use.
#[derive(Debug, Default)]
pub(crate) struct OpenReceipts {
    open: BTreeMap<ReceiptId, Use>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Issued,
    Dispatched,
}

impl OpenReceipts {
    pub(crate) fn issue(&mut self, receipt: ReceiptId) {
        self.open.insert(receipt, Use::Issued);
    }

    pub(crate) fn dispatch(&mut self, receipt: ReceiptId) -> Result<(), NotCleared> {
        match self.open.get_mut(&receipt) {
            Some(state @ Use::Issued) => {
                *state = Use::Dispatched;
                Ok(())
            }
            Some(Use::Dispatched) | None => Err(NotCleared::NotOpen { receipt }),
        }
    }

    pub(crate) fn close(&mut self, receipt: ReceiptId) {
        self.open.remove(&receipt);
    }
}

/// The effect of an intent record, to ask an adapter about it after a crash.
#[must_use]
pub fn effect_of(intent: &crate::Intent) -> Option<AnyEffect> {
    let args = intent.context().get("args")?.as_map()?;
    AnyEffect::from_args(intent.action(), args).ok().filter(|it| it.digest() == intent.effect())
}

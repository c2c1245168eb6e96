//! The gate: asks the procedure, keeps the accounts, and hands out what the types demand.
//!
//! It is pure. Whoever drives it appends its drafts to the ledger and hands back the
//! durable entries; the adapters perform what it clears.

use std::collections::BTreeMap;

use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::{ApprovalId, DenialId, ReceiptId, RunId};
use cog_base::json::{Canonical, Map, Object};
use cog_base::{Digest, Micros, Sources, Timestamp, Value};
use cog_canon::Canon;
use cog_ledger::{BodyDraft, Draft, Entry, Kind};

use crate::act::{Act, Facts, NotTaken};
use crate::approvals::{APPROVAL_LIFE_MS, Approvals};
use crate::book::{Book, Charge, Counts, Domains};
use crate::consent::Consent;
use crate::decision::{
    Decision, Need, PROCEDURE, Refused, Verdict, amount_of, decide, decide_effect, sum_key,
};
use crate::door::{
    Cleared, End, NotCleared, OpenReceipts, Pass, Pending, Performed, Permit, RECEIPT_LIFE_MS,
    Report, Scope, Settling,
};
use crate::effect::{AnyEffect, Effect, Footprint};
use crate::explain::{Elsewhere, WaysOut, ways_out};
use crate::intent::{Actor, Intent, Origin};
use crate::lease::Leases;
use crate::of_run::OfRun;
use crate::onward::Onward;
use crate::snapshot::{Conflict, Snapshot, TenantStatus};
use crate::world::World;

/// The room that the record beside an entry usually takes, in bytes.
const RECORD_BYTES: usize = 3_072;

/// One question to the gate.
#[derive(Debug)]
pub struct Question<'a, E> {
    /// Where it comes from.
    pub origin: &'a Origin,
    /// The step it serves.
    pub step: &'a str,
    /// Who asks.
    pub actor: Actor,
    /// What would be done.
    pub effect: E,
    /// Whose personal data the outcome holds, if anybody's.
    pub subject: Option<String>,
    /// What the arguments came from.
    pub sources: Sources,
}

/// The gate's answer. A refusal is an answer, not an error.
#[derive(Debug)]
pub enum Answer<E> {
    /// It may be done once its receipt is durable.
    Permitted(Box<Pending<E>>),
    /// It may not.
    Refused(Box<Refusal>),
    /// It may be done once people agree.
    NeedsApproval(Box<Asked>),
    /// It may be asked again when a lease ends.
    Waits {
        /// What stands in the way.
        conflicts: Vec<Conflict>,
        /// The effect, to ask again.
        effect: E,
    },
}

/// A refusal and its entry.
#[derive(Debug)]
pub struct Refusal {
    /// Its id.
    pub id: DenialId,
    /// A stable code: `canon.forbidden`.
    pub code: String,
    /// The reason in words.
    pub reason: String,
    /// The decision with its trace.
    pub decision: Decision,
    /// The smallest changes that would turn it round, in words.
    pub flips: Vec<String>,
    /// The entry to append.
    pub draft: Draft,
}

/// A request for consent.
#[derive(Debug)]
pub struct Asked {
    /// Its id.
    pub id: ApprovalId,
    /// Who must agree.
    pub need: Need,
    /// The entry to append; absent when the same was asked before and still waits.
    pub draft: Option<Draft>,
}

/// The gate of one tenant.
#[derive(Debug, Default)]
pub struct Gate {
    pub(crate) book: Book,
    pub(crate) domains: Domains,
    pub(crate) leases: Leases,
    receipts: OpenReceipts,
    pub(crate) approvals: Approvals,
    /// What of the outputs of receipts of an earlier life nobody may see.
    pub(crate) redacted: BTreeMap<ReceiptId, Vec<String>>,
    /// The latest time that the ledger showed. A clock that is set back revives nothing.
    pub(crate) ledger_at: Timestamp,
}

impl Gate {
    /// Requests for consent.
    #[must_use]
    pub fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// The intent behind a question, with its worst-case cost, its risk and the class of its data.
    #[must_use]
    pub fn intent<E: Effect>(question: &Question<'_, E>, canon: Option<&Canon>) -> Intent {
        let effect = &question.effect;
        let prices = canon.and_then(|canon| effect.prices(canon));
        let cost = prices.map_or(Micros::ZERO, |prices| effect.cost_max(prices));
        let risk = canon.map_or("high", |canon| canon.settings().risk_of(effect.action()));
        let actor = question.actor.clone();
        let intent = Intent::new(question.origin, question.step, actor, effect, cost, risk);
        match canon.and_then(|canon| canon.settings().data.as_ref()) {
            Some(rules) => intent.classed(rules, &question.sources),
            None => intent,
        }
    }

    /// The snapshot that a decision about `intent` reads.
    #[must_use]
    pub fn snapshot(&self, intent: &Intent, footprint: &Footprint, world: &World<'_>) -> Snapshot {
        let origin = intent.origin();
        let account = self.book.account(origin.session).filter(|it| it.is_of(origin.tenant));
        let tenant = if account.is_some() { world.tenant } else { TenantStatus::Unknown };
        Snapshot {
            now: world.now.max(world.ledger_at),
            clock_behind_ms: world.ledger_at.ms_since(world.now),
            tenant,
            entitled: None,
            effects: account.map_or_else(Default::default, |_| self.book.effects(origin.session)),
            budget: account.map_or_else(Default::default, |_| self.book.budget(origin.session)),
            canon: world.in_force,
            roots: account.map(|it| it.roots().clone()).unwrap_or_default(),
            folder: account.zip(intent.root()).and_then(|(it, root)| it.folder(root)).cloned(),
            approvals: self.approvals.for_intent(intent.digest()),
            conflicts: self.leases.conflicts(footprint, &self.book.stands(origin.session)),
            spread: account
                .map(|_| self.book.spread(origin.session, footprint))
                .unwrap_or_default(),
            periods: self.tallies(intent, footprint, world),
        }
    }

    /// The snapshot that a decision about another intent would read, if its arguments are those
    /// of an effect.
    #[must_use]
    pub fn snapshot_of(&self, intent: &Intent, world: &World<'_>) -> Option<Snapshot> {
        let args = intent.context().get("args")?.as_map()?;
        let effect = AnyEffect::from_args(intent.action(), args).ok()?;
        Some(self.snapshot(intent, &effect.footprint(), world))
    }

    /// What the gate would say, without issuing anything: for plan selection.
    #[must_use]
    pub fn preview<E: Effect>(&self, question: &Question<'_, E>, world: &World<'_>) -> Decision {
        let intent = Self::intent(question, world.canon());
        let snapshot = self.snapshot(&intent, &question.effect.footprint(), world);
        decide_effect(&intent, &snapshot, world.canon())
    }

    /// Decide about an effect. What is permitted is reserved from here on; it authorises
    /// nothing before its draft is durable.
    ///
    /// # Errors
    /// [`NoEntropy`] when no id can be drawn; nothing is reserved.
    pub fn ask<E: Effect>(
        &mut self,
        question: Question<'_, E>,
        world: &World<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Answer<E>, NoEntropy> {
        self.ledger_at = self.ledger_at.max(world.ledger_at);
        let intent = Self::intent(&question, world.canon());
        let footprint = question.effect.footprint();
        let snapshot = self.snapshot(&intent, &footprint, world);
        let decision = decide_effect(&intent, &snapshot, world.canon());
        let subject = question.subject.clone();
        let case = Case { intent, snapshot, footprint, subject, world };
        match decision.verdict.clone() {
            Verdict::Allow => self.permit(question, case, &decision, entropy),
            Verdict::Refuse(_) => {
                let elsewhere = |intent: &Intent| self.snapshot_of(intent, world);
                case.refuse(decision, &elsewhere, entropy).map(Box::new).map(Answer::Refused)
            }
            Verdict::NeedsApproval(need) => self
                .request(&case, &decision, need, entropy)
                .map(Box::new)
                .map(Answer::NeedsApproval),
            Verdict::Wait => {
                let conflicts = case.snapshot.conflicts.into_iter().collect();
                Ok(Answer::Waits { conflicts, effect: question.effect })
            }
        }
    }

    fn permit<E: Effect>(
        &mut self,
        question: Question<'_, E>,
        case: Case<'_>,
        decision: &Decision,
        entropy: &mut dyn Entropy,
    ) -> Result<Answer<E>, NoEntropy> {
        let receipt = ReceiptId::new(case.snapshot.now, entropy)?;
        let expires = case.snapshot.now.plus_ms(RECEIPT_LIFE_MS);
        let canon = case.world.canon();
        let counts = self.counts(&case.intent, &case.footprint, decision, canon, case.snapshot.now);
        let pass = Pass {
            receipt,
            intent: case.intent.digest(),
            effect: case.intent.effect(),
            draft: Some(case.receipt(receipt, expires, decision, counts.as_ref())),
            expires,
            reserve: case.intent.cost(),
            prices: case.world.canon().and_then(|canon| question.effect.prices(canon)),
            redact: decision.terms.redact.clone(),
            subject: question.subject,
            attempts: 0,
            onward: Onward::of(
                &case.intent,
                &case.footprint,
                &case.snapshot,
                &decision.terms,
                case.world.canon,
            ),
            spent: Micros::ZERO,
            scope: case.scope(),
            ear: None,
        };
        self.charge(receipt, &case.intent, &case.footprint, decision, canon);
        if let Some(counts) = counts {
            let domain = &case.intent.origin().domain;
            self.domains.count(receipt, domain, counts, case.intent.cost(), canon);
        }
        let session = case.intent.origin().session;
        self.leases.hold(receipt, &case.footprint, &self.book.stands(session));
        self.receipts.issue(receipt);
        self.approvals.spend(&decision.terms.approvals, receipt);
        Ok(Answer::Permitted(Box::new(Pending::new(question.effect, pass))))
    }

    fn charge(
        &mut self,
        receipt: ReceiptId,
        intent: &Intent,
        footprint: &Footprint,
        decision: &Decision,
        canon: Option<&Canon>,
    ) {
        let sums =
            decision.terms.sums.iter().filter_map(|(policy, path)| {
                Some((sum_key(policy, path), intent.at(path)?.as_u64()?))
            });
        let charge = Charge {
            amount: canon.map_or(0, |canon| amount_of(canon.settings(), intent)),
            limited: decision.terms.limited.iter().cloned().collect(),
            sums: sums.collect(),
        };
        self.book.reserve(receipt, intent, footprint, &charge);
    }

    fn request(
        &mut self,
        case: &Case<'_>,
        decision: &Decision,
        need: Need,
        entropy: &mut dyn Entropy,
    ) -> Result<Asked, NoEntropy> {
        let now = case.snapshot.now;
        let version = case.snapshot.canon.unwrap_or(case.intent.digest());
        if let Some(open) = self.approvals.asked(case.intent.digest(), version, now) {
            return Ok(Asked { id: open.id, need, draft: None });
        }
        let id = ApprovalId::new(now, entropy)?;
        let draft = case.approval(id, &need, APPROVAL_LIFE_MS, decision);
        Ok(Asked { id, need, draft: Some(draft) })
    }

    /// Ask people whether a step may go on; refused when there are not enough of them.
    ///
    /// # Errors
    /// [`NoEntropy`] when no id can be drawn.
    pub fn consult(
        &self,
        question: &Question<'_, Consent>,
        world: &World<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Result<Asked, Box<Refusal>>, NoEntropy> {
        let intent = Self::intent(question, world.canon());
        let snapshot = self.snapshot(&intent, &Footprint::default(), world);
        let need = question.effect.need.clone();
        let expires_ms = question.effect.expires_ms;
        let (footprint, subject) = (Footprint::default(), question.subject.clone());
        let decision = decide(&intent, &snapshot, world.canon());
        let case = Case { intent, snapshot, footprint, subject, world };
        if matches!(decision.verdict, Verdict::Refuse(_)) {
            return Ok(Err(Box::new(case.refuse(decision, &|_| None, entropy)?)));
        }
        let id = ApprovalId::new(case.snapshot.now, entropy)?;
        let draft = case.approval(id, &need, expires_ms, &Value::Null);
        Ok(Ok(Asked { id, need, draft: Some(draft) }))
    }

    /// The refusal, when somebody may not end a run, hold it or let it go on.
    ///
    /// # Errors
    /// [`NoEntropy`] when no id can be drawn.
    pub fn refuse_of_run(
        &self,
        question: &Question<'_, OfRun>,
        world: &World<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Refusal>, NoEntropy> {
        let intent = Self::intent(question, world.canon());
        let snapshot = self.snapshot(&intent, &Footprint::default(), world);
        let decision = decide(&intent, &snapshot, world.canon());
        let (footprint, subject) = (Footprint::default(), question.subject.clone());
        let case = Case { intent, snapshot, footprint, subject, world };
        let is_refused = matches!(decision.verdict, Verdict::Refuse(_));
        is_refused.then(|| case.refuse(decision, &|_| None, entropy)).transpose()
    }

    /// Why somebody's answer does not count as things stand, if it does not, with the entry that says
    /// so: none when the same of the same person is on record.
    ///
    /// # Errors
    /// [`NoEntropy`] when no id can be drawn.
    pub fn refuse_answer(
        &mut self,
        act: &Act,
        facts: &Facts,
        now: Timestamp,
        canon: Option<&Canon>,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<NotTaken>, NoEntropy> {
        let Some(no) = act.judge(facts, now, canon) else { return Ok(None) };
        if self.approvals.refuse(act.same(&no)) {
            return Ok(Some(NotTaken { no, denial: None }));
        }
        let denial = Some(act.refuse(&no, facts, now, entropy)?);
        Ok(Some(NotTaken { no, denial }))
    }

    /// Keep money for another attempt under a receipt, besides what it cost so far. Says
    /// whether there was enough; nothing is kept otherwise.
    pub fn reserve_again(&mut self, performed: &Performed<AnyEffect>) -> bool {
        let (receipt, reserve) = (performed.receipt(), performed.reserve());
        let cost = performed.report().cost.checked_add(reserve);
        let session = performed.session();
        let Some(cost) = cost.filter(|cost| self.domains.admits_again(receipt, *cost)) else {
            return false;
        };
        let is_kept = self.book.reserve_again(session, receipt, cost);
        if is_kept {
            self.domains.settle(receipt, true, cost);
        }
        is_kept
    }

    /// Take back a permission whose receipt was not recorded: lease, reserve and consents are
    /// free again, and no permit comes of it. Says whether a lease ended.
    ///
    /// In the periods of its domain it counts until they are over or the ledger is read again, as
    /// it may be in there.
    ///
    /// A failed append may have reached the log all the same. Before the session goes on, its
    /// entries must be read again; a receipt that is found there is settled as abandoned.
    pub fn withdraw<E: Effect>(&mut self, pending: Pending<E>) -> bool {
        let pass = pending.into_pass();
        self.receipts.close(pass.receipt);
        self.let_go(pass.scope.session, pass.receipt)
    }

    /// Nothing is done under a receipt here any more, whatever the ledger will say of it: what it
    /// holds of its run is free again. Says whether a lease ended.
    pub fn let_go(&mut self, session: RunId, receipt: ReceiptId) -> bool {
        self.approvals.give_back(receipt);
        self.book.give_back(session, receipt);
        self.leases.release(receipt)
    }

    /// Take note of a durable entry. Approvals count from here on.
    pub fn observe(&mut self, entry: &Entry) {
        self.ledger_at = self.ledger_at.max(entry.at());
        self.approvals.observe(entry);
        self.domains.observe(entry);
    }

    /// Why somebody said no to a request.
    pub fn because(&mut self, approval: ApprovalId, reason: &str) {
        self.approvals.because(approval, reason);
    }

    /// Clear a permit: from here on its receipt is used. The time is that of the ledger's
    /// last entry when the clock stands behind it.
    ///
    /// # Errors
    /// The reason, and the outcome `abandoned` that must be appended in its place.
    pub fn clear<E: Effect>(
        &mut self,
        permit: Permit<E>,
        now: Timestamp,
    ) -> Result<Cleared<E>, Box<(NotCleared, Draft, Settling)>> {
        let receipt = permit.receipt();
        let scope = permit.scope();
        let now = now.max(self.ledger_at);
        let cleared =
            self.receipts.dispatch(receipt).and_then(|()| permit.clear(now)).map_err(|reason| {
                let report = Report { end: End::Abandoned, cost: Micros::ZERO, attempts: 0 };
                let draft = report.draft(receipt, &scope, None);
                Box::new((reason, draft, Settling::new(receipt, scope.tenant, report)))
            })?;
        Ok(cleared)
    }

    /// Hold what a receipt of an earlier life touches, before its run goes on. `folders` says
    /// where the roots of that run stand.
    pub fn claim(
        &mut self,
        receipt: ReceiptId,
        footprint: &Footprint,
        folders: &BTreeMap<String, String>,
    ) {
        let stands = |root: &str| folders.get(root).map(String::as_str);
        self.leases.hold(receipt, footprint, &stands);
    }

    /// A finished effect whose outcome is on its way into the ledger: its lease ends and its
    /// cost is final. What is asked next stands behind that outcome in the log. Says whether
    /// a lease ended.
    pub fn close(&mut self, session: RunId, settling: &Settling) -> bool {
        let receipt = settling.receipt();
        self.receipts.close(receipt);
        self.resettle(session, receipt, settling.report())
    }

    /// Count an earlier receipt of an open session again, after a restart.
    pub fn recount(
        &mut self,
        receipt: ReceiptId,
        intent: &Intent,
        footprint: &Footprint,
        decision: &Decision,
        canon: Option<&Canon>,
    ) {
        self.charge(receipt, intent, footprint, decision, canon);
        if !decision.terms.redact.is_empty() {
            self.redacted.insert(receipt, decision.terms.redact.clone());
        }
        let session = intent.origin().session;
        self.leases.hold(receipt, footprint, &self.book.stands(session));
    }

    /// Count an earlier outcome of an open session again, after a restart. What an abandoned
    /// receipt used up is good again. Says whether a lease ended.
    pub fn resettle(&mut self, session: RunId, receipt: ReceiptId, report: &Report) -> bool {
        self.redacted.remove(&receipt);
        let is_abandoned = report.end == End::Abandoned;
        self.domains.settle(receipt, !is_abandoned, report.cost);
        if is_abandoned {
            return self.let_go(session, receipt);
        }
        self.book.settle(session, receipt, report.cost);
        self.leases.release(receipt)
    }
}

pub(crate) fn scope_of(intent: &Intent, canon: Option<Digest>) -> Scope {
    let origin = intent.origin();
    Scope {
        tenant: origin.tenant,
        actor: intent.actor().as_str().to_owned(),
        domain: origin.domain.clone(),
        environment: origin.environment.clone(),
        session: origin.session,
        canon,
    }
}

/// An intent with everything its decision read.
struct Case<'a> {
    intent: Intent,
    snapshot: Snapshot,
    footprint: Footprint,
    /// Whose personal data the arguments and the outcome hold.
    subject: Option<String>,
    world: &'a World<'a>,
}

impl Case<'_> {
    fn scope(&self) -> Scope {
        scope_of(&self.intent, self.snapshot.canon)
    }

    /// The members that receipts, denials and requests share.
    fn data(&self, id: Value) -> Map {
        let mut data = Map::from([
            ("id".into(), id),
            ("intent".into(), self.intent.digest().into()),
            ("action".into(), self.intent.action().into()),
            ("resource".into(), self.intent.resource_text().into()),
            ("effect".into(), self.intent.effect().into()),
            ("step".into(), self.intent.step().into()),
            ("procedure".into(), PROCEDURE.into()),
        ]);
        data.extend(self.intent.class().map(|class| ("data_class".to_owned(), class.into())));
        data
    }

    /// Draft with the record beside it; the snapshot's digest goes into the entry.
    fn draft(&self, kind: Kind, mut data: Map, trace: &impl Canonical) -> Draft {
        let snapshot = self.snapshot.canonical();
        data.insert("snapshot".into(), Snapshot::digest_of(&snapshot).into());
        let mut bytes = Vec::with_capacity(RECORD_BYTES);
        Object::new(&mut bytes)
            .put("intent", &self.intent)
            .put_with("snapshot", |out| out.extend_from_slice(&snapshot))
            .put("trace", trace)
            .end();
        let body = BodyDraft { subject: self.subject.clone(), bytes };
        self.scope().draft(kind, data, Some(body))
    }

    fn receipt(
        &self,
        id: ReceiptId,
        expires: Timestamp,
        decision: &Decision,
        counts: Option<&Counts>,
    ) -> Draft {
        let mut data = self.data(id.into());
        let texts = |list: &[String]| Value::list(list.iter().map(String::as_str));
        data.insert("expires".into(), expires.into());
        data.insert("reserve_micros".into(), self.intent.cost().into());
        data.insert("rules".into(), texts(&decision.terms.policies));
        data.insert("approvals".into(), texts(&decision.terms.approvals));
        if let Some(counts) = counts {
            counts.say(&mut data);
        }
        let lowered = decision.terms.declassify.as_deref();
        data.extend(lowered.map(|class| ("declassify".to_owned(), class.into())));
        self.draft(Kind::Receipt, data, decision)
    }

    fn approval(
        &self,
        id: ApprovalId,
        need: &Need,
        expires_ms: u64,
        trace: &impl Canonical,
    ) -> Draft {
        let mut data = self.data(id.into());
        data.insert("need".into(), need.to_value());
        data.insert("expires".into(), self.snapshot.now.plus_ms(expires_ms).into());
        data.insert("initiator".into(), self.intent.origin().initiator.as_str().into());
        self.draft(Kind::ApprovalRequested, data, trace)
    }

    fn refuse(
        &self,
        decision: Decision,
        elsewhere: &Elsewhere<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Refusal, NoEntropy> {
        let id = DenialId::new(self.snapshot.now, entropy)?;
        let failed = decision.failed();
        let code = failed.map_or("refused", |check| check.code).to_owned();
        let reason = crate::explain::reason(&decision, &self.intent);
        let ways = ways_out(&self.intent, &self.snapshot, self.world.canon(), &decision, elsewhere);
        let WaysOut { flips, cut } = ways;
        let mut data = self.data(id.into());
        data.insert("code".into(), code.as_str().into());
        let check = failed.map_or("unknown", |check| check.name.word());
        data.insert("check".into(), check.into());
        if let Some(rule) = failed.and_then(|check| check.rules.first()) {
            data.insert("rule".into(), rule.id.as_str().into());
        }
        let trace = Refused { decision: &decision, reason: &reason, flips: &flips, cut };
        let draft = self.draft(Kind::Denial, data, &trace);
        Ok(Refusal { id, code, reason, decision, flips, draft })
    }
}

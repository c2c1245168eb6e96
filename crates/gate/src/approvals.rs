//! Consents: asked for one intent under one canon version, given by people.

mod delegate;

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_canon::Canon;
use cog_ledger::{BodyDraft, Draft, Entry, Kind};

use crate::act::{OnRecord, Same};
use crate::consent::{Consent, FORM};
use crate::decision::Need;
use crate::gate::Gate;
use crate::intent::Actor;
use crate::snapshot::Approval;

/// How long a consent is waited for, in milliseconds.
pub const APPROVAL_LIFE_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// A request for consent, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: ApprovalId,
    /// The run that waits for it.
    pub session: RunId,
    /// The intent it is bound to.
    pub intent: Digest,
    /// The canon version it is bound to.
    pub canon: Digest,
    /// The step that waits for it.
    pub step: String,
    /// What would be done.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Who asks for the effect.
    pub actor: String,
    /// Who started the run.
    pub initiator: String,
    /// Who must agree.
    pub need: Need,
    /// When it was asked.
    pub asked: Timestamp,
    /// Whether others were let answer since, as [`Need::escalate`] says.
    pub escalated: bool,
    /// When it ends.
    pub expires: Timestamp,
    /// Who agreed so far; of whoever had another answer, that one.
    pub granted: BTreeSet<String>,
    /// Who has whom answer in their place.
    pub delegated: BTreeMap<String, String>,
    /// Who said no, and why.
    pub rejected: Option<(String, String)>,
    domain: String,
    environment: String,
    /// The receipt that rests on it: a consent is given to one effect, once.
    used_by: Option<ReceiptId>,
}

/// Why somebody's answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCounted {
    /// There is no such request.
    #[error("there is no approval request `{0}`")]
    Unknown(String),
    /// It was answered.
    #[error("the request was already answered")]
    Answered,
    /// Who answers has agreed, and others have not yet.
    #[error("`{who}` has agreed already; it takes {more} more of {of}")]
    AgreedBefore {
        /// Who.
        who: String,
        /// How many more it takes.
        more: u64,
        /// Of whom.
        of: String,
    },
    /// Its time is over.
    #[error("the request expired at {0}; `run --resume` asks anew")]
    Expired(Timestamp),
    /// The time of a step that asks is over: the step is refused, and not asked anew.
    #[error("the request expired at {0}; `run --resume` goes on, and the step is refused")]
    StepExpired(Timestamp),
    /// The run does not wait for it any more.
    #[error("the run does not wait for an answer to `{0}` any more")]
    Withdrawn(ApprovalId),
    /// Who asks cannot consent.
    #[error("`{0}` asked for this or started the run, and so cannot approve it")]
    OwnRequest(String),
    /// Not one of those who may.
    #[error("`{who}` may not answer this; it takes {of}")]
    NotOfGroup {
        /// Who tried.
        who: String,
        /// Who may.
        of: String,
    },
    /// Who answers has another person do so.
    #[error("`{who}` has `{to}` answer in their place")]
    HandedOver {
        /// Who.
        who: String,
        /// Whom.
        to: String,
    },
    /// That person does not answer in the place of another.
    #[error("`{to}` cannot answer in the place of `{who}`: {why}")]
    NoDelegate {
        /// In whose place.
        who: String,
        /// Who would.
        to: String,
        /// Why not.
        why: &'static str,
    },
    /// The canon changed since.
    #[error("the canon changed since this was asked; `run --resume` asks anew")]
    CanonChanged,
}

impl NotCounted {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "approval.unknown",
            Self::Answered => "approval.answered",
            Self::AgreedBefore { .. } => "approval.agreed_before",
            Self::Expired(_) | Self::StepExpired(_) => "approval.expired",
            Self::Withdrawn(_) => "approval.withdrawn",
            Self::OwnRequest(_) => "approval.own_request",
            Self::NotOfGroup { .. } => "approval.not_entitled",
            Self::HandedOver { .. } => "approval.handed_over",
            Self::NoDelegate { .. } => "approval.no_delegate",
            Self::CanonChanged => "approval.canon_changed",
        }
    }
}

/// A yes with what was filled in: in the body, which can be erased, and never in the entry.
#[must_use]
pub fn filled(draft: Draft, form: &Map) -> Draft {
    if form.is_empty() {
        return draft;
    }
    let bytes = Value::map([(FORM, Value::Map(form.clone()))]).canonical();
    Draft { body: Some(BodyDraft { subject: None, bytes }), ..draft }
}

/// All requests of the open sessions.
#[derive(Debug, Default)]
pub struct Approvals {
    requests: BTreeMap<ApprovalId, Request>,
    /// The refusals of answers that are on record.
    refused: OnRecord,
}

impl Approvals {
    /// The requests that wait for an answer, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.requests.values().filter(|request| request.is_open())
    }

    /// The request with this id.
    #[must_use]
    pub fn get(&self, id: ApprovalId) -> Option<&Request> {
        self.requests.get(&id)
    }

    /// The unused consents to an intent so far, whatever the canon they were asked under.
    #[must_use]
    pub fn for_intent(&self, intent: Digest) -> Vec<Approval> {
        let requests = self.requests.values().filter(|request| request.intent == intent);
        let answered =
            |request: &&Request| !request.granted.is_empty() || request.rejected.is_some();
        let unused = requests.filter(answered).filter(|request| request.used_by.is_none());
        unused.map(Request::approval).collect()
    }

    /// Use up consents for a receipt.
    pub(crate) fn spend(&mut self, approvals: &[String], receipt: ReceiptId) {
        for id in approvals.iter().filter_map(|id| id.parse().ok()) {
            if let Some(request) = self.requests.get_mut(&id) {
                request.used_by = Some(receipt);
            }
        }
    }

    /// The receipt was abandoned: what it rested on was not used after all.
    pub(crate) fn give_back(&mut self, receipt: ReceiptId) {
        let used = self.requests.values_mut().filter(|it| it.used_by == Some(receipt));
        used.for_each(|request| request.used_by = None);
    }

    /// What receipts and outcomes say about consents, for a start from the ledger.
    fn follow(&mut self, entry: &Entry) {
        let receipt = |name| entry.text(name).and_then(|id| id.parse::<ReceiptId>().ok());
        if entry.kind() == Kind::Outcome && entry.text("disposition") == Some("abandoned") {
            if let Some(receipt) = receipt("receipt") {
                self.give_back(receipt);
            }
        } else if entry.kind() == Kind::Receipt {
            let list = entry.data().get("approvals").and_then(Value::as_list).unwrap_or_default();
            let ids: Vec<_> = list.iter().filter_map(Value::as_text).map(str::to_owned).collect();
            if let Some(receipt) = receipt("id").filter(|_| !ids.is_empty()) {
                self.spend(&ids, receipt);
            }
        }
    }

    /// The open request for an intent under a canon version, if it was asked already.
    #[must_use]
    pub fn asked(&self, intent: Digest, canon: Digest, now: Timestamp) -> Option<&Request> {
        let mut open = self.waiting();
        open.find(|it| it.intent == intent && it.canon == canon && now <= it.expires)
    }

    /// The draft of `who`'s yes.
    ///
    /// # Errors
    /// [`NotCounted`] says why the answer would not count. Nothing is changed.
    pub fn grant(
        &self,
        id: ApprovalId,
        who: &Actor,
        canon: &Canon,
        now: Timestamp,
    ) -> Result<Draft, NotCounted> {
        let request = self.answerable(id, who, canon, now)?;
        Ok(request.answer(Kind::ApprovalGranted, who.as_str()))
    }

    /// The draft of `who`'s no.
    ///
    /// # Errors
    /// [`NotCounted`] says why the answer would not count. Nothing is changed.
    pub fn reject(
        &self,
        id: ApprovalId,
        who: &Actor,
        reason: &str,
        canon: &Canon,
        now: Timestamp,
    ) -> Result<Draft, NotCounted> {
        let request = self.answerable(id, who, canon, now)?;
        Ok(request.answer(Kind::ApprovalRejected, who.as_str()).saying("reason", reason))
    }

    fn answerable(
        &self,
        id: ApprovalId,
        who: &Actor,
        canon: &Canon,
        now: Timestamp,
    ) -> Result<&Request, NotCounted> {
        let request = self.get(id).ok_or_else(|| NotCounted::Unknown(id.to_string()))?;
        request.answerable(who, canon, now)?;
        Ok(request)
    }

    /// Whether the same refusal of an answer is on record.
    #[must_use]
    pub fn has_refused(&self, same: &Same) -> bool {
        self.refused.has(same)
    }

    /// Take note of a refusal that is about to be recorded. Says whether the same was there.
    pub(crate) fn refuse(&mut self, same: Same) -> bool {
        self.refused.insert(same)
    }

    /// Take note of an entry of the ledger; others than approvals, and receipts that rest on
    /// them, change nothing.
    pub fn observe(&mut self, entry: &Entry) {
        self.follow(entry);
        self.refused.observe(entry);
        let asks = entry.kind() == Kind::ApprovalRequested;
        let answers = matches!(entry.kind(), Kind::ApprovalGranted | Kind::ApprovalRejected);
        let more = matches!(entry.kind(), Kind::ApprovalEscalated | Kind::ApprovalDelegated);
        if !asks && !answers && !more {
            return;
        }
        let id = entry.data().get("id").and_then(Value::as_text).and_then(|id| id.parse().ok());
        let Some(id) = id else { return };
        if asks {
            if let Some(request) = Request::from_entry(id, entry) {
                self.requests.insert(id, request);
            }
            return;
        }
        let Some(request) = self.requests.get_mut(&id) else { return };
        if entry.kind() == Kind::ApprovalGranted {
            // What was recorded too late does not count, whatever the clock said before.
            if entry.at() <= request.expires {
                let voice = entry.text("for").unwrap_or(entry.actor());
                request.granted.insert(voice.to_owned());
            }
        } else if entry.kind() == Kind::ApprovalDelegated {
            let to = entry.text("to").unwrap_or_default();
            request.delegated.insert(entry.actor().to_owned(), to.to_owned());
        } else if entry.kind() == Kind::ApprovalEscalated {
            request.escalated = true;
        } else if entry.kind() == Kind::ApprovalRejected {
            request.rejected = Some((entry.actor().to_owned(), String::new()));
        }
    }

    /// Why somebody said no: it stands beside the entry, where it can be erased.
    pub fn because(&mut self, id: ApprovalId, words: &str) {
        if let Some((_, reason)) = self.requests.get_mut(&id).and_then(|it| it.rejected.as_mut()) {
            words.clone_into(reason);
        }
    }

    /// The entry that lets others answer, when its time has come. They may from here on.
    pub fn escalate(&mut self, id: ApprovalId, now: Timestamp) -> Option<Draft> {
        let request = self.requests.get_mut(&id)?;
        let draft = request.escalating(now)?;
        request.escalated = true;
        Some(draft)
    }

    /// Know what is known there, of another session.
    pub(crate) fn adopt(&mut self, other: Self) {
        self.requests.extend(other.requests);
        self.refused.adopt(other.refused);
    }

    /// Forget a sealed session's requests.
    pub fn forget(&mut self, session: RunId) {
        let ended = self.requests.extract_if(.., |_, request| request.session == session);
        let ended: BTreeSet<String> = ended.map(|(id, _)| Request::resource_of(id)).collect();
        self.refused.forget(&ended);
    }
}

impl Gate {
    /// The entry that lets others answer a request that took too long, which they may from here on.
    pub fn escalate(&mut self, approval: ApprovalId, now: Timestamp) -> Option<Draft> {
        self.approvals.escalate(approval, now)
    }
}

impl Request {
    /// Whether it waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rejected.is_none() && self.missing() > 0
    }

    /// How many more people must agree.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.need.count.saturating_sub(self.granted.len() as u64)
    }

    /// Who may answer by now.
    pub fn of(&self) -> impl Iterator<Item = &String> {
        let later = self.need.escalate.iter().filter(|_| self.escalated);
        self.need.of.iter().chain(later.flat_map(|it| &it.of))
    }

    fn told_of(&self) -> String {
        self.of().map(String::as_str).collect::<Vec<_>>().join(" or ")
    }

    /// When others may answer who may not yet; nothing where there are none.
    #[must_use]
    pub fn escalates(&self) -> Option<Timestamp> {
        let later = self.need.escalate.as_ref().filter(|_| !self.escalated)?;
        Some(self.asked.plus_ms(later.after_ms))
    }

    /// The entry that lets others answer, when its time has come and it still waits.
    #[must_use]
    pub fn escalating(&self, now: Timestamp) -> Option<Draft> {
        let is_due = self.escalates().is_some_and(|at| at <= now);
        if !is_due || !self.is_open() || self.is_expired(now) {
            return None;
        }
        let of = self.need.escalate.iter().flat_map(|it| &it.of);
        let mut draft = self.draft(Kind::ApprovalEscalated, &self.initiator);
        draft.data.insert("of".to_owned(), texts(of));
        Some(draft)
    }

    /// Whether no answer counts any more.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.expires
    }

    /// Whether it is the question of a step, and not what a policy asks of an effect.
    #[must_use]
    pub fn is_step(&self) -> bool {
        self.action == Consent::ACTION
    }

    /// As a refusal of an answer names it.
    #[must_use]
    pub fn resource_of(id: ApprovalId) -> String {
        format!("Approval::\"{id}\"")
    }

    /// Whether somebody's answer would count.
    ///
    /// # Errors
    /// [`NotCounted`] says why it would not.
    pub fn answerable(&self, who: &Actor, canon: &Canon, now: Timestamp) -> Result<(), NotCounted> {
        // Who answers in the place of another is let by that one, and may what that one may.
        let name = self.voice(who.as_str());
        if !self.is_open() {
            return Err(NotCounted::Answered);
        }
        if self.granted.contains(name) {
            let (who, of) = (name.to_owned(), self.told_of());
            return Err(NotCounted::AgreedBefore { who, more: self.missing(), of });
        }
        if self.is_expired(now) {
            let expired =
                if self.is_step() { NotCounted::StepExpired } else { NotCounted::Expired };
            return Err(expired(self.expires));
        }
        if self.canon != canon.digest() {
            return Err(NotCounted::CanonChanged);
        }
        if let Some(to) = self.delegated.get(who.as_str()) {
            let (who, to) = (who.to_string(), to.clone());
            return Err(NotCounted::HandedOver { who, to });
        }
        if name == self.actor || name == self.initiator {
            return Err(NotCounted::OwnRequest(name.to_owned()));
        }
        // Consent is for people: what an agent says is evidence, whatever role it is in.
        if !who.is_person() || !self.of().any(|group| canon.is_member(name, group)) {
            let of = self.told_of();
            return Err(NotCounted::NotOfGroup { who: name.to_owned(), of });
        }
        Ok(())
    }

    /// The domain and the environment of its run.
    #[must_use]
    pub fn place(&self) -> (&str, &str) {
        (&self.domain, &self.environment)
    }

    /// The record of it beside a refusal.
    pub(crate) fn value(&self) -> Value {
        let no = self.rejected.as_ref().map(|(by, _)| by.as_str());
        let members = [
            ("id", Value::from(self.id)),
            ("session", self.session.into()),
            ("intent", self.intent.into()),
            ("canon", self.canon.into()),
            ("step", self.step.as_str().into()),
            ("action", self.action.as_str().into()),
            ("resource", self.resource.as_str().into()),
            ("actor", self.actor.as_str().into()),
            ("initiator", self.initiator.as_str().into()),
            ("need", self.need.to_value()),
            ("expires", self.expires.into()),
            ("granted", texts(&self.granted)),
            ("rejected_by", no.into()),
        ];
        let asked = [("asked", self.asked.into()), ("escalated", self.escalated.into())];
        // Where nobody else can be let answer it is what earlier releases wrote.
        let asked = asked.into_iter().filter(|_| self.need.escalate.is_some());
        let handed = self.delegated.iter().map(|(who, to)| (who.as_str(), to.as_str()));
        let handed = (!self.delegated.is_empty()).then(|| ("delegated", Value::map(handed)));
        Value::map(members.into_iter().chain(asked).chain(handed))
    }

    /// The request in such a record. Where it was made is not part of it.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_text);
        let need = Need::from_value(value.get("need")?)?;
        let expires = text("expires")?.parse().ok()?;
        let handed = value.get("delegated").and_then(Value::as_map).into_iter().flatten();
        let handed = handed.map(|(who, to)| Some((who.clone(), to.as_text()?.to_owned())));
        let granted = value.get("granted")?.as_list()?.iter().filter_map(Value::as_text);
        Some(Self {
            id: text("id")?.parse().ok()?,
            session: text("session")?.parse().ok()?,
            intent: text("intent")?.parse().ok()?,
            canon: text("canon")?.parse().ok()?,
            step: text("step")?.to_owned(),
            action: text("action")?.to_owned(),
            resource: text("resource")?.to_owned(),
            actor: text("actor")?.to_owned(),
            initiator: text("initiator")?.to_owned(),
            need,
            // Releases that knew nothing of it wrote neither.
            asked: text("asked").and_then(|at| at.parse().ok()).unwrap_or(expires),
            escalated: value.get("escalated").and_then(Value::as_bool).unwrap_or(false),
            expires,
            granted: granted.map(str::to_owned).collect(),
            delegated: handed.collect::<Option<_>>()?,
            rejected: text("rejected_by").map(|by| (by.to_owned(), String::new())),
            domain: String::new(),
            environment: String::new(),
            used_by: None,
        })
    }

    fn approval(&self) -> Approval {
        Approval {
            id: self.id,
            intent: self.intent,
            canon: self.canon,
            by: self.granted.clone(),
            rejected: self.rejected.is_some(),
            escalated: self.escalated,
            expires: self.expires,
        }
    }

    fn draft(&self, kind: Kind, who: &str) -> Draft {
        let data =
            Map::from([("id".into(), self.id.into()), ("intent".into(), self.intent.into())]);
        Draft {
            kind,
            actor: who.to_owned(),
            domain: self.domain.clone(),
            environment: self.environment.clone(),
            session: Some(self.session),
            canon: Some(self.canon),
            data,
            body: None,
        }
    }

    fn from_entry(id: ApprovalId, entry: &Entry) -> Option<Self> {
        let data = entry.data();
        let text = |name| data.get(name).and_then(Value::as_text);
        let need = Need::from_value(data.get("need")?)?;
        Some(Self {
            id,
            session: entry.session()?,
            intent: text("intent")?.parse().ok()?,
            canon: entry.canon()?,
            step: text("step")?.to_owned(),
            action: text("action")?.to_owned(),
            resource: text("resource")?.to_owned(),
            actor: entry.actor().to_owned(),
            initiator: text("initiator")?.to_owned(),
            need,
            asked: entry.at(),
            escalated: false,
            expires: text("expires")?.parse().ok()?,
            granted: BTreeSet::new(),
            delegated: BTreeMap::new(),
            rejected: None,
            domain: entry.domain().to_owned(),
            environment: entry.environment().to_owned(),
            used_by: None,
        })
    }
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Value {
    Value::list(texts.into_iter().map(String::as_str))
}

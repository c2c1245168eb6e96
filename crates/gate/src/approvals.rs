//! Consents: asked for one intent under one canon version, given by people.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_canon::Canon;
use cog_ledger::{Draft, Entry, Kind};

use crate::consent::Consent;
use crate::decision::Need;
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
    /// When it ends.
    pub expires: Timestamp,
    /// Who agreed so far.
    pub granted: BTreeSet<String>,
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
    /// The canon changed since.
    #[error("the canon changed since this was asked; `run --resume` asks anew")]
    CanonChanged,
}

/// All requests of the open sessions.
#[derive(Debug, Default)]
pub struct Approvals {
    requests: BTreeMap<ApprovalId, Request>,
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
        Ok(request.draft(Kind::ApprovalGranted, who, None))
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
        Ok(request.draft(Kind::ApprovalRejected, who, Some(reason)))
    }

    fn answerable(
        &self,
        id: ApprovalId,
        who: &Actor,
        canon: &Canon,
        now: Timestamp,
    ) -> Result<&Request, NotCounted> {
        let request = self.get(id).ok_or_else(|| NotCounted::Unknown(id.to_string()))?;
        let name = who.as_str();
        if !request.is_open() {
            return Err(NotCounted::Answered);
        }
        if request.granted.contains(name) {
            let (who, of) = (name.to_owned(), request.need.of.join(" or "));
            return Err(NotCounted::AgreedBefore { who, more: request.missing(), of });
        }
        if request.is_expired(now) {
            let expired =
                if request.is_step() { NotCounted::StepExpired } else { NotCounted::Expired };
            return Err(expired(request.expires));
        }
        if request.canon != canon.digest() {
            return Err(NotCounted::CanonChanged);
        }
        if name == request.actor || name == request.initiator {
            return Err(NotCounted::OwnRequest(name.to_owned()));
        }
        // Consent is for people: what an agent says is evidence, whatever role it is in.
        let is_person = name.starts_with("user:");
        if !is_person || !request.need.of.iter().any(|group| canon.is_member(name, group)) {
            let of = request.need.of.join(" or ");
            return Err(NotCounted::NotOfGroup { who: name.to_owned(), of });
        }
        Ok(request)
    }

    /// Take note of an entry of the ledger; others than approvals, and receipts that rest on
    /// them, change nothing.
    pub fn observe(&mut self, entry: &Entry) {
        self.follow(entry);
        let asks = entry.kind() == Kind::ApprovalRequested;
        if !asks && !matches!(entry.kind(), Kind::ApprovalGranted | Kind::ApprovalRejected) {
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
                request.granted.insert(entry.actor().to_owned());
            }
        } else if entry.kind() == Kind::ApprovalRejected {
            let reason = entry.data().get("reason").and_then(Value::as_text).unwrap_or_default();
            request.rejected = Some((entry.actor().to_owned(), reason.to_owned()));
        }
    }

    /// Forget a sealed session's requests.
    pub fn forget(&mut self, session: RunId) {
        self.requests.retain(|_, request| request.session != session);
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

    fn approval(&self) -> Approval {
        Approval {
            id: self.id,
            intent: self.intent,
            canon: self.canon,
            by: self.granted.clone(),
            rejected: self.rejected.is_some(),
            expires: self.expires,
        }
    }

    fn draft(&self, kind: Kind, who: &Actor, reason: Option<&str>) -> Draft {
        let mut data =
            Map::from([("id".into(), self.id.into()), ("intent".into(), self.intent.into())]);
        if let Some(reason) = reason {
            data.insert("reason".into(), reason.into());
        }
        Draft {
            kind,
            actor: who.as_str().to_owned(),
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
        let need = data.get("need")?;
        let of = need.get("of")?.as_list()?.iter().filter_map(Value::as_text);
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
            need: Need { count: need.get("count")?.as_u64()?, of: of.map(str::to_owned).collect() },
            expires: text("expires")?.parse().ok()?,
            granted: BTreeSet::new(),
            rejected: None,
            domain: entry.domain().to_owned(),
            environment: entry.environment().to_owned(),
            used_by: None,
        })
    }
}

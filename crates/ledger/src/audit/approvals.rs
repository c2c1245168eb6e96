//! Consent: asked for before, for the same intent and canon, by people other than those who
//! asked or began, and used once.

use std::collections::{BTreeMap, HashMap};

use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::{Digest, Timestamp, Value};

use super::sessions::Sessions;
use super::{Findings, is_person};
use crate::entry::Entry;
use crate::kind::Kind;

/// By how much a clock may have been set back between a decision and its entry.
const CLOCK_BACK_MS: u64 = 5_000;

/// All requests for consent of a log.
#[derive(Debug)]
pub(super) struct Approvals {
    is_pruned: bool,
    requests: HashMap<ApprovalId, Request>,
    not_followed: u64,
}

#[derive(Debug)]
struct Request {
    seq: u64,
    session: Option<RunId>,
    actor: String,
    intent: Option<Digest>,
    canon: Option<Digest>,
    count: u64,
    /// Those who may, when the request names users alone. Who has a role is in the canon's
    /// facts, not in the log.
    of: Option<Vec<String>>,
    /// When it was asked, and who else may answer after which time.
    at: Timestamp,
    escalate: Option<Value>,
    is_escalated: bool,
    expires: Option<Timestamp>,
    /// Those in whose name somebody said yes.
    granted_by: Vec<String>,
    /// Who has whom answer in their place.
    delegated: BTreeMap<String, String>,
    is_rejected: bool,
    used_by: Option<ReceiptId>,
}

impl Approvals {
    pub(super) fn new(is_pruned: bool) -> Self {
        Self { is_pruned, requests: HashMap::new(), not_followed: 0 }
    }

    pub(super) fn requested(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some(id) = entry.text("id").and_then(|id| id.parse::<ApprovalId>().ok()) else {
            return;
        };
        let need = entry.data().get("need");
        let request = Request {
            seq: entry.seq(),
            session: entry.session(),
            actor: entry.actor().to_owned(),
            intent: entry.digest("intent"),
            canon: entry.canon(),
            count: need.and_then(|need| need.get("count")?.as_u64()).unwrap_or(u64::MAX),
            of: need.and_then(named_users),
            at: entry.at(),
            escalate: need.and_then(|need| need.get("escalate").cloned()),
            is_escalated: false,
            expires: entry.text("expires").and_then(|time| time.parse().ok()),
            granted_by: Vec::new(),
            delegated: BTreeMap::new(),
            is_rejected: false,
            used_by: None,
        };
        if let Some(earlier) = self.requests.insert(id, request) {
            let message = format!("the approval id {id} was given in entry {}", earlier.seq);
            findings.add(Some(entry.seq()), "id.twice", message);
        }
    }

    /// Others may answer, once, when the time that the request says is over.
    pub(super) fn escalated(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some((id, request)) = self.asked(entry, findings) else { return };
        let seq = Some(entry.seq());
        let later = request.escalate.as_ref();
        let after_ms = later.and_then(|later| later.get("after_ms")?.as_u64());
        let now = entry.at().plus_ms(CLOCK_BACK_MS);
        let is_due = after_ms.is_some_and(|ms| request.at.plus_ms(ms) <= now);
        let is_it = later.and_then(|later| later.get("of")) == entry.data().get("of");
        if !is_due || !is_it || request.is_escalated {
            let message = format!("{id} is not to be answered by others, or not yet, or by these");
            findings.add(seq, "approval.escalated", message);
        }
        request.is_escalated = true;
        // Who has a role is not in the log.
        let more = later.and_then(named_users);
        request.of = request.of.take().zip(more).map(|(of, more)| [of, more].concat());
    }

    /// Somebody who may answer has another person do so, who has no voice yet and is neither who asks
    /// nor who began the run. Whom the canon lets is not in the log.
    pub(super) fn delegated(
        &mut self,
        entry: &Entry,
        initiator: Option<&str>,
        findings: &mut Findings,
    ) {
        let Some((id, request)) = self.asked(entry, findings) else { return };
        let (who, to) = (entry.actor(), entry.text("to").unwrap_or_default());
        let is_own = |one: &str| one == request.actor || Some(one) == initiator;
        let has_part = |one: &str| {
            let granted = request.granted_by.iter().any(|earlier| earlier == one);
            let mut handed = request.delegated.iter();
            granted || handed.any(|(from, to)| from == one || to == one)
        };
        let may = request.of.as_ref().is_none_or(|of| of.iter().any(|user| user == who));
        let are_free = [who, to].iter().all(|one| is_person(one) && !is_own(one) && !has_part(one));
        if !may || !are_free || who == to || request.is_rejected {
            let message = format!("`{who}` may not have `{to}` answer {id}");
            findings.add(Some(entry.seq()), "approval.delegated", message);
        }
        request.delegated.insert(who.to_owned(), to.to_owned());
    }

    pub(super) fn answered(
        &mut self,
        entry: &Entry,
        initiator: Option<&str>,
        findings: &mut Findings,
    ) {
        let seq = Some(entry.seq());
        let Some((id, request)) = self.asked(entry, findings) else { return };
        // Who answers in the place of another is that one.
        let who = entry.text("for").unwrap_or(entry.actor());
        if !request.speaks(entry) {
            let message = format!("`{}` answers {id} in a place that is not theirs", entry.actor());
            findings.add(seq, "approval.delegated", message);
        }
        if entry.kind() == Kind::ApprovalRejected {
            request.is_rejected = true;
            return;
        }
        let own = [request.actor.as_str(), initiator.unwrap_or_default()];
        if who != entry.actor() && own.contains(&entry.actor()) {
            let message =
                format!("`{}` approves {id}, but asked for it or began the run", entry.actor());
            findings.add(seq, "approval.own_request", message);
        }
        if who == request.actor || Some(who) == initiator {
            let message = format!("`{who}` approves {id}, but asked for it or began the run");
            findings.add(seq, "approval.own_request", message);
        }
        let is_named = |of: &Vec<String>| of.iter().any(|user| user == who);
        if !is_person(who) || !request.of.as_ref().is_none_or(is_named) {
            let message = format!("`{who}` is not among those who may approve {id}");
            findings.add(seq, "approval.not_entitled", message);
        }
        // Recorded too late: whoever answered was in time, but it does not count, and a
        // receipt that rests on it is one without approval.
        if request.expires.is_some_and(|expires| entry.at() > expires) {
            return;
        }
        if request.is_rejected {
            findings.add(seq, "approval.rejected", format!("{id} was rejected before"));
        }
        if request.granted_by.iter().any(|earlier| earlier == who) {
            findings.add(seq, "approval.twice", format!("`{who}` approved {id} before"));
        } else {
            request.granted_by.push(who.to_owned());
        }
    }

    /// Check the approvals that a receipt rests on.
    pub(super) fn receipt(
        &mut self,
        entry: &Entry,
        initiator: Option<&str>,
        sessions: &Sessions,
        findings: &mut Findings,
    ) {
        let approvals = entry.data().get("approvals").and_then(Value::as_list).unwrap_or_default();
        let receipt = entry.text("id").and_then(|id| id.parse::<ReceiptId>().ok());
        for id in approvals.iter().filter_map(Value::as_text) {
            let Ok(id) = id.parse::<ApprovalId>() else {
                let message = format!("`{id}` is no approval id");
                findings.add(Some(entry.seq()), "approval.missing", message);
                continue;
            };
            let Some(request) = self.requests.get_mut(&id) else {
                self.missing(entry, id, findings);
                continue;
            };
            request.check_use(entry, id, initiator, findings);
            if request.used_by.is_some_and(|earlier| !sessions.is_abandoned(&earlier)) {
                let message = format!("{id} was used up by an earlier receipt");
                findings.add(Some(entry.seq()), "approval.reused", message);
            }
            request.used_by = receipt;
        }
    }

    /// The request that an entry is about, which it has to be bound to.
    fn asked(
        &mut self,
        entry: &Entry,
        findings: &mut Findings,
    ) -> Option<(ApprovalId, &mut Request)> {
        let id: ApprovalId = entry.text("id")?.parse().ok()?;
        if !self.requests.contains_key(&id) {
            self.missing(entry, id, findings);
        }
        let request = self.requests.get_mut(&id)?;
        request.check_bound(entry, id, findings);
        Some((id, request))
    }

    fn missing(&mut self, entry: &Entry, id: ApprovalId, findings: &mut Findings) {
        if self.is_pruned {
            self.not_followed = self.not_followed.saturating_add(1);
        } else {
            let message = format!("there is no request {id} before it");
            findings.add(Some(entry.seq()), "approval.missing", message);
        }
    }

    pub(super) const fn not_followed(&self) -> u64 {
        self.not_followed
    }
}

impl Request {
    fn check_bound(&self, entry: &Entry, id: ApprovalId, findings: &mut Findings) {
        if entry.session() != self.session
            || entry.digest("intent") != self.intent
            || entry.canon() != self.canon
        {
            let message = format!("{id} was asked for another intent, canon or session");
            findings.add(Some(entry.seq()), "approval.other_intent", message);
        }
    }

    /// Whether who answers does so in their own name, with no part in any other, or in the one that
    /// they were handed.
    fn speaks(&self, entry: &Entry) -> bool {
        let who = entry.actor();
        match entry.text("for") {
            Some(voice) => self.delegated.get(voice).is_some_and(|to| to == who),
            None => !self.delegated.iter().any(|(from, to)| from == who || to == who),
        }
    }

    fn check_use(
        &self,
        entry: &Entry,
        id: ApprovalId,
        initiator: Option<&str>,
        findings: &mut Findings,
    ) {
        let seq = Some(entry.seq());
        if entry.session() != self.session
            || entry.digest("intent") != self.intent
            || entry.canon() != self.canon
        {
            let message = format!("{id} is consent to another intent, canon or session");
            findings.add(seq, "approval.other_intent", message);
        }
        let counts = |who: &&String| ***who != *entry.actor() && Some(who.as_str()) != initiator;
        let granted = self.granted_by.iter().filter(counts).count() as u64;
        if self.is_rejected || granted < self.count {
            let message = format!("{id} was granted by {granted} of the {} needed", self.count);
            findings.add(seq, "approval.not_granted", message);
        }
    }
}

/// Those who may approve, if they are all named as users.
fn named_users(need: &Value) -> Option<Vec<String>> {
    let of = need.get("of")?.as_list()?.iter();
    of.map(|who| who.as_text().filter(|who| who.starts_with("user:")).map(str::to_owned)).collect()
}

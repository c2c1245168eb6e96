//! What people do about approvals, the canon, the ledger and schedules, and how a refusal of it is recorded.
//!
//! Such an act performs nothing: no permit can be made of it. What is judged is who acts and how
//! things stand; a refusal is a `denial` like that of an effect, with the facts that it was judged
//! by beside it, so that anyone judges again.

mod facts;

use std::collections::BTreeSet;

use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::{ApprovalId, DenialId, RunId, TenantId};
use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_canon::Canon;
use cog_ledger::{BodyDraft, Draft, Entry, Kind, kind};

pub use facts::{Cited, Facts, Put};

use crate::approvals::Request;
use crate::decision::PROCEDURE;
use crate::effect::digest_of;
use crate::intent::{Actor, BadRecord};

/// To begin a run.
const BEGIN: &str = "run.start";
/// To have the runs of a workflow be started from a definition.
const ACTIVATE: &str = "workflow.activate";
/// To take a run that waits for its turn out of the queue.
pub const WITHDRAW: &str = "run.withdraw";
/// Where an answer says who is to give it.
const TO: &str = "to";
/// How many of the newest refusals are looked at for one that says the same.
pub const LOOKED_AT_MAX: usize = 10_000;

/// What somebody wants of an approval, of the canon or of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Whose ledger.
    pub tenant: TenantId,
    /// Of which domain; `ledger` where none is known.
    pub domain: String,
    /// In which environment; `any` where it is about all.
    pub environment: String,
    /// The open run that it is about.
    pub session: Option<RunId>,
    /// The version in force in the domain, if it can be read.
    pub canon: Option<Digest>,
    /// Who acts.
    pub actor: Actor,
    /// What: one of [`kind::ACTS`].
    pub action: &'static str,
    /// On what, as policies would name it: `Approval::"apr_…"`.
    pub resource: String,
    /// The rest of what was said.
    pub args: Map,
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct No {
    /// The check that says so.
    pub check: &'static str,
    /// A stable code.
    pub code: &'static str,
    /// In a sentence.
    pub reason: String,
    /// Who may, if that is the matter.
    pub may: Vec<String>,
}

/// An answer that does not count.
#[derive(Debug)]
pub struct NotTaken {
    /// Why.
    pub no: No,
    /// The denial, and its entry to append; nothing when the same is on record.
    pub denial: Option<(DenialId, Draft)>,
}

/// What tells the refusals of acts apart: another one that is the same is not recorded.
pub type Same = (String, String, String, String);

/// Whether an entry is the refusal of an act, and not of an effect.
#[must_use]
pub fn is_refused(entry: &Entry) -> bool {
    entry.kind() == Kind::Denial && entry.text("action").is_some_and(is_act)
}

fn is_act(action: &str) -> bool {
    kind::ACTS.contains(&action)
}

/// What is the same about a recorded refusal of an act; nothing for any other entry.
#[must_use]
pub fn same_of(entry: &Entry) -> Option<Same> {
    let text = |name| entry.text(name).map(str::to_owned);
    let known = (entry.actor().to_owned(), text("action")?, text("resource")?, text("code")?);
    is_refused(entry).then(|| plain(known, entry.environment()))
}

/// Of what names nothing one refusal by each person is enough, whatever was made up. Where a run may
/// not begin, it is the environment that was asked for.
fn plain((who, action, mut resource, code): Same, environment: &str) -> Same {
    if code.ends_with(".unknown") {
        resource.clear();
    } else if action == BEGIN {
        resource = format!("{resource} in {environment}");
    }
    (who, action, resource, code)
}

impl Act {
    /// To begin a run of a workflow in a domain and an environment, which [`Facts::Begin`] judges.
    #[must_use]
    pub fn begin(
        tenant: TenantId,
        (domain, environment): (&str, &str),
        workflow: &str,
        who: &Actor,
        canon: Option<&Canon>,
    ) -> Self {
        Self {
            tenant,
            domain: domain.to_owned(),
            environment: environment.to_owned(),
            session: None,
            canon: canon.map(Canon::digest),
            actor: who.clone(),
            action: BEGIN,
            resource: format!("Workflow::\"{workflow}\""),
            args: [("environment".to_owned(), environment.into())].into(),
        }
    }

    /// To activate a version of a workflow of a domain, which [`Facts::Activate`] judges.
    #[must_use]
    pub fn activate(
        tenant: TenantId,
        domain: &str,
        workflow: &str,
        who: &Actor,
        canon: Option<&Canon>,
    ) -> Self {
        let begin = Self::begin(tenant, (domain, "any"), workflow, who, canon);
        Self { action: ACTIVATE, args: Map::new(), ..begin }
    }

    /// Somebody's answer to a request, of an open run in this domain and environment if one has it.
    #[must_use]
    pub fn answer(
        (tenant, session): (TenantId, Option<RunId>),
        (domain, environment): (&str, &str),
        approval: ApprovalId,
        who: &Actor,
        verdict: Result<(), &str>,
        canon: Option<&Canon>,
    ) -> Self {
        let word = if verdict.is_ok() { "approve" } else { "reject" };
        let mut args = Map::from([("verdict".into(), word.into())]);
        args.extend(verdict.err().map(|reason| ("reason".into(), reason.into())));
        Self {
            tenant,
            domain: domain.to_owned(),
            environment: environment.to_owned(),
            session,
            canon: canon.map(Canon::digest),
            actor: who.clone(),
            action: "approval.answer",
            resource: Request::resource_of(approval),
            args,
        }
    }

    /// To have another person answer a request, which [`Facts::Answer`] judges.
    #[must_use]
    pub fn delegate(
        place: (TenantId, Option<RunId>),
        of: (&str, &str),
        approval: ApprovalId,
        (who, to): (&Actor, &Actor),
        canon: Option<&Canon>,
    ) -> Self {
        let args = [(TO.to_owned(), to.as_str().into()), ("verdict".to_owned(), "delegate".into())];
        Self { args: args.into(), ..Self::answer(place, of, approval, who, Ok(()), canon) }
    }

    /// What is the same about its refusals for this reason.
    #[must_use]
    pub fn same(&self, no: &No) -> Same {
        let action = self.action.to_owned();
        let same = (self.actor.to_string(), action, self.resource.clone(), no.code.to_owned());
        plain(same, &self.environment)
    }

    /// The refusal, when it may not be done as things stand.
    #[must_use]
    pub fn judge(&self, facts: &Facts, now: Timestamp, canon: Option<&Canon>) -> Option<No> {
        facts.judge(self.action, &self.actor, &self.args, now, canon)
    }

    /// The denial that says so.
    ///
    /// # Errors
    /// [`NoEntropy`] when no id can be drawn.
    pub fn refuse(
        &self,
        no: &No,
        facts: &Facts,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(DenialId, Draft), NoEntropy> {
        let id = DenialId::new(now, entropy)?;
        let snapshot = snapshot(now, facts);
        let mut data = Map::from([
            ("id".into(), id.into()),
            ("intent".into(), self.digest().into()),
            ("action".into(), self.action.into()),
            ("resource".into(), self.resource.as_str().into()),
            ("effect".into(), self.effect().into()),
            ("step".into(), "".into()),
            ("procedure".into(), PROCEDURE.into()),
            ("snapshot".into(), snapshot_digest(&snapshot).into()),
        ]);
        data.insert("check".into(), no.check.into());
        data.insert("code".into(), no.code.into());
        let body =
            Value::map([("intent", self.value()), ("snapshot", snapshot), ("trace", no.trace())]);
        let draft = Draft {
            kind: Kind::Denial,
            actor: self.actor.to_string(),
            domain: self.domain.clone(),
            environment: self.environment.clone(),
            session: self.session,
            canon: self.canon,
            data,
            body: Some(BodyDraft { subject: None, bytes: body.canonical() }),
        };
        Ok((id, draft))
    }

    fn effect(&self) -> Digest {
        digest_of(self.action, &Value::Map(self.args.clone()))
    }

    /// What the digest binds; the arguments by their own.
    fn bound(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("action", self.action.into()),
            ("actor", self.actor.as_str().into()),
            ("domain", self.domain.as_str().into()),
            ("effect", self.effect().into()),
            ("environment", self.environment.as_str().into()),
            ("resource", self.resource.as_str().into()),
            ("session", self.session.into()),
            ("tenant", self.tenant.into()),
        ]
    }

    fn digest(&self) -> Digest {
        Digest::in_context("cognitionos/act/v1", &Value::map(self.bound()).canonical())
    }

    fn value(&self) -> Value {
        let context = Value::map([("args", Value::Map(self.args.clone()))]);
        let more = [("context", context), ("digest", self.digest().into())];
        Value::map(self.bound().into_iter().chain(more))
    }

    /// The act in an entry, with what is said of it beside.
    fn of(entry: &Entry, body: &Value) -> Result<Self, BadRecord> {
        let bad = |part| BadRecord { part };
        let text = entry.text("action").unwrap_or_default();
        let action = kind::ACTS.iter().find(|action| **action == text).ok_or(bad("action"))?;
        let args = body.at(&["intent", "context", "args"]).and_then(Value::as_map);
        let act = Self {
            tenant: entry.tenant(),
            domain: entry.domain().to_owned(),
            environment: entry.environment().to_owned(),
            session: entry.session(),
            canon: entry.canon(),
            actor: entry.actor().parse().map_err(|_| bad("actor"))?,
            action,
            resource: entry.text("resource").unwrap_or_default().to_owned(),
            args: args.cloned().ok_or(bad("context"))?,
        };
        let is_same = body.get("intent") == Some(&act.value())
            && entry.digest("intent") == Some(act.digest())
            && entry.digest("effect") == Some(act.effect());
        if is_same { Ok(act) } else { Err(bad("intent")) }
    }
}

impl No {
    fn trace(&self) -> Value {
        let may = Value::list(self.may.iter().map(String::as_str));
        let check = Value::map([
            ("check", Value::from(self.check)),
            ("code", self.code.into()),
            ("outcome", "fail".into()),
            ("read", Value::map([("may", may)])),
        ]);
        Value::map([
            ("checks", Value::list([check])),
            ("flips", Value::list(Vec::<Value>::new())),
            ("reason", self.reason.as_str().into()),
            ("verdict", "refuse".into()),
        ])
    }
}

fn snapshot(now: Timestamp, facts: &Facts) -> Value {
    Value::map([("facts", facts.value()), ("now", now.into())])
}

fn snapshot_digest(snapshot: &Value) -> Digest {
    Digest::in_context("cognitionos/snapshot/v1", &snapshot.canonical())
}

/// Judge a recorded refusal of an act again, from the record beside it. Gives what comes out now,
/// when it is something else: a code, or that it would not be refused.
///
/// # Errors
/// [`BadRecord`] when the record is not whole, or not that of the entry.
pub fn differs(
    entry: &Entry,
    body: &Value,
    canon: Option<&Canon>,
) -> Result<Option<String>, BadRecord> {
    let bad = |part| BadRecord { part };
    let act = Act::of(entry, body)?;
    let snapshot = body.get("snapshot").ok_or(bad("snapshot"))?;
    if entry.digest("snapshot") != Some(snapshot_digest(snapshot)) {
        return Err(bad("snapshot"));
    }
    let now = snapshot.get("now").and_then(Value::as_text).and_then(|now| now.parse().ok());
    let now = now.ok_or(bad("now"))?;
    let facts = snapshot.get("facts").and_then(Facts::from_value).ok_or(bad("facts"))?;
    let found = act.judge(&facts, now, canon);
    let said = entry.text("check").zip(entry.text("code"));
    let is_same = found.as_ref().map(|no| (no.check, no.code)) == said
        && found.as_ref().map(|no| &no.may) == Some(&told(body));
    let found = found.map_or("it would not be refused".to_owned(), |no| no.code.to_owned());
    Ok((!is_same).then_some(found))
}

/// Who may, as the record says it.
fn told(body: &Value) -> Vec<String> {
    let checks = body.at(&["trace", "checks"]).and_then(Value::as_list).unwrap_or_default();
    let may = checks.first().and_then(|check| check.at(&["read", "may"])?.as_list());
    may.unwrap_or_default().iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// The refusals that are on record, as somebody looks through them.
#[derive(Debug, Default)]
pub struct OnRecord(BTreeSet<Same>);

impl OnRecord {
    /// Take note of an entry; any but the refusal of an act changes nothing.
    pub fn observe(&mut self, entry: &Entry) {
        self.0.extend(same_of(entry));
    }

    /// Whether the same is on record.
    #[must_use]
    pub fn has(&self, same: &Same) -> bool {
        self.0.contains(same)
    }

    /// Take note of one that is about to be recorded. Says whether it was there.
    pub fn insert(&mut self, same: Same) -> bool {
        !self.0.insert(same)
    }

    /// Take note of all that is on record there.
    pub(crate) fn adopt(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Forget those about what these name.
    pub(crate) fn forget(&mut self, resources: &BTreeSet<String>) {
        self.0.retain(|(_, _, resource, _)| !resources.contains(resource));
    }
}

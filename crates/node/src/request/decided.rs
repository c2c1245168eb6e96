//! Entries of no run that somebody has decided on by what the log says, as mail.

use cog_base::Value;
use cog_base::id::TenantId;
use cog_base::json::Map;
use cog_ledger::{BodyDraft, Draft, Kind};
use cog_store::{Keep, StoreError};

use super::{BadRequest, text_of};

/// The kinds of entries that are recorded so. All others come of what an engine, or the owner of
/// the log itself, decides.
const KINDS: &[Kind] = &[
    Kind::CanonProposed,
    Kind::CanonApproved,
    Kind::CanonRejected,
    Kind::CanonActivated,
    Kind::Promotion,
    Kind::Denial,
    Kind::Checkpoint,
    Kind::Replay,
    Kind::WorkflowActivated,
    Kind::BodiesErased,
    Kind::SegmentPruned,
];
/// Of what evidence tells that a new signing key is asked for.
const ROTATION: &str = "key.rotation";
/// The most entries of one request.
const DRAFTS_MAX: usize = 4_096;

/// Entries of no run that somebody has decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The entries, in their order: all of them are recorded, or none.
    pub drafts: Vec<Draft>,
    /// How many entries the log had when it was decided.
    pub seen: u64,
    /// Nothing comes of it when an entry of one of these kinds is newer than that.
    pub unless: Vec<Kind>,
    /// What is destroyed when the entries are durable.
    pub then: Option<Destroy>,
}

/// What is destroyed, as entries before it say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destroy {
    /// The key of everything that is kept about somebody.
    Subject(String),
    /// The bodies of these entries.
    Bodies(Vec<u64>),
    /// The entries before this one, as far as whole segments of them can go.
    Entries(u64),
    /// The right of the key in force to sign the log: another signs from then on.
    Key,
}

impl Decided {
    pub(super) fn to_value(&self) -> Value {
        let then = self.then.as_ref().map(|then| match then {
            Destroy::Subject(subject) => Value::map([("subject", subject.as_str())]),
            Destroy::Bodies(seqs) => Value::map([("bodies", Value::list(seqs.iter().copied()))]),
            Destroy::Entries(before) => Value::map([("before", *before)]),
            Destroy::Key => Value::map([("key", true)]),
        });
        Value::map([
            ("drafts", Value::list(self.drafts.iter().map(draft))),
            ("seen", self.seen.into()),
            ("unless", Value::list(self.unless.iter().map(|kind| kind.as_str()))),
            ("then", then.unwrap_or(Value::Null)),
        ])
    }

    pub(super) fn read(value: &Value) -> Result<Self, BadRequest> {
        let list = |name| value.get(name).and_then(Value::as_list).ok_or(BadRequest::Member(name));
        let drafts = list("drafts")?;
        if drafts.is_empty() || drafts.len() > DRAFTS_MAX {
            return Err(BadRequest::Member("drafts"));
        }
        let unless = list("unless")?.iter().map(|kind| kind.as_text()?.parse().ok());
        let then = value.get("then").filter(|then| **then != Value::Null);
        Ok(Self {
            drafts: drafts.iter().map(draft_of).collect::<Result<_, _>>()?,
            seen: super::seen_of(value)?,
            unless: unless.collect::<Option<_>>().ok_or(BadRequest::Member("unless"))?,
            then: then.map(destroy_of).transpose()?,
        })
    }
}

impl Destroy {
    /// Destroy it in a store. Done again, nothing more is destroyed. The key is changed by whoever
    /// writes the log, and not here.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be done in full.
    pub fn carry_out(&self, store: &dyn Keep, tenant: TenantId) -> Result<(), StoreError> {
        match self {
            Self::Subject(subject) => store.erase(tenant, subject).map(|_| ()),
            Self::Bodies(entries) => store.erase_bodies(tenant, entries).map(|_| ()),
            Self::Entries(before) => store.prune_entries(tenant, *before).map(|_| ()),
            Self::Key => Ok(()),
        }
    }
}

fn destroy_of(then: &Value) -> Result<Destroy, BadRequest> {
    if let Some(subject) = then.get("subject").and_then(Value::as_text) {
        return Ok(Destroy::Subject(subject.to_owned()));
    }
    if let Some(before) = then.get("before").and_then(Value::as_u64) {
        return Ok(Destroy::Entries(before));
    }
    if then.get("key").is_some() {
        return Ok(Destroy::Key);
    }
    let bodies = then.get("bodies").and_then(Value::as_list);
    let bodies: Option<Vec<u64>> =
        bodies.and_then(|bodies| bodies.iter().map(Value::as_u64).collect());
    bodies.map(Destroy::Bodies).ok_or(BadRequest::Member("then"))
}

fn draft(draft: &Draft) -> Value {
    let body = draft.body.as_ref().map(|body| {
        let text = String::from_utf8_lossy(&body.bytes);
        let subject = body.subject.as_deref();
        Value::map([("text", Value::from(text.as_ref())), ("subject", subject.into())])
    });
    Value::map([
        ("kind", Value::from(draft.kind.as_str())),
        ("actor", draft.actor.as_str().into()),
        ("domain", draft.domain.as_str().into()),
        ("environment", draft.environment.as_str().into()),
        ("canon", draft.canon.into()),
        ("data", Value::Map(draft.data.clone())),
        ("body", body.unwrap_or(Value::Null)),
    ])
}

fn draft_of(value: &Value) -> Result<Draft, BadRequest> {
    let data: Option<&Map> = value.get("data").and_then(Value::as_map);
    let source = data.and_then(|data| data.get("source")?.as_text());
    let is_rotation = |kind: &Kind| *kind == Kind::Evidence && source == Some(ROTATION);
    let kind = text_of(value, "kind")?.parse::<Kind>().ok();
    let kind = kind.filter(|kind| KINDS.contains(kind) || is_rotation(kind));
    let canon = value.get("canon").and_then(Value::as_text).map(str::parse).transpose();
    let body = value.get("body").filter(|body| **body != Value::Null).map(|body| {
        let subject = body.get("subject").and_then(Value::as_text).map(str::to_owned);
        Ok(BodyDraft { subject, bytes: text_of(body, "text")?.into_bytes() })
    });
    Ok(Draft {
        kind: kind.ok_or(BadRequest::Member("kind"))?,
        actor: text_of(value, "actor")?,
        domain: text_of(value, "domain")?,
        environment: text_of(value, "environment")?,
        session: None,
        canon: canon.map_err(|_| BadRequest::Member("canon"))?,
        data: data.ok_or(BadRequest::Member("data"))?.clone(),
        body: body.transpose()?,
    })
}

//! The decision: a pure function of intent, snapshot and canon.
//!
//! Every check is made, each says what it read, and all must pass: what cannot be told is
//! no. The procedure has a number; a later one is another function beside this one, so
//! that an old decision can be recomputed by the procedure it was made with.

mod checks;
mod confine;
mod data;
mod folder;
mod people;
mod period;
mod supposed;
mod trace;

pub use checks::amount_of;
pub(crate) use checks::{Broken, broken, evaluate, sum_key};
pub(crate) use confine::{lacks_of, variables, wants_network};
pub(crate) use data::{admits, receivers};
pub(crate) use period::{Over, over};
pub(crate) use supposed::Supposed;
pub(crate) use trace::Refused;
pub use trace::{Fact, Seen};

use std::ops::Deref;
use std::sync::Arc;

use cog_base::{Period, Value};
use cog_canon::{Canon, PolicyNote};

use crate::consent::Consent;
use crate::intent::{BadRecord, Intent};
use crate::of_run::Wish;
use crate::snapshot::Snapshot;

/// The number of the procedure that new decisions use.
pub const PROCEDURE: u64 = 1;

/// How far the clock may stand behind the ledger before nothing is allowed, in milliseconds.
pub const CLOCK_BEHIND_MS_MAX: u64 = 5_000;

/// A procedure that this release does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decision procedure {0} is not known to this release; use a later one to replay it")]
pub struct UnknownProcedure(pub u64);

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Every check in its order.
    pub checks: Vec<Check>,
    /// What the permitting policies ask of this effect.
    pub terms: Terms,
}

/// Yes, no, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Allow,
    /// It may not: the first check that said so.
    Refuse(CheckName),
    /// It may be done once these people agree.
    NeedsApproval(Need),
    /// It may be asked again when the named leases end.
    Wait,
}

/// The consent that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// How many different people.
    pub count: u64,
    /// Groups or people, any of whom counts: `role:finance`, `user:cfo`.
    pub of: Vec<String>,
    /// Who else may answer, once that took too long.
    pub escalate: Option<Escalation>,
}

/// Who else may answer what people were asked, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// After how many milliseconds.
    pub after_ms: u64,
    /// Groups or people, as of a [`Need`].
    pub of: Vec<String>,
}

impl Need {
    /// As entries have it: `{count, of}`, and `escalate` as `{after_ms, of}` where others may answer
    /// later.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let texts = |of: &[String]| Value::list(of.iter().map(String::as_str));
        let members = [("count", self.count.into()), ("of", texts(&self.of))];
        let later = self
            .escalate
            .as_ref()
            .map(|it| Value::map([("after_ms", Value::from(it.after_ms)), ("of", texts(&it.of))]));
        Value::map(members.into_iter().chain(later.map(|later| ("escalate", later))))
    }

    /// What an entry says.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let texts = |value: &Value| {
            let all = value.get("of")?.as_list()?.iter().filter_map(Value::as_text);
            Some(all.map(str::to_owned).collect::<Vec<_>>())
        };
        let escalate = match value.get("escalate") {
            Some(later) => {
                let after_ms = later.get("after_ms")?.as_u64()?;
                Some(Escalation { after_ms, of: texts(later)? })
            }
            None => None,
        };
        Some(Self { count: value.get("count")?.as_u64()?, of: texts(value)?, escalate })
    }
}

/// What permitting policies ask of an allowed effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The ids of the policies that permit, sorted.
    pub policies: Vec<String>,
    /// The approvals it rests on.
    pub approvals: Vec<String>,
    /// Paths of the output that nobody may see.
    pub redact: Vec<String>,
    /// The class that what it gives is taken for, whatever it was made from.
    pub declassify: Option<String>,
    /// Policies that count their receipts.
    pub limited: Vec<String>,
    /// Policies that sum a value: `(policy, path)`.
    pub sums: Vec<(String, String)>,
    /// Policies that do either over all runs of the domain.
    pub counted: Vec<Counted>,
}

/// A limit of a policy over all runs of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The policy.
    pub policy: String,
    /// The period; one of them.
    pub per: Period,
    /// Where the value stands that it sums; nothing when it counts receipts.
    pub path: Option<String>,
}

/// The checks, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckName {
    /// Who asks is known.
    Identity,
    /// The tenant may act.
    Tenant,
    /// The tenant has what it takes.
    Entitlement,
    /// The run has effects left.
    Quota,
    /// The run has money left.
    Budget,
    /// The effect stays inside what the run and the canon declare.
    Confinement,
    /// Nothing is handed data of a class that the canon does not let it have. Made where the canon
    /// declares classes.
    Data,
    /// The policies permit it.
    Canon,
    /// The people that must agree did.
    Approval,
    /// Nobody else holds what it touches.
    Interference,
    /// The run stays inside its blast radius.
    Envelope,
    /// Clock and canon are those of now.
    Freshness,
}

impl CheckName {
    /// Every check that is always made, in order.
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::Tenant,
        Self::Entitlement,
        Self::Quota,
        Self::Budget,
        Self::Confinement,
        Self::Canon,
        Self::Approval,
        Self::Interference,
        Self::Envelope,
        Self::Freshness,
    ];

    /// The word in traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Tenant => "tenant",
            Self::Entitlement => "entitlement",
            Self::Quota => "quota",
            Self::Budget => "budget",
            Self::Confinement => "confinement",
            Self::Data => "data",
            Self::Canon => "canon",
            Self::Approval => "approval",
            Self::Interference => "interference",
            Self::Envelope => "envelope",
            Self::Freshness => "freshness",
        }
    }
}

/// One check of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// What it said.
    pub outcome: Outcome,
    /// A stable code: `canon.forbidden`.
    pub code: &'static str,
    /// What it read.
    pub read: Seen,
    /// The policies it rests on, with their reasons and advice.
    pub rules: Vec<Rule>,
}

/// What a check said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Yes.
    Pass,
    /// No.
    Fail,
    /// Not until people agree.
    Approval,
    /// Not until a lease ends.
    Wait,
}

/// A policy in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule(pub Arc<PolicyNote>);

impl Deref for Rule {
    type Target = PolicyNote;

    fn deref(&self) -> &PolicyNote {
        &self.0
    }
}

/// Decide by the procedure `procedure`.
///
/// # Errors
/// [`UnknownProcedure`] when this release does not have it.
pub fn decide_by(
    procedure: u64,
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> Result<Decision, UnknownProcedure> {
    match procedure {
        1 => Ok(decide(intent, snapshot, canon)),
        unknown => Err(UnknownProcedure(unknown)),
    }
}

/// Decide about an effect, and whatever is asked as if it were one, by the newest procedure.
pub(crate) fn decide_effect(
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> Decision {
    checks::decide_v1(intent, snapshot, canon, &Supposed::default())
}

/// What would be decided about an effect if something were otherwise.
pub(crate) fn decide_supposed(
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
    supposed: &Supposed,
) -> Decision {
    checks::decide_v1(intent, snapshot, canon, supposed)
}

/// Decide by the newest procedure.
#[must_use]
pub fn decide(intent: &Intent, snapshot: &Snapshot, canon: Option<&Canon>) -> Decision {
    match intent.action() {
        action if Wish::of(action).is_some() => people::cancel(intent, canon),
        Consent::ACTION => people::consent(intent, canon),
        _ => decide_effect(intent, snapshot, canon),
    }
}

/// Decide again from the record `{intent, snapshot, …}` that stands beside a ledger entry.
///
/// # Errors
/// [`BadRecord`] when the record is not whole.
pub fn read_record(record: &Value) -> Result<(Intent, Snapshot), BadRecord> {
    let intent = record.get("intent").ok_or(BadRecord { part: "intent" })?;
    let snapshot = record.get("snapshot").ok_or(BadRecord { part: "snapshot" })?;
    Ok((Intent::from_value(intent)?, Snapshot::from_value(snapshot)?))
}

impl Decision {
    /// The check that decided against it, if one did.
    #[must_use]
    pub fn failed(&self) -> Option<&Check> {
        let Verdict::Refuse(name) = self.verdict else { return None };
        self.checks.iter().find(|check| check.name == name)
    }
}

impl Verdict {
    /// The word in traces.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse(_) => "refuse",
            Self::NeedsApproval(_) => "needs_approval",
            Self::Wait => "wait",
        }
    }
}

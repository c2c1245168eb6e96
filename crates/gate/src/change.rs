//! Change control: the only way to another canon. Proposed, approved by others than the
//! proposer alone, activated; each step an entry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cog_base::id::ProposalId;
use cog_base::{Digest, Value};
use cog_canon::{Canon, ChangeRefusal};
use cog_ledger::{Draft, Entry, Kind};

use crate::intent::Actor;

/// A proposed canon, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// The domain it is for.
    pub domain: String,
    /// The environment it was proposed in.
    pub environment: String,
    /// The version proposed.
    pub digest: Digest,
    /// The version it was made from.
    pub base: Option<Digest>,
    /// Who proposed it.
    pub by: String,
    /// Who approved it.
    pub approved_by: BTreeSet<String>,
    /// The evidence it promotes, by sequence number.
    pub evidence: Vec<u64>,
    /// What became of it.
    pub state: ProposalState,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalState {
    /// It waits for approvals or activation.
    Open,
    /// It is or was in force.
    Activated,
    /// Somebody said no.
    Rejected {
        /// Who.
        by: String,
    },
}

/// How a proposal stands beside the canon in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be approved and activated.
    Open,
    /// Another version came in force since it was made: it is activated only if the one that
    /// it was made from is put in force again.
    Stale {
        /// The version that it was made from.
        base: Option<Digest>,
        /// The version in force.
        in_force: Option<Digest>,
    },
    /// It is in force.
    InForce,
    /// It was in force until another took its place.
    Superseded {
        /// The version in force.
        by: Option<Digest>,
        /// The proposal that put that one in force.
        proposal: Option<ProposalId>,
    },
    /// Somebody said no.
    Rejected {
        /// Who.
        by: String,
    },
}

/// What is said of a proposal: `was rejected by user:cfo`.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |digest: &Option<Digest>| digest.map_or("none".into(), |it| it.short());
        match self {
            Self::Open => f.write_str("is open"),
            Self::Stale { base, in_force } => write!(
                f,
                "is stale: it was made from {}, and {} is in force now",
                short(base),
                short(in_force)
            ),
            Self::InForce => f.write_str("was activated already, and is in force"),
            Self::Superseded { by, proposal } => {
                write!(f, "was activated, and {} is in force since", short(by))?;
                proposal.map_or(Ok(()), |proposal| write!(f, " by {proposal}"))
            }
            Self::Rejected { by } => write!(f, "was rejected by {by}"),
        }
    }
}

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotChanged {
    /// A canon is in force; it changes only by proposal.
    #[error("the domain `{0}` has a canon in force; propose the change instead")]
    InForce(String),
    /// No such proposal.
    #[error("there is no proposal `{0}`")]
    Unknown(ProposalId),
    /// It was activated or rejected.
    #[error("the proposal {id} {how}")]
    Closed {
        /// Which.
        id: ProposalId,
        /// What became of it.
        how: Standing,
    },
    /// The canon in force is not the one the proposal was made from.
    #[error("the canon in force changed since {0} was proposed, so that it is stale")]
    BaseMoved(ProposalId),
    /// Nothing would change.
    #[error("this version is in force already")]
    NoChange,
    /// The rule of the canon in force is not met.
    #[error(transparent)]
    Rule(#[from] ChangeRefusal),
    /// The proposer's own approval does not count twice.
    #[error("`{0}` approved it already")]
    Twice(String),
    /// An agent or a service wants to change what binds it.
    #[error("`{0}` is no person: agents and services may propose a change, not make it")]
    NotAPerson(String),
    /// Not one of those who may.
    #[error("`{who}` may not do this; it takes {of}")]
    NotOfGroup {
        /// Who tried.
        who: String,
        /// Who may.
        of: String,
    },
}

impl NotChanged {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InForce(_) => "change.in_force",
            Self::Unknown(_) => "change.unknown",
            Self::Closed { .. } => "change.closed",
            Self::BaseMoved(_) => "change.stale",
            Self::NoChange => "change.none",
            Self::Rule(_) => "change.not_approved",
            Self::Twice(_) => "change.approved_before",
            Self::NotAPerson(_) => "change.not_a_person",
            Self::NotOfGroup { .. } => "change.not_entitled",
        }
    }
}

/// Which canon is in force in each domain, and what is proposed.
#[derive(Debug, Default)]
pub struct ChangeControl {
    /// The version in force in each domain, and the proposal that put it there.
    in_force: BTreeMap<String, (Digest, Option<ProposalId>)>,
    proposals: BTreeMap<ProposalId, Proposal>,
}

impl ChangeControl {
    /// One that knows of one domain and one proposal.
    pub(crate) fn of(domain: &str, in_force: Option<Digest>, proposal: Proposal) -> Self {
        let in_force = in_force.map(|digest| (domain.to_owned(), (digest, None)));
        let proposals = BTreeMap::from([(proposal.id, proposal)]);
        Self { in_force: in_force.into_iter().collect(), proposals }
    }

    /// The version in force in a domain.
    #[must_use]
    pub fn in_force(&self, domain: &str) -> Option<Digest> {
        self.in_force.get(domain).map(|(digest, _)| *digest)
    }

    /// Every domain with a canon, and its version.
    pub fn domains(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.in_force.iter().map(|(domain, (digest, _))| (domain.as_str(), *digest))
    }

    /// All proposals, oldest first.
    pub fn proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.proposals.values()
    }

    /// The proposal with this id.
    #[must_use]
    pub fn proposal(&self, id: ProposalId) -> Option<&Proposal> {
        self.proposals.get(&id)
    }

    /// How a proposal stands.
    #[must_use]
    pub fn standing(&self, proposal: &Proposal) -> Standing {
        let in_force = self.in_force.get(&proposal.domain);
        let digest = in_force.map(|(digest, _)| *digest);
        match &proposal.state {
            ProposalState::Open if proposal.base == digest => Standing::Open,
            ProposalState::Open => Standing::Stale { base: proposal.base, in_force: digest },
            ProposalState::Activated => match in_force.and_then(|(_, proposal)| *proposal) {
                Some(id) if id == proposal.id => Standing::InForce,
                other => Standing::Superseded { by: digest, proposal: other },
            },
            ProposalState::Rejected { by } => Standing::Rejected { by: by.clone() },
        }
    }

    /// The draft that puts the first canon of a domain in force. There is nobody yet who
    /// could approve: whoever holds the ledger's key founds the domain, on the record.
    ///
    /// # Errors
    /// [`NotChanged::InForce`] when the domain has a canon, [`NotChanged::NotAPerson`].
    pub fn found(
        &self,
        canon: &Canon,
        environment: &str,
        who: &Actor,
    ) -> Result<Draft, NotChanged> {
        person(who)?;
        let domain = canon.domain();
        if self.in_force.contains_key(domain) {
            return Err(NotChanged::InForce(domain.to_owned()));
        }
        let data = [("digest", canon.digest().into()), ("basis", Value::from("genesis"))];
        Ok(Draft::new(Kind::CanonActivated, who.as_str(), domain, environment, data))
    }

    /// The draft of a proposal to put `canon` in force, promoting the evidence entries
    /// `evidence` if there are any.
    ///
    /// # Errors
    /// [`NotChanged`] when there is nothing to change.
    pub fn propose(
        &self,
        id: ProposalId,
        canon: &Canon,
        environment: &str,
        who: &Actor,
        evidence: &[u64],
    ) -> Result<Draft, NotChanged> {
        let base = self.in_force(canon.domain());
        if base == Some(canon.digest()) {
            return Err(NotChanged::NoChange);
        }
        let mut data = vec![("proposal", Value::from(id)), ("digest", canon.digest().into())];
        if let Some(base) = base {
            data.push(("base", base.into()));
        }
        if !evidence.is_empty() {
            data.push(("evidence", Value::list(evidence.iter().copied())));
        }
        Ok(Draft::new(Kind::CanonProposed, who.as_str(), canon.domain(), environment, data))
    }

    /// The draft of `who`'s approval. The rule of the canon in force, `current`, says who may.
    ///
    /// # Errors
    /// [`NotChanged`] says why the approval would not count.
    pub fn approve(
        &self,
        id: ProposalId,
        who: &Actor,
        current: &Canon,
    ) -> Result<Draft, NotChanged> {
        let proposal = self.open(id, who, current)?;
        if proposal.base != self.in_force(&proposal.domain) {
            return Err(NotChanged::BaseMoved(id));
        }
        if proposal.approved_by.contains(who.as_str()) {
            return Err(NotChanged::Twice(who.to_string()));
        }
        let data = [("proposal", Value::from(id)), ("digest", proposal.digest.into())];
        Ok(proposal.draft(Kind::CanonApproved, who, data))
    }

    /// The draft of `who`'s rejection.
    ///
    /// # Errors
    /// [`NotChanged`] says why it would not count.
    pub fn reject(
        &self,
        id: ProposalId,
        who: &Actor,
        reason: &str,
        current: &Canon,
    ) -> Result<Draft, NotChanged> {
        let proposal = self.open(id, who, current)?;
        let data = [("proposal", Value::from(id)), ("digest", proposal.digest.into())];
        Ok(proposal.draft(Kind::CanonRejected, who, data).saying("reason", reason))
    }

    /// The drafts that put an approved proposal in force, with the promotion of the
    /// evidence it names.
    ///
    /// # Errors
    /// [`NotChanged`] when the rule of the canon in force is not met.
    pub fn activate(
        &self,
        id: ProposalId,
        who: &Actor,
        current: &Canon,
    ) -> Result<Vec<Draft>, NotChanged> {
        person(who)?;
        let proposal = self.not_closed(id)?;
        let in_force = self.in_force(&proposal.domain);
        if proposal.base != in_force || Some(current.digest()) != in_force {
            return Err(NotChanged::BaseMoved(id));
        }
        let approvers: Vec<_> = proposal.approved_by.iter().map(String::as_str).collect();
        current.settings().change.admits(current, &proposal.by, &approvers)?;
        let mut drafts = Vec::new();
        if !proposal.evidence.is_empty() {
            let evidence = Value::list(proposal.evidence.iter().copied());
            let data = vec![("proposal", id.into()), ("evidence", evidence)];
            drafts.push(proposal.draft(Kind::Promotion, who, data));
        }
        let data = vec![
            ("digest", proposal.digest.into()),
            ("previous", current.digest().into()),
            ("basis", "change".into()),
            ("proposal", id.into()),
        ];
        drafts.push(proposal.draft(Kind::CanonActivated, who, data));
        Ok(drafts)
    }

    fn not_closed(&self, id: ProposalId) -> Result<&Proposal, NotChanged> {
        let proposal = self.proposals.get(&id).ok_or(NotChanged::Unknown(id))?;
        if proposal.state == ProposalState::Open {
            return Ok(proposal);
        }
        Err(NotChanged::Closed { id, how: self.standing(proposal) })
    }

    fn open(&self, id: ProposalId, who: &Actor, current: &Canon) -> Result<&Proposal, NotChanged> {
        person(who)?;
        let proposal = self.not_closed(id)?;
        if Some(current.digest()) != self.in_force(&proposal.domain) {
            return Err(NotChanged::BaseMoved(id));
        }
        let groups = &current.settings().change.approvers;
        if !groups.iter().any(|group| current.is_member(who.as_str(), group)) {
            return Err(NotChanged::NotOfGroup { who: who.to_string(), of: groups.join(" or ") });
        }
        Ok(proposal)
    }

    /// The kinds of entries that it takes note of.
    pub const KINDS: [Kind; 4] =
        [Kind::CanonProposed, Kind::CanonApproved, Kind::CanonRejected, Kind::CanonActivated];

    /// Take note of a durable entry; others than those about canon change nothing.
    pub fn observe(&mut self, entry: &Entry) {
        let data = entry.data();
        let text = |name: &str| data.get(name).and_then(Value::as_text);
        let id = text("proposal").and_then(|id| id.parse::<ProposalId>().ok());
        match entry.kind() {
            Kind::CanonProposed => {
                if let Some(proposal) = id.and_then(|id| Proposal::from_entry(id, entry)) {
                    self.proposals.insert(proposal.id, proposal);
                }
            }
            Kind::CanonApproved => {
                if let Some(proposal) = id.and_then(|id| self.proposals.get_mut(&id)) {
                    proposal.approved_by.insert(entry.actor().to_owned());
                }
            }
            Kind::CanonRejected => {
                if let Some(proposal) = id.and_then(|id| self.proposals.get_mut(&id)) {
                    proposal.state = ProposalState::Rejected { by: entry.actor().to_owned() };
                }
            }
            Kind::CanonActivated => {
                if let Some(digest) = text("digest").and_then(|digest| digest.parse().ok()) {
                    self.in_force.insert(entry.domain().to_owned(), (digest, id));
                }
                if let Some(proposal) = id.and_then(|id| self.proposals.get_mut(&id)) {
                    proposal.state = ProposalState::Activated;
                }
            }
            Kind::Genesis
            | Kind::KeyRotated
            | Kind::Evidence
            | Kind::Promotion
            | Kind::SessionStarted
            | Kind::PlanSelected
            | Kind::Receipt
            | Kind::Denial
            | Kind::ApprovalRequested
            | Kind::ApprovalGranted
            | Kind::ApprovalRejected
            | Kind::ApprovalEscalated
            | Kind::ApprovalDelegated
            | Kind::Output
            | Kind::Outcome
            | Kind::Signal
            | Kind::SessionPaused
            | Kind::SessionUnpaused
            | Kind::ChildStarted
            | Kind::ChildEnded
            | Kind::SessionSealed
            | Kind::Checkpoint
            | Kind::Replay
            | Kind::ScheduleSet
            | Kind::ScheduleRemoved
            | Kind::SchedulePaused
            | Kind::ScheduleUnpaused
            | Kind::WorkflowActivated
            | Kind::ScheduleFired
            | Kind::SessionQueued
            | Kind::SessionUnqueued
            | Kind::BodiesErased
            | Kind::SegmentPruned => {}
        }
    }
}

/// What an agent or a service would change must be put forward by a person.
fn person(who: &Actor) -> Result<(), NotChanged> {
    let is_person = who.as_str().starts_with("user:");
    is_person.then_some(()).ok_or_else(|| NotChanged::NotAPerson(who.to_string()))
}

impl Proposal {
    /// As a refusal names it.
    #[must_use]
    pub fn resource_of(id: ProposalId) -> String {
        format!("Proposal::\"{id}\"")
    }

    /// The record of it beside a refusal.
    pub(crate) fn value(&self) -> Value {
        let state = match &self.state {
            ProposalState::Open => "open",
            ProposalState::Activated => "activated",
            ProposalState::Rejected { .. } => "rejected",
        };
        Value::map([
            ("id", Value::from(self.id)),
            ("domain", self.domain.as_str().into()),
            ("digest", self.digest.into()),
            ("base", self.base.into()),
            ("by", self.by.as_str().into()),
            ("approved_by", Value::list(self.approved_by.iter().map(String::as_str))),
            ("state", state.into()),
        ])
    }

    /// The proposal in such a record, as far as it matters for what may be done with it.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_text);
        let approved = value.get("approved_by")?.as_list()?.iter().filter_map(Value::as_text);
        Some(Self {
            id: text("id")?.parse().ok()?,
            domain: text("domain")?.to_owned(),
            environment: String::new(),
            digest: text("digest")?.parse().ok()?,
            base: text("base").and_then(|base| base.parse().ok()),
            by: text("by")?.to_owned(),
            approved_by: approved.map(str::to_owned).collect(),
            evidence: Vec::new(),
            state: match text("state")? {
                "open" => ProposalState::Open,
                "activated" => ProposalState::Activated,
                _ => ProposalState::Rejected { by: String::new() },
            },
        })
    }

    fn from_entry(id: ProposalId, entry: &Entry) -> Option<Self> {
        let data = entry.data();
        let digest = |name| data.get(name)?.as_text()?.parse().ok();
        let evidence = data.get("evidence").and_then(Value::as_list).unwrap_or_default();
        Some(Self {
            id,
            domain: entry.domain().to_owned(),
            environment: entry.environment().to_owned(),
            digest: digest("digest")?,
            base: digest("base"),
            by: entry.actor().to_owned(),
            approved_by: BTreeSet::new(),
            evidence: evidence.iter().filter_map(Value::as_u64).collect(),
            state: ProposalState::Open,
        })
    }

    /// A draft of `who` about this proposal.
    fn draft<'a>(
        &self,
        kind: Kind,
        who: &Actor,
        data: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Draft {
        Draft::new(kind, who.as_str(), &self.domain, &self.environment, data)
    }
}

//! How things stand when somebody acts, and what follows from it.

use cog_base::id::ProposalId;
use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_canon::Canon;

use super::No;
use crate::approvals::{NotCounted, Request};
use crate::change::{ChangeControl, NotChanged, Proposal};
use crate::intent::Actor;

/// How things stand, besides who acts and the canon in force.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    /// Somebody answers a request for consent.
    Answer {
        /// The request, if an open run has it.
        request: Option<Box<Request>>,
        /// Whether the run waits for it, or it was answered.
        waits: bool,
        /// Whether what would be agreed to can be seen.
        is_seen: bool,
    },
    /// Somebody approves, rejects or activates a proposal.
    Change {
        /// The version in force.
        in_force: Option<Digest>,
        /// The proposal, if there is one.
        proposal: Option<Box<Proposal>>,
        /// Whether the proposed version is here and its tests hold.
        is_sound: bool,
    },
    /// Somebody puts a version forward, or begins a run that would found a domain with it.
    Put(Put),
    /// Somebody rotates the key, erases or prunes. The canon says who may.
    Keep,
    /// Somebody prunes: this is the youngest entry of the domain that would go. The canon says how
    /// long it is kept.
    Kept {
        /// Its number.
        seq: u64,
        /// When it was recorded.
        at: Timestamp,
    },
    /// Somebody begins a run. The canon says in which environments that may be.
    Begin,
    /// Somebody sets a schedule, or removes it.
    Schedule {
        /// Who set it; nobody where it is not there yet.
        by: Option<Actor>,
    },
    /// Somebody has a schedule start a run now, in the name of who set it.
    Fire {
        /// Who set it.
        by: Actor,
    },
    /// Somebody activates a version of a workflow.
    Activate,
    /// Somebody withdraws a run that waits for its turn.
    Queued {
        /// Who asked for it.
        by: Actor,
    },
}

/// A version that somebody puts forward.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// The version in force.
    pub in_force: Option<Digest>,
    /// The one that is put forward, if it loads.
    pub digest: Option<Digest>,
    /// Why it does not load.
    pub error: Option<String>,
    /// How many of its tests fail.
    pub failed: u64,
    /// What is cited as evidence for it.
    pub evidence: Vec<Cited>,
}

/// An entry that is cited as evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cited {
    /// Its place.
    pub seq: u64,
    /// Whether it is there, and is evidence or an outcome.
    pub is_evidence: bool,
    /// Whether its run is sealed, or it is of none.
    pub is_over: bool,
}

fn no(check: &'static str, code: &'static str, reason: impl ToString, may: Vec<String>) -> No {
    No { check, code, reason: reason.to_string(), may }
}

impl Facts {
    pub(super) fn judge(
        &self,
        action: &str,
        who: &Actor,
        args: &Map,
        now: Timestamp,
        canon: Option<&Canon>,
    ) -> Option<No> {
        match self {
            Self::Answer { request, waits, is_seen } => {
                let to = args.get(super::TO).and_then(Value::as_text);
                let agrees = !args.contains_key("reason") && to.is_none();
                let seen = (*waits, *is_seen || !agrees);
                answer(request.as_deref(), seen, (who, to), now, canon).err()
            }
            Self::Change { in_force, proposal, is_sound } => {
                change(action, (*in_force, proposal.as_deref(), *is_sound), who, canon).err()
            }
            Self::Put(put) => put.judge(who, canon),
            Self::Keep => keep(who, canon),
            Self::Kept { seq, at } => kept((*seq, *at), now, canon),
            Self::Begin => begin(args, canon),
            Self::Schedule { by: Some(by) } => of_owner("schedule.not_entitled", by, who, canon),
            Self::Queued { by } => of_owner("cancel.not_entitled", by, who, canon),
            Self::Fire { by } => (who != by).then(|| {
                let may = vec![by.to_string()];
                no("identity", "schedule.not_entitled", format!("It takes {by}."), may)
            }),
            Self::Schedule { by: None } => new_schedule(who, canon?),
            Self::Activate => activate(who, canon?),
        }
    }
}

fn answer(
    request: Option<&Request>,
    (waits, is_seen): (bool, bool),
    (who, to): (&Actor, Option<&str>),
    now: Timestamp,
    canon: Option<&Canon>,
) -> Result<(), No> {
    let Some(request) = request else {
        return Err(no("approval", "approval.unknown", "No open run waits for it.", Vec::new()));
    };
    let said = |error: NotCounted| {
        let may = request.need.of.clone();
        no("approval", error.code(), sentence(&error.to_string()), may)
    };
    if !waits {
        return Err(said(NotCounted::Withdrawn(request.id)));
    }
    let Some(canon) = canon else { return Err(said(NotCounted::CanonChanged)) };
    if !is_seen {
        let reason = "What was asked for is not kept any more, and nobody approves what nobody \
                      can see.";
        return Err(no("approval", "body.absent", reason, Vec::new()));
    }
    match to.map(str::parse::<Actor>) {
        Some(Ok(to)) => request.delegable((who, &to), canon, now).map_err(said),
        // What names nobody gives nobody a voice.
        Some(Err(_)) | None => request.answerable(who, canon, now).map_err(said),
    }
}

fn change(
    action: &str,
    (in_force, proposal, is_sound): (Option<Digest>, Option<&Proposal>, bool),
    who: &Actor,
    canon: Option<&Canon>,
) -> Result<(), No> {
    let may = || canon.map(|canon| canon.settings().change.approvers.clone()).unwrap_or_default();
    let Some(proposal) = proposal else {
        let reason = "There is no such proposal.";
        return Err(no("canon", "change.unknown", reason, Vec::new()));
    };
    let Some(canon) = canon else { return Ok(()) };
    knows(Some(canon), who)?;
    let control = ChangeControl::of(&proposal.domain, in_force, proposal.clone());
    let id: ProposalId = proposal.id;
    let done = match action {
        "canon.approve" => control.approve(id, who, canon).map(drop),
        "canon.reject" => control.reject(id, who, "", canon).map(drop),
        _ => control.activate(id, who, canon).map(drop),
    };
    done.map_err(|error| no("canon", error.code(), sentence(&error.to_string()), may()))?;
    if is_sound || action == "canon.reject" {
        return Ok(());
    }
    let reason = "The proposed canon is not kept here, or its tests fail.";
    Err(no("canon", "change.unsound", reason, Vec::new()))
}

fn knows(canon: Option<&Canon>, who: &Actor) -> Result<(), No> {
    if canon.is_some_and(|canon| canon.knows(who.as_str())) {
        return Ok(());
    }
    let reason = format!("The canon in force does not know {who}.");
    Err(no("identity", "identity.unknown", reason, Vec::new()))
}

fn keep(who: &Actor, canon: Option<&Canon>) -> Option<No> {
    let canon = canon?;
    let keepers = &canon.settings().change.approvers;
    let is_one = keepers.iter().any(|group| canon.is_member(who.as_str(), group));
    let reason = format!("It takes {}, and a person.", keepers.join(" or "));
    let refused = || no("identity", "ledger.not_entitled", reason, keepers.clone());
    (!(who.is_person() && is_one)).then(refused)
}

/// Whether an entry is too young to go.
fn kept((seq, at): (u64, Timestamp), now: Timestamp, canon: Option<&Canon>) -> Option<No> {
    let length = canon?.settings().retention.of_entries()?;
    let until = length.after(at);
    let reason = format!("Entry {seq} of {at} is kept for {length}, until {until}.");
    (until > now).then(|| no("retention", "ledger.kept", reason, Vec::new()))
}

/// A canon that says which environments are production says which there are: a name that is mistaken
/// for another does not leave the rules for production.
fn begin(args: &Map, canon: Option<&Canon>) -> Option<No> {
    let all = canon?.settings().environments.as_ref().filter(|it| it.tells_production())?;
    let name = args.get("environment").and_then(Value::as_text).unwrap_or_default();
    let listed: Vec<String> = all.allow.iter().cloned().collect();
    let reason = format!(
        "The canon does not govern the environment `{name}`; it governs {}.",
        listed.join(", ")
    );
    let refused = || no("confinement", "environment.not_listed", reason, Vec::new());
    (!all.allow.contains(name)).then(refused)
}

/// Who made it may, and who may end any run.
fn of_owner(code: &'static str, by: &Actor, who: &Actor, canon: Option<&Canon>) -> Option<No> {
    if who == by || canon.is_some_and(|canon| canon.may_cancel(who.as_str())) {
        return None;
    }
    let named = canon.map(|canon| canon.settings().runs.cancel.as_slice()).unwrap_or_default();
    let may: Vec<String> = std::iter::once(by.to_string()).chain(named.iter().cloned()).collect();
    let reason = format!("It takes {}.", may.join(" or "));
    Some(no("identity", code, reason, may))
}

fn new_schedule(who: &Actor, canon: &Canon) -> Option<No> {
    if canon.may_schedule(who.as_str()) {
        return None;
    }
    of_named("schedule.not_entitled", canon.settings().runs.schedule.as_deref(), who, canon)
}

fn activate(who: &Actor, canon: &Canon) -> Option<No> {
    if canon.may_activate(who.as_str()) {
        return None;
    }
    of_named("workflow.not_entitled", canon.settings().runs.activate.as_deref(), who, canon)
}

/// It takes one whom the canon names, or, where it names nobody, knows.
fn of_named(code: &'static str, may: Option<&[String]>, who: &Actor, canon: &Canon) -> Option<No> {
    let Some(may) = may else { return knows(Some(canon), who).err() };
    let reason = match may {
        [] => "The canon lets nobody.".to_owned(),
        may => format!("It takes {}.", may.join(" or ")),
    };
    Some(no("identity", code, reason, may.to_vec()))
}

impl Put {
    fn judge(&self, who: &Actor, canon: Option<&Canon>) -> Option<No> {
        let said = |code, reason: String| Some(no("canon", code, reason, Vec::new()));
        if let Some(error) = &self.error {
            return said("canon.not_loaded", sentence(error));
        }
        if self.failed > 0 {
            let reason = "Its own tests fail, so it cannot be put in force.".to_owned();
            return said("canon.tests_failed", reason);
        }
        if let Some(cited) = self.evidence.iter().find(|cited| !cited.is_evidence) {
            let reason = format!("Entry {} is no evidence.", cited.seq);
            return said("evidence.not_evidence", reason);
        }
        if let Some(cited) = self.evidence.iter().find(|cited| !cited.is_over) {
            let reason = format!("Entry {} is of a run that is not sealed.", cited.seq);
            return said("evidence.not_sealed", reason);
        }
        if self.in_force.is_none() {
            let refused = NotChanged::NotAPerson(who.to_string());
            let reason = sentence(&refused.to_string());
            return if who.is_person() { None } else { said(refused.code(), reason) };
        }
        if let Err(no) = knows(canon, who) {
            return Some(no);
        }
        let nothing = NotChanged::NoChange;
        let is_same = self.in_force == self.digest;
        if is_same { said(nothing.code(), sentence(&nothing.to_string())) } else { None }
    }
}

/// What is said without a stop and in the middle of a line, as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str().trim_end_matches('.'))
}

impl Facts {
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Answer { request, waits, is_seen } => Value::map([
                ("of", Value::from("answer")),
                ("request", request.as_deref().map(Request::value).into()),
                ("seen", (*is_seen).into()),
                ("waits", (*waits).into()),
            ]),
            Self::Change { in_force, proposal, is_sound } => Value::map([
                ("of", Value::from("change")),
                ("in_force", (*in_force).into()),
                ("proposal", proposal.as_deref().map(Proposal::value).into()),
                ("sound", (*is_sound).into()),
            ]),
            Self::Put(put) => put.value(),
            Self::Keep => Value::map([("of", "keep")]),
            Self::Begin => Value::map([("of", "begin")]),
            Self::Activate => Value::map([("of", "activate")]),
            Self::Kept { seq, at } => Value::map([
                ("of", Value::from("kept")),
                ("seq", (*seq).into()),
                ("at", (*at).into()),
            ]),
            Self::Schedule { by } => {
                let by = by.as_ref().map(Actor::as_str);
                Value::map([("of", Value::from("schedule")), ("by", by.into())])
            }
            Self::Fire { by } => {
                Value::map([("of", Value::from("fire")), ("by", by.as_str().into())])
            }
            Self::Queued { by } => {
                Value::map([("of", Value::from("queued")), ("by", by.as_str().into())])
            }
        }
    }

    pub(super) fn from_value(value: &Value) -> Option<Self> {
        let some = |name: &str| value.get(name).filter(|it| **it != Value::Null);
        let digest = |name: &str| some(name).map(|it| it.as_text()?.parse().ok());
        let digest = |name| match digest(name) {
            Some(None) => None,
            known => Some(known.flatten()),
        };
        let flag = |name: &str| value.get(name)?.as_bool();
        match value.get("of")?.as_text()? {
            "answer" => {
                let request = match some("request") {
                    Some(request) => Some(Box::new(Request::from_value(request)?)),
                    None => None,
                };
                Some(Self::Answer { request, waits: flag("waits")?, is_seen: flag("seen")? })
            }
            "change" => {
                let proposal = match some("proposal") {
                    Some(proposal) => Some(Box::new(Proposal::from_value(proposal)?)),
                    None => None,
                };
                let (in_force, is_sound) = (digest("in_force")?, flag("sound")?);
                Some(Self::Change { in_force, proposal, is_sound })
            }
            "put" => Some(Self::Put(Put {
                in_force: digest("in_force")?,
                digest: digest("digest")?,
                error: some("error").and_then(Value::as_text).map(str::to_owned),
                failed: value.get("failed")?.as_u64()?,
                evidence: value
                    .get("evidence")?
                    .as_list()?
                    .iter()
                    .map(Cited::from_value)
                    .collect::<Option<_>>()?,
            })),
            "keep" => Some(Self::Keep),
            "begin" => Some(Self::Begin),
            "activate" => Some(Self::Activate),
            "kept" => {
                let at = value.get("at")?.as_text()?.parse().ok()?;
                Some(Self::Kept { seq: value.get("seq")?.as_u64()?, at })
            }
            "schedule" => {
                let by = match some("by") {
                    Some(by) => Some(by.as_text()?.parse().ok()?),
                    None => None,
                };
                Some(Self::Schedule { by })
            }
            "fire" => Some(Self::Fire { by: value.get("by")?.as_text()?.parse().ok()? }),
            "queued" => Some(Self::Queued { by: value.get("by")?.as_text()?.parse().ok()? }),
            _ => None,
        }
    }
}

impl Put {
    fn value(&self) -> Value {
        let cited = |cited: &Cited| {
            Value::map([
                ("seq", Value::from(cited.seq)),
                ("evidence", cited.is_evidence.into()),
                ("over", cited.is_over.into()),
            ])
        };
        Value::map([
            ("of", Value::from("put")),
            ("in_force", self.in_force.into()),
            ("digest", self.digest.into()),
            ("error", self.error.as_deref().into()),
            ("failed", self.failed.into()),
            ("evidence", Value::list(self.evidence.iter().map(cited))),
        ])
    }
}

impl Cited {
    fn from_value(value: &Value) -> Option<Self> {
        let flag = |name: &str| value.get(name)?.as_bool();
        let seq = value.get("seq")?.as_u64()?;
        Some(Self { seq, is_evidence: flag("evidence")?, is_over: flag("over")? })
    }
}

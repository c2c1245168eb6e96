//! Sessions: receipts and their outcomes, and seals that add up.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeSet, HashMap, HashSet};

use cog_base::id::{DenialId, ReceiptId, RunId};
use cog_base::{Digest, Value};

use super::children::Child;
use super::{Findings, NAMED_MAX};
use crate::entry::Entry;
use crate::kind::{DISPOSITIONS, Kind};
use crate::session::Tally;

/// All sessions of a log, and the receipts in them.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) is_pruned: bool,
    pub(super) sessions: HashMap<RunId, Session>,
    receipts: HashMap<ReceiptId, Receipt>,
    denials: HashSet<DenialId>,
    checkpoints: HashSet<(RunId, String, bool)>,
    signals: HashSet<(RunId, String)>,
    pub(super) children: HashMap<RunId, Child>,
    outcomes: [u64; 4],
    sealed: u64,
    not_followed: u64,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) initiator: Option<String>,
    /// What it follows, and where; nobody knows when its start was pruned.
    scope: Option<Scope>,
    /// Its entries, by which others may say that they go on from there.
    seqs: BTreeSet<u64>,
    /// Absent when its start was pruned, so that its sums cannot be checked.
    tally: Option<Tally>,
    /// Whether it is held; nobody knows when its start was pruned and nothing was said since.
    is_paused: Option<bool>,
    is_sealed: bool,
    /// The word of its seal.
    pub(super) status: Option<String>,
}

/// Definition, domain and environment of a run.
type Scope = (Option<Digest>, String, String);

fn scope_of(entry: &Entry) -> Scope {
    let digest = entry.digest("definition");
    (digest, entry.domain().to_owned(), entry.environment().to_owned())
}

#[derive(Debug)]
struct Receipt {
    session: Option<RunId>,
    seq: u64,
    /// How many bytes of what it gives are in the log.
    given: u64,
    disposition: Option<usize>,
}

const ABANDONED: usize = 2;

impl Sessions {
    pub(super) fn new(is_pruned: bool) -> Self {
        Self {
            is_pruned,
            sessions: HashMap::new(),
            receipts: HashMap::new(),
            denials: HashSet::new(),
            checkpoints: HashSet::new(),
            signals: HashSet::new(),
            children: HashMap::new(),
            outcomes: [0; 4],
            sealed: 0,
            not_followed: 0,
        }
    }

    /// Check an entry against its session and its receipt.
    pub(super) fn entry(&mut self, entry: &Entry, findings: &mut Findings) {
        match entry.kind() {
            Kind::Receipt => self.receipt(entry, findings),
            Kind::Denial => self.denial(entry, findings),
            Kind::Output => self.output(entry, findings),
            Kind::Outcome => self.outcome(entry, findings),
            Kind::Signal => self.signal(entry, findings),
            Kind::SessionStarted => self.descent(entry, findings),
            Kind::ChildStarted => self.child_started(entry, findings),
            Kind::ChildEnded => self.child_ended(entry, findings),
            Kind::Checkpoint => self.checkpoint(entry, findings),
            Kind::Replay => self.replay(entry, findings),
            Kind::Genesis
            | Kind::KeyRotated
            | Kind::CanonProposed
            | Kind::CanonApproved
            | Kind::CanonRejected
            | Kind::CanonActivated
            | Kind::Evidence
            | Kind::Promotion
            | Kind::PlanSelected
            | Kind::ApprovalRequested
            | Kind::ApprovalGranted
            | Kind::ApprovalRejected
            | Kind::ApprovalEscalated
            | Kind::ApprovalDelegated
            | Kind::SessionPaused
            | Kind::SessionUnpaused
            | Kind::SessionSealed
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
        if let Some(id) = entry.session() {
            self.in_session(id, entry, findings);
        }
    }

    fn in_session(&mut self, id: RunId, entry: &Entry, findings: &mut Findings) {
        let seq = Some(entry.seq());
        let starts = entry.kind() == Kind::SessionStarted;
        if starts {
            self.forked(entry, findings);
        }
        let session = match self.sessions.entry(id) {
            Slot::Occupied(slot) => {
                if starts {
                    findings.add(seq, "session.started_twice", format!("{id} starts again"));
                }
                slot.into_mut()
            }
            Slot::Vacant(slot) => {
                if !starts && !self.is_pruned {
                    let message = format!("{id} has not started");
                    findings.add(seq, "session.not_started", message);
                }
                let initiator = entry.text("initiator").filter(|_| starts).map(str::to_owned);
                // A start that was pruned leaves sums that cannot be checked.
                let tally = starts.then(Tally::default);
                let is_paused = starts.then_some(false);
                let (scope, seqs) = (starts.then(|| scope_of(entry)), BTreeSet::new());
                let (is_sealed, status) = (false, None);
                slot.insert(Session { initiator, scope, seqs, tally, is_paused, is_sealed, status })
            }
        };
        session.seqs.insert(entry.seq());
        if session.is_sealed {
            let message = format!("it follows the seal of {id}, which ended the session");
            findings.add(seq, "session.after_seal", message);
        }
        session.hold(id, entry, findings);
        if entry.kind() == Kind::SessionSealed {
            session.is_sealed = true;
            session.status = entry.text("status").map(str::to_owned);
            self.sealed = self.sealed.saturating_add(1);
            match session.tally.take() {
                Some(tally) => check_seal(entry, id, &tally, findings),
                None => self.not_followed = self.not_followed.saturating_add(1),
            }
        } else if let Some(tally) = &mut session.tally {
            tally.add(entry);
        }
    }

    /// A checkpoint names an earlier entry of its run, and one that a run makes itself the place
    /// where that stands. No two that people made of a run have one name, and no two of its own.
    fn checkpoint(&mut self, entry: &Entry, findings: &mut Findings) {
        let run = entry.text("run").and_then(|id| id.parse::<RunId>().ok());
        let (Some(run), Some(name)) = (run, entry.text("name")) else { return };
        let (by_run, seq) = (entry.session(), entry.count("seq"));
        let is_its = |session: &Session| seq.is_some_and(|seq| session.seqs.contains(&seq));
        if let Some(own) = by_run {
            if own != run || seq.is_some() {
                let message = format!("{own} names another place than where it stands");
                findings.add(Some(entry.seq()), "checkpoint.unknown", message);
            }
        } else if !self.sessions.get(&run).is_some_and(is_its) {
            if self.is_pruned && seq.is_some() {
                self.not_followed = self.not_followed.saturating_add(1);
            } else {
                let which = seq.map_or_else(|| "no entry".to_owned(), |seq| format!("entry {seq}"));
                let message = format!("it names {which}, which is none of {run}");
                findings.add(Some(entry.seq()), "checkpoint.unknown", message);
            }
        }
        if !self.checkpoints.insert((run, name.to_owned(), by_run.is_some())) {
            let message = format!("{run} had a checkpoint `{name}` before");
            findings.add(Some(entry.seq()), "checkpoint.twice", message);
        }
    }

    /// What was recomputed is a run of the log.
    fn replay(&mut self, entry: &Entry, findings: &mut Findings) {
        let run = entry.text("run").and_then(|id| id.parse::<RunId>().ok());
        let Some(run) = run.filter(|run| !self.sessions.contains_key(run)) else { return };
        if self.is_pruned {
            self.not_followed = self.not_followed.saturating_add(1);
        } else {
            let message = format!("{run}, which it is about, has not started");
            findings.add(Some(entry.seq()), "replay.unknown", message);
        }
    }

    /// A run goes on from an entry of another that is there before it, and by the same definition,
    /// in the same domain and environment.
    fn forked(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some(fork) = entry.data().get("fork") else { return };
        let session = fork.get("session").and_then(Value::as_text);
        let session = session.and_then(|id| id.parse::<RunId>().ok());
        let (Some(id), Some(seq)) = (session, fork.get("seq").and_then(Value::as_u64)) else {
            return;
        };
        let parent = self.sessions.get(&id);
        let Some(parent) = parent.filter(|it| it.seqs.contains(&seq)) else {
            if self.is_pruned {
                self.not_followed = self.not_followed.saturating_add(1);
            } else {
                let message = format!("it goes on from entry {seq}, which is none of {id}");
                findings.add(Some(entry.seq()), "fork.unknown", message);
            }
            return;
        };
        if parent.scope.as_ref().is_some_and(|scope| *scope != scope_of(entry)) {
            let message =
                format!("it goes on from {id}, and is not of the same definition and environment");
            findings.add(Some(entry.seq()), "fork.other_definition", message);
        }
    }

    fn receipt(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some(id) = entry.text("id").and_then(|id| id.parse::<ReceiptId>().ok()) else { return };
        let (session, seq) = (entry.session(), entry.seq());
        let receipt = Receipt { session, seq, given: 0, disposition: None };
        if let Some(earlier) = self.receipts.insert(id, receipt) {
            let message = format!("the receipt id {id} was given in entry {}", earlier.seq);
            findings.add(Some(entry.seq()), "id.twice", message);
        }
    }

    fn denial(&mut self, entry: &Entry, findings: &mut Findings) {
        let id = entry.text("id").and_then(|id| id.parse::<DenialId>().ok());
        if let Some(id) = id
            && !self.denials.insert(id)
        {
            let message = format!("the denial id {id} was given before");
            findings.add(Some(entry.seq()), "id.twice", message);
        }
    }

    /// A signal is one of its run's, once, by the id that its sender gave it.
    fn signal(&mut self, entry: &Entry, findings: &mut Findings) {
        let (Some(session), Some(id)) = (entry.session(), entry.text("signal")) else { return };
        if !self.signals.insert((session, id.to_owned())) {
            let message = format!("the signal {id} was sent to {session} before");
            findings.add(Some(entry.seq()), "signal.twice", message);
        }
    }

    /// What an effect gives follows what it gave before, until it is over.
    fn output(&mut self, entry: &Entry, findings: &mut Findings) {
        let seq = Some(entry.seq());
        let Some(id) = entry.text("receipt").and_then(|id| id.parse::<ReceiptId>().ok()) else {
            return;
        };
        let Some(receipt) = self.receipts.get_mut(&id) else {
            if self.is_pruned {
                self.not_followed = self.not_followed.saturating_add(1);
            } else {
                let message = format!("there is no receipt {id} before it");
                findings.add(seq, "output.without_receipt", message);
            }
            return;
        };
        if receipt.session != entry.session() {
            let message = format!("the receipt {id} is of another session");
            findings.add(seq, "output.other_session", message);
        }
        if receipt.disposition.is_some() {
            findings.add(seq, "output.late", format!("the receipt {id} has an outcome already"));
        }
        let count = |name| entry.data().get(name).and_then(Value::as_u64).unwrap_or_default();
        let (offset, given) = (count("offset"), receipt.given);
        if offset != given {
            let message = format!("it begins at byte {offset} of what {id} gives, not at {given}");
            findings.add(seq, "output.gap", message);
        }
        receipt.given = offset.saturating_add(count("bytes"));
    }

    fn outcome(&mut self, entry: &Entry, findings: &mut Findings) {
        let seq = Some(entry.seq());
        let disposition = entry.text("disposition");
        let disposition = DISPOSITIONS.iter().position(|word| Some(*word) == disposition);
        if let Some(count) = disposition.and_then(|place| self.outcomes.get_mut(place)) {
            *count = count.saturating_add(1);
        }
        let Some(id) = entry.text("receipt").and_then(|id| id.parse::<ReceiptId>().ok()) else {
            return;
        };
        if self.denials.contains(&DenialId::from_uuid(id.uuid())) {
            let message = format!("it is the outcome of what was refused as {id}");
            findings.add(seq, "denial.outcome", message);
        }
        let Some(receipt) = self.receipts.get_mut(&id) else {
            if self.is_pruned {
                self.not_followed = self.not_followed.saturating_add(1);
            } else {
                let message = format!("there is no receipt {id} before it: an effect without one");
                findings.add(seq, "outcome.without_receipt", message);
            }
            return;
        };
        if receipt.session != entry.session() {
            let message = format!("the receipt {id} is of another session");
            findings.add(seq, "outcome.other_session", message);
        }
        if receipt.disposition.is_some() {
            findings.add(seq, "outcome.twice", format!("the receipt {id} has an outcome already"));
        }
        receipt.disposition = disposition;
    }

    /// Whether a run has ended.
    pub(super) fn is_sealed(&self, run: &RunId) -> bool {
        self.sessions.get(run).is_some_and(|session| session.is_sealed)
    }

    /// Who started the run of an entry.
    pub(super) fn initiator(&self, entry: &Entry) -> Option<&str> {
        self.sessions.get(&entry.session()?)?.initiator.as_deref()
    }

    /// Whether the effect under a receipt was never begun.
    pub(super) fn is_abandoned(&self, receipt: &ReceiptId) -> bool {
        self.receipts.get(receipt).is_some_and(|receipt| receipt.disposition == Some(ABANDONED))
    }

    /// Receipts without an outcome in sessions that are not sealed: how many, and the first.
    pub(super) fn open(&self) -> (u64, Vec<String>) {
        let is_open = |receipt: &Receipt| {
            let session = receipt.session.and_then(|id| self.sessions.get(&id));
            receipt.disposition.is_none() && session.is_some_and(|session| !session.is_sealed)
        };
        let mut open: Vec<_> =
            self.receipts.iter().filter(|(_, receipt)| is_open(receipt)).collect();
        open.sort_by_key(|(_, receipt)| receipt.seq);
        let count = open.len() as u64;
        (count, open.into_iter().take(NAMED_MAX).map(|(id, _)| id.to_string()).collect())
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.sessions.len() as u64, self.sealed)
    }

    pub(super) const fn outcomes(&self) -> [u64; 4] {
        self.outcomes
    }

    pub(super) const fn not_followed(&self) -> u64 {
        self.not_followed
    }
}

impl Session {
    /// Whether the run is held, and that nothing new of it begins while it is. Ending a run
    /// ends that.
    fn hold(&mut self, id: RunId, entry: &Entry, findings: &mut Findings) {
        let kind = entry.kind();
        let pauses = kind == Kind::SessionPaused;
        if pauses || kind == Kind::SessionUnpaused {
            if self.is_paused == Some(pauses) {
                let stands = if pauses { "is paused already" } else { "is not paused" };
                findings.add(Some(entry.seq()), "session.paused_twice", format!("{id} {stands}"));
            }
            self.is_paused = Some(pauses);
        } else if kind == Kind::Evidence && entry.text("source") == Some("cancel") {
            self.is_paused = Some(false);
        } else if kind == Kind::Receipt && self.is_paused == Some(true) {
            let message = format!("it was issued while {id} was paused");
            findings.add(Some(entry.seq()), "receipt.while_paused", message);
        }
    }
}

fn check_seal(entry: &Entry, id: RunId, tally: &Tally, findings: &mut Findings) {
    let seq = Some(entry.seq());
    for (name, counted) in tally.sums() {
        let stated = entry.data().get(&name);
        if stated != Some(&counted) {
            let stated = stated.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let message = format!("the seal of {id} states {name} {stated}, the log has {counted}");
            findings.add(seq, "seal.wrong", message);
        }
    }
    if tally.open_receipts() > 0 {
        let message = format!(
            "{id} is sealed while {} of its receipts have no outcome",
            tally.open_receipts()
        );
        findings.add(seq, "seal.open_receipts", message);
    }
}

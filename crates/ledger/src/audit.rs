//! What the entries of a log must say of one another, checked in one pass.
//!
//! Hashes and signatures show that nobody changed a log after it was signed. The audit shows
//! that whoever signed it kept the rules: one outcome for each receipt, consent by others
//! than those who asked, canon changed only by change control, seals that add up.

mod approvals;
mod canons;
mod chains;
mod children;
mod erasures;
mod finding;
mod queue;
mod schedules;
mod sessions;
mod versions;

pub use erasures::Erasures;
pub use finding::{FINDINGS_MAX, Finding, Findings};
pub(crate) use schedules::Set;
pub use schedules::schedule_digest;

use std::collections::BTreeMap;

use cog_base::id::TenantId;
use cog_base::{Digest, Timestamp};

use crate::entry::Entry;
use crate::kind::Kind;
use crate::log::WRITER;
use crate::note::VerifierKey;

use approvals::Approvals;
use canons::Canons;
use chains::Chains;
use queue::Queue;
use schedules::Schedules;
use sessions::Sessions;
use versions::Versions;

/// The most open receipts that are named.
pub const NAMED_MAX: usize = 100;

/// A check of a log, fed entry by entry in order.
#[derive(Debug)]
pub struct Audit {
    findings: Findings,
    next: u64,
    tenant: Option<TenantId>,
    last: Option<(Digest, Timestamp)>,
    origin: Option<String>,
    keys: Vec<KeyInForce>,
    pruned: BTreeMap<u64, Digest>,
    kinds: BTreeMap<Kind, u64>,
    sessions: Sessions,
    approvals: Approvals,
    canons: Canons,
    erasures: Erasures,
    schedules: Schedules,
    queue: Queue,
    chains: Chains,
    versions: Versions,
}

/// A key that an entry puts in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInForce {
    /// The entry.
    pub seq: u64,
    /// The key that hands over; nothing in a genesis entry.
    pub from: Option<VerifierKey>,
    /// The key from here on.
    pub key: VerifierKey,
}

impl KeyInForce {
    /// The key that hands over, if there is one, and the key from here on.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.from.iter().chain([&self.key])
    }
}

/// What the audit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// What is wrong.
    pub findings: Findings,
    /// The tenant of the log.
    pub tenant: Option<TenantId>,
    /// The origin that the genesis entry names.
    pub origin: Option<String>,
    /// The keys put in force, in order.
    pub keys: Vec<KeyInForce>,
    /// Up to where `segment.pruned` entries say that entries were removed, and the root of
    /// the tree there. A pruning that was said and not yet done is one of them.
    pub pruned: BTreeMap<u64, Digest>,
    /// Which bodies may be missing.
    pub erasures: Erasures,
    /// Entries of each kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// Outcomes by disposition, in the order of [`crate::kind::DISPOSITIONS`].
    pub outcomes: [u64; 4],
    /// Sessions that began, and how many of them are sealed.
    pub sessions: (u64, u64),
    /// How many receipts of unsealed sessions wait for their outcome. Not wrong: the runs
    /// are under way, or broken off and not resumed yet.
    pub open_receipts: u64,
    /// The first of them.
    pub open_receipts_named: Vec<String>,
    /// The versions of canon in force at the end, by domain.
    pub canons: BTreeMap<String, Digest>,
    /// References to entries before the kept part, which could not be followed.
    pub not_followed: u64,
}

impl Audit {
    /// An audit that begins with the entry `from`: 0, or the first one kept of a pruned log.
    #[must_use]
    pub fn new(from: u64) -> Self {
        Self {
            findings: Findings::default(),
            next: from,
            tenant: None,
            last: None,
            origin: None,
            keys: Vec::new(),
            pruned: BTreeMap::new(),
            kinds: BTreeMap::new(),
            sessions: Sessions::new(from > 0),
            approvals: Approvals::new(from > 0),
            canons: Canons::new(from),
            erasures: Erasures::default(),
            schedules: Schedules::new(from > 0),
            queue: Queue::new(from > 0),
            chains: Chains::new(from > 0),
            versions: Versions::new(from > 0),
        }
    }

    /// Check the next entry.
    pub fn entry(&mut self, entry: &Entry) {
        self.check_place(entry);
        let count = self.kinds.entry(entry.kind()).or_default();
        *count = count.saturating_add(1);
        self.sessions.entry(entry, &mut self.findings);
        self.schedules.entry(entry, &mut self.findings);
        self.queue.entry(entry, &mut self.findings);
        self.chains.entry(entry, &mut self.findings);
        self.versions.entry(entry, &mut self.findings);
        match entry.kind() {
            Kind::Genesis => self.genesis(entry),
            Kind::KeyRotated => self.key_rotated(entry),
            Kind::CanonProposed
            | Kind::CanonApproved
            | Kind::CanonRejected
            | Kind::CanonActivated
            | Kind::Promotion => {
                self.canons.change(entry, &self.sessions, &mut self.findings);
            }
            Kind::PlanSelected => plan_selected(entry, &mut self.findings),
            Kind::Receipt => {
                self.canons.decided(entry, &mut self.findings);
                let initiator = self.sessions.initiator(entry);
                self.approvals.receipt(entry, initiator, &self.sessions, &mut self.findings);
            }
            Kind::Denial => self.canons.decided(entry, &mut self.findings),
            Kind::ApprovalRequested => {
                self.canons.decided(entry, &mut self.findings);
                self.approvals.requested(entry, &mut self.findings);
            }
            Kind::ApprovalEscalated => self.approvals.escalated(entry, &mut self.findings),
            Kind::ApprovalDelegated => {
                let initiator = self.sessions.initiator(entry);
                self.approvals.delegated(entry, initiator, &mut self.findings);
            }
            Kind::ApprovalGranted | Kind::ApprovalRejected => {
                let initiator = self.sessions.initiator(entry);
                self.approvals.answered(entry, initiator, &mut self.findings);
            }
            Kind::SegmentPruned => self.segment_pruned(entry),
            Kind::Evidence | Kind::Output | Kind::Outcome | Kind::Signal => self.canons.seen(entry),
            Kind::Checkpoint
            | Kind::Replay
            | Kind::ScheduleSet
            | Kind::ScheduleRemoved
            | Kind::SchedulePaused
            | Kind::ScheduleUnpaused
            | Kind::WorkflowActivated
            | Kind::ScheduleFired
            | Kind::SessionQueued
            | Kind::SessionUnqueued => {}
            Kind::BodiesErased => self.erasures.erased(entry, &mut self.findings),
            Kind::SessionStarted
            | Kind::SessionPaused
            | Kind::SessionUnpaused
            | Kind::ChildStarted
            | Kind::ChildEnded
            | Kind::SessionSealed => {}
        }
    }

    /// Take an entry of the pruned part that put a key in force, before any that is kept.
    pub fn earlier(&mut self, entry: &Entry) {
        self.check_tenant(entry);
        if entry.kind() == Kind::Genesis {
            self.genesis(entry);
        } else if entry.kind() == Kind::KeyRotated {
            self.key_rotated(entry);
        }
    }

    /// The keys put in force so far.
    #[must_use]
    pub fn keys(&self) -> &[KeyInForce] {
        &self.keys
    }

    /// What was said so far of bodies that are gone.
    #[must_use]
    pub const fn erasures(&self) -> &Erasures {
        &self.erasures
    }

    /// The findings so far.
    pub const fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// The sum of it all.
    #[must_use]
    pub fn finish(mut self) -> Audited {
        if self.next == 0 {
            self.findings.add(None, "log.empty", "the log has no entries, not even a genesis");
        }
        self.schedules.finish(&mut self.findings);
        self.chains.finish(&mut self.findings);
        let (open_receipts, open_receipts_named) = self.sessions.open();
        Audited {
            tenant: self.tenant,
            origin: self.origin,
            keys: self.keys,
            pruned: self.pruned,
            erasures: self.erasures,
            kinds: self.kinds,
            outcomes: self.sessions.outcomes(),
            sessions: self.sessions.counts(),
            open_receipts,
            open_receipts_named,
            not_followed: self.sessions.not_followed()
                + self.approvals.not_followed()
                + self.canons.not_followed()
                + self.schedules.not_followed()
                + self.queue.not_followed()
                + self.chains.not_followed()
                + self.versions.not_followed(),
            canons: self.canons.in_force(),
            findings: self.findings,
        }
    }

    /// Sequence, link, time, tenant.
    fn check_place(&mut self, entry: &Entry) {
        let seq = entry.seq();
        if seq != self.next {
            let message = format!("entry {} should follow, but entry {seq} does", self.next);
            self.findings.add(Some(seq), "seq.gap", message);
        }
        if (entry.kind() == Kind::Genesis) != (seq == 0) {
            let message = "the genesis entry must be the first of the log, and only the first";
            self.findings.add(Some(seq), "genesis.misplaced", message);
        }
        if let Some((leaf, at)) = self.last {
            if entry.prev() != Some(leaf) {
                let message = "it does not name the entry before it";
                self.findings.add(Some(seq), "link.broken", message);
            }
            if entry.at() < at {
                let message = format!("its time {} is before that of the entry before", entry.at());
                self.findings.add(Some(seq), "time.backwards", message);
            }
        }
        self.check_tenant(entry);
        self.last = Some((entry.leaf(), entry.at()));
        self.next = seq.saturating_add(1);
    }

    fn check_tenant(&mut self, entry: &Entry) {
        let tenant = *self.tenant.get_or_insert(entry.tenant());
        if entry.tenant() != tenant {
            let message = format!("it is of {}, in the log of {tenant}", entry.tenant());
            self.findings.add(Some(entry.seq()), "tenant.mixed", message);
        }
    }

    fn genesis(&mut self, entry: &Entry) {
        self.by_writer(entry);
        self.origin = entry.text("origin").map(str::to_owned);
        match entry.text("key").map(str::parse::<VerifierKey>) {
            Some(Ok(key)) => {
                if Some(key.name()) != self.origin.as_deref() {
                    let message = "the name of its key is not the origin of the log";
                    self.findings.add(Some(entry.seq()), "key.name", message);
                }
                self.keys.push(KeyInForce { seq: entry.seq(), from: None, key });
            }
            _ => self.findings.add(Some(entry.seq()), "key.unreadable", "its key is none"),
        }
    }

    /// What nobody can hand in to be recorded.
    fn by_writer(&mut self, entry: &Entry) {
        if entry.actor() != WRITER {
            let message = format!("{WRITER} alone makes it, and here {} did", entry.actor());
            self.findings.add(Some(entry.seq()), "key.actor", message);
        }
    }

    fn key_rotated(&mut self, entry: &Entry) {
        self.by_writer(entry);
        let seq = Some(entry.seq());
        let key = |name| entry.text(name).and_then(|line| line.parse::<VerifierKey>().ok());
        let (Some(from), Some(key)) = (key("from"), key("to")) else {
            return self.findings.add(seq, "key.unreadable", "one of its keys is none");
        };
        if self.keys.last().is_some_and(|last| last.key != from) {
            let message = "the key that hands over is not the one in force";
            self.findings.add(seq, "key.not_in_force", message);
        }
        if key.name() != from.name() {
            let message = "the new key has another name than the old one";
            self.findings.add(seq, "key.name", message);
        }
        self.keys.push(KeyInForce { seq: entry.seq(), from: Some(from), key });
    }

    fn segment_pruned(&mut self, entry: &Entry) {
        let seq = Some(entry.seq());
        let (from, to) = (entry.count("from").unwrap_or(0), entry.count("to").unwrap_or(0));
        if from >= to || to > entry.seq() {
            let message = format!("it says that entries {from} to {to} went, which cannot be");
            self.findings.add(seq, "prune.range", message);
        }
        let root = entry.digest("root").unwrap_or_else(|| Digest::from_bytes([0; 32]));
        self.pruned.insert(to, root);
    }
}

/// Whether it is people who act, not a program in their name.
fn is_person(actor: &str) -> bool {
    actor.starts_with("user:")
}

fn plan_selected(entry: &Entry, findings: &mut Findings) {
    let Some(chosen) = entry.text("chosen") else { return };
    let candidates = entry.data().get("candidates").and_then(|list| list.as_list());
    let is_chosen =
        |plan: &cog_base::Value| plan.get("plan").and_then(|id| id.as_text()) == Some(chosen);
    if !candidates.unwrap_or_default().iter().any(is_chosen) {
        let message = format!("the chosen plan `{chosen}` is not among its candidates");
        findings.add(Some(entry.seq()), "plan.not_candidate", message);
    }
}

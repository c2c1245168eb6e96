//! Canon: decisions under the version in force, and changes by change control alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cog_base::id::{ProposalId, RunId};
use cog_base::{Digest, Value};

use super::sessions::Sessions;
use super::{Findings, is_person};
use crate::entry::Entry;
use crate::kind::Kind;

/// The versions of canon along a log.
#[derive(Debug)]
pub(super) struct Canons {
    /// The first entry that is here; those before were pruned.
    first: u64,
    in_force: BTreeMap<String, Digest>,
    proposals: HashMap<ProposalId, Proposal>,
    /// The entries that can be evidence, and the runs that they are of.
    evidence: HashMap<u64, Option<RunId>>,
    not_followed: u64,
}

#[derive(Debug)]
struct Proposal {
    domain: String,
    digest: Option<Digest>,
    base: Option<Digest>,
    by: String,
    evidence: BTreeSet<u64>,
    approved_by: BTreeSet<String>,
    is_closed: bool,
    is_promoted: bool,
}

impl Canons {
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            in_force: BTreeMap::new(),
            proposals: HashMap::new(),
            evidence: HashMap::new(),
            not_followed: 0,
        }
    }

    const fn is_pruned(&self) -> bool {
        self.first > 0
    }

    /// Check that a decision was made under the version in force.
    pub(super) fn decided(&mut self, entry: &Entry, findings: &mut Findings) {
        let in_force = self.in_force.get(entry.domain()).copied();
        if in_force.is_none() && self.is_pruned() {
            self.not_followed = self.not_followed.saturating_add(1);
            return;
        }
        // A refusal needs no canon: without one, everything is refused.
        let needs_canon = entry.kind() != Kind::Denial || entry.canon().is_some();
        if needs_canon && (entry.canon().is_none() || entry.canon() != in_force) {
            let message = format!(
                "it was decided under a canon that is not in force in `{}`",
                entry.domain()
            );
            findings.add(Some(entry.seq()), "canon.not_in_force", message);
        }
    }

    /// Take note of something observed or produced, which a proposal can cite.
    pub(super) fn seen(&mut self, entry: &Entry) {
        self.evidence.insert(entry.seq(), entry.session());
    }

    /// Check a step of change control.
    pub(super) fn change(&mut self, entry: &Entry, sessions: &Sessions, findings: &mut Findings) {
        if entry.kind() != Kind::CanonProposed && !is_person(entry.actor()) {
            let message =
                format!("`{}` is no person, and people alone change canon", entry.actor());
            findings.add(Some(entry.seq()), "canon.not_a_person", message);
        }
        if entry.kind() == Kind::CanonActivated {
            return self.activated(entry, findings);
        }
        let Some(id) = entry.text("proposal").and_then(|id| id.parse::<ProposalId>().ok()) else {
            return;
        };
        if entry.kind() == Kind::CanonProposed {
            return self.proposed(id, entry, sessions, findings);
        }
        let seq = Some(entry.seq());
        let Some(proposal) = self.proposals.get_mut(&id) else {
            return self.missing(entry, id, findings);
        };
        if proposal.is_closed {
            findings.add(seq, "canon.closed", format!("{id} is closed already"));
        }
        if entry.kind() == Kind::Promotion {
            proposal.promoted(id, entry, findings);
            return;
        }
        if entry.digest("digest") != proposal.digest || entry.domain() != proposal.domain {
            findings.add(seq, "canon.other_digest", format!("{id} proposes another version"));
        }
        if entry.kind() == Kind::CanonRejected {
            proposal.is_closed = true;
        } else {
            proposal.approved_by.insert(entry.actor().to_owned());
        }
    }

    fn proposed(
        &mut self,
        id: ProposalId,
        entry: &Entry,
        sessions: &Sessions,
        findings: &mut Findings,
    ) {
        let seq = entry.seq();
        let evidence = seqs(entry);
        if evidence.iter().any(|cited| *cited >= seq) {
            let message = "it cites evidence that is not in the log before it";
            findings.add(Some(seq), "evidence.missing", message);
        }
        self.check_cited(seq, &evidence, sessions, findings);
        let proposal = Proposal {
            domain: entry.domain().to_owned(),
            digest: entry.digest("digest"),
            base: entry.digest("base"),
            by: entry.actor().to_owned(),
            evidence,
            approved_by: BTreeSet::new(),
            is_closed: false,
            is_promoted: false,
        };
        if self.proposals.insert(id, proposal).is_some() {
            findings.add(Some(seq), "id.twice", format!("the proposal id {id} was given before"));
        }
    }

    /// What a proposal cites must be something observed or produced, in no run that is not over:
    /// nobody knows yet what such a run comes to.
    fn check_cited(
        &mut self,
        seq: u64,
        cited: &BTreeSet<u64>,
        sessions: &Sessions,
        findings: &mut Findings,
    ) {
        for cited in cited.range(..seq) {
            if *cited < self.first {
                self.not_followed = self.not_followed.saturating_add(1);
                continue;
            }
            let Some(run) = self.evidence.get(cited) else {
                let message =
                    format!("it cites entry {cited}, which is neither evidence nor outcome");
                findings.add(Some(seq), "evidence.not_evidence", message);
                continue;
            };
            if let Some(run) = run.filter(|run| !sessions.is_sealed(run)) {
                let message = format!("it cites entry {cited} of {run}, which is not sealed");
                findings.add(Some(seq), "evidence.not_sealed", message);
            }
        }
    }

    fn activated(&mut self, entry: &Entry, findings: &mut Findings) {
        let seq = Some(entry.seq());
        let in_force = self.in_force.get(entry.domain()).copied();
        let is_known = in_force.is_some() || !self.is_pruned();
        if is_known && entry.digest("previous") != in_force {
            let message = "the version it replaces is not the one in force";
            findings.add(seq, "canon.previous", message);
        }
        if entry.text("basis") == Some("genesis") {
            if in_force.is_some() {
                let message = format!(
                    "`{}` has a canon, so only change control may change it",
                    entry.domain()
                );
                findings.add(seq, "canon.founded_twice", message);
            }
        } else {
            self.check_change(entry, in_force.filter(|_| is_known), findings);
        }
        if let Some(digest) = entry.digest("digest") {
            self.in_force.insert(entry.domain().to_owned(), digest);
        }
    }

    fn check_change(&mut self, entry: &Entry, base: Option<Digest>, findings: &mut Findings) {
        let seq = Some(entry.seq());
        let id = entry.text("proposal").and_then(|id| id.parse::<ProposalId>().ok());
        let Some(id) = id else {
            return findings.add(seq, "canon.no_proposal", "it names no proposal");
        };
        let Some(proposal) = self.proposals.get_mut(&id) else {
            return self.missing(entry, id, findings);
        };
        if entry.digest("digest") != proposal.digest || entry.domain() != proposal.domain {
            findings.add(seq, "canon.other_digest", format!("{id} proposes another version"));
        }
        if base.is_some() && proposal.base != base {
            let message = format!("{id} was made against a version that is not in force any more");
            findings.add(seq, "canon.previous", message);
        }
        if proposal.is_closed {
            findings.add(seq, "canon.closed", format!("{id} was rejected or activated before"));
        }
        let counts = |who: &String| *who != proposal.by && is_person(who);
        if !proposal.approved_by.iter().any(counts) {
            let message = format!("nobody but its proposer approved {id}");
            findings.add(seq, "canon.not_approved", message);
        }
        if !proposal.evidence.is_empty() && !proposal.is_promoted {
            let message = format!("the evidence that {id} rests on was never promoted");
            findings.add(seq, "evidence.not_promoted", message);
        }
        proposal.is_closed = true;
    }

    fn missing(&mut self, entry: &Entry, id: ProposalId, findings: &mut Findings) {
        if self.is_pruned() {
            self.not_followed = self.not_followed.saturating_add(1);
        } else {
            let message = format!("there is no proposal {id} before it");
            findings.add(Some(entry.seq()), "canon.no_proposal", message);
        }
    }

    pub(super) fn in_force(self) -> BTreeMap<String, Digest> {
        self.in_force
    }

    pub(super) const fn not_followed(&self) -> u64 {
        self.not_followed
    }
}

impl Proposal {
    fn promoted(&mut self, id: ProposalId, entry: &Entry, findings: &mut Findings) {
        if seqs(entry) != self.evidence {
            let message = format!("it promotes other evidence than {id} cites");
            findings.add(Some(entry.seq()), "evidence.missing", message);
        }
        self.is_promoted = true;
    }
}

fn seqs(entry: &Entry) -> BTreeSet<u64> {
    let evidence = entry.data().get("evidence").and_then(Value::as_list).unwrap_or_default();
    evidence.iter().filter_map(Value::as_u64).collect()
}

//! Runs that runs begin, told from both sides: what asks for one, what starts it, its seal, and
//! what its parent hears of it; and the budget of each, which bounds all that it began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::id::RunId;
use cog_base::{Digest, Value};
use cog_flow::Budget;
use cog_ledger::{Entry, Kind};

use crate::checker::Record;
use crate::lineage::Fork;
use crate::property::Property;
use crate::report::Report;

/// The runs of a log that begin others, or were begun by others. Their entries may come run by
/// run: they are read in the order of the log when all are there.
#[derive(Debug, Default)]
pub(crate) struct Families {
    runs: BTreeSet<RunId>,
    noted: Vec<Record>,
    members: BTreeMap<RunId, Member>,
    /// The places from which runs go on, and how many effects had been done by then.
    places: BTreeMap<(RunId, u64), u64>,
}

#[derive(Debug, Default)]
struct Member {
    parent: Option<RunId>,
    step: String,
    initiator: String,
    started: bool,
    budget: Budget,
    /// Effects of it and of those that it began.
    effects: u64,
    spent: u64,
    reserved: BTreeMap<String, u64>,
    /// The word of its seal, and the digest of its output if that is kept.
    sealed: Option<(String, Option<Digest>)>,
    is_told: bool,
}

impl Families {
    /// Keep what concerns runs that begin others, or were begun by others.
    pub(crate) fn record(&mut self, record: &Record) {
        let entry = &record.entry;
        let Some(run) = entry.session() else { return };
        let (kind, data) = (entry.kind(), entry.data());
        let begins = data.contains_key("children") || data.contains_key("parent");
        // One that goes on from such a run has its definition, and begins the rest of them.
        let goes_on = Fork::of(entry).is_some_and(|fork| self.runs.contains(&fork.session));
        if kind == Kind::SessionStarted && (begins || goes_on) {
            self.runs.insert(run);
        }
        // What a decision rests on is of no concern here, and may be large.
        let is_bare = matches!(kind, Kind::Receipt | Kind::Outcome);
        if self.runs.contains(&run) {
            let body = if is_bare { None } else { record.body.clone() };
            self.noted.push(Record { entry: Arc::clone(entry), body });
        }
    }

    /// Check all that was kept.
    pub(crate) fn check(mut self, report: &mut Report) {
        let mut noted = std::mem::take(&mut self.noted);
        noted.sort_by_key(|record| record.entry.seq());
        let forks = noted.iter().filter_map(|record| Fork::of(&record.entry));
        self.places.extend(forks.map(|fork| ((fork.session, fork.seq), 0)));
        for record in &noted {
            self.follow(record, report);
            self.keep(&record.entry);
        }
    }

    /// Whoever goes on from here begins with the effects that were done by now.
    fn keep(&mut self, entry: &Entry) {
        let Some(run) = entry.session() else { return };
        if let Some(place) = self.places.get_mut(&(run, entry.seq()))
            && let Some(member) = self.members.get(&run)
        {
            *place = member.effects.saturating_sub(member.reserved.len() as u64);
        }
    }

    fn follow(&mut self, record: &Record, report: &mut Report) {
        let entry = &record.entry;
        let Some(run) = entry.session() else { return };
        match entry.kind() {
            Kind::SessionStarted => self.started(run, record, report),
            Kind::ChildStarted => self.asked(run, entry, report),
            Kind::ChildEnded => self.told(run, entry, report),
            Kind::Receipt => self.receipt(run, entry, report),
            Kind::Outcome => self.outcome(run, entry),
            Kind::SessionSealed => {
                let output = record.body.as_ref().and_then(|body| body.get("output"));
                let status = entry.text("status").unwrap_or_default().to_owned();
                if let Some(member) = self.members.get_mut(&run) {
                    member.sealed = Some((status, output.map(digest)));
                }
            }
            Kind::Genesis
            | Kind::KeyRotated
            | Kind::CanonProposed
            | Kind::CanonApproved
            | Kind::CanonRejected
            | Kind::CanonActivated
            | Kind::Evidence
            | Kind::Promotion
            | Kind::PlanSelected
            | Kind::Denial
            | Kind::ApprovalRequested
            | Kind::ApprovalGranted
            | Kind::ApprovalRejected
            | Kind::ApprovalEscalated
            | Kind::ApprovalDelegated
            | Kind::Output
            | Kind::Signal
            | Kind::SessionPaused
            | Kind::SessionUnpaused
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

    fn started(&mut self, run: RunId, record: &Record, report: &mut Report) {
        let entry = &record.entry;
        let parent = entry.data().get("parent");
        let source = record.body.as_ref().and_then(|body| body.get("source")?.as_text());
        let flow = source.and_then(|source| cog_flow::parse(source, "the kept definition").ok());
        let text = |name| parent.and_then(|parent| parent.get(name)).and_then(Value::as_text);
        let initiator = entry.text("initiator").unwrap_or_default().to_owned();
        let above = text("session").and_then(|id| id.parse::<RunId>().ok());
        // Of a parent whose beginning was pruned nobody knows what it asked for.
        if above.is_some_and(|above| self.runs.contains(&above)) {
            let began = above.and_then(|above| self.members.get(&above));
            let same = began.is_none_or(|began| began.initiator == initiator);
            let asked = self.members.get(&run);
            let asked =
                asked.filter(|it| it.parent == above && Some(it.step.as_str()) == text("step"));
            let holds = asked.is_some_and(|it| !it.started) && same;
            report.test(Property::Child, holds, entry.seq(), || {
                format!("{run} was not asked for by the run that it names, for the same person")
            });
        }
        let before = Fork::of(entry).and_then(|fork| self.members.get(&fork.session));
        let budget = flow.map(|flow| flow.budget).or(before.map(|before| before.budget));
        let kept = Fork::of(entry).and_then(|fork| self.places.get(&(fork.session, fork.seq)));
        let kept = kept.copied().unwrap_or_default();
        let member = self.members.entry(run).or_default();
        member.started = true;
        member.effects = member.effects.saturating_add(kept);
        member.initiator = initiator;
        member.budget = budget.unwrap_or_default();
    }

    fn asked(&mut self, run: RunId, entry: &Entry, report: &mut Report) {
        let Some(child) = named(entry) else { return };
        let step = entry.text("step").unwrap_or_default().to_owned();
        let is_new = !self.members.contains_key(&child);
        report.test(Property::Child, is_new, entry.seq(), || format!("{child} was begun before"));
        if is_new {
            let member = Member { parent: Some(run), step, ..Member::default() };
            self.members.insert(child, member);
        }
    }

    fn told(&mut self, run: RunId, entry: &Entry, report: &mut Report) {
        let Some(child) = named(entry) else { return };
        let Some(member) = self.members.get_mut(&child) else {
            let message = format!("{child} was begun by nobody");
            return report.broken(Property::ChildEnd, entry.seq(), message);
        };
        let sealed = member.sealed.as_ref();
        let same = sealed.is_some_and(|(status, output)| {
            Some(status.as_str()) == entry.text("status")
                && output.is_none_or(|output| entry.digest("output") == Some(output))
        });
        let here = member.parent == Some(run) && entry.text("step") == Some(&member.step);
        let first = !std::mem::replace(&mut member.is_told, true);
        report.test(Property::ChildEnd, same && here && first, entry.seq(), || {
            format!(
                "what is told of {child} is not what its seal before it says, or it is told again"
            )
        });
    }

    /// The run and those above it.
    fn above(&self, run: RunId) -> Vec<RunId> {
        let parent = |id: &RunId| self.members.get(id).and_then(|member| member.parent);
        std::iter::successors(Some(run), parent).take(64).collect()
    }

    fn receipt(&mut self, run: RunId, entry: &Entry, report: &mut Report) {
        let id = entry.text("id").unwrap_or_default();
        let reserve = entry.count("reserve_micros").unwrap_or(0);
        for above in self.above(run) {
            let Some(member) = self.members.get_mut(&above) else { continue };
            member.effects = member.effects.saturating_add(1);
            member.reserved.insert(id.to_owned(), reserve);
            let all =
                member.reserved.values().fold(member.spent, |sum, it| sum.saturating_add(*it));
            let effects = member.effects;
            if let Some(limit) = member.budget.effects {
                report.test(Property::Effects, effects <= limit, entry.seq(), || {
                    format!("effect {effects} of {above} and those it began, which has {limit}")
                });
            }
            if let Some(limit) = member.budget.cost_micros {
                report.test(Property::Cost, all <= limit, entry.seq(), || {
                    format!("{all} micros are spent and reserved by {above} and those it began, of {limit}")
                });
            }
        }
    }

    fn outcome(&mut self, run: RunId, entry: &Entry) {
        let id = entry.text("receipt").unwrap_or_default();
        let cost = entry.count("cost_micros").unwrap_or(0);
        let is_abandoned = entry.text("disposition") == Some("abandoned");
        for above in self.above(run) {
            let Some(member) = self.members.get_mut(&above) else { continue };
            member.reserved.remove(id);
            member.spent = member.spent.saturating_add(cost);
            member.effects = member.effects.saturating_sub(u64::from(is_abandoned));
        }
    }
}

fn named(entry: &Entry) -> Option<RunId> {
    entry.text("session").and_then(|id| id.parse().ok())
}

fn digest(output: &Value) -> Digest {
    Digest::in_context("cognitionos/output/v1", &output.canonical())
}

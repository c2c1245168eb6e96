//! What must hold when a world has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::id::{RunId, TenantId};
use cog_base::json::parse;
use cog_base::{Digest, Value};
use cog_canon::Canon;
use cog_engine::Record;
use cog_engine::admission::run_of;
use cog_engine::recompute::{Recompute, Recomputed};
use cog_engine::replay::{Replayed, is_decision, replay_decision, replay_run};
use cog_history::Rules;
use cog_ledger::audit::{Audit, Audited};
use cog_ledger::memory::KeptLog;
use cog_ledger::{Entry, Kind, SealedEntry};

use crate::boot::sessions;
use crate::common::Common;
use crate::counts::Summary;
use crate::forks::history;
use crate::house::{House, MAY_END};
use crate::outside::Outside;

/// An invariant that does not hold, and the seed that shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: {what}")]
pub struct Broken {
    /// Run this seed again to see it again.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
}

/// What a tenant left behind.
pub(crate) struct Left<'a> {
    pub(crate) seed: u64,
    pub(crate) tenant: TenantId,
    /// What its effects did.
    pub(crate) outside: &'a Outside,
    /// Every canon that it had.
    pub(crate) canons: BTreeMap<Digest, Arc<Canon>>,
    /// What is personal, where its canons declare classes of data.
    pub(crate) secret: Option<String>,
    pub(crate) log: &'a KeptLog,
    /// Its runs, with all of their bodies.
    pub(crate) sessions: BTreeMap<RunId, Vec<Record>>,
}

impl House {
    /// Check what holds of each tenant, and count what it has.
    pub(crate) fn check(&self, common: &Common) -> Result<Summary, Broken> {
        let log = common.disk.log(self.tenant);
        let sessions = sessions(kept(&log));
        let secret = format!("secret-of-{}", self.scenario.canary);
        let left = Left {
            seed: common.seed,
            tenant: self.tenant,
            outside: &self.outside,
            canons: self.scenario.canons(),
            secret: self.scenario.has_classes.then_some(secret),
            log: &log,
            sessions,
        };
        self.nobody_was_forgotten(&left)?;
        left.check(Rules { clock_back_ms: common.clock_back_ms, ..Rules::STRICT })?;
        self.compare(common, &log)?;
        let count = |is: &dyn Fn(&Entry) -> bool| log.entries().filter(|it| is(it)).count() as u64;
        Ok(Summary {
            entries: count(&|_| true),
            receipts: count(&|entry| entry.kind() == Kind::Receipt),
            forks: count(&|entry| entry.data().contains_key("fork")),
            ..Summary::default()
        })
    }

    /// Each run that was asked for began, or was withdrawn.
    fn nobody_was_forgotten(&self, left: &Left<'_>) -> Result<(), Broken> {
        let over = left.log.entries().filter(|entry| entry.kind() == Kind::SessionUnqueued);
        let over: BTreeSet<RunId> = over.filter_map(|entry| run_of(entry)).collect();
        let is_there = |run| left.sessions.contains_key(run) != over.contains(run);
        if !self.scenario.all.iter().all(|start| is_there(&start.run)) {
            return Err(left.broken("a run was lost, or began although it was withdrawn"));
        }
        if !self.engine.queue().line.is_empty() {
            return Err(left.broken("somebody still waits for a turn"));
        }
        Ok(())
    }

    /// The entries of its runs with their bodies, as the history checker takes them.
    pub(crate) fn told(&self, common: &Common) -> Vec<cog_history::Record> {
        let records = kept(&common.disk.log(self.tenant)).into_iter();
        records.map(|Record { entry, body }| cog_history::Record { entry, body }).collect()
    }
}

/// The entries of runs, and of those that wait for their turn, with all of their bodies.
pub(crate) fn kept(log: &KeptLog) -> Vec<Record> {
    let kinds = [Kind::SessionQueued, Kind::SessionUnqueued, Kind::Denial];
    let of_runs = log
        .entries
        .iter()
        .filter(|sealed| sealed.entry.session().is_some() || kinds.contains(&sealed.entry.kind()));
    let record = |sealed: &SealedEntry| {
        let text = sealed.body.as_ref().and_then(|body| std::str::from_utf8(&body.bytes).ok());
        let body = text.and_then(|text| parse(text).ok());
        Record { entry: Arc::clone(&sealed.entry), body }
    };
    of_runs.map(record).collect()
}

/// What the audit says of a whole log.
pub(crate) fn audited(log: &KeptLog) -> Audited {
    let mut audit = Audit::new(0);
    log.entries().for_each(|entry| audit.entry(entry));
    audit.finish()
}

/// What comes of making all decisions again from what is there.
pub(crate) fn recomputed(records: &[Record], canons: &BTreeMap<Digest, Arc<Canon>>) -> Recomputed {
    let mut recompute = Recompute::default();
    canons.iter().for_each(|(digest, canon)| recompute.canon(*digest, Arc::clone(canon)));
    records.iter().for_each(|record| recompute.note(&record.entry));
    records.iter().for_each(|record| recompute.record(record.clone()));
    recompute.finish()
}

impl Left<'_> {
    pub(crate) fn check(&self, rules: Rules) -> Result<(), Broken> {
        self.ledger_audits()?;
        self.every_run_is_sealed()?;
        self.every_effect_has_one_receipt_and_one_outcome()?;
        self.nothing_was_done_twice()?;
        self.each_effect_is_of_its_own_run()?;
        self.nobody_hears_of_a_person()?;
        self.only_who_may_ends_a_run()?;
        self.everything_replays()?;
        // It shares no code with what ran them.
        let records = kept(self.log).into_iter();
        let record = |Record { entry, body }| cog_history::Record { entry, body };
        let report = cog_history::check(records.map(record), rules);
        if report.not_followed > 0 {
            return Err(self.broken("the history checker cannot follow a run"));
        }
        match report.findings.kept().first() {
            Some(finding) => Err(self.broken(&format!("the history checker finds {finding}"))),
            None => Ok(()),
        }
    }

    fn broken(&self, what: &str) -> Broken {
        Broken { seed: self.seed, what: format!("{}: {what}", self.tenant) }
    }

    fn ledger_audits(&self) -> Result<(), Broken> {
        match audited(self.log).findings.kept().first() {
            None => Ok(()),
            Some(finding) => Err(self.broken(&format!("the audit finds {finding:?}"))),
        }
    }

    fn every_run_is_sealed(&self) -> Result<(), Broken> {
        for (run, records) in &self.sessions {
            let seals = records.iter().filter(|it| it.entry.kind() == Kind::SessionSealed).count();
            let last = records.last().map(|it| it.entry.kind());
            if seals != 1 || last != Some(Kind::SessionSealed) {
                return Err(self.broken(&format!("{run} ends with {last:?}, {seals} seals")));
            }
        }
        Ok(())
    }

    fn every_effect_has_one_receipt_and_one_outcome(&self) -> Result<(), Broken> {
        if let Some(receipt) = self.outside.unauthorised.first() {
            return Err(self.broken(&format!("{receipt} acted before it was durable")));
        }
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        for entry in self.log.entries() {
            let id = entry.id().unwrap_or_default().to_owned();
            if entry.kind() == Kind::Receipt {
                if outcomes.insert(id.clone(), 0).is_some() {
                    return Err(self.broken(&format!("{id} was issued twice")));
                }
            } else if entry.kind() == Kind::Outcome {
                match outcomes.get_mut(&id) {
                    Some(count) => *count += 1,
                    None => return Err(self.broken(&format!("{id} has no receipt before it"))),
                }
            }
        }
        if let Some((id, count)) = outcomes.iter().find(|(_, count)| **count != 1) {
            return Err(self.broken(&format!("{id} has {count} outcomes")));
        }
        let known = |id: &cog_base::id::ReceiptId| outcomes.contains_key(&id.to_string());
        match self.outside.done.keys().find(|id| !known(id)) {
            Some(id) => Err(self.broken(&format!("{id} acted and is not in the ledger"))),
            None => Ok(()),
        }
    }

    /// A run that goes on from another does what it does itself: under its own receipts, whose
    /// outcomes are its own, and to what bears its id.
    fn each_effect_is_of_its_own_run(&self) -> Result<(), Broken> {
        let mut receipts: BTreeMap<&str, Option<RunId>> = BTreeMap::new();
        for entry in self.log.entries() {
            let id = entry.id().unwrap_or_default();
            if entry.kind() == Kind::Receipt {
                receipts.insert(id, entry.session());
            } else if entry.kind() == Kind::Outcome && receipts.get(id) != Some(&entry.session()) {
                return Err(self.broken(&format!("{id} has its outcome in another run")));
            }
        }
        for (receipt, target) in &self.outside.targets {
            let run = receipts.get(receipt.to_string().as_str()).copied().flatten();
            let own = run.map(|run| run.to_string()).unwrap_or_default();
            if target.contains("run_") && !target.contains(&own) {
                return Err(self.broken(&format!("{receipt} of {own} acted on {target}")));
            }
        }
        Ok(())
    }

    /// Where the canons declare classes, nothing personal goes to the host or to the model: neither what
    /// the input said, nor what was read where that was kept, nor through a run that a run began.
    fn nobody_hears_of_a_person(&self) -> Result<(), Broken> {
        let Some(secret) = &self.secret else { return Ok(()) };
        // What was read is told in the question to the model, and in the address of the member's post.
        let is_of_person = |call: &str| {
            [secret.as_str(), "Who is", "/sha256:"].iter().any(|part| call.contains(part))
        };
        let mut told = self.outside.calls.iter().filter(|call| !call.starts_with("File"));
        match told.find(|call| is_of_person(call)) {
            Some(call) => Err(self.broken(&format!("what is personal went out: {call}"))),
            None => Ok(()),
        }
    }

    /// A post goes to an address of its own: two posts to one mean that an effect was
    /// repeated behind the ledger's back.
    fn nothing_was_done_twice(&self) -> Result<(), Broken> {
        if let Some((receipt, times)) = self.outside.done.iter().find(|(_, times)| **times > 1) {
            return Err(self.broken(&format!("{receipt} was done {times} times")));
        }
        match self.outside.posts.iter().find(|(_, times)| **times > 1) {
            Some((url, times)) => Err(self.broken(&format!("{url} was posted {times} times"))),
            None => Ok(()),
        }
    }

    fn only_who_may_ends_a_run(&self) -> Result<(), Broken> {
        for (run, records) in &self.sessions {
            let by = |source| {
                let of = move |record: &&Record| record.entry.text("source") == Some(source);
                records.iter().filter(of).map(|record| record.entry.actor()).collect::<Vec<_>>()
            };
            let of = |kind: Kind| records.iter().filter(move |it| it.entry.kind() == kind);
            let mut held = of(Kind::SessionPaused).chain(of(Kind::SessionUnpaused));
            if let Some(it) = held.find(|it| !MAY_END.contains(&it.entry.actor())) {
                return Err(self.broken(&format!("{run} was held by {}", it.entry.actor())));
            }
            let ended = by("cancel");
            if let Some(who) = ended.iter().find(|who| !MAY_END.contains(who)) {
                return Err(self.broken(&format!("{run} was ended by {who}")));
            }
            let seal = records.last().and_then(|record| record.entry.text("status"));
            if ended.len() > 1 || (seal == Some("cancelled")) != (ended.len() == 1) {
                let times = ended.len();
                return Err(self.broken(&format!("{run} is {seal:?}, ended {times} times")));
            }
            let mut refused =
                records.iter().filter(|it| it.entry.text("action") == Some("run.cancel"));
            if let Some(record) = refused.find(|it| MAY_END.contains(&it.entry.actor())) {
                return Err(self.broken(&format!("{run}: {} was refused", record.entry.actor())));
            }
        }
        Ok(())
    }

    fn everything_replays(&self) -> Result<(), Broken> {
        let canons = &self.canons;
        let recomputed = recomputed(&kept(self.log), canons);
        if let Some(finding) = recomputed.findings.kept().first() {
            return Err(self.broken(&format!("recomputed, it comes out otherwise: {finding}")));
        }
        if recomputed.not_followed > 0 {
            return Err(self.broken("a run cannot be followed"));
        }
        if recomputed.recomputed != recomputed.decisions {
            return Err(self.broken("a decision cannot be recomputed"));
        }
        for (run, records) in &self.sessions {
            let history = replay_run(&history(&self.sessions, *run))
                .map_err(|error| self.broken(&format!("{run} does not replay: {error}")))?;
            let spent: u64 = records
                .iter()
                .filter(|it| it.entry.kind() == Kind::Outcome)
                .filter_map(|it| it.entry.data().get("cost_micros").and_then(Value::as_u64))
                .sum();
            let seal = records.iter().find(|it| it.entry.kind() == Kind::SessionSealed);
            let sealed = seal.and_then(|it| it.entry.data().get("spent_micros")?.as_u64());
            if !history.is_sealed() || sealed != Some(spent) {
                return Err(self.broken(&format!("{run}: {sealed:?} sealed, {spent} spent")));
            }
            for record in records.iter().filter(|it| is_decision(&it.entry)) {
                let replayed = replay_decision(record, canons);
                if replayed != Replayed::Same {
                    let seq = record.entry.seq();
                    return Err(self.broken(&format!("decision {seq}: {replayed:?}")));
                }
            }
        }
        Ok(())
    }
}

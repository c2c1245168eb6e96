//! What every finished run of a test must stand, whatever the test is about: it is rebuilt from its
//! entries and compared, event by event; its decisions are made again; and the history checker,
//! which shares no code with what ran it, finds nothing.

#![expect(clippy::print_stdout, reason = "tests say how much they compared")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::id::RunId;
use cog_base::json::parse;
use cog_canon::{Canon, Source};
use cog_engine::fork::{gather, own};
use cog_engine::recompute::Recompute;
use cog_engine::replay::{Canons, replay_run};
use cog_engine::{Mismatch, Record};
pub use cog_history::{Leases, Rules};
use cog_ledger::audit::Audit;
use cog_ledger::{Entry, Kind, SealedEntry};
use cog_store::{Select, Store, StoreError, TenantTx};

/// The log of a tenant, with what its decisions were made by.
#[derive(Default)]
pub struct Log {
    /// Its entries with their bodies, in their order.
    pub records: Vec<Record>,
    /// The canons that it names.
    pub canons: Canons,
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Runs that were sealed, each rebuilt to its seal.
    pub runs: u64,
    /// Their entries.
    pub entries: u64,
}

impl Compared {
    /// Say it, for whoever adds up what all tests did.
    pub fn tell(self) {
        if self.runs > 0 {
            println!("tally: {} finished runs replayed", self.runs);
            println!("tally: {} of their entries compared, event by event", self.entries);
        }
    }
}

/// Compare all that is finished of every tenant of a store, and say how much it was.
///
/// # Errors
/// What is not as it is recorded, in words.
pub fn compare(store: &dyn Store, rules: Rules) -> Result<(), String> {
    let told = |error: StoreError| error.to_string();
    for tenant in store.tenants().map_err(told)? {
        let log = Log::read(store.scope(tenant).map_err(told)?.as_ref()).map_err(told)?;
        log.compare(rules)?.tell();
    }
    Ok(())
}

/// An entry as it is kept, with its body.
#[must_use]
pub fn kept(sealed: &SealedEntry) -> Record {
    let body = |bytes: &[u8]| parse(std::str::from_utf8(bytes).ok()?).ok();
    let body = sealed.body.as_ref().and_then(|sealed| body(&sealed.bytes));
    Record { entry: Arc::clone(&sealed.entry), body }
}

/// The entries that a store holds of a tenant, with their bodies.
///
/// # Errors
/// [`StoreError`] when they cannot be read.
pub fn records(scope: &dyn TenantTx) -> Result<Vec<Record>, StoreError> {
    let mut entries = Vec::new();
    scope.each(Select::default(), &mut |entry| entries.push(entry.clone()))?;
    let record = |entry: Entry| {
        let body = scope.body(entry.seq())?;
        let body = body.and_then(|body| parse(std::str::from_utf8(&body.bytes).ok()?).ok());
        Ok(Record { entry: Arc::new(entry), body })
    };
    entries.into_iter().map(record).collect()
}

impl Log {
    /// What a store holds of a tenant.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn read(scope: &dyn TenantTx) -> Result<Self, StoreError> {
        let records = records(scope)?;
        let mut canons = Canons::new();
        for entry in
            records.iter().map(|it| &it.entry).filter(|it| it.kind() == Kind::CanonActivated)
        {
            let Some(Ok(digest)) = entry.text("digest").map(str::parse) else { continue };
            if let Some(files) = scope.canon(digest)? {
                let files = files.into_iter().map(|(path, text)| (path, text.into_bytes()));
                let canon = Canon::load(&Source::new(files)).ok().map(Arc::new);
                canons.extend(canon.map(|canon| (digest, canon)));
            }
        }
        Ok(Self { records, canons })
    }

    /// Compare all that is finished. Of a log of which entries were pruned, the runs that are whole.
    ///
    /// # Errors
    /// What is not as it is recorded, in words.
    pub fn compare(&self, rules: Rules) -> Result<Compared, String> {
        if self.is_pruned() {
            return self.replay();
        }
        self.audit()?;
        let compared = self.replay()?;
        self.decide_again()?;
        let record = |Record { entry, body }| cog_history::Record { entry, body };
        let report = cog_history::check(self.records.iter().cloned().map(record), rules);
        if let Some(finding) = report.findings.kept().first() {
            return Err(format!("the history checker finds {finding}"));
        }
        if report.not_followed > 0 && self.is_whole() {
            return Err("the history checker cannot follow a run".to_owned());
        }
        Ok(compared)
    }

    fn audit(&self) -> Result<(), String> {
        let mut audit = Audit::new(0);
        self.records.iter().for_each(|record| audit.entry(&record.entry));
        match audit.finish().findings.kept().first() {
            Some(finding) => Err(format!("the audit finds {finding}")),
            None => Ok(()),
        }
    }

    /// Whether entries are missing, which the store says were pruned.
    fn is_pruned(&self) -> bool {
        self.records.iter().zip(0..).any(|(record, seq)| record.entry.seq() != seq)
    }

    /// Whether no body is missing.
    fn is_whole(&self) -> bool {
        let is_gone = |it: &Record| it.entry.commit().is_some() && it.body.is_none();
        !self.records.iter().any(is_gone)
    }

    /// Rebuild each run that is sealed, and compare it event by event. It is all that can be asked where a
    /// test sets the clock as it likes, or writes entries of its own.
    ///
    /// # Errors
    /// What is not as it is recorded, in words.
    pub fn replay(&self) -> Result<Compared, String> {
        let mut runs: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
        for record in &self.records {
            if let Some(run) = record.entry.session() {
                runs.entry(run).or_default().push(record.clone());
            }
        }
        let sealed = |it: &&Record| it.entry.kind() == Kind::SessionSealed;
        let over: BTreeSet<RunId> =
            self.records.iter().filter(sealed).filter_map(|it| it.entry.session()).collect();
        let mut compared = Compared::default();
        for run in over {
            let read = |run: RunId, until: u64| {
                let records = runs.get(&run).cloned().unwrap_or_default().into_iter();
                Ok(records.take_while(|it| it.entry.seq() <= until).collect())
            };
            let past: Result<Vec<Record>, String> = gather(run, u64::MAX, read);
            let past = past?;
            let is_gone = |it: &Record| it.entry.commit().is_some() && it.body.is_none();
            if past.iter().any(is_gone) {
                continue;
            }
            let history = match replay_run(&past) {
                Err(Mismatch::NoStart { .. } | Mismatch::NoPast { .. }) if self.is_pruned() => {
                    continue;
                }
                other => other.map_err(|why| format!("{run} does not replay: {why}"))?,
            };
            if !history.is_sealed() {
                return Err(format!("{run} is sealed, and replayed it is not"));
            }
            compared.runs += 1;
            compared.entries += own(&past).len() as u64;
        }
        Ok(compared)
    }

    /// Make every decision again.
    fn decide_again(&self) -> Result<(), String> {
        let mut recompute = Recompute::default();
        for (digest, canon) in &self.canons {
            recompute.canon(*digest, Arc::clone(canon));
        }
        self.records.iter().for_each(|record| recompute.note(&record.entry));
        self.records.iter().for_each(|record| recompute.record(record.clone()));
        let recomputed = recompute.finish();
        if let Some(finding) = recomputed.findings.kept().first() {
            return Err(format!("decided again, it comes out otherwise: {finding}"));
        }
        if self.is_whole() && recomputed.recomputed != recomputed.decisions {
            let (some, all) = (recomputed.recomputed, recomputed.decisions);
            return Err(format!("of {all} decisions {some} can be made again"));
        }
        Ok(())
    }
}

//! Runs and decisions recomputed from the log, and what is kept of that.

use std::sync::Arc;

use cog_base::id::{ReplayId, RunId};
use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_canon::{Canon, Source};
use cog_engine::replay::{Canons, Replayed, is_decision, replay_decision, replay_run};
use cog_engine::{Mismatch, Record};
use cog_gate::Actor;
use cog_ledger::{BodyDraft, Draft, Entry, Kind};
use cog_store::{Select, TenantTx};

use crate::error::Error;
use crate::read::{about, erasures, history, record, records};

/// The context of the digest over what was found.
const CONTEXT: &str = "cognitionos/replay/v1";

/// What came of recomputing one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Everything comes out the same.
    Same,
    /// What is left does, and the rest was erased.
    Erased,
    /// Its beginning is pruned, so that it is not recomputed.
    Pruned,
    /// A body is missing that nothing accounts for.
    Damaged,
    /// A decision cannot be recomputed, and no erasure is why.
    Unknown,
    /// Something comes out otherwise.
    Differs,
}

impl Came {
    /// The word that is kept.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Erased => "erased",
            Self::Pruned => "pruned",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
            Self::Differs => "differs",
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Same | Self::Erased | Self::Pruned)
    }
}

/// Why a body is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It was erased, as that entry says.
    Erased(Option<u64>),
    /// No entry says that it was.
    Unexplained,
}

/// A decision, recomputed.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The entry of it.
    pub entry: Arc<Entry>,
    /// Whether its record is here.
    pub is_kept: bool,
    /// What came of it.
    pub replayed: Replayed,
}

/// A run, recomputed.
#[derive(Debug, Clone)]
pub struct Recomputed {
    /// Which.
    pub run: RunId,
    /// The numbers of its entries.
    pub entries: Vec<u64>,
    /// Whether they follow from definition and inputs.
    pub trace: Result<(), Mismatch>,
    /// Its decisions.
    pub decisions: Vec<Decided>,
    /// The entries whose bodies are not here, each with why.
    pub absent: Vec<(u64, Gone)>,
    /// Its beginning is pruned.
    pub is_pruned: bool,
}

impl Recomputed {
    /// What came of it.
    #[must_use]
    pub fn came(&self) -> Came {
        let differs = |it: &Decided| matches!(it.replayed, Replayed::Differs { .. });
        let unknown =
            |it: &Decided| matches!(it.replayed, Replayed::CannotTell { .. }) && it.is_kept;
        let is_gone = matches!(self.trace, Err(Mismatch::NoBody { .. }));
        if self.is_pruned {
            Came::Pruned
        } else if self.decisions.iter().any(differs) || (self.trace.is_err() && !is_gone) {
            Came::Differs
        } else if self.absent.iter().any(|(_, gone)| *gone == Gone::Unexplained) {
            Came::Damaged
        } else if self.decisions.iter().any(unknown) {
            Came::Unknown
        } else if self.absent.is_empty() {
            Came::Same
        } else {
            Came::Erased
        }
    }

    /// How many decisions come out the same.
    #[must_use]
    pub fn same(&self) -> u64 {
        self.decisions.iter().filter(|it| it.replayed == Replayed::Same).count() as u64
    }

    /// The decisions that do not.
    pub fn differing(&self) -> impl Iterator<Item = &Decided> {
        self.decisions.iter().filter(|it| it.replayed != Replayed::Same)
    }

    /// What is kept of it: which entries, and why, without what they say.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let mismatch =
            self.trace.as_ref().err().map(|why| Value::map([("trace", why.to_string())]));
        let differing = self.differing().map(|it| {
            let word = match it.replayed {
                Replayed::Same => "same",
                Replayed::Differs { .. } => "differs",
                Replayed::CannotTell { .. } => "unknown",
            };
            let entry = ("entry", Value::from(it.entry.seq()));
            Value::map([entry, ("id", it.entry.id().into()), ("result", word.into())])
        });
        Kept {
            run: self.run,
            came: self.came(),
            entries: self.entries.len() as u64,
            decisions: self.decisions.len() as u64,
            canon: None,
            findings: Value::list(mismatch.into_iter().chain(differing)),
        }
    }
}

/// What is kept of recomputing one run.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The run.
    pub run: RunId,
    /// What came of it.
    pub came: Came,
    /// How many entries it has.
    pub entries: u64,
    /// How many decisions.
    pub decisions: u64,
    /// The canon it was compared against, if another.
    pub canon: Option<Digest>,
    /// What came out otherwise, or could not be told.
    pub findings: Value,
}

impl Kept {
    /// The entry that keeps it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn draft(&self, scope: &dyn TenantTx, id: ReplayId, who: &Actor) -> Result<Draft, Error> {
        let bytes = self.findings.canonical();
        let mut data = Map::from([
            ("id".into(), id.into()),
            ("run".into(), self.run.into()),
            ("result".into(), self.came.word().into()),
            ("entries".into(), self.entries.into()),
            ("decisions".into(), self.decisions.into()),
            ("findings".into(), Digest::in_context(CONTEXT, &bytes).into()),
        ]);
        data.extend(self.canon.map(|canon| ("canon".to_owned(), canon.into())));
        let mut draft = about(scope, self.run, (Kind::Replay, who), data)?;
        draft.body = Some(BodyDraft { subject: None, bytes });
        Ok(draft)
    }
}

/// Recompute a run and its decisions.
///
/// # Errors
/// [`Error::NoRun`], or when it cannot be read.
pub fn recompute(scope: &dyn TenantTx, run: RunId, canons: &Canons) -> Result<Recomputed, Error> {
    let own = records(scope, run, u64::MAX)?;
    if own.is_empty() {
        return Err(Error::NoRun(run));
    }
    let entries = own.iter().map(|record| record.entry.seq()).collect();
    let (trace, decisions, absent) = (Ok(()), Vec::new(), Vec::new());
    let none = Recomputed { run, entries, trace, decisions, absent, is_pruned: true };
    let may_be_cut = scope.pruned()?.entries > 0;
    let begins = own.first().is_some_and(|it| it.entry.kind() == Kind::SessionStarted);
    if !begins && may_be_cut {
        return Ok(none);
    }
    let past = history(scope, run)?;
    let trace = replay_run(&past).map(drop);
    if matches!(trace, Err(Mismatch::NoPast { .. })) && may_be_cut {
        return Ok(none);
    }
    let decisions = own.iter().filter(|record| is_decision(&record.entry));
    let decisions = decisions.map(|record| Decided {
        entry: Arc::clone(&record.entry),
        is_kept: record.body.is_some(),
        replayed: replay_decision(record, canons),
    });
    let (decisions, absent) = (decisions.collect(), absent_of(scope, &past)?);
    Ok(Recomputed { trace, decisions, absent, is_pruned: false, ..none })
}

/// The entries whose bodies are not here, each with why.
fn absent_of(scope: &dyn TenantTx, records: &[Record]) -> Result<Vec<(u64, Gone)>, Error> {
    let is_absent = |it: &&Record| it.body.is_none() && it.entry.commit().is_some();
    let absent: Vec<u64> = records.iter().filter(is_absent).map(|it| it.entry.seq()).collect();
    if absent.is_empty() {
        return Ok(Vec::new());
    }
    let erasures = erasures(scope)?;
    let gone = |seq| match erasures.of(seq) {
        Some(by) => Gone::Erased(Some(by)),
        None if erasures.explains(seq) => Gone::Erased(None),
        None => Gone::Unexplained,
    };
    Ok(absent.into_iter().map(|seq| (seq, gone(seq))).collect())
}

/// What is kept of recomputations, of one run or of all, oldest first.
///
/// # Errors
/// [`Error::Store`].
pub fn kept(scope: &dyn TenantTx, run: Option<RunId>) -> Result<Vec<Entry>, Error> {
    let run = run.map(|run| run.to_string());
    let mut found = Vec::new();
    let select = Select { kinds: vec![Kind::Replay], ..Select::default() };
    scope.each(select, &mut |entry| {
        if run.is_none() || entry.text("run") == run.as_deref() {
            found.push(entry.clone());
        }
    })?;
    Ok(found)
}

/// One of them, with what was found.
///
/// # Errors
/// [`Error::NoReplay`].
pub fn shown(scope: &dyn TenantTx, id: ReplayId) -> Result<Record, Error> {
    let entries = scope.find(&id.to_string())?;
    let entry = entries.into_iter().find(|entry| entry.kind() == Kind::Replay);
    record(scope, entry.ok_or(Error::NoReplay(id))?)
}

/// A kept version of canon.
///
/// # Errors
/// [`Error::Canon`] when it does not load, or is another one.
pub fn canon(scope: &dyn TenantTx, digest: Digest) -> Result<Option<Canon>, Error> {
    let Some(files) = scope.canon(digest)? else { return Ok(None) };
    let source = Source::new(files.into_iter().map(|(path, text)| (path, text.into_bytes())));
    let canon = Canon::load(&source);
    let canon = canon.map_err(|error| Error::Canon { digest, why: Some(error.to_string()) })?;
    if canon.digest() != digest {
        return Err(Error::Canon { digest, why: None });
    }
    Ok(Some(canon))
}

/// Every kept version that was ever in force.
///
/// # Errors
/// As [`canon`].
pub fn canons(scope: &dyn TenantTx) -> Result<Canons, Error> {
    let mut digests = Vec::new();
    let select = Select { kinds: vec![Kind::CanonActivated], ..Select::default() };
    scope.each(select, &mut |entry| digests.extend(entry.digest("digest")))?;
    let mut canons = Canons::new();
    for digest in digests {
        if let Some(canon) = canon(scope, digest)? {
            canons.insert(digest, Arc::new(canon));
        }
    }
    Ok(canons)
}

//! A run that is rebuilt while its entries are read, to go on with: what is held of it is its state
//! and its account, and none of the entries that they follow from.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::Digest;
use cog_base::id::{ReceiptId, RunId};
use cog_canon::Canon;
use cog_gate::decision::{decide, read_record};
use cog_gate::door::effect_of;
use cog_gate::{Effect as _, Gate};
use cog_ledger::{Entry, Kind};
use cog_store::{RECORDS_PAGE, Recorded, Select, StoreError, TenantTx};

use crate::children::run_of;
use crate::fork::{Fork, seen};
use crate::history::{Charged, History, Mismatch, Record};
use crate::replay::decide_again;

/// Where the version of canon comes from that a decision names; nothing where it is not kept.
pub type Known<'k> = dyn FnMut(Digest) -> Result<Option<Arc<Canon>>, StoreError> + 'k;

/// A run as its entries tell it.
pub struct Rebuilt {
    pub(crate) history: History,
    /// Its account, counted by itself, with its leases and the consents of people.
    pub(crate) gate: Gate,
    /// Its receipts that have an outcome.
    pub(crate) settled: Vec<ReceiptId>,
    /// Its first entry.
    pub(crate) first: u64,
    begun: Vec<RunId>,
}

impl Rebuilt {
    /// The run that it is.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.history.id()
    }

    /// How it stands. Of what is over it says no more than what goes on needs.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The runs that it began.
    #[must_use]
    pub fn begun(&self) -> &[RunId] {
        &self.begun
    }

    /// Rebuild a run from the log, page by page. `look` sees every entry, behind those of the runs that
    /// it was forked from.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, and in it [`Mismatch`] when it is not the one that its
    /// definition describes, or there is none.
    pub fn read(
        scope: &dyn TenantTx,
        run: RunId,
        known: &mut Known<'_>,
        look: &mut dyn FnMut(&Record),
    ) -> Result<Result<Self, Mismatch>, StoreError> {
        let mut rebuilding = Rebuilding::default();
        let mut reading = Reading { scope, known, look };
        let own = Select { limit: RECORDS_PAGE, ..Select::session(run) };
        let page = scope.records(&own)?;
        for past in parts(scope, page.first().map(|(first, _)| first))? {
            let page = scope.records(&past)?;
            if let Err(why) = rebuilding.pages(&mut reading, past, page)? {
                return Ok(Err(why));
            }
        }
        match rebuilding.pages(&mut reading, own, page)? {
            Ok(()) => rebuilding.end(known),
            Err(why) => Ok(Err(why)),
        }
    }

    /// Rebuild a run from its records, behind those of the runs that it was forked from.
    ///
    /// # Errors
    /// As [`Rebuilt::read`].
    pub fn of(
        records: &[Record],
        known: &mut Known<'_>,
    ) -> Result<Result<Self, Mismatch>, StoreError> {
        let mut rebuilding = Rebuilding::default();
        for record in records {
            if let Err(why) = rebuilding.take(record.clone(), known)? {
                return Ok(Err(why));
            }
        }
        rebuilding.end(known)
    }
}

/// The entries of the runs that the one was forked from which begins with `first`, the oldest run first,
/// each up to where it was.
fn parts(scope: &dyn TenantTx, first: Option<&Entry>) -> Result<Vec<Select>, StoreError> {
    let mut parts = Vec::new();
    let from = |first: &Entry| Fork::of(first).filter(|fork| fork.seq < first.seq());
    let mut next = first.and_then(from);
    // The entries named grow ever older, so that this comes to an end.
    while let Some(Fork { session, seq, .. }) = next {
        let part = Select { to: seq.saturating_add(1), ..Select::session(session) };
        let first = scope.select(&Select { limit: 1, ..part.clone() })?.pop();
        parts.push(Select { limit: RECORDS_PAGE, ..part });
        next = first.as_ref().and_then(from);
    }
    parts.reverse();
    Ok(parts)
}

/// A tree of runs to go on with, each rebuilt.
pub struct Tree {
    /// The one that is gone on with.
    pub run: Rebuilt,
    /// The other runs of its tree, ended or not: see [`crate::Resumption::kin`].
    pub kin: Vec<Rebuilt>,
    /// Who ends it: see [`crate::Resumption::cancel`].
    pub cancel: Option<(cog_gate::Actor, String)>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("run", &self.run.id()).finish_non_exhaustive()
    }
}

impl Tree {
    /// The whole tree that a run belongs to, each as `read` gives it. That run is gone on with, and those
    /// below it.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<E>(
        run: RunId,
        mut read: impl FnMut(RunId) -> Result<Rebuilt, E>,
    ) -> Result<Self, E> {
        let mut all = vec![read(run)?];
        let knows = |all: &[Rebuilt], run| all.iter().any(|it| it.id() == run);
        while let Some(above) = all.last().and_then(|it| it.history.parent()).map(|it| it.run)
            && !knows(&all, above)
        {
            all.push(read(above)?);
        }
        let mut queue: Vec<RunId> = all.iter().flat_map(|it| it.begun.iter().copied()).collect();
        while let Some(run) = queue.pop() {
            if !knows(&all, run) {
                let below = read(run)?;
                queue.extend(below.begun.iter().copied());
                all.push(below);
            }
        }
        let run = all.swap_remove(0);
        Ok(Self { run, kin: all, cancel: None })
    }

    /// The same, but all of it is gone on with: the run that nobody began has all others below it.
    #[must_use]
    pub fn whole(mut self) -> Self {
        let top = self.kin.iter_mut().find(|it| it.history.parent().is_none());
        if let Some(top) = top.filter(|_| self.run.history.parent().is_some()) {
            std::mem::swap(top, &mut self.run);
        }
        self
    }

    /// The runs that the one began, and those that they began.
    pub fn below(&self) -> impl Iterator<Item = &Rebuilt> {
        let mut runs: BTreeSet<RunId> = self.run.begun.iter().copied().collect();
        let mut more = true;
        while std::mem::take(&mut more) {
            for one in self.kin.iter().filter(|it| runs.contains(&it.id())).collect::<Vec<_>>() {
                for begun in &one.begun {
                    more |= runs.insert(*begun);
                }
            }
        }
        self.kin.iter().filter(move |it| runs.contains(&it.id()))
    }

    /// All runs of it.
    pub fn all(&self) -> impl Iterator<Item = &Rebuilt> {
        std::iter::once(&self.run).chain(&self.kin)
    }
}

/// How a run is read.
struct Reading<'r, 'k> {
    scope: &'r dyn TenantTx,
    known: &'r mut Known<'k>,
    look: &'r mut dyn FnMut(&Record),
}

/// A run of which more entries come.
#[derive(Default)]
struct Rebuilding {
    history: Option<History>,
    gate: Gate,
    settled: Vec<ReceiptId>,
    first: u64,
    begun: Vec<RunId>,
    /// An entry, and behind it the first entries of runs that go on from it: what begins because of it
    /// sees what those say.
    held: Vec<Record>,
}

impl Rebuilding {
    /// Take a page, and those behind it.
    fn pages(
        &mut self,
        reading: &mut Reading<'_, '_>,
        mut select: Select,
        mut page: Vec<Recorded>,
    ) -> Result<Result<(), Mismatch>, StoreError> {
        while let Some((last, _)) = page.last() {
            let is_last = page.len() < select.limit;
            select = select.after(last);
            for recorded in page {
                let record = Record::of(recorded);
                (reading.look)(&record);
                if let Err(why) = self.take(record, reading.known)? {
                    return Ok(Err(why));
                }
            }
            page = if is_last { Vec::new() } else { reading.scope.records(&select)? };
        }
        Ok(Ok(()))
    }

    fn take(
        &mut self,
        record: Record,
        known: &mut Known<'_>,
    ) -> Result<Result<(), Mismatch>, StoreError> {
        let goes_on = Fork::of(&record.entry).is_some() && !self.held.is_empty();
        if !goes_on && let Err(why) = self.follow(known)? {
            return Ok(Err(why));
        }
        self.held.push(record);
        Ok(Ok(()))
    }

    fn end(mut self, known: &mut Known<'_>) -> Result<Result<Rebuilt, Mismatch>, StoreError> {
        if let Err(why) = self.follow(known)? {
            return Ok(Err(why));
        }
        let Self { history, gate, settled, first, begun, .. } = self;
        let rebuilt = |history| Rebuilt { history, gate, settled, first, begun };
        Ok(history.map(rebuilt).ok_or(Mismatch::NoStart { seq: 0 }))
    }

    /// Follow what is held.
    fn follow(&mut self, known: &mut Known<'_>) -> Result<Result<(), Mismatch>, StoreError> {
        let mut held = std::mem::take(&mut self.held).into_iter();
        let Some(record) = held.next() else { return Ok(Ok(())) };
        let forks: Vec<Record> = held.collect();
        let canon = match record.entry.canon().filter(|_| record.entry.kind() == Kind::Receipt) {
            Some(digest) => known(digest)?,
            None => None,
        };
        Ok(self.step(&record, canon.as_deref(), &forks))
    }

    fn step(
        &mut self,
        record: &Record,
        canon: Option<&Canon>,
        forks: &[Record],
    ) -> Result<(), Mismatch> {
        let behind = forks.last().map(|last| Ok((seen(last)?, &last.entry))).transpose()?;
        match &mut self.history {
            None => {
                let history = History::begin(record, behind.map(|(seen, _)| seen), None)?;
                self.begin(&history, &record.entry);
                self.history = Some(history);
            }
            Some(history) => {
                if let Some((seen, by)) = behind {
                    history.see(seen, &record.entry, by)?;
                }
                history.feed(record)?;
                self.gate.observe(&record.entry);
                if matches!(record.entry.kind(), Kind::ApprovalGranted | Kind::ApprovalRejected) {
                    decide_again(self.gate.approvals(), record, history)?;
                }
                self.count(record, canon)?;
            }
        }
        for fork in forks {
            let Some(mut history) = self.history.take() else { break };
            history.forked(fork)?;
            self.begin(&history, &fork.entry);
            self.history = Some(history);
        }
        Ok(())
    }

    /// From here on it is the run that begins with this entry.
    fn begin(&mut self, history: &History, entry: &Entry) {
        self.gate = Gate::default();
        self.settled.clear();
        self.begun.clear();
        self.first = entry.seq();
        self.gate.open_session(history.origin().tenant, history.id(), history.limits());
    }

    /// Count what an entry says, and let go of what is over.
    fn count(&mut self, record: &Record, canon: Option<&Canon>) -> Result<(), Mismatch> {
        let entry = &record.entry;
        if let (Some(id), Some(reason)) = (record.refused(), record.said()) {
            self.gate.because(id, reason);
        }
        if entry.kind() == Kind::ChildStarted {
            self.begun.push(run_of(entry)?);
        }
        let Some(history) = &mut self.history else { return Ok(()) };
        history.let_go();
        match history.charged.pop() {
            None => {}
            Some(Charged::Receipt(receipt)) => {
                let read = record.body.as_ref().and_then(|body| read_record(body).ok());
                if let Some((intent, snapshot)) = read {
                    let decision = decide(&intent, &snapshot, canon);
                    let footprint = effect_of(&intent).map(|it| it.footprint()).unwrap_or_default();
                    self.gate.recount(receipt, &intent, &footprint, &decision, canon);
                }
            }
            Some(Charged::Outcome(receipt, report)) => {
                history.intents.remove(&receipt);
                self.gate.resettle(history.id(), receipt, &report);
                self.settled.push(receipt);
            }
        }
        Ok(())
    }
}

impl History {
    /// Let go of what only tells how it came to stand as it does.
    fn let_go(&mut self) {
        self.came.clear();
        self.claims.clear();
        self.fell.clear();
    }
}

impl Record {
    /// What was read of the log. Of a body that is no JSON nothing follows.
    #[must_use]
    pub fn of((entry, body): Recorded) -> Self {
        let body = body.and_then(|body| String::from_utf8(body.bytes).ok());
        let body = body.and_then(|text| cog_base::json::parse(&text).ok());
        Self { entry: Arc::new(entry), body }
    }
}

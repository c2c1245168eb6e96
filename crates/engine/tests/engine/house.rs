//! A house with one engine: appends are durable at once, effects wait until a test says what
//! becomes of them, and timers until a test says that they are due.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ApprovalId, ReceiptId, RunId, TenantId, Uuid};
use cog_base::json::{Map, parse};
use cog_base::{Clock, Micros, Timestamp, Value};
use cog_canon::{Canon, Source};
use cog_engine::fork::{Fork, Forking, NoPlace, Past, gather, place};
use cog_engine::recompute::{Recompute, Recomputed};
use cog_engine::replay::{Replayed, as_far, is_decision, replay_decision};
use cog_engine::{
    Engine, Firing, Input, Notice, Output, Parent, Placed, Record, Resumption, Sealed, Settings,
    Start, Timer, What,
};
use cog_finished::Log;
use cog_flow::{Flow, Opened, SearchLabels};
use cog_gate::snapshot::{Access, TenantStatus};
use cog_gate::{AnyEffect, Cleared, Lapse};
use cog_ledger::memory::{KeptLog, MemoryKeys, MemoryShelf};
use cog_ledger::{Entry, Kind, SealedEntry, Writer};

const CANON: [(&str, &str); 4] = [
    ("canon.toml", include_str!("../../../../sim/canon/canon.toml")),
    ("schema.cedarschema", include_str!("../../../../sim/canon/schema.cedarschema")),
    ("policies/simulation.cedar", include_str!("../../../../sim/canon/policies/simulation.cedar")),
    ("facts/people.json", include_str!("../../../../sim/canon/facts/people.json")),
];

/// A clock that stands at noon until a test moves it.
#[derive(Clone, Default)]
struct Noon(Arc<AtomicU64>);

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        let noon: Timestamp = "2026-11-24T12:00:00.000000Z".parse().unwrap();
        noon.plus_ms(self.0.load(Ordering::Relaxed))
    }
}

/// An effect that a test decides about.
pub(crate) struct UnderWay {
    pub(crate) cleared: Cleared<AnyEffect>,
    pub(crate) timeout_ms: Option<u64>,
}

pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) under_way: VecDeque<UnderWay>,
    pub(crate) probes: VecDeque<(RunId, ReceiptId, AnyEffect)>,
    pub(crate) timers: Vec<(Timer, u64)>,
    pub(crate) notices: Vec<Notice>,
    /// Appends wait for [`House::release`].
    pub(crate) hold: bool,
    pub(crate) held: VecDeque<(u64, Vec<(TenantId, cog_ledger::Draft)>)>,
    /// The time of a schedule that the next run is started for.
    pub(crate) firing: Option<Firing>,
    /// What the next runs are found by, beside what their files say.
    pub(crate) labels: SearchLabels,
    /// The next append fails.
    pub(crate) no_space: bool,
    writer: RefCell<Writer<MemoryShelf>>,
    pub(crate) canon: Arc<Canon>,
    /// Those that were in force before.
    earlier: Vec<Arc<Canon>>,
    dice: SeededEntropy,
    lives: u64,
    clock: Noon,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::under(|_, text| text.to_owned())
    }

    /// A house whose canon is the one of the simulation, with what is changed in each file.
    pub(crate) fn under(change: impl Fn(&str, &str) -> String) -> Self {
        let canon = canon_with(change);
        let keys = Box::new(MemoryKeys::default());
        let clock = Noon::default();
        let mut house = Self {
            engine: engine(Some(&canon), 1, &clock),
            under_way: VecDeque::new(),
            probes: VecDeque::new(),
            timers: Vec::new(),
            notices: Vec::new(),
            hold: false,
            held: VecDeque::new(),
            firing: None,
            labels: SearchLabels::new(),
            no_space: false,
            writer: RefCell::new(Writer::new(MemoryShelf::default(), keys, "cognitionos/test")),
            canon,
            earlier: Vec::new(),
            dice: SeededEntropy::new(7),
            lives: 1,
            clock,
        };
        let cfo = "user:cfo".parse().unwrap();
        let found = house.engine.change_control().found(&house.canon, "production", &cfo).unwrap();
        let founded = house.append(0, vec![(tenant(), found)]);
        let Input::Committed { entries, .. } = founded else { panic!("the canon is not in force") };
        entries.iter().for_each(|entry| house.engine.observe(entry));
        house
    }

    /// Another canon is in force from here on.
    pub(crate) fn enact(&mut self, change: impl Fn(&str, &str) -> String) {
        let canon = canon_with(change);
        self.earlier.push(std::mem::replace(&mut self.canon, Arc::clone(&canon)));
        let cfo = "user:cfo".parse().unwrap();
        // The first of a log: what was in force before is nothing to it.
        let none = cog_gate::change::ChangeControl::default();
        let draft = none.found(&canon, "production", &cfo).unwrap();
        self.engine.know(canon);
        let enacted = self.append(0, vec![(tenant(), draft)]);
        let Input::Committed { entries, .. } = enacted else { panic!("it is not in force") };
        entries.iter().for_each(|entry| self.engine.observe(entry));
    }

    /// Start a run of these steps, with a root `out`.
    pub(crate) fn start(&mut self, steps: &str) -> RunId {
        self.start_with("", steps)
    }

    /// Start a run of a workflow that runs others, each by its name.
    pub(crate) fn start_family(&mut self, source: &str, others: &[(&str, &str)]) -> RunId {
        let mut open = |_: &str, name: &str| {
            let found = others.iter().find(|(known, _)| *known == name).ok_or("no such file")?;
            Ok(Opened { id: name.into(), file: name.into(), text: found.1.into() })
        };
        let flow = cog_flow::parse(source, "test.yaml").unwrap();
        let flow = flow.with_children("test.yaml", &mut open);
        self.start_flow(flow.unwrap_or_else(|errors| panic!("{errors}")), source.to_owned())
    }

    /// The same with a further line at the top of the file.
    pub(crate) fn start_with(&mut self, line: &str, steps: &str) -> RunId {
        let source = format!(
            "name: test\ndomain: simulation\nroots: {{ out: {{ path: out, access: write }} }}\n\
             {line}\nsteps:\n{steps}"
        );
        let flow = cog_flow::parse(&source, "test.yaml").map_err(|errors| errors.to_string());
        self.start_flow(flow.unwrap(), source)
    }

    fn start_flow(&mut self, flow: Flow, source: String) -> RunId {
        let (run, firing) = (self.new_run(), self.firing.take());
        let inputs = flow.bind(&BTreeMap::new()).unwrap();
        let ask = flow.ask(&inputs).unwrap();
        let labels = flow.labelled(&inputs, &self.labels).unwrap();
        self.give(Input::Start(Box::new(Start {
            run,
            inputs,
            flow: Arc::new(flow),
            source,
            roots: BTreeMap::from([("out".to_owned(), Access::Write)]),
            places: BTreeMap::new(),
            base: String::new(),
            initiator: "user:operator".parse().unwrap(),
            environment: None,
            firing,
            labels,
            trigger: None,
            ask,
            keyed: None,
            is_queued: false,
        })));
        run
    }

    /// Give the engine an input, and everything that follows from it.
    pub(crate) fn give(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.engine.handle(input).unwrap() {
                match output {
                    Output::Append { ticket, drafts } if self.hold => {
                        self.held.push_back((ticket, drafts));
                    }
                    Output::Append { ticket, drafts } => {
                        inputs.push_back(self.append(ticket, drafts));
                    }
                    Output::Withdraw { .. } => {}
                    Output::Perform { cleared, terms, .. } => {
                        let timeout_ms = terms.timeout_ms;
                        let cleared = *cleared;
                        self.under_way.push_back(UnderWay { cleared, timeout_ms });
                    }
                    Output::Probe { run, receipt, effect } => {
                        self.probes.push_back((run, receipt, effect));
                    }
                    Output::Place(place) => {
                        let (parent, run) = (place.parent, place.run);
                        let places = place.roots.into_iter().map(|root| (root.name, root.path));
                        let placed = Placed { base: place.base, places: places.collect() };
                        inputs.push_back(Input::Placed { parent, run, placed: Ok(placed) });
                    }
                    Output::Arm { timer, ms } => self.timers.push((timer, ms)),
                    Output::Notice(notice) => self.notices.push(notice),
                }
            }
        }
    }

    /// The appends that were held become durable, in their order, and those that follow.
    pub(crate) fn release(&mut self) {
        while let Some((ticket, drafts)) = self.held.pop_front() {
            let input = self.append(ticket, drafts);
            self.give(input);
        }
        self.hold = false;
    }

    pub(crate) fn append(
        &mut self,
        ticket: u64,
        drafts: Vec<(TenantId, cog_ledger::Draft)>,
    ) -> Input {
        if std::mem::take(&mut self.no_space) {
            return Input::NotCommitted { ticket, message: "no space".to_owned() };
        }
        let entries =
            self.writer.get_mut().append(drafts, self.clock.now(), &mut self.dice).unwrap();
        Input::Committed { ticket, entries }
    }

    /// The effect that began first and was not decided about.
    pub(crate) fn next(&mut self) -> UnderWay {
        self.under_way.pop_front().expect("an effect is under way")
    }

    /// It is done and gave this text.
    pub(crate) fn done(&mut self, text: &str) {
        let output = Value::map([("text", text)]);
        let performed = self.next().cleared.done(output, Micros::ZERO);
        self.give(Input::Performed(Box::new(performed)));
    }

    /// An effect that was taken out of what is under way is done.
    pub(crate) fn give_back(&mut self, effect: UnderWay, text: &str) {
        self.under_way.push_front(effect);
        self.done(text);
    }

    /// It outlived its time, or its adapter panicked.
    pub(crate) fn lose(&mut self, lapse: Lapse) {
        let lost = self.next().cleared.counterfoil().lost(lapse);
        self.give(Input::Performed(Box::new(lost)));
    }

    /// An entry of no run is recorded.
    pub(crate) fn record(&mut self, draft: cog_ledger::Draft) {
        self.append(0, vec![(tenant(), draft)]);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Every timer is due. How long they were armed for.
    pub(crate) fn ring(&mut self) -> Vec<u64> {
        let timers = std::mem::take(&mut self.timers);
        let waits = timers.iter().map(|(_, ms)| *ms).collect();
        timers.into_iter().for_each(|(timer, _)| self.give(Input::Due(timer)));
        waits
    }

    /// So many milliseconds pass.
    pub(crate) fn later(&mut self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// The clock is set back to noon.
    pub(crate) fn back_to_noon(&mut self) {
        self.clock.0.store(0, Ordering::Relaxed);
    }

    /// The requests that wait, with the steps that do.
    pub(crate) fn asked(&self) -> Vec<(String, ApprovalId)> {
        let waiting = self.engine.gate().approvals().waiting();
        waiting.map(|request| (request.step.clone(), request.id)).collect()
    }

    /// The CFO answers the only request that waits.
    pub(crate) fn answer(&mut self, run: RunId, verdict: Result<(), &str>) {
        let [(_, approval)] = self.asked().try_into().expect("one request waits");
        let who = "user:cfo".parse().unwrap();
        let verdict = verdict.map(|()| cog_base::json::Map::new()).map_err(str::to_owned);
        self.give(Input::Answer { run, approval, who, verdict });
    }

    /// Somebody ends a run that is in memory.
    pub(crate) fn cancel(&mut self, run: RunId) {
        self.cancel_by(run, "user:ada");
    }

    pub(crate) fn cancel_by(&mut self, run: RunId, who: &str) {
        let (who, reason) = (who.parse().unwrap(), "wrong supplier".to_owned());
        self.give(Input::Cancel { run, who, reason });
    }

    /// The process dies; another one goes on with what the ledger holds.
    pub(crate) fn restart(&mut self) {
        self.restart_to(None, true);
    }

    /// The process dies; another one ends what the ledger holds.
    pub(crate) fn restart_to_cancel(&mut self) {
        self.restart_to(Some("user:ada"), true);
    }

    /// The same for somebody else; what files of the canon there were are gone unless it
    /// `knows` them.
    pub(crate) fn restart_to_cancel_by(&mut self, who: &str, knows: bool) {
        self.restart_to(Some(who), knows);
    }

    fn restart_to(&mut self, cancel: Option<&str>, knows: bool) {
        let runs = self.restart_without_runs(knows);
        for run in runs.clone() {
            let records = self.history(run);
            // Runs that a run began go on with it.
            if is_child(&records) {
                continue;
            }
            let others = runs.iter().filter(|it| **it != run).map(|it| self.history(*it));
            let kin = others.filter(|it| is_child(it)).collect();
            let cancel = cancel.map(|who| (who.parse().unwrap(), "wrong supplier".to_owned()));
            if !records.iter().any(|record| record.entry.kind() == Kind::SessionSealed) {
                self.give(Input::Resume(Box::new(Resumption { records, kin, cancel })));
            }
        }
    }

    /// The process dies; another one knows what may be under way of the runs of the ledger, and has none
    /// of them yet.
    pub(crate) fn restart_without_runs(&mut self, knows: bool) -> Vec<RunId> {
        self.lives += 1;
        self.engine = engine(knows.then_some(&self.canon), self.lives, &self.clock);
        self.under_way.clear();
        self.probes.clear();
        self.timers.clear();
        let log = self.log();
        log.entries().for_each(|entry| self.engine.observe(entry));
        log.entries().for_each(|entry| self.engine.recall_entry(entry));
        let mut runs: Vec<RunId> = log.entries().filter_map(|entry| entry.session()).collect();
        runs.sort_unstable();
        runs.dedup();
        runs.iter().for_each(|run| self.engine.claim(&self.history(*run)));
        runs
    }

    /// The same process goes on with a run that stopped.
    pub(crate) fn resume(&mut self, run: RunId) {
        let records = self.records(run);
        self.give(Input::Resume(Box::new(Resumption { records, kin: Vec::new(), cancel: None })));
    }

    /// Whether each decision of the run comes out as it is recorded.
    pub(crate) fn assert_decisions_replay(&self, run: RunId) {
        let canons = BTreeMap::from([(self.canon.digest(), Arc::clone(&self.canon))]);
        for record in self.records(run).iter().filter(|it| is_decision(&it.entry)) {
            assert_eq!(replay_decision(record, &canons), Replayed::Same, "{:?}", record.entry);
        }
    }

    /// What recomputing these entries comes to.
    pub(crate) fn recomputed(&self, records: &[Record]) -> Recomputed {
        let mut recompute = Recompute::default();
        for canon in self.earlier.iter().chain([&self.canon]) {
            recompute.canon(canon.digest(), Arc::clone(canon));
        }
        records.iter().for_each(|record| recompute.note(&record.entry));
        records.iter().for_each(|record| recompute.record(record.clone()));
        recompute.finish()
    }

    /// What recomputing the whole log comes to, with what `take` hands over of its canon.
    pub(crate) fn recomputed_with(&self, take: impl FnOnce(&mut Recompute)) -> Recomputed {
        let mut recompute = Recompute::default();
        take(&mut recompute);
        for sealed in &self.log().entries {
            recompute.record(kept(sealed));
        }
        recompute.finish()
    }

    pub(crate) fn log(&self) -> KeptLog {
        self.writer.borrow_mut().shelf().log(tenant()).cloned().unwrap_or_default()
    }

    /// The entries of a run with their bodies.
    pub(crate) fn records(&self, run: RunId) -> Vec<Record> {
        self.records_of(|entry| entry.session() == Some(run))
    }

    /// The first entry that is so, with its body.
    pub(crate) fn record_of(&self, is_it: impl Fn(&Entry) -> bool) -> Record {
        self.records_of(is_it).swap_remove(0)
    }

    fn records_of(&self, is_it: impl Fn(&Entry) -> bool) -> Vec<Record> {
        let log = self.log();
        let own = log.entries.iter().filter(|sealed| is_it(&sealed.entry));
        own.map(kept).collect()
    }

    /// Everything is decided as it is recorded, by what is recorded.
    pub(crate) fn assert_recomputes(&self) {
        let recomputed = self.recomputed(&self.everything());
        assert!(recomputed.findings.kept().is_empty(), "{:?}", recomputed.findings);
        assert_eq!(recomputed.not_followed, 0);
    }

    /// The entries of all runs, in the order of the log.
    pub(crate) fn everything(&self) -> Vec<Record> {
        let runs: BTreeSet<RunId> =
            self.log().entries().filter_map(|entry| entry.session()).collect();
        let mut all: Vec<Record> = runs.into_iter().flat_map(|run| self.records(run)).collect();
        all.sort_by_key(|record| record.entry.seq());
        all
    }

    /// The same behind those of the runs it was forked from.
    pub(crate) fn history(&self, run: RunId) -> Vec<Record> {
        let read = |run, until| {
            let records = self.records(run).into_iter();
            Ok::<_, ()>(records.take_while(|it| it.entry.seq() <= until).collect())
        };
        gather(run, u64::MAX, read).unwrap()
    }

    /// Start a run from a place of another, with other inputs.
    pub(crate) fn fork(&mut self, parent: RunId, from: &str, inputs: &[(&str, &str)]) -> RunId {
        self.fork_by("user:operator", parent, from, inputs)
    }

    /// The same by somebody.
    pub(crate) fn fork_by(
        &mut self,
        who: &str,
        parent: RunId,
        from: &str,
        inputs: &[(&str, &str)],
    ) -> RunId {
        let past = self.history(parent);
        let (history, _) = as_far(&past).unwrap();
        let fork = place(&past, &history, from).unwrap();
        let given = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let given = inputs.iter().map(given).collect();
        let before = history.inputs().as_map().unwrap();
        let inputs = history.flow().bind_over(&given, before).unwrap();
        self.fork_at_by(who, fork, past, inputs)
    }

    /// The same, from an entry.
    pub(crate) fn fork_at(&mut self, fork: Fork, past: Vec<Record>, inputs: Map) -> RunId {
        self.fork_at_by("user:operator", fork, past, inputs)
    }

    fn fork_at_by(&mut self, who: &str, fork: Fork, past: Vec<Record>, inputs: Map) -> RunId {
        let run = self.new_run();
        let Some(past) = self.taken(run, &fork, past) else { return run };
        self.give(Input::Fork(Box::new(Forking {
            run,
            kin: self.kin(fork.session),
            past,
            fork,
            inputs,
            roots: BTreeMap::from([("out".to_owned(), Access::Write)]),
            places: BTreeMap::new(),
            base: String::new(),
            initiator: who.parse().unwrap(),
        })));
        run
    }

    /// What a run takes over of these up to a place; else it is told why it does not begin.
    pub(crate) fn taken(&mut self, run: RunId, fork: &Fork, past: Vec<Record>) -> Option<Past> {
        let past = past.into_iter().take_while(|it| it.entry.seq() <= fork.seq).collect();
        let taken = Past::take(past, None, |run| Ok::<_, ()>(self.history(run))).unwrap();
        let told = |none: NoPlace| What::NotBegun { message: none.to_string() };
        let told = |none| self.notices.push(Notice { run, what: told(none) });
        taken.map_err(told).ok().map(|(past, _)| past)
    }

    /// The id of a run that is to begin.
    pub(crate) fn new_run(&mut self) -> RunId {
        RunId::new(self.clock.now(), &mut self.dice).unwrap()
    }

    /// The entries of the other runs of the tree of a run.
    fn kin(&self, run: RunId) -> Vec<Vec<Record>> {
        let log = self.log();
        let all: BTreeSet<RunId> = log.entries().filter_map(|entry| entry.session()).collect();
        let top = |mut run: RunId| {
            while let Some(parent) = self.records(run).first().and_then(|it| Parent::of(&it.entry))
            {
                run = parent.run;
            }
            run
        };
        let others = all.into_iter().filter(|it| *it != run && top(*it) == top(run));
        others.map(|it| self.history(it)).collect()
    }

    /// Whether the engine does not go on from a place.
    pub(crate) fn is_not_forked(&self, run: RunId) -> bool {
        let not = |it: &Notice| it.run == run && matches!(it.what, What::NotBegun { .. });
        self.notices.iter().any(not)
    }

    /// The kinds of a run's entries after its first, with the disposition, code or status.
    pub(crate) fn story(&self, run: RunId) -> Vec<String> {
        let line = |record: &Record| {
            let entry = &record.entry;
            let words = ["source", "disposition", "code", "attempts", "chosen", "status"];
            let words = words.map(|name| match entry.data().get(name) {
                Some(Value::Text(text)) => format!(" {text}"),
                Some(value) => format!(" {value}"),
                None => String::new(),
            });
            format!("{}{}", entry.kind(), words.concat())
        };
        self.records(run).iter().skip(1).map(line).collect()
    }

    /// How a run ended, as an onlooker hears of it.
    pub(crate) fn sealed(&self, run: RunId) -> Option<&Sealed> {
        self.notices.iter().find_map(|notice| {
            if let What::Sealed(sealed) = &notice.what
                && notice.run == run
            {
                Some(sealed)
            } else {
                None
            }
        })
    }

    /// The run's entries give the very same run again.
    pub(crate) fn assert_replays(&self, run: RunId) {
        let history = cog_engine::replay::replay_run(&self.history(run)).unwrap();
        assert!(history.is_sealed(), "{:?}", self.story(run));
    }
}

/// Whatever a test is about: every run of it that is finished is rebuilt and compared.
impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let records = self.log().entries.iter().map(cog_finished::kept).collect();
        let log = Log { records, ..Log::default() };
        log.replay().unwrap_or_else(|why| panic!("{why}")).tell();
    }
}

fn canon_with(change: impl Fn(&str, &str) -> String) -> Arc<Canon> {
    let files = CANON.map(|(path, text)| (path.to_owned(), change(path, text).into_bytes()));
    Arc::new(Canon::load(&Source::new(files)).unwrap())
}

/// An entry with its body, as it is kept.
fn kept(sealed: &SealedEntry) -> Record {
    let body = |bytes: &[u8]| parse(std::str::from_utf8(bytes).ok()?).ok();
    let body = sealed.body.as_ref().and_then(|sealed| body(&sealed.bytes));
    Record { entry: Arc::clone(&sealed.entry), body }
}

/// The canon of the simulation with one file more.
pub(crate) fn canon_and(path: &str, text: &str) -> Canon {
    let more = [(path, text)].into_iter().chain(CANON);
    let files = more.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    Canon::load(&Source::new(files)).unwrap()
}

/// Whether a run was begun by another.
fn is_child(records: &[Record]) -> bool {
    records.first().is_some_and(|first| Parent::of(&first.entry).is_some())
}

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(7))
}

fn engine(canon: Option<&Arc<Canon>>, life: u64, clock: &Noon) -> Engine {
    let settings = Settings { tenant: tenant(), status: TenantStatus::Active };
    let mut engine =
        Engine::new(settings, Arc::new(clock.clone()), Box::new(SeededEntropy::new(life)));
    canon.into_iter().for_each(|canon| engine.know(Arc::clone(canon)));
    engine
}

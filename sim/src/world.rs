//! The simulated program: an engine, a writer, a queue of things under way, and crashes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ApprovalId, ReceiptId, RunId, TenantId};
use cog_base::json::parse;
use cog_base::{Clock, Timestamp, Value};
use cog_engine::fork::own;
use cog_engine::{
    Engine, Input, Notice, Output, Parent, Placed, Record, Resumption, Sent, Settings, Timer, What,
};
use cog_flow::Signal;
use cog_gate::snapshot::TenantStatus;
use cog_gate::{Actor, AnyEffect, Cleared, Lapse};
use cog_ledger::memory::KeptLog;
use cog_ledger::{Draft, Kind, Writer};

use crate::check::Broken;
use crate::disk::{Disk, DiskKeys, DiskShelf};
use crate::forks::history;
use crate::outside::{Fate, Outside};
use crate::scenario::Scenario;
use crate::schedule;

/// The most events of one world: beyond it the world is stuck.
const EVENTS_MAX: u64 = 20_000;
/// Crashes after which the world stops failing, so that it can end.
const CRASHES_MAX: u64 = 12;

/// Who may end a run: who began it, and who is in the role that the canon names.
pub(crate) const MAY_END: [&str; 2] = ["user:operator", "user:ada"];
/// Who may not: who approves payments, an agent in that role, and nobody.
const MAY_NOT_END: [&str; 3] = ["user:cfo", "agent:clerk", "user:nobody"];

/// How often what goes wrong: once in so many.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// The process dies, at any event.
    pub crash: u64,
    /// A commit fails, or its answer is lost.
    pub commit: u64,
    /// An effect fails for a while.
    pub transient: u64,
    /// An effect fails for good.
    pub failed: u64,
    /// An adapter dies, or cannot tell what it did.
    pub unclear: u64,
    /// The clock jumps.
    pub clock: u64,
    /// Somebody holds a run, at any event.
    pub pause: u64,
    /// Somebody ends a run, at any event or as it is resumed.
    pub cancel: u64,
    /// A run goes on from a place of another, at any event.
    pub fork: u64,
}

/// What a world went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events handled.
    pub events: u64,
    /// Faults injected.
    pub faults: u64,
    /// Process crashes among them.
    pub crashes: u64,
    /// Entries in the ledger.
    pub entries: u64,
    /// Receipts in the ledger.
    pub receipts: u64,
    /// Runs started.
    pub runs: u64,
    /// Runs that went on from a place of another.
    pub forks: u64,
}

impl Summary {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            faults: self.faults + other.faults,
            crashes: self.crashes + other.crashes,
            entries: self.entries + other.entries,
            receipts: self.receipts + other.receipts,
            runs: self.runs + other.runs,
            forks: self.forks + other.forks,
        }
    }
}

#[derive(Clone)]
struct SimClock(Arc<AtomicI64>);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

enum Event {
    Effect { cleared: Box<Cleared<AnyEffect>> },
    Probe { run: RunId, receipt: ReceiptId, effect: AnyEffect },
    Timer { at: Timestamp, timer: Timer },
    Answer { run: RunId, approval: ApprovalId },
    Signal { run: RunId, name: String },
    Unpause { run: RunId },
    Place { place: Box<cog_engine::Place> },
}

/// The simulated program and its surroundings.
pub struct World {
    pub(crate) seed: u64,
    pub(crate) tenant: TenantId,
    pub(crate) scenario: Scenario,
    pub(crate) disk: Disk,
    pub(crate) outside: Outside,
    dice: SeededEntropy,
    faults: Faults,
    clock: SimClock,
    engine: Engine,
    writer: Writer<DiskShelf>,
    commits: VecDeque<(u64, Vec<(TenantId, Draft)>)>,
    under_way: Vec<Event>,
    to_start: Vec<cog_engine::Start>,
    /// Runs that runs began.
    born: Vec<RunId>,
    /// Runs that were to go on from others: those whose first entry was lost never were.
    pub(crate) forks: Vec<RunId>,
    pub(crate) counts: Summary,
    /// By how much the clock was set back, all in all.
    pub(crate) clock_back_ms: u64,
    lives: u64,
}

impl World {
    /// A world whose whole story follows from `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut dice = SeededEntropy::new(seed);
        let faults = Faults {
            crash: 20 + dice.below(200),
            commit: 30 + dice.below(300),
            transient: 4 + dice.below(30),
            failed: 10 + dice.below(100),
            unclear: 20 + dice.below(100),
            clock: 30 + dice.below(100),
            pause: 100 + dice.below(400),
            cancel: 100 + dice.below(400),
            fork: 10 + dice.below(150),
        };
        Self::with_faults(seed, faults)
    }

    /// A world that fails as often as `faults` says.
    #[must_use]
    pub fn with_faults(seed: u64, faults: Faults) -> Self {
        let mut dice = SeededEntropy::new(seed ^ 0x5EED);
        let start = Timestamp::from_micros(1_795_000_000_000_000);
        let clock = SimClock(Arc::new(AtomicI64::new(start.micros())));
        let tenant = TenantId::from_uuid(cog_base::id::Uuid::from_u128(7));
        let disk = Disk::new(seed ^ 0xD15C, faults.commit);
        let mut scenario = Scenario::new();
        let to_start = scenario.starts(&mut dice, start);
        let counts = Summary { runs: to_start.len() as u64, ..Summary::default() };
        Self {
            seed,
            tenant,
            scenario,
            outside: Outside::default(),
            engine: engine(tenant, &clock, seed),
            writer: writer(&disk),
            disk,
            dice,
            faults,
            clock,
            commits: VecDeque::new(),
            under_way: Vec::new(),
            to_start,
            born: Vec::new(),
            forks: Vec::new(),
            counts,
            clock_back_ms: 0,
            lives: 1,
        }
    }

    /// Go on until nothing is under way, people have answered and every run has ended.
    ///
    /// # Errors
    /// [`Broken`] when that never comes.
    pub fn run_until_quiet(&mut self) -> Result<(), Broken> {
        self.found()?;
        while self.step()? {
            self.counts.events += 1;
            if self.counts.events > EVENTS_MAX {
                return Err(self.broken("stuck: too many events"));
            }
        }
        Ok(())
    }

    /// The ledger as it stands, an entry a line.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let log = self.disk.log(self.tenant).unwrap_or_default();
        let line =
            |entry: &Arc<cog_ledger::Entry>| String::from_utf8_lossy(entry.bytes()).into_owned();
        log.entries().map(line).collect()
    }

    /// Put the scenario's canon in force.
    fn found(&mut self) -> Result<(), Broken> {
        let who = self.actor("user:cfo")?;
        let canon = Arc::clone(&self.scenario.canon);
        let draft = self.engine.change_control().found(&canon, "production", &who);
        let draft = draft.map_err(|error| self.broken(&error.to_string()))?;
        self.disk.heal();
        let now = self.clock.now();
        let schedules = schedule::settings(&self.scenario.all, &who);
        let drafts = std::iter::once(draft).chain(schedules);
        let drafts = drafts.map(|draft| (self.tenant, draft)).collect();
        let appended = self.writer.append(drafts, now, &mut self.dice);
        appended.map_err(|error| self.broken(&error.to_string()))?;
        self.disk.fail_again(self.faults.commit);
        self.boot()
    }

    pub(crate) fn actor(&self, text: &str) -> Result<Actor, Broken> {
        text.parse().map_err(|_| self.broken("bad actor"))
    }

    /// A number below another.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.dice.below(below)
    }

    pub(crate) fn new_run(&mut self) -> Result<RunId, Broken> {
        let id = RunId::new(self.clock.now(), &mut self.dice);
        id.map_err(|error| self.broken(&error.to_string()))
    }

    fn one_in(&mut self, rate: u64) -> bool {
        self.counts.crashes < CRASHES_MAX && self.dice.below(rate) == 0
    }

    /// One event, chosen by the dice. Says whether there was one.
    fn step(&mut self) -> Result<bool, Broken> {
        let micros = i64::try_from(self.dice.below(2_000)).unwrap_or(0);
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
        if self.one_in(self.faults.clock) {
            self.jump();
        }
        if self.one_in(self.faults.crash) {
            self.crash()?;
            return Ok(true);
        }
        if self.one_in(self.faults.cancel) {
            self.cancel()?;
        }
        if self.one_in(self.faults.pause) {
            self.pause()?;
        }
        if self.may_fork() && self.dice.below(self.faults.fork) == 0 {
            self.fork()?;
        }
        let choices = self.under_way.len() as u64
            + u64::from(!self.commits.is_empty())
            + u64::from(!self.to_start.is_empty());
        if choices == 0 {
            // Runs go on from those that are over, too.
            let forks = self.may_fork() && self.dice.below(4) > 0;
            return if forks { self.fork().map(|()| true) } else { Ok(false) };
        }
        let choice = self.dice.below(choices);
        if let Ok(place) = usize::try_from(choice)
            && place < self.under_way.len()
        {
            let event = self.under_way.swap_remove(place);
            self.happen(event)?;
        } else if self.commits.is_empty() || self.dice.below(4) == 0 && !self.to_start.is_empty() {
            if let Some(mut start) = self.to_start.pop() {
                let log = self.disk.log(self.tenant).unwrap_or_default();
                start.firing = schedule::firing(&log, &start, self.clock.now());
                // Some signals come before anybody waits for them.
                let (run, name) = (start.run, "payment".to_owned());
                if self.dice.below(3) == 0 {
                    self.under_way.push(Event::Signal { run, name });
                }
                self.handle(Input::Start(Box::new(start)))?;
            }
        } else {
            self.commit()?;
        }
        Ok(true)
    }

    /// The clock jumps forward by minutes, or back by seconds.
    fn jump(&mut self) {
        self.counts.faults += 1;
        let forward = self.dice.below(2) == 0;
        let jump = i64::try_from(self.dice.below(120_000_000)).unwrap_or(0);
        let jump = if forward { jump } else { -(jump / 30) };
        self.clock_back_ms += jump.min(0).unsigned_abs().div_ceil(1_000);
        self.clock.0.fetch_add(jump, Ordering::Relaxed);
    }

    /// Somebody holds one of the runs, if it is open.
    fn pause(&mut self) -> Result<(), Broken> {
        let Some(run) = self.some_run() else { return Ok(()) };
        let who = self.somebody()?;
        self.handle(Input::Pause { run, who, reason: "not now".to_owned() })
    }

    /// Somebody ends one of the runs, if it is open.
    fn cancel(&mut self) -> Result<(), Broken> {
        let Some(run) = self.some_run() else { return Ok(()) };
        let who = self.somebody()?;
        self.handle(Input::Cancel { run, who, reason: "not any more".to_owned() })
    }

    /// One of the runs, those that runs began among them.
    fn some_run(&mut self) -> Option<RunId> {
        let others = self.born.iter().chain(&self.forks).copied();
        let all = self.scenario.all.iter().map(|start| start.run).chain(others);
        let all: Vec<_> = all.collect();
        let place = usize::try_from(self.dice.below(all.len() as u64)).ok()?;
        all.get(place).copied()
    }

    /// Who wants to end a run: one time in two somebody who may not.
    fn somebody(&mut self) -> Result<Actor, Broken> {
        let entitled = self.dice.below(2) == 0;
        let people = if entitled { &MAY_END[..] } else { &MAY_NOT_END[..] };
        let place = usize::try_from(self.dice.below(people.len() as u64)).unwrap_or(0);
        self.actor(people.get(place).copied().unwrap_or_default())
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Effect { cleared } => self.effect(*cleared),
            Event::Probe { run, receipt, effect } => {
                let found = self.outside.probe(&effect);
                self.handle(Input::Probed { run, receipt, found })
            }
            Event::Timer { at, timer } => {
                let late = at.max(self.clock.now());
                self.clock.0.fetch_max(late.micros(), Ordering::Relaxed);
                self.handle(Input::Due(timer))
            }
            Event::Answer { run, approval } => {
                let who = self.actor("user:cfo")?;
                let no = self.dice.below(4) == 0;
                let verdict = if no { Err("not this time".into()) } else { Ok(()) };
                self.handle(Input::Answer { run, approval, who, verdict })
            }
            Event::Unpause { run } => {
                for who in [self.somebody()?, self.actor("user:operator")?] {
                    self.handle(Input::Unpause { run, who, reason: "now".to_owned() })?;
                }
                Ok(())
            }
            Event::Signal { run, name } => self.signal(run, name),
            Event::Place { place } => {
                let placed = Placed { base: String::new(), places: BTreeMap::new() };
                let (parent, run) = (place.parent, place.run);
                self.handle(Input::Placed { parent, run, placed: Ok(placed) })
            }
        }
    }

    /// Somebody sends a run a signal: one that fits, one that does not, or one again.
    fn signal(&mut self, run: RunId, name: String) -> Result<(), Broken> {
        let part = ["one", "two", "three"];
        let part = part.get(usize::try_from(self.dice.below(3)).unwrap_or(0)).unwrap_or(&"one");
        let payload = Value::map([("part", *part)]);
        let (id, from) = (format!("{name}-{part}"), "user:shop".to_owned());
        let signal = Signal { id, name, from, payload };
        self.handle(Input::Signal { run, sent: Box::new(Sent { signal, subject: None }) })
    }

    fn effect(&mut self, cleared: Cleared<AnyEffect>) -> Result<(), Broken> {
        let receipt = cleared.idempotency_key();
        if !self.disk.holds(self.tenant, &receipt.to_string()) {
            self.outside.unauthorised.insert(receipt);
        }
        if self.one_in(self.faults.crash) {
            // The process dies before the effect, or after it and before anyone knows.
            if self.dice.below(2) == 0 {
                self.outside.act(&cleared);
            }
            return self.crash();
        }
        let fate = if self.one_in(self.faults.transient) {
            Fate::Transient
        } else if self.one_in(self.faults.failed) {
            Fate::Failed
        } else if self.one_in(self.faults.unclear) {
            if self.dice.below(2) == 0 {
                self.counts.faults += 1;
                self.outside.act(&cleared);
                let lost = cleared.counterfoil().lost(Lapse::TimedOut);
                return self.handle(Input::Performed(Box::new(lost)));
            }
            Fate::Unclear
        } else {
            Fate::Done
        };
        self.counts.faults += u64::from(fate != Fate::Done);
        let performed = self.outside.perform(cleared, fate);
        self.handle(Input::Performed(Box::new(performed)))
    }

    /// Commit what waits, several appends at once, and answer them in order.
    fn commit(&mut self) -> Result<(), Broken> {
        let most = 1 + self.dice.below(8);
        let mut group = Vec::new();
        while (group.len() as u64) < most
            && let Some(append) = self.commits.pop_front()
        {
            group.push(append);
        }
        let sizes: Vec<_> = group.iter().map(|(ticket, drafts)| (*ticket, drafts.len())).collect();
        let drafts = group.into_iter().flat_map(|(_, drafts)| drafts).collect();
        let now = self.clock.now();
        match self.writer.append(drafts, now, &mut self.dice) {
            Ok(entries) => {
                let mut entries = entries.into_iter();
                for (ticket, size) in sizes {
                    let entries = entries.by_ref().take(size).collect();
                    self.handle(Input::Committed { ticket, entries })?;
                }
                Ok(())
            }
            // What was submitted behind a lost append depends on it: the program stops there,
            // and the next one goes on from what the ledger says.
            Err(_) => self.crash(),
        }
    }

    pub(crate) fn handle(&mut self, input: Input) -> Result<(), Broken> {
        let outputs = self.engine.handle(input);
        for output in outputs.map_err(|error| self.broken(&error.to_string()))? {
            match output {
                Output::Append { ticket, drafts } => self.commits.push_back((ticket, drafts)),
                Output::Perform { cleared, .. } => self.under_way.push(Event::Effect { cleared }),
                Output::Probe { run, receipt, effect } => {
                    self.under_way.push(Event::Probe { run, receipt, effect });
                }
                Output::Place(place) => self.under_way.push(Event::Place { place }),
                Output::Arm { timer, ms } => {
                    let at = self.clock.now().plus_ms(ms);
                    self.under_way.push(Event::Timer { at, timer });
                }
                Output::Notice(Notice {
                    run,
                    what: What::Parked { approvals, signals, paused, .. },
                }) => {
                    self.under_way.extend(paused.map(|_| Event::Unpause { run }));
                    let answers = approvals.into_iter();
                    self.under_way.extend(answers.map(|approval| Event::Answer { run, approval }));
                    for (_, name) in signals {
                        self.under_way.extend([(); 2].map(|()| {
                            let name = name.clone();
                            Event::Signal { run, name }
                        }));
                    }
                }
                Output::Notice(Notice { what: What::Begun { child, .. }, .. }) => {
                    self.born.push(child);
                }
                Output::Notice(Notice { run, what: What::Stopped { message } }) => {
                    return Err(self.broken(&format!("{run} is stopped: {message}")));
                }
                Output::Notice(_) => {}
            }
        }
        Ok(())
    }

    /// The process dies: all that was in memory is gone. Another one starts.
    fn crash(&mut self) -> Result<(), Broken> {
        self.counts.crashes += 1;
        self.counts.faults += 1;
        if self.counts.crashes >= CRASHES_MAX {
            self.disk.heal();
        }
        self.commits.clear();
        self.under_way.clear();
        self.lives += 1;
        self.boot()
    }

    /// Start from what the disk holds.
    fn boot(&mut self) -> Result<(), Broken> {
        self.writer = writer(&self.disk);
        self.engine = engine(self.tenant, &self.clock, self.seed.wrapping_add(self.lives << 32));
        self.engine.know(Arc::clone(&self.scenario.canon));
        let Some(log) = self.disk.log(self.tenant) else { return Ok(()) };
        for entry in log.entries() {
            self.engine.observe(entry);
        }
        let sessions = sessions(&log);
        // A run whose first entry was lost never was; whoever wanted it starts it again.
        let lost = self.scenario.all.iter().filter(|start| !sessions.contains_key(&start.run));
        let waiting: Vec<_> = self.to_start.iter().map(|start| start.run).collect();
        let again: Vec<_> = lost.filter(|start| !waiting.contains(&start.run)).cloned().collect();
        self.to_start.extend(again);
        for records in sessions.values() {
            self.engine.claim(records);
        }
        let sessions: BTreeMap<_, _> =
            sessions.keys().map(|run| (*run, history(&sessions, *run))).collect();
        for mut tree in trees(sessions) {
            let is_sealed = |records: &Vec<Record>| {
                own(records).iter().any(|it| it.entry.kind() == Kind::SessionSealed)
            };
            if !tree.iter().all(is_sealed) {
                let records = tree.remove(0);
                let is_ended = self.one_in(self.faults.cancel / 10) && !is_sealed(&records);
                let who = self.somebody()?;
                let cancel = is_ended.then(|| (who, "not any more".to_owned()));
                let resumption = Resumption { records, kin: tree, cancel };
                self.handle(Input::Resume(Box::new(resumption)))?;
            }
        }
        Ok(())
    }

    pub(crate) fn broken(&self, what: &str) -> Broken {
        Broken { seed: self.seed, what: what.to_owned() }
    }
}

/// The entries of each session with their bodies, oldest first.
pub(crate) fn sessions(log: &KeptLog) -> BTreeMap<RunId, Vec<Record>> {
    let mut sessions: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
    for sealed in &log.entries {
        let Some(session) = sealed.entry.session() else { continue };
        let text = sealed.body.as_ref().and_then(|body| std::str::from_utf8(&body.bytes).ok());
        let body = text.and_then(|text| parse(text).ok());
        let record = Record { entry: Arc::clone(&sealed.entry), body };
        sessions.entry(session).or_default().push(record);
    }
    sessions
}

/// The runs with those that they began, each behind the one that began it.
fn trees(sessions: BTreeMap<RunId, Vec<Record>>) -> Vec<Vec<Vec<Record>>> {
    let mut all: Vec<_> = sessions.into_iter().collect();
    all.sort_by_key(|(_, records)| own(records).first().map(|first| first.entry.seq()));
    let mut trees: Vec<(Vec<RunId>, Vec<Vec<Record>>)> = Vec::new();
    for (run, records) in all {
        let parent = own(&records).first().and_then(|first| Parent::of(&first.entry));
        let above = parent.and_then(|it| trees.iter_mut().find(|(runs, _)| runs.contains(&it.run)));
        match above {
            Some((runs, tree)) => {
                runs.push(run);
                tree.push(records);
            }
            None => trees.push((vec![run], vec![records])),
        }
    }
    trees.into_iter().map(|(_, tree)| tree).collect()
}

fn engine(tenant: TenantId, clock: &SimClock, seed: u64) -> Engine {
    let settings = Settings { tenant, status: TenantStatus::Active };
    Engine::new(settings, Arc::new(clock.clone()), Box::new(SeededEntropy::new(seed)))
}

fn writer(disk: &Disk) -> Writer<DiskShelf> {
    Writer::new(DiskShelf(disk.clone()), Box::new(DiskKeys(disk.clone())), "cognitionos/sim")
}

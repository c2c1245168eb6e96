//! The kernel as the program wires it: engine, committer, SQLite; with hands that are done
//! at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::json::parse;
use cog_base::{Clock as _, Micros, Value};
use cog_canon::Canon;
use cog_engine::driver::{Append, Reply};
use cog_engine::fork::{Forking, Past, place};
use cog_engine::replay::replay_run;
use cog_engine::{
    Driver, Engine, Hands, Inbox, Input, Ledger, Notice, Rebuilt, Record, Settings, Start, Terms,
};
use cog_flow::Flow;
use cog_gate::snapshot::{Access, TenantStatus};
use cog_gate::{Actor, AnyEffect, Cleared, Found};
use cog_ledger::{Draft, Writer};
use cog_store::{Committer, Recorded, Select, Store as _, Submission};
use cog_store_sqlite::{Mode, SqliteStore};

use crate::canons::{Generated, SHARED, Spread};
use crate::journal::TENANT;
use crate::meter::Samples;
use crate::options::Options;
use crate::system::{Scratch, SystemClock, SystemEntropy};

/// Policies of the canon that decides.
pub(crate) const POLICIES: u64 = 100;
/// The longest silence of the kernel before the bench gives up.
const SILENCE_MS: u64 = 10_000;

/// A running kernel.
pub(crate) struct Kernel {
    pub(crate) driver: Driver,
    pub(crate) committer: Committer,
    pub(crate) written: Arc<Written>,
    pub(crate) paces: Paces,
    flow: Arc<Flow>,
    source: String,
    entropy: SystemEntropy,
    store: SqliteStore,
    canon: Arc<Canon>,
    _scratch: Scratch,
}

/// What was appended so far.
#[derive(Default)]
pub(crate) struct Written {
    entries: AtomicU64,
    entry_bytes: AtomicU64,
    bodies: AtomicU64,
    body_bytes: AtomicU64,
}

/// [`Written`] at one moment: entries and their bytes, bodies and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) entries: u64,
    pub(crate) entry_bytes: u64,
    pub(crate) bodies: u64,
    pub(crate) body_bytes: u64,
}

impl Written {
    pub(crate) fn sums(&self) -> Sums {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Sums {
            entries: read(&self.entries),
            entry_bytes: read(&self.entry_bytes),
            bodies: read(&self.bodies),
            body_bytes: read(&self.body_bytes),
        }
    }
}

impl Kernel {
    /// A kernel over a fresh store, with a flow of so many steps in a row.
    pub(crate) fn open(options: &Options, steps: u64) -> anyhow::Result<Self> {
        Self::with(options, flow(steps))
    }

    /// The same with another flow.
    pub(crate) fn with(options: &Options, source: String) -> anyhow::Result<Self> {
        let scratch = Scratch::new(&options.data, "kernel")?;
        let entropy = Box::new(SystemEntropy::new());
        let store = SqliteStore::open(scratch.path(), Mode::ReadWrite, entropy)?;
        let writer = Writer::new(store.shelf()?, store.signing_keys()?, "cognitionos/bench");
        let clock = Arc::new(SystemClock);
        let committer = Committer::spawn(writer, clock.clone(), Box::new(SystemEntropy::new()));
        let settings = Settings { tenant: TENANT, status: TenantStatus::Active };
        let mut engine = Engine::new(settings, clock.clone(), Box::new(SystemEntropy::new()));
        let canon = found(&mut engine, &committer)?;
        let written = Arc::new(Written::default());
        let ledger = Counting { committer: committer.clone(), written: Arc::clone(&written) };
        let paces = Paces::default();
        let hands = Box::new(Instantly(paces.clone()));
        let driver = Driver::new(engine, Box::new(ledger), hands, clock);
        let flow = parsed(&source)?;
        Ok(Self {
            driver,
            committer,
            written,
            paces,
            flow: Arc::new(flow),
            source,
            entropy: SystemEntropy::new(),
            store,
            canon,
            _scratch: scratch,
        })
    }

    /// The entries of a run with their bodies.
    pub(crate) fn records(&self, run: RunId) -> anyhow::Result<Vec<Record>> {
        let scope = self.store.scope(TENANT)?;
        let record = |(entry, body): Recorded| {
            let body = body.map(|body| String::from_utf8(body.bytes));
            let body = body.transpose()?.map(|text| parse(&text)).transpose()?;
            Ok(Record { entry: Arc::new(entry), body })
        };
        let mut found = Vec::new();
        scope.each_record(Select::session(run), &mut |it| found.push(record(it)))?;
        found.into_iter().collect()
    }

    /// A run as whoever takes it up rebuilds it, page by page.
    pub(crate) fn rebuilt(&self, run: RunId) -> anyhow::Result<Rebuilt> {
        let scope = self.store.scope(TENANT)?;
        let own = self.canon.digest();
        let mut known = |digest| Ok((digest == own).then(|| Arc::clone(&self.canon)));
        Ok(Rebuilt::read(scope.as_ref(), run, &mut known, &mut |_| {})??)
    }

    /// Wait for something to happen and do what it leads to.
    pub(crate) fn turn(&mut self) -> anyhow::Result<Vec<Notice>> {
        let began = Instant::now();
        let notices = self.driver.turn(SILENCE_MS)?;
        if notices.is_empty() && began.elapsed() >= Duration::from_millis(SILENCE_MS) {
            bail!("the kernel has been silent for {SILENCE_MS} ms");
        }
        Ok(notices)
    }

    /// The runs that are started from now on are of this flow.
    pub(crate) fn turn_to(&mut self, source: String) -> anyhow::Result<()> {
        self.flow = Arc::new(parsed(&source)?);
        self.source = source;
        Ok(())
    }

    /// Start one more run.
    pub(crate) fn start(&mut self) -> anyhow::Result<RunId> {
        let run = RunId::new(SystemClock.now(), &mut self.entropy)?;
        self.driver.inbox().send(Input::Start(Box::new(Start {
            run,
            flow: Arc::clone(&self.flow),
            source: self.source.clone(),
            inputs: Default::default(),
            roots: [(SHARED.to_owned(), Access::Read)].into(),
            places: Default::default(),
            base: String::new(),
            initiator: "user:operator".parse()?,
            environment: Some("production".to_owned()),
            firing: None,
            labels: Default::default(),
            trigger: None,
            ask: Default::default(),
            keyed: None,
            is_queued: false,
        })));
        Ok(run)
    }

    /// Start a run that goes on from a step of another, from nothing in memory.
    pub(crate) fn fork(&mut self, of: RunId, from: &str) -> anyhow::Result<RunId> {
        let run = RunId::new(SystemClock.now(), &mut self.entropy)?;
        let mut records = self.records(of)?;
        let history = replay_run(&records)?;
        let fork = place(&records, &history, from)?;
        records.retain(|record| record.entry.seq() <= fork.seq);
        let others = |other| bail!("{of} goes on from {other}");
        let (past, _) = Past::take(records, Some(&history), others)??;
        let forking = Forking {
            run,
            fork,
            past,
            kin: Vec::new(),
            inputs: Default::default(),
            roots: [(SHARED.to_owned(), Access::Read)].into(),
            places: Default::default(),
            base: String::new(),
            initiator: "user:operator".parse()?,
        };
        self.driver.inbox().send(Input::Fork(Box::new(forking)));
        Ok(run)
    }
}

fn parsed(source: &str) -> anyhow::Result<Flow> {
    cog_flow::parse(source, "bench.yaml").map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// Put a generated canon in force.
fn found(engine: &mut Engine, committer: &Committer) -> anyhow::Result<Arc<Canon>> {
    let source = Generated::new(POLICIES, Spread::Scattered).source();
    let canon = Arc::new(Canon::load(&source).context("the generated canon")?);
    let who: Actor = "user:cfo".parse()?;
    let draft = engine.change_control().found(&canon, "production", &who)?;
    for entry in committer.append_blocking(vec![(TENANT, draft)])? {
        engine.observe(&entry);
    }
    engine.know(Arc::clone(&canon));
    Ok(canon)
}

/// Steps in a row, each after the one before it.
pub(crate) fn flow(steps: u64) -> String {
    let head = format!(
        "name: bench\ndomain: bench\nroots: {{ {SHARED}: {{ path: ., access: read }} }}\nsteps:\n"
    );
    let step = |number: u64| {
        let needs = match number {
            0 => String::new(),
            later => format!("needs: [step-{}], ", later - 1),
        };
        format!(
            "  - {{ id: step-{number}, {needs}as: \"agent:a{}\", uses: file.read, \
             with: {{ root: {SHARED}, path: in/{number}.txt }} }}\n",
            number % 4
        )
    };
    head + &(0..steps).map(step).collect::<String>()
}

/// The times from one effect of a run to the next: what a governed step takes.
#[derive(Clone, Default)]
pub(crate) struct Paces(Arc<Mutex<(HashMap<RunId, Instant>, Samples)>>);

impl Paces {
    fn note(&self, run: RunId) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(last) = paces.0.insert(run, now) {
            paces.1.note(now - last);
        }
    }

    /// The times since this was last called.
    pub(crate) fn take(&self) -> Samples {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut paces.1)
    }

    /// A run is over.
    pub(crate) fn forget(&self, run: RunId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.remove(&run);
    }
}

/// Hands whose effects take no time.
pub(crate) struct Instantly(pub(crate) Paces);

impl Hands for Instantly {
    fn perform(&self, run: RunId, cleared: Cleared<AnyEffect>, _terms: Terms, inbox: Inbox) {
        self.0.note(run);
        let output = Value::map([
            ("path", Value::from("in/1.txt")),
            ("kind", "file".into()),
            ("bytes", 5_u64.into()),
            ("text", "hello".into()),
        ]);
        inbox.send(Input::Performed(Box::new(cleared.done(output, Micros::ZERO))));
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, _effect: AnyEffect, inbox: Inbox) {
        inbox.send(Input::Probed { run, receipt, found: Found::CannotTell });
    }
}

/// The committer as the engine's ledger, with what it wrote.
struct Counting {
    committer: Committer,
    written: Arc<Written>,
}

impl Ledger for Counting {
    fn submit(&self, drafts: Vec<(TenantId, Draft)>, reply: Reply) {
        self.submit_all(vec![(drafts, reply)]);
    }

    fn submit_all(&self, appends: Vec<Append>) {
        self.committer.submit_all(appends.into_iter().map(|append| self.count(append)));
    }
}

impl Counting {
    fn count(&self, (drafts, reply): Append) -> Submission {
        let add = |sum: &AtomicU64, count: usize| sum.fetch_add(count as u64, Ordering::Relaxed);
        for body in drafts.iter().filter_map(|(_, draft)| draft.body.as_ref()) {
            add(&self.written.bodies, 1);
            add(&self.written.body_bytes, body.bytes.len());
        }
        let written = Arc::clone(&self.written);
        let answer = move |result: Result<Vec<cog_ledger::Durable<cog_ledger::Entry>>, _>| {
            for entry in result.iter().flatten() {
                written.entries.fetch_add(1, Ordering::Relaxed);
                written.entry_bytes.fetch_add(entry.bytes().len() as u64, Ordering::Relaxed);
            }
            reply(result.map_err(|error: Arc<cog_ledger::AppendError>| error.to_string()));
        };
        (drafts, Box::new(answer))
    }
}

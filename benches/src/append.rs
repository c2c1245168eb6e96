//! Appends through the ledger's writer and the SQLite store: hashed, signed, indexed, synced.

use std::time::{Duration, Instant};

use cog_base::Clock as _;
use cog_ledger::{Durable, Entry, Shelf, Writer};
use cog_store::Store as _;
use cog_store_sqlite::{Mode, SqliteStore};

use crate::bare::{self, Shape};
use crate::journal::Journal;
use crate::meter::{Figures, Samples};
use crate::options::Options;
use crate::report::{Row, rounded};
use crate::system::{Scratch, SystemClock, SystemEntropy};
use crate::usage;

const BATCHES: [u64; 5] = [1, 16, 64, 256, 1_024];

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for bodies in [false, true] {
        for batch in BATCHES {
            let name =
                format!("{batch} a batch, {} bodies", if bodies { "with" } else { "without" });
            if options.wants_case(&name) {
                rows.push(case(name, batch, bodies, options)?);
            }
        }
    }
    Ok(rows)
}

fn case(name: String, batch: u64, bodies: bool, options: &Options) -> anyhow::Result<Row> {
    let mut appending = Appending::open(options, bodies)?;
    usage::forget_peak();
    appending.run(batch, options.seconds / 10.0)?;
    appending.forget();
    let written = usage::bytes_written();
    appending.run(batch, options.seconds)?;
    let written = usage::bytes_written().saturating_sub(written);
    let count = appending.entries.max(1) as f64;
    let shape = Shape {
        entries: batch as f64,
        entry_bytes: appending.entry_bytes as f64 / count,
        bodies: if bodies { batch as f64 } else { 0.0 },
        body_bytes: appending.body_bytes as f64 / count,
        operations: batch as f64,
    };
    let syncs = appending.batches.len();
    let figures = appending.figures();
    let row = Row::new(name, "entry", figures).timed("batch");
    let floor = bare::measure(options, shape)?;
    Ok(row
        .parameter("batch", batch)
        .parameter("bodies", bodies)
        .more("entry_bytes", rounded(shape.entry_bytes))
        .more("body_bytes", rounded(shape.body_bytes))
        .more("syncs", syncs)
        .more("written_bytes_per_entry", rounded(written as f64 / count))
        .floor("bare SQLite, same bytes", floor))
}

/// A writer over a fresh store, and what it did so far.
struct Appending {
    writer: Writer<Box<dyn Shelf + Send>>,
    journal: Journal,
    entropy: SystemEntropy,
    batches: Samples,
    entries: u64,
    entry_bytes: u64,
    body_bytes: u64,
    wall: Duration,
    cpu: Duration,
    _store: SqliteStore,
    _scratch: Scratch,
}

impl Appending {
    fn open(options: &Options, bodies: bool) -> anyhow::Result<Self> {
        let scratch = Scratch::new(&options.data, "append")?;
        let entropy = Box::new(SystemEntropy::new());
        let store = SqliteStore::open(scratch.path(), Mode::ReadWrite, entropy)?;
        let mut writer = Writer::new(store.shelf()?, store.signing_keys()?, "cognitionos/bench");
        let (journal, mut entropy) = (Journal::new(bodies), SystemEntropy::new());
        writer.append(vec![journal.founding()], SystemClock.now(), &mut entropy)?;
        Ok(Self {
            writer,
            journal,
            entropy,
            batches: Samples::default(),
            entries: 0,
            entry_bytes: 0,
            body_bytes: 0,
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            _store: store,
            _scratch: scratch,
        })
    }

    fn forget(&mut self) {
        self.batches = Samples::default();
        (self.entries, self.entry_bytes, self.body_bytes) = (0, 0, 0);
        (self.wall, self.cpu) = (Duration::ZERO, Duration::ZERO);
    }

    /// Append for so long. Making the drafts takes no part in any figure.
    fn run(&mut self, batch: u64, seconds: f64) -> anyhow::Result<()> {
        let end = self.wall + Duration::from_secs_f64(seconds);
        while self.wall < end {
            let own = usage::cpu_of_thread();
            let all = usage::cpu();
            let drafts = self.journal.take(batch)?;
            let bodies = drafts.iter().filter_map(|(_, draft)| draft.body.as_ref());
            self.body_bytes += bodies.map(|body| body.bytes.len() as u64).sum::<u64>();
            let making = usage::cpu_of_thread().saturating_sub(own);
            let began = Instant::now();
            let entries = self.writer.append(drafts, SystemClock.now(), &mut self.entropy)?;
            let time = began.elapsed();
            let cpu = usage::cpu().saturating_sub(all).saturating_sub(making);
            self.note(&entries, time, cpu);
        }
        Ok(())
    }

    fn note(&mut self, entries: &[Durable<Entry>], time: Duration, cpu: Duration) {
        self.batches.note(time);
        self.wall += time;
        self.cpu += cpu;
        self.entries += entries.len() as u64;
        self.entry_bytes += entries.iter().map(|entry| entry.bytes().len() as u64).sum::<u64>();
    }

    fn figures(self) -> Figures {
        self.batches.figures(self.entries, self.wall, self.cpu)
    }
}

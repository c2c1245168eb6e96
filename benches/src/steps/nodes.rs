//! Governed durable steps of nodes that share a PostgreSQL. Runs are asked for by mail, and all of
//! that is counted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cog_base::id::RunId;

use super::STEPS;
use crate::bare::Shape;
use crate::kernel::{POLICIES, flow};
use crate::meter::{Figures, Samples};
use crate::options::Options;
use crate::report::{Row, rounded};
use crate::server::{self, Kept};
use crate::town::{Heard, Town, missing, tenant};
use crate::usage;

/// Tenants where nodes are compared: each is one node's at a time.
const TENANTS: u64 = 16;

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    at_once: usize,
    tenants: u64,
    nodes: u64,
}

const CASES: [Case; 2] = [
    Case { name: "1 run alone on a node", at_once: 1, tenants: 1, nodes: 1 },
    Case { name: "64 runs at once on a node", at_once: 64, tenants: 1, nodes: 1 },
];

pub(super) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let some = |name, nodes| Case { name, at_once: 64, tenants: TENANTS, nodes };
    let one = some("64 runs of 16 tenants, one node", 1);
    let more = options.nodes.map(|nodes| some("64 runs of 16 tenants, more nodes", nodes));
    let cases = CASES.into_iter().chain(more.map(|_| one)).chain(more);
    let mut rows = Vec::new();
    for each in cases.filter(|it| options.wants_case(it.name)) {
        match missing() {
            Some(why) => rows.push(Row::skipped(each.name, "step", why)),
            None => rows.extend(case(each, options)?),
        }
    }
    Ok(rows)
}

/// What a window of time came to.
struct Measured {
    steps: Figures,
    runs: Figures,
    asked: Samples,
    /// The server's part of the CPU.
    server: Duration,
    steps_per_commit: f64,
    syncs: u64,
    /// All steps, also those before and after the window, and what is kept of them.
    all: u64,
    kept: Kept,
}

fn case(case: Case, options: &Options) -> anyhow::Result<[Row; 2]> {
    let mut town = Town::new()?;
    let before = server::kept(&town.database)?;
    for _ in 0..case.nodes {
        town.node(|_| {})?;
    }
    town.found(case.tenants)?;
    usage::forget_peak();
    let mut measured = Watch::new(&mut town, case).measure(options.seconds)?;
    let peak = usage::peak_rss_bytes();
    town.stop();
    measured.kept = server::kept(&town.database)?.less(before);
    let shape = measured.shape();
    let floor = server::floor(options, &town.database, town.server, shape)?;
    let full = Shape { operations: case.at_once as f64, ..shape };
    let factor = full.operations / shape.operations.max(1e-9);
    let full = Shape { entries: shape.entries * factor, bodies: shape.bodies * factor, ..full };
    let full = server::floor(options, &town.database, town.server, full)?;
    let Measured { steps, runs, asked, server, steps_per_commit, syncs, all, kept } = measured;
    let (count, all) = (steps.operations.max(1) as f64, all.max(1) as f64);
    let asked = asked.figures(0, Duration::ZERO, Duration::ZERO);
    let row = |what: &str, unit, figures| {
        let name = format!("{}, {what}", case.name);
        Row { peak_rss_bytes: peak, ..Row::new(name, unit, figures) }
            .parameter("store", "postgres")
            .parameter("nodes", case.nodes)
            .parameter("tenants", case.tenants)
            .parameter("runs_at_once", case.at_once)
            .parameter("policies", POLICIES)
    };
    let step = row("step", "step", steps)
        .more("server_cpu_us_per_step", rounded(server.as_secs_f64() * 1e6 / count))
        .more("ledger_syncs_per_step", rounded(syncs as f64 / count))
        .more("syncs_per_step", rounded(kept.syncs / all))
        .more("steps_per_commit", rounded(steps_per_commit))
        .more("entries_per_step", rounded(kept.entries / all))
        .more("entry_bytes_per_step", rounded(kept.entry_bytes / all))
        .more("body_bytes_per_step", rounded(kept.body_bytes / all))
        .more("written_bytes_per_step", rounded(kept.wal_bytes / all))
        .floor("bare commits, same rows and bytes", floor)
        .floor("bare commits, a step of every run", full);
    let run = row("run", "run", runs)
        .parameter("steps", STEPS)
        .more("asked_p50_us", rounded(asked.p50_us))
        .more("asked_p99_us", rounded(asked.p99_us));
    Ok([step, run])
}

impl Measured {
    /// What a commit had on average.
    fn shape(&self) -> Shape {
        let Kept { entries, entry_bytes, bodies, body_bytes, .. } = self.kept;
        let all = self.all.max(1) as f64;
        Shape {
            entries: entries / all * self.steps_per_commit,
            entry_bytes: entry_bytes / entries.max(1.0),
            bodies: bodies / all * self.steps_per_commit,
            body_bytes: body_bytes / bodies.max(1.0),
            operations: self.steps_per_commit,
        }
    }
}

/// Asks for runs and notes when what is over.
struct Watch<'a> {
    town: &'a mut Town,
    case: Case,
    source: String,
    /// When each run was asked for.
    open: HashMap<RunId, Instant>,
    /// How many runs were asked for.
    begun: u64,
    runs: Samples,
    asked: Samples,
    settled: u64,
    sealed: u64,
    all: u64,
}

impl<'a> Watch<'a> {
    fn new(town: &'a mut Town, case: Case) -> Self {
        let (runs, asked, open) = (Samples::default(), Samples::default(), HashMap::new());
        let source = flow(STEPS);
        Self { town, case, source, open, begun: 0, runs, asked, settled: 0, sealed: 0, all: 0 }
    }

    /// Keep so many runs going: until each tenant had one, and a tenth of the time to warm up;
    /// then for so many seconds.
    fn measure(mut self, seconds: f64) -> anyhow::Result<Measured> {
        while self.begun < 2 * self.case.tenants {
            self.keep_going(seconds / 10.0)?;
        }
        (self.runs, self.asked) = Default::default();
        (self.settled, self.sealed) = (0, 0);
        drop(self.town.paces.take());
        let stats = self.town.stats();
        let (cpu, server, began) = (usage::cpu(), self.town.server.cpu(), Instant::now());
        self.keep_going(seconds)?;
        let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
        let server = self.town.server.cpu().saturating_sub(server);
        let stats = super::minus(self.town.stats(), stats);
        let (paces, settled, cpu) = (self.town.paces.take(), self.settled, cpu + server);
        let asked = std::mem::take(&mut self.asked);
        let runs = std::mem::take(&mut self.runs).figures(self.sealed, wall, cpu);
        while !self.open.is_empty() {
            self.hear()?;
        }
        Ok(Measured {
            steps: paces.figures(settled, wall, cpu),
            runs,
            asked,
            server,
            steps_per_commit: settled as f64 / stats.batches.max(1) as f64,
            syncs: stats.syncs,
            all: self.all,
            kept: Kept::default(),
        })
    }

    fn keep_going(&mut self, seconds: f64) -> anyhow::Result<()> {
        let (began, time) = (Instant::now(), Duration::from_secs_f64(seconds));
        while began.elapsed() < time {
            while self.open.len() < self.case.at_once {
                let tenant = tenant(self.begun % self.case.tenants);
                let now = Instant::now();
                let run = self.town.start(tenant, &self.source)?;
                self.open.insert(run, now);
                self.begun += 1;
            }
            self.hear()?;
        }
        Ok(())
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        match self.town.hear()? {
            Heard::Asked { took } => self.asked.note(took),
            Heard::Settled { .. } => (self.settled, self.all) = (self.settled + 1, self.all + 1),
            Heard::Sealed { run, at, .. } => {
                self.sealed += 1;
                self.town.paces.forget(run);
                if let Some(began) = self.open.remove(&run) {
                    self.runs.note(at - began);
                }
            }
            Heard::Waits | Heard::Left(_) | Heard::Odd(_) => {}
        }
        Ok(())
    }
}

//! Governed durable steps: intent, decision, receipt, effect, outcome, all synced.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use cog_base::id::RunId;
use cog_engine::{Notice, What};
use cog_store::Stats;

use crate::bare::{self, Shape};
use crate::kernel::{Kernel, POLICIES, Sums};
use crate::meter::{Figures, Samples};
use crate::options::{Kept, Options};
use crate::report::{Row, rounded};
use crate::{usage, waiting};

mod nodes;

/// Steps of a run.
const STEPS: u64 = 10;

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for at_once in [1, 64] {
        let name = if at_once == 1 { "1 run alone" } else { "64 runs at once" };
        if options.wants_store(Kept::Sqlite) && options.wants_case(name) {
            rows.extend(case(name, at_once, options)?);
        }
    }
    if options.wants_store(Kept::Postgres) {
        rows.extend(nodes::run(options)?);
    }
    Ok(rows)
}

fn case(name: &str, at_once: u64, options: &Options) -> anyhow::Result<[Row; 2]> {
    let mut kernel = Kernel::open(options, STEPS)?;
    usage::forget_peak();
    let measured = Watch::new(&mut kernel).measure(at_once, options.seconds)?;
    let peak = usage::peak_rss_bytes();
    drop(kernel);
    let [one, same, full] = measured.shapes(at_once);
    let Measured { steps, runs, stats, sums, written } = measured;
    let count = steps.operations.max(1) as f64;
    let waits = waiting::measure(options, one, at_once)?;
    let floor = bare::measure(options, same)?;
    let full = bare::measure(options, full)?;
    // A run takes as many commits in a row as it has steps, and one more.
    let run_floor = floor.clone().map(|floor| Figures {
        p50_us: floor.p50_us * (STEPS + 1) as f64,
        p99_us: floor.p99_us * (STEPS + 1) as f64,
        throughput_per_s: floor.throughput_per_s / STEPS as f64,
        cpu_us_per_op: floor.cpu_us_per_op * STEPS as f64,
        ..floor
    });
    let step = Row { peak_rss_bytes: peak, ..Row::new(format!("{name}, step"), "step", steps) }
        .parameter("store", "sqlite")
        .parameter("runs_at_once", at_once)
        .parameter("policies", POLICIES)
        .more("syncs_per_step", rounded(stats.syncs as f64 / count))
        .more("steps_per_commit", rounded(count / stats.batches.max(1) as f64))
        .more("entries_per_step", rounded(sums.entries as f64 / count))
        .more("entry_bytes_per_step", rounded(sums.entry_bytes as f64 / count))
        .more("body_bytes_per_step", rounded(sums.body_bytes as f64 / count))
        .more("written_bytes_per_step", rounded(written as f64 / count))
        .floor("runs that only wait for commits", waits)
        .floor("bare commits, same rows and bytes", floor)
        .floor("bare commits, a step of every run", full);
    let run = Row { peak_rss_bytes: peak, ..Row::new(format!("{name}, run"), "run", runs) }
        .parameter("steps", STEPS)
        .floor("as many bare commits in a row", run_floor);
    Ok([step, run])
}

/// What a window of time came to.
struct Measured {
    /// A step's time is that from one effect of its run to the next.
    steps: Figures,
    runs: Figures,
    stats: Stats,
    sums: Sums,
    written: u64,
}

impl Measured {
    /// What a step had on average, what a commit had, and what a commit would have with a step
    /// of every run in it.
    fn shapes(&self, at_once: u64) -> [Shape; 3] {
        let commits = self.stats.batches.max(1) as f64;
        let Sums { entries, entry_bytes, bodies, body_bytes } = self.sums;
        let same = Shape {
            entries: entries as f64 / commits,
            entry_bytes: entry_bytes as f64 / entries.max(1) as f64,
            bodies: bodies as f64 / commits,
            body_bytes: body_bytes as f64 / bodies.max(1) as f64,
            operations: self.steps.operations as f64 / commits,
        };
        let steps = |count: f64| {
            let factor = count / same.operations.max(1e-9);
            let (entries, bodies) = (same.entries * factor, same.bodies * factor);
            Shape { entries, bodies, operations: count, ..same }
        };
        [steps(1.0), same, steps(at_once as f64)]
    }
}

/// Drives a kernel and notes when what is over.
struct Watch<'a> {
    kernel: &'a mut Kernel,
    /// When each open run began.
    open: HashMap<RunId, Instant>,
    runs: Samples,
    settled: u64,
    sealed: u64,
}

impl<'a> Watch<'a> {
    fn new(kernel: &'a mut Kernel) -> Self {
        Self { kernel, open: HashMap::new(), runs: Samples::default(), settled: 0, sealed: 0 }
    }

    /// Keep so many runs going: a tenth of the time to warm up, then for so many seconds.
    fn measure(mut self, at_once: u64, seconds: f64) -> anyhow::Result<Measured> {
        self.keep_going(at_once, seconds / 10.0)?;
        (self.runs, self.settled, self.sealed) = (Samples::default(), 0, 0);
        drop(self.kernel.paces.take());
        let (stats, sums) = (self.kernel.committer.stats(), self.kernel.written.sums());
        let (written, cpu, began) = (usage::bytes_written(), usage::cpu(), Instant::now());
        self.keep_going(at_once, seconds)?;
        let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
        let written = usage::bytes_written().saturating_sub(written);
        let (stats, sums) =
            (minus(self.kernel.committer.stats(), stats), less(self.kernel.written.sums(), sums));
        let paces = self.kernel.paces.take();
        self.drain()?;
        Ok(Measured {
            steps: paces.figures(self.settled, wall, cpu),
            runs: self.runs.figures(self.sealed, wall, cpu),
            stats,
            sums,
            written,
        })
    }

    fn keep_going(&mut self, at_once: u64, seconds: f64) -> anyhow::Result<()> {
        let (began, time) = (Instant::now(), Duration::from_secs_f64(seconds));
        while began.elapsed() < time {
            while (self.open.len() as u64) < at_once {
                let now = Instant::now();
                let run = self.kernel.start()?;
                self.open.insert(run, now);
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Let what goes on end.
    fn drain(&mut self) -> anyhow::Result<()> {
        while !self.open.is_empty() {
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        self.kernel.turn()?.into_iter().try_for_each(|notice| self.note(notice))
    }

    fn note(&mut self, notice: Notice) -> anyhow::Result<()> {
        let now = Instant::now();
        match notice.what {
            What::Settled { disposition: "completed", .. } => self.settled += 1,
            What::Sealed(sealed) if sealed.status == "completed" => {
                self.sealed += 1;
                self.kernel.paces.forget(notice.run);
                if let Some(began) = self.open.remove(&notice.run) {
                    self.runs.note(now - began);
                }
            }
            What::Started { .. } | What::Permitted { .. } => {}
            What::Settled { .. }
            | What::Sealed(_)
            | What::Refused { .. }
            | What::Queued { .. }
            | What::Called
            | What::Unqueued { .. }
            | What::Asked { .. }
            | What::Escalated { .. }
            | What::Waiting { .. }
            | What::Retried { .. }
            | What::Planned { .. }
            | What::NotCounted { .. }
            | What::Fell { .. }
            | What::Sleeping { .. }
            | What::Begun { .. }
            | What::Given { .. }
            | What::Listening { .. }
            | What::Signalled { .. }
            | What::NotTaken { .. }
            | What::Held { .. }
            | What::NotPaused { .. }
            | What::NotGranted { .. }
            | What::EndsAlready { .. }
            | What::Parked { .. }
            | What::NotBegun { .. }
            | What::Stopped { .. } => bail!("a run did not go as it should: {:?}", notice.what),
        }
        Ok(())
    }
}

fn minus(after: Stats, before: Stats) -> Stats {
    Stats {
        batches: after.batches - before.batches,
        submissions: after.submissions - before.submissions,
        entries: after.entries - before.entries,
        syncs: after.syncs - before.syncs,
        retries: after.retries - before.retries,
    }
}

fn less(after: Sums, before: Sums) -> Sums {
    Sums {
        entries: after.entries - before.entries,
        entry_bytes: after.entry_bytes - before.entry_bytes,
        bodies: after.bodies - before.bodies,
        body_bytes: after.body_bytes - before.body_bytes,
    }
}

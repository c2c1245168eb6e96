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
use crate::options::Options;
use crate::report::{Row, rounded};
use crate::usage;

/// Steps of a run.
const STEPS: u64 = 10;
/// Bytes of the one row that a step is at the least.
const ROW_BYTES: f64 = 220.0;
/// The longest silence of the kernel before the bench gives up.
const SILENCE_MS: u64 = 10_000;

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for at_once in [1, 64] {
        let name = if at_once == 1 { "1 run alone" } else { "64 runs at once" };
        if options.wants_case(name) {
            rows.extend(case(name, at_once, options)?);
        }
    }
    Ok(rows)
}

fn case(name: &str, at_once: u64, options: &Options) -> anyhow::Result<[Row; 2]> {
    let mut kernel = Kernel::open(options, STEPS)?;
    usage::forget_peak();
    let measured = Watch::new(&mut kernel).measure(at_once, options.seconds)?;
    let peak = usage::peak_rss_bytes();
    drop(kernel);
    let [same, least] = measured.shapes(at_once);
    let Measured { steps, runs, stats, sums, written } = measured;
    let count = steps.operations.max(1) as f64;
    let floor = bare::measure(&options.data, same, options.seconds)?;
    let least = bare::measure(&options.data, least, options.seconds)?;
    let in_steps = |figures: &Figures, factor: f64| Figures {
        p50_us: figures.p50_us * factor,
        p99_us: figures.p99_us * factor,
        ..figures.clone()
    };
    // A run takes as many commits in a row as it has receipts and outcomes, and two more.
    let commits = (STEPS + 1) as f64;
    let run_floor = Figures {
        throughput_per_s: floor.throughput_per_s / STEPS as f64,
        cpu_us_per_op: floor.cpu_us_per_op * STEPS as f64,
        ..in_steps(&floor, commits)
    };
    let step = Row { peak_rss_bytes: peak, ..Row::new(format!("{name}, step"), "step", steps) }
        .parameter("runs_at_once", at_once)
        .parameter("policies", POLICIES)
        .more("syncs_per_step", rounded(stats.syncs as f64 / count))
        .more("steps_per_commit", rounded(count / stats.batches.max(1) as f64))
        .more("entries_per_step", rounded(sums.entries as f64 / count))
        .more("entry_bytes_per_step", rounded(sums.entry_bytes as f64 / count))
        .more("body_bytes_per_step", rounded(sums.body_bytes as f64 / count))
        .more("written_bytes_per_step", rounded(written as f64 / count))
        .floor("bare commits, same rows and bytes", floor)
        .floor("bare commits, one 220-byte row", least);
    let run = Row { peak_rss_bytes: peak, ..Row::new(format!("{name}, run"), "run", runs) }
        .parameter("steps", STEPS)
        .floor("as many bare commits in a row", run_floor);
    Ok([step, run])
}

/// What a window of time came to.
struct Measured {
    /// A step's time is that from one outcome of its run to the next.
    steps: Figures,
    runs: Figures,
    stats: Stats,
    sums: Sums,
    written: u64,
}

impl Measured {
    /// What a commit had on average, and the least that a step could be: one small row, one
    /// commit for as many steps as there are runs.
    fn shapes(&self, at_once: u64) -> [Shape; 2] {
        let commits = self.stats.batches.max(1) as f64;
        let Sums { entries, entry_bytes, bodies, body_bytes } = self.sums;
        let same = Shape {
            entries: entries as f64 / commits,
            entry_bytes: entry_bytes as f64 / entries.max(1) as f64,
            bodies: bodies as f64 / commits,
            body_bytes: body_bytes as f64 / bodies.max(1) as f64,
            operations: self.steps.operations as f64 / commits,
        };
        let rows = at_once as f64;
        let least = Shape {
            entries: rows,
            entry_bytes: ROW_BYTES,
            bodies: 0.0,
            body_bytes: 0.0,
            operations: rows,
        };
        [same, least]
    }
}

/// Drives a kernel and notes when what is over.
struct Watch<'a> {
    kernel: &'a mut Kernel,
    /// When each open run began, and when its last step ended.
    open: HashMap<RunId, (Instant, Instant)>,
    steps: Samples,
    runs: Samples,
    settled: u64,
    sealed: u64,
}

impl<'a> Watch<'a> {
    fn new(kernel: &'a mut Kernel) -> Self {
        let (steps, runs) = (Samples::default(), Samples::default());
        Self { kernel, open: HashMap::new(), steps, runs, settled: 0, sealed: 0 }
    }

    /// Keep so many runs going: a tenth of the time to warm up, then for so many seconds.
    fn measure(mut self, at_once: u64, seconds: f64) -> anyhow::Result<Measured> {
        self.keep_going(at_once, seconds / 10.0)?;
        (self.steps, self.runs) = (Samples::default(), Samples::default());
        (self.settled, self.sealed) = (0, 0);
        let (stats, sums) = (self.kernel.committer.stats(), self.kernel.written.sums());
        let (written, cpu, began) = (usage::bytes_written(), usage::cpu(), Instant::now());
        self.keep_going(at_once, seconds)?;
        let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
        let written = usage::bytes_written().saturating_sub(written);
        let (stats, sums) =
            (minus(self.kernel.committer.stats(), stats), less(self.kernel.written.sums(), sums));
        self.drain()?;
        Ok(Measured {
            steps: self.steps.figures(self.settled, wall, cpu),
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
                self.open.insert(run, (now, now));
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
        let began = Instant::now();
        let notices = self.kernel.driver.turn(SILENCE_MS)?;
        if notices.is_empty() && began.elapsed() >= Duration::from_millis(SILENCE_MS) {
            bail!("the kernel has been silent for {SILENCE_MS} ms");
        }
        notices.into_iter().try_for_each(|notice| self.note(notice))
    }

    fn note(&mut self, notice: Notice) -> anyhow::Result<()> {
        let now = Instant::now();
        match notice.what {
            What::Settled { disposition: "completed", .. } => {
                self.settled += 1;
                if let Some((_, last)) = self.open.get_mut(&notice.run) {
                    self.steps.note(now - std::mem::replace(last, now));
                }
            }
            What::Sealed(sealed) if sealed.status == "completed" => {
                self.sealed += 1;
                if let Some((began, _)) = self.open.remove(&notice.run) {
                    self.runs.note(now - began);
                }
            }
            What::Started { .. } | What::Permitted { .. } => {}
            What::Settled { .. }
            | What::Sealed(_)
            | What::Refused { .. }
            | What::Asked { .. }
            | What::Waiting { .. }
            | What::Retried { .. }
            | What::Planned { .. }
            | What::NotCounted { .. }
            | What::Parked { .. }
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

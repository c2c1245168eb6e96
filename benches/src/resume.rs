//! The state of a long run, worked out from its entries: what taking it up again costs, a snapshot
//! of it, and a run that goes on from its last step.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::What;
use cog_engine::replay::replay_run;
use cog_engine::snapshot::Snapshot;

use crate::canons::SHARED;
use crate::kernel::Kernel;
use crate::meter::{Figures, Samples};
use crate::options::Options;
use crate::report::Row;
use crate::usage;

/// Steps of the runs, in thousands: their entries are twice as many.
const THOUSANDS: [u64; 3] = [2, 10, 50];

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for thousands in THOUSANDS.into_iter().filter(|it| !options.quick || *it <= 10) {
        let steps = thousands * 1_000;
        if options.wants_case(&name(steps)) {
            rows.extend(case(thousands, options)?);
        }
    }
    Ok(rows)
}

fn name(steps: u64) -> String {
    format!("a run of {steps} steps")
}

fn case(thousands: u64, options: &Options) -> anyhow::Result<[Row; 4]> {
    let mut kernel = Kernel::with(options, flow(thousands))?;
    let run = kernel.start()?;
    drive(&mut kernel, run)?;
    usage::forget_peak();
    let before = usage::rss_bytes(std::process::id());
    let (rebuilt, taken) = timed(|| kernel.rebuilt(run))?;
    ensure!(rebuilt.history().is_sealed(), "the run that was taken up is not over");
    let lean = usage::peak_rss_bytes();
    let held = usage::rss_bytes(std::process::id()).saturating_sub(before);
    drop(rebuilt);
    usage::forget_peak();
    let (records, read) = timed(|| kernel.records(run))?;
    let (entries, peak) = (records.len() as u64, usage::peak_rss_bytes());
    let (history, fed) = timed(|| Ok(replay_run(&records)?))?;
    ensure!(history.is_sealed(), "the run that was worked out is not over");
    drop(history);
    let peak = peak.max(usage::peak_rss_bytes());
    let last = records.last().context("a run without entries")?.entry.seq();
    let (snapshot, shown) = timed(|| Ok(Snapshot::of(&records, last)?))?;
    let digest = snapshot.digest().to_string();
    drop((records, snapshot));
    let forked = forked(&mut kernel, (run, thousands))?;
    let per = |took: (Duration, Duration)| figures(entries, took);
    let row = |what: &str, took| {
        let row = Row::new(format!("{}, {what}", name(thousands * 1_000)), "entry", per(took));
        Row { peak_rss_bytes: peak, ..row.timed("run") }
            .parameter("entries", entries)
            .floor("reading entries and bodies", Some(per(read)))
    };
    let whole = Row::new(format!("{}, taken up", name(thousands * 1_000)), "entry", per(taken));
    let whole = Row { peak_rss_bytes: lean, ..whole.timed("run") }
        .parameter("entries", entries)
        .more("rss_bytes_before", before)
        .more("rss_bytes_of_it", held);
    let snapshot = row("its snapshot", shown).more("digest", digest);
    Ok([whole, row("its state", fed), snapshot, forked])
}

/// A run that goes on from the last step of another: from nothing in memory until its first entry is
/// durable, and what that entry and its body take.
fn forked(kernel: &mut Kernel, (run, thousands): (RunId, u64)) -> anyhow::Result<Row> {
    let from = format!("one[{}].two[9].three[9].four[9].read", thousands - 1);
    let before = kernel.written.sums();
    let (fork, took) = timed(|| {
        let fork = kernel.fork(run, &from)?;
        while !kernel.turn()?.iter().any(|it| matches!(it.what, What::Started { .. })) {}
        Ok(fork)
    })?;
    let started = kernel.records(fork)?;
    let started = started.first().context("the fork has no entry")?;
    let bytes = started.entry.bytes().len() + started.body.as_ref().map_or(0, canonical_bytes);
    drive(kernel, fork)?;
    let added = kernel.written.sums();
    let name = format!("a fork from the last of {} steps", thousands * 1_000);
    Ok(Row::new(name, "fork", figures(1, took))
        .timed("fork")
        .more("bytes", bytes as u64)
        .more("entries_until_its_end", added.entries - before.entries))
}

fn canonical_bytes(body: &Value) -> usize {
    body.canonical().len()
}

/// What an operation gives, and the time that it took: by the clock, and of the processor.
fn timed<T>(
    operation: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(T, (Duration, Duration))> {
    let (cpu, began) = (usage::cpu_of_thread(), Instant::now());
    let given = operation()?;
    Ok((given, (began.elapsed(), usage::cpu_of_thread().saturating_sub(cpu))))
}

fn figures(entries: u64, (wall, cpu): (Duration, Duration)) -> Figures {
    let mut samples = Samples::default();
    samples.note(wall);
    samples.figures(entries, wall, cpu)
}

/// Run it to its end.
fn drive(kernel: &mut Kernel, run: RunId) -> anyhow::Result<()> {
    loop {
        for notice in kernel.turn()? {
            if let What::Sealed(sealed) = &notice.what {
                ensure!(sealed.status == "completed", "{run} did not go as it should: {sealed:?}");
                return Ok(());
            }
        }
    }
}

/// A run of so many thousand steps: lists inside lists.
fn flow(thousands: u64) -> String {
    let list = |count: u64| {
        let items: Vec<_> = (0..count).map(|item| item.to_string()).collect();
        format!("\"${{{{ [{}] }}}}\"", items.join(", "))
    };
    let level = |id: &str, count: u64| {
        format!("id: {id}, foreach: {}, max_parallel: 4, steps: [", list(count))
    };
    format!(
        "name: bench\ndomain: bench\nroots: {{ {SHARED}: {{ path: ., access: read }} }}\nsteps:\n  \
         - {{ {} {{ {} {{ {} {{ {} {{ id: read, as: \"agent:a0\", uses: file.read, with: {{ root: {SHARED}, \
         path: in/0.txt }} }} ] }} ] }} ] }} ] }}\n",
        level("one", thousands),
        level("two", 10),
        level("three", 10),
        level("four", 10),
    )
}

//! Runs that wait for time: what they take of memory, and how late those are that are all due at
//! once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use cog_base::id::RunId;
use cog_engine::What;

use crate::canons::SHARED;
use crate::kernel::{Kernel, POLICIES};
use crate::meter::Samples;
use crate::options::{Kept, Options};
use crate::report::{Row, rounded};
use crate::town::{Heard, Town, missing, tenant};
use crate::usage;

const UNIT: &str = "run";
const FEW: u64 = 1_000;
const MANY: u64 = 100_000;
const MANY_QUICK: u64 = 5_000;
/// Runs that are begun at once.
const AT_ONCE: usize = 256;
/// Tenants whose runs they are, on a node.
const TENANTS: u64 = 16;
/// Longer than any bench takes, in milliseconds.
const LONG_MS: u64 = 30 * 24 * 3_600_000;
/// Runs that are due at the same moment.
const DUE: u64 = 60_000;
const DUE_QUICK: u64 = 2_000;
/// How many of them are asked for in a second, as a guess of how long that takes.
const ASKED_PER_S: u64 = 300;

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let many = if options.quick { MANY_QUICK } else { MANY };
    let mut rows = Vec::new();
    for count in [FEW, many] {
        let name = format!("embedded, {count} runs that wait");
        if options.wants_store(Kept::Sqlite) && options.wants_case(&name) {
            rows.push(embedded(name, count, options)?);
        }
    }
    for count in [FEW, many] {
        let name = format!("a node, {count} runs that wait");
        if options.wants_store(Kept::Postgres) && options.wants_case(&name) {
            rows.push(match missing() {
                Some(why) => Row::skipped(name, UNIT, why),
                None => on_a_node(name, count)?,
            });
        }
    }
    let due = if options.quick { DUE_QUICK } else { DUE };
    let name = format!("a node, {due} runs due at once");
    if options.wants_store(Kept::Postgres) && options.wants_case(&name) {
        rows.push(match missing() {
            Some(why) => Row::skipped(name, UNIT, why),
            None => due_at_once(name, due)?,
        });
    }
    Ok(rows)
}

/// What the process has in memory.
fn memory() -> u64 {
    usage::rss_bytes(std::process::id())
}

fn row(
    name: String,
    store: &str,
    figures: crate::meter::Figures,
    (before, after): (u64, u64),
) -> Row {
    let each = after.saturating_sub(before) as f64 / figures.operations.max(1) as f64;
    Row::new(name, UNIT, figures)
        .parameter("store", store)
        .parameter("policies", POLICIES)
        .more("rss_bytes_before", before)
        .more("rss_bytes", after)
        .more("rss_bytes_per_run", rounded(each))
}

fn embedded(name: String, count: u64, options: &Options) -> anyhow::Result<Row> {
    let mut kernel = Kernel::with(options, flow(LONG_MS))?;
    let before = memory();
    let (mut samples, mut open) = (Samples::default(), HashMap::new());
    let (began, cpu) = (Instant::now(), usage::cpu());
    let mut begun = 0;
    while (samples.len() as u64) < count {
        while begun < count && open.len() < AT_ONCE {
            open.insert(kernel.start()?, Instant::now());
            begun += 1;
        }
        let notices = kernel.turn()?;
        let slept = notices.iter().any(|it| matches!(it.what, What::Sleeping { .. }));
        if slept || begun == count {
            let dormant: Vec<RunId> = kernel.driver.engine().dormant().collect();
            for run in dormant {
                if kernel.driver.forget(run).is_some()
                    && let Some(began) = open.remove(&run)
                {
                    samples.note(began.elapsed());
                }
            }
        }
    }
    let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
    let after = memory();
    ensure!(open.is_empty(), "runs have not left memory");
    Ok(row(name, "sqlite", samples.figures(count, wall, cpu), (before, after)))
}

fn on_a_node(name: String, count: u64) -> anyhow::Result<Row> {
    let mut town = town()?;
    let before = memory();
    let (began, cpu) = (Instant::now(), usage::cpu());
    let (asked, _) = park(&mut town, count, |_| LONG_MS)?;
    let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
    let after = memory();
    Ok(row(name, "postgres", asked.figures(count, wall, cpu), (before, after))
        .timed("request")
        .parameter("tenants", TENANTS))
}

/// A node with some tenants, whose runs leave memory as soon as they wait.
fn town() -> anyhow::Result<Town> {
    let mut town = Town::new()?;
    town.node(|settings| settings.stay = Duration::from_secs(4))?;
    town.found(TENANTS)?;
    Ok(town)
}

/// Ask for so many runs and wait until all have left memory. Says how long the asking took, and
/// when each of them was asked for.
fn park(
    town: &mut Town,
    count: u64,
    nap_ms: impl Fn(Instant) -> u64,
) -> anyhow::Result<(Samples, Vec<RunId>)> {
    let (mut asked, mut runs) = (Samples::default(), Vec::new());
    let (mut waiting, mut left) = (0, 0);
    while left < count {
        while (runs.len() as u64) < count && runs.len() as u64 - waiting < AT_ONCE as u64 {
            let source = flow(nap_ms(Instant::now()));
            runs.push(town.start(tenant(runs.len() as u64 % TENANTS), &source)?);
        }
        match town.hear()? {
            Heard::Asked { took } => asked.note(took),
            Heard::Waits => waiting += 1,
            Heard::Left(runs) => left += runs as u64,
            Heard::Settled | Heard::Sealed { .. } | Heard::Odd(_) => {}
        }
    }
    Ok((asked, runs))
}

fn due_at_once(name: String, count: u64) -> anyhow::Result<Row> {
    let mut town = town()?;
    // Late enough that all of them are asked for and have left memory by then.
    let due = Instant::now() + Duration::from_secs(20 + count / ASKED_PER_S);
    let nap = |now: Instant| due.saturating_duration_since(now).as_millis() as u64;
    let (_, runs) = park(&mut town, count, nap)?;
    let early = due.checked_duration_since(Instant::now());
    ensure!(early.is_some(), "they were due before all of them waited");
    let (mut late, mut ended) = (Samples::default(), 0);
    let mut cpu = Duration::ZERO;
    while ended < runs.len() {
        if let Heard::Sealed { at, .. } = town.hear()? {
            if ended == 0 {
                cpu = usage::cpu() + town.server.cpu();
            }
            late.note(at.saturating_duration_since(due));
            ended += 1;
        }
    }
    let cpu = (usage::cpu() + town.server.cpu()).saturating_sub(cpu);
    let wall = due.elapsed();
    Ok(Row::new(name, UNIT, late.figures(count, wall, cpu))
        .timed("run that is late")
        .parameter("store", "postgres")
        .parameter("tenants", TENANTS)
        .more("all_over_after_ms", wall.as_millis() as u64))
}

/// A run that waits, and then reads.
fn flow(ms: u64) -> String {
    format!(
        "name: bench\ndomain: bench\nroots: {{ {SHARED}: {{ path: ., access: read }} }}\nsteps:\n  \
         - {{ id: nap, sleep: {{ ms: {ms} }} }}\n  \
         - {{ id: read, needs: [nap], as: \"agent:a0\", uses: file.read, \
         with: {{ root: {SHARED}, path: in/0.txt }} }}\n"
    )
}

//! A run of a hundred governed durable steps side by side, and one that waits for all of them.

use std::time::{Duration, Instant};

use anyhow::bail;
use cog_engine::What;

use crate::bare::{self, Shape};
use crate::canons::SHARED;
use crate::kernel::{Kernel, POLICIES, Sums};
use crate::meter::{Figures, Samples};
use crate::options::{Kept, Options};
use crate::report::{Row, rounded};
use crate::town::{Heard, Town, missing, tenant};
use crate::{server, usage};

/// Steps side by side.
const LEGS: u64 = 100;
const UNIT: &str = "run";

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let (embedded, node) = ("embedded, one run after the other", "a node, one run after the other");
    if options.wants_store(Kept::Sqlite) && options.wants_case(embedded) {
        rows.push(sqlite(embedded, options)?);
    }
    if options.wants_store(Kept::Postgres) && options.wants_case(node) {
        rows.push(match missing() {
            Some(why) => Row::skipped(node, UNIT, why),
            None => postgres(node, options)?,
        });
    }
    Ok(rows)
}

fn row(name: &str, store: &str, figures: Figures) -> Row {
    Row::new(name, UNIT, figures)
        .parameter("store", store)
        .parameter("steps", LEGS + 1)
        .parameter("policies", POLICIES)
}

fn sqlite(name: &str, options: &Options) -> anyhow::Result<Row> {
    let mut kernel = Kernel::with(options, flow())?;
    let mut one = || -> anyhow::Result<Duration> {
        let began = Instant::now();
        let run = kernel.start()?;
        loop {
            for notice in kernel.turn()? {
                if let What::Sealed(sealed) = &notice.what {
                    if sealed.status != "completed" {
                        bail!("{run} did not go as it should: {sealed:?}");
                    }
                    return Ok(began.elapsed());
                }
            }
        }
    };
    let warm = Instant::now();
    while warm.elapsed().as_secs_f64() < options.seconds / 10.0 {
        one()?;
    }
    usage::forget_peak();
    let (mut samples, began, cpu) = (Samples::default(), Instant::now(), usage::cpu());
    while began.elapsed().as_secs_f64() < options.seconds {
        samples.note(one()?);
    }
    let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
    let (stats, sums) = (kernel.committer.stats(), kernel.written.sums());
    let runs = samples.len() as u64;
    let figures = samples.figures(runs, wall, cpu);
    // Shares of one run of everything since the kernel was opened.
    let all = (stats.submissions as f64 / (LEGS + 1) as f64).max(1.0);
    let Sums { entries, entry_bytes, bodies, body_bytes } = sums;
    let commits = stats.batches.max(1) as f64;
    let shape = Shape {
        entries: entries as f64 / commits,
        entry_bytes: entry_bytes as f64 / entries.max(1) as f64,
        bodies: bodies as f64 / commits,
        body_bytes: body_bytes as f64 / bodies.max(1) as f64,
        operations: all / commits,
    };
    let floor = bare::measure(options, shape)?;
    Ok(row(name, "sqlite", figures)
        .more("commits_per_run", rounded(commits / all))
        .more("syncs_per_run", rounded(stats.syncs as f64 / all))
        .floor("its commits bare, of as many bytes", floor))
}

fn postgres(name: &str, options: &Options) -> anyhow::Result<Row> {
    let mut town = Town::new()?;
    let before = server::kept(&town.database)?;
    town.node(|_| {})?;
    town.found(1)?;
    let source = flow();
    let mut asked = Samples::default();
    let mut one = |town: &mut Town| -> anyhow::Result<Duration> {
        let began = Instant::now();
        let wanted = town.start(tenant(0), &source)?;
        loop {
            match town.hear()? {
                Heard::Asked { took } => asked.note(took),
                Heard::Sealed { run, at, .. } if run == wanted => return Ok(at - began),
                Heard::Sealed { .. }
                | Heard::Settled { .. }
                | Heard::Waits
                | Heard::Left(_)
                | Heard::Odd(_) => {}
            }
        }
    };
    let (warm, mut all) = (Instant::now(), 0.0);
    while all < 2.0 || warm.elapsed().as_secs_f64() < options.seconds / 10.0 {
        one(&mut town)?;
        all += 1.0;
    }
    usage::forget_peak();
    let (cpu, server_cpu, stats) = (usage::cpu(), town.server.cpu(), town.stats());
    let (mut samples, began) = (Samples::default(), Instant::now());
    while began.elapsed().as_secs_f64() < options.seconds {
        samples.note(one(&mut town)?);
    }
    let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
    let server_cpu = town.server.cpu().saturating_sub(server_cpu);
    let commits = (town.stats().batches - stats.batches) as f64;
    let runs = samples.len() as u64;
    all += runs as f64;
    let figures = samples.figures(runs, wall, cpu + server_cpu);
    let count = runs.max(1) as f64;
    town.stop();
    let kept = server::kept(&town.database)?.less(before);
    let commits = commits / count;
    let shape = Shape {
        entries: kept.entries / all / commits,
        entry_bytes: kept.entry_bytes / kept.entries.max(1.0),
        bodies: kept.bodies / all / commits,
        body_bytes: kept.body_bytes / kept.bodies.max(1.0),
        operations: 1.0 / commits,
    };
    let floor = server::floor(options, &town.database, town.server, shape)?;
    Ok(row(name, "postgres", figures)
        .more("server_cpu_us_per_run", rounded(server_cpu.as_secs_f64() * 1e6 / count))
        .more("commits_per_run", rounded(commits))
        .more("syncs_per_run", rounded(kept.syncs / all))
        .more("entry_bytes_per_run", rounded(kept.entry_bytes / all))
        .more("body_bytes_per_run", rounded(kept.body_bytes / all))
        .more("written_bytes_per_run", rounded(kept.wal_bytes / all))
        .floor("its commits bare, of as many bytes", floor))
}

fn flow() -> String {
    let step = |id: &str, needs: &str, number: u64| {
        format!(
            "  - {{ id: {id}, {needs}as: \"agent:a{}\", uses: file.read, \
             with: {{ root: {SHARED}, path: in/{number}.txt }} }}\n",
            number % 4
        )
    };
    let legs: String = (0..LEGS).map(|leg| step(&format!("leg-{leg}"), "", leg)).collect();
    let all: Vec<String> = (0..LEGS).map(|leg| format!("leg-{leg}")).collect();
    let join = step("join", &format!("needs: [{}], ", all.join(", ")), LEGS);
    format!(
        "name: bench\ndomain: bench\nroots: {{ {SHARED}: {{ path: ., access: read }} }}\nsteps:\n\
         {legs}{join}"
    )
}

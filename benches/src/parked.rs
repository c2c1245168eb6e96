//! Runs that wait for time: what they take of memory, how late those go on that are due one by one,
//! and those that are due within the same second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use cog_base::id::RunId;
use cog_base::{Clock as _, Timestamp};
use cog_engine::What;

use crate::canons::SHARED;
use crate::kernel::{Kernel, POLICIES};
use crate::meter::Samples;
use crate::options::{Kept, Options};
use crate::report::{Row, rounded};
use crate::system::SystemClock;
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
/// Runs that are due within the same second.
const DUE: u64 = 60_000;
const DUE_QUICK: u64 = 2_000;
/// That second, in milliseconds.
const SECOND_MS: u64 = 1_000;
/// Runs that are due one by one while many wait, and how long that goes on, in milliseconds.
const FEW_DUE: u64 = 1_000;
const FEW_DUE_MS: u64 = 20_000;
/// How many are asked for in a second, as a guess of how long that takes: of a node, and in a process.
const ASKED_PER_S: u64 = 300;
const BEGUN_PER_S: u64 = 1_000;
/// How long before the first is due the last has left memory, in milliseconds.
const EARLY_MS: u64 = 20_000;

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let many = options.timers.unwrap_or(if options.quick { MANY_QUICK } else { MANY });
    let due = if options.quick { DUE_QUICK } else { DUE };
    let mut rows = Vec::new();
    let mut case = |store, name: String, measure: &dyn Fn(String) -> anyhow::Result<Row>| {
        if options.wants_store(store) && options.wants_case(&name) {
            let why = if store == Kept::Postgres { missing() } else { None };
            rows.push(match why {
                Some(why) => Row::skipped(name, UNIT, why),
                None => measure(name)?,
            });
        }
        anyhow::Ok(())
    };
    for count in [FEW, many] {
        let name = format!("embedded, {count} runs that wait");
        case(Kept::Sqlite, name, &|name| embedded(name, count, options))?;
    }
    let name = format!("embedded, {due} runs due in one second");
    case(Kept::Sqlite, name, &|name| embedded_due(name, due, options))?;
    for count in [FEW, many] {
        let name = format!("a node, {count} runs that wait");
        case(Kept::Postgres, name, &|name| on_a_node(name, count))?;
    }
    let name = format!("a node, {due} runs due in one second");
    case(Kept::Postgres, name, &|name| due_at_once(name, due))?;
    Ok(rows)
}

/// Moments to come, as the bench and as the runs know them.
#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    time: Timestamp,
}

impl Due {
    fn after(ms: u64) -> Self {
        let (at, time) = (Instant::now(), SystemClock.now());
        Self { at, time }.and(ms)
    }

    fn and(self, ms: u64) -> Self {
        Self { at: self.at + Duration::from_millis(ms), time: self.time.plus_ms(ms) }
    }

    /// That of one of so many which are spread over so long.
    fn of(self, number: u64, count: u64, over_ms: u64) -> Self {
        self.and(over_ms * number / count.max(1))
    }
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
    let mut kernel = Kernel::with(options, flow(Due::after(LONG_MS)))?;
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

/// Runs in memory that are due within a second: the engine of one tenant, and its one thread.
fn embedded_due(name: String, count: u64, options: &Options) -> anyhow::Result<Row> {
    let first = Due::after(EARLY_MS + SECOND_MS * count / BEGUN_PER_S);
    let mut kernel = Kernel::with(options, flow(first))?;
    let before = memory();
    let (mut begun, mut waiting, mut dues) = (0, 0, HashMap::new());
    while waiting < count {
        while begun < count && begun - waiting < AT_ONCE as u64 {
            let due = first.of(begun, count, SECOND_MS);
            kernel.turn_to(flow(due))?;
            dues.insert(kernel.start()?, due.at);
            begun += 1;
        }
        let is_asleep = |what: &What| matches!(what, What::Sleeping { .. });
        waiting += kernel.turn()?.iter().filter(|it| is_asleep(&it.what)).count() as u64;
    }
    let after = memory();
    ensure!(Instant::now() < first.at, "they were due before all of them waited");
    std::thread::sleep(first.at.saturating_duration_since(Instant::now()));
    let (mut lateness, cpu) = (Lateness::new(dues), usage::cpu());
    while lateness.ended < count {
        for notice in kernel.turn()? {
            if matches!(notice.what, What::Settled { .. }) {
                lateness.began(notice.run, Instant::now());
            } else if matches!(notice.what, What::Sealed(_)) {
                lateness.ended += 1;
            }
        }
    }
    let cpu = usage::cpu().saturating_sub(cpu);
    Ok(lateness
        .row(name, "sqlite", first.at, cpu)
        .more("rss_bytes_before", before)
        .more("rss_bytes", after))
}

fn on_a_node(name: String, count: u64) -> anyhow::Result<Row> {
    let mut town = town()?;
    let before = memory();
    let (began, cpu) = (Instant::now(), usage::cpu());
    let far = Due::after(LONG_MS);
    let (asked, _) = park(&mut town, count, |_| far)?;
    let (wall, cpu) = (began.elapsed(), usage::cpu().saturating_sub(cpu));
    let after = memory();
    let few = FEW_DUE.min(count);
    let first = Due::after(EARLY_MS + SECOND_MS * few / ASKED_PER_S);
    let due = |number| first.of(number, few, FEW_DUE_MS);
    let (_, runs) = park(&mut town, few, due)?;
    let late = ended(&town, runs, first)?.began.figures(few, wall, cpu);
    Ok(row(name, "postgres", asked.figures(count, wall, cpu), (before, after))
        .timed("request")
        .parameter("tenants", TENANTS)
        .more("due_one_by_one", few)
        .more("late_p50_us", rounded(late.p50_us))
        .more("late_p99_us", rounded(late.p99_us)))
}

/// A node with some tenants, whose runs leave memory as soon as they wait.
fn town() -> anyhow::Result<Town> {
    let mut town = Town::new()?;
    town.node(|settings| settings.stay = Duration::from_secs(4))?;
    town.found(TENANTS)?;
    Ok(town)
}

/// Ask for so many runs and wait until all have left memory. Says how long the asking took, and
/// when each of them is due.
fn park(
    town: &mut Town,
    count: u64,
    due: impl Fn(u64) -> Due,
) -> anyhow::Result<(Samples, HashMap<RunId, Instant>)> {
    let (mut asked, mut runs) = (Samples::default(), HashMap::new());
    let (mut waiting, mut left) = (0, 0);
    while left < count {
        while (runs.len() as u64) < count && runs.len() as u64 - waiting < AT_ONCE as u64 {
            let number = runs.len() as u64;
            let due = due(number);
            runs.insert(town.start(tenant(number % TENANTS), &flow(due))?, due.at);
        }
        match town.hear()? {
            Heard::Asked { took } => asked.note(took),
            Heard::Waits => waiting += 1,
            Heard::Left(runs) => left += runs as u64,
            Heard::Settled { .. } | Heard::Sealed { .. } | Heard::Odd(_) => {}
        }
    }
    Ok((asked, runs))
}

/// How late runs go on: until the first effect of each is done.
struct Lateness {
    dues: HashMap<RunId, Instant>,
    began: Samples,
    last: Option<Instant>,
    ended: u64,
}

impl Lateness {
    fn new(dues: HashMap<RunId, Instant>) -> Self {
        Self { dues, began: Samples::default(), last: None, ended: 0 }
    }

    fn began(&mut self, run: RunId, at: Instant) {
        if let Some(due) = self.dues.get(&run) {
            self.began.note(at.saturating_duration_since(*due));
            self.last = self.last.max(Some(at));
        }
    }

    fn row(self, name: String, store: &str, first: Instant, cpu: Duration) -> Row {
        let wall = first.elapsed();
        let started = self.last.map(|last| last.saturating_duration_since(first));
        Row::new(name, UNIT, self.began.figures(self.ended, wall, cpu))
            .timed("run that is late")
            .parameter("store", store)
            .more("all_started_after_ms", started.unwrap_or_default().as_millis() as u64)
            .more("all_over_after_ms", wall.as_millis() as u64)
    }
}

/// Wait until these have ended, the first of which is due then.
fn ended(town: &Town, runs: HashMap<RunId, Instant>, first: Due) -> anyhow::Result<Lateness> {
    ensure!(Instant::now() < first.at, "they were due before all of them waited");
    // What is heard meanwhile waits.
    std::thread::sleep(first.at.saturating_duration_since(Instant::now()));
    let (count, mut lateness) = (runs.len() as u64, Lateness::new(runs));
    while lateness.ended < count {
        match town.hear()? {
            Heard::Settled { run, at } => lateness.began(run, at),
            Heard::Sealed { .. } => lateness.ended += 1,
            Heard::Asked { .. } | Heard::Waits | Heard::Left(_) | Heard::Odd(_) => {}
        }
    }
    Ok(lateness)
}

fn due_at_once(name: String, count: u64) -> anyhow::Result<Row> {
    let mut town = town()?;
    // Late enough that all of them are asked for and have left memory by then.
    let first = Due::after(EARLY_MS + SECOND_MS * count / ASKED_PER_S);
    let before = memory();
    let (_, runs) = park(&mut town, count, |number| first.of(number, count, SECOND_MS))?;
    let cpu = usage::cpu() + town.server.cpu();
    let lateness = ended(&town, runs, first)?;
    let cpu = (usage::cpu() + town.server.cpu()).saturating_sub(cpu);
    let row = lateness.row(name, "postgres", first.at, cpu).parameter("tenants", TENANTS);
    Ok(row.more("rss_bytes_before", before))
}

/// A run that waits, and then reads.
fn flow(due: Due) -> String {
    let until = due.time;
    format!(
        "name: bench\ndomain: bench\nroots: {{ {SHARED}: {{ path: ., access: read }} }}\nsteps:\n  \
         - {{ id: nap, sleep: {{ until: \"{until}\" }} }}\n  \
         - {{ id: read, needs: [nap], as: \"agent:a0\", uses: file.read, \
         with: {{ root: {SHARED}, path: in/0.txt }} }}\n"
    )
}

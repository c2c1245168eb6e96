//! A thousand tenants on one node: what one of them that has thousands of runs to do costs the
//! others, and what it costs that they are many.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cog_base::id::{RunId, TenantId};

use crate::kernel::flow;
use crate::meter::{Figures, Samples};
use crate::options::{Kept, Options};
use crate::report::{Row, rounded};
use crate::town::{Heard, Town, missing, tenant};
use crate::usage;

const TENANTS: u64 = 1_000;
const TENANTS_QUICK: u64 = 100;
/// Steps of a run of somebody who is not noisy, and of a noisy one.
const STEPS: u64 = 3;
const STEPS_NOISY: u64 = 10;
/// Runs that the noisy tenant always has waiting or under way.
const NOISE: usize = 1_000;
/// Runs a second that all others together ask for.
const RATE: f64 = 40.0;
/// Runs at once where it is measured what scoping costs.
const AT_ONCE: usize = 64;

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    if !options.wants_store(Kept::Postgres) {
        return Ok(Vec::new());
    }
    if let Some(why) = missing() {
        return Ok(vec![Row::skipped("the others beside a noisy tenant", "run", why)]);
    }
    let tenants = if options.quick { TENANTS_QUICK } else { TENANTS };
    let mut rows = Vec::new();
    let noisy = "the others beside a noisy tenant";
    if options.wants_case(noisy) {
        let mut town = settled(tenants)?;
        // The first tenant is the noisy one.
        let seconds = options.seconds * 2.0;
        let (quiet, _) = Crowd::new(&mut town, tenants, 0).measure(seconds)?;
        let (loud, noise) = Crowd::new(&mut town, tenants, NOISE).measure(seconds)?;
        let times = loud.p99_us / quiet.p99_us.max(1e-9);
        rows.push(
            Row::new(noisy, "run", loud)
                .parameter("store", "postgres")
                .parameter("tenants", tenants)
                .parameter("runs_per_s", RATE)
                .parameter("steps", STEPS)
                .parameter("runs_of_the_noisy_one", NOISE)
                .more("p99_times_that_alone", rounded(times))
                .more("noisy_steps_per_s", rounded(noise))
                .floor("the others alone", Some(quiet)),
        );
    }
    let scoped = "as many runs of a thousand tenants";
    if options.wants_case(scoped) {
        rows.push(scoping(scoped, tenants, options)?);
    }
    Ok(rows)
}

/// A node that has opened so many tenants.
fn settled(tenants: u64) -> anyhow::Result<Town> {
    let mut town = Town::new()?;
    town.node(|settings| settings.tenants_max = u32::try_from(tenants).unwrap_or(u32::MAX) + 8)?;
    town.found(tenants)?;
    let source = flow(1);
    for number in 0..tenants {
        town.start(tenant(number), &source)?;
    }
    let mut left = tenants;
    while left > 0 {
        left -= u64::from(matches!(town.hear()?, Heard::Sealed { .. }));
    }
    Ok(town)
}

/// The others ask for a run each in turn, at a steady pace, and are measured; the noisy one keeps
/// so many runs going.
struct Crowd<'a> {
    town: &'a mut Town,
    tenants: u64,
    noise: usize,
    open: HashMap<RunId, Instant>,
    loud: usize,
    asked: u64,
    samples: Samples,
    settled: u64,
    sealed: u64,
    of_others: u64,
}

impl<'a> Crowd<'a> {
    fn new(town: &'a mut Town, tenants: u64, noise: usize) -> Self {
        let (open, samples) = (HashMap::new(), Samples::default());
        let (loud, asked, settled, sealed, of_others) = Default::default();
        Self { town, tenants, noise, open, loud, asked, samples, settled, sealed, of_others }
    }

    /// What the others saw, and how many steps a second the noisy one came to.
    fn measure(mut self, seconds: f64) -> anyhow::Result<(Figures, f64)> {
        if self.noise > 0 {
            // Until the noisy one has as much under way as may be.
            self.go_on(seconds)?;
        }
        (self.samples, self.settled, self.sealed, self.of_others) = Default::default();
        let (cpu, server, began) = (usage::cpu(), self.town.server.cpu(), Instant::now());
        self.go_on(seconds)?;
        let cpu = usage::cpu().saturating_sub(cpu) + self.town.server.cpu().saturating_sub(server);
        let wall = began.elapsed();
        let noise = self.settled.saturating_sub(self.of_others * STEPS);
        let figures = std::mem::take(&mut self.samples).figures(self.of_others, wall, cpu);
        self.noise = 0;
        while !self.open.is_empty() || self.loud > 0 {
            self.hear()?;
        }
        Ok((figures, noise as f64 / wall.as_secs_f64()))
    }

    fn go_on(&mut self, seconds: f64) -> anyhow::Result<()> {
        let (quiet, loud) = (flow(STEPS), flow(STEPS_NOISY));
        let (began, mut due) = (Instant::now(), 0.0);
        while began.elapsed().as_secs_f64() < seconds {
            while self.loud < self.noise {
                self.town.start_noisy(tenant(0), &loud)?;
                self.loud += 1;
            }
            while due <= began.elapsed().as_secs_f64() {
                let who = tenant(1 + self.asked % (self.tenants - 1));
                // What waits for its turn to be asked for has waited.
                let at = began + Duration::from_secs_f64(due);
                let run = self.town.start(who, &quiet)?;
                self.open.insert(run, at);
                self.asked += 1;
                due += 1.0 / RATE;
            }
            let wait = Duration::from_secs_f64((due - began.elapsed().as_secs_f64()).max(0.0));
            if let Some(heard) = self.town.hear_for(wait)? {
                self.note(heard);
            }
        }
        Ok(())
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        let heard = self.town.hear()?;
        self.note(heard);
        Ok(())
    }

    fn note(&mut self, heard: Heard) {
        match heard {
            Heard::Sealed { tenant, run, at } => {
                self.sealed += 1;
                self.town.paces.forget(run);
                if let Some(asked) = self.open.remove(&run) {
                    self.of_others += 1;
                    self.samples.note(at - asked);
                } else if is_noisy(tenant) {
                    self.loud = self.loud.saturating_sub(1);
                }
            }
            Heard::Settled { .. } => self.settled += 1,
            Heard::Asked { .. } | Heard::Waits | Heard::Left(_) | Heard::Odd(_) => {}
        }
    }
}

fn is_noisy(who: TenantId) -> bool {
    who == tenant(0)
}

/// The same runs, of one tenant and of all.
fn scoping(name: &str, tenants: u64, options: &Options) -> anyhow::Result<Row> {
    let one = load(1, options)?;
    let all = load(tenants, options)?;
    let cost = all.cpu_us_per_op / one.cpu_us_per_op.max(1e-9) - 1.0;
    Ok(Row::new(name, "run", all)
        .parameter("store", "postgres")
        .parameter("tenants", tenants)
        .parameter("runs_at_once", AT_ONCE)
        .parameter("steps", STEPS_NOISY)
        .more("cpu_more_than_one_tenant_percent", rounded(cost * 100.0))
        .floor("all of one tenant", Some(one)))
}

fn load(tenants: u64, options: &Options) -> anyhow::Result<Figures> {
    let mut town = settled(tenants)?;
    let source = flow(STEPS_NOISY);
    let (mut open, mut asked) = (HashMap::new(), 0);
    let (mut samples, mut cpu) = (Samples::default(), Duration::ZERO);
    let (mut began, mut is_warm) = (Instant::now(), false);
    loop {
        while open.len() < AT_ONCE {
            open.insert(town.start(tenant(asked % tenants), &source)?, Instant::now());
            asked += 1;
        }
        if let Heard::Sealed { run, at, .. } = town.hear()? {
            town.paces.forget(run);
            let asked: Option<Instant> = open.remove(&run);
            asked.into_iter().for_each(|asked| samples.note(at - asked));
        }
        let passed = began.elapsed().as_secs_f64();
        if !is_warm && passed > options.seconds / 5.0 {
            (samples, cpu) = (Samples::default(), usage::cpu() + town.server.cpu());
            (began, is_warm) = (Instant::now(), true);
        } else if is_warm && passed > options.seconds {
            let cpu = (usage::cpu() + town.server.cpu()).saturating_sub(cpu);
            let (wall, runs) = (began.elapsed(), samples.len() as u64);
            while !open.is_empty() {
                if let Heard::Sealed { run, .. } = town.hear()? {
                    open.remove(&run);
                }
            }
            return Ok(samples.figures(runs, wall, cpu));
        }
    }
}

//! From `kill -9` of a node with runs in flight to the first new receipt: of the same program begun
//! anew, and of another node that was there all the time.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use cog_services::postgres::APPLICATION;

use crate::kernel::flow;
use crate::meter::Samples;
use crate::options::{Kept, Options};
use crate::report::Row;
use crate::town::{self, Heard, LEASE, Town, missing, tenant};
use crate::usage;

/// What this program is called with to be a node.
pub(crate) const NODE: &str = "--as-a-node";
/// It performs nothing, so that everything that begins stays in flight.
const HOLDS: &str = "holds";
/// It performs at once.
const PERFORMS: &str = "performs";

const UNIT: &str = "start";
const FEW: u64 = 200;
const MANY: u64 = 10_000;
const MANY_QUICK: u64 = 1_000;
/// Runs in flight of one tenant: fewer than a node keeps in memory.
const OF_ONE: u64 = 1_000;
const STEPS: u64 = 10;
const SILENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let many = if options.quick { MANY_QUICK } else { MANY };
    for count in [FEW, many] {
        let name = format!("a node after kill -9, {count} runs in flight");
        if options.wants_store(Kept::Postgres) && options.wants_case(&name) {
            match missing() {
                Some(why) => rows.push(Row::skipped(name, UNIT, why)),
                None => rows.extend(case(&name, count)?),
            }
        }
    }
    Ok(rows)
}

fn case(name: &str, count: u64) -> anyhow::Result<[Row; 2]> {
    let mut town = Town::new()?;
    let tenants = count.div_ceil(OF_ONE);
    town.found(tenants)?;
    let url = town.database.url(APPLICATION);
    let first = Process::begin(&url, "first", HOLDS)?;
    let source = flow(STEPS);
    let (mut asked, mut permitted) = (0, 0);
    while permitted < count {
        while asked < count && asked < permitted + 256 {
            town.start(tenant(asked % tenants), &source)?;
            asked += 1;
        }
        permitted += first.permitted()?;
        while let Some(Heard::Asked { .. }) = town.hear_for(Duration::ZERO)? {}
    }
    // It finds nothing to do, as the first has every tenant.
    let second = Process::begin(&url, "second", PERFORMS)?;
    std::thread::sleep(LEASE);
    let killed = Instant::now();
    first.kill()?;
    second.permitted()?;
    let taken = killed.elapsed();
    second.kill()?;
    // The claims of whoever was killed are over by then.
    std::thread::sleep(LEASE + LEASE / 2);
    let (cpu, began) = (usage::cpu_of_children(), Instant::now());
    let third = Process::begin(&url, "third", PERFORMS)?;
    third.permitted()?;
    let started = began.elapsed();
    third.kill()?;
    let cpu = usage::cpu_of_children().saturating_sub(cpu);
    let row = |what: &str, time, cpu| {
        let mut samples = Samples::default();
        samples.note(time);
        Row::new(format!("{name}, {what}"), UNIT, samples.figures(1, time, cpu))
            .parameter("store", "postgres")
            .parameter("tenants", tenants)
            .parameter("runs_in_flight", count)
            .parameter("claim_ms", LEASE.as_millis() as u64)
    };
    Ok([row("another takes over", taken, Duration::ZERO), row("begun anew", started, cpu)])
}

/// A node in a process of its own, which says a line for each receipt.
struct Process {
    child: Child,
    lines: Receiver<()>,
}

impl Process {
    fn begin(url: &str, name: &str, does: &str) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("where this program stands")?;
        let mut child = Command::new(own)
            .args([NODE, url, name, does])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start a node")?;
        let out = child.stdout.take().context("what the node says")?;
        let (line, lines) = channel();
        std::thread::spawn(move || {
            let said = BufReader::new(out).lines();
            for _ in said.map_while(Result::ok) {
                // Whoever has heard enough does not listen any more.
                let _ = line.send(());
            }
        });
        Ok(Self { child, lines })
    }

    /// Wait for receipts, and say how many there were.
    fn permitted(&self) -> anyhow::Result<u64> {
        match self.lines.recv_timeout(SILENCE) {
            Ok(()) => Ok(1 + self.lines.try_iter().count() as u64),
            Err(RecvTimeoutError::Timeout) => bail!("a node gave no receipt for {SILENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("a node has ended"),
        }
    }

    fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().context("could not kill a node")?;
        self.child.wait().map(drop).context("a node that was killed")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Be a node until somebody kills it.
pub(crate) fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let [url, name, does] = arguments else { bail!("{NODE} URL NAME {HOLDS}|{PERFORMS}") };
    town::serve(url, name, does == HOLDS)
}

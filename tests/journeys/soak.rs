//! Kills for as long as somebody likes, `cargo xtask soak --kills MINUTES`: programs that run in a
//! folder, nodes, schedulers and workers around a database, and the database, in turns. After each
//! turn nothing acknowledged is lost, everything was done once, and every finished run is rebuilt.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cog_base::Value;
use cog_services::postgres::{Cluster, Database};

use crate::kills::{Chance, has_sandbox, one_run};
use crate::nodes::{Node, Town};
use crate::workers::{Works, another_scheduler, worker};

/// For how long, in minutes.
const MINUTES: &str = "COGNITIONOS_SOAK_MINUTES";
/// The seed of the first turn; the others follow it.
const SEED: &str = "COGNITIONOS_SOAK_SEED";
/// Whether each turn is told as JSON.
const JSON: &str = "COGNITIONOS_SOAK_JSON";

/// Kills of a turn around a database.
const KILLS: u64 = 24;
/// Runs of a turn in a folder, each of which is killed some times.
const RUNS: u64 = 4;
/// One kill of so many is of the database.
const OF_DATABASE: u64 = 8;
/// How long a database is away, at most, in milliseconds.
const AWAY_MS: u64 = 1_500;
/// The longest pause between two kills, in milliseconds.
const PAUSE_MS: u64 = 500;
/// The pause of who asks for runs, in milliseconds.
const ASK_MS: u64 = 250;

/// What was killed and what was done.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    turns: u64,
    programs: u64,
    nodes: u64,
    workers: u64,
    databases: u64,
    runs: u64,
    receipts: u64,
}

impl Done {
    fn and(self, other: Self) -> Self {
        Self {
            turns: self.turns + other.turns,
            programs: self.programs + other.programs,
            nodes: self.nodes + other.nodes,
            workers: self.workers + other.workers,
            databases: self.databases + other.databases,
            runs: self.runs + other.runs,
            receipts: self.receipts + other.receipts,
        }
    }
}

impl Done {
    /// What a turn did, as `cargo xtask soak --kills MINUTES --json` reads it.
    fn to_value(self, seed: u64) -> Value {
        let Self { turns, programs, nodes, workers, databases, runs, receipts } = self;
        Value::map([
            ("seed", seed),
            ("turns", turns),
            ("programs", programs),
            ("nodes", nodes),
            ("workers", workers),
            ("databases", databases),
            ("runs", runs),
            ("receipts", receipts),
        ])
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { turns, programs, nodes, workers, databases, runs, receipts } = self;
        let kills = programs + nodes + workers + databases;
        write!(
            f,
            "{kills} kills in {turns} turns ({programs} of programs, {nodes} of nodes, {workers} of \
             workers, {databases} of databases), {runs} runs, {receipts} receipts"
        )
    }
}

#[test]
fn whatever_is_killed_nothing_is_lost_and_nothing_is_done_twice() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    // Of itself it looks only whether the turns around a database are what they are to be.
    let (minutes, kinds, kills) = match number(MINUTES) {
        Some(minutes) => (minutes, 3, KILLS),
        None => (0, 2, 3),
    };
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let first = number(SEED).unwrap_or(fresh.into());
    let (begun, ticks) = (Instant::now(), has_sandbox("soak-doctor"));
    let cluster = Cluster::start(&[]).unwrap();
    let mut all = Done::default();
    for seed in first.. {
        println!("seed {seed}");
        let mut chance = Chance::new(seed);
        let done = match (seed - first) % kinds {
            0 => of_nodes(&cluster, &mut chance, kills),
            1 => of_workers(&cluster, &mut chance, kills),
            _ => in_a_folder(seed, ticks),
        };
        if std::env::var_os(JSON).is_some() {
            println!("turn {}", done.to_value(seed));
        } else {
            println!("seed {seed}: {done}");
        }
        all = all.and(done);
        if all.turns >= 2 && begun.elapsed() >= Duration::from_secs(60 * minutes) {
            break;
        }
    }
    println!("counted: {all}, from seed {first}");
}

fn in_a_folder(seed: u64, ticks: bool) -> Done {
    let mut done = Done { turns: 1, runs: RUNS, ..Done::default() };
    for run in 0..RUNS {
        let (killed, _) = one_run("soak-folder", seed.wrapping_mul(RUNS) + run, ticks);
        done.programs += killed as u64;
    }
    done
}

/// Ask for runs while kills go on, one of so many of the database.
fn storm(
    (cluster, chance, kills): (&Cluster, &mut Chance, u64),
    tenants: &[String],
    ask: impl Fn(&str, &str) -> String + Sync,
    mut kill: impl FnMut(u64, &mut Chance) -> Done,
) -> (Vec<(String, String, String)>, Done) {
    let slowly = |tenant: &str, key: &str| {
        std::thread::sleep(Duration::from_millis(ASK_MS));
        ask(tenant, key)
    };
    Town::asked_meanwhile(tenants, slowly, || {
        let mut done = Done { turns: 1, ..Done::default() };
        for number in 0..kills {
            std::thread::sleep(Duration::from_millis(chance.below(PAUSE_MS)));
            if chance.below(OF_DATABASE) == 0 {
                cluster.kill().unwrap();
                std::thread::sleep(Duration::from_millis(chance.below(AWAY_MS)));
                cluster.restart().unwrap();
                done.databases += 1;
            } else {
                done = done.and(kill(number, chance));
            }
        }
        done
    })
}

fn of_nodes(cluster: &Cluster, chance: &mut Chance, kills: u64) -> Done {
    let town = Town::around("soak-nodes", Database::in_cluster(&cluster.template()).unwrap());
    let mut nodes: Vec<Node> = (0..3).map(|number| town.node(&format!("n{number}"))).collect();
    let tenants: Vec<String> = (0..5).map(|_| town.new_tenant()).collect();
    let ask = |tenant: &str, key: &str| town.acknowledged(tenant, key);
    let (load, done) = storm((cluster, chance, kills), &tenants, ask, |number, chance| {
        let which = usize::try_from(chance.below(3)).unwrap();
        nodes.remove(which).kill();
        // The next may be killed before it serves.
        nodes.push(town.node_soon(&format!("n{}", 3 + number), &[]));
        Done { nodes: 1, ..Done::default() }
    });
    let receipts = town.is_done(&load);
    Done { runs: load.len() as u64, receipts, ..done }
}

fn of_workers(cluster: &Cluster, chance: &mut Chance, kills: u64) -> Done {
    let database = Database::in_cluster(&cluster.template()).unwrap();
    let mut works = Works::in_town(Town::around("soak-workers", database));
    let tenants: Vec<String> = (0..3).map(|_| works.town.new_tenant()).collect();
    let first = |(number, tenant): (usize, &String)| {
        let key = format!("first-{number}");
        let run = works.town.acknowledged(tenant, &key);
        (tenant.clone(), key, run)
    };
    let mut load: Vec<_> = tenants.iter().enumerate().map(first).collect();
    works.trust(&tenants.iter().collect::<Vec<_>>());
    let Works { town, scheduler, url } = &mut works;
    let (town, url) = (&*town, url.as_str());
    let mut workers: Vec<Node> =
        ["w0", "w1"].into_iter().map(|name| worker(town, url, name)).collect();
    let ask = |tenant: &str, key: &str| town.acknowledged(tenant, key);
    let (asked, done) = storm((cluster, chance, kills), &tenants, ask, |number, chance| {
        if chance.below(3) == 0 {
            another_scheduler(town, url, scheduler, &format!("s{}", 2 + number));
            return Done { nodes: 1, ..Done::default() };
        }
        let which = usize::try_from(chance.below(2)).unwrap();
        let name = format!("w{which}");
        workers.remove(which).kill();
        workers.insert(which, worker(town, url, &name));
        Done { workers: 1, ..Done::default() }
    });
    load.extend(asked);
    let receipts = town.is_done(&load);
    Done { runs: load.len() as u64, receipts, ..done }
}

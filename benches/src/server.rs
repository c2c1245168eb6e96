//! What a PostgreSQL server used, and its floor: `pgbench`, which comes with it, commits rows of
//! the same bytes on the same server, with none of the work of the store.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cog_services::postgres::{Database, programs};

use crate::bare::Shape;
use crate::meter::{Figures, Samples};
use crate::options::Options;
use crate::system::Scratch;
use crate::usage;

/// Seconds that a floor is measured for at least: what `pgbench` can count in.
const SECONDS_MIN: f64 = 1.0;

const TABLES: &str = "DROP TABLE IF EXISTS bare_entry, bare_body;
    CREATE TABLE bare_entry (place bigserial PRIMARY KEY, bytes bytea NOT NULL);
    CREATE TABLE bare_body (place bigserial PRIMARY KEY, bytes bytea NOT NULL);
    ALTER TABLE bare_body ALTER COLUMN bytes SET STORAGE EXTERNAL";

/// The process of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server(u32);

/// What a database was written so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kept {
    pub(crate) entries: f64,
    pub(crate) entry_bytes: f64,
    pub(crate) bodies: f64,
    pub(crate) body_bytes: f64,
    /// Syncs of the write-ahead log, and its bytes.
    pub(crate) syncs: f64,
    pub(crate) wal_bytes: f64,
}

impl Server {
    pub(crate) fn of(database: &Database) -> anyhow::Result<Self> {
        let folder = database.statement("SHOW data_directory")?.join("");
        let text = std::fs::read_to_string(format!("{folder}/postmaster.pid"))
            .context("the process of the server")?;
        let number = text.lines().next().and_then(|line| line.trim().parse().ok());
        Ok(Self(number.context("the number of the server's process")?))
    }

    /// User and system time of the server so far, as coarse as the system's ticks.
    pub(crate) fn cpu(self) -> Duration {
        usage::cpu_of_family(self.0)
    }
}

/// What the logs of all tenants have, by the server's own counting.
pub(crate) fn kept(database: &Database) -> anyhow::Result<Kept> {
    let sql = "SELECT pg_stat_force_next_flush(); SELECT concat_ws(' ',
        (SELECT concat_ws(' ', count(*), coalesce(sum(octet_length(bytes)), 0))
            FROM cognitionos.entry),
        (SELECT concat_ws(' ', count(*), coalesce(sum(octet_length(sealed)), 0))
            FROM cognitionos.body),
        (SELECT concat_ws(' ', wal_sync, wal_bytes) FROM pg_stat_wal))";
    let lines = database.statement(sql)?;
    let numbers = lines.last().context("what the server counted")?;
    let numbers: Result<Vec<f64>, _> = numbers.split(' ').map(str::parse).collect();
    let numbers = numbers.context("what the server counted")?;
    let [entries, entry_bytes, bodies, body_bytes, syncs, wal_bytes] = numbers[..] else {
        anyhow::bail!("the server counted otherwise: {lines:?}");
    };
    Ok(Kept { entries, entry_bytes, bodies, body_bytes, syncs, wal_bytes })
}

impl Kept {
    pub(crate) fn less(self, before: Self) -> Self {
        Self {
            entries: self.entries - before.entries,
            entry_bytes: self.entry_bytes - before.entry_bytes,
            bodies: self.bodies - before.bodies,
            body_bytes: self.body_bytes - before.body_bytes,
            syncs: self.syncs - before.syncs,
            wal_bytes: self.wal_bytes - before.wal_bytes,
        }
    }
}

/// Commit for some seconds on one connection, if floors are wanted. Times are those of commits.
pub(crate) fn floor(
    options: &Options,
    database: &Database,
    server: Server,
    shape: Shape,
) -> anyhow::Result<Option<Figures>> {
    if options.alone {
        return Ok(None);
    }
    database.statement(TABLES)?;
    let scratch = Scratch::new(&options.data, "pgbench")?;
    let place = std::path::absolute(scratch.path())?;
    std::fs::write(place.join("commit.sql"), script(shape))?;
    let pgbench = programs().context("PostgreSQL")?.join("pgbench");
    let seconds = options.seconds.max(SECONDS_MIN).ceil();
    let (own, theirs) = (usage::cpu_of_children(), server.cpu());
    let output = Command::new(pgbench)
        .current_dir(&place)
        .args(["-n", "-M", "prepared", "-c", "1", "-j", "1", "-f", "commit.sql", "-l", "-T"])
        .arg(format!("{seconds}"))
        .arg(database.url("postgres"))
        .output()
        .context("could not start pgbench")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "pgbench: {said}");
    let cpu = usage::cpu_of_children().saturating_sub(own) + server.cpu().saturating_sub(theirs);
    let mut samples = Samples::default();
    for file in std::fs::read_dir(&place)? {
        let file = file?;
        if file.file_name().to_string_lossy().starts_with("pgbench_log") {
            let text = std::fs::read_to_string(file.path())?;
            let times = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            times.for_each(|micros| samples.note(Duration::from_micros(micros)));
        }
    }
    let operations = (samples.len() as f64 * shape.operations) as u64;
    Ok(Some(samples.figures(operations, Duration::from_secs_f64(seconds), cpu)))
}

/// One commit of so many rows on average.
fn script(shape: Shape) -> String {
    let rows = |table: &str, count: f64, bytes: f64| {
        format!(
            "INSERT INTO {table} (bytes) SELECT decode(repeat('ab', {}), 'hex') \
             FROM generate_series(1, {} + (random() < {})::int);\n",
            bytes.round(),
            count.floor(),
            count.fract()
        )
    };
    let (entries, bodies) = (
        rows("bare_entry", shape.entries, shape.entry_bytes),
        rows("bare_body", shape.bodies, shape.body_bytes),
    );
    format!("BEGIN;\n{entries}{bodies}COMMIT;\n")
}

//! The tables, and how a database comes to have them: numbered migrations, forward and back,
//! made by the role that owns the tables. The application is another role, which owns
//! nothing and is bound by row-level security.

use cog_base::Digest;
use cog_store::StoreError;

use crate::address::Address;
use crate::error::failed;
use crate::link::Link;

struct Migration {
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$(Migration {
            name: $name,
            up: include_str!(concat!("../migrations/", $name, ".up.sql")),
            down: include_str!(concat!("../migrations/", $name, ".down.sql")),
        }),*]
    };
}

/// All migrations; the first has number 1.
const MIGRATIONS: &[Migration] = migrations![
    "0001_ledger",
    "0002_ownership",
    "0003_mail",
    "0004_cursors",
    "0005_parked",
    "0006_places",
];
/// Whoever migrates holds this lock ("COG" and a digit).
const LOCK: i64 = 0x434F_4731;
const CONTEXT: &str = "cognitionos/postgres-migration/v1";

/// How far a database was migrated, and is now: numbers of migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The number that it had.
    pub from: usize,
    /// The number that it has.
    pub to: usize,
}

/// The number of the newest migration of this release.
pub const MIGRATION_LATEST: usize = MIGRATIONS.len();

impl Migration {
    /// What the text of a migration is known by.
    fn digest(&self) -> Digest {
        let text = [self.up, "\0", self.down].concat();
        Digest::in_context(CONTEXT, text.as_bytes())
    }
}

/// Bring the database at `url` to migration `to`, forward or back, each step in a
/// transaction of its own. The role of `url` owns the tables; `application` is the role that
/// nodes connect as. Going back loses what the undone migrations brought, and is refused
/// where that is a log.
///
/// # Errors
/// [`StoreError::TooNew`] for a database of a later release or an unknown number,
/// [`StoreError::Corrupt`] when a migration was not the one that this release knows, or what
/// the database says.
pub fn migrate(url: &str, application: &str, to: usize) -> Result<Migrated, StoreError> {
    let mut link = Link::open(&Address::parse(url)?, "SET client_min_messages = warning")?;
    let cannot = |error| failed("migrate the database", error);
    link.batch(&format!("SELECT pg_advisory_lock({LOCK})")).map_err(cannot)?;
    link.batch(
        "CREATE SCHEMA IF NOT EXISTS cognitionos;
         CREATE TABLE IF NOT EXISTS migration (
             number integer PRIMARY KEY,
             name text NOT NULL,
             digest bytea NOT NULL,
             at timestamptz NOT NULL DEFAULT clock_timestamp()
         )",
    )
    .map_err(cannot)?;
    let from = applied(&mut link)?;
    if to > MIGRATION_LATEST {
        return Err(too_new(to));
    }
    let role = application;
    let application = format!("\"{}\"", application.replace('"', "\"\""));
    for number in from + 1..=to {
        let Some(step) = MIGRATIONS.get(number - 1) else { break };
        let noted = format!(
            "INSERT INTO migration (number, name, digest) VALUES ({number}, '{}', '\\x{}')",
            step.name,
            hex(step.digest())
        );
        apply(&link, step.up, &noted, &application).map_err(cannot)?;
    }
    for number in (to + 1..=from).rev() {
        let Some(step) = MIGRATIONS.get(number - 1) else { break };
        let noted = format!("DELETE FROM migration WHERE number = {number}");
        apply(&link, step.down, &noted, &application).map_err(cannot)?;
    }
    if to == MIGRATION_LATEST {
        is_let_in(&mut link, role)?;
    }
    Ok(Migrated { from, to })
}

/// The rights go to the role that the first migration is given, and to no other.
fn is_let_in(link: &mut Link, role: &str) -> Result<(), StoreError> {
    let rows = link
        .query(LET_IN, &[&role])
        .map_err(|error| failed("read whom the tables are made for", error))?;
    let why = match rows.first().map(|row| row.get::<_, bool>(0)) {
        Some(true) => return Ok(()),
        Some(false) => "the tables were made for another role",
        None => "the database has no role of this name",
    };
    Err(StoreError::io(format!("let `{role}` use the tables"), why))
}

const LET_IN: &str = "
    SELECT has_table_privilege(oid, 'cognitionos.entry', 'INSERT')
    FROM pg_roles WHERE rolname = $1";

fn apply(
    link: &Link,
    text: &str,
    noted: &str,
    application: &str,
) -> Result<(), tokio_postgres::Error> {
    let text = text.replace("{app}", application);
    link.batch(&format!("BEGIN; {text}; {noted}; COMMIT"))
}

/// How many migrations the database has. They are the first ones of this release, unchanged.
fn applied(link: &mut Link) -> Result<usize, StoreError> {
    let rows = link
        .query("SELECT number, digest FROM migration ORDER BY number", &[])
        .map_err(|error| failed("read which migrations the database has", error))?;
    for (place, row) in rows.iter().enumerate() {
        let (number, digest): (i32, &[u8]) = (row.get(0), row.get(1));
        let Some(known) = MIGRATIONS.get(place) else { return Err(too_new(rows.len())) };
        if usize::try_from(number) != Ok(place + 1) || known.digest().as_bytes() != digest {
            let what = format!("migration {number} is not `{}` as it was released", known.name);
            return Err(StoreError::corrupt(what));
        }
    }
    Ok(rows.len())
}

fn too_new(found: usize) -> StoreError {
    let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
    StoreError::TooNew { found: number(found), known: number(MIGRATION_LATEST) }
}

/// Check that the database has exactly the tables of this release, that row-level security
/// is in force on them, and that it binds the role that we are.
pub(crate) fn check(link: &mut Link) -> Result<(), StoreError> {
    let cannot = |error| failed("read how the database is set up", error);
    let found = link
        .query("SELECT to_regclass('cognitionos.migration') IS NOT NULL", &[])
        .map_err(cannot)?;
    let has_table = found.first().is_some_and(|row| row.get(0));
    let number = if has_table { applied(link)? } else { 0 };
    if number < MIGRATION_LATEST {
        let why = format!("it has migration {number}, this release needs {MIGRATION_LATEST}");
        return Err(StoreError::io("use the database before its owner migrates it", why));
    }
    let rows = link.query(OUR_ROLE, &[]).map_err(cannot)?;
    let Some(row) = rows.first() else { return Err(StoreError::corrupt("the role")) };
    let whys = ["is a superuser", "has BYPASSRLS", "owns the tables or may act as their owner"];
    for (place, why) in whys.into_iter().enumerate() {
        if row.get(place + 1) {
            return Err(StoreError::Unbound { role: row.get(0), why: why.to_owned() });
        }
    }
    let open = link.query(OPEN_TABLES, &[]).map_err(cannot)?;
    if let Some(row) = open.first() {
        let table: String = row.get(0);
        return Err(StoreError::Unbound {
            role: "any".to_owned(),
            why: format!("is let into table `{table}`, where a policy was removed or switched off"),
        });
    }
    Ok(())
}

const OUR_ROLE: &str = "
    SELECT rolname::text, rolsuper, rolbypassrls, EXISTS (
        SELECT FROM pg_class WHERE relnamespace = 'cognitionos'::regnamespace
        AND pg_has_role(current_user, relowner, 'MEMBER'))
    FROM pg_roles WHERE rolname = current_user";

/// Tables of tenants that are not guarded by the one policy that each has.
const OPEN_TABLES: &str = "
    SELECT c.relname::text FROM pg_class c
    WHERE c.relnamespace = 'cognitionos'::regnamespace AND c.relkind = 'r'
    AND c.relname NOT IN ('migration', 'tenant', 'instance', 'owner', 'shard')
    AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND (
        SELECT count(*) = 1 AND bool_and(polname = 'own_tenant' AND polcmd = '*')
        FROM pg_policy WHERE polrelid = c.oid))";

fn hex(digest: Digest) -> String {
    digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

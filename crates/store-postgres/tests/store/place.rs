//! A database for one test, in the cluster that the tests share or in one of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::cipher::Key;
use cog_base::entropy::SeededEntropy;
use cog_conformance::{Place, SharedPlace};
use cog_services::postgres::shared_url;
use cog_store::{Keep, Shared};
use cog_store_postgres::{MIGRATION_LATEST, Options, PostgresStore, migrate};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The role that owns the tables, and the one that nodes connect as.
pub(crate) const OWNER: &str = "cog_owner";
pub(crate) const APPLICATION: &str = "cog_application";

static NUMBER: AtomicU64 = AtomicU64::new(0);
/// Databases that tests are done with, emptied: to make and to drop one takes a second.
static USED: Mutex<Vec<String>> = Mutex::new(Vec::new());
const EMPTY: &str = "SET lock_timeout = '5s'; TRUNCATE tenant, instance, log, entry, tile, node, \
     checkpoint, body, subject_key, session, canon, signing_key, owner, mail, request, \
     cursor, dead_letter; UPDATE shard SET elsewhere = NULL";

/// A new database that goes with the value. It is migrated, unless a test says otherwise.
pub(crate) struct Database {
    /// The address of a database with `{database}` for its name, as the superuser.
    template: String,
    name: String,
    /// Whether another test may use it after this one.
    is_common: bool,
}

impl Database {
    /// In the shared cluster, with the tables of this release and nothing in them.
    pub(crate) fn new() -> Self {
        let template = shared_url("{database}").unwrap();
        let used = USED.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(name) = used {
            return Self { template, name, is_common: true };
        }
        let mut database = Self::empty(&template);
        database.is_common = true;
        migrate(&database.url(OWNER), APPLICATION, MIGRATION_LATEST).unwrap();
        database
    }

    /// In the cluster at `template`, without tables.
    pub(crate) fn empty(template: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cog_{}_{number}", std::process::id());
        let database = Self { template: template.to_owned(), name, is_common: false };
        let name = &database.name;
        // Another test may be making them too.
        let roles = format!(
            "DO $$ BEGIN
                 CREATE ROLE {OWNER} LOGIN PASSWORD 'owner';
                 CREATE ROLE {APPLICATION} LOGIN PASSWORD 'application';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        database.as_superuser("postgres", &roles);
        database.as_superuser("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}"));
        database
    }

    /// What the database is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The address of the database for a role.
    pub(crate) fn url(&self, role: &str) -> String {
        let url = self.template.replace("{database}", &self.name);
        url.replacen("postgres://postgres@", &format!("postgres://{role}@"), 1)
    }

    /// How a node named `node` opens it.
    pub(crate) fn options(&self, node: &str) -> Options {
        Options::new(&self.url(APPLICATION), node, Key::from_bytes([7; 32]))
    }

    pub(crate) fn node(&self, options: Options) -> PostgresStore {
        PostgresStore::open(options, entropy()).unwrap()
    }

    /// Statements as the superuser, whom nothing binds; the first column of their rows.
    pub(crate) fn admin(&self, sql: &str) -> Vec<String> {
        self.as_superuser(&self.name, sql)
    }

    fn as_superuser(&self, database: &str, sql: &str) -> Vec<String> {
        let url = self.template.replace("{database}", database);
        run(&url, sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }
}

impl Place for Database {
    fn open(&self) -> Arc<dyn Keep> {
        Arc::new(self.node(self.options("conformance")))
    }
}

impl SharedPlace for Database {
    fn share(&self) -> Arc<dyn Shared> {
        let options = self.options("conformance");
        Arc::new(self.node(Options { claims_itself: false, ..options }))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let own = self.template.replace("{database}", &self.name);
        if self.is_common && run(&own, &format!("SET search_path = cognitionos; {EMPTY}")).is_ok() {
            let name = std::mem::take(&mut self.name);
            return USED.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        }
        // A cluster of a test's own may be gone already.
        let url = self.template.replace("{database}", "postgres");
        let _ = run(&url, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// A randomness that is never the same twice in this process.
pub(crate) fn entropy() -> Box<SeededEntropy> {
    let seed = NUMBER.fetch_add(1, Ordering::Relaxed) << 32 | u64::from(std::process::id());
    Box::new(SeededEntropy::new(seed))
}

/// Statements on a connection of their own; the first column of their rows.
pub(crate) fn run(url: &str, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let first = async |client: Client| {
        let mut first = Vec::new();
        for message in client.simple_query(sql).await? {
            if let SimpleQueryMessage::Row(row) = message {
                first.push(row.get(0).unwrap_or("NULL").to_owned());
            }
        }
        Ok(first)
    };
    // A test that waits on its own connection may call this.
    std::thread::scope(|threads| threads.spawn(|| on_connection(url, first)).join().unwrap())
}

/// Do something on a connection of its own.
pub(crate) fn on_connection<T>(
    url: &str,
    work: impl AsyncFnOnce(Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T, tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        drop(tokio::spawn(connection));
        work(client).await
    })
}

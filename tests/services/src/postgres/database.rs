//! A database of one test in a cluster, with the two roles that the program wants: one that
//! owns the tables, and one that nodes connect as.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ClusterError, programs, shared_url};

/// The role that owns the tables.
pub const OWNER: &str = "cog_owner";
/// The role that nodes connect as.
pub const APPLICATION: &str = "cog_application";

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// An empty database. It goes with the value.
pub struct Database {
    /// The address of a database of the cluster with `{database}` for its name, as superuser.
    template: String,
    name: String,
}

impl Database {
    /// In the cluster that the tests of this process share.
    ///
    /// # Errors
    /// [`ClusterError`] says what is missing or failed.
    pub fn new() -> Result<Self, ClusterError> {
        Self::in_cluster(&shared_url("{database}")?)
    }

    /// In the cluster with this template of an address: see [`super::URL_VARIABLE`].
    ///
    /// # Errors
    /// [`ClusterError`] says what is missing or failed.
    pub fn in_cluster(template: &str) -> Result<Self, ClusterError> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cog_test_{}_{number}", std::process::id());
        let database = Self { template: template.to_owned(), name };
        // Another test may be making them too.
        let roles = format!(
            "DO $$ BEGIN
                 CREATE ROLE {OWNER} LOGIN PASSWORD 'owner';
                 CREATE ROLE {APPLICATION} LOGIN PASSWORD 'application';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        database.statement_in("postgres", &roles)?;
        let make = format!("CREATE DATABASE {} OWNER {OWNER}", database.name);
        database.statement_in("postgres", &make)?;
        Ok(database)
    }

    /// Its address for a role.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        let url = self.template.replace("{database}", &self.name);
        url.replacen("postgres://postgres@", &format!("postgres://{role}@"), 1)
    }

    /// A statement as the superuser; the lines that it answers.
    ///
    /// # Errors
    /// [`ClusterError`] with what the server said.
    pub fn statement(&self, sql: &str) -> Result<Vec<String>, ClusterError> {
        self.statement_in(&self.name, sql)
    }

    fn statement_in(&self, database: &str, sql: &str) -> Result<Vec<String>, ClusterError> {
        let psql = programs().ok_or(ClusterError::Missing)?.join("psql");
        let url = self.template.replace("{database}", database);
        let mut command = Command::new(psql);
        command.args([&url, "-XqAtv", "ON_ERROR_STOP=1", "-c", sql]);
        let failed = |why: String| ClusterError::Failed { doing: "run a statement".into(), why };
        let output = command.output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A cluster of a test's own may be gone already.
        let _ = self.statement_in("postgres", &drop);
    }
}

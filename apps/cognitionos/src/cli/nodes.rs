//! The command line of nodes that share a database.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::groups::Beginning;
use crate::config::MASTER_KEY_FILE;

/// Which database, and the key that seals what is in it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shared {
    /// The database: `postgres://ROLE:PASSWORD@HOST/NAME`. A password is better kept in a file
    /// that COGNITIONOS_DATABASE_URL_FILE names.
    #[arg(long, value_name = "URL", env = "COGNITIONOS_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// The file of the master key, the same for every node; only its owner may read it.
    #[arg(
        long,
        value_name = "FILE",
        env = MASTER_KEY_FILE,
        default_value = "master.key"
    )]
    pub(crate) master_key_file: PathBuf,
}

/// Whose ledger a command is about: that of the data folder, or one in the database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For a ledger in the database that nodes share")]
pub(crate) struct At {
    /// Whose ledger in the database; without it the command is about the data folder.
    #[arg(long, value_name = "TENANT", env = "COGNITIONOS_TENANT")]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) shared: Shared,
}

/// Whose ledger a command is about that changes something: in the database its owner is asked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For a ledger in the database that nodes share")]
pub(crate) struct Asking {
    /// How long it is waited for the node that owns the ledger, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) at: At,
}

impl Asking {
    /// The data folder, and nobody to ask.
    pub(crate) fn folder() -> Self {
        let shared = Shared { database_url: None, master_key_file: PathBuf::new() };
        Self { timeout: 0, at: At { tenant: None, shared } }
    }
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos submit workflow.yaml --tenant ten_01j… --wait
  cognitionos submit workflow.yaml --tenant ten_01j… --key order-1029 --input order=1029
  cognitionos submit --fork run_01j… --from pay --input limit=500 --tenant ten_01j…")]
pub(crate) struct SubmitArgs {
    /// The workflow file, YAML or JSON; `-` is standard input.
    #[arg(required_unless_present = "fork")]
    pub(crate) file: Option<PathBuf>,
    /// Start a run from a place of another: what was over there stays as it was, the rest begins
    /// anew, with other inputs if any are given.
    #[arg(
        long,
        value_name = "RUN",
        requires = "from",
        conflicts_with_all = ["file", "environment", "canon"]
    )]
    pub(crate) fork: Option<String>,
    /// The step to start it from, as its path, or a checkpoint.
    #[arg(long, value_name = "STEP|CHECKPOINT", requires = "fork")]
    pub(crate) from: Option<String>,
    /// Whose run it is: an id, such as `database new-tenant` makes.
    #[arg(long, value_name = "TENANT", env = "COGNITIONOS_TENANT")]
    pub(crate) tenant: String,
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// A name for this request: asked for again under the same name, it is the same run.
    #[arg(long, value_name = "NAME", value_parser = key)]
    pub(crate) key: Option<String>,
    /// Wait until the run has ended, or until only people can bring it on.
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) begin: Beginning,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos serve --database-url postgres://cog_nodes@db/cognitionos
  cognitionos serve --node one --json")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// What this node does.
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
    /// What this node is called; by default as its machine.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything: it owns logs, decides, records, and performs effects.
    All,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DatabaseCommand {
    /// Bring the tables to this release, as their owner, and make the master key if there is none.
    #[command(before_help = "\
Examples:
  cognitionos database prepare --application cog_nodes")]
    Prepare {
        #[command(flatten)]
        shared: Shared,
        /// The role that nodes connect as; it owns nothing.
        #[arg(long, value_name = "ROLE")]
        application: String,
    },
    /// Print an id for a new tenant.
    #[command(before_help = "\
Examples:
  cognitionos database new-tenant")]
    NewTenant,
    /// Check every entry, link and rule of the logs, and that each receipt has one outcome.
    #[command(before_help = "\
Examples:
  cognitionos database audit
  cognitionos database audit --tenant ten_01j… --json")]
    Audit {
        #[command(flatten)]
        shared: Shared,
        /// Only the log of this tenant.
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
    },
}

/// The longest name of a request, in bytes.
const KEY_BYTES_MAX: usize = 256;

fn key(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > KEY_BYTES_MAX {
        return Err(format!("a name has 1 to {KEY_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

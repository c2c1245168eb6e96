//! The command line of nodes that share a database.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use cog_base::id::TenantId;
use cog_base::turns::WEIGHT_MAX;

use super::groups::Beginning;
use crate::config::{DATABASES, MASTER_KEY_FILE, WORKER_TOKEN_FILE};

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
    /// A further database and what it is called among several, once for each: FILE holds its
    /// address. The one of --database-url is then called `home`.
    #[arg(
        long = "database",
        value_name = "NAME=FILE",
        env = DATABASES,
        value_delimiter = ','
    )]
    pub(crate) databases: Vec<String>,
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
        let master_key_file = PathBuf::new();
        let shared = Shared { database_url: None, master_key_file, databases: Vec::new() };
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
    /// The workflow file, YAML or JSON; `-` is standard input. Or the name of a workflow that has an
    /// active version: that is run, without its file.
    #[arg(value_name = "FILE|NAME", required_unless_present = "fork")]
    pub(crate) file: Option<PathBuf>,
    /// Start a run from a place of another: what was over there stays as it was, the rest begins
    /// anew, with other inputs if any are given.
    #[arg(
        long,
        value_name = "RUN",
        requires = "from",
        conflicts_with_all = ["file", "environment", "canon", "label"]
    )]
    pub(crate) fork: Option<String>,
    /// The step to start it from, as its path, or a checkpoint.
    #[arg(long, value_name = "STEP|CHECKPOINT", requires = "fork")]
    pub(crate) from: Option<String>,
    /// Whose run it is: an id, such as `database new-tenant` makes.
    #[arg(long, value_name = "TENANT", env = "COGNITIONOS_TENANT")]
    pub(crate) tenant: String,
    /// Begin a ledger for this tenant, if the database knows none; without it, that is refused.
    #[arg(long, conflicts_with = "fork")]
    pub(crate) new_tenant: bool,
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// A name for this request: asked for again under the same name, it is the same run.
    #[arg(long, value_name = "NAME", value_parser = key)]
    pub(crate) key: Option<String>,
    /// Wait until the run has ended, or until only people can bring it on.
    #[arg(long)]
    pub(crate) wait: bool,
    /// With --wait, for no more than so many seconds; the run goes on.
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    pub(crate) timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) begin: Beginning,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos serve --data ledger
  cognitionos serve --database-url postgres://cog_nodes@db/cognitionos --node one
  cognitionos serve --role scheduler --listen 127.0.0.1:8720
  cognitionos serve --role worker --scheduler http://127.0.0.1:8720 --trust keys.txt")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// What this process does.
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
    /// The file with the address of a broker that events of the ledgers go to:
    /// `amqps://USER:PASSWORD@HOST/VHOST`.
    #[arg(long, value_name = "FILE", requires = "queues")]
    pub(crate) events: Option<PathBuf>,
    /// A queue at the broker, and the types that go to it, such as
    /// `billing=workflow.execution.completed`; it is made if it is not there. May be given
    /// several times.
    #[arg(id = "queues", long = "queue", value_name = "NAME=TYPES", requires = "events")]
    pub(crate) queues: Vec<String>,
    /// What this node or worker is called; by default as its machine.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    #[command(flatten)]
    pub(crate) workers: Workers,
    #[command(flatten)]
    pub(crate) hooks: Hooks,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
}

/// Webhooks that start runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For webhooks")]
pub(crate) struct Hooks {
    /// Where webhooks are listened for, as 127.0.0.1:8730; without it nowhere. There is no TLS yet:
    /// elsewhere than on this machine, put something before it that has.
    #[arg(long, value_name = "ADDRESS", requires = "hook")]
    pub(crate) hooks: Option<SocketAddr>,
    /// A hook: what is sent to /hooks/NAME and signed with its secret starts what waits for it in the
    /// ledger of the tenant. SECRET is a file, which is made if it is not there and read anew for each
    /// webhook, or `env:VARIABLE`. May be given several times.
    #[arg(long, value_name = "NAME=TENANT:SECRET", requires = "hooks")]
    pub(crate) hook: Vec<String>,
}

/// How much a node does at once, and how tenants share it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How much at once")]
pub(crate) struct Bounds {
    /// The most effects of one tenant at once; more wait for one to end.
    #[arg(long, value_name = "NUMBER", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) concurrency: u32,
    /// The most runs of one tenant in memory at once; more wait in the database.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_024,
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) prefetch: u32,
    /// The most tenants of this node; other nodes have the rest.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_024,
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) tenants: u32,
    /// A tenant that gets so many times as much of this node as others when there is more to do than
    /// it can; may be said for several.
    #[arg(long, value_name = "TENANT=TIMES", value_parser = weight)]
    pub(crate) weight: Vec<(TenantId, u32)>,
}

/// Workers in other processes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For workers in other processes")]
pub(crate) struct Workers {
    /// The file of the token that workers are known by; only its owner may read it. A scheduler
    /// makes it when there is none.
    #[arg(
        long,
        value_name = "FILE",
        env = WORKER_TOKEN_FILE,
        default_value = "worker.token"
    )]
    pub(crate) worker_token_file: PathBuf,
    /// Where a scheduler listens to workers. There is no TLS yet: elsewhere than on this machine,
    /// put something before it that has.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8720")]
    pub(crate) listen: SocketAddr,
    /// Whom a worker asks for work; given again for each scheduler.
    #[arg(long, value_name = "URL")]
    pub(crate) scheduler: Vec<String>,
    /// The keys that a worker trusts, a line for each log, as `cognitionos ledger key` prints it.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// The folder in which a worker notes which receipts it used.
    #[arg(long, value_name = "DIR", default_value = ".cognitionos-worker")]
    pub(crate) journal: PathBuf,
    /// The kinds of effects that a worker performs; without it all.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// How many effects a worker performs at once.
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) slots: u64,
}

/// What a process of many does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything: it owns logs, decides, records, and performs effects.
    All,
    /// It owns logs, decides and records; workers perform.
    Scheduler,
    /// It performs what schedulers permitted, and needs no database.
    Worker,
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
    /// Print an id for a new tenant, which the database that is named knows from then on.
    #[command(before_help = "\
Examples:
  cognitionos database new-tenant
  cognitionos database new-tenant --at east")]
    NewTenant {
        #[command(flatten)]
        shared: Shared,
        /// Of several databases the one that is to have it, whatever its shard.
        #[arg(long, value_name = "NAME")]
        at: Option<String>,
    },
    /// Show which of several databases has which shards, and the tenants that are elsewhere.
    #[command(before_help = "\
Examples:
  cognitionos database map --database east=east.url
  cognitionos database map --json")]
    Map {
        #[command(flatten)]
        shared: Shared,
    },
    /// Move a tenant with its ledger, or shards, to another database while nodes go on.
    #[command(before_help = "\
Examples:
  cognitionos database move --tenant ten_01j… --to east
  cognitionos database move --shard 7 --to east
  cognitionos database move --share 25 --to east")]
    Move(MoveArgs),
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

fn weight(text: &str) -> Result<(TenantId, u32), String> {
    let (tenant, times) = text.split_once('=').ok_or("it is written TENANT=TIMES")?;
    let tenant = tenant.parse().map_err(|_| format!("`{tenant}` is not an id of a tenant"))?;
    match times.parse() {
        Ok(times @ 1..=WEIGHT_MAX) => Ok((tenant, times)),
        Ok(_) | Err(_) => Err(format!("a tenant gets 1 to {WEIGHT_MAX} times as much")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(flatten)]
    pub(crate) what: Moved,
    /// The database that is to have it: a name, or `home`.
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
    /// How long the node that owns the ledger may take to settle what is under way, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) grace: u64,
    /// Leave the rows where they were, though nobody reads them there any more.
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What is moved.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Moved {
    /// This tenant, whatever its shard.
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// This shard with all of its tenants, one after the other.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..16))]
    pub(crate) shard: Option<u8>,
    /// As many shards as it takes until that database has this share of all, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) share: Option<u8>,
}

/// The longest name of a request, in bytes.
const KEY_BYTES_MAX: usize = 256;

pub(super) fn key(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > KEY_BYTES_MAX {
        return Err(format!("a name has 1 to {KEY_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_names_a_tenant_and_a_number_of_times() {
        let id = TenantId::from_uuid(cog_base::id::Uuid::from_u128(7));
        assert_eq!(weight(&format!("{id}=3")), Ok((id, 3)));
        for bad in ["", "3", &format!("{id}"), &format!("{id}=0"), &format!("{id}=101"), "ten=3"] {
            assert!(weight(bad).is_err(), "{bad}");
        }
    }
}

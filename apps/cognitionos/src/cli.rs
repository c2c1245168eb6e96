//! The command line: what can be said.

pub(crate) mod nodes;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs agents and workflows so that nothing takes effect without a receipt.
#[derive(Debug, Parser)]
#[command(name = "cognitionos", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  cognitionos run examples/01-quickstart/workflow.yaml
  cognitionos approvals list
  cognitionos why dny_01j…
  cognitionos ledger verify

Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 not authenticated, 4 refused by policy,
5 limit or quota, 6 timeout, 7 conflict, 8 waiting for approval or a signal, or
paused, 130 interrupted, 143 ended
by SIGTERM.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For every command")]
pub(crate) struct Common {
    /// The folder that holds ledger, keys and bodies.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "COGNITIONOS_DATA",
        default_value = ".cognitionos"
    )]
    pub(crate) data: PathBuf,
    /// Print JSON: one document, or one a line where it streams.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print less: only what was asked for and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Never use colour. The variable NO_COLOR does the same.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Never ask; what needs an answer waits or fails.
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workflow under governance, or go on with one.
    Run(RunArgs),
    /// Recompute a run and its decisions from the ledger; with another canon, show what would change.
    Replay(ReplayArgs),
    /// Explain a run, a receipt, a denial, an approval or an outcome in words.
    Why(WhyArgs),
    /// List and answer requests for approval.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  cognitionos approvals list
  cognitionos approvals approve apr_01j… --as user:cfo")]
    Approvals(ApprovalsCommand),
    /// Send a run a message that one of its steps waits for.
    Signal(SignalArgs),
    /// Hold a run: nothing new of it begins, what is under way comes to its end.
    #[command(after_help = "\
Examples:
  cognitionos pause run_01j… --reason 'the supplier is under audit' --as user:cfo")]
    Pause(HoldArgs),
    /// Let a run go on that was held.
    #[command(after_help = "\
Examples:
  cognitionos unpause run_01j… --reason 'the audit is over' --as user:cfo")]
    Unpause(HoldArgs),
    /// Look at the ledger, prove, verify and export it.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  cognitionos ledger list
  cognitionos ledger verify
  cognitionos ledger export -o ledger.cogbundle --key ledger.vkey")]
    Ledger(LedgerCommand),
    /// Check a bundle that somebody else exported. Needs no data folder and no network.
    Verify(VerifyArgs),
    /// Check, test and change the canon.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  cognitionos canon check canon
  cognitionos canon diff active canon
  cognitionos canon propose canon --as user:head-of-lab")]
    Canon(CanonCommand),
    /// Ask the nodes that share a database for a run.
    Submit(nodes::SubmitArgs),
    /// Be one of the nodes that share a database, until SIGTERM or Ctrl-C.
    Serve(nodes::ServeArgs),
    /// Prepare and check the database that nodes share.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  cognitionos database prepare --application cog_nodes
  cognitionos database audit")]
    Database(nodes::DatabaseCommand),
    /// Check this machine and the data folder.
    #[command(after_help = "\
Examples:
  cognitionos doctor
  cognitionos doctor --deep --data .cognitionos")]
    Doctor {
        /// Look at the whole ledger, as `ledger verify` does, not only at its newest entries.
        #[arg(long)]
        deep: bool,
    },
    /// Print a completion script for a shell.
    #[command(after_help = "\
Examples:
  cognitionos completions bash > cognitionos.bash
  cognitionos completions fish > cognitionos.fish")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cognitionos run workflow.yaml --input folder=./inbox
  cognitionos run workflow.yaml --model http://127.0.0.1:11434/v1#llama3.2
  cognitionos run --resume run_01j…
  cognitionos run --cancel run_01j… --reason 'the supplier is gone' --as user:cfo")]
pub(crate) struct RunArgs {
    /// The workflow file, YAML or JSON.
    #[arg(required_unless_present_any = ["resume", "cancel"])]
    pub(crate) file: Option<PathBuf>,
    /// An input of the workflow.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// The canon folder; by default `canon` beside the workflow file.
    #[arg(long, value_name = "DIR")]
    pub(crate) canon: Option<PathBuf>,
    /// Ask a live model instead of the recording: BASE_URL#MODEL of any OpenAI-compatible
    /// server, or openai:MODEL with the key in OPENAI_API_KEY.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Record the model's answers into this cassette file.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) record: Option<PathBuf>,
    /// Who starts the run, or ends it.
    #[arg(
        long = "as",
        value_name = "ACTOR",
        env = "COGNITIONOS_ACTOR",
        default_value = "user:operator"
    )]
    pub(crate) actor: String,
    /// The environment, if not the one the workflow names.
    #[arg(long, value_name = "NAME", value_parser = environment)]
    pub(crate) environment: Option<String>,
    /// Go on with a run that was killed, or that waited, or was paused.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["file", "input"])]
    pub(crate) resume: Option<String>,
    /// End a run that was killed, or that waits for approval: nothing more of it begins.
    #[arg(
        long,
        value_name = "RUN",
        requires = "reason",
        conflicts_with_all = ["file", "input", "resume"]
    )]
    pub(crate) cancel: Option<String>,
    /// Why the run is ended; it is kept in the ledger.
    #[arg(long, value_name = "TEXT", requires = "cancel", value_parser = reason)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cognitionos replay
  cognitionos replay run_01j…
  cognitionos replay --all --canon canon-v2")]
pub(crate) struct ReplayArgs {
    /// The run; by default the newest.
    pub(crate) run: Option<String>,
    /// Replay every run of the ledger.
    #[arg(long, conflicts_with = "run")]
    pub(crate) all: bool,
    /// Another canon folder: show which verdicts it would change.
    #[arg(long, value_name = "DIR")]
    pub(crate) canon: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cognitionos why run_01j…
  cognitionos why dny_01j…
  cognitionos why 12")]
pub(crate) struct WhyArgs {
    /// A run (run_…), receipt (rcp_…), denial (dny_…), approval (apr_…), plan selection (pln_…)
    /// or entry number.
    pub(crate) id: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cognitionos signal run_01j… payment --payload '{\"order\": 7}' --id evt_1029
  cognitionos signal run_01j… go --as user:clerk")]
pub(crate) struct SignalArgs {
    /// The run (run_…).
    pub(crate) run: String,
    /// The name of the signal, as `wait_for` has it.
    pub(crate) name: String,
    /// What it says.
    #[arg(long, value_name = "JSON", default_value = "null")]
    pub(crate) payload: String,
    /// The id of the signal: sent again with the same id, it is the same signal. The time by
    /// default.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Whose personal data it holds.
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// Who sends it.
    #[arg(
        long = "as",
        value_name = "ACTOR",
        env = "COGNITIONOS_ACTOR",
        default_value = "user:operator"
    )]
    pub(crate) actor: String,
}

#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    /// The run (run_…).
    pub(crate) run: String,
    /// Why; it is kept in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
    /// Who does it.
    #[arg(
        long = "as",
        value_name = "ACTOR",
        env = "COGNITIONOS_ACTOR",
        default_value = "user:operator"
    )]
    pub(crate) actor: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// List what waits for an answer.
    #[command(after_help = "\
Examples:
  cognitionos approvals list
  cognitionos approvals list --json")]
    List,
    /// Say yes.
    #[command(after_help = "\
Examples:
  cognitionos approvals approve apr_01j… --as user:cfo")]
    Approve {
        /// The request (apr_…).
        id: String,
        /// Who answers.
        #[arg(long = "as", value_name = "ACTOR", env = "COGNITIONOS_APPROVER")]
        actor: String,
    },
    /// Say no.
    #[command(after_help = "\
Examples:
  cognitionos approvals reject apr_01j… --as user:cfo --reason 'not this month'")]
    Reject {
        /// The request (apr_…).
        id: String,
        /// Why; it is kept in the ledger.
        #[arg(long, value_parser = reason)]
        reason: String,
        /// Who answers.
        #[arg(long = "as", value_name = "ACTOR", env = "COGNITIONOS_APPROVER")]
        actor: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// List entries, newest last.
    #[command(after_help = "\
Examples:
  cognitionos ledger list
  cognitionos ledger list --run run_01j… --kind denial
  cognitionos ledger list --from 100 --limit 20 --json")]
    List {
        /// Only entries of this run.
        #[arg(long)]
        run: Option<String>,
        /// Only entries of this kind, such as `denial`.
        #[arg(long)]
        kind: Option<String>,
        /// The newest so many, the newest last: what is shown without `--from` and `--limit`.
        #[arg(long, value_name = "N", default_value_t = 100, conflicts_with_all = ["from", "limit"])]
        last: usize,
        /// From this entry on.
        #[arg(long, value_name = "N")]
        from: Option<u64>,
        /// The oldest so many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// List entries as the CloudEvents that are sent out, oldest first.
    #[command(after_help = "\
Examples:
  cognitionos ledger events --json
  cognitionos ledger events --type 'workflow.#' --from 100 --json")]
    Events {
        /// From this entry on.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Only types that match: words and dots, `*` for one word, `#` for any number. May be
        /// given several times.
        #[arg(long = "type", value_name = "PATTERN")]
        types: Vec<String>,
    },
    /// Show one entry with its body.
    #[command(after_help = "\
Examples:
  cognitionos ledger show 12
  cognitionos ledger show rcp_01j…")]
    Show {
        /// The entry's number, or an id in it.
        id: String,
    },
    /// Check every entry, hash, signature and rule of the whole ledger.
    #[command(after_help = "\
Examples:
  cognitionos ledger verify
  cognitionos ledger verify --against head.txt")]
    Verify {
        /// An earlier checkpoint or bundle, to show that the ledger only grew since.
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Export the ledger: a bundle that an outsider can check, or a table.
    #[command(after_help = "\
Examples:
  cognitionos ledger export -o ledger.cogbundle --key ledger.vkey
  cognitionos ledger export --format csv -o ledger.csv
  cognitionos ledger export --no-bodies -o -")]
    Export {
        /// Where to; `-` for standard output.
        #[arg(long, short, value_name = "FILE", default_value = "ledger.cogbundle")]
        output: PathBuf,
        /// What.
        #[arg(long, value_enum, default_value_t = Format::Bundle)]
        format: Format,
        /// Leave out the bodies: what was proposed and what came out.
        #[arg(long)]
        no_bodies: bool,
        /// Leave out the versions of canon. What is left out the manifest says.
        #[arg(long)]
        no_canons: bool,
        /// Export although bodies or versions of canon are missing that nothing accounts for:
        /// whoever checks the bundle finds each of them.
        #[arg(long)]
        incomplete: bool,
        /// Write the public key that checks it into this file.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Prove that an entry is in the ledger (C2SP tlog-proof).
    #[command(after_help = "\
Examples:
  cognitionos ledger proof 12
  cognitionos ledger proof rcp_01j…")]
    Proof {
        /// The entry's number, or an id in it.
        id: String,
    },
    /// Print the newest signed head (C2SP tlog-checkpoint).
    #[command(after_help = "\
Examples:
  cognitionos ledger checkpoint > head.txt")]
    Checkpoint,
    /// Print the public key that checks this ledger.
    #[command(after_help = "\
Examples:
  cognitionos ledger key > ledger.vkey")]
    Key,
    /// Change to a new signing key.
    #[command(after_help = "\
Examples:
  cognitionos ledger rotate --as user:cfo")]
    Rotate {
        /// Who does it.
        #[arg(long = "as", value_name = "ACTOR", default_value = "user:operator")]
        actor: String,
    },
    /// Destroy the key of a person's data. Every proof stays valid.
    #[command(after_help = "\
Examples:
  cognitionos ledger erase northwind --as user:cfo")]
    Erase {
        /// Whose data.
        subject: String,
        /// Who does it.
        #[arg(long = "as", value_name = "ACTOR", default_value = "user:operator")]
        actor: String,
    },
    /// Go on with an older copy of the ledger that was put back on purpose.
    #[command(after_help = "\
Examples:
  cognitionos ledger accept-restore --as user:operator")]
    AcceptRestore {
        /// Who does it.
        #[arg(long = "as", value_name = "ACTOR", default_value = "user:operator")]
        actor: String,
    },
    /// Drop entries before a number; their subtree hashes and a signed head stay.
    #[command(after_help = "\
Examples:
  cognitionos ledger prune --before 1024 --reason 'kept for five years' --as user:cfo")]
    Prune {
        /// The first entry that stays.
        #[arg(long, value_name = "N")]
        before: u64,
        /// Why; it is kept in the ledger.
        #[arg(long, value_parser = reason)]
        reason: String,
        /// Who does it.
        #[arg(long = "as", value_name = "ACTOR", default_value = "user:operator")]
        actor: String,
    },
}

/// What an export looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A bundle: one file that an outsider checks offline.
    Bundle,
    /// A JSON array of entries.
    Json,
    /// A table for a spreadsheet.
    Csv,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cognitionos verify ledger.cogbundle --key ledger.vkey
  cognitionos verify ledger.cogbundle --key ledger.vkey --against head.txt")]
pub(crate) struct VerifyArgs {
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// The public key of the ledger: a file, or the key line itself.
    #[arg(long, required = true)]
    pub(crate) key: Vec<String>,
    /// An earlier checkpoint or bundle: the ledger must only have grown since.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CanonCommand {
    /// Load a canon folder and say what is in it, or what is wrong with it.
    #[command(after_help = "\
Examples:
  cognitionos canon check
  cognitionos canon check canon-v2")]
    Check {
        /// The folder.
        #[arg(default_value = "canon")]
        dir: PathBuf,
    },
    /// Run a canon's own tests.
    #[command(after_help = "\
Examples:
  cognitionos canon test canon-v2")]
    Test {
        /// The folder.
        #[arg(default_value = "canon")]
        dir: PathBuf,
    },
    /// Show how two canons differ, line by line.
    #[command(after_help = "\
Examples:
  cognitionos canon diff active canon-v2
  cognitionos canon diff canon-v1 canon-v2")]
    Diff {
        /// One: a folder, a digest, or `active`.
        from: String,
        /// The other.
        to: String,
    },
    /// Show which recorded verdicts another canon would change.
    #[command(after_help = "\
Examples:
  cognitionos canon impact canon-v2")]
    Impact {
        /// The folder.
        dir: PathBuf,
    },
    /// Propose a canon for its domain.
    #[command(after_help = "\
Examples:
  cognitionos canon propose canon-v2 --as user:head-of-lab
  cognitionos canon propose canon-v2 --as user:cfo --evidence 12 --note 'new rotor'")]
    Propose {
        /// The folder.
        dir: PathBuf,
        /// Who proposes.
        #[arg(long = "as", value_name = "ACTOR")]
        actor: String,
        /// Evidence that it promotes: entry numbers.
        #[arg(long, value_name = "SEQ")]
        evidence: Vec<u64>,
        /// Why; it is kept in the ledger.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Approve a proposal.
    #[command(after_help = "\
Examples:
  cognitionos canon approve prp_01j… --as user:controller")]
    Approve {
        /// The proposal (prp_…).
        id: String,
        /// Who approves.
        #[arg(long = "as", value_name = "ACTOR")]
        actor: String,
    },
    /// Reject a proposal.
    #[command(after_help = "\
Examples:
  cognitionos canon reject prp_01j… --as user:controller --reason 'too wide'")]
    Reject {
        /// The proposal (prp_…).
        id: String,
        /// Why; it is kept in the ledger.
        #[arg(long, value_parser = reason)]
        reason: String,
        /// Who rejects.
        #[arg(long = "as", value_name = "ACTOR")]
        actor: String,
    },
    /// Put an approved proposal in force.
    #[command(after_help = "\
Examples:
  cognitionos canon activate prp_01j… --as user:head-of-lab")]
    Activate {
        /// The proposal (prp_…).
        id: String,
        /// Who activates.
        #[arg(long = "as", value_name = "ACTOR")]
        actor: String,
    },
    /// List canons in force and proposals.
    #[command(after_help = "\
Examples:
  cognitionos canon list")]
    List,
}

/// The longest name of an environment, in bytes; as in workflow files.
const ENVIRONMENT_BYTES_MAX: usize = 64;

/// The name of an environment, as a workflow file may say it.
pub(crate) fn environment(text: &str) -> Result<String, String> {
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    let letter = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    if starts && text.chars().all(letter) && text.len() <= ENVIRONMENT_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err("an environment is named by a-z first, then a-z, 0-9, _ and -, 64 at most".to_owned())
}

/// A reason that says something.
fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say why; it is kept in the ledger".to_owned());
    }
    Ok(text.to_owned())
}

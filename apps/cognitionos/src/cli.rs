//! The command line: what can be said.

mod canon;
pub(crate) mod checkpoints;
pub(crate) mod events;
mod groups;
mod ledger;
pub(crate) mod nodes;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod sessions;
pub(crate) mod workflows;

use std::path::PathBuf;

use clap::{Args, Command as Clap, CommandFactory as _, Parser, Subcommand};

pub(crate) use self::canon::CanonCommand;
pub(crate) use self::groups::Beginning;
pub(crate) use self::groups::By;
use self::groups::{Answerer, Because, reason};
pub(crate) use self::ledger::{Format, LedgerCommand};
use crate::config;
use crate::system;

/// Runs agents and workflows so that nothing takes effect without a receipt.
#[derive(Debug, Parser)]
#[command(name = "cognitionos", version, propagate_version = true, arg_required_else_help = true)]
#[command(before_help = "\
Examples:
  cognitionos run examples/01-quickstart/workflow.yaml
  cognitionos approvals list
  cognitionos why dny_01j…
  cognitionos ledger verify")]
#[command(after_help = "\
Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 not authenticated, 4 refused by policy, \
5 limit or quota, 6 timeout, 7 conflict, 8 waiting for approval or a signal, or paused, \
130 interrupted, 143 ended by SIGTERM.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How help reads: what it is, how it is used by example, and then all there is.
const HELP: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

/// The description of the whole command line, with what files set as defaults.
pub(crate) fn command() -> Clap {
    dressed(Cli::command())
}

fn dressed(command: Clap) -> Clap {
    let command = command.help_template(HELP).mut_args(|argument| {
        // An empty variable is one that is not set.
        let is_empty = argument.get_env().is_some_and(system::is_empty);
        let file = argument.get_env().and_then(config::says);
        let argument = if is_empty { argument.env(None::<&'static str>) } else { argument };
        match file {
            // What is not shown of the environment is not shown of a file.
            Some(value) => {
                let is_secret = argument.is_hide_env_values_set();
                argument.default_value(value).required(false).hide_default_value(is_secret)
            }
            None => argument,
        }
    });
    let names: Vec<String> =
        command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, dressed))
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
    /// For programs that read words: no colour, nothing redrawn, and tabs between columns.
    #[arg(long, global = true, conflicts_with = "json")]
    pub(crate) plain: bool,
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
    /// List and answer requests for approval. Without a command: list.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos approvals list
  cognitionos approvals approve apr_01j… --as user:cfo")]
    Approvals(ApprovalsCommand),
    /// Send a run a message that one of its steps waits for.
    Signal(SignalArgs),
    /// Hold a run: nothing new of it begins, what is under way comes to its end.
    #[command(before_help = "\
Examples:
  cognitionos pause run_01j… --reason 'the supplier is under audit' --as user:cfo")]
    Pause(HoldArgs),
    /// Let a run go on that was held.
    #[command(before_help = "\
Examples:
  cognitionos unpause run_01j… --reason 'the audit is over' --as user:cfo")]
    Unpause(HoldArgs),
    /// Name places of runs, and go on from them. Without a command: list.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos checkpoint create run_01j… before-payment --step pay
  cognitionos checkpoint list
  cognitionos checkpoint restore run_01j… before-payment --input limit=500")]
    Checkpoint(checkpoints::CheckpointCommand),
    /// List the governed domains, their canons, and what was done in each environment.
    Domains(runs::DomainsArgs),
    /// List runs and how they stand, the newest first.
    Runs(runs::RunsArgs),
    /// Show what the effects of a run gave while they were under way.
    Logs(runs::LogsArgs),
    /// Start a run from the step that another one failed for.
    Redrive(runs::RedriveArgs),
    /// Start workflows at the times that their files say. Without a command: list.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos schedules set report.yaml
  cognitionos schedules next
  cognitionos schedules run")]
    Schedules(schedules::SchedulesCommand),
    /// Say from which version of its definition a workflow is started. Without a command: list.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos workflows activate report.yaml
  cognitionos workflows show report
  cognitionos workflows diff report 1 2")]
    Workflows(workflows::WorkflowsCommand),
    /// Have events start the workflows whose files say so.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos events send event.json
  cognitionos events run")]
    Events(events::EventsCommand),
    /// Take in sessions that ran elsewhere.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos sessions accept event.json --as user:desk
  cognitionos sessions accept event.json --proof other.cogbundle --key other.vkey")]
    Sessions(sessions::SessionsCommand),
    /// Look at the ledger, prove, verify and export it. Without a command: list.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos ledger list
  cognitionos ledger verify
  cognitionos ledger export -o ledger.cogbundle --key ledger.vkey")]
    Ledger(LedgerCommand),
    /// Check a bundle that somebody else exported. Needs no data folder and no network.
    Verify(VerifyArgs),
    /// Check, test and change the canon. Without a command: list.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos canon check canon
  cognitionos canon diff active canon
  cognitionos canon propose canon --as user:head-of-lab")]
    Canon(CanonCommand),
    /// Ask the nodes that share a database for a run.
    Submit(nodes::SubmitArgs),
    /// Be the node of the data folder, or one of those that share a database, until SIGTERM or Ctrl-C.
    Serve(nodes::ServeArgs),
    /// Prepare and check the database that nodes share.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos database prepare --application cog_nodes
  cognitionos database audit")]
    Database(nodes::DatabaseCommand),
    /// Check this machine and the data folder.
    #[command(before_help = "\
Examples:
  cognitionos doctor
  cognitionos doctor --deep --data .cognitionos")]
    Doctor {
        /// Look at the whole ledger, as `ledger verify` does, not only at its newest entries.
        #[arg(long)]
        deep: bool,
    },
    /// See what is set, and what says it.
    #[command(subcommand)]
    #[command(before_help = "\
Examples:
  cognitionos config explain
  cognitionos config explain --json")]
    Config(ConfigCommand),
    /// Print the manual page of the program or of a command.
    #[command(before_help = "\
Examples:
  cognitionos man > cognitionos.1
  cognitionos man ledger export > cognitionos-ledger-export.1")]
    Man {
        /// The words of a command; without any, the program.
        command: Vec<String>,
    },
    /// Print a completion script for a shell.
    #[command(before_help = "\
Examples:
  cognitionos completions bash > cognitionos.bash
  cognitionos completions fish > cognitionos.fish")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each setting with its value and where that comes from.
    #[command(before_help = "\
Examples:
  cognitionos config explain
  cognitionos config explain --json")]
    Explain,
}

#[derive(Clone, Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos run workflow.yaml --input folder=./inbox
  cognitionos run workflow.yaml --model http://127.0.0.1:11434/v1#llama3.2
  cognitionos run workflow.yaml --key order-1029 --input order=1029
  cognitionos run --cancel run_01j… --reason 'the supplier is gone' --as user:cfo")]
pub(crate) struct RunArgs {
    /// The workflow file, YAML or JSON; `-` is standard input. Or the name of a workflow that has an
    /// active version: that is run, without its file.
    #[arg(value_name = "FILE|NAME", required_unless_present_any = ["resume", "cancel", "fork"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) begin: Beginning,
    /// A name for this request: asked for again under the same name, it is the same run, which goes on
    /// or whose end is told.
    #[arg(
        long,
        value_name = "NAME",
        value_parser = nodes::key,
        conflicts_with_all = ["resume", "fork", "cancel", "dry_run"]
    )]
    pub(crate) key: Option<String>,
    /// Say what the run would be permitted, refused and asked before its first effect. Nothing is
    /// recorded and nothing is done.
    #[arg(long, short = 'n', conflicts_with_all = ["resume", "fork", "cancel", "record"])]
    pub(crate) dry_run: bool,
    /// Ask a live model instead of the recording: BASE_URL#MODEL of any OpenAI-compatible
    /// server, or openai:MODEL with the key in OPENAI_API_KEY.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Record the model's answers into this cassette file.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) record: Option<PathBuf>,
    /// Go on with a run that was killed, or that waited, or was paused.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["file", "input", "label"])]
    pub(crate) resume: Option<String>,
    /// Start a run from a place of another: what was over there stays as it was, the rest begins
    /// anew, with other inputs if any are given.
    #[arg(
        long,
        value_name = "RUN",
        requires = "from",
        conflicts_with_all = ["file", "resume", "cancel", "environment", "label"]
    )]
    pub(crate) fork: Option<String>,
    /// The step to start it from, as its path, or a checkpoint.
    #[arg(long, value_name = "STEP|CHECKPOINT", requires = "fork")]
    pub(crate) from: Option<String>,
    /// End a run that was killed, or that waits for approval: nothing more of it begins.
    #[arg(
        long,
        value_name = "RUN",
        requires = "reason",
        conflicts_with_all = ["file", "input", "label", "resume"]
    )]
    pub(crate) cancel: Option<String>,
    /// Why the run is ended; it is kept in the ledger.
    #[arg(long, value_name = "TEXT", requires = "cancel", value_parser = reason)]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) asking: nodes::Asking,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos replay
  cognitionos replay --all --canon canon-v2
  cognitionos replay run_01j… --at 12
  cognitionos replay --definition invoices.yaml")]
pub(crate) struct ReplayArgs {
    /// The run; by default the newest.
    pub(crate) run: Option<String>,
    /// Replay every run of the ledger.
    #[arg(long, conflicts_with = "run")]
    pub(crate) all: bool,
    /// Another canon folder: show which verdicts it would change.
    #[arg(long, value_name = "DIR")]
    pub(crate) canon: Option<PathBuf>,
    /// Show the state of the run behind one of its entries, or where a step of it began.
    #[arg(long = "at", value_name = "ENTRY|STEP", requires = "run", conflicts_with_all = ["all", "canon", "keep", "list", "show"])]
    pub(crate) at_place: Option<String>,
    /// Another version of the workflow file: show which runs of it on record do not follow from it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["canon", "at_place", "keep", "list", "show"])]
    pub(crate) definition: Option<PathBuf>,
    /// Keep what came of it, as an entry for each run.
    #[arg(long)]
    pub(crate) keep: bool,
    /// List what was kept, of the run or of all.
    #[arg(long, conflicts_with_all = ["all", "canon", "keep"])]
    pub(crate) list: bool,
    /// Show what was kept under an id (rpl_…).
    #[arg(long, value_name = "ID", conflicts_with_all = ["run", "all", "canon", "keep", "list"])]
    pub(crate) show: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) at: nodes::At,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos why run_01j…
  cognitionos why dny_01j…
  cognitionos why 12")]
pub(crate) struct WhyArgs {
    /// A run (run_…), receipt (rcp_…), denial (dny_…), approval (apr_…), plan selection (pln_…)
    /// or entry number.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) at: nodes::At,
}

#[derive(Debug, Args)]
#[command(before_help = "\
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
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) asking: nodes::Asking,
}

#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    /// The run (run_…).
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) because: Because,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) asking: nodes::Asking,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// List what waits for an answer.
    #[command(before_help = "\
Examples:
  cognitionos approvals list
  cognitionos approvals list --json")]
    List {
        #[command(flatten)]
        at: nodes::At,
    },
    /// Say yes.
    #[command(before_help = "\
Examples:
  cognitionos approvals approve apr_01j… --as user:cfo
  cognitionos approvals approve apr_01j… --as user:cfo --field cost_center=4711")]
    Approve {
        /// The request (apr_…).
        id: String,
        /// A field of the form that the step asks for. Given once for each.
        #[arg(long, value_name = "NAME=VALUE")]
        field: Vec<String>,
        /// A JSON file with fields of the form; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        fields: Option<PathBuf>,
        #[command(flatten)]
        by: Answerer,
        #[command(flatten)]
        asking: nodes::Asking,
    },
    /// Have another person answer in your place, where the canon lets them. You answer no more then.
    #[command(before_help = "\
Examples:
  cognitionos approvals delegate apr_01j… --to user:deputy --as user:cfo
  cognitionos approvals delegate apr_01j… --to user:deputy --as user:cfo --reason 'on leave'")]
    Delegate {
        /// The request (apr_…).
        id: String,
        /// Who is to answer.
        #[arg(long, value_name = "ACTOR")]
        to: String,
        /// Why; it is kept in the ledger.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
        #[command(flatten)]
        by: Answerer,
        #[command(flatten)]
        asking: nodes::Asking,
    },
    /// Say no.
    #[command(before_help = "\
Examples:
  cognitionos approvals reject apr_01j… --as user:cfo --reason 'not this month'")]
    Reject {
        /// The request (apr_…).
        id: String,
        #[command(flatten)]
        because: Because,
        #[command(flatten)]
        by: Answerer,
        #[command(flatten)]
        asking: nodes::Asking,
    },
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos verify ledger.cogbundle --key ledger.vkey
  cognitionos verify ledger.cogbundle --key ledger.vkey --against head.txt
  cognitionos verify - --key ledger.vkey < ledger.cogbundle")]
pub(crate) struct VerifyArgs {
    /// The bundle; `-` is standard input.
    pub(crate) bundle: PathBuf,
    /// The public key of the ledger: a file, or the key line itself.
    #[arg(long, required = true)]
    pub(crate) key: Vec<String>,
    /// An earlier checkpoint or bundle: the ledger must only have grown since.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

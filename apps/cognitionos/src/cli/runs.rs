//! The command line of what became of runs.

use clap::{Args, ValueEnum};

use super::groups::By;
use super::nodes::At;

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos runs
  cognitionos runs --status failed
  cognitionos runs --status open --json")]
pub(crate) struct RunsArgs {
    /// Only runs that stand so.
    #[arg(long, value_name = "STATUS", value_enum)]
    pub(crate) status: Option<Status>,
    /// Only so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) last: usize,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos domains
  cognitionos domains --json")]
pub(crate) struct DomainsArgs {
    #[command(flatten)]
    pub(crate) at: At,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// It has not begun: it waits for its turn.
    Queued,
    /// It has not ended.
    Open,
    Completed,
    Failed,
    Refused,
    Cancelled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos redrive run_01j…
  cognitionos redrive run_01j… --input limit=500 --as user:clerk")]
pub(crate) struct RedriveArgs {
    /// The run that failed (run_…).
    pub(crate) run: String,
    /// An input that is another from there on.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// Do it although another run was started from there already.
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) at: At,
}

//! The command line of what became of runs.

use clap::{Args, ValueEnum};
use cog_embed::runs;

use super::groups::By;
use super::nodes::At;

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos runs
  cognitionos runs --status failed
  cognitionos runs --label customer=acme --since 2d
  cognitionos runs --limit 100 --after run_01j… --json")]
pub(crate) struct RunsArgs {
    /// Only runs that stand so.
    #[arg(long, value_name = "STATUS", value_enum)]
    pub(crate) status: Option<Status>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Only so many, the newest.
    #[arg(long, visible_alias = "last", value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Go on behind this run, which was the last of the page before.
    #[arg(long, value_name = "RUN")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Which runs are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// Only those that are found by this. Of several, by all of them.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<String>,
    /// Only those of this domain.
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// Only those of this workflow.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Only those that were asked for, or began, at this time or later: 2026-11-21T08:00:00Z, or
    /// 90s, 15m, 4h, 2d ago.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos logs run_01j… --follow
  cognitionos logs run_01j… --step build --from 4096 --json")]
pub(crate) struct LogsArgs {
    /// The run.
    pub(crate) run: String,
    /// Only what the effect of this step gave.
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    /// Only what stands behind so many bytes of what an effect gave.
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub(crate) from: u64,
    /// Show what comes as well, until the run is sealed.
    #[arg(long, short)]
    pub(crate) follow: bool,
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
    /// The next run of its chain took its place.
    Continued,
}

impl Status {
    /// How a run stands then.
    pub(crate) const fn meant(self) -> runs::Status {
        match self {
            Self::Queued => runs::Status::Queued,
            Self::Open => runs::Status::Open,
            Self::Completed => runs::Status::Completed,
            Self::Failed => runs::Status::Failed,
            Self::Refused => runs::Status::Refused,
            Self::Cancelled => runs::Status::Cancelled,
            Self::Continued => runs::Status::Continued,
        }
    }
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  cognitionos redrive run_01j…
  cognitionos redrive run_01j… --input limit=500 --as user:clerk
  cognitionos redrive --all --label customer=acme --since 2d --dry-run")]
pub(crate) struct RedriveArgs {
    /// The run that failed (run_…).
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) run: Option<String>,
    /// Every run that failed, from which no other went on yet, the oldest first.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Say which runs would be started, and from which steps, and start none.
    #[arg(long, requires = "all")]
    pub(crate) dry_run: bool,
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

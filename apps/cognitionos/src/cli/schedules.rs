//! The command line of schedules.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::groups::By;
use super::nodes::{Asking, At};

#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// Start a workflow when its file says under `on`, as the file is now, until it is set again.
    #[command(before_help = "\
Examples:
  cognitionos schedules set report.yaml
  cognitionos schedules set report.yaml --as user:cfo --tenant ten_01j…")]
    Set(Box<SetArgs>),
    /// List what is started, when it is next, and what of it is not over.
    #[command(before_help = "\
Examples:
  cognitionos schedules list
  cognitionos schedules list --tenant ten_01j… --json")]
    List {
        #[command(flatten)]
        at: At,
    },
    /// List the times that come next.
    #[command(before_help = "\
Examples:
  cognitionos schedules next
  cognitionos schedules next nightly --count 10")]
    Next {
        /// The id of a schedule; by default of all.
        id: Option<String>,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        count: u64,
        #[command(flatten)]
        at: At,
    },
    /// Start nothing more by a schedule. What it began goes on.
    #[command(before_help = "\
Examples:
  cognitionos schedules remove nightly
  cognitionos schedules remove nightly --as user:cfo --tenant ten_01j…")]
    Remove(OneArgs),
    /// Start nothing by a schedule until it is unpaused. What it began goes on.
    #[command(before_help = "\
Examples:
  cognitionos schedules pause nightly
  cognitionos schedules pause nightly --as user:cfo --tenant ten_01j…")]
    Pause(OneArgs),
    /// Start something by a schedule again, at the times that come from now on.
    #[command(before_help = "\
Examples:
  cognitionos schedules unpause nightly
  cognitionos schedules unpause nightly --as user:cfo --tenant ten_01j…")]
    Unpause(OneArgs),
    /// Have a schedule start a run now, as it would at its time. Who set it may.
    #[command(before_help = "\
Examples:
  cognitionos schedules trigger nightly
  cognitionos schedules trigger nightly --as user:cfo --tenant ten_01j…")]
    Trigger(Box<TriggerArgs>),
    /// Have a schedule start a run for each time of a span that none was started for, one after the
    /// other. Who set it may.
    #[command(before_help = "\
Examples:
  cognitionos schedules backfill nightly --from 7d --dry-run
  cognitionos schedules backfill nightly --from 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z
  cognitionos schedules backfill nightly --from 2d --as user:cfo --tenant ten_01j…")]
    Backfill(Box<BackfillArgs>),
    /// Keep to the schedules of the data folder, until SIGTERM or Ctrl-C. In a database nodes do.
    #[command(before_help = "\
Examples:
  cognitionos schedules run
  cognitionos schedules run --once --quiet")]
    Run {
        /// Do what is due now, and end.
        #[arg(long)]
        once: bool,
    },
}

/// One schedule, and who changes it.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The id of the schedule.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// One schedule, who asks it for runs, and whether they may overlap.
#[derive(Debug, Args)]
pub(crate) struct FireArgs {
    #[command(flatten)]
    pub(crate) one: OneArgs,
    /// Start it although another run of the schedule is not over, whatever `overlap` says.
    #[arg(long)]
    pub(crate) allow_overlap: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TriggerArgs {
    #[command(flatten)]
    pub(crate) fire: FireArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    #[command(flatten)]
    pub(crate) fire: FireArgs,
    /// The first time, such as 2026-11-01T00:00:00Z, or so long ago: 4h, 7d.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: String,
    /// The last time; by default now.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Say which times there are, and start nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The workflow file, YAML or JSON.
    pub(crate) file: PathBuf,
    /// The environment, if not the one the workflow names.
    #[arg(long, value_name = "NAME", value_parser = super::groups::environment)]
    pub(crate) environment: Option<String>,
    /// What each run is found by, beside what the workflow says. Given once for each.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<String>,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

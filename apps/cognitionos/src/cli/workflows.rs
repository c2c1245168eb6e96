//! The command line of versions of workflows.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::groups::By;
use super::nodes::{Asking, At};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowsCommand {
    /// Start runs of a workflow from this file alone, once its recorded runs follow from it.
    #[command(before_help = "\
Examples:
  cognitionos workflows activate report.yaml
  cognitionos workflows activate report.yaml --despite-runs 'it tells the auditor too' --as user:cfo
  cognitionos workflows activate report.yaml --tenant ten_01j…")]
    Activate(ActivateArgs),
    /// List the workflows that have an active version, and which that is.
    #[command(before_help = "\
Examples:
  cognitionos workflows list
  cognitionos workflows list --tenant ten_01j… --json")]
    List {
        #[command(flatten)]
        at: At,
    },
    /// Show the versions of a workflow, and the definition of one.
    #[command(before_help = "\
Examples:
  cognitionos workflows show report
  cognitionos workflows show report@1")]
    Show {
        /// The workflow; with @N its version N, by default the active one.
        #[arg(value_name = "NAME[@VERSION]")]
        workflow: String,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        at: At,
    },
    /// Show what is otherwise between two versions of a workflow.
    #[command(before_help = "\
Examples:
  cognitionos workflows diff report
  cognitionos workflows diff report 1 3")]
    Diff {
        /// The workflow.
        name: String,
        /// The earlier version; by default the one before.
        from: Option<u64>,
        /// The later version; by default the active one.
        #[arg(requires = "from")]
        to: Option<u64>,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        at: At,
    },
    /// Activate an earlier version again, as the next one, once the recorded runs follow from it.
    #[command(before_help = "\
Examples:
  cognitionos workflows restore report 1
  cognitionos workflows restore report 1 --despite-runs 'version 2 was a mistake' --as user:cfo")]
    Restore(RestoreArgs),
}

/// Which workflow, where several domains have one of that name.
#[derive(Debug, Clone, Args)]
pub(crate) struct Of {
    /// Its domain, if several have a workflow of that name.
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
}

/// Who activates, and whether recorded runs keep them from it.
#[derive(Debug, Args)]
pub(crate) struct Activating {
    /// Activate it although recorded runs would differ, and why; it is kept in the ledger.
    #[arg(long, value_name = "REASON", value_parser = super::groups::reason)]
    pub(crate) despite_runs: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct ActivateArgs {
    /// The workflow file, YAML or JSON.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) activating: Activating,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The workflow.
    pub(crate) name: String,
    /// The version to go back to.
    #[arg(value_name = "VERSION")]
    pub(crate) number: u64,
    #[command(flatten)]
    pub(crate) of: Of,
    #[command(flatten)]
    pub(crate) activating: Activating,
}

//! The command line of checkpoints.

use clap::{Args, Subcommand};

use super::groups::By;
use super::nodes::{Asking, At};

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Give a place of a run a name: where it stands now, or where a step began.
    #[command(before_help = "\
Examples:
  cognitionos checkpoint create run_01j… before-payment --step pay
  cognitionos checkpoint create run_01j… here --as user:cfo")]
    Create(CreateArgs),
    /// List the checkpoints, of one run or of all.
    #[command(before_help = "\
Examples:
  cognitionos checkpoint list
  cognitionos checkpoint list run_01j… --json")]
    List {
        /// The run (run_…).
        run: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Start a run that goes on from a checkpoint: the same as `run --fork RUN --from NAME`.
    #[command(before_help = "\
Examples:
  cognitionos checkpoint restore run_01j… before-payment
  cognitionos checkpoint restore run_01j… before-payment --input limit=500")]
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The run (run_…).
    pub(crate) run: String,
    /// The name, by which nothing else of the run is called: a-z first, then a-z, 0-9, `_`, `-`.
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// The step from which is to be gone on, as its path; by default the run is named as it
    /// stands.
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The run that has the checkpoint (run_…).
    pub(crate) run: String,
    /// The name of the checkpoint, or its id (chk_…).
    pub(crate) name: String,
    /// An input that is another from there on.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) at: At,
}

/// A name of at most 64 letters.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
    if begins && text.len() <= 64 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("a name has a-z first, then a-z, 0-9, `_` and `-`, at most 64".to_owned())
}

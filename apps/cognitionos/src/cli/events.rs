//! The command line of events that start workflows.

use std::path::PathBuf;

use clap::Subcommand;

use super::nodes::At;

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Bring an event: every workflow that waits for such a one starts a run. The same event starts
    /// each of them once.
    #[command(before_help = "\
Examples:
  cognitionos events send event.json
  cognitionos events send - < event.json
  cognitionos events send event.json --tenant ten_01j… --json")]
    Send {
        /// The event: CloudEvents 1.0 in its JSON format; `-` is standard input.
        event: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Have the events of the own ledger start workflows, until SIGTERM or Ctrl-C.
    #[command(before_help = "\
Examples:
  cognitionos events run
  cognitionos events run --once
  cognitionos events run --tenant ten_01j… --json")]
    Run {
        /// Do what is to be done now, and end.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        at: At,
    },
}

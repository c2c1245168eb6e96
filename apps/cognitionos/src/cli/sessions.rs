//! The command line of sessions that ran elsewhere.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::groups::{By, environment};
use super::nodes::At;

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Take in that a session ended which ran elsewhere, where the canon permits it. The same event
    /// is taken in once.
    #[command(before_help = "\
Examples:
  cognitionos sessions accept event.json --as user:desk
  cognitionos sessions accept event.json --proof seal.tlog-proof --key other.vkey
  cognitionos sessions accept - --domain intake < event.json")]
    Accept(Box<AcceptArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The event: CloudEvents 1.0 in its JSON format; `-` is standard input.
    pub(crate) event: PathBuf,
    /// What proves it, where another CognitionOS told it: its bundle, or what `ledger proof` printed
    /// there of the seal of the session.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) proof: Option<PathBuf>,
    /// The public key of the ledger that it is of: a file, or the key line itself.
    #[arg(long, requires = "proof")]
    pub(crate) key: Vec<String>,
    /// The domain whose canon decides; by default that of the canon folder, or the only one there is.
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// The canon folder, which founds a domain that has no canon yet; by default `canon` here.
    #[arg(long, value_name = "DIR")]
    pub(crate) canon: Option<PathBuf>,
    /// The environment.
    #[arg(long, value_name = "NAME", value_parser = environment)]
    pub(crate) environment: Option<String>,
    #[command(flatten)]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) at: At,
}

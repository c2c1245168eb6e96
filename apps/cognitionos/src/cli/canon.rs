//! The command line of the canon.

use std::path::PathBuf;

use clap::Subcommand;

use super::groups::{Because, Changer};
use super::nodes::{Asking, At};

#[derive(Debug, Subcommand)]
pub(crate) enum CanonCommand {
    /// Load a canon folder and say what is in it, or what is wrong with it.
    #[command(before_help = "\
Examples:
  cognitionos canon check
  cognitionos canon check canon-v2")]
    Check {
        /// The folder.
        #[arg(default_value = "canon")]
        dir: PathBuf,
    },
    /// Run a canon's own tests.
    #[command(before_help = "\
Examples:
  cognitionos canon test canon-v2")]
    Test {
        /// The folder.
        #[arg(default_value = "canon")]
        dir: PathBuf,
    },
    /// Show how two canons differ, line by line.
    #[command(before_help = "\
Examples:
  cognitionos canon diff active canon-v2
  cognitionos canon diff canon-v1 canon-v2")]
    Diff {
        /// One: a folder, a digest, or `active`.
        from: String,
        /// The other.
        to: String,
        #[command(flatten)]
        at: At,
    },
    /// Show which recorded verdicts another canon would change.
    #[command(before_help = "\
Examples:
  cognitionos canon impact canon-v2")]
    Impact {
        /// The folder.
        dir: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Propose a canon for its domain.
    #[command(before_help = "\
Examples:
  cognitionos canon propose canon-v2 --as user:head-of-lab
  cognitionos canon propose canon-v2 --as user:cfo --evidence 12 --note 'new rotor'")]
    Propose {
        /// The folder.
        dir: PathBuf,
        #[command(flatten)]
        by: Changer,
        #[command(flatten)]
        asking: Asking,
        /// Evidence that it promotes: entry numbers.
        #[arg(long, value_name = "SEQ")]
        evidence: Vec<u64>,
        /// Why; it is kept in the ledger.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Approve a proposal.
    #[command(before_help = "\
Examples:
  cognitionos canon approve prp_01j… --as user:controller")]
    Approve {
        /// The proposal (prp_…).
        id: String,
        #[command(flatten)]
        by: Changer,
        #[command(flatten)]
        asking: Asking,
    },
    /// Reject a proposal.
    #[command(before_help = "\
Examples:
  cognitionos canon reject prp_01j… --as user:controller --reason 'too wide'")]
    Reject {
        /// The proposal (prp_…).
        id: String,
        #[command(flatten)]
        because: Because,
        #[command(flatten)]
        by: Changer,
        #[command(flatten)]
        asking: Asking,
    },
    /// Put an approved proposal in force.
    #[command(before_help = "\
Examples:
  cognitionos canon activate prp_01j… --as user:head-of-lab")]
    Activate {
        /// The proposal (prp_…).
        id: String,
        #[command(flatten)]
        by: Changer,
        #[command(flatten)]
        asking: Asking,
    },
    /// List canons in force and proposals.
    #[command(before_help = "\
Examples:
  cognitionos canon list")]
    List {
        #[command(flatten)]
        at: At,
    },
}

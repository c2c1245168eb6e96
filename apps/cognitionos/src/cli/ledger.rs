//! The command line of the ledger.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::groups::By;
use super::nodes::{Asking, At};

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// List entries, newest last.
    #[command(before_help = "\
Examples:
  cognitionos ledger list
  cognitionos ledger list --run run_01j… --kind denial
  cognitionos ledger list --run run_01j… --follow
  cognitionos ledger list --from 100 --limit 20 --json")]
    List {
        /// Only entries of this run.
        #[arg(long)]
        run: Option<String>,
        /// Only entries of this kind, such as `denial`; several with commas between them.
        #[arg(long, value_delimiter = ',')]
        kind: Vec<String>,
        /// The newest so many, the newest last: what is shown without `--from` and `--limit`.
        #[arg(long, value_name = "N", default_value_t = 100, conflicts_with_all = ["from", "limit"])]
        last: usize,
        /// From this entry on.
        #[arg(long, value_name = "N")]
        from: Option<u64>,
        /// The oldest so many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Show what the run has, and what comes of it, until it is sealed.
        #[arg(long, requires = "run", conflicts_with = "last")]
        follow: bool,
        #[command(flatten)]
        at: At,
    },
    /// List entries as the CloudEvents that are sent out, oldest first.
    #[command(before_help = "\
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
        #[command(flatten)]
        at: At,
    },
    /// Show one entry with its body.
    #[command(before_help = "\
Examples:
  cognitionos ledger show 12
  cognitionos ledger show rcp_01j…")]
    Show {
        /// The entry's number, or an id in it.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Check every entry, hash, signature and rule of the whole ledger.
    #[command(before_help = "\
Examples:
  cognitionos ledger verify
  cognitionos ledger verify --against head.txt")]
    Verify {
        /// An earlier checkpoint or bundle, to show that the ledger only grew since.
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Export the ledger: a bundle that an outsider can check, or a table.
    #[command(before_help = "\
Examples:
  cognitionos ledger export -o ledger.cogbundle --key ledger.vkey
  cognitionos ledger export --format csv --kind receipt,denial -o decisions.csv
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
        /// Only entries of this kind, such as `receipt,denial`; not of a bundle, which has all.
        #[arg(long, value_delimiter = ',')]
        kind: Vec<String>,
        /// In JSON, the whole body of each entry, too: what was proposed and what came out.
        #[arg(long)]
        with_bodies: bool,
        /// Write the public key that checks it into this file.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Prove that an entry is in the ledger (C2SP tlog-proof).
    #[command(before_help = "\
Examples:
  cognitionos ledger proof 12
  cognitionos ledger proof rcp_01j…")]
    Proof {
        /// The entry's number, or an id in it.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Print the newest signed head (C2SP tlog-checkpoint).
    #[command(before_help = "\
Examples:
  cognitionos ledger checkpoint > head.txt")]
    Checkpoint {
        #[command(flatten)]
        at: At,
    },
    /// Print the public key that checks this ledger.
    #[command(before_help = "\
Examples:
  cognitionos ledger key > ledger.vkey")]
    Key {
        #[command(flatten)]
        at: At,
    },
    /// Change to a new signing key.
    #[command(before_help = "\
Examples:
  cognitionos ledger rotate --as user:cfo")]
    Rotate {
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        asking: Asking,
    },
    /// Destroy the key of a person's data, or what stands beside entries. Every proof stays valid.
    #[command(before_help = "\
Examples:
  cognitionos ledger erase northwind --as user:cfo
  cognitionos ledger erase --entry 12 --entry 40 --reason 'it names a patient' --as user:cfo")]
    Erase {
        /// Whose data.
        #[arg(required_unless_present = "entry", conflicts_with = "entry")]
        subject: Option<String>,
        /// The body of this entry, such as a reason that somebody typed. May be given several
        /// times.
        #[arg(long, value_name = "N", requires = "reason")]
        entry: Vec<u64>,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = super::groups::reason)]
        reason: Option<String>,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        asking: Asking,
    },
    /// Go on with an older copy of the ledger that was put back on purpose.
    #[command(before_help = "\
Examples:
  cognitionos ledger accept-restore --as user:operator")]
    AcceptRestore {
        #[command(flatten)]
        by: By,
    },
    /// Say how long each canon keeps what is recorded, what is here, and what may go.
    #[command(before_help = "\
Examples:
  cognitionos ledger retention
  cognitionos ledger retention --json")]
    Retention {
        #[command(flatten)]
        at: At,
    },
    /// Drop old entries; their subtree hashes and a signed head stay.
    #[command(before_help = "\
Examples:
  cognitionos ledger prune --before 1024 --reason 'kept for five years' --as user:cfo
  cognitionos ledger prune --before 2021-01-01 --reason 'kept for five years' --as user:cfo
  cognitionos ledger prune --expired --dry-run
  cognitionos ledger prune --expired --as user:cfo")]
    Prune {
        /// The first entry that is to stay, or the time of it (UTC): whole segments of 256 go.
        #[arg(
            long,
            value_name = "N|TIME",
            required_unless_present = "expired",
            requires = "reason"
        )]
        before: Option<String>,
        /// What no canon keeps any longer: whole segments of entries, and bodies.
        #[arg(long, conflicts_with = "before")]
        expired: bool,
        /// Only say what would go.
        #[arg(long, short = 'n', requires = "expired")]
        dry_run: bool,
        /// Why; it is kept in the ledger.
        #[arg(long, value_name = "TEXT", value_parser = super::groups::reason)]
        reason: Option<String>,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        asking: Asking,
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

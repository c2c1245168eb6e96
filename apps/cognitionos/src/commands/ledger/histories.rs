//! The histories of all runs, held to what they must show.

use cog_history::{Checker, Record, Rules};
use cog_ledger::audit::Findings;

use crate::commands::replay::all_runs;
use crate::home::Home;

/// What is wrong with the runs of a ledger that holds. Each is read by itself, so that memory is
/// needed for the largest alone.
pub(super) fn check(home: &Home) -> anyhow::Result<Findings> {
    let mut checker = Checker::new(Rules::EMBEDDED);
    for run in all_runs(home)? {
        for record in home.records(run)? {
            checker.record(Record { entry: record.entry, body: record.body });
        }
    }
    Ok(checker.finish().findings)
}

//! What an open run still needs of somebody's data: erasing it would leave a run that can
//! neither go on nor be ended.

use cog_base::id::RunId;
use cog_engine::replay::replay_run;
use cog_engine::{History, Record};

use crate::commands::run::family::kin;
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};

/// Refuse to erase `what` an open run needs: what `needs` says of it and of the runs of its tree, by
/// their histories and records.
///
/// # Errors
/// A conflict that names the first such run, and what to do about it.
pub(super) fn refuse_what_is_needed(
    home: &Home,
    what: &str,
    needs: impl Fn(&History, &[Record]) -> bool,
) -> anyhow::Result<()> {
    let Some(run) = who_needs(home, needs)? else { return Ok(()) };
    let end = format!("cognitionos run --cancel {run} --reason TEXT");
    let advice =
        if home.is_of_nodes() { end } else { format!("{}\n  or: {end}", home.brings_on(run)) };
    Err(Failure::advise(
        Exit::Conflict,
        format!(
            "{run} is open and needs what it holds of {what}: erased, it could neither go \
             on nor be ended. Bring it to its end first"
        ),
        advice,
    ))
}

/// The first open run that needs it. One that cannot be rebuilt any more loses nothing.
fn who_needs(
    home: &Home,
    needs: impl Fn(&History, &[Record]) -> bool,
) -> anyhow::Result<Option<RunId>> {
    for run in home.scope()?.open_sessions().map_err(told)? {
        let records = home.history(run)?;
        // What the others of its tree used counts with what it uses.
        let mut tree = kin(home, run, &records)?;
        tree.push(records);
        let needs = |records: &Vec<Record>| {
            replay_run(records).is_ok_and(|history| needs(&history, records))
        };
        if tree.iter().any(needs) {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

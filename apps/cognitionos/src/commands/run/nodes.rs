//! `run --cancel` of a run that nodes have: its owner is asked to end it, and it is waited for
//! the seal.

use cog_base::id::RunId;
use cog_engine::replay::replay_run;
use cog_engine::{Notice, What};
use cog_gate::{Actor, Wish};
use cog_ledger::Kind;
use cog_node::Request;

use super::cancel::may_not;
use super::turn::say_withdrawn;
use super::{End, end};
use crate::cli::nodes::Asking;
use crate::commands::owner::{Answered, Owner};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, Stands, told};
use crate::terminal::Terminal;
use crate::view::seal::sealed;
use crate::view::{Counts, View};
use crate::{shared, system};

/// Refuse to run anything here for the database: nodes do that.
///
/// # Errors
/// When the database is named, on the command line or by a setting.
pub(super) fn is_of_the_folder() -> anyhow::Result<()> {
    let names = |argument: &str| {
        let name = argument.split_once('=').map_or(argument, |(name, _)| name);
        matches!(name, "--tenant" | "--database-url")
    };
    if !system::arguments().any(|argument| names(&argument)) {
        return shared::is_of_the_folder();
    }
    Err(Failure::advise(
        Exit::BadInput,
        "this runs a workflow in the data folder: runs in a database are begun and brought on by \
         nodes, and here only ended (--cancel)",
        "cognitionos submit WORKFLOW --tenant TENANT",
    ))
}

/// End a run in the database.
pub(super) fn cancel(
    run: &str,
    (who, reason): (&Actor, &str),
    asking: &Asking,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let run = given::run(run)?;
    let home = Home::at(&asking.at, || Err(Failure::told(Exit::BadInput, "no database is named")))?;
    let run = to_end(&home, run)?;
    let owner = ask(&home, run, (who, reason), asking)?;
    let ends = owner.in_time("the end of the run", || {
        Ok(match home.standing(run)? {
            Stands::Waits(_) => None,
            Stands::Never { .. } => Some(false),
            Stands::Begun => {
                let session = home.scope()?.session(run).map_err(told)?;
                session.and_then(|session| session.status).map(|_| true)
            }
        })
    })?;
    if !ends {
        say_withdrawn(run, terminal);
        return Ok(Exit::Done);
    }
    let records = home.records(run)?;
    let counts = Counts::of(records.iter().map(|record| record.entry.as_ref()));
    let sealed = records.last().map(sealed);
    let sealed =
        sealed.ok_or_else(|| Failure::told(Exit::Failed, "the seal of the run is gone"))?;
    View::new(terminal, counts, None).show(&Notice { run, what: What::Sealed(sealed.clone()) });
    let exit =
        end::report(&home, run, End::Sealed(Box::new(sealed)), (None, None, None), terminal)?;
    // Who wanted the run ended has what was asked for.
    Ok(if exit == Exit::Interrupted { Exit::Done } else { exit })
}

/// The run that is to be ended: one that waits for its turn, or the newest of its chain, which is open.
fn to_end(home: &Home, run: RunId) -> anyhow::Result<RunId> {
    match home.standing(run)? {
        Stands::Waits(_) => return Ok(run),
        Stands::Never { over, .. } => return Err(home.never_begins(run, &over)?),
        Stands::Begun => {}
    }
    let run = home.newest_of(run)?;
    let records = home.records(run)?;
    let last = records.last().map(|last| &last.entry);
    if let Some(seal) = last.filter(|last| last.kind() == Kind::SessionSealed) {
        let status = seal.text("status").unwrap_or_default();
        let message = format!("{run} has ended, {status}; a sealed run cannot go on");
        return Err(Failure::advise(Exit::Conflict, message, format!("cognitionos why {run}")));
    }
    replay_run(&home.history(run)?).map_err(|error| {
        let message = format!("{run} cannot be resumed: {error}");
        Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
    })?;
    Ok(run)
}

/// Ask whoever owns the log to end a run.
fn ask<'h>(
    home: &'h Home,
    run: RunId,
    (who, reason): (&Actor, &str),
    asking: &Asking,
) -> anyhow::Result<Owner<'h>> {
    let (owner, seen) = (Owner::of(home, asking.timeout)?, home.size()?);
    let request = Request::Cancel { run, who: who.clone(), reason: reason.to_owned() };
    if let Answered::Refused(because) = owner.ask(&request)? {
        return Err(match owner.denied((run, seen), Wish::Cancel, who)? {
            Some(denial) => may_not(who, run, &because, &denial),
            None => Failure::advise(Exit::Conflict, because, format!("cognitionos why {run}")),
        });
    }
    Ok(owner)
}

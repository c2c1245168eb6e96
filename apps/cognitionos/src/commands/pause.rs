//! `pause` and `unpause`: holding a run that is open, and letting it go on.

use cog_base::Value;
use cog_engine::replay::replay_run;
use cog_gate::Wish;

use super::run::engine;
use crate::cli::{Common, HoldArgs};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::terminal::Terminal;

pub(crate) fn hold(
    args: &HoldArgs,
    pauses: bool,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let run = given::run(&args.run)?;
    let who = given::actor(&args.by.actor)?;
    let home = Home::change(&common.data)?;
    let history = replay_run(&home.records(run)?).map_err(|error| {
        let message = format!("{run} cannot be rebuilt: {error}");
        Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
    })?;
    let does = if pauses { "paused" } else { "let go on" };
    history.can_hold(pauses).map_err(|why| {
        let message = format!("{run} cannot be {does}: {why}");
        Failure::advise(Exit::Conflict, message, format!("cognitionos why {run}"))
    })?;
    let mut engine = engine(&home, true)?;
    let wish = if pauses { Wish::Pause } else { Wish::Unpause };
    if let Some(no) = engine.refuse_of_run(history.origin(), wish, &who, &args.because.reason)? {
        home.append(vec![no.draft])?;
        let message = format!("{who} may not have {run} {does}. {}", no.reason);
        return Err(Failure::advise(Exit::Refused, message, format!("cognitionos why {}", no.id)));
    }
    let entries = home.append(vec![history.hold(pauses, &who, &args.because.reason)])?;
    let seq = entries.first().map_or(0, |entry| entry.seq());
    let word = if pauses { "paused" } else { "unpaused" };
    if terminal.json {
        let told = [("run", Value::from(run)), ("stands", word.into()), ("entry", seq.into())];
        terminal.emit(&Value::map(told));
        return Ok(Exit::Done);
    }
    terminal.say(&format!("{word} by {who}, entry {seq}"));
    if !pauses {
        terminal.note(&format!("go on with: cognitionos run --resume {run}"));
    }
    Ok(Exit::Done)
}

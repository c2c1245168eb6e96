//! What is said at the end of a run, and the exit code.

use cog_base::id::RunId;
use cog_base::words::counted;
use cog_engine::Intervention;
use cog_engine::driver::Broken;

use super::{End, Wanted, turn};
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::told::{send, unpause};
use crate::view::undone::undone_lines;
use crate::view::{View, sealed_lines};

/// Tell how a run of the workflow `file` ended, and say how the program does. Where a recording
/// answered for a model, `live` is the command that asks one; `begun` tells the sums with all that it
/// began.
pub(super) fn report(
    home: &Home,
    run: RunId,
    end: End,
    (file, live, begun): (Option<&str>, Option<&str>, Option<&str>),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let checkpoint = home.scope()?.checkpoint().map_err(crate::home::told)?;
    let head = checkpoint.map(|checkpoint| (checkpoint.size(), checkpoint.root()));
    if terminal.json
        && let Some((size, root)) = head
    {
        terminal.emit(&cog_base::Value::map([
            ("event", cog_base::Value::from("checkpoint")),
            ("run", run.into()),
            ("size", size.into()),
            ("root", root.into()),
        ]));
    }
    let exit = match &end {
        End::Sealed(sealed) => {
            if !terminal.json {
                for line in sealed_lines(terminal, run, sealed, file) {
                    terminal.say(&line);
                }
                begun.iter().for_each(|begun| terminal.say(begun));
                for line in undone_lines(&home.history(run)?, sealed.error.as_ref()) {
                    terminal.say(&format!("  {line}"));
                }
            }
            Exit::of_run(&sealed.status, sealed.error.as_ref())
        }
        End::Parked { paused: Some((held_run, paused)), so_far, .. } => {
            if !terminal.json {
                held((run, *held_run), paused, so_far, terminal);
            }
            Exit::Waiting
        }
        End::Parked { asked, signals, paused: None, so_far } => {
            if !terminal.json {
                parked(run, (asked, signals), so_far, terminal);
            }
            Exit::Waiting
        }
        End::Left { exit, so_far } => {
            left(home, run, *exit, so_far, terminal);
            *exit
        }
        End::NotBegun(what) => turn::report(run, what, terminal),
        End::NotCancelled(reason) => {
            let message = format!("{run} is not ended: {}", plain(reason));
            return Err(Failure::advise(Exit::Refused, message, format!("cognitionos why {run}")));
        }
        End::Stopped(message) => return Err(stopped(home, run, message)),
    };
    if !terminal.json && !terminal.quiet {
        if let Some((size, root)) = head {
            let entries = counted(size, "entry", "entries");
            terminal.say(&format!("  checkpoint: {entries}, root {}", root.short()));
        }
        if let Some(live) = live {
            let live = terminal.located(live);
            terminal.say(&format!("  models: answers came from a recording; live: {live}"));
        }
        if !matches!(end, End::NotBegun(_)) {
            look_closer(run, terminal);
        }
    }
    Ok(exit)
}

/// The ledger of a run could not be written.
fn stopped(home: &Home, run: RunId, message: &str) -> anyhow::Error {
    // A run whose first entry was not kept is not there to be resumed.
    let again = match home.knows(run) {
        Ok(()) => format!("cognitionos run --resume {run}"),
        Err(_) => "run the workflow again, as nothing of this run was kept".to_owned(),
    };
    Failure::advise(
        Exit::Failed,
        format!("{run} stopped where its ledger ends: {}", plain(message)),
        format!("mend the cause, such as a disk that is full, then: {again}"),
    )
}

/// The engine of a run does nothing more. What it recorded is whole, and another goes on from there.
pub(super) fn broken(run: RunId, broken: Broken, view: &mut View<'_>) -> anyhow::Error {
    view.clear();
    match broken {
        Broken::NoEntropy(error) => error.into(),
        Broken::Panicked(said) => {
            let again = format!("cognitionos run --resume {run}");
            Failure::internal(format!("{} ({run} stopped)", plain(&said)), again)
        }
    }
}

/// Somebody holds the run: nothing goes on before it is let go on.
fn held((run, held): (RunId, RunId), paused: &Intervention, so_far: &str, terminal: &Terminal) {
    let word = terminal.tint(Tone::Ask, "paused");
    let Intervention { by, reason } = paused;
    terminal.say(&format!("\n{word}  {run}\n{so_far}"));
    terminal.say(&format!("  by {}: {}", plain(by), plain(reason)));
    terminal.say(&format!("  {}", unpause(held)));
    terminal.say(&format!("  cognitionos run --resume {run}"));
}

/// What a run waits for: requests, and signals by the runs that wait for them.
type Waits<'a> = (&'a [Wanted], &'a [(RunId, String)]);

fn parked(run: RunId, (asked, signals): Waits<'_>, so_far: &str, terminal: &Terminal) {
    let what = match (asked, signals) {
        ([], _) => "waiting for a signal",
        (_, []) => "waiting for approval",
        (_, _) => "waiting for approval and a signal",
    };
    let word = terminal.tint(Tone::Ask, what);
    terminal.say(&format!("\n{word}  {run}\n{so_far}"));
    if asked.is_empty() {
        terminal.say("  The rest goes on when it has come:");
    } else {
        terminal.say("  The rest goes on when it is answered:");
    }
    for Wanted { id, people } in asked {
        let who = people.first().map_or("user:NAME", String::as_str);
        terminal.say(&format!("  cognitionos approvals approve {id} --as {who}"));
    }
    let names: std::collections::BTreeSet<_> = signals.iter().collect();
    for (waits, name) in names {
        terminal.say(&format!("  {}", send(*waits, name)));
    }
    terminal.say(&format!("  cognitionos run --resume {run}"));
}

/// A signal came: the run stands where its ledger stands.
fn left(home: &Home, run: RunId, exit: Exit, so_far: &str, terminal: &Terminal) {
    let word = if exit == Exit::Terminated { "terminated" } else { "interrupted" };
    let began = home.records(run).is_ok();
    if terminal.json {
        let members = [("event", "left"), ("why", word)];
        let members = members.map(|(name, value)| (name, cog_base::Value::from(value)));
        let began = [("run", run.into()), ("open", began.into())];
        terminal.emit(&cog_base::Value::map(members.into_iter().chain(began)));
        return;
    }
    let word = terminal.tint(Tone::Ask, word);
    terminal.complain(&format!("\n{word}  {run}\n{so_far}"));
    if began {
        let again = format!("  go on with: cognitionos run --resume {run}");
        terminal.complain(&terminal.located(&again));
    } else {
        terminal.complain("  nothing of it had begun");
    }
}

fn look_closer(run: RunId, terminal: &Terminal) {
    terminal.say("\nLook closer:");
    terminal.say(&format!("  cognitionos ledger list --run {run}"));
    terminal.say(&format!("  cognitionos replay {run}"));
    terminal.say("  cognitionos ledger verify");
}

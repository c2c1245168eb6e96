//! `replay RUN --at`: the state of a run behind one of its entries, worked out from the log alone.

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_embed::Error;
use cog_embed::states::{NoState, behind, entry_of};
use cog_engine::snapshot::Snapshot;

use crate::failure::{Exit, Failure};
use crate::home::{Home, unmade};
use crate::terminal::{Terminal, plain};

/// The most bytes of an output that are shown to people.
const SHOWN_MAX: usize = 100;

pub(super) fn show(
    home: &Home,
    run: RunId,
    place: &str,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    home.knows(run)?;
    let scope = home.scope()?;
    let at = entry_of(&*scope, run, place).map_err(no_state)?;
    let snapshot = behind(&*scope, run, at).map_err(no_state)?;
    if terminal.json {
        let mut members = snapshot.state().as_map().cloned().unwrap_or_default();
        members.insert("digest".to_owned(), snapshot.digest().into());
        terminal.emit(&Value::Map(members));
    } else {
        say(&snapshot, terminal);
    }
    Ok(Exit::Done)
}

/// Why there is no state to show, and what to do.
fn no_state(error: Error) -> anyhow::Error {
    let Error::NoState(no) = error else { return unmade(error) };
    let (exit, advice) = match &no {
        NoState::Broken { run, .. } => (Exit::Failed, format!("cognitionos replay {run}")),
        NoState::NotBegun { run, .. } => {
            let list = format!("cognitionos ledger list --run {run}");
            (Exit::BadInput, format!("--at with the number of an entry: {list}"))
        }
        NoState::Outside { at, theirs: Some(other), .. } => {
            (Exit::BadInput, format!("cognitionos replay {other} --at {at}"))
        }
        NoState::Outside { run, before, first, .. } => {
            let at = before.unwrap_or(*first);
            (Exit::BadInput, format!("cognitionos replay {run} --at {at}"))
        }
    };
    Failure::advise(exit, no, advice)
}

fn say(snapshot: &Snapshot, terminal: &Terminal) {
    let state = snapshot.state();
    let text = |path: &[&str]| match state.at(path) {
        Some(Value::Null) | None => String::new(),
        Some(value) => plain(value.as_text().unwrap_or(&value.to_string())),
    };
    let (run, status, entry) = (text(&["run"]), text(&["status"]), text(&["behind", "entry"]));
    terminal.say(&format!("{run} of {}, {status} behind entry {entry}", text(&["workflow"])));
    let list = |path: &[&str]| state.at(path).and_then(Value::as_list).unwrap_or_default();
    for step in list(&["steps"]) {
        let of = |name: &str| step.get(name).and_then(Value::as_text).unwrap_or_default();
        let gave = ["output", "error"].map(|name| step.get(name).filter(|it| **it != Value::Null));
        let gave = gave.into_iter().flatten().map(|value| format!("  {}", short(value)));
        let gave: String = gave.collect();
        terminal.say(&format!("  {}  {}{gave}", of("status"), plain(of("step"))));
    }
    let waits = [
        ("effects", "wants or does"),
        ("questions", "asks people"),
        ("choices", "chooses"),
        ("timers", "waits for a time"),
        ("waits_for", "waits for a signal"),
        ("children", "waits for a run"),
    ];
    for (name, words) in waits {
        for one in list(&["open", name]) {
            terminal.say(&format!("  {words}: {}", short(one)));
        }
    }
    let count = |name: &str| state.at(&["sums", name]).and_then(Value::as_u64).unwrap_or(0);
    let receipts = counted(count("receipts"), "receipt", "receipts");
    let denials = counted(count("denials"), "denial", "denials");
    let spent = cog_base::Micros::new(count("spent_micros"));
    terminal.say(&format!("  {receipts}, {denials}, {spent} spent"));
    terminal.say(&format!("  {}", snapshot.digest()));
}

/// A value on one line, cut off where it is long.
fn short(value: &Value) -> String {
    let text = plain(&value.to_string());
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

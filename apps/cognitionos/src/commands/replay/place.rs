//! `replay RUN --at`: the state of a run behind one of its entries, worked out from the log alone.

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_engine::replay::as_far;
use cog_engine::snapshot::{NoSnapshot, Snapshot};
use cog_engine::{Mismatch, Record};

use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::terminal::{Terminal, plain};

/// The most bytes of an output that are shown to people.
const SHOWN_MAX: usize = 100;

pub(super) fn show(
    home: &Home,
    run: RunId,
    place: &str,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let past = home.history(run)?;
    let at = match place.parse::<u64>() {
        Ok(at) => at,
        Err(_) => began(home, run, &past, place)?,
    };
    let until: Vec<Record> = past.iter().filter(|it| it.entry.seq() <= at).cloned().collect();
    home.complete(&until)?;
    let snapshot = Snapshot::of(&past, at).map_err(|none| {
        let none = told(home, run, &past, at, none);
        none.unwrap_or_else(|error| error)
    })?;
    if terminal.json {
        let mut members = snapshot.state().as_map().cloned().unwrap_or_default();
        members.insert("digest".to_owned(), snapshot.digest().into());
        terminal.emit(&Value::Map(members));
    } else {
        say(&snapshot, terminal);
    }
    Ok(Exit::Done)
}

/// The entry because of which a step began.
fn began(home: &Home, run: RunId, past: &[Record], step: &str) -> anyhow::Result<u64> {
    let (history, why) = match as_far(past) {
        Ok(both) => both,
        Err(why) => return Err(unfollowed(home, run, &why)?),
    };
    let found = history.begun().find(|(path, _)| path.as_str() == step);
    if let Some((_, seq)) = found {
        return Ok(seq);
    }
    let why = why.map(|why| home.broken(&why)).transpose()?;
    let why = why.map(|why| format!("; it cannot be followed to its end: {why}"));
    let message = format!("no step `{step}` began in {run}{}", why.unwrap_or_default());
    let advice = format!("--at with the number of an entry: cognitionos ledger list --run {run}");
    Err(Failure::advise(Exit::BadInput, message, advice))
}

fn unfollowed(home: &Home, run: RunId, why: &Mismatch) -> anyhow::Result<anyhow::Error> {
    let message = format!("the state of {run} cannot be worked out: {}", home.broken(why)?);
    Ok(Failure::advise(Exit::Failed, message, format!("cognitionos replay {run}")))
}

/// Why there is no state to show.
fn told(
    home: &Home,
    run: RunId,
    past: &[Record],
    at: u64,
    none: NoSnapshot,
) -> anyhow::Result<anyhow::Error> {
    match none {
        NoSnapshot::Broken { why, .. } => unfollowed(home, run, &why),
        NoSnapshot::Outside { first, last, before, .. } => {
            let message =
                format!("entry {at} is none of {run}, whose entries go from {first} to {last}");
            let theirs = past.iter().find(|record| record.entry.seq() == at);
            let theirs = theirs.and_then(|record| record.entry.session());
            let advice = match (theirs, before) {
                (Some(other), _) => format!("cognitionos replay {other} --at {at}"),
                (None, before) => {
                    format!("cognitionos replay {run} --at {}", before.unwrap_or(first))
                }
            };
            Ok(Failure::advise(Exit::BadInput, message, advice))
        }
    }
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

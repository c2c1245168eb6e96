//! Recomputations that are kept: each is an entry that says what came of it.

use cog_base::id::ReplayId;
use cog_base::json::Map;
use cog_base::{Clock as _, Value};
use cog_embed::Error;
use cog_embed::replays::{Kept, kept, shown};
use cog_gate::Actor;
use cog_ledger::Entry;

use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, unmade};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

/// Keep what came of recomputing runs.
pub(super) fn keep(
    home: &Home,
    came: &[Kept],
    who: &Actor,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let scope = home.scope()?;
    let mut drafts = Vec::with_capacity(came.len());
    for kept in came {
        let id = ReplayId::new(SystemClock.now(), &mut SystemEntropy::new())?;
        drafts.push(kept.draft(&*scope, id, who).map_err(unmade)?);
    }
    drop(scope);
    for entry in home.append(drafts)? {
        let (id, seq) = (entry.id().unwrap_or_default(), entry.seq());
        if terminal.json {
            let run = entry.text("run");
            let members = [("kept", Value::from(id)), ("run", run.into()), ("seq", seq.into())];
            terminal.emit(&Value::map(members));
        } else {
            terminal.note(&format!("kept as {id}, entry {seq}"));
        }
    }
    Ok(())
}

fn json(entry: &Entry) -> Value {
    let data = entry.data().iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut members: Map = data.collect();
    members.insert("at".into(), entry.at().into());
    members.insert("by".into(), entry.actor().into());
    members.insert("engine".into(), entry.engine().into());
    members.insert("seq".into(), entry.seq().into());
    Value::Map(members)
}

fn line(entry: &Entry, terminal: &Terminal) -> String {
    let text = |name: &str| entry.text(name).unwrap_or_default();
    let result = text("result");
    let tone = if result == "same" { Tone::Good } else { Tone::Ask };
    let against = entry.digest("canon").map(|canon| format!(" under canon {}", canon.short()));
    let count = |name: &str| entry.count(name).unwrap_or(0);
    format!(
        "{}  {}: {}{}, {} entries and {} decisions, on {} by {} ({})",
        text("id"),
        text("run"),
        terminal.tint(tone, result),
        against.unwrap_or_default(),
        count("entries"),
        count("decisions"),
        entry.at(),
        plain(entry.actor()),
        plain(entry.engine())
    )
}

/// List what was kept, oldest first.
pub(super) fn list(home: &Home, run: Option<&str>, terminal: &Terminal) -> anyhow::Result<Exit> {
    let run = run.map(given::run).transpose()?;
    run.map_or(Ok(()), |run| home.knows(run))?;
    let found = kept(&*home.scope()?, run).map_err(unmade)?;
    if terminal.json {
        terminal.emit(&Value::list(found.iter().map(json)));
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        terminal.note("no recomputation is kept; cognitionos replay RUN --keep keeps one");
    }
    found.iter().for_each(|entry| terminal.say(&line(entry, terminal)));
    Ok(Exit::Done)
}

/// Show one, with what was found.
pub(super) fn show(home: &Home, id: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let id: ReplayId = given::id(id, "cognitionos replay --list")?;
    let record = shown(&*home.scope()?, id).map_err(|error| {
        let Error::NoReplay(_) = error else { return unmade(error) };
        Failure::advise(Exit::BadInput, error, "cognitionos replay --list")
    })?;
    if terminal.json {
        let mut members = json(&record.entry).as_map().cloned().unwrap_or_default();
        members.insert("found".into(), record.body.unwrap_or(Value::Null));
        terminal.emit(&Value::Map(members));
        return Ok(Exit::Done);
    }
    terminal.say(&line(&record.entry, terminal));
    let found = record.body.as_ref().and_then(Value::as_list);
    match found {
        Some([]) => terminal.say("  nothing came out otherwise"),
        Some(found) => {
            found.iter().for_each(|it| terminal.say(&format!("  {}", plain(&it.to_string()))));
        }
        None => terminal.say("  what was found is not here any more"),
    }
    Ok(Exit::Done)
}

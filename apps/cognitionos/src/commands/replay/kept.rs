//! Recomputations that are kept: each is an entry that says what came of it.

use cog_base::id::{ReplayId, RunId};
use cog_base::json::Map;
use cog_base::{Clock as _, Digest, Value};
use cog_gate::Actor;
use cog_ledger::{BodyDraft, Draft, Entry, Kind};
use cog_store::Select;

use crate::commands::checkpoint::about;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

/// The context of the digest over what was found.
const CONTEXT: &str = "cognitionos/replay/v1";

/// What came of recomputing one run.
pub(super) struct Came {
    pub(super) run: RunId,
    /// One of [`cog_ledger::kind::REPLAYED`].
    pub(super) result: &'static str,
    pub(super) entries: u64,
    pub(super) decisions: u64,
    /// The canon it was compared against, if another.
    pub(super) canon: Option<Digest>,
    /// What came out otherwise, or could not be told.
    pub(super) findings: Value,
}

impl Came {
    /// The entry that keeps it.
    pub(super) fn draft(&self, home: &Home, who: &Actor) -> anyhow::Result<Draft> {
        let id = ReplayId::new(SystemClock.now(), &mut SystemEntropy::new())?;
        let bytes = self.findings.canonical();
        let mut data = Map::from([
            ("id".into(), id.into()),
            ("run".into(), self.run.into()),
            ("result".into(), self.result.into()),
            ("entries".into(), self.entries.into()),
            ("decisions".into(), self.decisions.into()),
            ("findings".into(), Digest::in_context(CONTEXT, &bytes).into()),
        ]);
        data.extend(self.canon.map(|canon| ("canon".to_owned(), canon.into())));
        let mut draft = about(home, self.run, Kind::Replay, who, data)?;
        draft.body = Some(BodyDraft { subject: None, bytes });
        Ok(draft)
    }
}

/// Keep what came of recomputing runs.
pub(super) fn keep(
    home: &Home,
    came: &[Came],
    who: &Actor,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let drafts: Result<Vec<_>, _> = came.iter().map(|it| it.draft(home, who)).collect();
    for entry in home.append(drafts?)? {
        let (id, seq) = (entry.id().unwrap_or_default(), entry.seq());
        terminal.note(&format!("kept as {id}, entry {seq}"));
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
    let run = run.map(|run| run.to_string());
    let mut found = Vec::new();
    let select = Select { kinds: vec![Kind::Replay], ..Select::default() };
    home.each(select, |entry| {
        if run.is_none() || entry.text("run") == run.as_deref() {
            found.push(entry.clone());
        }
    })?;
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
    let select = Select { id: Some(id.to_string()), ..Select::default() };
    let found = home.scope()?.select(&select).map_err(crate::home::told)?;
    let Some(entry) = found.into_iter().find(|entry| entry.kind() == Kind::Replay) else {
        let message = format!("there is no {id} in this ledger");
        return Err(Failure::advise(Exit::BadInput, message, "cognitionos replay --list"));
    };
    let record = home.record(entry)?;
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

//! `ledger accept-restore`: going on with an older copy, on the record.

use std::path::Path;

use cog_base::json::Map;
use cog_base::words::counted;
use cog_base::{Digest, Value};
use cog_ledger::Kind;
use cog_store_sqlite::{Restored, SqliteStore};

use super::admin::draft;
use super::advice::advice;
use super::verify::{holds, look};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::shared::is_of_the_folder;
use crate::terminal::Terminal;

/// Go on with an older copy. It must be whole. Whoever holds a later signed head will see that
/// history was lost, and here stands that it was meant.
pub(super) fn accept(dir: &Path, who: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let who = given::actor(who)?;
    is_of_the_folder()?;
    let (store, behind) = SqliteStore::look_behind(dir).map_err(told)?;
    for log in &behind {
        intact(&Home::of(store.clone(), log.tenant), log)?;
    }
    drop(store);
    let restored = SqliteStore::accept_restore(dir).map_err(told)?;
    let mut said = Vec::new();
    for log in &restored {
        let home = Home::write(dir)?;
        let lost = log.was.map(|was| was.saturating_sub(log.now));
        let now = counted(log.now, "entry", "entries");
        let note = format!("a copy of {now} was put back where {} had been", had_been(log));
        let data = Map::from([
            ("source".into(), "restore".into()),
            ("digest".into(), Digest::of(&[note.as_bytes()]).into()),
            ("note".into(), note.as_str().into()),
        ]);
        let entry = home.append(vec![draft(Kind::Evidence, &who, data)])?;
        said.push(Value::map([
            ("tenant", Value::from(log.tenant)),
            ("was", log.was.into()),
            ("now", log.now.into()),
            ("lost", lost.into()),
            ("entry", entry.first().map(|entry| entry.seq()).into()),
        ]));
        if !terminal.json {
            terminal.say(&note);
            let behind = lost.map_or_else(
                || "how far it is behind what had been here, nobody knows".to_owned(),
                |lost| {
                    let lost = counted(lost, "entry", "entries");
                    format!("it is {lost} behind what is known to have been here")
                },
            );
            terminal.say(&format!("every entry of it holds; {behind}"));
        }
    }
    if terminal.json {
        terminal.emit(&Value::map([("restored", Value::list(said))]));
    } else if restored.is_empty() {
        terminal.note("nothing was restored: the ledger is as long as it was");
    }
    Ok(Exit::Done)
}

/// How many entries had been there, as far as it is known.
fn had_been(log: &Restored) -> String {
    log.was.map_or_else(|| "an unknown number".to_owned(), |was| was.to_string())
}

/// Refuse what is no older copy of the log, or is damaged.
fn intact(home: &Home, log: &Restored) -> anyhow::Result<()> {
    if log.now == 0 {
        return Err(Failure::coded(
            Exit::Failed,
            "restore.empty",
            format!(
                "{} had {} here and this folder has none of its entries: that is no older copy of it",
                log.tenant,
                counted(log.was.unwrap_or_default(), "entry", "entries")
            ),
            "put a copy of the folder in place that has them, or begin anew in another with --data",
        ));
    }
    let looked = look(home, &[])?;
    let Some(first) = looked.findings.kept().first() else { return Ok(()) };
    let place = first.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
    Err(Failure::coded(
        Exit::Failed,
        first.code,
        format!(
            "the copy of {} that was put back where {} had been is damaged, and is not accepted: \
             {place}{} ({}). What holds: {}",
            counted(log.now, "entry", "entries"),
            had_been(log),
            first.message,
            counted(looked.findings.total(), "finding", "findings"),
            holds(&looked)
        ),
        advice(first.code),
    ))
}

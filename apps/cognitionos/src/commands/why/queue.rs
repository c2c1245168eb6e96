//! The story of a run that has not begun: what it waits for, or why it never begins.

use cog_base::id::RunId;
use cog_base::{Clock as _, Value};
use cog_engine::Record;
use cog_engine::admission::{Queue, told as told_wait};

use super::text;
use crate::home::{Home, Stands, told};
use crate::system::SystemClock;
use crate::terminal::{Terminal, plain};

/// Tell it; says whether there is one to tell.
pub(super) fn tell(home: &Home, run: RunId, terminal: &Terminal) -> anyhow::Result<bool> {
    let (asked, over) = match home.standing(run)? {
        Stands::Begun => return Ok(false),
        Stands::Waits(asked) => (asked, None),
        Stands::Never { asked, over } => (asked, Some(over)),
    };
    let waits = waits(home, run)?;
    if terminal.json {
        let why = |record: &Record| Value::from(record.entry.text("why").unwrap_or_default());
        let reason = over.as_ref().map(|over| home.said(over)).transpose()?;
        terminal.emit(&Value::map([
            ("run", Value::from(run)),
            ("workflow", text(&asked, "workflow").into()),
            ("status", over.as_deref().map_or("queued".into(), why)),
            ("asked", asked.entry.at().into()),
            ("waits", waits.filter(|_| over.is_none()).into()),
            ("reason", reason.into()),
        ]));
        return Ok(true);
    }
    let entry = &asked.entry;
    terminal.say(&format!(
        "On {}, {} asked for a run of the workflow `{}` in the domain `{}`.",
        entry.at(),
        plain(entry.actor()),
        plain(&text(&asked, "workflow")),
        plain(entry.domain())
    ));
    match over {
        Some(over) => {
            let (why, at) = (text(&over, "why"), over.entry.at());
            let reason = plain(&home.said(&over)?);
            terminal.say(&format!("It never begins ({why}, on {at}): {reason}"));
        }
        None => {
            let waits = waits.unwrap_or_else(|| "it may begin now".to_owned());
            terminal.say(&format!("It waits for its turn: {}.", plain(&waits)));
            terminal.say(&format!("  cognitionos run --resume {run}"));
        }
    }
    Ok(true)
}

/// What a run waits for; nothing when it may begin.
pub(crate) fn waits(home: &Home, run: RunId) -> anyhow::Result<Option<String>> {
    let mut line = Queue::read(&*home.scope()?).map_err(told)?.line;
    let now = SystemClock.now();
    // Those before it go first.
    while let Some(first) = line.next(now, usize::MAX).filter(|first| *first != run) {
        line.call(first, true);
    }
    let ask = line.waits(run).copied();
    let room = ask.map(|ask| line.room(run, &ask, now));
    Ok(room.and_then(Result::err).map(|waits| told_wait(&waits)))
}

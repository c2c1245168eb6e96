//! `ledger list --follow`: the entries of a run as they come, until it is sealed.
//!
//! They come in the order of the log, each once it is durable; whoever goes on behind the number of
//! the last one that was shown misses none and sees none twice.

#![expect(clippy::disallowed_methods, reason = "the program's edge: waits are real here")]

use std::time::Duration;

use cog_base::id::RunId;
use cog_ledger::{Entry, Kind};
use cog_store::{PAGE_MAX, Select};

use super::listed;
use crate::failure::Exit;
use crate::given;
use crate::home::{Home, Stands, told};
use crate::terminal::Terminal;

/// How often it is looked whether there is anything new.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn follow(
    home: &Home,
    run: &str,
    (kinds, from, limit): (&[String], u64, Option<usize>),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (run, kinds) = (given::run(run)?, super::kinds(kinds)?);
    let mut left = limit.unwrap_or(usize::MAX);
    // The end of a run is seen whatever kinds are shown of it.
    let mut page = Select { from, limit: PAGE_MAX, ..Select::session(run) };
    let is_shown = |entry: &Entry| kinds.is_empty() || kinds.contains(&entry.kind());
    loop {
        // Both at one moment: a seal that came in between would never be shown.
        let scope = home.scope()?;
        let entries = scope.select(&page).map_err(told)?;
        let session = scope.session(run).map_err(told)?;
        drop(scope);
        for entry in &entries {
            if is_shown(entry) {
                listed(home, entry, terminal)?;
                left = left.saturating_sub(1);
            }
            let is_over = entry.kind() == Kind::SessionSealed;
            if is_over || left == 0 {
                if !is_over && !terminal.json {
                    let next = entry.seq().saturating_add(1);
                    terminal.note(&format!("there may be more: --from {next}"));
                }
                return Ok(Exit::Done);
            }
        }
        match entries.last() {
            Some(last) => page = page.after(last),
            None if session.as_ref().is_some_and(|session| session.status.is_some()) => {
                return Ok(Exit::Done);
            }
            None => {
                if session.is_none() {
                    begins(home, run)?;
                }
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// Refuse a run that never comes.
fn begins(home: &Home, run: RunId) -> anyhow::Result<()> {
    match home.standing(run)? {
        Stands::Waits(_) => Ok(()),
        Stands::Begun => home.knows(run),
        Stands::Never { over, .. } => Err(home.never_begins(run, &over)?),
    }
}

//! How runs stand that were asked for and have not begun: they wait for their turn, or never begin.

use cog_base::id::RunId;
use cog_engine::Record;
use cog_engine::admission::run_of;
use cog_ledger::Kind;

use super::{Home, told};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::terminal::plain;

/// How a run stands with the queue.
pub(crate) enum Stands {
    /// It never waited, or has begun.
    Begun,
    /// It waits for its turn.
    Waits(Box<Record>),
    /// It waited, or was refused at once, and never begins.
    Never { asked: Box<Record>, over: Box<Record> },
}

impl Home {
    /// How a run stands with the queue.
    pub(crate) fn standing(&self, run: RunId) -> anyhow::Result<Stands> {
        let scope = self.scope()?;
        if scope.session(run).map_err(told)?.is_some() {
            return Ok(Stands::Begun);
        }
        let mut found = [None, None];
        for entry in scope.find(&run.to_string()).map_err(told)? {
            let is_over = entry.kind() == Kind::SessionUnqueued;
            if run_of(&entry) == Some(run)
                && let Some(place) = found.get_mut(usize::from(is_over))
            {
                *place = Some(Box::new(self.record(entry)?));
            }
        }
        Ok(match found {
            [Some(asked), Some(over)] => Stands::Never { asked, over },
            [Some(asked), None] => Stands::Waits(asked),
            [None, _] => Stands::Begun,
        })
    }

    /// A run never begins, as this record says.
    pub(crate) fn never_begins(&self, run: RunId, over: &Record) -> anyhow::Result<anyhow::Error> {
        let why = over.entry.text("why").unwrap_or_default();
        let message = format!("{run} never begins, {why}: {}", plain(&self.said(over)?));
        Ok(Failure::advise(Exit::Conflict, message, format!("cognitionos why {run}")))
    }

    /// There is no such run, or none any more, or it has not begun.
    pub(super) fn unknown(&self, run: RunId) -> anyhow::Result<anyhow::Error> {
        Ok(match self.standing(run)? {
            Stands::Waits(_) => {
                let message = format!("{run} has not begun: it waits for its turn");
                Failure::advise(Exit::Conflict, message, format!("cognitionos why {run}"))
            }
            Stands::Never { over, .. } => self.never_begins(run, &over)?,
            Stands::Begun => {
                let pruned = self.pruned_perhaps()?;
                let message = format!("there is no run {run} in this ledger{pruned}");
                Failure::advise(Exit::BadInput, message, given::RUNS)
            }
        })
    }
}

//! What was undone of a run that was ended, and what was not.

use cog_base::Value;
use cog_base::words::counted;
use cog_engine::replay::replay_run;
use cog_engine::{NotUndone, Record};

use crate::terminal::plain;

/// The most steps that are named in words.
const LINES_MAX: usize = 50;

/// A line for how many steps were undone and one for each that was not; none for a run of which
/// nothing was to be undone. Where its bodies are gone, what its error names is told.
pub(crate) fn undone_lines(records: &[Record], error: Option<&Value>) -> Vec<String> {
    let undone = error.and_then(|error| error.get("undone")?.as_u64()).unwrap_or(0);
    let steps = (undone > 0).then(|| format!("undone: {}", counted(undone, "step", "steps")));
    let not = not_undone(records, error);
    let more = not.len().saturating_sub(LINES_MAX);
    let more = (more > 0).then(|| format!("… and {more} more; `why RUN --json` names all"));
    let not = not.into_iter().take(LINES_MAX);
    let not = not.map(|it| plain(&format!("not undone: `{}`: {}", it.step, it.why)));
    steps.into_iter().chain(not).chain(more).collect()
}

/// The steps that were not undone.
pub(crate) fn not_undone(records: &[Record], error: Option<&Value>) -> Vec<NotUndone> {
    let history = replay_run(records).ok().filter(cog_engine::History::is_sealed);
    history.map_or_else(|| NotUndone::tried(error), |history| history.not_undone())
}

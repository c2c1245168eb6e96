//! What a run that was ended or undone has left as it was done.

use cog_base::Value;
use cog_flow::{NOT_UNDONE, StepPath, UNDONE};
use cog_gate::door::effect_of;
use cog_gate::effect::Redo;
use cog_gate::{Effect, End, Intent};

use crate::history::{Charged, History};

/// The level of a path under which the steps that undo stand.
const LEVEL: &str = "on_cancel";

/// A step that took effect, or may have, and was not undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUndone {
    /// The step.
    pub step: String,
    /// Why, in words.
    pub why: String,
}

impl History {
    /// What was not undone of a run that was cancelled, or that fell and was to be undone: what
    /// could not be, and what changed the world and says nothing of how to undo it. In the order
    /// in which it was done, what was tried first. Nothing of any other run.
    #[must_use]
    pub fn not_undone(&self) -> Vec<NotUndone> {
        let Some(end) = &self.active.end else { return Vec::new() };
        let error = end.error.as_ref();
        if end.status != "cancelled" && error.and_then(|error| error.get("undone")).is_none() {
            return Vec::new();
        }
        let mut found = NotUndone::tried(error);
        for charged in &self.charged {
            let Charged::Outcome(receipt, report) = charged else { continue };
            let Some(intent) = self.intent_of(*receipt) else { continue };
            let why = match &report.end {
                End::Completed(_) if self.is_left(intent) => "nothing says how (`on_cancel`)",
                End::Unknown => "nobody can tell whether it was done",
                End::Completed(_) | End::Failed(_) | End::Abandoned => continue,
            };
            found.push(NotUndone { step: intent.step().to_owned(), why: why.to_owned() });
        }
        found
    }

    /// Whether an effect changed the world, and nobody undid its step or one around it or tried.
    fn is_left(&self, intent: &Intent) -> bool {
        let is_change = effect_of(intent).is_none_or(|effect| effect.redo() != Redo::Safe);
        let is_it = |path: &StepPath| {
            let inside = intent.step().strip_prefix(path.to_string().as_str());
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let undoes = intent.step().split('.').any(|part| part == LEVEL);
        let is_noted = |note: Option<&str>| matches!(note, Some(UNDONE | NOT_UNDONE));
        is_change
            && !undoes
            && !self.active.run.steps().any(|step| is_noted(step.note) && is_it(step.path))
    }
}

impl NotUndone {
    /// What could not be undone, as the error of the run names it.
    #[must_use]
    pub fn tried(error: Option<&Value>) -> Vec<Self> {
        let list = error.and_then(|error| error.get("not_undone")).and_then(Value::as_list);
        let one = |fall: &Value| {
            let text = |name| fall.get(name).and_then(Value::as_text);
            let at = text("step").unwrap_or(LEVEL);
            let step = at.split_once(&format!(".{LEVEL}")).map_or(at, |(step, _)| step).to_owned();
            let why = text("message").or(text("reason")).unwrap_or_default();
            // A step that undoes stands below the one that it undoes, but for those of the run.
            let why = if step == at { why.to_owned() } else { format!("{at}: {why}") };
            Self { step, why }
        };
        list.unwrap_or_default().iter().map(one).collect()
    }
}

//! What failed in a run, also where a handler of the workflow went on after it.

use cog_base::Value;
use cog_engine::{History, Record};
use cog_ledger::Kind;

use super::text;
use crate::terminal::{Terminal, plain};
use crate::view::told::timed;

/// The most failures that are listed.
const LISTED_MAX: usize = 50;

/// A step that failed.
struct Failure {
    step: String,
    message: String,
    /// Of an effect: its receipt.
    receipt: Option<String>,
}

/// The steps that failed.
pub(super) struct Fallen {
    failures: Vec<Failure>,
    /// Whether the run could not be followed to its end, so that there may be others.
    is_cut: bool,
    /// The step that the run ended for, and its message: told already.
    end: Option<(String, String)>,
}

impl Fallen {
    /// From the outcomes of effects, and from the history for what failed without one.
    pub(super) fn of(
        records: &[Record],
        sealed: Option<&Record>,
        history: Option<&History>,
    ) -> Self {
        let is_failed =
            |it: &&Record| it.entry.kind() == Kind::Outcome && text(it, "disposition") == "failed";
        let effects = records.iter().filter(is_failed).map(|outcome| {
            let id = text(outcome, "receipt");
            let is_of = |it: &&Record| it.entry.kind() == Kind::Receipt && text(it, "id") == id;
            let receipt = records.iter().find(is_of);
            let said = outcome.body.as_ref().and_then(|body| body.at(&["error", "message"]));
            let said = said.and_then(Value::as_text).map_or_else(String::new, plain);
            let code = text(outcome, "code");
            let step = receipt.map(|receipt| text(receipt, "step")).unwrap_or_default();
            Failure { step, message: format!("{said} ({code})"), receipt: Some(id) }
        });
        let steps = history.into_iter().flat_map(History::fell).map(|(step, message)| Failure {
            step: step.to_string(),
            message: plain(message),
            receipt: None,
        });
        let error = sealed.and_then(|sealed| sealed.body.as_ref()?.get("error"));
        let part = |name| error.and_then(|error| error.get(name)?.as_text()).map(plain);
        let end = part("step").zip(part("message"));
        Self { failures: effects.chain(steps).collect(), is_cut: history.is_none(), end }
    }

    /// In words; what the run ended for stands at its end.
    pub(super) fn tell(&self, terminal: &Terminal) {
        let is_end = |it: &&Failure| {
            let end = self.end.as_ref();
            it.receipt.is_none()
                && end.is_some_and(|(step, why)| *step == it.step && *why == it.message)
        };
        let failures: Vec<_> = self.failures.iter().filter(|it| !is_end(it)).collect();
        if !failures.is_empty() {
            terminal.say("\nWhat failed:");
        }
        for Failure { step, message, receipt } in failures.iter().take(LISTED_MAX) {
            terminal.say(&format!("  step {step}"));
            terminal.say(&format!("    {}", timed(message)));
            if let Some(receipt) = receipt {
                terminal.say(&format!("    cognitionos why {receipt}"));
            }
        }
        if failures.len() > LISTED_MAX {
            terminal.say(&format!("  … and {} more", failures.len() - LISTED_MAX));
        }
        if self.is_cut {
            terminal.say(
                "\nWhich steps failed without an effect cannot be told: the run cannot be rebuilt, \
                 as where records of it were erased.",
            );
        }
    }

    /// All of them.
    pub(super) fn json(&self) -> Value {
        let failures = self.failures.iter().map(|Failure { step, message, receipt }| {
            Value::map([
                ("step", Value::from(step.as_str())),
                ("message", message.as_str().into()),
                ("receipt", receipt.as_deref().into()),
            ])
        });
        Value::list(failures)
    }
}

//! Who answered for the models of a run that goes on: it does not change who does by leaving
//! `--model` out.

use std::collections::{BTreeMap, HashMap};

use cog_base::Value;
use cog_canon::Canon;
use cog_engine::Record;
use cog_ledger::Kind;

use super::Plan;
use crate::cli::RunArgs;
use crate::failure::{Exit, Failure};
use crate::models;

/// Refuse to have a recording, or another server, answer for a model of which `--model` named the
/// server before; but in production, where no `--model` may.
pub(super) fn check(args: &RunArgs, plan: &Plan, canon: Option<&Canon>) -> anyhow::Result<()> {
    if args.model.is_some() || args.cancel.is_some() {
        return Ok(());
    }
    // There is only one answer left where the canon lets nothing stand in for its models.
    let environments = canon.and_then(|canon| canon.settings().environments.as_ref());
    if environments.is_some_and(|all| all.bars_stand_ins(&plan.environment)) {
        return Ok(());
    }
    let known = canon.map(|canon| &canon.settings().models).into_iter().flatten();
    for (name, model) in known {
        let Some((url, called)) = plan.before.answered.get(name) else { continue };
        if models::is_configured(name, model, url, called) || !model.replaceable.admits(url) {
            continue;
        }
        let message = format!(
            "`{url}` answered for the model `{name}` of this run, and without --model another would"
        );
        let advice = format!("cognitionos run --resume {} --model {url}#{called}", plan.run);
        return Err(Failure::advise(Exit::Refused, message, advice));
    }
    Ok(())
}

/// For each model the server that answered last, and what the model is called there.
pub(super) type ByModel = BTreeMap<String, (String, String)>;

/// The same, as entries of runs are read.
#[derive(Default)]
pub(super) struct Answered {
    /// The models that open receipts are for.
    asked: HashMap<String, String>,
    by_model: ByModel,
}

impl Answered {
    /// Take note of the next entry.
    pub(super) fn look(&mut self, record: &Record) {
        let entry = &record.entry;
        let Some(id) = entry.id() else { return };
        if entry.kind() == Kind::Receipt {
            let named = entry.text("resource").and_then(|it| it.strip_prefix("Model::\""));
            if let Some(model) = named.and_then(|name| name.strip_suffix('"')) {
                self.asked.insert(id.to_owned(), model.to_owned());
            }
        } else if entry.kind() == Kind::Outcome
            && let Some(model) = self.asked.remove(id)
        {
            let served = record.body.as_ref().and_then(|body| body.at(&["output", "served_by"]));
            let text = |name| Some(served?.get(name).and_then(Value::as_text)?.to_owned());
            if let Some(answer) = text("base_url").zip(text("model")) {
                self.by_model.insert(model, answer);
            }
        }
    }

    pub(super) fn by_model(self) -> ByModel {
        self.by_model
    }
}

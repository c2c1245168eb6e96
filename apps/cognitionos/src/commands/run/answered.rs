//! Who answered for the models of a run that goes on: it does not change who does by leaving
//! `--model` out.

use std::collections::{BTreeMap, HashMap};

use cog_base::Value;
use cog_canon::Canon;
use cog_engine::{Record, Resumption};
use cog_ledger::Kind;

use super::Plan;
use crate::cli::RunArgs;
use crate::failure::{Exit, Failure};
use crate::models;

/// Refuse to have a recording, or another server, answer for a model of which `--model` named the
/// server before; but in production, where no `--model` may.
pub(super) fn check(
    args: &RunArgs,
    plan: &Plan,
    resumption: &Resumption,
    canon: Option<&Canon>,
) -> anyhow::Result<()> {
    if args.model.is_some() || args.cancel.is_some() {
        return Ok(());
    }
    // There is only one answer left where the canon lets nothing stand in for its models.
    let environments = canon.and_then(|canon| canon.settings().environments.as_ref());
    if environments.is_some_and(|all| all.bars_stand_ins(&plan.environment)) {
        return Ok(());
    }
    let of_kin = resumption.kin.iter().flatten();
    let answered = answered(resumption.records.iter().chain(of_kin));
    let known = canon.map(|canon| &canon.settings().models).into_iter().flatten();
    for (name, model) in known {
        let Some((url, called)) = answered.get(name) else { continue };
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
fn answered<'a>(records: impl Iterator<Item = &'a Record>) -> BTreeMap<String, (String, String)> {
    let mut asked: HashMap<&str, &str> = HashMap::new();
    let mut answered = BTreeMap::new();
    for record in records {
        let entry = &record.entry;
        if let (Kind::Receipt, Some(id), Some(resource)) =
            (entry.kind(), entry.id(), entry.text("resource"))
        {
            asked.insert(id, resource);
        }
        let resource = entry.id().filter(|_| entry.kind() == Kind::Outcome);
        let resource = resource.and_then(|id| asked.get(id)).copied().unwrap_or_default();
        let served = record.body.as_ref().and_then(|body| body.at(&["output", "served_by"]));
        let text = |name| Some(served?.get(name).and_then(Value::as_text)?.to_owned());
        let model = resource.strip_prefix("Model::\"").and_then(|name| name.strip_suffix('"'));
        if let (Some(model), Some(url), Some(called)) = (model, text("base_url"), text("model")) {
            answered.insert(model.to_owned(), (url, called));
        }
    }
    answered
}

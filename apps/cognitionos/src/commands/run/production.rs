//! Production: what does not begin where the canon says which environments have real effects.

use cog_base::Clock as _;
use cog_canon::Canon;
use cog_engine::Input;
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};

use super::Plan;
use crate::cli::RunArgs;
use crate::commands::refused::{explained, record};
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::system::SystemClock;
use crate::terminal::plain;

/// Refuse a run in an environment that is none, and one in production for which somebody names who
/// is to answer in place of its models. The first is on record, unless nobody is named.
pub(super) fn check(
    home: &Home,
    plan: &Plan,
    (args, actor): (&RunArgs, Option<&Actor>),
    canon: Option<&Canon>,
) -> anyhow::Result<()> {
    let Some(canon) = canon else { return Ok(()) };
    let Some(environments) = &canon.settings().environments else { return Ok(()) };
    // A canon that is not in force yet refuses nothing on record.
    let is_in_force = home.change_control()?.in_force(&plan.domain) == Some(canon.digest());
    if let Some(error) = not_governed(home, plan, actor.filter(|_| is_in_force), canon) {
        return Err(error);
    }
    if args.model.is_none() || !environments.bars_stand_ins(&plan.environment) {
        return Ok(());
    }
    let message = format!(
        "`{}` is production, and the canon lets nothing answer there in place of its models",
        plain(&plan.environment)
    );
    let advice = if matches!(plan.input, Input::Start(_)) {
        let trial = environments.allow.difference(&environments.production).next();
        let elsewhere = trial.map(|name| format!(", or --environment {name}"));
        format!("run without --model{}", elsewhere.unwrap_or_default())
    } else if matches!(plan.input, Input::TakeUp(_)) {
        format!("cognitionos run --resume {}, without --model", plan.run)
    } else {
        "leave --model out".to_owned()
    };
    Err(Failure::advise(Exit::Refused, message, advice))
}

fn not_governed(
    home: &Home,
    plan: &Plan,
    actor: Option<&Actor>,
    canon: &Canon,
) -> Option<anyhow::Error> {
    let (workflow, initiator) = if let Input::Start(start) = &plan.input {
        (start.flow.name.as_str(), &start.initiator)
    } else if let Input::Fork(forking) = &plan.input {
        let first = forking.past.records().first();
        (first.and_then(|first| first.entry.text("workflow"))?, &forking.initiator)
    } else {
        return None;
    };
    let is_new = matches!(plan.input, Input::Start(_));
    let place = (plan.domain.as_str(), plan.environment.as_str());
    let who = actor.unwrap_or(initiator);
    let act = Act::begin(home.tenant, place, workflow, who, Some(canon));
    let no = act.judge(&Facts::Begin, SystemClock.now(), Some(canon))?;
    let allow = canon.settings().environments.iter().flat_map(|all| &all.allow);
    let first = allow.map(String::as_str).next().unwrap_or("NAME");
    let advice = match is_new {
        true => format!("--environment {first}"),
        false => format!("begin anew: cognitionos run WORKFLOW --environment {first}"),
    };
    let error = Failure::coded(Exit::Refused, no.code, plain(&no.reason), advice);
    if actor.is_none() {
        return Some(error);
    }
    let append = |draft| home.append(vec![draft]).map(drop);
    Some(explained(error, record(home, &act, &Facts::Begin, Some(canon), &append)))
}

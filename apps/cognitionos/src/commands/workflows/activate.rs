//! `workflows activate` and `restore`: a definition is tested on the recorded runs, and then runs are
//! started from no other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cog_base::words::counted;
use cog_base::{Clock as _, Value};
use cog_embed::definitions::{Tested, Trial, kept, trial};
use cog_embed::starts;
use cog_engine::Versions;
use cog_engine::versions::{Version, activating};
use cog_flow::Flow;
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};

use super::{document, numbered, of_name, versions};
use crate::cli::Common;
use crate::cli::workflows::{ActivateArgs, Activating, RestoreArgs};
use crate::commands::refused;
use crate::commands::run::family;
use crate::failure::{Exit, Failure};
use crate::folders;
use crate::given;
use crate::home::{Home, unmade};
use crate::system::SystemClock;
use crate::terminal::{Terminal, Tone, plain};

/// What is to be activated.
struct Candidate {
    flow: Arc<Flow>,
    source: String,
    base: String,
}

pub(super) fn activate(
    args: &ActivateArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (source, flow) = family::read(&args.file)?;
    let base = args.file.parent().filter(|base| !base.as_os_str().is_empty());
    let base: PathBuf = folders::real(base.unwrap_or_else(|| Path::new(".")));
    let candidate = Candidate { flow: Arc::new(flow), source, base: folders::on_record(&base)? };
    let home = Home::asking(&args.activating.asking, || Home::write(&common.data))?;
    decide(&home, &candidate, &args.activating, terminal)
}

pub(super) fn restore(
    args: &RestoreArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let home = Home::asking(&args.activating.asking, || Home::change(&common.data))?;
    let versions = versions(&home)?;
    let version = numbered(of_name(&versions, (&args.name, &args.of))?, args.number)?;
    let kept = kept(&*home.scope()?, version).map_err(unmade)?;
    let candidate = Candidate { flow: Arc::new(kept.flow), source: kept.source, base: kept.base };
    decide(&home, &candidate, &args.activating, terminal)
}

fn decide(
    home: &Home,
    candidate: &Candidate,
    args: &Activating,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = given::actor(&args.by.actor)?;
    let (versions, flow) = (versions(home)?, &candidate.flow);
    let active = versions.active(&flow.domain, &flow.name);
    if let Some(active) = active.filter(|active| active.is(flow)) {
        return Ok(stands("unchanged", active, None, terminal));
    }
    entitled(home, flow, &who)?;
    let trial = trial(&*home.scope()?, flow, &versions).map_err(unmade)?;
    if !terminal.json {
        trial.runs.iter().for_each(|it| say(&trial, it, terminal));
    }
    let (differing, reason) = (trial.count("differs"), args.despite_runs.as_deref());
    if differing > 0 && reason.is_none() {
        return against(&trial, flow, terminal);
    }
    let number = versions.next(&flow.domain, &flow.name);
    let reason = reason.filter(|_| differing > 0);
    let what = (candidate.source.as_str(), candidate.base.as_str());
    let draft = activating(flow, what, (number, trial.to_value()), (who.as_str(), reason));
    let entries = home.append(vec![draft])?;
    let Some(version) = entries.first().and_then(|entry| Version::of(entry)) else {
        return Err(Failure::told(Exit::Failed, "nothing was recorded"));
    };
    let exit = stands("activated", &version, Some(&trial), terminal);
    left_behind(home, flow, terminal)?;
    Ok(exit)
}

/// Refuse, on the record, whom the canon does not let activate anything.
fn entitled(home: &Home, flow: &Flow, who: &Actor) -> anyhow::Result<()> {
    let in_force = home.change_control()?.in_force(&flow.domain);
    let canon = in_force.map(|digest| home.canon(digest)).transpose()?.flatten();
    let act = Act::activate(home.tenant, &flow.domain, &flow.name, who, canon.as_ref());
    let Some(no) = act.judge(&Facts::Activate, SystemClock.now(), canon.as_ref()) else {
        return Ok(());
    };
    let append = |draft| home.append(vec![draft]).map(drop);
    let denial = refused::record(home, &act, &Facts::Activate, canon.as_ref(), &append);
    let name = plain(&flow.name);
    let message = format!("{who} may not activate a version of `{name}`. {}", no.reason);
    let advice = "say who does it with --as user:NAME";
    let error = Failure::coded(Exit::Refused, no.code, message, advice);
    Err(refused::explained(error, denial))
}

fn word(result: &str, terminal: &Terminal) -> String {
    match result {
        "same" => terminal.tint(Tone::Good, "same"),
        "differs" => terminal.tint(Tone::Bad, "differs"),
        "earlier" => terminal.tint(Tone::Faint, "earlier version"),
        _ => terminal.tint(Tone::Ask, "cannot tell"),
    }
}

fn say(trial: &Trial, tested: &Tested, terminal: &Terminal) {
    let what = match &tested.why {
        None => format!("all {} follow", counted(tested.entries, "entry", "entries")),
        Some(why) => plain(&why.to_string()),
    };
    let open = if tested.is_open { ", open" } else { "" };
    let word = word(trial.result(tested), terminal);
    terminal.say(&format!("{word}  {}{open}: {what}", tested.run));
}

fn json(trial: &Trial) -> Value {
    let one = |tested: &Tested| {
        Value::map([
            ("run", Value::from(tested.run)),
            ("result", trial.result(tested).into()),
            ("open", tested.is_open.into()),
            ("why", tested.why.as_ref().map(ToString::to_string).into()),
        ])
    };
    Value::list(trial.runs.iter().map(one))
}

/// Recorded runs would differ, and nobody says why that may be.
fn against(trial: &Trial, flow: &Flow, terminal: &Terminal) -> anyhow::Result<Exit> {
    let differing = trial.count("differs");
    if terminal.json {
        terminal.emit(&Value::map([
            ("workflow", Value::from(flow.name.as_str())),
            ("domain", flow.domain.as_str().into()),
            ("stands", "refused".into()),
            ("definition", flow.digest.into()),
            ("tested", trial.to_value()),
            ("runs", json(trial)),
        ]));
        return Ok(Exit::Conflict);
    }
    let runs = counted(differing, "recorded run", "recorded runs");
    let message = format!("{runs} of `{}` would not have come to the same", plain(&flow.name));
    let advice = "change the file, or say why that may be with --despite-runs REASON";
    Err(Failure::advise(Exit::Conflict, message, advice))
}

/// Say how a version stands.
fn stands(
    word: &'static str,
    version: &Version,
    trial: Option<&Trial>,
    terminal: &Terminal,
) -> Exit {
    if terminal.json {
        let more = [("stands", Value::from(word)), ("runs", trial.map(json).into())];
        let document = document(version, true).into_iter().chain(more);
        terminal.emit(&Value::map(document));
    } else {
        let (name, number) = (plain(&version.workflow), version.number);
        let (digest, seq) = (version.definition.short(), version.seq);
        terminal.say(&format!("{word}  {name}@{number} ({digest}), entry {seq}"));
    }
    Exit::Done
}

/// Tell of schedules that go on starting what was set before.
fn left_behind(home: &Home, flow: &Flow, terminal: &Terminal) -> anyhow::Result<()> {
    let scope = home.scope()?;
    let timetable = starts::timetable(&*scope).map_err(unmade)?;
    let versions = Versions::read(&*scope).map_err(crate::home::told)?;
    for (id, plan) in timetable.plans() {
        if plan.workflow != flow.name || plan.domain() != flow.domain {
            continue;
        }
        let wanted = starts::wanted(&*scope, plan).map_err(unmade)?;
        if wanted.flow().is_ok_and(|flow| versions.bars(&flow).is_some()) {
            terminal.note(&format!(
                "the schedule `{}` goes on starting what was set for it: cognitionos schedules set \
                 FILE sets it anew",
                plain(id)
            ));
        }
    }
    Ok(())
}

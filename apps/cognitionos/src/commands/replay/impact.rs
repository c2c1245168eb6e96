//! What another canon would have said of all that is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::RunId;
use cog_canon::Canon;
use cog_embed::replays::{Came, Kept};
use cog_engine::impact::{Flipped, Impact};
use cog_engine::replay::is_decision;
use cog_gate::Actor;
use cog_gate::act::is_refused;
use cog_ledger::{Entry, Kind};
use cog_store::Select;

use super::kept;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::terminal::{Terminal, Tone, plain};

/// What was found of the decisions of a run.
#[derive(Default)]
struct Found {
    entries: u64,
    decisions: u64,
    flipped: Vec<Flipped>,
}

/// What was found of all of them.
#[derive(Default)]
struct All {
    runs: BTreeMap<RunId, Found>,
    /// Decisions whose record is gone.
    unknown: u64,
    /// Decisions of which it is not known what their data came from.
    unclassed: u64,
    /// The domains of decisions that the canon does not judge.
    others: BTreeSet<String>,
}

/// Every recorded verdict that another canon would change.
pub(crate) fn show_impact(
    home: &Home,
    runs: &[RunId],
    other: Canon,
    keeper: Option<&Actor>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let other = Arc::new(other);
    let all = look(home, runs, &other)?;
    let decisions: u64 = all.runs.values().map(|found| found.decisions).sum();
    if decisions == 0 && !all.others.is_empty() {
        return Err(of_another_domain(&other, &all.others));
    }
    keeper.map_or(Ok(()), |who| kept::keep(home, &came(&all, runs, &other), who, terminal))?;
    let mut flipped: Vec<_> = all.runs.values().flat_map(|found| &found.flipped).collect();
    flipped.sort_by_key(|it| it.seq);
    if terminal.json {
        terminal.emit(&Value::map([
            ("canon", Value::from(other.digest())),
            ("domain", other.domain().into()),
            ("decisions", decisions.into()),
            ("not_recomputable", all.unknown.into()),
            ("unclassed", all.unclassed.into()),
            ("flipped", Value::list(flipped.iter().map(|it| flipped_json(it)))),
        ]));
        return Ok(Exit::Done);
    }
    if decisions == 0 {
        terminal.note("no decision is recorded here yet, and so none would be another");
    }
    terminal.say(&format!(
        "{} of {decisions} recorded decisions would change under {} ({})",
        flipped.len(),
        other.name(),
        other.digest().short()
    ));
    if all.unknown > 0 {
        terminal.say(&format!("  {} cannot be recomputed: their records were erased", all.unknown));
    }
    if all.unclassed > 0 {
        terminal.say(&format!(
            "  of {} it cannot be told what their data came from: they were taken for the default class",
            all.unclassed
        ));
    }
    flipped.iter().for_each(|it| say(it, terminal));
    Ok(Exit::Done)
}

/// Decide again what is recorded of these runs.
fn look(home: &Home, runs: &[RunId], other: &Arc<Canon>) -> anyhow::Result<All> {
    let mut impact = Impact::new(Arc::clone(other));
    let mut all = All::default();
    for run in runs {
        all.runs.insert(*run, Found::default());
        if impact.asks_for_sources() {
            impact.follow(&home.history(*run)?);
        }
    }
    // What people do no policy decides.
    let is_judged = |entry: &Entry| is_decision(entry) && !is_refused(entry);
    let mut judged = Vec::new();
    home.each(Select::default(), |entry| {
        let found = entry.session().and_then(|run| all.runs.get_mut(&run));
        let is_asked_about = found.is_some();
        found.into_iter().for_each(|found| found.entries += 1);
        let is_kind = is_judged(entry) || entry.kind() == Kind::Outcome;
        if !is_kind || !(is_asked_about || impact.counts_periods()) {
            return;
        }
        if entry.domain() == other.domain() {
            judged.push(entry.clone());
        } else if is_asked_about && is_judged(entry) {
            all.others.insert(entry.domain().to_owned());
        }
    })?;
    for entry in judged {
        let (run, is_decision) = (entry.session(), entry.kind() != Kind::Outcome);
        let record = home.record(entry)?;
        let tried = impact.take(&record);
        let found = run.and_then(|run| all.runs.get_mut(&run)).filter(|_| is_decision);
        let Some(found) = found else { continue };
        found.decisions += 1;
        found.flipped.extend(tried.flipped);
        all.unknown += u64::from(record.body.is_none());
        all.unclassed += u64::from(tried.is_unclassed);
    }
    Ok(all)
}

/// What is kept of it, run by run.
fn came(all: &All, runs: &[RunId], other: &Canon) -> Vec<Kept> {
    let of = |(run, found): (&RunId, &Found)| {
        let findings = found.flipped.iter().map(|it| {
            let (id, after) = (it.id.as_str().into(), it.after.as_str().into());
            Value::map([("entry", Value::from(it.seq)), ("id", id), ("result", after)])
        });
        Kept {
            run: *run,
            came: if found.flipped.is_empty() { Came::Same } else { Came::Differs },
            entries: found.entries,
            decisions: found.decisions,
            canon: Some(other.digest()),
            findings: Value::list(findings),
        }
    };
    runs.iter().filter_map(|run| all.runs.get_key_value(run)).map(of).collect()
}

fn say(it: &Flipped, terminal: &Terminal) {
    terminal.say(&format!(
        "  {} {} on {}: {} -> {}  {}",
        it.step,
        it.action,
        it.resource,
        it.before,
        terminal.tint(if it.after == "allow" { Tone::Good } else { Tone::Bad }, &it.after),
        terminal.tint(Tone::Faint, &it.id)
    ));
    terminal.say(&format!("      {}", plain(&it.reason)));
}

/// A canon judges its own domain, and there is no decision of it.
fn of_another_domain(other: &Canon, found: &BTreeSet<String>) -> anyhow::Error {
    let found = found.iter().map(|domain| format!("`{domain}`")).collect::<Vec<_>>().join(", ");
    Failure::advise(
        Exit::BadInput,
        format!(
            "the canon {} is for the domain `{}`, and the decisions recorded here are of {found}",
            other.name(),
            other.domain()
        ),
        "name a canon of a domain that has decisions here: cognitionos canon list",
    )
}

fn flipped_json(flipped: &Flipped) -> Value {
    Value::map([
        ("entry", Value::from(flipped.seq)),
        ("id", flipped.id.as_str().into()),
        ("step", flipped.step.as_str().into()),
        ("action", flipped.action.as_str().into()),
        ("resource", flipped.resource.as_str().into()),
        ("before", flipped.before.as_str().into()),
        ("after", flipped.after.as_str().into()),
        ("reason", flipped.reason.as_str().into()),
    ])
}

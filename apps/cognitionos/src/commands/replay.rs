//! `replay`: recompute runs and decisions from the ledger; with another canon, the impact.

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_canon::Canon;
use cog_engine::Record;
use cog_engine::history::Mismatch;
use cog_engine::replay::{
    Canons, Flipped, Replayed, impact, is_decision, replay_decision, replay_run,
};
use cog_ledger::Kind;
use cog_store::Select;

use crate::canon_dir;
use crate::cli::{Common, ReplayArgs};
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn replay(
    args: &ReplayArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let home = Home::read(&common.data)?;
    let runs = runs(args, &home)?;
    if let Some(dir) = &args.canon {
        let (_, other) = canon_dir::load(dir)?;
        return show_impact(&home, &runs, &other, terminal);
    }
    let canons = home.canons()?;
    let mut holds = true;
    if args.all && !terminal.json {
        let pruned = home.scope()?.pruned().map_err(told)?.entries;
        if pruned > 0 {
            terminal.note(&format!("runs before entry {pruned} are pruned and not recomputed"));
        }
        if runs.is_empty() {
            terminal.note("there is no run to recompute");
        }
    }
    for run in runs {
        holds &= replay_one(&home, run, &canons, terminal)?;
    }
    Ok(if holds { Exit::Done } else { Exit::Failed })
}

fn runs(args: &ReplayArgs, home: &Home) -> anyhow::Result<Vec<RunId>> {
    if let Some(run) = &args.run {
        return Ok(vec![run.parse().map_err(|error| Failure::told(Exit::BadInput, error))?]);
    }
    if !args.all {
        let newest = home.newest_run()?;
        return newest
            .map(|run| vec![run])
            .ok_or_else(|| Failure::told(Exit::BadInput, "this ledger has no run yet"));
    }
    all_runs(home)
}

/// Every run of the ledger, oldest first.
pub(crate) fn all_runs(home: &Home) -> anyhow::Result<Vec<RunId>> {
    let mut runs = Vec::new();
    let kinds = vec![Kind::SessionStarted];
    home.each(Select { kinds, ..Select::default() }, |entry| runs.extend(entry.session()))?;
    Ok(runs)
}

fn replay_one(
    home: &Home,
    run: RunId,
    canons: &Canons,
    terminal: &Terminal,
) -> anyhow::Result<bool> {
    let records = home.records(run)?;
    let begins = records.first().is_some_and(|it| it.entry.kind() == Kind::SessionStarted);
    if !begins && home.scope()?.pruned().map_err(told)?.entries > 0 {
        told_pruned(run, terminal);
        return Ok(true);
    }
    let trace = replay_run(&records);
    let decisions: Vec<_> = records.iter().filter(|record| is_decision(&record.entry)).collect();
    let replayed: Vec<_> =
        decisions.iter().map(|record| (*record, replay_decision(record, canons))).collect();
    let same = replayed.iter().filter(|(_, it)| *it == Replayed::Same).count();
    let holds = trace.is_ok() && same == replayed.len();
    let followed = match &trace {
        Ok(_) => "same",
        Err(Mismatch::NoBody { .. }) => "gone",
        Err(_) => "differs",
    };
    if terminal.json {
        let differing = replayed.iter().filter(|(_, it)| *it != Replayed::Same);
        terminal.emit(&Value::map([
            ("run", Value::from(run)),
            ("trace", followed.into()),
            ("mismatch", trace.as_ref().err().map(ToString::to_string).into()),
            ("entries", (records.len() as u64).into()),
            ("decisions", (replayed.len() as u64).into()),
            ("same", (same as u64).into()),
            ("differing", Value::list(differing.map(|(record, it)| differing_json(record, it)))),
        ]));
        return Ok(holds);
    }
    let differs = replayed.iter().any(|(_, it)| matches!(it, Replayed::Differs { .. }));
    let word = match (holds, followed) {
        (true, _) => terminal.tint(Tone::Good, "same"),
        (false, "same" | "gone") if !differs => terminal.tint(Tone::Ask, "partly erased"),
        (false, _) => terminal.tint(Tone::Bad, "differs"),
    };
    let entries = counted(records.len() as u64, "entry", "entries");
    let all = counted(replayed.len() as u64, "decision", "decisions");
    let follow = follow_words(followed);
    terminal
        .say(&format!("{word}  {run}: {entries} {follow}, {same} of {all} recomputed the same"));
    if let Err(mismatch) = trace {
        terminal.say(&format!("  {mismatch}"));
    }
    for (record, it) in replayed.iter().filter(|(_, it)| *it != Replayed::Same) {
        terminal.say(&format!("  entry {}: {}", record.entry.seq(), words(it)));
    }
    Ok(holds)
}

/// A run whose beginning is gone cannot be recomputed, and nothing is wrong with that.
fn told_pruned(run: RunId, terminal: &Terminal) {
    if terminal.json {
        terminal.emit(&Value::map([("run", Value::from(run)), ("trace", "pruned".into())]));
    } else {
        let word = terminal.tint(Tone::Ask, "pruned");
        terminal.say(&format!("{word}  {run}: its beginning is pruned, so it is not recomputed"));
    }
}

fn follow_words(followed: &str) -> &'static str {
    match followed {
        "same" => "follow from definition and inputs",
        "gone" => "cannot all be followed",
        _ => "do not follow from definition and inputs",
    }
}

fn words(replayed: &Replayed) -> String {
    match replayed {
        Replayed::Same => "the same".into(),
        Replayed::Differs { recorded, found } => {
            format!("recorded {}, found {}", plain(recorded), plain(found))
        }
        Replayed::CannotTell { why } => format!("cannot be recomputed: {}", plain(why)),
    }
}

fn differing_json(record: &Record, replayed: &Replayed) -> Value {
    Value::map([
        ("entry", Value::from(record.entry.seq())),
        ("id", record.entry.id().into()),
        ("what", words(replayed).into()),
    ])
}

/// Every recorded verdict that another canon would change.
pub(crate) fn show_impact(
    home: &Home,
    runs: &[RunId],
    other: &Canon,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (mut decisions, mut unknown, mut flipped) = (0_u64, 0_u64, Vec::new());
    for run in runs {
        for record in home.records(*run)? {
            if !is_decision(&record.entry) || record.entry.domain() != other.domain() {
                continue;
            }
            decisions += 1;
            unknown += u64::from(record.body.is_none());
            flipped.extend(impact(&record, other));
        }
    }
    if terminal.json {
        terminal.emit(&Value::map([
            ("canon", Value::from(other.digest())),
            ("decisions", decisions.into()),
            ("not_recomputable", unknown.into()),
            ("flipped", Value::list(flipped.iter().map(flipped_json))),
        ]));
        return Ok(Exit::Done);
    }
    terminal.say(&format!(
        "{} of {decisions} recorded decisions would change under {} ({})",
        flipped.len(),
        other.name(),
        other.digest().short()
    ));
    if unknown > 0 {
        terminal.say(&format!("  {unknown} cannot be recomputed: their records were erased"));
    }
    for it in &flipped {
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
    Ok(Exit::Done)
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

//! The story of a whole run, in words: what it was to do, how it stands, what it was refused.

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::Record;
use cog_gate::approvals::Approvals;
use cog_ledger::Kind;

use super::text;
use crate::home::Home;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::Counts;
use crate::view::told::{self, deed};

/// The most refusals that are listed.
const REFUSALS_MAX: usize = 50;

pub(super) fn tell(home: &Home, run: RunId, terminal: &Terminal) -> anyhow::Result<()> {
    let records = home.records(run)?;
    let Some(started) = records.first() else { return Ok(()) };
    let sealed = records.last().filter(|last| last.entry.kind() == Kind::SessionSealed);
    let mut approvals = Approvals::default();
    records.iter().for_each(|record| approvals.observe(&record.entry));
    let waiting: Vec<String> = match sealed {
        Some(_) => Vec::new(),
        None => approvals.waiting().map(|request| request.id.to_string()).collect(),
    };
    if terminal.json {
        terminal.emit(&json(run, started, sealed, &waiting, &records));
        return Ok(());
    }
    begun(run, started, terminal);
    match sealed {
        Some(sealed) => ended(sealed, terminal),
        None => open(run, &records, &waiting, terminal),
    }
    let counts = Counts::of(records.iter().map(|record| record.entry.as_ref()));
    terminal.say(&counts.told());
    refusals(&records, terminal);
    let look = format!("  every entry: cognitionos ledger list --run {run}");
    terminal.say(&terminal.tint(Tone::Faint, &look));
    Ok(())
}

fn begun(run: RunId, started: &Record, terminal: &Terminal) {
    let entry = &started.entry;
    terminal.say(&format!(
        "On {}, {} started the workflow `{}` in the domain `{}` ({}).",
        entry.at(),
        plain(entry.actor()),
        text(started, "workflow"),
        plain(entry.domain()),
        plain(entry.environment())
    ));
    terminal.say(&terminal.tint(Tone::Faint, &format!("  {run}")));
    let member = |name| started.body.as_ref().and_then(|body| body.get(name)?.as_map());
    for (name, words) in [("inputs", "With these inputs:"), ("places", "In these folders:")] {
        let lines = member(name).map(told::lines).unwrap_or_default();
        if !lines.is_empty() {
            terminal.say(words);
            lines.iter().for_each(|line| terminal.say(&format!("  {line}")));
        }
    }
}

fn ended(sealed: &Record, terminal: &Terminal) {
    let status = text(sealed, "status");
    let tone = if status == "completed" { Tone::Good } else { Tone::Bad };
    let status = terminal.tint(tone, &status);
    terminal.say(&format!("\nIt ended as {status} on {}.", sealed.entry.at()));
    let body = sealed.body.as_ref();
    let error = body.and_then(|body| body.get("error"));
    let part = |name| error.and_then(|error| error.get(name)?.as_text()).map(plain);
    if let Some(why) = part("message").or_else(|| part("reason")) {
        let step = part("step").map_or_else(String::new, |step| format!("step `{step}`: "));
        terminal.say(&format!("Because: {step}{why}"));
    }
    let output = body.and_then(|body| body.get("output")?.as_map());
    for line in output.map(told::lines).unwrap_or_default() {
        terminal.say(&format!("  {line}"));
    }
}

fn open(run: RunId, records: &[Record], waiting: &[String], terminal: &Terminal) {
    let last = records.last().map(|last| last.entry.at().to_string()).unwrap_or_default();
    let word = terminal.tint(Tone::Ask, "open");
    terminal.say(&format!("\nIt is {word}; its last entry is of {last}."));
    if !waiting.is_empty() {
        terminal.say(&format!("It waits for the answer to {}.", waiting.join(", ")));
        terminal.say("  cognitionos approvals list");
    }
    terminal.say(&format!("  cognitionos run --resume {run}"));
}

fn refusals(records: &[Record], terminal: &Terminal) {
    let denials: Vec<_> =
        records.iter().filter(|record| record.entry.kind() == Kind::Denial).collect();
    if denials.is_empty() {
        return;
    }
    terminal.say("\nWhat was refused:");
    for denial in denials.iter().take(REFUSALS_MAX) {
        let deed = deed(&text(denial, "action"), &text(denial, "resource"));
        let who = plain(denial.entry.actor());
        terminal.say(&format!("  {who}: {deed} (step {})", text(denial, "step")));
        let why = denial.body.as_ref().and_then(|body| body.at(&["trace", "reason"]));
        let why = why.and_then(Value::as_text).map_or_else(|| text(denial, "code"), plain);
        terminal.say(&format!("    {why}"));
        terminal.say(&format!("    cognitionos why {}", text(denial, "id")));
    }
    if denials.len() > REFUSALS_MAX {
        terminal.say(&format!("  … and {} more", denials.len() - REFUSALS_MAX));
    }
}

fn json(
    run: RunId,
    started: &Record,
    sealed: Option<&Record>,
    waiting: &[String],
    records: &[Record],
) -> Value {
    let entry = &started.entry;
    let denials = records.iter().filter(|record| record.entry.kind() == Kind::Denial);
    let denials = denials.filter_map(|record| record.entry.id().map(Value::from));
    let status = sealed.and_then(|sealed| sealed.entry.data().get("status").cloned());
    Value::map([
        ("run", Value::from(run)),
        ("workflow", entry.data().get("workflow").cloned().into()),
        ("initiator", entry.actor().into()),
        ("started", entry.at().into()),
        ("ended", sealed.map(|sealed| Value::from(sealed.entry.at())).into()),
        ("status", status.unwrap_or_else(|| "open".into())),
        ("result", sealed.and_then(|sealed| sealed.body.clone()).into()),
        ("denials", Value::list(denials)),
        ("waiting", Value::list(waiting.iter().map(String::as_str))),
    ])
}

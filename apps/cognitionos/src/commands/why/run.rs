//! The story of a whole run, in words: what it was to do, how it stands, what it was refused.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_base::id::RunId;
use cog_canon::Canon;
use cog_engine::again::next_of;
use cog_engine::fork::{Fork, own};
use cog_engine::replay::replay_run;
use cog_engine::start::labels_in;
use cog_engine::{Continues, History, Intervention, Keyed, NotUndone, Parent, Record};
use cog_gate::approvals::{Approvals, Request};
use cog_ledger::Kind;

use super::failed::Fallen;
use super::{in_step, people, queue, text, waits};
use crate::commands::runs::times;
use crate::home::Home;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::Counts;
use crate::view::told::{self, deed};
use crate::view::undone::{not_undone, undone_lines};

/// The most refusals, and the most effects that nobody knows of, that are listed.
const LISTED_MAX: usize = 50;

pub(super) fn tell(home: &Home, run: RunId, terminal: &Terminal) -> anyhow::Result<()> {
    if queue::tell(home, run, terminal)? {
        return Ok(());
    }
    let past = home.history(run)?;
    let records = own(&past);
    let Some(started) = records.first() else { return Ok(()) };
    let sealed = records.last().filter(|last| last.entry.kind() == Kind::SessionSealed);
    let mut approvals = Approvals::default();
    records.iter().for_each(|record| approvals.observe(&record.entry));
    let history = replay_run(&past).ok();
    // What the run has given up since is not waited for.
    let waits = history.as_ref().map(History::waits_for);
    let is_waited_for =
        |request: &&Request| waits.as_ref().is_none_or(|ids| ids.contains(&request.id));
    let fallen = Fallen::of(records, sealed, history.as_ref());
    let waiting: Vec<String> = match sealed {
        Some(_) => Vec::new(),
        None => approvals.waiting().filter(is_waited_for).map(|it| it.id.to_string()).collect(),
    };
    let cancelled = cancelled(home, records)?;
    let cancelled = cancelled.as_ref();
    if terminal.json {
        let told = json(run, started, sealed, &waiting, &past);
        let open = history.as_ref().filter(|_| sealed.is_none());
        terminal.emit(&Value::map(told.into_iter().chain([
            ("cancelled", cancelled.map(waits::intervention).into()),
            ("signals", Value::list(open.map(waits::signals).unwrap_or_default())),
            ("paused", open.and_then(History::paused).map(waits::intervention).into()),
            ("failed", fallen.json()),
        ])));
        return Ok(());
    }
    let canon = started.entry.canon().and_then(|digest| home.canon(digest).ok().flatten());
    begun(run, started, canon.as_ref(), terminal);
    match sealed {
        Some(sealed) => ended((sealed, cancelled), &past, terminal),
        None => open((run, cancelled), records, &waiting, history.as_ref(), terminal),
    }
    let counts = Counts::of(records.iter().map(|record| record.entry.as_ref()));
    terminal.say(&counts.told());
    family(records, terminal);
    unsure(records, terminal);
    fallen.tell(terminal);
    refusals(home, records, terminal)?;
    let look = format!("  every entry: cognitionos ledger list --run {run}");
    terminal.say(&terminal.tint(Tone::Faint, &look));
    Ok(())
}

fn begun(run: RunId, started: &Record, canon: Option<&Canon>, terminal: &Terminal) {
    let entry = &started.entry;
    let is_production = canon.is_some_and(|it| it.settings().is_production(entry.environment()));
    terminal.say(&format!(
        "On {}, {} started the workflow `{}` in the domain `{}` ({}).",
        entry.at(),
        plain(entry.actor()),
        text(started, "workflow"),
        plain(entry.domain()),
        told::environment(entry.environment(), is_production)
    ));
    terminal.say(&terminal.tint(Tone::Faint, &format!("  {run}")));
    if let Some(parent) = Parent::of(entry) {
        terminal.say(&format!("It was begun by {}, in its step `{}`.", parent.run, parent.step));
        terminal.say(&format!("  cognitionos why {}", parent.run));
    }
    if let Some(Continues { run, count }) = Continues::of(entry) {
        terminal.say(&format!(
            "It continues {run} as a new run of the same workflow; its chain went on {} by then.",
            times(count)
        ));
        terminal.say(&format!("  cognitionos why {run}"));
    }
    if let Some(Fork { session, seq, step }) = Fork::of(entry) {
        let step = step.map(|step| format!(", where `{}` began", plain(&step))).unwrap_or_default();
        terminal.say(&format!("It goes on from entry {seq} of {session}{step}."));
    }
    if Keyed::of(entry.data()).is_some() {
        terminal.say("It was asked for under a key, of which it is the one run.");
    }
    let labels = labels_in(entry.data());
    if !labels.is_empty() {
        let labels = labels.iter().map(|(name, text)| format!("{name}={}", plain(text)));
        terminal.say(&format!("It is found by {}.", labels.collect::<Vec<_>>().join(", ")));
    }
    let member = |name| started.body.as_ref().and_then(|body| body.get(name)?.as_map());
    for (name, words) in [("inputs", "With these inputs:"), ("places", "In these folders:")] {
        let lines = member(name).map(told::lines).unwrap_or_default();
        if !lines.is_empty() {
            terminal.say(words);
            lines.iter().for_each(|line| terminal.say(&format!("  {line}")));
        }
    }
}

/// The runs that it began, with how they stand as far as it has heard.
fn family(records: &[Record], terminal: &Terminal) {
    let children = children(records);
    if children.is_empty() {
        return;
    }
    terminal.say("\nIt began these runs:");
    for (started, ended) in children.iter().take(LISTED_MAX) {
        let stands = ended.map_or("open".to_owned(), |ended| text(ended, "status"));
        let (step, workflow) = (text(started, "step"), text(started, "workflow"));
        terminal
            .say(&format!("  {} ({stands}): {workflow}, step `{step}`", text(started, "session")));
    }
    if children.len() > LISTED_MAX {
        terminal.say(&format!("  … and {} more", children.len() - LISTED_MAX));
    }
    terminal.say("  cognitionos why RUN");
}

/// What begins each run that it began, and what it heard of its end.
fn children(records: &[Record]) -> Vec<(&Record, Option<&Record>)> {
    let of = |kind| records.iter().filter(move |it| it.entry.kind() == kind);
    let end = |started: &Record| {
        of(Kind::ChildEnded).find(|it| it.entry.text("session") == started.entry.text("session"))
    };
    of(Kind::ChildStarted).map(|started| (started, end(started))).collect()
}

fn ended(
    (sealed, cancelled): (&Record, Option<&Intervention>),
    past: &[Record],
    terminal: &Terminal,
) {
    let status = text(sealed, "status");
    let is_well = ["completed", "continued"].contains(&status.as_str());
    let tone = if is_well { Tone::Good } else { Tone::Bad };
    let status = terminal.tint(tone, &status);
    let by = cancelled.map(|it| format!(", by {}", plain(&it.by)));
    let by = by.unwrap_or_default();
    terminal.say(&format!("\nIt ended as {status} on {}{by}.", sealed.entry.at()));
    if let Some(next) = next_of(&sealed.entry) {
        terminal.say(&format!("{next} went on in its place, from behind its seal:"));
        terminal.say(&format!("  cognitionos why {next}"));
    }
    let body = sealed.body.as_ref();
    let error = body.and_then(|body| body.get("error"));
    let part = |name| error.and_then(|error| error.get(name)?.as_text()).map(plain);
    if let Some(why) = part("message").or_else(|| part("reason")) {
        let step = part("step").map_or_else(String::new, |step| format!("step `{step}`: "));
        terminal.say(&format!("Because: {step}{}", told::timed(&why)));
    }
    for line in undone_lines(past, error) {
        terminal.say(&format!("  {line}"));
    }
    let output = body.and_then(|body| body.get("output")?.as_map());
    for line in output.map(told::lines).unwrap_or_default() {
        terminal.say(&format!("  {line}"));
    }
}

/// Who has ended the run and why, if somebody has: the entry says it, whatever was erased.
fn cancelled(home: &Home, records: &[Record]) -> anyhow::Result<Option<Intervention>> {
    let is_end = |it: &&Record| {
        it.entry.kind() == Kind::Evidence && it.entry.text("source") == Some("cancel")
    };
    let Some(record) = records.iter().find(is_end) else { return Ok(None) };
    let (by, reason) = (record.entry.actor().to_owned(), home.said(record)?);
    Ok(Some(Intervention { by, reason }))
}

fn open(
    (run, cancelled): (RunId, Option<&Intervention>),
    records: &[Record],
    waiting: &[String],
    history: Option<&History>,
    terminal: &Terminal,
) {
    let last = records.last().map(|last| last.entry.at().to_string()).unwrap_or_default();
    let word = terminal.tint(Tone::Ask, "open");
    terminal.say(&format!("\nIt is {word}; its last entry is of {last}."));
    if let Some(Intervention { by, reason }) = cancelled {
        terminal.say(&format!("It is being cancelled, by {}: {}", plain(by), plain(reason)));
    }
    if !waiting.is_empty() {
        terminal.say(&format!("It waits for the answer to {}.", waiting.join(", ")));
        terminal.say("  cognitionos approvals list");
    }
    if let Some(history) = history {
        waits::tell(run, history, terminal);
    }
    let begun = under_way(records);
    if !begun.is_empty() {
        terminal.say("This has begun and has no outcome yet; whoever goes on with it looks first:");
    }
    for receipt in begun.iter().take(LISTED_MAX) {
        let deed = deed(&text(receipt, "action"), &text(receipt, "resource"));
        terminal.say(&format!("  {}: {deed}{}", plain(receipt.entry.actor()), in_step(receipt)));
    }
    let open = children(records).into_iter().filter(|(_, ended)| ended.is_none());
    let open: Vec<_> = open.map(|(started, _)| text(started, "session")).collect();
    if !open.is_empty() {
        terminal.say("Runs that it began are open:");
    }
    open.iter().take(LISTED_MAX).for_each(|run| terminal.say(&format!("  cognitionos why {run}")));
    terminal.say(&format!("  cognitionos run --resume {run}"));
}

/// The receipts of which nobody can tell whether they were used, oldest first.
fn unknown(records: &[Record]) -> Vec<&Record> {
    let is_unknown =
        |it: &&Record| it.entry.kind() == Kind::Outcome && text(it, "disposition") == "unknown";
    let ids: BTreeSet<_> =
        records.iter().filter(is_unknown).filter_map(|it| it.entry.id()).collect();
    let is_of = |it: &&Record| it.entry.id().is_some_and(|id| ids.contains(id));
    records.iter().filter(|it| it.entry.kind() == Kind::Receipt).filter(is_of).collect()
}

/// The receipts without an outcome, oldest first.
fn under_way(records: &[Record]) -> Vec<&Record> {
    let of = |kind| records.iter().filter(move |it| it.entry.kind() == kind);
    let ended: BTreeSet<_> = of(Kind::Outcome).filter_map(|it| it.entry.id()).collect();
    of(Kind::Receipt).filter(|it| it.entry.id().is_some_and(|id| !ended.contains(id))).collect()
}

fn unsure(records: &[Record], terminal: &Terminal) {
    let unknown = unknown(records);
    if unknown.is_empty() {
        return;
    }
    terminal
        .say("\nNobody can tell whether this was done; look at the world before doing it again:");
    for receipt in unknown.iter().take(LISTED_MAX) {
        let deed = deed(&text(receipt, "action"), &text(receipt, "resource"));
        let who = plain(receipt.entry.actor());
        terminal.say(&format!("  {who}: {deed}{}", in_step(receipt)));
        terminal.say(&format!("    cognitionos why {}", text(receipt, "id")));
    }
    if unknown.len() > LISTED_MAX {
        terminal.say(&format!("  … and {} more", unknown.len() - LISTED_MAX));
    }
}

fn refusals(home: &Home, records: &[Record], terminal: &Terminal) -> anyhow::Result<()> {
    let denials: Vec<_> =
        records.iter().filter(|record| record.entry.kind() == Kind::Denial).collect();
    if denials.is_empty() {
        return Ok(());
    }
    terminal.say("\nWhat was refused:");
    for denial in denials.iter().take(LISTED_MAX) {
        let deed = deed(&text(denial, "action"), &text(denial, "resource"));
        let who = plain(denial.entry.actor());
        terminal.say(&format!("  {who}: {deed}{}", in_step(denial)));
        let why = denial.body.as_ref().and_then(|body| body.at(&["trace", "reason"]));
        let why = why.and_then(Value::as_text).map_or_else(|| text(denial, "code"), plain);
        terminal.say(&format!("    {why}"));
        for answer in people::said_no(home, denial, records)? {
            terminal.say(&format!("    {answer}"));
        }
        terminal.say(&format!("    cognitionos why {}", text(denial, "id")));
    }
    if denials.len() > LISTED_MAX {
        terminal.say(&format!("  … and {} more", denials.len() - LISTED_MAX));
    }
    Ok(())
}

fn child_json((started, ended): (&Record, Option<&Record>)) -> Value {
    let status = ended.map_or("open".to_owned(), |ended| text(ended, "status"));
    Value::map([
        ("run", Value::from(text(started, "session"))),
        ("step", text(started, "step").into()),
        ("workflow", text(started, "workflow").into()),
        ("status", status.into()),
    ])
}

fn json(
    run: RunId,
    started: &Record,
    sealed: Option<&Record>,
    waiting: &[String],
    past: &[Record],
) -> Vec<(&'static str, Value)> {
    let (entry, records) = (&started.entry, own(past));
    let denials = records.iter().filter(|record| record.entry.kind() == Kind::Denial);
    let denials = denials.filter_map(|record| record.entry.id().map(Value::from));
    let status = sealed.and_then(|sealed| sealed.entry.data().get("status").cloned());
    let error = sealed.and_then(|sealed| sealed.body.as_ref()?.get("error"));
    let not_undone = sealed.map(|_| not_undone(past, error)).unwrap_or_default();
    let not_undone = not_undone.into_iter().map(|NotUndone { step, why }| {
        Value::map([("step", Value::from(step)), ("why", why.into())])
    });
    vec![
        ("run", Value::from(run)),
        ("workflow", entry.data().get("workflow").cloned().into()),
        ("labels", entry.data().get("labels").cloned().into()),
        ("parent", entry.data().get("parent").cloned().into()),
        ("continues", entry.data().get("continues").cloned().into()),
        ("next", sealed.and_then(|sealed| next_of(&sealed.entry)).into()),
        ("children", Value::list(children(records).into_iter().map(child_json))),
        ("initiator", entry.actor().into()),
        ("started", entry.at().into()),
        ("ended", sealed.map(|sealed| Value::from(sealed.entry.at())).into()),
        ("status", status.unwrap_or_else(|| "open".into())),
        ("result", sealed.and_then(|sealed| sealed.body.clone()).into()),
        ("denials", Value::list(denials)),
        ("unknown", Value::list(unknown(records).into_iter().filter_map(|it| it.entry.id()))),
        ("not_undone", Value::list(not_undone)),
        ("waiting", Value::list(waiting.iter().map(String::as_str))),
    ]
}

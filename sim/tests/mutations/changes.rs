//! The changes, each of which breaks a promise.

use cog_base::entropy::SeededEntropy;
use cog_base::{Digest, Value};
use cog_ledger::Kind;

use crate::tape::{Line, Tape};

/// Changes a history, if it has what the change is about.
pub(crate) type Change = fn(&mut Tape, &mut SeededEntropy) -> Option<()>;

/// Every change by its name.
pub(crate) const CHANGES: &[(&str, Change)] = &[
    ("an outcome is lost", outcome_lost),
    ("an outcome comes twice", outcome_twice),
    ("a receipt is lost", receipt_lost),
    ("an effect is done twice", effect_twice),
    ("a step begins before what it needs", before_needed),
    ("a needed step never ran", needed_never_ran),
    ("a needed step failed", needed_failed),
    ("a needed step was abandoned", needed_abandoned),
    ("a step ends in another run", other_run),
    ("a timer is early", timer_early),
    ("a timer is never due", timer_never),
    ("a timer is due twice", timer_twice),
    ("a timer of nobody is due", timer_of_nobody),
    ("a signal never came", signal_never),
    ("too many attempts", too_many_attempts),
    ("attempts without a wait between them", no_backoff),
    ("a consent is lost", consent_lost),
    ("a consent by who began the run", consent_by_initiator),
    ("a consent after the receipt", consent_late),
    ("a consent to something else", consent_elsewhere),
    ("a consent that is used twice", consent_twice),
    ("something follows a seal", after_seal),
    ("a run is sealed early", sealed_early),
    ("a seal states another end", other_status),
    ("steps are undone in another order", undo_order),
    ("a step is not undone", undo_lost),
    ("a step is undone twice", undo_twice),
    ("a run is undone without a cause", undo_without_cause),
    ("an effect follows a cancel", after_cancel),
    ("two receipts hold the same", lease_broken),
    ("too many items at once", too_many_items),
    ("an item that is not in the list", item_of_nothing),
    ("another plan than the selected one", other_plan),
    ("a place has another name", other_name),
    ("a place is named twice", named_twice),
    ("a plan without a selection", no_selection),
    ("a plan is selected again", selected_again),
    ("more is reserved than the budget has", over_budget),
    ("a step that nobody defined", unknown_step),
    ("somebody else acts", other_actor),
    ("something else is done", other_action),
    ("another definition is kept", other_definition),
    ("another version is active", other_version),
];

pub(crate) fn pick<T: Copy>(all: &[T], dice: &mut SeededEntropy) -> Option<T> {
    if all.is_empty() {
        return None;
    }
    all.get(dice.below(all.len() as u64) as usize).copied()
}

fn is_undo(line: &Line) -> bool {
    line.text("step").contains("on_cancel")
}

fn workflow(tape: &Tape, run: &str) -> String {
    let starts = tape.places(|line| line.kind == Kind::SessionStarted && line.run == run);
    starts.first().map_or_else(String::new, |at| tape.lines[*at].text("workflow").to_owned())
}

fn status(tape: &Tape, run: &str) -> String {
    let seals = tape.places(|line| line.kind == Kind::SessionSealed && line.run == run);
    seals.first().map_or_else(String::new, |at| tape.lines[*at].text("status").to_owned())
}

/// Receipts, with the places of their outcomes of this disposition.
pub(crate) fn pairs(
    tape: &Tape,
    disposition: &str,
    is: impl Fn(&Line) -> bool,
) -> Vec<(usize, usize)> {
    let receipts = tape.places(|line| line.kind == Kind::Receipt && is(line));
    let pair = |receipt: usize| Some((receipt, tape.outcome(receipt, disposition)?));
    receipts.into_iter().filter_map(pair).collect()
}

/// What needs what in the flows of the simulation.
const NEEDS: &[(&str, &str, &str)] = &[
    ("chain", "b", "a"),
    ("chain", "c", "b"),
    ("chain", "d", "c"),
    ("approval", "last", "large"),
    ("signals", "part[0].ship", "order"),
    ("signals", "part[1].ship", "order"),
    ("saga", "pay", "book[0]"),
    ("saga", "pay", "book[1]"),
    ("shared", "look", "mine[2]"),
];

/// The first place of a step in a run, and the outcome of the step that it needs.
fn needing(tape: &Tape, dice: &mut SeededEntropy) -> Option<(usize, (usize, usize))> {
    let mut found = Vec::new();
    for (receipt, outcome) in pairs(tape, "completed", |_| true) {
        let needed = &tape.lines[receipt];
        let flow = workflow(tape, &needed.run);
        for (_, step, _) in NEEDS.iter().filter(|it| it.0 == flow && it.2 == needed.text("step")) {
            let begins =
                |line: &Line| line.run == needed.run && line.is(Kind::Receipt, "step", step);
            if let Some(first) = tape.places(begins).first() {
                found.push((*first, (receipt, outcome)));
            }
        }
    }
    pick(&found, dice)
}

fn outcome_lost(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Outcome), dice)?;
    tape.lines.remove(place);
    Some(())
}

fn outcome_twice(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Outcome), dice)?;
    tape.lines.insert(place + 1, tape.lines[place].clone());
    Some(())
}

fn receipt_lost(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Receipt), dice)?;
    tape.lines.remove(place);
    Some(())
}

/// The receipt and its outcome once more behind them, under another id.
pub(crate) fn again(tape: &mut Tape, (receipt, outcome): (usize, usize)) {
    let (mut first, mut second) = (tape.lines[receipt].clone(), tape.lines[outcome].clone());
    let id = other_id(first.text("id"));
    first.set("id", id.as_str());
    second.set("receipt", id.as_str());
    first.members.insert("at".into(), second.at());
    tape.lines.insert(outcome + 1, first);
    tape.lines.insert(outcome + 2, second);
}

fn other_id(id: &str) -> String {
    let (head, last) = id.split_at(id.len() - 1);
    format!("{head}{}", if last == "a" { "b" } else { "a" })
}

fn effect_twice(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let pair = pick(&pairs(tape, "completed", |line| !is_undo(line)), dice)?;
    again(tape, pair);
    Some(())
}

fn before_needed(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (begins, (_, outcome)) = needing(tape, dice)?;
    tape.shift(begins, outcome);
    Some(())
}

fn needed_never_ran(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, (receipt, outcome)) = needing(tape, dice)?;
    tape.lines.remove(outcome);
    tape.lines.remove(receipt);
    Some(())
}

fn needed_failed(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (begins, (_, outcome)) = needing(tape, dice)?;
    // There a handler stands by.
    if workflow(tape, &tape.lines[begins].run) == "shared" {
        return None;
    }
    fail(tape, outcome);
    Some(())
}

fn fail(tape: &mut Tape, outcome: usize) {
    tape.lines[outcome].set("disposition", "failed");
    tape.lines[outcome].set("code", "file.io");
    let error = Value::map([
        ("code", Value::from("file.io")),
        ("message", "no".into()),
        ("transient", false.into()),
    ]);
    tape.lines[outcome].body = Some(Value::map([("error", error)]));
}

fn needed_abandoned(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, (_, outcome)) = needing(tape, dice)?;
    tape.lines[outcome].set("disposition", "abandoned");
    tape.lines[outcome].body = None;
    Some(())
}

fn other_run(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Outcome), dice)?;
    let own = tape.lines[place].run.clone();
    let others = tape.places(|line| line.kind == Kind::SessionStarted && line.run != own);
    let other = tape.lines[pick(&others, dice)?].run.clone();
    tape.lines[place].members.insert("session".into(), other.as_str().into());
    tape.lines[place].run = other;
    Some(())
}

fn timers(tape: &Tape, name: &str) -> Vec<usize> {
    tape.places(|line| line.is(Kind::Evidence, "source", "timer") && line.text("note") == name)
}

/// The timer stands right behind the outcome that armed it, at the same time.
fn timer_early(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let timer = pick(&timers(tape, "wait"), dice)?;
    let run = tape.lines[timer].run.clone();
    let ended = tape.places(|line| line.run == run && line.kind == Kind::Outcome);
    let before = *ended.iter().rfind(|place| **place < timer)?;
    tape.shift(timer, before + 1);
    Some(())
}

fn timer_never(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&timers(tape, "wait"), dice)?;
    let run = tape.lines[place].run.clone();
    // A run that was cancelled before it went on could as well have been sleeping still.
    let begins = |line: &Line| line.run == run && line.kind == Kind::Receipt && !is_undo(line);
    tape.places(begins).iter().find(|at| **at > place)?;
    tape.lines.remove(place);
    Some(())
}

fn timer_twice(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&timers(tape, "wait"), dice)?;
    tape.lines.insert(place + 1, tape.lines[place].clone());
    Some(())
}

fn timer_of_nobody(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&timers(tape, "wait"), dice)?;
    let mut line = tape.lines[place].clone();
    line.set("note", "nobody");
    tape.lines.insert(place + 1, line);
    Some(())
}

/// No signal is left of those that a step went on with.
fn signal_never(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let shipped = pairs(tape, "completed", |line| line.text("step") == "part[0].ship");
    let (place, _) = pick(&shipped, dice)?;
    let run = tape.lines[place].run.clone();
    if timers(tape, "part[0].paid").iter().any(|at| tape.lines[*at].run == run) {
        return None;
    }
    tape.lines.retain(|line| line.run != run || line.kind != Kind::Signal);
    Some(())
}

fn too_many_attempts(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Outcome), dice)?;
    tape.lines[place].set("attempts", 11_u64);
    Some(())
}

fn no_backoff(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let noted = pairs(tape, "completed", |line| line.text("step").ends_with(".note"));
    let (receipt, outcome) = pick(&noted, dice)?;
    let at = tape.lines[receipt].at();
    // Nothing may stand before the outcome at a later time than it.
    tape.shift(outcome, receipt + 1);
    tape.lines[receipt + 1].members.insert("at".into(), at);
    tape.lines[receipt + 1].set("attempts", 3_u64);
    Some(())
}

/// Receipts that rest on a consent, with the place of the grant.
fn consents(tape: &Tape) -> Vec<(usize, usize)> {
    let rests = |place: &usize| {
        let list =
            tape.lines[*place].data().get("approvals").unwrap().as_list().unwrap().first()?;
        let id = list.as_text()?;
        let grants = tape.places(|line| line.is(Kind::ApprovalGranted, "id", id));
        Some((*place, *grants.first()?))
    };
    tape.places(|line| line.kind == Kind::Receipt).iter().filter_map(rests).collect()
}

fn consent_lost(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, grant) = pick(&consents(tape), dice)?;
    tape.lines.remove(grant);
    Some(())
}

fn consent_by_initiator(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, grant) = pick(&consents(tape), dice)?;
    tape.lines[grant].members.insert("actor".into(), "user:operator".into());
    Some(())
}

fn consent_late(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (receipt, grant) = pick(&consents(tape), dice)?;
    tape.shift(receipt, grant);
    Some(())
}

fn consent_elsewhere(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (receipt, _) = pick(&consents(tape), dice)?;
    let intent = tape.lines[receipt].data().get("effect").unwrap().clone();
    tape.lines[receipt].set("intent", intent);
    Some(())
}

fn consent_twice(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (receipt, _) = pick(&consents(tape), dice)?;
    let (run, list) = {
        let line = &tape.lines[receipt];
        (line.run.clone(), line.data().get("approvals").unwrap().clone())
    };
    let others = tape.places(|line| line.kind == Kind::Receipt && line.run == run);
    let other = others.into_iter().find(|place| tape.lines[*place].text("step") == "last")?;
    tape.lines[other].set("approvals", list);
    Some(())
}

fn after_seal(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let seal = pick(&tape.places(|line| line.kind == Kind::SessionSealed), dice)?;
    let run = tape.lines[seal].run.clone();
    let before = *tape.places(|line| line.run == run).iter().rfind(|place| **place < seal)?;
    tape.shift(seal, before);
    Some(())
}

/// A run that completed ends with its first outcome.
fn sealed_early(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let seals = tape.places(|line| {
        line.is(Kind::SessionSealed, "status", "completed") && workflow(tape, &line.run) == "chain"
    });
    let seal = tape.lines[pick(&seals, dice)?].clone();
    let first = tape.places(|line| line.run == seal.run && line.kind == Kind::Outcome)[0];
    let mut place = 0;
    tape.lines.retain(|line| {
        place += 1;
        line.run != seal.run || place <= first + 1 || line.kind == Kind::SessionSealed
    });
    Some(())
}

fn other_status(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let seal = pick(&tape.places(|line| line.kind == Kind::SessionSealed), dice)?;
    let is_refused = tape.lines[seal].text("status") == "refused";
    let flow = workflow(tape, &tape.lines[seal].run);
    if ["limited", "plans", "signals"].contains(&flow.as_str()) {
        return None;
    }
    tape.lines[seal].set("status", if is_refused { "completed" } else { "refused" });
    Some(())
}

fn undone(tape: &Tape) -> Vec<(usize, usize)> {
    pairs(tape, "completed", is_undo)
}

/// What undid one step is said to have undone the other.
fn undo_order(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (one, _) = pick(&undone(tape), dice)?;
    let run = tape.lines[one].run.clone();
    let of = |step: &str| tape.places(|line| line.run == run && line.text("step") == step);
    let (first, second) = ("book[0].on_cancel.undo", "book[1].on_cancel.undo");
    let (ones, others) = (of(first), of(second));
    let ended = |book: &str| {
        let books = pairs(tape, "completed", |line| line.run == run && line.text("step") == book);
        books.first().map(|(_, outcome)| *outcome)
    };
    if ones.is_empty() || others.is_empty() || ended("book[0]")? == ended("book[1]")? {
        return None;
    }
    ones.iter().for_each(|place| tape.lines[*place].set("step", second));
    others.iter().for_each(|place| tape.lines[*place].set("step", first));
    Some(())
}

fn undo_lost(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (receipt, _) = pick(&undone(tape), dice)?;
    let (run, step) = {
        let line = &tape.lines[receipt];
        (line.run.clone(), line.text("step").to_owned())
    };
    let begins = tape.places(|line| line.run == run && line.text("step") == step);
    let ids: Vec<_> = begins.iter().map(|at| tape.lines[*at].text("id").to_owned()).collect();
    let of = |line: &Line| {
        line.run == run
            && (line.text("step") == step || ids.iter().any(|id| line.text("receipt") == id))
    };
    tape.lines.retain(|line| !of(line));
    Some(())
}

fn undo_twice(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let pair = pick(&undone(tape), dice)?;
    again(tape, pair);
    Some(())
}

/// Nobody cancelled it, and still it was undone.
fn undo_without_cause(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let all = tape.places(|line| {
        line.kind == Kind::Receipt && is_undo(line) && status(tape, &line.run) == "cancelled"
    });
    let run = tape.lines[pick(&all, dice)?].run.clone();
    tape.lines.retain(|line| line.run != run || !line.is(Kind::Evidence, "source", "cancel"));
    Some(())
}

fn after_cancel(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let is_cancel = |line: &Line| line.is(Kind::Evidence, "source", "cancel");
    let cancels = tape.places(|line| is_cancel(line) && status(tape, &line.run) == "cancelled");
    let cancel = pick(&cancels, dice)?;
    let run = tape.lines[cancel].run.clone();
    let begins = |line: &Line| line.run == run && line.kind == Kind::Receipt && !is_undo(line);
    let last = *tape.places(begins).iter().rfind(|place| **place < cancel)?;
    tape.shift(cancel, last);
    Some(())
}

/// A write begins before the one that holds its file is over.
fn lease_broken(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let path = |place: usize| {
        let body = tape.lines[place].body.clone();
        body.and_then(|body| Some(body.at(&["intent", "context", "args", "path"])?.to_string()))
    };
    let writes = pairs(tape, "completed", |line| line.text("action") == "file.write");
    let mut found = Vec::new();
    for (receipt, outcome) in &writes {
        let later = writes.iter().filter(|(other, _)| other > outcome);
        found
            .extend(later.filter(|(it, _)| path(*it) == path(*receipt)).map(|it| (it.0, *outcome)));
    }
    let (later, outcome) = pick(&found, dice)?;
    tape.shift(later, outcome);
    Some(())
}

/// The fourth item begins while three are under way.
fn too_many_items(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let fourth = tape.places(|line| line.is(Kind::Receipt, "step", "each[3].post"));
    let fourth = pick(&fourth, dice)?;
    let run = tape.lines[fourth].run.clone();
    let start = tape.places(|line| line.kind == Kind::SessionStarted && line.run == run)[0];
    tape.shift(fourth, start + 1);
    Some(())
}

fn item_of_nothing(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let sixth = tape.places(|line| line.is(Kind::Receipt, "step", "each[5].post"));
    let place = pick(&sixth, dice)?;
    tape.lines[place].set("step", "each[6].post");
    Some(())
}

fn other_name(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Checkpoint), dice)?;
    tape.lines[place].set("name", "elsewhere");
    Some(())
}

fn named_twice(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Checkpoint), dice)?;
    let again = tape.lines[place].clone();
    tape.lines.insert(place + 1, again);
    Some(())
}

fn selections(tape: &Tape) -> Vec<usize> {
    tape.places(|line| line.kind == Kind::PlanSelected && line.data().contains_key("chosen"))
}

fn other_plan(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&selections(tape), dice)?;
    let is_cheap = tape.lines[place].text("chosen") == "cheap";
    let (run, prefix) = {
        let line = &tape.lines[place];
        (line.run.clone(), format!("pay.{}.", line.text("chosen")))
    };
    let inside = |line: &Line| line.run == run && line.text("step").starts_with(&prefix);
    // A plan that nobody began leaves no trace of which one it was.
    tape.places(inside).iter().find(|at| **at > place)?;
    tape.lines[place].set("chosen", if is_cheap { "dear" } else { "cheap" });
    Some(())
}

fn no_selection(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&selections(tape), dice)?;
    let run = tape.lines[place].run.clone();
    let inside = |line: &Line| line.run == run && line.text("step").starts_with("pay.");
    tape.places(inside).iter().find(|at| **at > place)?;
    tape.lines.remove(place);
    Some(())
}

fn selected_again(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&selections(tape), dice)?;
    let mut line = tape.lines[place].clone();
    let id = other_id(line.text("id"));
    line.set("id", id.as_str());
    tape.lines.insert(place + 1, line);
    Some(())
}

fn over_budget(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let receipts =
        tape.places(|line| line.kind == Kind::Receipt && workflow(tape, &line.run) == "plans");
    let place = pick(&receipts, dice)?;
    tape.lines[place].set("reserve_micros", 100_001_u64);
    Some(())
}

fn unknown_step(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Receipt), dice)?;
    tape.lines[place].set("step", "nowhere");
    Some(())
}

fn other_actor(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Receipt), dice)?;
    tape.lines[place].members.insert("actor".into(), "agent:other".into());
    Some(())
}

fn other_action(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::Receipt), dice)?;
    tape.lines[place].set("action", "process.run");
    Some(())
}

/// Before a run that somebody starts, another definition of its workflow is activated.
fn other_version(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let goes_on = ["fork", "parent", "continues", "trigger"];
    let own = |line: &Line| goes_on.iter().all(|name| !line.data().contains_key(name));
    // What was asked for or set before is of what was active then.
    let is_of = |line: &Line, run: &str| line.text("id") == run || line.text("run") == run;
    let asked = |run: &str| tape.lines.iter().any(|line| is_of(line, run));
    let starts = |line: &Line| line.kind == Kind::SessionStarted && own(line) && !asked(&line.run);
    let place = pick(&tape.places(starts), dice)?;
    let mut line = tape.lines[place].clone();
    let tested = ["same", "differs", "earlier", "unknown"].map(|word| (word, 0_u64));
    let workflow = line.text("workflow").to_owned();
    line.members.insert("data".into(), Value::map([("workflow", workflow)]));
    line.set("definition", Digest::of(&[b"another"]));
    line.set("version", 1_u64);
    line.set("tested", Value::map(tested));
    line.members.insert("kind".into(), Kind::WorkflowActivated.as_str().into());
    line.members.remove("session");
    line.members.remove("body");
    (line.kind, line.run, line.body) = (Kind::WorkflowActivated, String::new(), None);
    line.seq = u64::MAX;
    tape.lines.insert(place, line);
    Some(())
}

fn other_definition(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let place = pick(&tape.places(|line| line.kind == Kind::SessionStarted), dice)?;
    let Some(Value::Map(body)) = &mut tape.lines[place].body else { return None };
    let source = body.get("source").and_then(Value::as_text)?.replace("name: ", "name: x");
    body.insert("source".into(), source.into());
    Some(())
}

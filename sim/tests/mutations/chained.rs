//! The changes that are about runs that continue others.

use cog_base::entropy::SeededEntropy;
use cog_base::{Digest, Value};
use cog_ledger::Kind;

use crate::changes::{Change, pick};
use crate::tape::Tape;

/// Every change by its name.
pub(crate) const CHANGES: &[(&str, Change)] = &[
    ("the next run of a chain has other inputs than the seal says", other_inputs),
    ("a seal and the next run have other inputs than the step came to", both_other_inputs),
    ("a chain forgets how often it went on", other_count),
    ("a run continues another than the one before it", other_run),
    ("a chain goes on for somebody else", other_person),
    ("a run of a chain begins although its seal says nothing of it", no_seal),
    ("the next run of a chain never begins", never_begins),
    ("a run continues as new in which nothing took place", nothing_took_place),
    ("a signal is lost between two runs of a chain", signal_lost),
];

/// The seal of a run that continues as new, and the start behind it.
fn link(tape: &Tape, dice: &mut SeededEntropy) -> Option<(usize, usize)> {
    let starts = tape
        .places(|line| line.kind == Kind::SessionStarted && line.data().contains_key("continues"));
    let start = pick(&starts, dice)?;
    Some((start.checked_sub(1)?, start))
}

/// Have the start at a place begin with other inputs, and say so.
fn begin_with(tape: &mut Tape, start: usize) -> Option<Digest> {
    let line = tape.lines.get_mut(start)?;
    let mut body = line.body.clone()?.as_map()?.clone();
    let mut inputs = body.get("inputs")?.as_map()?.clone();
    inputs.insert("heard".to_owned(), "something else".into());
    let digest =
        Digest::in_context("cognitionos/inputs/v1", &Value::Map(inputs.clone()).canonical());
    body.insert("inputs".to_owned(), Value::Map(inputs));
    line.body = Some(Value::Map(body));
    line.set("inputs", digest);
    Some(digest)
}

fn set_in(tape: &mut Tape, place: usize, member: &str, name: &str, value: Value) -> Option<()> {
    let line = tape.lines.get_mut(place)?;
    let mut inside = line.data().get(member)?.as_map()?.clone();
    inside.insert(name.to_owned(), value);
    line.set(member, Value::Map(inside));
    Some(())
}

fn other_inputs(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, start) = link(tape, dice)?;
    begin_with(tape, start).map(drop)
}

fn both_other_inputs(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (seal, start) = link(tape, dice)?;
    // Which of several signals a step took is not told, nor what it came to with it.
    let run = &tape.lines[seal].run;
    let signals = tape.lines.iter().filter(|line| line.run == *run && line.kind == Kind::Signal);
    if signals.count() > 1 {
        return None;
    }
    let digest = begin_with(tape, start)?;
    set_in(tape, seal, "continued", "inputs", digest.into())
}

fn other_count(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, start) = link(tape, dice)?;
    set_in(tape, start, "continues", "count", 7_u64.into())
}

fn other_run(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (seal, start) = link(tape, dice)?;
    let (before, own) = (tape.lines[seal].run.clone(), tape.lines[start].run.clone());
    let others = tape
        .places(|line| line.kind == Kind::SessionStarted && line.run != before && line.run != own);
    let other = tape.lines[pick(&others, dice)?].run.clone();
    set_in(tape, start, "continues", "session", other.into())
}

fn other_person(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, start) = link(tape, dice)?;
    tape.lines[start].set("initiator", "user:cfo");
    Some(())
}

fn no_seal(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (seal, _) = link(tape, dice)?;
    let Some(Value::Map(data)) = tape.lines[seal].members.get_mut("data") else { return None };
    data.remove("continued")?;
    Some(())
}

fn never_begins(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (_, start) = link(tape, dice)?;
    let run = tape.lines[start].run.clone();
    let is_last = !tape.lines.iter().any(|line| {
        let of = line.data().get("continues").and_then(|it| it.get("session")?.as_text());
        of == Some(&run) || line.fork().is_some_and(|(session, _)| session == run)
    });
    let follows = tape.lines.last().is_some_and(|line| line.run != run);
    tape.lines.retain(|line| line.run != run);
    (is_last && follows).then_some(())
}

fn nothing_took_place(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (seal, _) = link(tape, dice)?;
    let run = tape.lines[seal].run.clone();
    tape.lines.retain(|line| {
        line.run != run || matches!(line.kind, Kind::SessionStarted | Kind::SessionSealed)
    });
    Some(())
}

fn signal_lost(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let places = tape.places(|line| line.kind == Kind::Signal);
    let behind = |place: &usize| {
        let before = place.checked_sub(1).and_then(|before| tape.lines.get(before));
        before.is_some_and(|before| {
            before.run == tape.lines[*place].run && before.data().contains_key("continues")
        })
    };
    let carried: Vec<usize> = places.into_iter().filter(behind).collect();
    let place = pick(&carried, dice)?;
    tape.lines.remove(place);
    Some(())
}

//! The changes that are about a run that goes on from another.

use cog_base::Value;
use cog_base::entropy::SeededEntropy;
use cog_ledger::Kind;

use crate::changes::{Change, again, pairs, pick};
use crate::tape::Tape;

/// Every change by its name.
pub(crate) const CHANGES: &[(&str, Change)] = &[
    ("a fork from an entry of another run", from_elsewhere),
    ("a fork from an entry that does not exist", from_nowhere),
    ("a fork from behind what it does itself", from_later),
    ("a fork from before what it took over", from_earlier),
    ("a fork from a seal", from_seal),
    ("a fork of another definition", of_another_definition),
    ("a fork with inputs that are not those it names", with_other_inputs),
    ("an effect under a receipt of the parent", under_their_receipt),
    ("the end of what the parent had under way", their_outcome),
    ("an effect that rests on a consent of the parent", on_their_consent),
    ("an effect of the parent done again", done_again),
    ("a fork that lost its receipt", without_receipt),
];

/// The places of the first entries of forks.
fn forks(tape: &Tape) -> Vec<usize> {
    tape.places(|line| line.fork().is_some())
}

/// A fork: where it starts, its run, the run before it and the place of the entry it names.
fn fork(tape: &Tape, dice: &mut SeededEntropy) -> Option<(usize, String, String, usize)> {
    fork_that(tape, dice, |_| true)
}

fn fork_that(
    tape: &Tape,
    dice: &mut SeededEntropy,
    is: impl Fn(&(usize, String, String, usize)) -> bool,
) -> Option<(usize, String, String, usize)> {
    let told = |start: usize| {
        let (session, seq) = tape.lines[start].fork()?;
        let place = tape.lines.iter().position(|line| line.seq == seq)?;
        Some((start, tape.lines[start].run.clone(), session.to_owned(), place))
    };
    let all: Vec<_> = forks(tape).into_iter().filter_map(told).filter(is).collect();
    let place = pick(&(0..all.len()).collect::<Vec<_>>(), dice)?;
    all.get(place).cloned()
}

fn from_elsewhere(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (start, run, parent, _) = fork(tape, dice)?;
    let others = tape.places(|line| line.run != run && line.run != parent);
    let other = tape.lines[*others.iter().find(|at| **at < start)?].seq;
    tape.lines[start].set_fork(&parent, other);
    Some(())
}

fn from_nowhere(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (start, _, parent, _) = fork(tape, dice)?;
    tape.lines[start].set_fork(&parent, 1_000_000);
    Some(())
}

/// The outcome of a step that the fork does itself is said to have been taken over.
fn from_later(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let own = |run: &str, step: &str| {
        let done = pairs(tape, "completed", |line| line.run == run && line.text("step") == step);
        !done.is_empty()
    };
    let later = |(start, run, parent, place): &(usize, String, String, usize)| {
        let theirs = pairs(tape, "completed", |line| line.run == *parent);
        let mut later = theirs.iter().filter(|(_, outcome)| outcome > place && outcome < start);
        later.find(|(receipt, _)| own(run, tape.lines[*receipt].text("step"))).copied()
    };
    let found = fork_that(tape, dice, |one| later(one).is_some())?;
    let (_, outcome) = later(&found)?;
    let seq = tape.lines[outcome].seq;
    tape.lines[found.0].set_fork(&found.2, seq);
    Some(())
}

/// What is released only by the entry that it names begins in a fork from the very start.
fn from_earlier(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let did = |run: &str, step: &str| {
        !pairs(tape, "completed", |line| line.run == run && line.text("step") == step).is_empty()
    };
    let is = |(_, run, parent, _): &(usize, String, String, usize)| {
        did(run, "c") && !did(run, "b") && did(parent, "b")
    };
    let (start, _, parent, _) = fork_that(tape, dice, is)?;
    let first = tape.places(|line| line.kind == Kind::SessionStarted && line.run == parent)[0];
    let seq = tape.lines[first].seq;
    tape.lines[start].set_fork(&parent, seq);
    Some(())
}

fn from_seal(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let seal = |run: &str| {
        tape.places(|line| line.kind == Kind::SessionSealed && line.run == run).first().copied()
    };
    let is_over = |(start, _, parent, _): &(usize, String, String, usize)| {
        seal(parent).is_some_and(|seal| seal < *start)
    };
    let (start, _, parent, _) = fork_that(tape, dice, is_over)?;
    let seq = tape.lines[seal(&parent)?].seq;
    tape.lines[start].set_fork(&parent, seq);
    Some(())
}

fn of_another_definition(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (start, ..) = fork(tape, dice)?;
    let other = tape.lines[start].data().get("inputs").unwrap().clone();
    tape.lines[start].set("definition", other);
    Some(())
}

fn with_other_inputs(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let (start, ..) = fork(tape, dice)?;
    let inputs = Value::map([("part", "another")]);
    tape.lines[start].body = Some(Value::map([("inputs", inputs)]));
    Some(())
}

/// The receipt of the fork is gone, and its outcome names one of the parent's.
fn under_their_receipt(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let of = |run: &str| pairs(tape, "completed", |line| line.run == run);
    let is = |(_, run, parent, _): &(usize, String, String, usize)| {
        !of(run).is_empty() && !of(parent).is_empty()
    };
    let (_, run, parent, _) = fork_that(tape, dice, is)?;
    let theirs = pick(&of(&parent), dice)?.0;
    let (receipt, outcome) = pick(&of(&run), dice)?;
    let id = tape.lines[theirs].text("id").to_owned();
    tape.lines[outcome].set("receipt", id.as_str());
    tape.lines.remove(receipt);
    Some(())
}

/// The outcome of what the parent had under way is one of the fork.
fn their_outcome(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let open = |(start, _, parent, _): &(usize, String, String, usize)| {
        let theirs = pairs(tape, "completed", |line| line.run == *parent);
        let mut open = theirs.iter().filter(|(receipt, end)| receipt < start && end > start);
        open.next().map(|(_, outcome)| *outcome)
    };
    let found = fork_that(tape, dice, |one| open(one).is_some())?;
    let outcome = open(&found)?;
    tape.lines[outcome].members.insert("session".into(), found.1.as_str().into());
    tape.lines[outcome].run = found.1;
    Some(())
}

fn on_their_consent(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let requests =
        |run: &str| tape.places(|line| line.kind == Kind::ApprovalRequested && line.run == run);
    let receipts = |run: &str| tape.places(|line| line.kind == Kind::Receipt && line.run == run);
    let is = |(start, run, parent, _): &(usize, String, String, usize)| {
        requests(parent).first().is_some_and(|at| at < start) && !receipts(run).is_empty()
    };
    let (_, run, parent, _) = fork_that(tape, dice, is)?;
    let id = tape.lines[requests(&parent)[0]].text("id").to_owned();
    let receipt = pick(&receipts(&run), dice)?;
    tape.lines[receipt].set("approvals", Value::list([id.as_str()]));
    Some(())
}

/// What the fork took over it does once more, under a receipt of its own.
fn done_again(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let taken = |(_, _, parent, place): &(usize, String, String, usize)| {
        let theirs = pairs(tape, "completed", |line| line.run == *parent);
        theirs.into_iter().find(|(_, outcome)| outcome <= place)
    };
    let found = fork_that(tape, dice, |one| taken(one).is_some())?;
    let (receipt, outcome) = taken(&found)?;
    let (start, run) = (found.0, found.1);
    again(tape, (receipt, outcome));
    // The pair stands behind the outcome now; it belongs behind the start of the fork.
    for offset in [2, 1] {
        let mut line = tape.lines.remove(outcome + offset);
        line.run = run.clone();
        line.seq = u64::MAX;
        line.members.insert("session".into(), run.as_str().into());
        line.members.insert("at".into(), tape.lines[start + offset - 1].at());
        tape.lines.insert(start + offset, line);
    }
    Some(())
}

fn without_receipt(tape: &mut Tape, dice: &mut SeededEntropy) -> Option<()> {
    let of = |run: &str| pairs(tape, "completed", |line| line.run == run);
    let (_, run, ..) = fork_that(tape, dice, |(_, run, ..)| !of(run).is_empty())?;
    let (receipt, _) = pick(&of(&run), dice)?;
    tape.lines.remove(receipt);
    Some(())
}

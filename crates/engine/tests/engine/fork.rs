//! Runs that go on from a place of another.

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_engine::fork::{Fork, NoPlace, place};
use cog_engine::replay::as_far;
use cog_gate::Effect;
use cog_ledger::Kind;

use crate::house::House;

const THREE: &str = "
  - { id: a, uses: file.write, with: { root: out, path: \"${{ inputs.who }}-a\", text: x } }
  - { id: word, needs: [a], uses: compute, with: { it: \"${{ inputs.who }}\" } }
  - { id: b, needs: [word], uses: file.write, with: { root: out, path: \"${{ steps.word.output.it }}-b\", text: \"${{ steps.a.output.text }}\" } }
  - { id: c, needs: [b], uses: file.write, with: { root: out, path: c, text: \"${{ run.id }}\" } }
";
const WHO: &str = "inputs: { who: { type: string, default: ada } }";

/// The arguments of the effect that begins next.
fn next(house: &House, name: &str) -> String {
    let effect = &house.under_way.front().expect("an effect is under way").cleared;
    let args = effect.effect().args();
    args.get(name).and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// A run of three steps to its end.
fn three(house: &mut House) -> RunId {
    let run = house.start_with(WHO, THREE);
    ["one", "two", "three"].into_iter().for_each(|text| house.done(text));
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    run
}

#[test]
fn what_was_over_stays_and_the_rest_is_decided_and_done_anew() {
    let mut house = House::new();
    let parent = three(&mut house);
    let run = house.fork(parent, "b", &[]);
    assert_eq!((next(&house, "path").as_str(), next(&house, "text").as_str()), ("ada-b", "one"));
    house.done("again");
    assert_eq!(next(&house, "text"), run.to_string(), "what runs anew runs as this run");
    house.done("at last");
    let story = [
        "receipt",
        "outcome completed 1",
        "receipt",
        "outcome completed 1",
        "session.sealed completed",
    ];
    assert_eq!(house.story(run), story);
    house.assert_replays(run);
    house.assert_decisions_replay(run);
    let both = [house.records(parent), house.records(run)].concat();
    let recomputed = house.recomputed(&both);
    assert!(recomputed.findings.kept().is_empty(), "{:?}", recomputed.findings);
    assert_eq!((recomputed.followed, recomputed.not_followed), (2, 0));
    assert_eq!(house.recomputed(&both[1..]).not_followed, 2, "its past is not here");
    let started = house.records(run)[0].clone();
    let outcome = house.records(parent)[2].entry.seq();
    let fork = Fork { session: parent, seq: outcome, step: Some("b".to_owned()) };
    assert_eq!(Fork::of(&started.entry), Some(fork));
    assert!(started.body.unwrap().get("source").is_none(), "the definition is the parent's");
    assert!(started.entry.bytes().len() < 1_024);
}

#[test]
fn other_inputs_are_seen_by_what_begins_anew_alone() {
    let mut house = House::new();
    let parent = three(&mut house);
    // The computed step stands behind the same entry as the one that it is computed for.
    for from in ["word", "b"] {
        let run = house.fork(parent, from, &[("who", "eve")]);
        assert_eq!(
            (next(&house, "path").as_str(), next(&house, "text").as_str()),
            ("eve-b", "one")
        );
        ["two", "three"].into_iter().for_each(|text| house.done(text));
        house.assert_replays(run);
    }
    let run = house.fork(parent, "a", &[("who", "eve")]);
    assert_eq!(next(&house, "path"), "eve-a");
    ["one", "two", "three"].into_iter().for_each(|text| house.done(text));
    house.assert_replays(run);
    let run = house.fork(parent, "c", &[("who", "eve")]);
    house.done("three");
    house.assert_replays(run);
}

#[test]
fn a_fork_is_forked_also_from_what_it_took_over() {
    let mut house = House::new();
    let parent = three(&mut house);
    let first = house.fork(parent, "b", &[("who", "eve")]);
    ["two", "three"].into_iter().for_each(|text| house.done(text));
    for (from, whose) in [("c", first), ("b", first), ("a", parent)] {
        let run = house.fork(first, from, &[]);
        if from == "b" {
            assert_eq!(next(&house, "path"), "eve-b", "inputs stay those of the run it names");
        }
        while !house.under_way.is_empty() {
            house.done("anew");
        }
        house.assert_replays(run);
        assert_eq!(Fork::of(&house.records(run)[0].entry).unwrap().session, whose, "{from}");
    }
}

#[test]
fn what_was_under_way_begins_anew_and_the_parent_goes_on() {
    let mut house = House::new();
    let parent = house.start(
        "
  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: long, uses: file.write, with: { root: out, path: long, text: x } }
  - { id: b, needs: [a], uses: file.write, with: { root: out, path: b, text: x } }
",
    );
    house.done("a is there");
    let effects = std::mem::take(&mut house.under_way);
    // A root that both write to: what the parent has open is not the fork's to touch.
    let run = house.fork(parent, "b", &[]);
    for effect in effects {
        house.give_back(effect, "of the parent");
    }
    while !house.under_way.is_empty() {
        house.done("of the fork");
    }
    for run in [parent, run] {
        assert_eq!(house.sealed(run).unwrap().status, "completed");
        house.assert_replays(run);
    }
    let receipts = |run| house.story(run).iter().filter(|it| *it == "receipt").count();
    assert_eq!((receipts(parent), receipts(run)), (3, 2));
}

#[test]
fn a_fork_that_was_broken_off_goes_on() {
    let mut house = House::new();
    let parent = three(&mut house);
    let run = house.fork(parent, "b", &[("who", "eve")]);
    house.done("two");
    house.restart();
    for (_, receipt, _) in std::mem::take(&mut house.probes) {
        let found = cog_gate::Found::NotDone;
        house.give(cog_engine::Input::Probed { run, receipt, found });
    }
    house.done("three");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
}

#[test]
fn what_the_parent_spent_and_was_told_gives_the_fork_nothing() {
    let mut house = House::new();
    let parent = house.start_with(
        "budget: { effects: 2 }",
        "
  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: ok, needs: [a], approve: { by: [\"role:finance\"], message: Go on? } }
  - { id: b, needs: [ok], uses: file.write, with: { root: out, path: b, text: x } }
",
    );
    house.done("a is there");
    house.answer(parent, Ok(()));
    house.done("b is there");
    let again = house.fork(parent, "ok", &[]);
    assert_eq!(house.asked().len(), 1, "a consent is for the run it was given in");
    house.answer(again, Ok(()));
    house.done("b is there");
    assert_eq!(house.sealed(again).unwrap().status, "completed");
    house.assert_replays(again);
    assert_eq!(house.sealed(again).unwrap().receipts, 1);
}

#[test]
fn a_fork_undoes_only_what_it_did() {
    let mut house = House::new();
    let undo =
        "on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] }";
    let parent = house.start(&format!(
        "
  - id: a
    uses: file.write
    with: {{ root: out, path: a, text: x }}
    {undo}
  - {{ id: b, needs: [a], sleep: {{ ms: 1000 }} }}
"
    ));
    house.done("a is there");
    let run = house.fork(parent, "b", &[]);
    house.cancel(run);
    assert!(house.under_way.is_empty(), "what the parent did stays as the parent left it");
    assert_eq!(house.sealed(run).unwrap().status, "cancelled");
    house.assert_replays(run);
    house.cancel(parent);
    assert_eq!(house.under_way.len(), 1);
}

#[test]
fn what_falls_at_once_stops_what_begins_anew_beside_it_and_the_run_ends_once() {
    let mut house = House::new();
    let parent = house.start_with(
        WHO,
        "
  - { id: d, uses: file.write, with: { root: out, path: d, text: x } }
  - { id: b, uses: file.write, with: { root: out, path: \"${{ inputs.who == 'eve' ? fail('not her') : 'b' }}\", text: x } }
  - { id: nap, sleep: { ms: 1000 } }
  - { id: ok, approve: { by: [\"role:finance\"], message: Go on? } }
  - { id: x, uses: file.write, with: { root: out, path: x, text: x } }
  - { id: e, needs: [d], uses: file.write, with: { root: out, path: e, text: x } }
",
    );
    house.done("d is there");
    let run = house.fork(parent, "e", &[("who", "eve")]);
    assert_eq!(house.sealed(run).unwrap().status, "failed", "{:?}", house.story(run));
    assert_eq!(house.story(run), ["session.sealed failed"]);
    house.assert_replays(run);
}

#[test]
fn what_falls_at_its_place_does_not_undo_what_the_parent_did() {
    let mut house = House::new();
    let undo =
        "on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] }";
    let parent = house.start_with(
        &format!("{WHO}\ncompensate_on: [failed]"),
        &format!(
            "
  - id: a
    uses: file.write
    with: {{ root: out, path: a, text: x }}
    {undo}
  - {{ id: b, needs: [a], uses: file.write, with: {{ root: out, path: \"${{{{ inputs.who == 'eve' ? fail('not her') : 'b' }}}}\", text: x }} }}
"
        ),
    );
    house.done("a is there");
    let effects = house.under_way.len();
    let run = house.fork(parent, "b", &[("who", "eve")]);
    assert_eq!(house.under_way.len(), effects, "nothing is undone");
    assert_eq!(house.sealed(run).unwrap().status, "failed");
    house.assert_replays(run);
    // From the very start `a` is its own.
    house.under_way.clear();
    let run = house.fork(parent, "a", &[("who", "eve")]);
    house.done("a is there again");
    house.done("a is undone");
    assert_eq!(house.sealed(run).unwrap().status, "failed");
    house.assert_replays(run);
}

#[test]
fn nothing_goes_on_from_where_a_run_was_ended() {
    let mut house = House::new();
    let parent = three(&mut house);
    let cancelled = house.start(&THREE.replace("inputs.who", "run.initiator"));
    house.cancel(cancelled);
    house.under_way.clear();
    let ended = |record: &&cog_engine::Record| {
        let kind = record.entry.kind();
        kind == Kind::SessionSealed || record.entry.text("source") == Some("cancel")
    };
    for (session, count) in [(parent, 1), (cancelled, 1)] {
        let past = house.history(session);
        let ends: Vec<u64> = past.iter().filter(ended).map(|it| it.entry.seq()).collect();
        assert!(ends.len() >= count, "{ends:?}");
        for seq in ends {
            let fork = Fork { session, seq, step: None };
            let run = house.fork_at(fork, past.clone(), Map::new());
            assert!(house.is_not_forked(run), "entry {seq}");
            assert!(house.records(run).is_empty());
        }
    }
    // The past that comes along is that of the run that is named.
    let past = house.history(parent);
    let fork = Fork { session: cancelled, seq: past[2].entry.seq(), step: None };
    let run = house.fork_at(fork, past, Map::new());
    assert!(house.is_not_forked(run) && house.records(run).is_empty());
}

#[test]
fn a_place_that_is_none_is_told() {
    let mut house = House::new();
    let run = house.start(
        "
  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }
  - id: each
    foreach: \"${{ [1, 2] }}\"
    uses: file.write
    with: { root: out, path: \"${{ string(item) }}\", text: x }
  - { id: b, needs: [a], uses: file.write, with: { root: out, path: b, text: x } }
",
    );
    let past = house.history(run);
    let (history, _) = as_far(&past).unwrap();
    let none = |from: &str| place(&past, &history, from).unwrap_err();
    assert_eq!(none("b"), NoPlace::NotBegun("b".to_owned()));
    assert_eq!(none("nothing"), NoPlace::Unknown("nothing".to_owned()));
    assert!(place(&past, &history, "each[0]").is_ok());
}

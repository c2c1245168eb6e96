//! Steps that give their place a name: where that stands, and what goes on from there.

use cog_base::Value;
use cog_engine::fork::Fork;
use cog_engine::{Input, Record};
use cog_ledger::Kind;

use crate::house::House;

const STEPS: &str = "
  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: here, needs: [a], checkpoint: half-way }
  - { id: b, needs: [here], uses: file.write, with: { root: out, path: b, text: \"${{ run.id }}\" } }
";
const STORY: [&str; 6] = [
    "receipt",
    "outcome completed 1",
    "checkpoint",
    "receipt",
    "outcome completed 1",
    "session.sealed completed",
];

fn mark(records: &[Record]) -> &Record {
    records.iter().find(|record| record.entry.kind() == Kind::Checkpoint).unwrap()
}

#[test]
fn a_place_has_its_name_when_it_is_reached_and_a_run_goes_on_from_there() {
    let mut house = House::new();
    let run = house.start(STEPS);
    house.done("one");
    house.done("two");
    assert_eq!(house.story(run), STORY);
    house.assert_replays(run);
    let records = house.records(run);
    let entry = &mark(&records).entry;
    let text = |name| entry.text(name).unwrap().to_owned();
    assert_eq!(
        (text("name"), text("step"), text("run")),
        ("half-way".into(), "here".into(), run.to_string())
    );
    assert!(entry.count("seq").is_none() && entry.session() == Some(run));
    let fork = Fork { session: run, seq: entry.seq(), step: None };
    let inputs = Default::default();
    let next = house.fork_at(fork, house.history(run), inputs);
    house.done("again");
    assert_eq!(house.story(next), ["receipt", "outcome completed 1", "session.sealed completed"]);
    house.assert_replays(next);
    // From before it, it is named anew: that is a place of the other run.
    let next = house.fork(run, "here", &[]);
    house.done("again");
    assert_eq!(house.story(next)[0], "checkpoint");
    house.assert_replays(next);
    house.assert_recomputes();
}

#[test]
fn a_held_run_names_no_place_and_does_so_once_when_it_goes_on_also_after_a_crash() {
    let mut house = House::new();
    let run = house.start(STEPS);
    let by = "user:operator".parse().unwrap();
    house.give(Input::Pause { run, who: by, reason: "wait".into() });
    house.done("one");
    assert!(!house.story(run).contains(&"checkpoint".to_owned()));
    house.restart();
    let by = "user:operator".parse().unwrap();
    house.give(Input::Unpause { run, who: by, reason: "go".into() });
    house.done("two");
    let story = house.story(run);
    assert_eq!(story.iter().filter(|line| *line == "checkpoint").count(), 1, "{story:?}");
    house.assert_replays(run);
}

#[test]
fn an_entry_that_names_another_place_does_not_follow() {
    let mut house = House::new();
    let run = house.start(STEPS);
    house.done("one");
    house.done("two");
    let mut records = house.records(run);
    let place = records.iter().position(|it| it.entry.kind() == Kind::Checkpoint).unwrap();
    records.remove(place);
    let broken = cog_engine::replay::replay_run(&records).err().unwrap().to_string();
    assert!(broken.contains("does not want `b` now"), "{broken}");
    assert_eq!(mark(&house.records(run)).body, None::<Value>);
}

//! What effects give while they are under way: on record before the outcome, as far as it is kept.

use cog_engine::Input;
use cog_gate::piece::GIVEN_BYTES_MAX;
use cog_ledger::Kind;

use crate::house::House;

const WRITE: &str = "  - { id: a, uses: file.write, with: { root: out, path: a, text: a } }\n";

/// The offsets of the pieces that are on record.
fn offsets(house: &House, run: cog_base::id::RunId) -> Vec<u64> {
    let records = house.records(run);
    let given = records.iter().filter(|it| it.entry.kind() == Kind::Output);
    given.map(|it| it.entry.count("offset").unwrap()).collect()
}

#[test]
fn pieces_stand_before_the_outcome_one_behind_the_other() {
    let mut house = House::new();
    let run = house.start(WRITE);
    let voice = house.under_way[0].cleared.voice().unwrap();
    for text in ["one", "zwölf", "x"] {
        house.give(Input::Given(Box::new(voice.says("stdout", text.to_owned()))));
    }
    house.done("all of it");
    // The effect is over: nothing more is taken of it.
    house.give(Input::Given(Box::new(voice.says("stdout", "late".to_owned()))));
    let story = ["receipt", "output", "output", "output", "outcome completed 1"];
    assert_eq!(house.story(run), [&story[..], &["session.sealed completed"]].concat());
    assert_eq!(offsets(&house, run), [0, 3, 9]);
    house.assert_replays(run);
    house.assert_recomputes();
}

#[test]
fn more_than_is_kept_stands_in_the_outcome_alone_and_nothing_follows_what_was_left_out() {
    let mut house = House::new();
    let run = house.start(WRITE);
    let voice = house.under_way[0].cleared.voice().unwrap();
    let most = usize::try_from(GIVEN_BYTES_MAX).unwrap();
    for length in [most - 1, 2, 1] {
        house.give(Input::Given(Box::new(voice.says("stdout", "x".repeat(length)))));
    }
    house.done("all of it");
    assert_eq!(offsets(&house, run), [0]);
    house.assert_replays(run);
}

#[test]
fn a_crash_leaves_what_was_given_and_another_attempt_begins_anew() {
    let mut house = House::new();
    let run = house.start(&WRITE.replace("file.write", "file.read").replace(", text: a", ""));
    let voice = house.under_way[0].cleared.voice().unwrap();
    house.give(Input::Given(Box::new(voice.says("stdout", "half".to_owned()))));
    house.restart();
    let voice = house.under_way[0].cleared.voice().unwrap();
    house.give(Input::Given(Box::new(voice.says("stdout", "whole".to_owned()))));
    house.done("all of it");
    let begun = ["receipt", "output", "outcome abandoned 1", "receipt", "output"];
    let ended = ["outcome completed 1", "session.sealed completed"];
    assert_eq!(house.story(run), [&begun[..], &ended].concat());
    assert_eq!(offsets(&house, run), [0, 0]);
    house.assert_replays(run);
}

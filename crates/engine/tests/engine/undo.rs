//! A run that is undone before it ends: its entries, a crash in the middle, and its replay.

use cog_engine::fork::{NoPlace, Past, place};
use cog_engine::replay::as_far;

use crate::house::House;

const TRIP: &str = "
  - id: flight
    uses: file.write
    with: { root: out, path: flight, text: booked }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: flight } } ] }
  - id: hotel
    needs: [flight]
    uses: file.write
    with: { root: out, path: hotel, text: booked }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: hotel } } ] }
  - { id: wait, needs: [hotel], sleep: { ms: 10 } }
";

const UNDONE: [&str; 10] = [
    "receipt",
    "outcome completed 1",
    "receipt",
    "outcome completed 1",
    "evidence cancel",
    "receipt",
    "outcome completed 1",
    "receipt",
    "outcome completed 1",
    "session.sealed cancelled",
];

/// A run of which two steps are done, and which is cancelled then.
fn cancelled() -> (House, cog_base::id::RunId) {
    let mut house = House::new();
    let run = house.start(TRIP);
    house.done("flight");
    house.done("hotel");
    house.cancel(run);
    (house, run)
}

#[test]
fn what_was_done_is_undone_under_receipts_the_last_first() {
    let (mut house, run) = cancelled();
    house.done("hotel is free");
    house.done("flight is free");
    assert_eq!(house.story(run), UNDONE);
    let steps: Vec<_> = house
        .records(run)
        .iter()
        .filter(|it| it.entry.kind() == cog_ledger::Kind::Receipt)
        .map(|it| it.entry.text("step").unwrap().to_owned())
        .collect();
    assert_eq!(steps, ["flight", "hotel", "hotel.on_cancel.undo", "flight.on_cancel.undo"]);
    let error = house.sealed(run).and_then(|sealed| sealed.error.as_ref()).map(ToString::to_string);
    let expected = r#"{"code":"cancelled","message":"wrong supplier","undone":2}"#;
    assert_eq!(error.as_deref(), Some(expected));
    house.assert_replays(run);
}

#[test]
fn a_crash_while_it_is_undone_leaves_nothing_out() {
    for before in 0..2 {
        let (mut house, run) = cancelled();
        for _ in 0..before {
            house.done("free");
        }
        house.restart();
        while house.sealed(run).is_none() {
            if let Some((run, receipt, _)) = house.probes.pop_front() {
                let found = cog_gate::Found::NotDone;
                house.give(cog_engine::Input::Probed { run, receipt, found });
            }
            house.done("free");
        }
        let story = house.story(run);
        assert_eq!(story.last().map(String::as_str), Some("session.sealed cancelled"));
        let undone = story.iter().filter(|line| *line == "outcome completed 1").count();
        assert_eq!(undone, 4, "{story:?}");
        house.assert_replays(run);
    }
}

#[test]
fn nothing_goes_on_with_what_was_undone_since() {
    let (mut house, run) = cancelled();
    house.done("hotel is free");
    house.done("flight is free");
    let all = house.history(run);
    let (history, _) = as_far(&all).unwrap();
    let stands = |from: &str| {
        let fork = place(&all, &history, from).unwrap();
        let past: Vec<_> = all.iter().filter(|it| it.entry.seq() <= fork.seq).cloned().collect();
        let whole = |run| Ok::<_, ()>(house.history(run));
        let read = Past::take(past.clone(), None, whole).unwrap().map(drop);
        let at_hand = Past::take(past, Some(&history), |_| Err("it is at hand"));
        assert_eq!(at_hand.unwrap().map(drop), read);
        read
    };
    let flight = || "flight".to_owned();
    assert_eq!(stands("flight"), Ok(()));
    assert_eq!(stands("hotel"), Err(NoPlace::Undone { step: flight(), from: flight() }));
    assert_eq!(stands("wait"), Err(NoPlace::Undone { step: flight(), from: flight() }));
}

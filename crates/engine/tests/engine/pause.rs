//! Runs that are held: nothing new begins, what is under way ends, and ending goes before.

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::replay::replay_run;
use cog_engine::{Input, Sent, What};
use cog_flow::Signal;

use crate::house::House;

const TWO: &str = "
  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: b, needs: [a], uses: file.write, with: { root: out, path: b, text: x } }
";

fn hold(house: &mut House, run: RunId, pauses: bool) {
    hold_by(house, run, pauses, "user:ada");
}

fn hold_by(house: &mut House, run: RunId, pauses: bool, who: &str) {
    let (who, reason) = (who.parse().unwrap(), "an audit".to_owned());
    house.give(if pauses {
        Input::Pause { run, who, reason }
    } else {
        Input::Unpause { run, who, reason }
    });
}

/// Who the run was said to be parked by, each time that it was.
fn parked(house: &House) -> Vec<Option<String>> {
    let by = |notice: &cog_engine::Notice| {
        let What::Parked { paused, .. } = &notice.what else { return None };
        Some(paused.as_ref().map(|paused| format!("{} {}", paused.by, paused.reason)))
    };
    house.notices.iter().filter_map(by).collect()
}

#[test]
fn what_is_under_way_ends_and_nothing_new_begins() {
    let mut house = House::new();
    let run = house.start(TWO);
    hold(&mut house, run, true);
    assert!(parked(&house).is_empty(), "an effect is under way");
    house.done("a is there");
    assert!(house.under_way.is_empty());
    assert_eq!(parked(&house), [Some("user:ada an audit".to_owned())]);
    hold(&mut house, run, false);
    house.done("b is there");
    let story = [
        "receipt",
        "session.paused",
        "outcome completed 1",
        "session.unpaused",
        "receipt",
        "outcome completed 1",
        "session.sealed completed",
    ];
    assert_eq!(house.story(run), story);
    house.assert_replays(run);
}

#[test]
fn a_held_run_stays_so_after_a_crash() {
    let mut house = House::new();
    let run = house.start(TWO);
    house.done("a is there");
    hold(&mut house, run, true);
    house.restart();
    while let Some((run, receipt, _)) = house.probes.pop_front() {
        house.give(Input::Probed { run, receipt, found: cog_gate::Found::NotDone });
    }
    assert!(house.under_way.is_empty());
    assert!(parked(&house).last().is_some_and(Option::is_some));
    hold(&mut house, run, false);
    house.done("b is there");
    house.assert_replays(run);
}

#[test]
fn people_are_asked_when_the_run_goes_on_and_have_their_time_from_then() {
    let mut house = House::new();
    let run = house.start(
        "  - { id: first, sleep: { ms: 10 } }\n  - { id: ok, needs: [first], approve: { by: [\"user:cfo\"], message: ok?, expires_minutes: 1 } }\n",
    );
    hold(&mut house, run, true);
    house.ring();
    assert!(house.asked().is_empty() && house.timers.is_empty());
    house.later(59_000);
    hold(&mut house, run, false);
    assert_eq!(house.asked().len(), 1);
    house.later(30_000);
    house.restart();
    let armed: Vec<u64> = house.timers.iter().map(|(_, ms)| *ms).collect();
    assert_eq!(armed, [30_000]);
    house.answer(run, Ok(()));
    house.assert_replays(run);
}

#[test]
fn an_answer_to_a_held_run_counts_and_is_acted_on_later() {
    let mut house = House::new();
    let run = house.start(
        "  - { id: ok, approve: { by: [\"user:cfo\"], message: ok? } }\n  - { id: a, needs: [ok], uses: file.read, with: { root: out, path: a } }\n",
    );
    house.hold = true;
    house.answer(run, Ok(()));
    hold(&mut house, run, true);
    house.release();
    let story = ["approval.requested", "approval.granted", "receipt", "session.paused"];
    assert_eq!(house.story(run), story, "what the answer brought about came before");
    house.done("it is there");
    hold(&mut house, run, false);
    house.assert_replays(run);
}

/// What brings a run to its end.
type Last = fn(&mut House, RunId);

/// A step that is the last one, and what brings it to its end.
const LASTS: [(&str, Last); 3] = [
    ("  - { id: a, wait_for: { signal: paid } }\n", |house, run| {
        let (name, from) = ("paid".to_owned(), "user:shop".to_owned());
        let signal = Signal { id: "e1".to_owned(), name, from, payload: Value::Null };
        let sent = Box::new(Sent { signal, subject: None });
        house.give(Input::Signal { run, sent });
    }),
    ("  - { id: a, sleep: { ms: 10 } }\n", |house, _| drop(house.ring())),
    ("  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }\n", |house, _| {
        house.done("a is there");
    }),
];

#[test]
fn a_held_run_comes_to_no_end_before_it_is_let_go_on_or_ended() {
    for (place, (steps, last)) in LASTS.iter().enumerate() {
        for (crashes, cancels) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut house = House::new();
            let run = house.start(steps);
            hold(&mut house, run, true);
            last(&mut house, run);
            if crashes {
                house.restart();
            }
            let held = (place, crashes, cancels);
            assert_eq!(house.sealed(run), None, "{held:?}");
            assert_eq!(parked(&house).last(), Some(&Some("user:ada an audit".to_owned())));
            assert!(replay_run(&house.history(run)).unwrap().can_hold(false).is_ok(), "{held:?}");
            if cancels {
                house.cancel(run);
            } else {
                hold(&mut house, run, false);
            }
            let ended = ["session.unpaused", "session.sealed completed"].map(str::to_owned);
            assert!(house.story(run).ends_with(&ended), "{held:?}: {:?}", house.story(run));
            assert!(replay_run(&house.history(run)).unwrap().can_hold(false).is_err(), "{held:?}");
            house.assert_replays(run);
        }
    }
}

#[test]
fn a_held_run_can_be_ended_and_is_undone() {
    let mut house = House::new();
    let undo =
        "on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] } }";
    let run = house.start(&TWO.replacen("text: x } }", &format!("text: x }}, {undo}"), 1));
    hold(&mut house, run, true);
    house.done("a is there");
    house.cancel(run);
    house.done("a is gone");
    let ended = ["evidence cancel", "receipt", "outcome completed 1", "session.sealed cancelled"];
    assert!(house.story(run).ends_with(&ended.map(str::to_owned)), "{:?}", house.story(run));
    assert!(house.sealed(run).is_some());
    house.assert_replays(run);
}

#[test]
fn a_run_is_held_once_and_one_that_ended_is_not() {
    let mut house = House::new();
    let run = house.start(TWO);
    hold(&mut house, run, false);
    hold(&mut house, run, true);
    hold(&mut house, run, true);
    let word = |notice: &cog_engine::Notice| {
        if let What::NotPaused { message, .. } = &notice.what {
            return Some(message.clone());
        }
        if let What::Held { by, .. } = &notice.what { Some(by.clone()) } else { None }
    };
    let told: Vec<_> = house.notices.iter().filter_map(word).collect();
    assert_eq!(told, ["it is not paused", "user:ada", "it is paused already"]);
    assert_eq!(house.story(run), ["receipt", "session.paused"]);
}

#[test]
fn a_run_that_is_being_ended_is_not_held() {
    let mut house = House::new();
    let run = house.start(TWO);
    let (who, reason) = ("user:ada".parse().unwrap(), "not needed".to_owned());
    house.give(Input::Cancel { run, who, reason });
    hold(&mut house, run, true);
    let told = house.notices.iter().any(|notice| {
        matches!(&notice.what, What::NotPaused { message, .. } if message == "it is being ended")
    });
    assert!(told);
    assert!(!house.story(run).iter().any(|line| line.starts_with("session.paused")));
}

#[test]
fn only_who_may_end_a_run_may_hold_it_and_let_it_go_on() {
    for who in ["user:cfo", "agent:clerk", "user:nobody", "service:engine"] {
        let mut house = House::new();
        let run = house.start(TWO);
        hold_by(&mut house, run, true, who);
        hold_by(&mut house, run, true, "user:operator");
        hold_by(&mut house, run, false, who);
        house.done("a is there");
        assert!(house.under_way.is_empty(), "{who} let it go on");
        let denied = |action: &str| {
            house.records(run).iter().any(|it| it.entry.text("action") == Some(action))
        };
        assert!(denied("run.pause") && denied("run.unpause"), "{who}");
        hold_by(&mut house, run, false, "user:operator");
        house.done("b is there");
        house.assert_replays(run);
    }
}

//! Signals: their place in the log, their ids, crashes, and replay.

use cog_base::id::RunId;
use cog_base::json::parse;
use cog_engine::signals::SIGNALS_MAX;
use cog_engine::{Input, Sent, What};
use cog_flow::Signal;

use crate::house::House;

const PAID: &str = "
  - id: paid
    wait_for: { signal: payment, where: { order: 7 }, timeout_ms: 60000 }
  - { id: ship, needs: [paid], uses: file.write, with: { root: out, path: a, text: \"${{ steps.paid.output.payload.by }}\" } }
";

const DONE: [&str; 4] = ["signal", "receipt", "outcome completed 1", "session.sealed completed"];

fn sent(id: &str, name: &str, payload: &str) -> Sent {
    let payload = parse(payload).unwrap();
    let signal = Signal { id: id.into(), name: name.into(), from: "user:shop".into(), payload };
    Sent { signal, subject: None }
}

fn send(house: &mut House, run: RunId, id: &str, name: &str, payload: &str) {
    house.give(Input::Signal { run, sent: Box::new(sent(id, name, payload)) });
}

/// What was told of signals, and of being parked for them.
fn told(house: &House) -> Vec<String> {
    let line = |notice: &cog_engine::Notice| {
        Some(if let What::Signalled { signal, again, .. } = &notice.what {
            format!("{signal} again={again}")
        } else if let What::NotTaken { signal, message } = &notice.what {
            format!("{signal}: {message}")
        } else if let What::Parked { signals, .. } = &notice.what {
            format!("parked {signals:?}")
        } else if let What::Listening { step, signal, .. } = &notice.what {
            format!("{step} listens for {signal}")
        } else {
            return None;
        })
    };
    house.notices.iter().filter_map(line).collect()
}

#[test]
fn a_run_parks_until_its_signal_comes_and_goes_on_behind_its_entry() {
    let mut house = House::new();
    let run = house.start(PAID);
    let waits = ["paid listens for payment", r#"parked [("paid", "payment")]"#];
    assert_eq!(told(&house), waits);
    send(&mut house, run, "evt-0", "payment", r#"{"order":8}"#);
    assert!(house.under_way.is_empty());
    send(&mut house, run, "evt-1", "payment", r#"{"order":7,"by":"ada"}"#);
    house.done("shipped");
    assert_eq!(house.story(run), [&["signal"], &DONE[..]].concat());
    let again = [r#"evt-0 again=false"#, r#"parked [("paid", "payment")]"#, "evt-1 again=false"];
    assert_eq!(told(&house), [&waits[..], &again[..]].concat());
    house.assert_replays(run);
}

#[test]
fn the_same_signal_twice_is_one() {
    let mut house = House::new();
    let run = house.start(PAID);
    for _ in 0..3 {
        send(&mut house, run, "evt-0", "payment", r#"{"order":8}"#);
    }
    assert_eq!(house.story(run), ["signal"]);
    send(&mut house, run, "evt-0", "payment", r#"{"order":7}"#);
    let told = told(&house);
    let heard =
        ["evt-0 again=true", "evt-0 again=true", "evt-0: another signal had the id `evt-0`"];
    assert!(told.ends_with(&heard.map(str::to_owned)), "{told:?}");
    assert_eq!(house.story(run), ["signal"]);
}

#[test]
fn what_is_no_signal_and_what_comes_too_late_is_not_recorded() {
    let mut house = House::new();
    let run = house.start(PAID);
    send(&mut house, run, "", "payment", "1");
    send(&mut house, run, "evt-1", "refund", "1");
    assert!(house.story(run).is_empty());
    let heard = told(&house);
    let last = heard.last().map(String::as_str);
    assert_eq!(last, Some("evt-1: its steps wait for payment, and not for `refund`"));
    house.cancel(run);
    let story = house.story(run);
    assert_eq!(story.last().map(String::as_str), Some("session.sealed cancelled"));
    send(&mut house, run, "evt-1", "payment", "1");
    assert_eq!(house.story(run), story);
    let told = told(&house);
    assert_eq!(told.last().map(String::as_str), Some("evt-1: the run is not under way here"));
}

#[test]
fn a_signal_survives_a_crash_whether_it_was_taken_or_not() {
    for early in [true, false] {
        let mut house = House::new();
        let first = "  - { id: first, uses: file.read, with: { root: out, path: a } }\n";
        let needs = PAID.replacen("wait_for", "needs: [first]\n    wait_for", 1);
        let run = house.start(&format!("{first}{needs}"));
        if early {
            send(&mut house, run, "evt-1", "payment", r#"{"order":7,"by":"ada"}"#);
            house.restart();
            house.done("it is there");
        } else {
            house.done("it is there");
            house.restart();
            send(&mut house, run, "evt-1", "payment", r#"{"order":7,"by":"ada"}"#);
            house.restart();
        }
        while house.sealed(run).is_none() {
            if let Some((run, receipt, _)) = house.probes.pop_front() {
                let found = cog_gate::Found::NotDone;
                house.give(Input::Probed { run, receipt, found });
            }
            // Whoever does not know whether it arrived sends it again.
            send(&mut house, run, "evt-1", "payment", r#"{"order":7,"by":"ada"}"#);
            house.done("shipped");
        }
        let story = house.story(run);
        assert_eq!(story.iter().filter(|line| *line == "signal").count(), 1, "{story:?}");
        assert_eq!(story.last().map(String::as_str), Some("session.sealed completed"));
        house.assert_replays(run);
    }
}

#[test]
fn a_run_that_waited_too_long_fails_as_it_is_resumed() {
    let mut house = House::new();
    let run = house.start(&PAID.replace("60000", "1"));
    house.later(2);
    house.restart();
    assert_eq!(house.story(run), ["evidence timer", "session.sealed failed"]);
    let parked = told(&house).iter().filter(|line| line.starts_with("parked")).count();
    assert_eq!(parked, 1, "it does not park again");
    house.assert_replays(run);
}

#[test]
fn a_signal_behind_an_answer_on_its_way_comes_behind_it_in_the_log_too() {
    let mut house = House::new();
    let run = house.start(
        "  - { id: ok, approve: { by: [\"user:cfo\"], message: ok? } }\n  - { id: go, needs: [ok], wait_for: { signal: go } }\n",
    );
    house.hold = true;
    house.answer(run, Ok(()));
    send(&mut house, run, "evt-1", "go", "1");
    house.release();
    let story = ["approval.requested", "approval.granted", "signal", "session.sealed completed"];
    assert_eq!(house.story(run), story);
    house.assert_replays(run);
}

#[test]
fn a_run_takes_so_many_signals_and_no_more() {
    let mut house = House::new();
    let run = house.start(PAID);
    for number in 0..cog_flow::limits::MAX_SIGNALS_KEPT {
        send(&mut house, run, &format!("evt-{number}"), "payment", "1");
    }
    send(&mut house, run, "evt-x", "payment", "1");
    let told = told(&house);
    let last = told.last().map(String::as_str);
    assert_eq!(last, Some("evt-x: 1000 signals wait to be taken already"));
    const { assert!(SIGNALS_MAX > cog_flow::limits::MAX_SIGNALS_KEPT) };
    assert_eq!(house.story(run).len(), cog_flow::limits::MAX_SIGNALS_KEPT);
}

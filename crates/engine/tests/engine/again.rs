//! Runs that continue as new: a seal and the next start in one append, and nothing lost between.

use cog_base::id::RunId;
use cog_base::json::parse;
use cog_base::{Micros, Value};
use cog_engine::again::next_of;
use cog_engine::{Continues, Input, Output, Placed, Sent, What};
use cog_flow::Signal;
use cog_ledger::Kind;
use cog_ledger::audit::Audit;

use crate::house::House;

const COUNT: &str = "
name: count
domain: simulation
inputs: { n: { type: integer, default: 0 }, folder: { type: string, default: out } }
roots: { out: { path: \"${{ inputs.folder }}\", access: write } }
budget: { effects: 1 }
steps:
  - { id: one, uses: file.write, with: { root: out, path: \"f-${{ inputs.n }}\", text: x } }
  - id: again
    needs: [one]
    if: inputs.n < 2
    continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\", folder: \"${{ inputs.folder }}\" } }
outputs: { n: \"${{ inputs.n }}\" }
";

const HEARS: &str = "
name: hears
domain: simulation
inputs: { n: { type: integer, default: 0 } }
roots: { out: { path: out, access: write } }
steps:
  - { id: heard, wait_for: { signal: go } }
  - id: again
    needs: [heard]
    if: steps.heard.output.payload != \"stop\"
    continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } }
outputs: { n: \"${{ inputs.n }}\" }
";

/// The runs of the log, in the order in which they began.
fn chain(house: &House) -> Vec<RunId> {
    let log = house.log();
    let starts = log.entries().filter(|entry| entry.kind() == Kind::SessionStarted);
    starts.filter_map(|entry| entry.session()).collect()
}

/// Each run of the log replays, and all of it recomputes and is audited without a finding.
fn assert_sound(house: &House) {
    for run in chain(house).into_iter().filter(|run| house.sealed(*run).is_some()) {
        house.assert_replays(run);
        house.assert_decisions_replay(run);
    }
    house.assert_recomputes();
    let mut audit = Audit::new(0);
    house.log().entries().for_each(|entry| audit.entry(entry));
    let audited = audit.finish();
    assert!(audited.findings.is_empty(), "{:?}", audited.findings);
}

fn send(house: &mut House, run: RunId, id: &str, payload: &str) {
    let (payload, from) = (parse(payload).unwrap(), "user:shop".to_owned());
    let signal = Signal { id: id.into(), name: "go".into(), from, payload };
    house.give(Input::Signal { run, sent: Box::new(Sent { signal, subject: None }) });
}

#[test]
fn the_next_run_begins_right_behind_the_seal_of_the_one_before() {
    let mut house = House::new();
    house.start_family(COUNT, &[]);
    for text in ["0", "1", "2"] {
        house.done(text);
    }
    let runs = chain(&house);
    assert_eq!(runs.len(), 3, "the chain ends when the step is skipped");
    let log = house.log();
    for (nth, pair) in runs.windows(2).enumerate() {
        let [before, next] = pair else { continue };
        let seal = house.records(*before).last().unwrap().entry.clone();
        let start = house.records(*next).first().unwrap().entry.clone();
        assert_eq!(start.seq(), seal.seq() + 1);
        assert_eq!((seal.text("status"), next_of(&seal)), (Some("continued"), Some(*next)));
        let count = nth as u64 + 1;
        assert_eq!(Continues::of(&start), Some(Continues { run: *before, count }));
        assert_eq!(start.text("initiator"), Some("user:operator"));
    }
    let (first, last) = (*runs.first().unwrap(), *runs.last().unwrap());
    assert_eq!(house.sealed(first).unwrap().next, runs.get(1).copied());
    assert_eq!(house.sealed(last).unwrap().output.get("n").unwrap().to_string(), "2");
    // Each run had one effect, and a budget of one.
    assert_eq!(log.entries().filter(|entry| entry.kind() == Kind::Receipt).count(), 3);
    assert_sound(&house);
}

#[test]
fn a_crash_at_any_moment_leaves_both_or_neither() {
    for crash in 0..3 {
        let mut house = House::new();
        house.start_family(COUNT, &[]);
        for step in 0..3 {
            if step == crash {
                house.restart();
                let (run, receipt, _) = house.probes.pop_front().unwrap();
                house.give(Input::Probed { run, receipt, found: cog_gate::Found::NotDone });
            }
            house.done("done");
        }
        assert_eq!(chain(&house).len(), 3, "{crash}");
        assert_sound(&house);
    }
}

#[test]
fn an_append_that_fails_leaves_the_run_open_and_it_goes_on_once() {
    let mut house = House::new();
    let run = house.start_family(HEARS, &[]);
    house.hold = true;
    send(&mut house, run, "1", "1");
    // The signal is kept, and then the seal and the next start are not.
    for no_space in [false, true] {
        let (ticket, drafts) = house.held.pop_front().unwrap();
        house.no_space = no_space;
        let input = house.append(ticket, drafts);
        house.give(input);
    }
    assert!(house.held.is_empty());
    house.hold = false;
    assert_eq!(chain(&house), [run]);
    assert_eq!(house.story(run), ["signal"]);
    house.restart();
    assert_eq!(chain(&house).len(), 2);
    assert_sound(&house);
}

#[test]
fn signals_that_no_step_took_go_on_with_the_chain_in_their_order() {
    let mut house = House::new();
    let run = house.start_family(HEARS, &[]);
    house.hold = true;
    for (id, payload) in [("a", "1"), ("b", "2"), ("c", "\"stop\"")] {
        send(&mut house, run, id, payload);
    }
    house.release();
    let runs = chain(&house);
    assert_eq!(runs.len(), 3);
    let last = *runs.last().unwrap();
    assert_eq!(house.sealed(last).unwrap().output.get("n").unwrap().to_string(), "2");
    let of = |run: RunId| house.story(run);
    assert_eq!(of(run), ["signal", "signal", "signal", "session.sealed continued"]);
    assert_eq!(of(last), ["signal", "session.sealed completed"]);
    assert_sound(&house);
}

#[test]
fn a_chain_that_would_spin_fails_and_says_why() {
    let mut house = House::new();
    let spin = "
name: spin
domain: simulation
steps:
  - { id: one, sleep: { ms: 5 } }
  - { id: again, needs: [one], continue_as_new: {} }
";
    let run = house.start_family(spin, &[]);
    house.later(10);
    house.ring();
    assert_eq!(chain(&house), [run]);
    assert_eq!(house.story(run).last().unwrap(), "session.sealed failed");
    let error = house.sealed(run).unwrap().error.clone().unwrap();
    assert!(error.to_string().contains("nothing took place in this run"), "{error}");
    assert_sound(&house);
}

#[test]
fn what_the_next_run_cannot_be_given_fails_the_step_and_its_handler_has_its_say() {
    for (inputs, said) in [
        ("n: nine", "the input `n` is not integer"),
        ("n: \"${{ 9 + 1 }}\"", "not one of"),
        ("who: bob", "another subject"),
    ] {
        let text = format!(
            "
name: bad
domain: simulation
subject: \"${{{{ inputs.who }}}}\"
inputs: {{ n: {{ type: integer, default: 0, enum: [0, 1] }}, who: {{ type: string, default: ada }} }}
roots: {{ out: {{ path: out, access: write }} }}
steps:
  - {{ id: one, uses: file.write, with: {{ root: out, path: a, text: x }} }}
  - id: again
    needs: [one]
    continue_as_new: {{ inputs: {{ {} }} }}
    on_error: continue
outputs: {{ why: \"${{{{ steps.again.error.message }}}}\" }}
",
            inputs.replace("n: nine", "n: \"${{ steps.one.status }}\"")
        );
        let mut house = House::new();
        let run = house.start_family(&text, &[]);
        house.done("x");
        assert_eq!(chain(&house), [run]);
        let why = house.sealed(run).unwrap().output.to_string();
        assert!(why.contains(said), "{why}");
        assert_sound(&house);
    }
}

#[test]
fn who_is_paused_does_not_go_on_and_who_is_cancelled_has_no_next_run() {
    let mut house = House::new();
    let run = house.start_family(COUNT, &[]);
    let who: cog_gate::Actor = "user:ada".parse().unwrap();
    house.give(Input::Pause { run, who: who.clone(), reason: "wait".into() });
    house.done("0");
    assert_eq!(chain(&house), [run]);
    house.restart();
    assert_eq!(chain(&house), [run]);
    house.give(Input::Unpause { run, who, reason: "go".into() });
    let next = *chain(&house).last().unwrap();
    assert_ne!(next, run);
    house.cancel(next);
    house.done("1");
    assert_eq!(house.story(next).last().unwrap(), "session.sealed cancelled");
    assert_eq!(chain(&house).len(), 2);
    assert_sound(&house);
}

#[test]
fn who_is_paused_while_the_next_run_finds_its_place_is_told_to_wait() {
    let mut house = House::new();
    let run = house.start_family(COUNT, &[]);
    let performed = house.next().cleared.done(Value::map([("text", "0")]), Micros::ZERO);
    let mut inputs = vec![Input::Performed(Box::new(performed))];
    let mut place = None;
    while let Some(input) = inputs.pop() {
        for output in house.engine.handle(input).unwrap() {
            match output {
                Output::Append { ticket, drafts } => inputs.push(house.append(ticket, drafts)),
                Output::Place(wanted) => place = Some(wanted),
                Output::Perform { .. }
                | Output::Withdraw { .. }
                | Output::Probe { .. }
                | Output::Arm { .. }
                | Output::Notice(_) => {}
            }
        }
    }
    let place = place.unwrap();
    let who: cog_gate::Actor = "user:ada".parse().unwrap();
    house.give(Input::Pause { run, who: who.clone(), reason: "wait".into() });
    let is_parked = |house: &House| {
        let paused = |what: &What| matches!(what, What::Parked { paused: Some(_), .. });
        house.notices.iter().any(|notice| paused(&notice.what))
    };
    assert!(!is_parked(&house), "somebody finds out where the next run stands");
    let placed = Placed { base: place.base, places: Default::default() };
    house.give(Input::Placed { parent: run, run: place.run, placed: Ok(placed) });
    assert!(is_parked(&house));
    assert_eq!(chain(&house), [run]);
    house.give(Input::Unpause { run, who, reason: "go".into() });
    assert_eq!(chain(&house), [run, place.run]);
    assert_sound(&house);
}

#[test]
fn a_fork_of_a_run_in_a_chain_is_of_that_run_alone() {
    let mut house = House::new();
    let first = house.start_family(COUNT, &[]);
    for text in ["0", "1", "2"] {
        house.done(text);
    }
    let second = chain(&house)[1];
    let fork = house.fork(second, "again", &[("n", "1")]);
    let start = house.records(fork).first().unwrap().entry.clone();
    assert_eq!(Continues::of(&start), None);
    house.done("2");
    let last = *chain(&house).last().unwrap();
    let of = Continues::of(&house.records(last).first().unwrap().entry);
    assert_eq!(of, Some(Continues { run: fork, count: 1 }));
    assert_ne!(first, last);
    assert_sound(&house);
}

#[test]
fn what_is_handed_on_keeps_its_class() {
    let data =
        "\n[data]\nclasses = [\"public\", \"internal\", \"personal\"]\ndefault = \"public\"\n";
    let mut house = House::under(|path, text| match path {
        "canon.toml" => text.replace("\"*\" = {", "out = { class = \"personal\",") + data,
        _ => text.to_owned(),
    });
    let text = "
name: hand
domain: simulation
inputs: { said: { type: string, default: \"\" } }
roots: { out: { path: out, access: write } }
steps:
  - { id: read, if: inputs.said == \"\", uses: file.read, with: { root: out, path: people } }
  - { id: again, needs: [read], if: inputs.said == \"\", continue_as_new: { inputs: { said: \"${{ steps.read.output.text }}\" } } }
";
    let run = house.start_family(text, &[]);
    house.done("Ada");
    let next = *chain(&house).last().unwrap();
    assert_ne!(run, next);
    let start = house.records(next).first().unwrap().entry.clone();
    let class =
        start.data().get("classes").and_then(|all| all.get("said")?.as_text().map(str::to_owned));
    assert_eq!(class.as_deref(), Some("personal"));
    assert_sound(&house);
}

#[test]
fn the_seal_is_told_with_the_run_that_goes_on() {
    let mut house = House::new();
    house.start_family(COUNT, &[]);
    house.done("0");
    let sealed = house.notices.iter().position(|it| matches!(it.what, What::Sealed(_)));
    let began = house.notices.iter().rposition(|it| matches!(it.what, What::Started { .. }));
    assert!(sealed.unwrap() < began.unwrap());
}

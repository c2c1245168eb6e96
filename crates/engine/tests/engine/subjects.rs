//! What is about a person: in bodies under the person's key, and never in an entry.

use cog_ledger::Kind;

use crate::house::House;

/// A choice and a question about Ada, with a plan that is refused and one that is asked for.
const ABOUT_ADA: &str = r#"
  - id: pay
    subject: "person:ada"
    on_refused: continue
    choose:
      goal: Pay Ada Lovelace
      plans:
        - id: outside
          expect: { cost_micros: 1, latency_ms: 1, risk: low }
          steps: [{ id: write, uses: file.write, with: { root: out, path: ada-lovelace, document: { amount_cents: 900, to: Ada Lovelace } } }]
  - id: around
    needs: [pay]
    subject: "person:ada"
    steps:
      - { id: ask, on_refused: continue, approve: { by: ["role:finance"], message: "Is Ada Lovelace right?" } }
"#;

#[test]
fn what_is_about_a_person_goes_with_the_persons_key() {
    let mut house = House::new();
    let run = house.start(ABOUT_ADA);
    house.answer(run, Err("no"));
    house.answer(run, Err("no"));
    let mut kinds = Vec::new();
    for sealed in house.log().entries.iter().filter(|it| it.entry.session() == Some(run)) {
        let entry = &sealed.entry;
        let text = String::from_utf8_lossy(entry.bytes()).to_lowercase();
        assert!(!text.contains("lovelace"), "{text}");
        let Some(body) = &sealed.body else { continue };
        let is_of_the_run = matches!(entry.kind(), Kind::SessionStarted | Kind::SessionSealed);
        let expected = (!is_of_the_run).then_some("person:ada");
        assert_eq!(body.subject.as_deref(), expected, "{text}");
        kinds.push(entry.kind());
    }
    for kind in [Kind::PlanSelected, Kind::ApprovalRequested, Kind::Denial] {
        assert!(kinds.contains(&kind), "{kind} is missing: {kinds:?}");
    }
    house.assert_replays(run);
}

#[test]
fn a_refused_plan_goes_with_the_persons_key() {
    let mut house = House::new();
    let run = house.start(&ABOUT_ADA.replace("amount_cents: 900", "amount_cents: 9000"));
    let log = house.log();
    let denial = log.entries.iter().find(|it| it.entry.kind() == Kind::Denial).unwrap();
    assert!(denial.entry.data().contains_key("selection"), "it is the refusal of a candidate");
    assert_eq!(denial.body.as_ref().unwrap().subject.as_deref(), Some("person:ada"));
    house.answer(run, Err("no"));
    house.assert_replays(run);
}

#[test]
fn an_open_run_needs_what_it_asks_about() {
    let mut house = House::new();
    let run = house.start(ABOUT_ADA);
    let history = cog_engine::replay::replay_run(&house.records(run)).unwrap();
    assert!(history.concerns("person:ada"));
}

/// A run about Ada, which begins another and goes on from a question and an effect.
const RUN_ABOUT_ADA: &str = r#"
name: test
domain: simulation
subject: "person:${{ inputs.who }}"
inputs: { who: { type: string, default: ada } }
roots: { out: { path: out, access: write } }
steps:
  - { id: write, uses: file.write, with: { root: out, path: a, document: { amount_cents: 900, to: Ada } } }
  - { id: ask, needs: [write], approve: { by: ["role:finance"], message: "Is Ada right?" } }
  - id: other
    subject: "person:eve"
    needs: [ask]
    steps: [ { id: part, run: { workflow: part.yaml } }, { id: own, run: { workflow: own.yaml } } ]
outputs: { who: "${{ inputs.who }}" }
"#;
const PART: &str = "
name: part
domain: simulation
steps: [ { id: wait, wait_for: { signal: go } } ]
outputs: { it: Eve }
";
const OWN: &str = "
name: own
domain: simulation
subject: person:bob
steps: [ { id: it, uses: compute, with: { it: Bob } } ]
";

/// The kinds of the bodies of a run, each with whose key it is under.
fn sealed(house: &House, run: cog_base::id::RunId) -> Vec<String> {
    let log = house.log();
    let own = log.entries.iter().filter(|it| it.entry.session() == Some(run));
    let bodies = own.filter_map(|it| Some((it.entry.kind(), it.body.as_ref()?.subject.clone())));
    bodies.map(|(kind, subject)| format!("{kind} {}", subject.unwrap_or_default())).collect()
}

#[test]
fn every_body_of_a_run_is_sealed_under_its_subject() {
    let mut house = House::new();
    let run = house.start_family(RUN_ABOUT_ADA, &[("part.yaml", PART), ("own.yaml", OWN)]);
    house.answer(run, Ok(()));
    house.done("written");
    house.restart();
    house.answer(run, Ok(()));
    house.cancel_by(run, "user:nobody");
    let begun = house.log();
    let begun: Vec<_> = begun
        .entries()
        .filter(|it| it.kind() == Kind::SessionStarted)
        .filter_map(|it| it.session())
        .collect();
    let [_, part, own] = begun.try_into().unwrap();
    let signal = cog_flow::Signal {
        id: "go-1".into(),
        name: "go".into(),
        from: "user:shop".into(),
        payload: "Eve".into(),
    };
    let sent = Box::new(cog_engine::Sent { signal, subject: None });
    house.give(cog_engine::Input::Signal { run: part, sent });
    let ada = sealed(&house, run);
    let theirs = |it: &&String| it.starts_with("child.ended");
    assert_eq!(ada.iter().filter(theirs).count(), 2, "{ada:?}");
    for body in &ada {
        let whose = if theirs(&body) { "person:eve" } else { "person:ada" };
        assert!(body.ends_with(whose), "{ada:?}");
    }
    for kind in ["session.started", "denial", "outcome", "approval.requested", "session.sealed"] {
        assert!(ada.iter().any(|it| it.starts_with(kind)), "{kind}: {ada:?}");
    }
    let eve = ["session.started person:eve", "signal person:eve", "session.sealed person:eve"];
    assert_eq!(sealed(&house, part), eve);
    assert_eq!(sealed(&house, own), ["session.started person:bob", "session.sealed person:bob"]);
    for run in [run, part, own] {
        house.assert_replays(run);
        let history = cog_engine::replay::replay_run(&house.records(run)).unwrap();
        assert!(history.concerns(history.subject().unwrap()));
    }
}

#[test]
fn a_run_that_goes_on_from_another_is_about_whom_its_own_inputs_name() {
    let mut house = House::new();
    let run = house.start_family(RUN_ABOUT_ADA, &[("part.yaml", PART), ("own.yaml", OWN)]);
    house.answer(run, Ok(()));
    house.done("written");
    let fork = house.fork(run, "ask", &[("who", "carl")]);
    assert!(!sealed(&house, fork).is_empty());
    assert!(sealed(&house, fork).iter().all(|it| it.ends_with("person:carl")));
    let history = cog_engine::replay::replay_run(&house.history(fork)).unwrap();
    // It rests on what the other run holds.
    assert!(history.concerns("person:carl") && history.concerns("person:ada"));
}

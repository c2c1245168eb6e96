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

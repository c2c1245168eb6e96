//! A log that its own key signs, and whose entries and records say something else than was decided:
//! recomputing finds it.

use cog_base::json::{Canonical as _, parse};
use cog_base::{Micros, Timestamp, Value};
use cog_engine::Record;
use cog_gate::Intent;
use cog_gate::decision::read_record;
use cog_gate::door::{RECEIPT_LIFE_MS, effect_of};
use cog_ledger::{Entry, Kind};

use crate::house::House;

/// A read, a large payment with the consent of finance, and a choice.
const STEPS: &str = "  - { id: read, uses: file.read, with: { root: out, path: a } }
  - id: pay
    needs: [read]
    uses: file.write
    with: { root: out, path: bill, document: { amount_cents: 900 } }
  - id: pick
    needs: [pay]
    choose:
      goal: write
      plans:
        - id: cheap
          expect: { cost_micros: 1, latency_ms: 1, risk: low }
          steps: [{ id: write, uses: file.write, with: { root: out, path: c, text: x } }]
        - id: dear
          expect: { cost_micros: 9, latency_ms: 1, risk: low }
          steps: [{ id: write, uses: file.write, with: { root: out, path: d, text: x } }]
";

fn honest() -> (House, Vec<Record>) {
    let mut house = House::new();
    let run = house.start_with("budget: { effects: 9 }", STEPS);
    house.done("a");
    house.answer(run, Ok(()));
    house.done("paid");
    house.done("written");
    house.assert_replays(run);
    let records = house.records(run);
    (house, records)
}

/// The record with members of its entry's data or of its body changed.
pub(crate) fn changed(record: &Record, change: impl Fn(&mut Value, &mut Option<Value>)) -> Record {
    let mut entry = parse(std::str::from_utf8(record.entry.bytes()).unwrap()).unwrap();
    let mut body = record.body.clone();
    change(&mut entry, &mut body);
    if let Some(body) = &body
        && let Ok((_, snapshot)) = read_record(body)
    {
        *at(&mut entry, &["data", "snapshot"]) = snapshot.digest().into();
    }
    Record { entry: Entry::parse(&entry.canonical()).unwrap().into(), body }
}

pub(crate) fn at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(value, |value, name| {
        let Value::Map(members) = value else { panic!("{name} is in no object") };
        members.get_mut(name).unwrap()
    })
}

pub(crate) fn remove(value: &mut Value, path: &[&str], name: &str) {
    let Value::Map(members) = at(value, path) else { panic!("it is no object") };
    members.remove(name);
}

/// The codes that come out when the last record of a kind is another.
fn codes(
    kind: Kind,
    nth: usize,
    change: impl Fn(&mut Value, &mut Option<Value>),
) -> Vec<&'static str> {
    let (house, mut records) = honest();
    let of_kind = records.iter().enumerate().filter(|(_, it)| it.entry.kind() == kind);
    let place = of_kind.map(|(place, _)| place).nth(nth).unwrap();
    let record = records.get_mut(place).unwrap();
    *record = changed(record, change);
    found(&house, &records)
}

pub(crate) fn found(house: &House, records: &[Record]) -> Vec<&'static str> {
    let recomputed = house.recomputed(records);
    let codes = recomputed.findings.kept().iter().map(|finding| finding.code);
    // What the change does to the rest of the run is told as well.
    codes.filter(|code| *code != "run.differs").collect()
}

#[test]
fn an_honest_run_comes_out_as_it_is_recorded() {
    let (house, records) = honest();
    let recomputed = house.recomputed(&records);
    assert!(recomputed.findings.is_empty(), "{:?}", recomputed.findings.kept());
    // Three receipts, a request for approval and a selection.
    assert_eq!((recomputed.decisions, recomputed.recomputed, recomputed.differ), (5, 5, 0));
    assert_eq!((recomputed.followed, recomputed.not_followed), (1, 0));
}

#[test]
fn a_payment_whose_consent_was_taken_out_is_found() {
    let (house, records) = honest();
    let consent = [Kind::ApprovalRequested, Kind::ApprovalGranted];
    let forge = |with_record: bool| -> Vec<Record> {
        let kept = records.iter().filter(|it| !consent.contains(&it.entry.kind()));
        let without = |record: &Record| {
            changed(record, |entry, body| {
                if entry.at(&["data", "approvals"]).is_some_and(|it| *it != Value::List(vec![])) {
                    *at(entry, &["data", "approvals"]) = Value::List(vec![]);
                    let body = body.as_mut().filter(|_| with_record);
                    body.into_iter().for_each(|body| remove(body, &["snapshot"], "approvals"));
                }
            })
        };
        kept.map(without).collect()
    };
    // The entry alone, and the record beside it, too.
    assert_eq!(found(&house, &forge(false)), ["decision.entry", "decision.consent"]);
    assert_eq!(found(&house, &forge(true)), ["decision.differs", "decision.entry"]);
}

#[test]
fn a_consent_by_somebody_who_is_not_of_the_role_is_found() {
    let by_ada =
        codes(Kind::ApprovalGranted, 0, |entry, _| *at(entry, &["actor"]) = "user:ada".into());
    assert_eq!(by_ada, ["approval.not_entitled", "decision.consent"]);
}

#[test]
fn counts_that_are_too_low_and_other_bounds_are_found() {
    let none = |_: &mut Value, body: &mut Option<Value>| {
        *at(body.as_mut().unwrap(), &["snapshot", "effects", "used"]) = 0_u64.into();
    };
    assert_eq!(codes(Kind::Receipt, 1, none), ["decision.differs", "decision.counts"]);
    let read_only = |_: &mut Value, body: &mut Option<Value>| {
        *at(body.as_mut().unwrap(), &["snapshot", "roots", "out"]) = "read".into();
    };
    assert_eq!(codes(Kind::Receipt, 0, read_only), ["decision.bounds"]);
}

#[test]
fn an_entry_that_says_another_thing_than_its_record_is_found() {
    for (name, said) in [("action", "file.delete"), ("resource", "Root::\"in\""), ("step", "pay.x")]
    {
        let other = |entry: &mut Value, _: &mut Option<Value>| {
            *at(entry, &["data", name]) = said.into();
        };
        assert_eq!(codes(Kind::Receipt, 0, other), ["decision.entry"], "{name}");
    }
    let other_rule = |entry: &mut Value, _: &mut Option<Value>| {
        *at(entry, &["data", "rules"]) = Value::list(["sim.write-small"]);
    };
    assert_eq!(codes(Kind::Receipt, 1, other_rule), ["decision.entry"]);
}

#[test]
fn a_plan_that_is_not_the_best_and_a_score_that_is_none_are_found() {
    let dear = |entry: &mut Value, _: &mut Option<Value>| {
        *at(entry, &["data", "chosen"]) = "dear".into();
    };
    assert_eq!(codes(Kind::PlanSelected, 0, dear), ["plan.differs"]);
    let cheaper = |_: &mut Value, body: &mut Option<Value>| {
        let Value::List(candidates) = at(body.as_mut().unwrap(), &["candidates"]) else { panic!() };
        *at(&mut candidates[1], &["score", "total_micros"]) = 0_u64.into();
    };
    assert_eq!(codes(Kind::PlanSelected, 0, cheaper), ["plan.differs"]);
}

/// The record of another risk or cost than canon and arguments come to, with all digests set right.
#[test]
fn a_risk_and_a_cost_that_nobody_comes_to_are_found() {
    for (cost, risk) in [(0, "none"), (7, "medium")] {
        let forged = |entry: &mut Value, body: &mut Option<Value>| {
            let body = body.as_mut().unwrap();
            let (intent, _) = read_record(body).unwrap();
            let effect = effect_of(&intent).unwrap();
            let (origin, actor) = (intent.origin().clone(), intent.actor().clone());
            let cost = Micros::new(cost);
            let intent = Intent::new(&origin, intent.step(), actor, &effect, cost, risk);
            let text = String::from_utf8(intent.canonical()).unwrap();
            *at(body, &["intent"]) = parse(&text).unwrap();
            *at(entry, &["data", "intent"]) = intent.digest().into();
            *at(entry, &["data", "reserve_micros"]) = cost.into();
        };
        let codes = codes(Kind::Receipt, 0, forged);
        assert!(codes.contains(&"decision.intent"), "{risk}: {codes:?}");
    }
}

#[test]
fn a_decision_of_another_time_is_found() {
    for time in ["2001-01-01T00:00:00.000000Z", "2090-01-01T00:00:00.000000Z"] {
        let other = |_: &mut Value, body: &mut Option<Value>| {
            *at(body.as_mut().unwrap(), &["snapshot", "now"]) = time.into();
        };
        let codes = codes(Kind::Receipt, 0, other);
        assert!(codes.contains(&"decision.time"), "{time}: {codes:?}");
    }
    // A receipt that says what its record does, before there was a log.
    let early = |entry: &mut Value, body: &mut Option<Value>| {
        *at(body.as_mut().unwrap(), &["snapshot", "now"]) = "2001-01-01T00:00:00.000000Z".into();
        *at(entry, &["data", "expires"]) = "2001-01-01T00:15:00.000000Z".into();
    };
    let (house, mut records) = honest();
    let place = records.iter().position(|it| it.entry.kind() == Kind::Receipt).unwrap();
    records[place] = changed(&records[place], early);
    let genesis = house.log().entries().next().unwrap().clone();
    records.insert(0, Record { entry: genesis, body: None });
    assert!(found(&house, &records).contains(&"decision.time"));
}

/// A receipt and its record that say together that it was decided earlier or later than it was.
#[test]
fn a_decision_is_not_dated_before_what_it_rests_on_or_after_its_entry() {
    let (house, records) = honest();
    let dated = |nth: usize, from: usize, ms: i64| {
        let mut records = records.clone();
        let of = |kind| {
            let of_kind = records.iter().enumerate().filter(move |(_, it)| it.entry.kind() == kind);
            of_kind.map(|(place, _)| place).collect::<Vec<_>>()
        };
        let (place, from) = (of(Kind::Receipt)[nth], records[from].entry.at());
        let now = Timestamp::from_micros(from.micros() + 1_000 * ms);
        records[place] = changed(&records[place], |entry, body| {
            *at(body.as_mut().unwrap(), &["snapshot", "now"]) = now.to_string().into();
            *at(entry, &["data", "expires"]) = now.plus_ms(RECEIPT_LIFE_MS).to_string().into();
        });
        found(&house, &records).contains(&"decision.time")
    };
    let first = |kind| records.iter().position(|it| it.entry.kind() == kind).unwrap();
    let receipts: Vec<_> =
        (0..records.len()).filter(|place| records[*place].entry.kind() == Kind::Receipt).collect();
    // The second has the consent of people, the third comes after the second is over.
    for (nth, before) in [(1, first(Kind::ApprovalGranted)), (2, receipts[1])] {
        assert!(!dated(nth, before, -5_000), "{nth}");
        assert!(dated(nth, before, -5_001), "{nth}");
    }
    assert!(!dated(2, receipts[2], 60_000));
    assert!(dated(2, receipts[2], 60_001));
}

/// What a run came to, and what it asked, are what its definition says.
fn differs(house: &House, records: &[Record]) -> Vec<String> {
    let recomputed = house.recomputed(records);
    let kept = recomputed.findings.kept().iter().filter(|found| found.code == "run.differs");
    kept.map(|found| found.message.clone()).collect()
}

#[test]
fn outputs_goals_and_questions_that_are_not_of_the_definition_are_found() {
    let mut house = House::new();
    let steps = "  - { id: ask, approve: { by: [\"role:finance\"], message: \"Pay 5?\" } }
  - id: pick
    needs: [ask]
    choose:
      goal: write
      plans:
        - id: only
          expect: { cost_micros: 1, latency_ms: 1, risk: low }
          steps: [{ id: write, uses: file.write, with: { root: out, path: c, text: x } }]
";
    let run = house.start_with("outputs: { paid: 5 }", steps);
    house.answer(run, Ok(()));
    house.done("written");
    let honest = house.records(run);
    assert_eq!(differs(&house, &honest), Vec::<String>::new());
    let forge = |kind: Kind, change: &dyn Fn(&mut Value, &mut Option<Value>)| {
        let change = |record: &Record| match record.entry.kind() == kind {
            true => changed(record, change),
            false => record.clone(),
        };
        let forged: Vec<Record> = honest.iter().map(change).collect();
        differs(&house, &forged).join("; ")
    };
    let output = |_: &mut Value, body: &mut Option<Value>| {
        *at(body.as_mut().unwrap(), &["output", "paid"]) = 9_u64.into();
    };
    assert!(forge(Kind::SessionSealed, &output).contains("outputs or error are others"));
    let goal = |_: &mut Value, body: &mut Option<Value>| {
        *at(body.as_mut().unwrap(), &["goal"]) = "another".into();
    };
    assert!(forge(Kind::PlanSelected, &goal).contains("has another goal"));
    let asked = "asks other people, or another question";
    let people = |entry: &mut Value, _: &mut Option<Value>| {
        *at(entry, &["data", "need", "of"]) = Value::list(["user:intern"]);
    };
    assert!(forge(Kind::ApprovalRequested, &people).contains(asked));
    let question = |entry: &mut Value, _: &mut Option<Value>| {
        *at(entry, &["data", "effect"]) = cog_base::Digest::of(&[b"Lunch?"]).into();
    };
    assert!(forge(Kind::ApprovalRequested, &question).contains(asked));
}

#[test]
fn what_is_not_here_is_counted_and_not_accused() {
    let (house, mut records) = honest();
    for record in &mut records {
        if matches!(record.entry.kind(), Kind::Receipt | Kind::PlanSelected) {
            record.body = None;
        }
    }
    let recomputed = house.recomputed(&records);
    assert!(recomputed.findings.is_empty(), "{:?}", recomputed.findings.kept());
    assert_eq!((recomputed.decisions, recomputed.recomputed), (5, 1));
    assert_eq!((recomputed.followed, recomputed.not_followed), (0, 1));
}

/// A domain that moves at most 900 a day, and has done so.
fn bounded() -> (House, Vec<Record>) {
    let mut house = House::under(|path, text| match path {
        "canon.toml" => {
            format!("{text}\n[envelope.per_day]\namount_max = 900\nresources_max = 9\n")
        }
        "policies/simulation.cedar" => text.replace(
            "@id(\"sim.write-small\")",
            "@id(\"sim.write-small\") @limit(\"9 per month\")",
        ),
        _ => text.to_owned(),
    });
    for name in ["a", "b"] {
        house.start(&format!(
            "  - {{ id: pay, uses: file.write, with: {{ root: out, path: {name}, document: {{ amount_cents: 450 }} }} }}"
        ));
        house.done("paid");
    }
    let records = house.everything();
    (house, records)
}

#[test]
fn a_count_of_a_period_that_is_too_low_is_found() {
    let forged = |change: &dyn Fn(&mut Value, &mut Value)| {
        let (house, mut records) = bounded();
        assert!(house.recomputed(&records).findings.is_empty());
        let last = records.iter_mut().rfind(|it| it.entry.kind() == Kind::Receipt).unwrap();
        *last = changed(last, |entry, body| change(entry, body.as_mut().unwrap()));
        found(&house, &records)
    };
    let snapshot = |path: [&'static str; 2], said: u64| {
        move |_: &mut Value, body: &mut Value| {
            *at(body, &["snapshot", "periods", path[0], path[1]]) = said.into();
        }
    };
    for path in [["day", "amount"], ["day", "effects"], ["day", "resources"], ["month", "effects"]]
    {
        assert_eq!(forged(&snapshot(path, 0)), ["decision.period"], "{path:?}");
    }
    let other_day = |_: &mut Value, body: &mut Value| {
        *at(body, &["snapshot", "periods", "day", "start"]) = "2026-11-25T00:00:00.000000Z".into();
    };
    assert_eq!(forged(&other_day), ["decision.period"]);
    let of_policy = |_: &mut Value, body: &mut Value| {
        remove(body, &["snapshot", "periods", "month"], "receipts_by_policy");
    };
    assert_eq!(forged(&of_policy), ["decision.period"]);
    let silent = |_: &mut Value, body: &mut Value| remove(body, &["snapshot"], "periods");
    // Of each period that the canon counts in.
    let all = ["decision.differs", "decision.entry"].into_iter().chain(["decision.period"; 3]);
    assert_eq!(forged(&silent), all.collect::<Vec<_>>());
    // What the receipt itself counts.
    let less = |entry: &mut Value, _: &mut Value| {
        *at(entry, &["data", "counts", "amount"]) = 1_u64.into();
    };
    assert_eq!(forged(&less), ["decision.period"]);
    let nothing = |entry: &mut Value, _: &mut Value| remove(entry, &["data"], "counts");
    assert_eq!(forged(&nothing), ["decision.period"]);
}

#[test]
fn of_a_log_that_begins_within_a_period_that_is_said_and_nobody_accused() {
    let (house, records) = bounded();
    let second = records.iter().position(|it| it.entry.session() != records[0].entry.session());
    let recomputed = house.recomputed(records.get(second.unwrap()..).unwrap());
    assert!(recomputed.findings.is_empty(), "{:?}", recomputed.findings.kept());
    assert_eq!(recomputed.partial, 1);
}

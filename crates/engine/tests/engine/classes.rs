//! A log that says of its data that it is of a lower class than it is: recomputing finds it.

use cog_base::Value;
use cog_engine::Record;
use cog_ledger::Kind;

use crate::house::House;
use crate::recomputed::{at, changed, found, remove};

const DATA: &str = "\n[data]\nclasses = [\"public\", \"internal\", \"personal\"]\n\
                    default = \"public\"\n";
const SUB: &str = "
name: sub
domain: simulation
inputs: { text: { type: string } }
roots: { out: { path: out, access: write } }
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: \"${{ inputs.text }}\" } }
outputs: { said: \"hello ${{ inputs.text }}\" }
";
const MAIN: &str = "
name: main
domain: simulation
roots: { out: { path: out, access: write } }
steps:
  - { id: read, uses: file.read, with: { root: out, path: people } }
  - { id: sub, needs: [read], run: { workflow: ./sub.yaml, inputs: { text: \"${{ steps.read.output.text }}\" } } }
  - { id: last, needs: [sub], uses: file.write, with: { root: out, path: last, text: \"${{ steps.sub.output.said }}\" } }
";

fn honest() -> (House, Vec<Record>) {
    let mut house = House::under(|path, text| match path {
        "canon.toml" => text.replace("\"*\" = {", "out = { class = \"personal\",") + DATA,
        "policies/simulation.cedar" => {
            text.replace("@id(\"sim.post\")", "@id(\"sim.post\") @declassify(\"public\")")
        }
        _ => text.to_owned(),
    });
    house.start_family(MAIN, &[("./sub.yaml", SUB)]);
    for text in ["Ada", "one", "last"] {
        house.done(text);
    }
    house.assert_recomputes();
    let records = house.everything();
    (house, records)
}

/// The codes that come out when the entries of a kind that `which` picks are others.
fn codes(
    which: impl Fn(&Record) -> bool,
    change: impl Fn(&mut Value, &mut Option<Value>),
) -> Vec<&'static str> {
    let (house, records) = honest();
    let mut changes = 0;
    let records: Vec<Record> = records
        .iter()
        .map(|record| {
            if !which(record) {
                return record.clone();
            }
            changes += 1;
            changed(record, &change)
        })
        .collect();
    assert_eq!(changes, 1);
    found(&house, &records)
}

fn at_step<'s>(kind: Kind, step: &'s str) -> impl Fn(&Record) -> bool + 's {
    move |record| record.entry.kind() == kind && record.entry.text("step") == Some(step)
}

#[test]
fn what_runs_hand_over_is_told_with_its_class() {
    let (_, records) = honest();
    let begun = records.iter().find(|it| it.entry.kind() == Kind::ChildStarted).unwrap();
    let classes = begun.entry.data().get("classes").unwrap().to_string();
    assert_eq!(classes, r#"{"text":"personal"}"#);
    let ended = records.iter().find(|it| it.entry.kind() == Kind::ChildEnded).unwrap();
    assert_eq!(ended.body.as_ref().unwrap().get("class").unwrap().as_text(), Some("personal"));
    let last = records.iter().find(|it| at_step(Kind::Receipt, "last")(it)).unwrap();
    assert_eq!(last.entry.text("data_class"), Some("personal"));
    let from = last.body.as_ref().unwrap().at(&["intent", "data_from"]).unwrap().to_string();
    assert_eq!(from, r#"{"labelled:personal":"sub","root:out":"read"}"#);
}

#[test]
fn a_class_that_is_too_low_is_found() {
    let lower = |entry: &mut Value, body: &mut Option<Value>| {
        *at(entry, &["data", "data_class"]) = "public".into();
        let body = body.as_mut().unwrap();
        *at(body, &["intent", "context", "data_class"]) = "public".into();
        *at(body, &["intent", "data_class"]) = "public".into();
    };
    assert_eq!(codes(at_step(Kind::Receipt, "last"), lower), ["decision.record"]);
    let entry = |entry: &mut Value, _: &mut Option<Value>| {
        *at(entry, &["data", "data_class"]) = "public".into();
    };
    assert_eq!(codes(at_step(Kind::Receipt, "last"), entry), ["decision.entry"]);
    let lowered = |entry: &mut Value, _: &mut Option<Value>| {
        let Value::Map(data) = at(entry, &["data"]) else { panic!() };
        data.insert("declassify".into(), "public".into());
    };
    assert_eq!(codes(at_step(Kind::Receipt, "read"), lowered), ["decision.entry"]);
}

#[test]
fn data_that_is_said_to_come_from_elsewhere_does_not_follow_from_the_definition() {
    let (house, records) = honest();
    let forge = |record: &Record| {
        if !at_step(Kind::Receipt, "last")(record) {
            return record.clone();
        }
        changed(record, |_, body| {
            let from = at(body.as_mut().unwrap(), &["intent", "data_from"]);
            *from = Value::map([("labelled:personal", "sub")]);
        })
    };
    let forged: Vec<Record> = records.iter().map(forge).collect();
    let recomputed = house.recomputed(&forged);
    let said: Vec<_> = recomputed.findings.kept().iter().map(|it| it.message.as_str()).collect();
    assert!(said[0].contains("its data came from something else by the definition"), "{said:?}");
}

#[test]
fn a_class_between_runs_that_no_canon_gives_is_found() {
    let begun = |entry: &mut Value, _: &mut Option<Value>| {
        *at(entry, &["data", "classes", "text"]) = "public".into();
    };
    assert!(codes(at_step(Kind::ChildStarted, "sub"), begun).contains(&"data.class"));
    let none = |entry: &mut Value, _: &mut Option<Value>| remove(entry, &["data"], "classes");
    assert!(codes(at_step(Kind::ChildStarted, "sub"), none).contains(&"data.class"));
    let ended = |_: &mut Value, body: &mut Option<Value>| {
        *at(body.as_mut().unwrap(), &["class"]) = "public".into();
    };
    assert!(codes(at_step(Kind::ChildEnded, "sub"), ended).contains(&"data.class"));
}

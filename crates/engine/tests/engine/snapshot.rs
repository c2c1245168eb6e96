//! The state of a run at its entries.

use cog_base::Value;
use cog_engine::Record;
use cog_engine::snapshot::{NoSnapshot, Snapshot};

use crate::house::House;

const STEPS: &str = "
  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: nap, needs: [a], sleep: { ms: 100 } }
  - { id: go, needs: [a], wait_for: { signal: go } }
  - { id: b, needs: [nap], uses: file.write, with: { root: out, path: b, text: \"${{ steps.a.output.text }}\" } }
  - { id: c, needs: [a], if: \"steps.a.output.text == 'else'\", uses: file.write, with: { root: out, path: c, text: x } }
";

fn steps(snapshot: &Snapshot) -> Vec<(String, String)> {
    let text = |step: &Value, name| step.get(name).unwrap().as_text().unwrap().to_owned();
    let steps = snapshot.state().get("steps").unwrap().as_list().unwrap();
    steps.iter().map(|step| (text(step, "step"), text(step, "status"))).collect()
}

fn said(snapshot: &Snapshot, path: &[&str]) -> String {
    snapshot.state().at(path).unwrap_or(&Value::Null).to_string()
}

/// The state behind each entry of a run.
fn all(records: &[Record]) -> Vec<Snapshot> {
    let seqs = records.iter().map(|record| record.entry.seq());
    seqs.map(|seq| Snapshot::of(records, seq).unwrap()).collect()
}

#[test]
fn the_state_behind_each_entry_is_what_the_entries_up_to_there_come_to() {
    let mut house = House::new();
    let run = house.start(STEPS);
    house.done("one");
    house.later(100);
    house.ring();
    let records = house.records(run);
    let kinds: Vec<_> = records.iter().map(|record| record.entry.kind().as_str()).collect();
    assert_eq!(kinds, ["session.started", "receipt", "outcome", "evidence", "receipt"]);
    let all = all(&records);
    let status = |at: usize| {
        let steps: Vec<_> = steps(&all[at]).into_iter().map(|(_, status)| status).collect();
        steps.join(" ")
    };
    assert_eq!(status(0), "running waiting waiting waiting waiting");
    assert_eq!(status(2), "completed running parked waiting skipped");
    assert_eq!(status(4), "completed completed parked running skipped");
    assert_eq!(said(&all[0], &["open", "effects"]).matches("\"state\":\"wanted\"").count(), 1);
    assert_eq!(said(&all[1], &["open", "effects"]).matches("\"state\":\"receipt\"").count(), 1);
    assert!(said(&all[4], &["open", "effects"]).contains("\"text\":\"one\""));
    assert!(said(&all[2], &["open", "timers"]).contains("\"step\":\"nap\""));
    assert_eq!(said(&all[4], &["open", "timers"]), "[]");
    assert!(said(&all[2], &["open", "waits_for"]).contains("\"signal\":\"go\""));
    assert_eq!(said(&all[4], &["sums", "receipts"]), "2");
    // What comes behind changes nothing, and another place is another state.
    for (at, snapshot) in all.iter().enumerate() {
        let seq = records[at].entry.seq();
        assert_eq!(Snapshot::of(&records[..=at], seq).unwrap().digest(), snapshot.digest());
        assert!(all[..at].iter().all(|before| before.digest() != snapshot.digest()));
    }
    house.done("two");
    let more = house.records(run);
    assert_eq!(Snapshot::of(&more, records[2].entry.seq()).as_ref(), Ok(&all[2]));
}

#[test]
fn a_number_that_is_no_entry_of_the_run_is_told_with_one_that_is() {
    let mut house = House::new();
    let one =
        house.start("\n  - { id: a, uses: file.write, with: { root: out, path: a, text: x } }\n");
    let two =
        house.start("\n  - { id: a, uses: file.write, with: { root: out, path: b, text: x } }\n");
    house.done("one");
    house.done("two");
    let records = house.records(one);
    let (first, last) = (records[0].entry.seq(), records.last().unwrap().entry.seq());
    let other = house.records(two)[0].entry.seq();
    let outside = |at, before| Err(NoSnapshot::Outside { at, first, last, before });
    assert_eq!(Snapshot::of(&records, 0), outside(0, None));
    assert_eq!(Snapshot::of(&records, 999), outside(999, Some(last)));
    let Err(NoSnapshot::Outside { before: Some(before), .. }) = Snapshot::of(&records, other)
    else {
        panic!("{other} is an entry of the other run");
    };
    assert!(before < other && records.iter().any(|record| record.entry.seq() == before));
    // Without a body that it takes there is none from there on.
    let mut records = records;
    let outcome =
        records.iter().position(|it| it.entry.kind() == cog_ledger::Kind::Outcome).unwrap();
    records[outcome].body = None;
    assert!(Snapshot::of(&records, records[outcome - 1].entry.seq()).is_ok());
    let gone = Snapshot::of(&records, records[outcome].entry.seq());
    assert!(matches!(gone, Err(NoSnapshot::Broken { .. })), "{gone:?}");
}

#[test]
fn a_run_that_goes_on_from_another_shows_what_it_took_over() {
    let mut house = House::new();
    let parent = house.start(STEPS);
    house.done("one");
    let run = house.fork(parent, "nap", &[]);
    let records = house.history(run);
    let first = house.records(run)[0].entry.seq();
    let snapshot = Snapshot::of(&records, first).unwrap();
    assert_eq!(said(&snapshot, &["run"]), format!("\"{run}\""));
    assert_eq!(said(&snapshot, &["goes_on_from", "run"]), format!("\"{parent}\""));
    assert_eq!(steps(&snapshot)[0], ("a".to_owned(), "completed".to_owned()));
    let theirs = records[0].entry.seq();
    assert!(matches!(Snapshot::of(&records, theirs), Err(NoSnapshot::Outside { .. })));
}

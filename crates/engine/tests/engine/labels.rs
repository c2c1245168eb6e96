//! What runs are found by, from their files and from who starts them.

use cog_base::id::RunId;
use cog_base::json::Map;
use cog_engine::start::labels_in;
use cog_flow::SearchLabels;
use cog_ledger::Kind;

use crate::house::House;

const STEPS: &str = "  - { id: a, uses: file.write, with: { root: out, path: a, text: b } }\n";
const HEAD: &str = "inputs: { who: { type: string, default: ada } }
labels: { customer: \"${{ inputs.who }}\", team: red }
concurrency: { key: all, limit: 9 }";

fn labels<const N: usize>(all: [(&str, &str); N]) -> SearchLabels {
    all.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

/// What the entries of a kind say that a run is found by.
fn said(house: &House, run: RunId, kind: Kind) -> SearchLabels {
    let id = run.to_string();
    let is_its = |entry: &cog_ledger::Entry| {
        entry.kind() == kind && (entry.session() == Some(run) || entry.id() == Some(&id))
    };
    labels_in(house.record_of(is_its).entry.data())
}

#[test]
fn what_asks_for_a_run_and_what_begins_it_say_what_the_file_says_and_who_starts_it() {
    let mut house = House::new();
    house.labels = labels([("order", "1029")]);
    let run = house.start_with(HEAD, STEPS);
    let all = labels([("customer", "ada"), ("order", "1029"), ("team", "red")]);
    for kind in [Kind::SessionQueued, Kind::SessionStarted] {
        assert_eq!(said(&house, run, kind), all, "{kind}");
    }
    house.labels.clear();
    let plain = house.start(STEPS);
    let start = house.records(plain)[0].entry.clone();
    assert!(!start.data().contains_key("labels"));
}

#[test]
fn a_run_that_goes_on_from_another_is_found_by_what_that_one_was_and_its_own_inputs() {
    let mut house = House::new();
    house.labels = labels([("order", "1029")]);
    let run = house.start_with(HEAD, STEPS);
    house.done("written");
    let fork = house.fork(run, "a", &[("who", "eve")]);
    let all = labels([("customer", "eve"), ("order", "1029"), ("team", "red")]);
    assert_eq!(said(&house, fork, Kind::SessionStarted), all);
    assert_eq!(said(&house, fork, Kind::SessionQueued), all);
}

#[test]
fn a_label_that_no_entry_could_have_is_refused_and_so_is_one_that_the_file_says_otherwise() {
    let long = "x".repeat(129);
    let table = [
        ("team", "blue", "the workflow file says that the label `team` is `red`"),
        ("Team", "blue", "`Team` names no label"),
        ("order", "", "must have 1 to 128 bytes"),
        ("order", "a\nb", "all on one line"),
        ("order", &long, "must have 1 to 128 bytes"),
    ];
    let source = format!(
        "name: x\ndomain: d\n{HEAD}\nroots: {{ out: {{ path: out, access: write }} }}\nsteps:\n{STEPS}"
    );
    let flow = cog_flow::parse(&source, "x.yaml").unwrap();
    let inputs = flow.bind(&Default::default()).unwrap();
    for (name, text, expected) in table {
        let error = flow.labelled(&inputs, &labels([(name, text)])).unwrap_err();
        assert!(error.contains(expected), "{name}={text}: {error}");
    }
    assert!(flow.labelled(&inputs, &labels([("team", "red")])).is_ok());
    let many = (0..15).map(|at| (format!("l{at}"), "x".to_owned())).collect();
    assert!(flow.labelled(&inputs, &many).unwrap_err().contains("at most 16 labels"));
    let who = |text: &str| Map::from([("who".to_owned(), text.into())]);
    assert!(flow.bind_values(&who(&long)).unwrap_err().to_string().contains("1 to 128 bytes"));
}

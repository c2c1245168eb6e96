//! `run --key`: of a key there is one run in a folder, however often it is asked for.

use std::time::Duration;

use cog_base::Digest;
use cog_base::entropy::SeededEntropy;
use cog_base::id::{MailId, RunId, Uuid};
use cog_store::{Mail, Posted, RequestKey, Shared as _, Store as _};
use cog_store_sqlite::{Mode, SqliteStore};

use crate::forks::permitted;
use crate::program::{Folder, text};

const FLOW: &str = r#"
name: orders
domain: forks
inputs: { order: { type: string }, fails: { type: boolean, default: false } }
roots: { out: { path: ./out, access: write, create: true } }
steps:
  - { id: a, uses: file.write, with: { root: out, path: "a-${{ inputs.order }}", mode: create, text: one } }
  - { id: nap, needs: [a], sleep: { ms: 60 } }
  - { id: b, needs: [nap], uses: file.write, with: { root: out, path: "b-${{ inputs.order }}", mode: create, text: two } }
  - { id: no, needs: [b], if: inputs.fails, uses: file.write, with: { root: out, path: "a-${{ inputs.order }}", mode: create, text: one } }
outputs: { order: "order ${{ inputs.order }}" }
"#;

fn folder(name: &str) -> Folder {
    let folder = permitted(name);
    folder.write("workflow.yaml", FLOW);
    folder
}

/// The ids of all runs that began, in their order.
fn began(folder: &Folder) -> Vec<String> {
    let started = folder.entries("session.started");
    started.iter().map(|entry| text(entry, &["session"]).to_owned()).collect()
}

fn size(folder: &Folder) -> usize {
    folder.cog(&["ledger", "list", "--json", "--limit", "1000"]).ends(0).jsons().len()
}

#[test]
fn the_same_request_is_the_same_run_and_another_a_conflict() {
    let folder = folder("keyed");
    let ask = |more: &[&str]| {
        folder.cog(&[&["run", "workflow.yaml", "--key", "Order of Mrs Smith"], more].concat())
    };
    let run = ask(&["--input", "order=1"]).ends(0).says(&["completed"]).id("run");
    let entries = size(&folder);
    let again = ask(&["--input", "order=1"]).ends(0);
    again.says(&["was asked for before", &run, "completed", "order: order 1"]);
    let told = ask(&["--input", "order=1", "--json"]).ends(0).jsons();
    let sealed = told.iter().find(|told| text(told, &["event"]) == "sealed").unwrap();
    assert_eq!(text(sealed, &["output", "order"]), "order 1", "{sealed}");

    for other in [
        &["--input", "order=2"][..],
        &["--input", "order=1", "--label", "team=red"],
        &["--input", "order=1", "--priority", "9"],
        &["--input", "order=1", "--as", "user:eve"],
        &["--input", "order=1", "--environment", "test"],
        &["--input", "order=1", "--not-before", "2d"],
    ] {
        let said = ["something else was asked for as `Order of Mrs Smith`", &run, "another --key"];
        ask(other).ends(7).says(&said);
    }
    folder.write("workflow.yaml", &FLOW.replace("two", "three"));
    ask(&["--input", "order=1"]).ends(7).says(&["something else was asked for"]);
    folder.write("workflow.yaml", FLOW);
    assert_eq!(size(&folder), entries, "nothing was written");
    assert_eq!(began(&folder), [run.as_str()]);

    // Another key, and none, is another run; the name itself stands nowhere.
    folder.cog(&["run", "workflow.yaml", "--key", "b", "--input", "order=3"]).ends(0);
    folder.cog(&["run", "workflow.yaml", "--input", "order=4"]).ends(0);
    assert_eq!(began(&folder).len(), 3);
    let list = folder.cog(&["ledger", "list", "--json", "--limit", "1000"]).ends(0);
    assert!(!list.out.contains("Smith"), "{list}");
    folder.cog(&["why", &run]).ends(0).says(&["asked for under a key"]);
    folder.cog(&["run", "--resume", &run, "--key", "c"]).ends(2);
    folder.holds();
}

#[test]
fn a_run_that_failed_fails_again_and_one_that_waits_goes_on() {
    let folder = folder("keyed-waits");
    let fails =
        ["run", "workflow.yaml", "--key", "f", "--input", "order=1", "--input", "fails=true"];
    let failed = folder.cog(&fails).ends(1).says(&["failed"]).id("run");
    folder.cog(&fails).ends(1).says(&["failed", &failed]);
    assert_eq!(began(&folder), [failed.as_str()]);

    let waits = "  - { id: go, needs: [b], wait_for: { signal: go } }\noutputs:";
    folder.write("workflow.yaml", &FLOW.replace("outputs:", waits));
    let asks = ["run", "workflow.yaml", "--key", "w", "--input", "order=2"];
    let run = folder.cog(&asks).ends(8).says(&["waiting for a signal"]).id("run");
    folder.cog(&asks).ends(8).says(&["was asked for before", &run, "waiting for a signal"]);
    folder.cog(&["signal", &run, "go"]).ends(0);
    folder.cog(&asks).ends(0).says(&["completed", &run]);
    folder.cog(&asks).ends(0).says(&["completed", &run]);
    assert_eq!(began(&folder).len(), 2);
    folder.holds();
}

#[test]
fn a_run_that_waits_for_its_turn_is_the_one_of_its_key() {
    let folder = folder("keyed-queued");
    let ask = |key: &str| {
        folder.cog(&[
            "run",
            "workflow.yaml",
            "--key",
            key,
            "--input",
            "order=1",
            "--not-before",
            "1s",
        ])
    };
    let run = ask("q").ends(8).says(&["queued"]).id("run");
    let other = ["run", "workflow.yaml", "--key", "q", "--input", "order=2", "--not-before", "1s"];
    folder.cog(&other).ends(7).says(&["something else was asked for", &run]);
    let mut ended = ask("q");
    while ended.code == 8 {
        ended = ask("q").says(&["was asked for before", &run]);
    }
    ended.ends(0).says(&["completed"]);
    assert_eq!(folder.entries("session.queued").len(), 1);
    assert_eq!(began(&folder), [run.as_str()]);

    // One that was withdrawn does not begin, whoever asks.
    let late = ["run", "workflow.yaml", "--key", "l", "--input", "order=5", "--not-before", "2d"];
    let run = folder.cog(&late).ends(8).id("run");
    folder.cog(&["run", "--cancel", &run, "--reason", "not any more"]).ends(0);
    folder.cog(&late).ends(130).says(&["cancelled: not any more"]);
    folder.holds();
}

/// What works on the folder beside the program, such as a node of a library, has names of its own.
#[test]
fn a_name_that_somebody_else_has_is_not_given_twice() {
    let folder = folder("keyed-names");
    let ask = |key: &str| folder.cog(&["run", "workflow.yaml", "--key", key, "--input", "order=1"]);
    let run: RunId = ask("here").ends(0).id("run").parse().unwrap();
    let store =
        SqliteStore::open(&folder.path("data"), Mode::ReadWrite, Box::new(SeededEntropy::new(1)));
    let store = store.unwrap();
    let tenant = store.tenants().unwrap()[0];
    let other = RunId::from_uuid(Uuid::from_u128(7));
    let post = |name: &str| {
        let (id, payload) = (MailId::from_uuid(other.uuid()), b"{}".to_vec());
        let mail = Mail { id, kind: "start".into(), run: Some(other), payload };
        let key = RequestKey { name, request: Digest::of(&[b"what"]) };
        store.post(tenant, &mail, Some(key)).unwrap()
    };
    assert_eq!(post("here"), Posted::Differs(run));
    assert_eq!(post("there"), Posted::Waiting);
    drop(store);
    ask("there").ends(7).says(&["something else was asked for as `there`", &other.to_string()]);
    assert_eq!(began(&folder), [run.to_string()]);
}

/// Between the ask and the first entry, between any two entries, and behind the last.
#[test]
fn a_run_that_is_killed_at_any_place_is_one_run_of_its_key() {
    let folder = folder("keyed-killed");
    let (mut before, mut under_way) = (0, 0);
    for order in 0..24 {
        let (key, input) = (format!("k-{order}"), format!("order={order}"));
        let ask = ["run", "workflow.yaml", "--key", &key, "--input", &input];
        let mut child = folder.start(&ask);
        std::thread::sleep(Duration::from_millis(order * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        let list = ["ledger", "list", "--json", "--limit", "100000", "--kind", "session.started"];
        let list = folder.cog(&list);
        // It may have been killed before there was a ledger.
        let begun = if list.code == 0 { list.jsons().len() as u64 } else { 0 };
        before += u64::from(begun == order);
        under_way += u64::from(begun > order);
        let run = folder.cog(&ask).ends(0).says(&["completed"]).id("run");
        assert_eq!(folder.cog(&ask).ends(0).id("run"), run);
        assert_eq!(began(&folder).len() as u64, order + 1, "one run for each key");
    }
    println!("counted: {before} killed before they began, {under_way} later");
    assert!(before > 0 && under_way > 0, "{before} and {under_way}");
    assert_eq!(folder.files("out").len(), 48, "each order was written once");
    folder.holds();
}

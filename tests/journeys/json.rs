//! `--json`: one document, or one on each line where it streams; never words in between.

use cog_base::Value;

use crate::program::{Folder, text};

/// What is said before the run, during and after it, in one example that has it all.
#[test]
fn every_command_speaks_json() {
    let folder = Folder::example("json", "01-quickstart");
    let json = |arguments: &[&str]| folder.cog(&[arguments, &["--json"]].concat());
    json(&["doctor"]).json();
    json(&["canon", "check", "canon"]).ends(0).json();
    json(&["canon", "test", "canon"]).ends(0).json();
    json(&["canon", "diff", "canon", "canon"]).ends(0).json();
    let run = json(&["run", "workflow.yaml"]).ends(8);
    let events = run.jsons();
    for event in &events {
        assert!(text(event, &["event"]).len() > 3 && text(event, &["run"]).starts_with("run_"));
    }
    let has = |name: &str| events.iter().any(|event| text(event, &["event"]) == name);
    for name in ["started", "permitted", "refused", "asked", "settled", "planned", "parked"] {
        assert!(has(name), "no event `{name}`");
    }
    let (run, request) = (run.id("run"), run.id("apr"));
    assert_eq!(json(&["approvals", "list"]).ends(0).json().as_list().unwrap().len(), 1);
    json(&["approvals", "approve", &request, "--as", "user:operator"]).ends(4).json();
    json(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0).json();
    assert_eq!(json(&["approvals", "list"]).ends(0).json().as_list().unwrap().len(), 0);
    let resumed = json(&["run", "--resume", &run]).ends(0).jsons();
    let sealed = resumed.iter().find(|event| text(event, &["event"]) == "sealed").unwrap();
    assert_eq!(text(sealed, &["status"]), "completed");
    let head = resumed.last().unwrap();
    assert_eq!(text(head, &["event"]), "checkpoint");

    let entries = json(&["ledger", "list", "--limit", "1000"]).ends(0).jsons();
    assert_eq!(head.get("size"), Some(&(entries.len() as u64).into()));
    for id in ["0", &request] {
        assert!(!json(&["ledger", "show", id]).ends(0).jsons().is_empty());
    }
    for id in ids(&entries).into_iter().chain(["0", &run]) {
        json(&["why", id]).ends(0).json();
    }
    for id in ids(&entries).into_iter().filter(|id| id.contains('_')) {
        for command in [&["why"][..], &["ledger", "show"], &["ledger", "proof"]] {
            let by_uuid = json(&[command, &[&uuid(id)]].concat()).ends(0);
            assert_eq!(by_uuid.out, json(&[command, &[id]].concat()).ends(0).out);
        }
    }
    for command in [&["why"][..], &["replay"], &["ledger", "list", "--run"], &["run", "--resume"]] {
        let by_uuid = json(&[command, &[&uuid(&run)]].concat());
        assert_eq!(by_uuid.out, json(&[command, &[&run]].concat()).out);
    }
    let why = json(&["why", &request]).ends(0).json();
    let answers = why.get("further").and_then(Value::as_list).unwrap();
    assert_eq!(text(&answers[0], &["kind"]), "approval.granted");
    for arguments in [
        &["replay"][..],
        &["replay", "--canon", "canon"],
        &["ledger", "verify"],
        &["ledger", "export", "-o", "b.cogbundle", "--key", "b.vkey"],
        &["verify", "b.cogbundle", "--key", "b.vkey"],
        &["ledger", "proof", "3"],
        &["ledger", "checkpoint"],
        &["ledger", "key"],
        &["config", "explain"],
        &["canon", "list"],
        &["canon", "impact", "canon"],
        &["ledger", "rotate", "--as", "user:cfo"],
        &["ledger", "erase", "speedy-parts-8841.txt", "--as", "user:cfo"],
    ] {
        json(arguments).ends(0).json();
    }
    for arguments in [
        &["ledger", "prune", "--before", "10", "--reason", "old", "--as", "user:cfo"][..],
        &["run", "--resume", &run],
        &["canon", "propose", "canon", "--as", "user:cfo"],
    ] {
        assert_eq!(json(arguments).json().get("error").map(Value::kind), Some("string"));
    }
}

/// The id as a UUID.
fn uuid(id: &str) -> String {
    let letters = id.split_once('_').unwrap().1.bytes();
    let bits = letters.fold(0, |bits: u128, letter| {
        (bits << 5) | u128::from(cog_base::id::digit(letter).unwrap())
    });
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// One id of each kind.
fn ids(entries: &[Value]) -> Vec<&str> {
    let mut found = std::collections::BTreeMap::new();
    for entry in entries {
        let id = entry.at(&["data", "id"]).or(entry.at(&["data", "receipt"]));
        if let Some(id) = id.and_then(Value::as_text) {
            found.insert(text(entry, &["kind"]), id);
        }
    }
    found.into_values().collect()
}

#[test]
fn changing_the_canon_speaks_json() {
    let folder = Folder::example("json-canon", "06-change-the-canon");
    let json = |arguments: &[&str]| folder.cog(&[arguments, &["--json"]].concat());
    // The first canon of a domain is founded, not proposed.
    let founded = json(&["canon", "propose", "canon-v1", "--as", "user:head-of-lab"]).ends(0);
    assert!(text(&founded.json(), &["digest"]).starts_with("sha256:"));
    let proposed = json(&["canon", "propose", "canon-v2", "--as", "user:head-of-lab"]).ends(0);
    let id = text(&proposed.json(), &["proposal"]).to_owned();
    json(&["canon", "activate", &id, "--as", "user:head-of-lab"]).ends(4).json();
    json(&["canon", "approve", &id, "--as", "user:controller"]).ends(0).json();
    json(&["canon", "activate", &id, "--as", "user:head-of-lab"]).ends(0).json();
    let list = json(&["canon", "list"]).ends(0).json();
    assert_eq!(list.get("proposals").unwrap().as_list().unwrap().len(), 1);
    let again = json(&["canon", "propose", "canon-v1", "--as", "user:controller"]).ends(0);
    let id = text(&again.json(), &["proposal"]).to_owned();
    json(&["canon", "reject", &id, "--reason", "no", "--as", "user:head-of-lab"]).ends(0).json();
}

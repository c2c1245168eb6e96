//! Sessions that ran elsewhere: the worked example of the guide, and what is refused.

use cog_base::Value;
use cog_base::json::parse;

use crate::docs::blocks_of;
use crate::nodes::Town;
use crate::program::{Folder, text};

const PAGE: &str = "docs/guide/sessions.md";
const BROWSED: &str = r#"{"specversion":"1.0","id":"b-77","source":"/agents/browser",
    "type":"agent.session.ended","subject":"session-77","time":"2026-11-21T10:00:00Z",
    "data":{"status":"done","cost":1.25,"result":{"invoices":12}}}"#;

/// A folder under the canon of the guide, with what another ledger says of its run: `event.json`,
/// `seal.tlog-proof`, `other.vkey` and `other.cogbundle`.
fn house(name: &str) -> Folder {
    let there = Folder::example(&format!("{name}-there"), "02-refusal-and-why");
    there.cog(&["run", "workflow.yaml"]).ends(0);
    let here = Folder::new(name);
    let events = there.cog(&["ledger", "events", "--json"]).ends(0).out;
    let event = events.lines().find(|line| line.contains("execution.completed")).unwrap();
    here.write("event.json", event);
    let seal = there.entries("session.sealed")[0].get("seq").and_then(Value::as_u64).unwrap();
    let proof = there.cog(&["ledger", "proof", &seal.to_string()]).ends(0).out;
    here.write("seal.tlog-proof", &proof);
    there.cog(&["ledger", "export", "-o", "all.cogbundle", "--key", "all.vkey"]).ends(0);
    here.write("other.cogbundle", &there.read("all.cogbundle"));
    here.write("other.vkey", &there.read("all.vkey"));
    for (language, file) in [
        ("toml", "canon/canon.toml"),
        ("cedarschema", "canon/schema.cedarschema"),
        ("cedar", "canon/policies/intake.cedar"),
        ("json", "canon/facts/people.json"),
    ] {
        here.write(file, &blocks_of(PAGE, language).replace("KEY", there.read("all.vkey").trim()));
    }
    here
}

fn accept(folder: &Folder, more: &[&str]) -> crate::program::Answer {
    folder.cog(&[&["sessions", "accept", "event.json", "--as", "user:desk"], more].concat())
}

const PROOF: [&str; 4] = ["--proof", "seal.tlog-proof", "--key", "other.vkey"];

#[test]
fn a_session_that_another_ledger_proves_is_taken_in_once() {
    let folder = house("foreign");
    accept(&folder, &[]).ends(4).says(&["if args.proven were true (it is false)", "dny_"]);
    let taken = accept(&folder, &PROOF).ends(0).says(&["taken in as evidence: entry", "permit"]);
    let receipt = taken.id("rcp");
    let size = folder.entries("outcome").len();
    accept(&folder, &PROOF).ends(0).says(&["taken in before: entry", &receipt]);
    let bundle = ["--proof", "other.cogbundle", "--key", "other.vkey"];
    accept(&folder, &bundle).ends(0).says(&["taken in before"]);
    // Written anew it is the same event.
    folder.change("event.json", "\"subject\":", "  \"subject\" : ");
    let again = accept(&folder, &["--json"]).ends(0).json();
    assert_eq!(text(&again, &["receipt"]), receipt);
    assert_eq!(again.get("again"), Some(&true.into()));
    assert_eq!(folder.entries("outcome").len(), size);
    folder.cog(&["why", &receipt]).ends(0).says(&[
        "take in a completion from `/core-engine/workflows`",
        "accept.sealed",
        "proven: true",
        "status: succeeded",
    ]);
    folder.holds();
}

#[test]
fn what_was_taken_in_is_evidence_for_a_change_that_people_approve() {
    let folder = house("foreign-evidence");
    let bundle = ["--proof", "other.cogbundle", "--key", "other.vkey", "--json"];
    let taken = accept(&folder, &bundle).ends(0).jsons();
    let outcome = taken.last().unwrap().get("outcome").and_then(Value::as_u64).unwrap();
    folder.copy("canon", "canon-2");
    folder.change("canon-2/canon.toml", "\"intake\"\ndomain", "\"intake 2\"\ndomain");
    let outcome = outcome.to_string();
    let propose = ["canon", "propose", "canon-2", "--as", "user:desk", "--evidence", &outcome];
    let proposal = folder.cog(&propose).ends(0).id("prp");
    folder.cog(&["canon", "activate", &proposal, "--as", "user:desk"]).ends(4);
    folder.cog(&["canon", "approve", &proposal, "--as", "user:head"]).ends(0);
    folder.cog(&["canon", "activate", &proposal, "--as", "user:desk"]).ends(0);
    let promoted = folder.entries("promotion");
    assert_eq!(promoted[0].at(&["data", "evidence"]).unwrap().to_string(), format!("[{outcome}]"));
    folder.holds();
}

#[test]
fn another_event_with_the_id_of_one_that_was_taken_in_is_refused() {
    let folder = house("foreign-other");
    accept(&folder, &PROOF).ends(0);
    let size = folder.entries("session.started").len();
    folder.change("event.json", "\"denials\":3", "\"denials\":0");
    accept(&folder, &[]).ends(7).says(&["says something else", "cognitionos why run_"]);
    accept(&folder, &PROOF).ends(7).says(&["says something else"]);
    assert_eq!(folder.entries("session.started").len(), size);
}

#[test]
fn what_does_not_prove_it_is_refused_on_the_record() {
    let folder = house("foreign-forged");
    let code = |folder: &Folder| {
        let denials = folder.entries("denial");
        text(denials.last().unwrap(), &["data", "code"]).to_owned()
    };
    // One that says more than the seal, and takes the id from nobody.
    let event = folder.read("event.json");
    folder.change("event.json", "\"receipts\":2", "\"receipts\":3");
    accept(&folder, &PROOF).ends(4).says(&["does not show"]);
    assert_eq!(code(&folder), "source.proof_fails");
    folder.write("event.json", &event);
    // The ledger that it is taken in by is no witness of another.
    let own = folder.cog(&["ledger", "key"]).ends(0).out;
    accept(&folder, &["--proof", "seal.tlog-proof", "--key", own.trim()]).ends(4);
    assert_eq!(code(&folder), "source.key_not_listed");
    let bundle = folder.read("other.cogbundle");
    folder.write("cut.cogbundle", &bundle.replace("travel-desk", "travel-dusk"));
    accept(&folder, &["--proof", "cut.cogbundle", "--key", "other.vkey"])
        .ends(1)
        .says(&["does not hold", "cognitionos verify cut.cogbundle"]);
    folder.change("event.json", "/core-engine/workflows", "/agents/unknown");
    accept(&folder, &[]).ends(4);
    assert_eq!(code(&folder), "source.not_listed");
    folder.write("event.json", &event);
    accept(&folder, &PROOF).ends(0).says(&["taken in as evidence"]);
    folder.holds();
}

#[test]
fn what_other_agents_say_waits_for_people() {
    let folder = house("foreign-told");
    let arguments = ["sessions", "accept", "-", "--as", "user:desk"];
    let waiting = folder.piped(&arguments, BROWSED).ends(8);
    let (run, approval) = (waiting.id("run"), waiting.id("apr"));
    folder.piped(&arguments, BROWSED).ends(8).says(&[&approval]);
    folder.cog(&["approvals", "approve", &approval, "--as", "user:head"]).ends(0);
    folder.piped(&arguments, BROWSED).ends(0).says(&["taken in as evidence", &run]);
    folder.piped(&arguments, BROWSED).ends(0).says(&["taken in before"]);
    let other = BROWSED.replace("\"invoices\":12", "\"invoices\":13");
    folder.piped(&arguments, &other).ends(7).says(&["says something else"]);
    folder.holds();
}

#[test]
fn what_is_no_event_is_told_and_nothing_is_made() {
    let folder = Folder::new("foreign-none");
    let accept = ["sessions", "accept", "-"];
    for (given, said) in [
        ("{", "the event is not JSON"),
        ("[]", "an event is a JSON object"),
        (r#"{"specversion":"1.0","id":"1","type":"t"}"#, "the attribute `source` is missing"),
    ] {
        folder.piped(&accept, given).ends(2).says(&[said, "CloudEvents 1.0"]);
    }
    folder.piped(&accept, &"x".repeat(70_000)).ends(2).says(&["65,536 bytes"]);
    folder.cog(&["sessions", "accept", "nowhere.json"]).ends(2).says(&["cannot read nowhere.json"]);
    folder.cog(&["sessions", "accept", "a", "--proof", "b"]).ends(2).says(&["--key"]);
    let fine = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    folder.piped(&accept, fine).ends(2);
    assert!(!folder.has("data"), "nothing is made");
    assert!(parse(fine).is_ok());
}

#[test]
fn nodes_take_in_once_what_another_ledger_proves_whichever_of_them_is_killed() {
    let (house, town) = (house("foreign-of-nodes"), Town::new("foreign-nodes"));
    for file in ["event.json", "seal.tlog-proof", "other.vkey"] {
        town.folder.write(file, &house.read(file));
    }
    for file in ["canon.toml", "schema.cedarschema", "policies/intake.cedar", "facts/people.json"] {
        town.folder.write(&format!("intake/{file}"), &house.read(&format!("canon/{file}")));
    }
    let tenant = town.new_tenant();
    let cog = |arguments: &[&str]| town.cog(&[arguments, &["--tenant", &tenant]].concat());
    let accept = |more: &[&str]| {
        cog(&[&["sessions", "accept", "event.json", "--as", "user:desk"], more].concat())
    };
    let node = town.node("n0");
    accept(&PROOF).ends(2).says(&["no domain has a canon here"]);
    accept(&["--canon", "intake"]).ends(2).says(&["cognitionos canon propose"]);
    cog(&["canon", "propose", "intake", "--as", "user:desk", "--timeout", "120"])
        .ends(0)
        .says(&["founds"]);
    accept(&[]).ends(4).says(&["refused", "cognitionos why --tenant"]);
    node.kill();
    let node = town.node("n1");
    let taken = accept(&PROOF).ends(0).says(&["completed", "taken in as evidence: entry"]);
    let receipt = taken.id("rcp");
    node.kill();
    let node = town.node("n2");
    accept(&PROOF).ends(0).says(&["taken in before: entry", &receipt]);
    let outcomes = ["ledger", "list", "--json", "--kind", "outcome"];
    assert_eq!(cog(&outcomes).ends(0).jsons().len(), 1);
    cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
    cog(&["replay", "--all"]).ends(0);
    node.ends();
}

/// What another domain took in, or refused, is nothing to this one.
#[test]
fn each_domain_takes_in_for_itself_and_nobody_is_in_the_way_of_what_is_true() {
    let folder = house("foreign-domains");
    folder.copy("canon", "evil");
    for (file, from, to) in [
        ("evil/canon.toml", "domain = \"intake\"", "domain = \"evil\""),
        ("evil/policies/intake.cedar", " && context.args.proven", ""),
    ] {
        folder.change(file, from, to);
    }
    let evil = ["--canon", "evil", "--environment", "development"];
    accept(&folder, &evil).ends(0).says(&["taken in as evidence"]);
    accept(&folder, &["--canon", "canon"]).ends(4).says(&["if args.proven were true"]);
    let intake = ["--domain", "intake"];
    let event = folder.read("event.json");
    for receipts in 3..9 {
        let forged = event.replace("\"receipts\":2", &format!("\"receipts\":{receipts}"));
        folder.write("event.json", &forged);
        accept(&folder, &[&PROOF[..], &intake].concat()).ends(4);
    }
    folder.write("event.json", &event);
    let taken = accept(&folder, &[&PROOF[..], &intake].concat()).ends(0);
    let run = taken.says(&["taken in as evidence"]).id("run");
    accept(&folder, &[&PROOF[..], &intake].concat()).ends(0).says(&["taken in before"]);
    // What is in no seal does not make another event of it.
    folder.write("event.json", &event.replace("\"token_usage\":", "\"token_usage\":9"));
    assert_ne!(folder.read("event.json"), event);
    accept(&folder, &[&PROOF[..], &intake].concat()).ends(0).says(&["taken in before"]);
    accept(&folder, &intake).ends(7).says(&["says something else"]);
    // Nor is it taken in by going on from that run.
    let size = folder.entries("outcome").len();
    let fork = ["run", "--fork", &run, "--from", "accept", "--as", "user:desk"];
    folder.cog(&fork).ends(2).says(&["has one run and no other", "sessions accept"]);
    assert_eq!(folder.entries("outcome").len(), size);
    folder.holds();
}

//! What `why` tells afterwards to somebody who was not there: what a run waits for, who ended
//! it, what failed in it, and which people had a say.

use cog_base::Value;

use crate::program::{Folder, text};

const WAITS: &str = "
name: waits
domain: demo
steps:
  - { id: come, wait_for: { signal: go } }
";

#[test]
fn an_open_run_says_what_it_waits_for_and_who_holds_it() {
    let folder = Folder::new("told-waits");
    folder.write("workflow.yaml", WAITS);
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let send = format!("cognitionos signal {run} go --id ID --payload JSON");
    let waits = ["It is open", "It waits for the signal `go` (step come)", &send];
    folder.cog(&["why", &run]).ends(0).says(&waits);
    folder.cog(&["replay", &run]).ends(0).says(&["1 entry follows from definition"]);

    folder.cog(&["pause", &run, "--reason", "audit"]).ends(0);
    let unpause = format!("cognitionos unpause {run} --reason TEXT");
    let paused = ["It is paused, by user:operator: audit", &unpause, &send];
    folder.cog(&["why", &run]).ends(0).says(&paused);
    let json = folder.cog(&["why", &run, "--json"]).ends(0).json();
    assert_eq!(text(&json, &["paused", "reason"]), "audit");
    let signals = json.get("signals").and_then(Value::as_list).unwrap();
    assert_eq!(text(&signals[0], &["signal"]), "go");

    folder.cog(&["run", "--cancel", &run, "--reason", "no"]).ends(0);
    let why = folder.cog(&["why", &run]).ends(0).says(&["It ended as cancelled", "Because: no"]);
    let ended = why.out.lines().find(|line| line.contains("It ended as")).unwrap();
    assert!(ended.ends_with(", by user:operator."), "{why}");
    assert!(!why.out.contains(&send), "{why}");
    let json = folder.cog(&["why", &run, "--json"]).ends(0).json();
    assert_eq!(text(&json, &["cancelled", "by"]), "user:operator");
    assert_eq!(json.get("paused"), Some(&Value::Null));
}

#[test]
fn what_undoes_a_run_and_fails_is_named_once() {
    let folder = Folder::new("told-undone");
    let note = "{ id: note, uses: compute, with: { x: \"${{ fail('no ink') }}\" } }";
    folder.write("workflow.yaml", &format!("{WAITS}on_cancel: {{ steps: [ {note} ] }}\n"));
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let cancel = folder.cog(&["run", "--cancel", &run, "--reason", "no"]).ends(0);
    cancel.says(&["not undone: `on_cancel.note`: no ink"]);
}

#[test]
fn what_failed_and_was_handled_is_found_afterwards() {
    let folder = Folder::example("told-failed", "01-quickstart");
    // One answer is not what was asked for; one document has no answer at all.
    folder.change(
        "recordings/reader.jsonl",
        r#"\"amount_cents\": 1248000"#,
        r#"\"amount_cents\": 12480.5"#,
    );
    folder.write("invoices/unheard-of.txt", "INVOICE");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(0).id("run");
    let why = folder.cog(&["why", &run]).ends(0).says(&[
        "What failed:",
        "step invoice[14].pay",
        "could not evaluate `steps.read.output.json.amount_cents / 100`",
        "step invoice[13].read",
        "--model",
    ]);
    let receipt = crate::program::id(&why.out, "rcp").unwrap();
    folder.cog(&["why", &receipt]).ends(0).says(&["It failed:"]);
    let json = folder.cog(&["why", &run, "--json"]).ends(0).json();
    let failed = json.get("failed").and_then(Value::as_list).unwrap();
    assert_eq!(failed.len(), 2, "{json}");
    assert_eq!(text(&failed[0], &["receipt"]), receipt);
    assert_eq!(text(&failed[1], &["step"]), "invoice[14].pay");
    assert_eq!(failed[1].get("receipt"), Some(&Value::Null));
    folder.holds();
}

#[test]
fn people_are_named_where_people_decided() {
    let folder = Folder::example("told-people", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    folder.cog(&["signal", &run, "go"]).ends(7).says(&["none of its steps waits for a signal"]);
    let small = text(&folder.entries("receipt")[0], &["data", "id"]).to_owned();
    let small = folder.cog(&["why", &small]).ends(0).says(&["nobody had to"]);
    let asked = small.out.lines().find(|line| line.contains("Did the people agree")).unwrap();
    assert!(asked.starts_with("  -    "), "{small}");
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    let receipts = folder.entries("receipt");
    let rests = receipts.iter().find(|it| {
        it.at(&["data", "approvals"])
            .is_some_and(|ids| ids.as_list().is_some_and(|ids| !ids.is_empty()))
    });
    let named = format!("cognitionos why {request}");
    let why = folder.cog(&["why", text(rests.unwrap(), &["data", "id"])]).ends(0);
    why.says(&["user:cfo approved it on", &named]);

    let folder = Folder::example("told-rejected", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    let reject =
        ["approvals", "reject", &request, "--as", "user:cfo", "--reason", "not this month"];
    folder.cog(&reject).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    let denials = folder.entries("denial");
    let denial = text(denials.last().unwrap(), &["data", "id"]);
    let said = ["user:cfo said no on", ": not this month"];
    folder.cog(&["why", denial]).ends(0).says(&said);
    folder.cog(&["why", &run]).ends(0).says(&said);
}

/// The rule that permits is not told as the reason of a refusal.
#[test]
fn a_rule_that_permits_is_not_taken_for_the_reason() {
    let folder = Folder::example("told-but", "01-quickstart");
    folder.change("canon/canon.toml", "amount_max = 5_000_000", "amount_max = 1_000");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let denials = folder.entries("denial");
    let code = |it: &&Value| text(it, &["data", "code"]) == "envelope.amount";
    let denial = denials.iter().find(code).unwrap();
    let why = folder.cog(&["why", text(denial, &["data", "id"])]).ends(0);
    why.says(&["But permitted by the rule `pay.small`", "nobody was asked"]);
}

/// Beyond the envelope alone: the amount that would do is named, also where plans are chosen.
#[test]
fn an_amount_beyond_the_envelope_is_told_with_the_one_that_would_do() {
    let folder = Folder::example("told-envelope", "01-quickstart");
    let (from, to) = (r#"\"amount_cents\": 1248000"#, r#"\"amount_cents\": 6150000"#);
    folder.change("recordings/reader.jsonl", from, to);
    let run = folder.cog(&["run", "workflow.yaml"]).ends(0);
    // What was paid before depends on which of the others came first.
    let moved = number_behind(&run.out, "The run would move ");
    let most = 5_000_000 - (moved - 6_150_000);
    run.says(&["in all, more than the 5000000", &format!("amount_cents were at most {most}")]);
    let denials = folder.entries("denial");
    let denial = denials.iter().find(|it| text(it, &["data", "code"]) == "envelope.amount");
    let denial = text(denial.unwrap(), &["data", "id"]);
    let why = folder.cog(&["why", denial]).ends(0);
    let way =
        format!("It would be permitted if args.document.invoice.amount_cents were at most {most}");
    let moves = format!("The run would move {moved} ");
    let why = why.says(&[&moves, &way, &format!("{moved} "), " of 5000000 (50000.00)"]);
    assert!(!why.out.contains("its plan could not be taken"), "{why}");
    let selection = why.id("pln");
    folder.cog(&["why", &selection]).ends(0).says(&[&format!("cognitionos why {denial}")]);
    folder.holds();
}

#[test]
fn without_a_canon_that_is_the_reason() {
    let folder = Folder::example("told-no-canon", "06-change-the-canon");
    let run = folder.cog(&["run", "workflow.yaml"]).says(&["No canon is in force"]);
    assert!(!run.out.contains("does not know"), "{run}");
    let denial = text(&folder.entries("denial")[0], &["data", "id"]).to_owned();
    folder.cog(&["why", &denial]).ends(0).says(&["Why: No canon is in force"]);
}

/// Whoever is no engineer reads what an entry says, also where it is no decision.
#[test]
fn every_entry_is_told_in_a_sentence() {
    let folder = Folder::example("told-plainly", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.cog(&["pause", &run, "--reason", "audit", "--as", "user:operator"]).ends(0);
    folder.cog(&["unpause", &run, "--reason", "over", "--as", "user:operator"]).ends(0);
    folder.cog(&["checkpoint", "create", &run, "here", "--as", "user:operator"]).ends(0);
    folder.cog(&["replay", &run, "--keep", "--as", "user:operator"]).ends(0);
    for (kind, says) in [
        ("genesis", &["This ledger began on"][..]),
        ("canon.activated", &["user:operator put the canon sha256:", "as the first of its domain"]),
        ("session.started", &["user:operator began ", &run, "of the workflow"]),
        ("session.paused", &["user:operator held ", &run, "audit. Nothing new of it begins"]),
        ("session.unpaused", &["user:operator let ", &run, "go on"]),
        ("checkpoint", &["user:operator named a place of ", "`here`", "checkpoint restore run_"]),
        ("replay", &["user:operator had ", "recomputed on", "same"]),
    ] {
        let entry = folder.entries(kind).remove(0);
        let seq = entry.get("seq").and_then(cog_base::Value::as_u64).unwrap().to_string();
        folder.cog(&["why", &seq]).ends(0).says(says);
    }
}

/// The first run of a domain founds its canon, which an agent cannot.
#[test]
fn an_agent_that_runs_first_is_told_that_a_person_founds_the_canon() {
    let folder = Folder::example("told-founding", "02-refusal-and-why");
    for flags in [&["--as", "agent:travel-desk"][..], &["--as", "agent:travel-desk", "-n"]] {
        let answer = folder.cog(&[&["run", "workflow.yaml"], flags].concat()).ends(4);
        answer.says(&["founds its canon, and agent:travel-desk is no person", "--as user:NAME"]);
    }
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.cog(&["run", "workflow.yaml", "--as", "agent:travel-desk"]).ends(0);
}

/// A command that is told is about the folder of the command that tells it.
#[test]
fn commands_that_are_told_name_the_folder_that_was_named() {
    let folder = Folder::example("told-folder", "01-quickstart");
    let data = ["--data", "another folder"];
    let cog = |arguments: &[&str]| folder.cog(&[arguments, &data].concat());
    let run = cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (run.id("run"), run.id("apr"));
    let answer = cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    let resume = format!("cognitionos --data 'another folder' run --resume {run}");
    assert!(format!("{answer}").contains(&resume), "{answer}");
    let end = cog(&["run", "--resume", &run]).ends(0);
    end.says(&[&format!("cognitionos --data 'another folder' ledger list --run {run}")]);
    let error = cog(&["run", "--resume", &run]).ends(7);
    error.says(&[&format!("try: cognitionos --data 'another folder' why {run}")]);
    // What names nothing on the command line holds for the next command by itself.
    let other = folder.cog(&["run", "workflow.yaml"]);
    assert!(!format!("{other}").contains("--data"), "{other}");
}

/// The number that stands behind some words.
fn number_behind(text: &str, words: &str) -> u64 {
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("no `{words}` in {text}"));
    rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
}

//! Exit codes: each says honestly how the command ended.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;

use crate::program::{Folder, text};

#[test]
fn a_run_ends_with_the_code_of_its_status() {
    let refused = Folder::example("ends-refused", "03-choosing-a-plan");
    refused.cog(&["run", "workflow.yaml", "--input", "deadline_hours=24"]).ends(4);

    let waiting = Folder::example("ends-waiting", "01-quickstart");
    waiting.cog(&["run", "workflow.yaml", "--quiet"]).ends(8).says(&["waiting for approval"]);

    let limited = Folder::example("ends-limited", "04-survives-kill-9");
    limited.change("workflow.yaml", "effects: 40", "effects: 5");
    limited.cog(&["run", "workflow.yaml"]).ends(5).says(&["used all its 5 effects"]);
    assert_eq!(limited.files("out").len(), 5);
    limited.holds();

    let failed = Folder::example("ends-failed", "02-refusal-and-why");
    std::fs::remove_file(failed.path("handbook/travel-rules.txt")).unwrap();
    failed.cog(&["run", "workflow.yaml"]).ends(1).says(&["failed", "travel-rules.txt"]);
    failed.holds();

    let done = Folder::example("ends-done", "02-refusal-and-why");
    let run = done.cog(&["run", "workflow.yaml"]).ends(0).id("run");
    done.cog(&["run", "--resume", &run]).ends(7).says(&["has ended"]);
}

/// What is said to change a choice changes it, and what would not change it is not offered.
#[test]
fn a_choice_that_failed_says_what_would_change_it() {
    let folder = Folder::example("no-plan", "03-choosing-a-plan");
    let run = |inputs: &[&str]| folder.cog(&[&["run", "workflow.yaml"], inputs].concat());
    let refused = run(&["--input", "deadline_hours=24"]).ends(4);
    let refused = refused
        .says(&["no plan can be taken. `air`: expected cost $95.00", "the deadline is 1 day"]);
    let (plan, denial) = (refused.id("pln"), refused.id("dny"));
    let why = folder.cog(&["why", &denial]).ends(0);
    let why = why
        .says(&["Permitted or not, its plan could not be taken: expected duration 2 days", &plan]);
    for answer in [&refused.out, &why.out] {
        assert!(!answer.contains("would be permitted"), "{answer}");
    }
    folder.cog(&["why", &plan]).ends(0).says(&[
        "A plan could be taken if the budget were at least $95.00 (it is $40.00), by the plan `air`.",
        "A plan could be taken if the deadline were at least 2 days (it is 1 day), by the plan `truck`.",
    ]);
    let day = ["--input", "deadline_hours=24", "--input"];
    run(&[&day[..], &["budget_micros=95000000"]].concat()).ends(0).says(&["plan: air"]);
    run(&[&day[..], &["budget_micros=94999999"]].concat()).ends(4);
    run(&["--input", "deadline_hours=48"]).ends(0).says(&["plan: truck"]);
    run(&["--input", "deadline_hours=47"]).ends(4);
    folder.holds();
}

#[test]
fn bad_usage_ends_with_two_and_writes_nothing() {
    let folder = Folder::new("bad-usage");
    let unknown_run = "run_01m7yb4qxbf438zjd8206fmvk4";
    for arguments in [
        &["frobnicate"][..],
        &["run"],
        &["run", "--resume", "not-a-run"],
        &["run", "--resume", unknown_run],
        &["run", "w.yaml", "--resume", unknown_run],
        &["run", "w.yaml", "--record", "tape.jsonl"],
        &["why"],
        &["why", "dny_nothing"],
        &["replay"],
        &["replay", "nonsense"],
        &["approvals"],
        &["approvals", "list"],
        &["approvals", "approve", "apr_01m7yb4r66fdgag2kbjnj5dg9w", "--as", "user:cfo"],
        &["approvals", "reject", "apr_01m7yb4r66fdgag2kbjnj5dg9w", "--as", "user:cfo"],
        &["ledger", "list"],
        &["ledger", "list", "--kind", "nonsense"],
        &["ledger", "show", "0"],
        &["ledger", "verify"],
        &["ledger", "export"],
        &["ledger", "proof", "0"],
        &["ledger", "checkpoint"],
        &["ledger", "key"],
        &["ledger", "rotate"],
        &["ledger", "erase", "somebody"],
        &["ledger", "prune", "--before", "10", "--reason", "old"],
        &["verify", "missing.cogbundle", "--key", "missing.vkey"],
        &["verify", "missing.cogbundle"],
        &["canon", "check", "missing"],
        &["canon", "test", "missing"],
        &["canon", "list"],
        &["canon", "impact", "missing"],
        &["canon", "propose", "missing", "--as", "user:cfo"],
        &["canon", "approve", "prp_01m7yb4r66fdgag2kbjnj5dg9w", "--as", "user:cfo"],
        &["canon", "activate", "prp_01m7yb4r66fdgag2kbjnj5dg9w", "--as", "cfo"],
        &["completions", "tcsh-or-so"],
    ] {
        let answer = folder.cog(arguments).ends(2);
        assert_eq!(answer.out, "", "{arguments:?}: errors go to standard error");
        assert!(!answer.err.trim().is_empty(), "{arguments:?} says nothing");
        assert!(!folder.has("data"), "{arguments:?} makes a data folder");
    }
    assert!(!folder.has("ledger.cogbundle"));
}

#[test]
fn with_json_every_error_is_one_document() {
    let folder = Folder::new("json-errors");
    for arguments in [
        &["frobnicate", "--json"][..],
        &["--json", "run"],
        &["run", "missing.yaml", "--json"],
        &["ledger", "list", "--json"],
        &["ledger", "list", "--limit", "many", "--json"],
        &["verify", "missing.cogbundle", "--key", "missing.vkey", "--json"],
        &["why", "dny_nothing", "--json"],
        &["canon", "check", "missing", "--json"],
    ] {
        let error = folder.cog(arguments).ends(2).json();
        assert_eq!(error.get("exit"), Some(&2_u64.into()), "{arguments:?}");
        assert!(!error.get("error").unwrap().as_text().unwrap().is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_data_folder_has_one_writer_at_a_time_and_any_readers() {
    let folder = Folder::example("two-writers", "04-survives-kill-9");
    let mut first = folder.start(&["run", "workflow.yaml", "--input", "pause_ms=2000"]);
    let mut lines = BufReader::new(first.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("done ") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the first run ended");
    }
    let other = ["run", "workflow.yaml", "--input", "folder=other"];
    folder.cog(&other).ends(7).says(&["data", "try:"]);
    let error = folder.cog(&[&other[..], &["--json"]].concat()).ends(7).json();
    assert_eq!(error.get("exit"), Some(&7_u64.into()));
    folder.cog(&["ledger", "rotate"]).ends(7);
    folder.cog(&["ledger", "list"]).ends(0).says(&["session.started"]);
    folder.cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
    assert!(!folder.has("other"));
    first.kill().unwrap();
    first.wait().unwrap();
    folder.cog(&["ledger", "rotate", "--as", "user:head-of-archive"]).ends(0);
}

#[test]
fn a_reader_that_leaves_early_is_no_error_of_ours() {
    let folder = Folder::example("closed-pipe", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    for arguments in [&["ledger", "list"][..], &["ledger", "list", "--json"], &["replay"]] {
        let mut command = folder.command(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child =
            command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop(command);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let ended = child.wait().unwrap();
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert!(ended.code().is_none_or(|code| code < 2), "{arguments:?}: {ended}");
    }
}

#[test]
fn no_colour_where_nobody_sees_it() {
    let folder = Folder::example("colour", "02-refusal-and-why");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(0);
    let denial = text(&folder.entries("denial")[0], &["data", "id"]).to_owned();
    let mut answers = vec![run];
    for arguments in [
        &["ledger", "list"][..],
        &["ledger", "verify"],
        &["why", &denial],
        &["replay"],
        &["doctor"],
        &["canon", "list"],
        &["--help"],
        &["ledger", "show", "nothing"],
    ] {
        answers.push(folder.cog(arguments));
    }
    for answer in answers {
        assert!(!answer.out.contains('\u{1b}') && !answer.err.contains('\u{1b}'), "{answer}");
    }
}

#[test]
fn an_interrupted_run_can_go_on() {
    let folder = Folder::example("interrupted", "04-survives-kill-9");
    let mut run = folder.start(&["run", "workflow.yaml", "--input", "pause_ms=50"]);
    let mut lines = BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("done ") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the run ended");
    }
    let pid = run.id().to_string();
    let interrupted = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(interrupted.unwrap().success());
    let ended = run.wait().unwrap();
    // A shell says 130 of a program that this signal ended, too.
    assert!(ended.code() == Some(130) || ended.signal() == Some(2), "{ended}");
    let started = folder.entries("session.started");
    let id = text(&started[0], &["session"]);
    folder.cog(&["run", "--resume", id]).ends(0).says(&["written: 30"]);
    folder.holds();
}

#[test]
fn a_run_goes_on_without_the_files_it_began_with() {
    let folder = Folder::example("files-gone", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    std::fs::remove_file(folder.path("workflow.yaml")).unwrap();
    std::fs::remove_dir_all(folder.path("canon")).unwrap();
    let approve = ["approvals", "approve", &parked.id("apr"), "--as", "user:cfo"];
    folder.cog(&approve).ends(0);
    folder.cog(&["run", "--resume", &parked.id("run")]).ends(0).says(&["paid: 9"]);
    folder.holds();
}

#[test]
fn text_from_outside_cannot_steer_the_terminal() {
    let folder = Folder::example("steering", "02-refusal-and-why");
    folder.write("handbook/travel-rules.txt", "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m");
    let rules = "\"${{ steps.rules.output.text }}\"";
    folder.change("workflow.yaml", "\"${{ steps.train.status }}\"", rules);
    folder.change("workflow.yaml", "path: hotel.json", &format!("path: {rules}"));
    let mut answers = vec![folder.cog(&["run", "workflow.yaml"])];
    assert!(answers[0].out.contains("owned"), "{}", answers[0]);
    for arguments in [&["ledger", "list"][..], &["ledger", "show", "5"], &["ledger", "show", "2"]] {
        answers.push(folder.cog(arguments));
    }
    for denial in folder.entries("denial") {
        answers.push(folder.cog(&["why", text(&denial, &["data", "id"])]));
    }
    for answer in answers {
        let steers = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
        assert!(!answer.out.contains(steers) && !answer.err.contains(steers), "{answer:?}");
    }
}

#[test]
fn doctor_warns_of_what_others_can_look_into() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::example("doctor", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let quiet = folder.cog(&["doctor"]);
    assert!(!quiet.out.contains("open to others"), "{quiet}");
    for (place, mode, fixed) in [("data", 0o755, "700"), ("data/ledger.db", 0o644, "600")] {
        let chmod = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(place), mode).unwrap();
        };
        let before = folder.path(place).metadata().unwrap().permissions().mode();
        chmod(mode);
        let advice = format!("{place} is open to others: chmod {fixed} {place}");
        let warned = folder.cog(&["doctor"]).says(&[&advice]);
        assert_eq!(warned.code, quiet.code, "a warning is no failure");
        let found = folder.cog(&["doctor", "--json"]).json();
        let of = |name: &str| {
            found.as_list().unwrap().iter().find(|it| text(it, &["name"]) == name).cloned().unwrap()
        };
        assert_eq!(of("permissions").get("warning"), Some(&true.into()));
        assert_eq!(of("data").get("warning"), Some(&false.into()));
        chmod(before);
    }
}

//! At a terminal: what is asked, what is shown, and how a run is left.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use cog_base::Value;

use crate::program::{Answer, Folder, program, text};

/// A command at a terminal of its own.
fn seated(folder: &Folder, arguments: &str) -> Child {
    let line = format!("{} {arguments}", program().display());
    let mut script = Command::new("script");
    script.args(["-qefc", &line, "/dev/null"]).current_dir(folder.path("."));
    script.env("COGNITIONOS_DATA", "data").env("TERM", "dumb").env_remove("COGNITIONOS_ACTOR");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    script.spawn().unwrap()
}

/// Give a command at a terminal, and type this; then the typist leaves.
fn typed(folder: &Folder, arguments: &str, keys: &str) -> Answer {
    let mut child = seated(folder, arguments);
    child.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    Answer::of(child.wait_with_output().unwrap())
}

/// Whether colour is unwanted by a flag or by a variable, nothing is drawn over; where it is
/// wanted, the line that counts along is cut to the columns there are.
#[test]
fn the_live_line_keeps_to_its_columns_and_to_those_who_want_it() {
    for (name, arguments, variable, drawn) in [
        ("live", "", None, true),
        ("live-flag", "--no-color", None, false),
        ("live-variable", "", Some("NO_COLOR"), false),
    ] {
        let folder = Folder::example(name, "01-quickstart");
        let run = format!("{} run workflow.yaml --no-input {arguments}", program().display());
        let mut script = Command::new("script");
        script.args(["-qefc", &format!("stty cols 30; {run}"), "/dev/null"]);
        script.current_dir(folder.path(".")).env("COGNITIONOS_DATA", "data").env("TERM", "xterm");
        script.env_remove("NO_COLOR").envs(variable.map(|name| (name, "1")));
        let run = Answer::of(script.stdin(Stdio::null()).output().unwrap()).ends(8);
        let lines: Vec<&str> = run.out.split("\u{1b}[2K").skip(1).collect();
        assert_eq!(!lines.is_empty(), drawn, "{run}");
        // What is drawn over goes back to the start of its line; colours take no room.
        for line in lines.iter().filter(|line| line.ends_with('\r') && line.contains("receipt")) {
            let bare = line.replace("\u{1b}[2m", "").replace("\u{1b}[0m", "").replace('\r', "");
            assert!(bare.chars().count() < 30, "{bare:?} in {run}");
        }
    }
}

#[test]
fn a_wrong_answer_is_told_and_asked_again() {
    let folder = Folder::example("typed-wrong", "01-quickstart");
    let keys = "y\nuser:operator\nuser:nobody\ncfo\nuser:cfo\nperhaps\ny\n";
    let run = typed(&folder, "run workflow.yaml", keys).ends(0).says(&[
        "agent:clerk wants to write a file into `payments`",
        "document.invoice.amount_cents: 1248000 (12480.00)",
        "document.invoice.supplier: Vandenberg Machines NV",
        "needs 1 of role:finance: user:cfo, user:controller",
        "first say who answers, such as user:cfo; yes or no comes then",
        "`user:operator` asked for this or started the run",
        "`user:nobody` may not answer this; it takes role:finance",
        "a person is named like user:cfo",
        "`perhaps` is neither y nor n",
        "paid: 9",
    ]);
    assert_eq!(run.out.matches("That does not count").count(), 4, "{run}");
    assert_eq!(folder.entries("approval.granted").len(), 1);
    folder.holds();
}

#[test]
fn whoever_leaves_is_told_how_it_goes_on() {
    for (name, keys) in [("ctrl-d", "user:nobody\n"), ("half", "user:cfo\n"), ("empty", "\n")] {
        let folder = Folder::example(&format!("typed-{name}"), "01-quickstart");
        let run = typed(&folder, "run workflow.yaml", keys).ends(8);
        let (request, id) = (run.id("apr"), run.id("run"));
        let approve = format!("cognitionos approvals approve {request} --as user:cfo");
        let resume = format!("cognitionos run --resume {id}");
        run.says(&["waiting for approval", &approve, &resume]);
        // Nothing was said for anybody who said nothing.
        assert_eq!(folder.entries("approval.rejected").len(), 0);
        folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
        folder.cog(&["run", "--resume", &id]).ends(0).says(&["paid: 9"]);
    }
}

#[test]
fn ctrl_c_at_a_question_leaves_with_what_to_do() {
    let folder = Folder::example("typed-ctrl-c", "01-quickstart");
    let mut child = seated(&folder, "run workflow.yaml");
    let mut keys = child.stdin.take().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(b"leaves it open: ") {
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    keys.write_all(b"\x03").unwrap();
    out.read_to_end(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("go on with: cognitionos run --resume run_"), "{said}");
    assert_eq!(folder.entries("approval.rejected").len(), 0);
    folder.cog(&["approvals", "list"]).ends(0).says(&["amount_cents: 1248000"]);
}

#[test]
fn a_no_at_the_terminal_is_kept_with_its_reason() {
    let folder = Folder::example("typed-no", "01-quickstart");
    typed(&folder, "run workflow.yaml", "user:cfo\nn\nnot ordered\n").says(&["paid: 8"]).ends(0);
    let rejected = folder.entries("approval.rejected");
    let no = text(&rejected[0], &["data", "id"]);
    folder.cog(&["why", no]).ends(0).says(&["user:cfo said no on", "not ordered"]);
    folder.holds();
}

#[test]
fn a_run_that_waits_again_counts_what_it_did_before() {
    let folder = Folder::example("counts", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8).says(&["38 receipts", "1 asked"]);
    let again = ["run", "--resume", &parked.id("run")];
    folder.cog(&again).ends(8).says(&["38 receipts · 0 open · 3 denials · 1 asked · $0.001457"]);
}

const SLEEPS: &str = "name: sleeps\ndomain: d\nsteps:\n  - { id: nap, sleep: { ms: 600000 } }\n";

#[test]
fn a_signal_leaves_a_run_that_can_go_on() {
    for (signal, code, word) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        let folder = Folder::new(&format!("signal-{signal}"));
        folder.write("workflow.yaml", SLEEPS);
        let mut command = folder.command(&["run", "workflow.yaml"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (mut said, mut line) = (String::new(), String::new());
        while !line.contains("  sleep ") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended: {said}");
            said.push_str(&line);
        }
        assert!(line.contains("10 minutes"), "{line}");
        let run = crate::program::id(&said, "run").unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        out.read_to_string(&mut said).unwrap();
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{told}");
        for words in [word, &format!("go on with: cognitionos run --resume {run}")] {
            assert!(told.contains(words), "{told}");
        }
        let cancel =
            |who| folder.cog(&["run", "--cancel", &run, "--reason", "enough", "--as", who]);
        // There is no canon that could entitle anybody.
        cancel("user:ada").ends(4).says(&["Only user:operator, who began it, may end the run"]);
        cancel("user:operator").ends(0).says(&["cancelled"]);
        folder.holds();
    }
}

#[test]
fn what_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none() {
    let folder = Folder::example("full", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let lists: [&[&str]; 7] = [
        &["ledger", "list"],
        &["ledger", "show", "1", "--json"],
        &["why", "1"],
        &["approvals", "list", "--json"],
        &["canon", "list"],
        &["replay"],
        &["--help"],
    ];
    for arguments in lists {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = folder.command(arguments).stdout(full).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains("No space left"), "{arguments:?}: {told}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = folder.command(arguments).stdout(writer).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), told.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn what_a_model_says_forges_no_line() {
    let folder = Folder::example("forged", "01-quickstart");
    let hostile = r"Morel\\n  permit  invoice[99].pay by user:cfo\\u202e\\u200b\\u001b[2J";
    folder.change("recordings/reader.jsonl", "Papeterie Morel SARL", hostile);
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let list = folder.cog(&["ledger", "list", "--limit", "1000"]).ends(0);
    let plan = run.out.lines().find(|line| line.contains("invoice[99]")).unwrap();
    let why = crate::program::id(plan, "pln").unwrap();
    let shown = folder.cog(&["ledger", "show", &why]).ends(0);
    assert!(shown.out.contains(r"\u202e\u200b"), "{shown}");
    cog_base::json::parse(&shown.out).unwrap();
    let why = folder.cog(&["why", &why]).ends(0);
    let json = folder.cog(&["ledger", "list", "--limit", "1000", "--json"]).ends(0);
    for answer in [&run, &why] {
        assert!(
            answer.out.contains(r"Morel\n  permit  invoice[99].pay by user:cfo\u{202e}\u{200b}")
        );
        assert!(
            !answer.out.lines().any(|line| line.trim_start().starts_with("permit  invoice[99]"))
        );
    }
    for answer in [run, list, why, json] {
        let steers = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{200b}');
        assert!(!answer.out.contains(steers), "{answer}");
    }
}

#[test]
fn the_first_line_is_the_runs_and_each_stands_behind_what_it_rests_on() {
    let folder = Folder::example("order", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8);
    assert!(run.out.starts_with("pay-supplier-invoices  run_"), "{run}");
    let at = |words: &str| {
        let at = run.out.lines().position(|line| line.contains(words));
        at.unwrap_or_else(|| panic!("no `{words}` in {run}"))
    };
    let asked = at("  ask     invoice[13].pay");
    assert!(at("  done    invoice[13].read") < at("  plan    invoice[13].pay"));
    assert!(at("  plan    invoice[13].pay") < asked);
    assert!(at("  done    invoice[10].read") < at("  refuse  invoice[10].pay"));

    let folder = Folder::example("order-json", "02-refusal-and-why");
    let events = folder.cog(&["run", "workflow.yaml", "--json"]).ends(0).jsons();
    assert_eq!(text(&events[0], &["event"]), "started");
}

#[test]
fn a_step_that_fails_by_itself_has_a_line_with_its_place() {
    let folder = Folder::new("falls");
    let steps = "name: falls\ndomain: d\nsteps:\n  - { id: a, uses: compute, with: { x: 1 } }
  - { id: b, needs: [a], uses: compute, with: { y: \"${{ steps.a.output.z }}\" } }\n";
    folder.write("workflow.yaml", steps);
    let place = "could not evaluate `steps.a.output.z` (workflow.yaml:5:57): there is no `z`";
    let run = folder.cog(&["run", "workflow.yaml"]).ends(1);
    run.says(&[
        &format!("  failed  b                        {place}"),
        &format!("because: `b`: {place}"),
    ]);
}

#[test]
fn nothing_is_founded_for_a_run_whose_folders_are_not_there() {
    let folder = Folder::example("no-folder", "01-quickstart");
    folder.cog(&["run", "workflow.yaml", "--input", "folder=nowhere"]).ends(2).says(&["nowhere"]);
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    assert_eq!(folder.entries("canon.activated").len(), 1);
    let activated = folder.entries("canon.activated");
    let started = folder.entries("session.started");
    let seq = |entry: &Value| entry.get("seq").and_then(Value::as_u64).unwrap();
    assert_eq!(seq(&started[0]), seq(&activated[0]) + 1, "one founding, by the run that began");
}

#[test]
fn a_folder_that_is_gone_is_made_again_or_asked_for() {
    let folder = Folder::example("gone", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    std::fs::remove_dir_all(folder.path("out")).unwrap();
    std::fs::rename(folder.path("invoices"), folder.path("elsewhere")).unwrap();
    let resume = ["run", "--resume", &run];
    folder.cog(&resume).ends(2).says(&[
        "of the root `invoices` is gone",
        "put it back",
        "--cancel",
    ]);
    std::fs::rename(folder.path("elsewhere"), folder.path("invoices")).unwrap();
    folder.cog(&resume).ends(0);
    assert_eq!(folder.files("out/payments").len(), 1);
}

#[test]
fn what_is_said_wrongly_is_told_with_what_would_be_right() {
    let folder = Folder::example("wrongly", "01-quickstart");
    for name in ["Prod!", "", "9", "a b"] {
        let run = folder.cog(&["run", "workflow.yaml", "--environment", name]).ends(2);
        run.says(&["an environment is named by a-z first"]);
    }
    let twice = ["run", "workflow.yaml", "-i", "folder=a", "--input", "folder=invoices"];
    folder.cog(&twice).ends(2).says(&["`folder` is given twice", "one --input folder=VALUE"]);
    folder.cog(&["run", "/dev/zero"]).ends(2).says(&["it is a device, not a file"]);
    folder.cog(&["doctor", "--data", "/proc/cognitionos"]).ends(1).says(&["cannot be made"]);
    let none = ["approvals", "reject", "apr_x", "--as", "user:cfo", "--reason", " "];
    folder.cog(&none).ends(2).says(&["say why"]);
    assert!(!folder.has("data"));
    folder.write("w.yaml", "name: x\ndomain: d\ninputs: { t: { type: integer } }\nsteps:\n  - { id: a, uses: compute, with: { x: 1 } }\n");
    folder.cog(&["run", "w.yaml"]).ends(2).says(&["the input `t` is missing", "--input t=VALUE"]);
}

#[test]
fn what_waits_is_shown_with_what_would_be_done() {
    let folder = Folder::example("what-waits", "01-quickstart");
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    folder.cog(&["approvals", "list"]).ends(0).says(&["amount_cents: 1248000 (12480.00)"]);
    let list = folder.cog(&["approvals", "list", "--json"]).ends(0).json();
    let first = &list.as_list().unwrap()[0];
    assert_eq!(first.get("expired"), Some(&false.into()));
    let amount = first.at(&["args", "document", "invoice", "amount_cents"]);
    assert_eq!(amount, Some(&1_248_000_u64.into()));
}

/// The mark of the last run, as if the clock had stood so many hours earlier then.
fn set_mark_back(folder: &Folder, hours: i64) {
    let mark = cog_base::json::parse(&folder.read("data/clock.mark")).unwrap();
    let at = mark.get("at").and_then(Value::as_int).unwrap();
    let back = at - hours * 3_600_000_000;
    folder.change("data/clock.mark", &at.to_string(), &back.to_string());
}

#[test]
fn a_clock_that_went_too_far_is_told_before_anything_is_dated_by_it() {
    let folder = Folder::example("clock", "02-refusal-and-why");
    let run = || folder.cog(&["run", "workflow.yaml"]).ends(0);
    let told = "further than this machine was up";
    run();
    for (hours, expected) in [(0, false), (-99, false), (23, false), (25, true)] {
        set_mark_back(&folder, hours);
        let run = run();
        assert_eq!(run.err.contains(told), expected, "{hours}: {run}");
    }
    set_mark_back(&folder, 25);
    assert!(!folder.cog(&["run", "workflow.yaml", "--quiet"]).ends(0).err.contains(told));
    // What cannot be read is as if it were not there.
    folder.write("data/clock.mark", "{}");
    assert!(!run().err.contains(told));
    folder.cog(&["doctor"]).ends(0);
    folder.holds();
}

#[test]
fn why_tells_runs_and_outcomes_in_words() {
    let folder = Folder::example("why-run", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let why = folder.cog(&["why", &run]).ends(0).says(&[
        "user:operator started the workflow `pay-supplier-invoices`",
        "folder: ./invoices",
        "It is open",
        "It waits for the answer to apr_",
        "38 receipts · 0 open · 3 denials",
        "The supplier's country is on the sanctions list.",
    ]);
    assert!(!why.out.contains('{'), "{why}");
    let open = folder.cog(&["why", &run, "--json"]).ends(0).json();
    assert_eq!(text(&open, &["status"]), "open");
    let outcome = &folder.entries("outcome")[0];
    let seq = outcome.get("seq").and_then(Value::as_u64).unwrap().to_string();
    let told = folder.cog(&["why", &seq]).ends(0);
    told.says(&["user:operator to read a file in", "It was done", "What came of it:"]);
    let denial = text(&folder.entries("denial")[0], &["data", "id"]).to_owned();
    let why = folder.cog(&["why", &denial]).ends(0).says(&["amount_cents: 975000 (9750.00)"]);
    assert!(!why.out.contains('{') && !why.out.contains('…'), "{why}");

    let folder = Folder::example("why-boundless", "02-refusal-and-why");
    folder.change(
        "workflow.yaml",
        "budget: { cost_micros: 100000, effects: 10, minutes: 5 }\n",
        "",
    );
    folder.cog(&["run", "workflow.yaml"]);
    let receipt = text(&folder.entries("receipt")[0], &["data", "id"]).to_owned();
    let why = folder.cog(&["why", &receipt]).ends(0).says(&["no limit is set"]);
    assert!(!why.out.contains("of 0 used") && !why.out.contains("of $0.00"), "{why}");

    let folder = Folder::new("why-failed");
    folder.write("w.yaml", "name: f\ndomain: d\nsteps:\n  - { id: a, uses: compute, with: { x: \"${{ fail('no luck') }}\" } }\n");
    let run = folder.cog(&["run", "w.yaml"]).ends(1).id("run");
    folder.cog(&["why", &run]).ends(0).says(&["It ended as failed", "Because: step `a`: no luck"]);
    folder.cog(&["why", "run_00000000000000000000000000"]).ends(2).says(&["no run"]);
}

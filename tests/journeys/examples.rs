//! The examples: they print what their `expected.txt` says, and what they leave behind
//! replays and verifies.

use std::process::Command;

use crate::program::{Folder, program, workspace};

#[test]
fn each_example_prints_what_it_says_it_prints() {
    let script = workspace().join("examples/golden.sh");
    let run = Command::new("sh").arg(script).env("COGNITIONOS", program()).output().unwrap();
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().filter(|line| line.starts_with("same ")).count(), 6, "{out}");
}

/// Each example, the arguments of its run, and how that ends.
const RUNS: [(&str, &[&str], i32); 5] = [
    ("01-quickstart", &[], 8),
    ("02-refusal-and-why", &[], 0),
    ("03-choosing-a-plan", &["--input", "deadline_hours=24"], 4),
    ("04-survives-kill-9", &["--input", "pause_ms=1"], 0),
    ("06-change-the-canon", &["--canon", "canon-v1"], 0),
];

#[test]
fn what_an_example_leaves_behind_replays_and_verifies() {
    for (example, arguments, code) in RUNS {
        let folder = Folder::example(&format!("example-{}", &example[..2]), example);
        let run = [&["run", "workflow.yaml"], arguments].concat();
        folder.cog(&run).ends(code);
        folder.holds();
    }
}

#[test]
fn the_quickstart_pays_what_may_be_paid_and_nothing_else() {
    let folder = Folder::example("quickstart", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let paid = || folder.files("out/payments").len();
    assert_eq!(paid(), 8);
    let request = folder.cog(&["approvals", "list"]).ends(0).id("apr");
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["paid: 9, together 21672.13"]);
    assert_eq!(paid(), 9);
    assert_eq!(folder.entries("denial").len(), 3);
    folder.holds();
}

#[test]
fn the_bundle_of_somebody_else_holds_and_its_forgeries_do_not() {
    let folder = Folder::example("somebody-else", "05-verify-someone-elses-ledger");
    let verify = |bundle| folder.cog(&["verify", bundle, "--key", "someone.vkey", "--json"]);
    verify("someone.cogbundle").ends(0).json();
    for forged in ["edited.cogbundle", "cut.cogbundle"] {
        let report = verify(forged).ends(1).json();
        assert!(!report.get("findings").unwrap().as_list().unwrap().is_empty());
    }
    assert!(!folder.has("data"), "verifying needs no data folder");
}

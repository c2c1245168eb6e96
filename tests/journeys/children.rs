//! Runs that a run begins, from workflow files: with the program as a person uses it.

use std::time::Duration;

use cog_base::Value;

use crate::program::{Folder, text};

const MAIN: &str = "
name: orders
domain: demo
steps:
  - id: order
    foreach: [1, 2, 3]
    run: { workflow: ./parts/order.yaml, inputs: { number: \"${{ item }}\" } }
  - { id: sum, needs: [order], uses: compute, with: { all: \"${{ steps.order.output.map(i, string(i.output.twice)).join(' ') }}\" } }
outputs: { all: \"${{ steps.sum.output.all }}\" }
";
const ORDER: &str = "
name: order
domain: demo
inputs: { number: { type: integer } }
steps:
  - { id: nap, sleep: { ms: 40 } }
  - { id: check, needs: [nap], run: { workflow: check.yaml } }
outputs: { twice: \"${{ 2 * inputs.number }}\" }
";
const CHECK: &str = "
name: check
domain: demo
steps: [ { id: nap, sleep: { ms: 40 } } ]
";
const SEVEN: [&str; 7] = ["completed"; 7];

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("main.yaml", MAIN);
    folder.write("parts/order.yaml", ORDER);
    folder.write("parts/check.yaml", CHECK);
    folder
}

fn ends(folder: &Folder) -> Vec<String> {
    let seals = folder.entries("session.sealed");
    seals.iter().map(|seal| text(seal, &["data", "status"]).to_owned()).collect()
}

#[test]
fn a_run_begins_others_and_takes_what_they_give() {
    let folder = folder("children");
    let done = folder.cog(&["run", "main.yaml"]).ends(0).says(&["all: 2 4 6"]);
    let run = done.id("run");
    assert_eq!(ends(&folder), SEVEN);
    folder.holds();
    folder.cog(&["replay"]).ends(0).says(&[&run]);
    let why = folder.cog(&["why", &run]).ends(0);
    let why = why.says(&["It began these runs:", "./parts/order.yaml, step `order[1]`"]);
    let child = why.out.lines().find(|line| line.contains("order[0]")).unwrap().trim();
    let child = child.split(' ').next().unwrap();
    let told = folder.cog(&["why", child]).ends(0);
    told.says(&[&format!("It was begun by {run}, in its step `order[0]`."), "check.yaml"]);
    folder.cog(&["ledger", "list"]).ends(0).says(&["order[2] completed", "check check.yaml"]);
    let json = folder.cog(&["why", &run, "--json"]).ends(0).json();
    assert_eq!(json.get("children").and_then(Value::as_list).unwrap().len(), 3);
}

#[test]
fn what_is_wrong_with_a_file_that_is_run_later_is_told_at_once() {
    let folder = folder("children-errors");
    folder.write(
        "parts/check.yaml",
        "name: check\ndomain: demo\nsteps: [ { id: a, sleep: { ms: x } } ]\n",
    );
    let told = folder.cog(&["run", "main.yaml"]).ends(2);
    told.says(&["parts/check.yaml:3:32: `ms` must be an integer"]);
    folder.write(
        "parts/check.yaml",
        "name: check\ndomain: demo\nsteps: [ { id: a, run: { workflow: ../main.yaml } } ]\n",
    );
    let told = folder.cog(&["run", "main.yaml"]).ends(2);
    told.says(&["parts/check.yaml:3:36: `../main.yaml` would come to run itself"]);
    assert!(!folder.has("data"));
}

#[test]
fn what_waits_in_a_run_that_was_begun_is_told_and_all_goes_on() {
    let folder = folder("children-wait");
    folder.change("parts/check.yaml", "sleep: { ms: 40 }", "wait_for: { signal: go }");
    let parked = folder.cog(&["run", "main.yaml"]).ends(8);
    let run = parked.id("run");
    let signal = |line: &str| line.trim().starts_with("cognitionos signal run_");
    let lines: Vec<_> = parked.out.lines().filter(|line| signal(line)).collect();
    assert_eq!(lines.len(), 3, "{parked}");
    folder.cog(&["pause", &run, "--reason", "look"]).ends(0);
    assert_eq!(folder.entries("session.paused").len(), 7);
    folder.cog(&["run", "--resume", &run]).ends(8).says(&["paused", &format!("unpause {run}")]);
    folder.cog(&["unpause", &run, "--reason", "seen"]).ends(0);
    for line in lines {
        let waiting = line.trim().split(' ').nth(2).unwrap();
        folder.cog(&["signal", waiting, "go", "--id", "go-1"]).ends(0);
    }
    // What the files say by now does not matter to a run that has begun.
    folder.write("parts/order.yaml", "nothing");
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["all: 2 4 6"]);
    assert_eq!(ends(&folder), SEVEN);
    folder.holds();
}

#[test]
fn whoever_ends_a_run_ends_those_that_it_began() {
    let folder = folder("children-cancel");
    folder.change("parts/check.yaml", "sleep: { ms: 40 }", "wait_for: { signal: go }");
    let run = folder.cog(&["run", "main.yaml"]).ends(8).id("run");
    folder.cog(&["run", "--cancel", &run, "--reason", "enough"]).ends(0);
    assert_eq!(ends(&folder), ["cancelled"; 7]);
    folder.holds();
}

#[test]
fn a_tree_of_runs_that_is_killed_goes_on_where_it_was() {
    for ms in [20, 60, 90, 120, 160, 220] {
        let folder = folder("children-killed");
        let mut child = folder.start(&["run", "main.yaml"]);
        std::thread::sleep(Duration::from_millis(ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let list = folder.cog(&["ledger", "list", "--json", "--kind", "session.started"]);
        let Some(run) = crate::program::id(&list.out, "run") else { continue };
        let resumed = folder.cog(&["run", "--resume", &run]);
        assert!(resumed.code == 0 || resumed.code == 7, "{resumed}");
        assert_eq!(ends(&folder), SEVEN, "{ms}");
        folder.holds();
    }
}

#[test]
fn runs_that_a_run_began_are_told_from_others() {
    let folder = folder("children-told");
    folder.write(
        "parts/check.yaml",
        "name: check\ndomain: demo\nsteps: [ { id: w, wait_for: { signal: go } } ]\n",
    );
    let run = folder.cog(&["run", "main.yaml"]).ends(8).id("run");
    let runs = folder.cog(&["runs", "--json"]).ends(0).json();
    let of = |it: &&Value| it.get("parent").and_then(Value::as_text) == Some(run.as_str());
    assert_eq!(runs.as_list().unwrap().iter().filter(of).count(), 3);
    folder.cog(&["runs"]).ends(0).says(&[&format!("begun by {run}, step order[0]")]);
    folder.cog(&["why", &run]).ends(0).says(&["Runs that it began are open:"]);
}

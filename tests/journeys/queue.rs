//! Runs that wait for their turn, in a data folder and among nodes: limits, rates, times, and what is
//! told of them.

use cog_base::Value;

use crate::nodes::{Town, wait_until};
use crate::program::{Answer, Folder, id, text};

const HEAD: &str = "
name: sync
domain: demo
inputs: { customer: { type: string } }
";
const WAITS: &str = "
steps:
  - id: go
    wait_for: { signal: go }
";

fn flow(folder: &Folder, limits: &str) {
    folder.write("workflow.yaml", &format!("{HEAD}{limits}{WAITS}"));
}

fn run(folder: &Folder, customer: &str, more: &[&str]) -> Answer {
    let input = format!("customer={customer}");
    folder.cog(&[&["run", "workflow.yaml", "--input", &input], more].concat())
}

const ONE: &str = "concurrency: { key: \"${{ inputs.customer }}\", limit: 1 }";

#[test]
fn a_run_of_a_key_waits_for_its_turn_and_begins_then() {
    let folder = Folder::new("queue");
    flow(&folder, ONE);
    let first = run(&folder, "acme", &[]).ends(8).id("run");
    run(&folder, "other", &[]).ends(8).says(&["waiting for a signal"]);
    let queued = run(&folder, "acme", &[]).ends(8);
    let second = queued.id("run");
    let resume = format!("cognitionos run --resume {second}");
    queued.says(&["queued", "as many runs of its key are open as may be", &first, &resume]);

    folder.cog(&["run", "--resume", &second]).ends(8).says(&["queued", &first]);
    folder.cog(&["why", &second]).ends(0).says(&["asked for a run", "waits for its turn", &first]);
    let status = ["runs", "--status", "queued"];
    folder.cog(&status).ends(0).says(&["queued", &second, "asked for", &first]);
    folder.cog(&["ledger", "list"]).ends(0).says(&["session.queued"]);

    let reason = ["--reason", "the customer left"];
    let ended = folder.cog(&[&["run", "--cancel", &first], &reason[..]].concat()).ends(0);
    ended.says(&["may begin", &resume]);
    folder.cog(&["why", &second]).ends(0).says(&["it may begin now"]);
    folder.cog(&["run", "--resume", &second]).ends(8).says(&["waiting for a signal"]);
    assert!(!folder.cog(&status).ends(0).out.contains(&second));
    folder.cog(&["signal", &second, "go"]).ends(0);
    folder.cog(&["run", "--resume", &second]).ends(0);
    folder.cog(&["replay", &second]).ends(0);
    folder.holds();
}

#[test]
fn a_run_that_waits_is_withdrawn_and_never_begins() {
    let folder = Folder::new("queue-withdrawn");
    flow(&folder, ONE);
    run(&folder, "acme", &[]).ends(8);
    let second = run(&folder, "acme", &[]).ends(8).id("run");
    let cancel = ["run", "--cancel", &second, "--reason", "asked for twice"];
    folder.cog(&[&cancel[..], &["--as", "user:eve"]].concat()).ends(4);
    folder.cog(&cancel).ends(0).says(&["cancelled", &second]);
    folder.cog(&cancel).ends(7).says(&["never begins"]);
    folder.cog(&["run", "--resume", &second]).ends(7).says(&["never begins", "asked for twice"]);
    folder.cog(&["why", &second]).ends(0).says(&["never begins (cancelled", "asked for twice"]);
    folder.cog(&["runs", "--status", "cancelled"]).ends(0).says(&[&second, "asked for twice"]);
    folder.holds();
}

#[test]
fn a_run_is_refused_where_as_many_are_open_as_may_be() {
    let folder = Folder::new("queue-refused");
    flow(&folder, "concurrency: { limit: 1, when_full: refuse }");
    let first = run(&folder, "acme", &[]).ends(8).id("run");
    let refused = run(&folder, "other", &[]).ends(5).says(&["refused", &first]);
    folder.cog(&["why", &refused.id("run")]).ends(0).says(&["never begins (refused", &first]);
    folder.holds();
}

#[test]
fn a_new_run_takes_the_place_of_the_one_that_is_open() {
    let folder = Folder::new("queue-cancels");
    flow(&folder, "concurrency: { limit: 1, when_full: cancel_running }");
    let first = run(&folder, "acme", &[]).ends(8).id("run");
    run(&folder, "other", &[]).ends(8).says(&["waiting for a signal"]);
    folder.cog(&["why", &first]).ends(0).says(&["cancelled", "takes its place"]);
    folder.holds();
}

#[test]
fn nothing_is_ended_for_a_run_that_cannot_begin_yet() {
    let folder = Folder::new("queue-cancels-later");
    let cancels = "concurrency: { limit: 1, when_full: cancel_running }";
    flow(&folder, cancels);
    let first = run(&folder, "acme", &[]).ends(8).id("run");
    run(&folder, "other", &["--not-before", "2h"]).ends(8).says(&["queued", "it begins at"]);
    folder.cog(&["runs", "--status", "open"]).ends(0).says(&[&first]);
    flow(&folder, &format!("{cancels}\nrate: {{ count: 1, per_seconds: 3 }}"));
    run(&folder, "acme", &[]).ends(8).says(&["waiting for a signal"]);
    let second = folder.cog(&["runs", "--status", "open"]).ends(0).id("run");
    assert_ne!(second, first);
    folder.cog(&["why", &first]).ends(0).says(&["cancelled", "takes its place"]);
    let third = run(&folder, "acme", &[]).ends(8).says(&["queued"]).id("run");
    folder.cog(&["runs", "--status", "open"]).ends(0).says(&[&second]);
    wait_until("its rate lets it begin", || {
        let resumed = folder.cog(&["run", "--resume", &third]).ends(8);
        resumed.out.contains("waiting for a signal")
    });
    folder.cog(&["why", &second]).ends(0).says(&["cancelled", &third, "takes its place"]);
    folder.holds();
}

#[test]
fn a_rate_and_a_time_put_a_run_off() {
    let folder = Folder::new("queue-put-off");
    flow(&folder, "rate: { key: \"${{ inputs.customer }}\", count: 1, per_seconds: 3600 }");
    run(&folder, "acme", &[]).ends(8).says(&["waiting for a signal"]);
    run(&folder, "acme", &[]).ends(8).says(&["queued", "as many runs of its key began as may"]);
    flow(&folder, "priority: 7");
    let off = run(&folder, "acme", &["--not-before", "2h"]).ends(8);
    off.says(&["queued", "it begins at"]);
    run(&folder, "acme", &["--priority", "9"]).ends(8).says(&["waiting for a signal"]);
    for bad in ["soon", "500d", "9x"] {
        run(&folder, "acme", &["--not-before", bad]).ends(2).says(&["no time within 366 days"]);
    }
    folder.holds();
}

#[test]
fn limits_that_cannot_be_are_refused_with_their_place_before_anything_is_written() {
    let folder = Folder::new("queue-bad");
    let check = |limits: &str, said: &[&str]| {
        flow(&folder, limits);
        let place = ["workflow.yaml:5:"];
        run(&folder, "acme", &[]).ends(2).says(&[&place, said].concat());
    };
    check("priority: 10", &["`priority` must be from 0 to 9"]);
    check("concurrency: { key: a }", &["limit"]);
    check("concurrency: { limit: 0 }", &["`limit` must be from 1 to"]);
    check("concurrency: { limit: 1, when_full: wait }", &["`when_full` cannot be `wait`"]);
    check("concurrency: { limit: 1, most: 2 }", &["most"]);
    check("concurrency: { key: \"${{ steps.go.output }}\", limit: 1 }", &["steps"]);
    check("rate: { count: 1 }", &["per_seconds"]);
    check("rate: { count: 1, per_seconds: 86401 }", &["`per_seconds` must be from 1 to 86400"]);
    assert!(!folder.has(".cognitionos"));
    flow(&folder, ONE);
    run(&folder, "", &[]).ends(2).says(&["the key of `concurrency` is empty"]);
    assert!(!folder.has(".cognitionos"));
}

/// What says of a run that has not begun why nothing can be done with it.
fn is_told_why(cog: &dyn Fn(&[&str]) -> Answer, fork: &str, run: &str, why: &str) {
    let commands: [&[&str]; 8] = [
        &["signal", run, "go"],
        &["pause", run, "--reason", "an audit"],
        &[fork, "--fork", run, "--from", "go"],
        &["checkpoint", "create", run, "here", "--step", "go"],
        &["replay", run],
        &["redrive", run],
        &["ledger", "list", "--run", run],
        &["logs", run],
    ];
    for command in commands {
        cog(command).ends(7).says(&[run, why, "cognitionos why "]).says(&[&format!(" {run}\n")]);
    }
}

#[test]
fn whatever_names_a_run_that_has_not_begun_says_so() {
    let folder = Folder::new("queue-named");
    flow(&folder, ONE);
    run(&folder, "acme", &[]).ends(8);
    let second = run(&folder, "acme", &[]).ends(8).id("run");
    let cog = |arguments: &[&str]| folder.cog(arguments);
    is_told_why(&cog, "run", &second, "has not begun: it waits for its turn");
    let eve = ["run", "--cancel", &second, "--reason", "no", "--as", "user:eve"];
    let refused = folder.cog(&eve).ends(4).says(&["may not end", "It takes user:operator"]);
    let denial = id(&refused.err, "dny").unwrap();
    folder.cog(&["why", &denial]).ends(0).says(&["user:eve", "refused"]);
    folder.cog(&["run", "--cancel", &second, "--reason", "asked for twice"]).ends(0);
    is_told_why(&cog, "run", &second, "never begins, cancelled: asked for twice");
    folder.holds();
}

#[test]
fn runs_of_nodes_that_wait_for_their_turn_are_named_and_withdrawn_as_in_a_folder() {
    let town = Town::new("queue-nodes");
    let head = HEAD.replace("demo", "archive");
    let outputs = "outputs: { customer: \"${{ inputs.customer }}\" }\n";
    town.folder.write("sync.yaml", &format!("{head}{ONE}{WAITS}{outputs}"));
    let tenant = town.new_tenant();
    let cog = |arguments: &[&str]| town.cog(&[arguments, &["--tenant", &tenant]].concat());
    let node = town.node("one");
    let submit = ["submit", "sync.yaml", "--input", "customer=acme"];
    let wait = [&submit[..], &["--key", "first", "--wait"]].concat();
    let first = cog(&wait).ends(8).id("run");
    let second = cog(&submit).ends(0).id("run");
    let third = cog(&submit).ends(0).id("run");
    wait_until("both are asked for", || {
        let waiting = cog(&["runs", "--status", "queued"]).ends(0).out;
        waiting.contains(&second) && waiting.contains(&third)
    });
    is_told_why(&cog, "submit", &second, "has not begun: it waits for its turn");

    let reason = ["--reason", "asked for twice"];
    let cancel =
        |run: &str, more: &[&str]| cog(&[&["run", "--cancel", run], &reason[..], more].concat());
    let refused = cancel(&second, &["--as", "user:eve"]).ends(4);
    let refused = refused.says(&["may not end", "It takes user:operator", "cognitionos why "]);
    let denial = id(&refused.err, "dny").unwrap();
    cog(&["why", &denial]).ends(0).says(&["user:eve", "refused"]);
    let told = cancel(&second, &["--json"]).ends(0).json();
    assert_eq!([text(&told, &["run"]), text(&told, &["status"])], [second.as_str(), "cancelled"]);
    cancel(&second, &[]).ends(7).says(&["never begins, cancelled: asked for twice"]);
    is_told_why(&cog, "submit", &second, "never begins, cancelled: asked for twice");
    cancel(&third, &[]).ends(0).says(&["cancelled", &third]);

    cog(&["signal", &first, "go"]).ends(0);
    cog(&wait).ends(0).says(&["completed", " 0 denials", "customer: acme"]);
    let told = cog(&[&wait[..], &["--json"]].concat()).ends(0).jsons();
    let sealed = told.iter().find(|told| text(told, &["event"]) == "sealed").unwrap();
    assert_eq!(text(sealed, &["output", "customer"]), "acme", "{sealed}");
    assert_eq!(sealed.get("spent_micros").and_then(Value::as_u64), Some(0), "{sealed}");
    cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
    node.ends();
}

//! Versions of a workflow: activated once the recorded runs follow from them, and what is started.

use cog_base::Value;

use crate::forks::permitted;
use crate::nodes::Town;
use crate::program::{Folder, text};

const FLOW: &str = "
name: letters
domain: forks
inputs: { who: { type: string, default: ann } }
roots: { out: { path: ./out, access: write, create: true } }
steps:
  - { id: body, uses: compute, with: { text: \"Dear ${{ inputs.who }}\" } }
  - { id: save, needs: [body], uses: file.write, with: { root: out, path: \"${{ inputs.who }}.txt\", text: \"${{ steps.body.output.text }}\", mode: replace } }
outputs: { bytes: \"${{ steps.save.output.bytes }}\" }
";

/// What comes to the same for every run.
fn other_words() -> String {
    FLOW.replace("Dear ${{ inputs.who }}", "${{ 'Dear ' + inputs.who }}")
}

/// What does not.
fn other_letters() -> String {
    FLOW.replace("Dear ", "Hello ")
}

fn letters(name: &str) -> Folder {
    let folder = permitted(name);
    folder.write("letters.yaml", FLOW);
    folder
}

/// How many runs came to what, as the newest version says.
fn tested(folder: &Folder) -> Vec<u64> {
    let newest = folder.entries("workflow.activated").pop().unwrap();
    let count = |word| newest.at(&["data", "tested", word]).and_then(Value::as_u64).unwrap();
    ["same", "differs", "earlier", "unknown"].map(count).to_vec()
}

#[test]
fn a_version_is_activated_once_the_recorded_runs_follow_from_it() {
    let folder = letters("versions");
    let run = folder.cog(&["run", "letters.yaml"]).ends(0).id("run");
    folder.cog(&["workflows"]).ends(0).says(&["no workflow has an active version"]);
    folder.cog(&["workflows", "show", "letters"]).ends(2).says(&["workflows list"]);
    let activate =
        |file: &str, more: &[&str]| folder.cog(&[&["workflows", "activate", file], more].concat());
    activate("letters.yaml", &[]).ends(0).says(&["same", &run, "activated  letters@1"]);
    activate("letters.yaml", &[]).ends(0).says(&["unchanged  letters@1"]);
    assert_eq!(
        (folder.entries("workflow.activated").len(), tested(&folder)),
        (1, vec![1, 0, 0, 0])
    );

    // Another file is refused wherever it would be started, before anything is recorded.
    folder.write("v2.yaml", &other_words());
    folder.write("v3.yaml", &other_letters());
    let told = ["is not version 1 of `letters`", "cognitionos workflows activate v2.yaml"];
    let runs = folder.entries("session.started").len();
    folder.cog(&["run", "v2.yaml"]).ends(7).says(&told);
    folder.cog(&["run", "v2.yaml", "--dry-run"]).ends(0);
    let on = "on: { schedule: [{ id: often, every_ms: 1000 }] }\nsteps:";
    folder.write("often.yaml", &FLOW.replace("steps:", on));
    folder.cog(&["schedules", "set", "often.yaml"]).ends(7).says(&["is not version 1"]);
    assert_eq!(folder.entries("session.started").len(), runs);
    assert_eq!(folder.entries("schedule.set").len(), 0);
    folder.cog(&["run", "letters.yaml"]).ends(0);

    activate("v2.yaml", &[]).ends(0).says(&["activated  letters@2"]);
    folder.cog(&["run", "letters.yaml"]).ends(7).says(&["is not version 2"]);
    folder.cog(&["run", "v2.yaml"]).ends(0);

    let no = activate("v3.yaml", &[]).ends(7);
    no.says(&["differs", &run, "3 recorded runs of `letters` would not have come to the same"]);
    let json = activate("v3.yaml", &["--json"]).ends(7).json();
    assert_eq!(text(&json, &["stands"]), "refused");
    assert_eq!(json.at(&["tested", "differs"]).and_then(Value::as_u64), Some(3));
    assert_eq!(folder.entries("workflow.activated").len(), 2);
    let despite = ["--despite-runs", "the board wants it friendlier"];
    activate("v3.yaml", &despite).ends(0).says(&["activated  letters@3"]);
    assert_eq!(tested(&folder), [0, 3, 0, 0]);
    folder.cog(&["run", "v3.yaml"]).ends(0);
    // Runs of versions that were left behind on purpose keep nobody from the next one.
    folder
        .write("v4.yaml", &other_letters().replace("mode: replace", "mode: \"${{ 'replace' }}\""));
    activate("v4.yaml", &[]).ends(0).says(&["earlier version"]);
    assert_eq!(tested(&folder), [1, 0, 3, 0]);
    folder.cog(&["why", "letters"]).ends(2);
    let seq = folder.entries("workflow.activated")[2].get("seq").unwrap().to_string();
    let sentence =
        ["activated version 3 of `letters`", "Of 3 recorded runs, 0 follow", "friendlier"];
    folder.cog(&["ledger", "show", &seq]).ends(0).says(&sentence[2..]);
    folder.cog(&["why", &seq]).ends(0).says(&sentence);
    folder.holds();
}

#[test]
fn versions_are_listed_shown_compared_and_restored() {
    let folder = letters("versions-shown");
    folder.write("v2.yaml", &other_letters());
    folder.cog(&["workflows", "activate", "letters.yaml"]).ends(0);
    folder.cog(&["run", "letters.yaml"]).ends(0);
    let reason = ["--despite-runs", "friendlier"];
    let v2 = ["workflows", "activate", "v2.yaml"];
    folder.cog(&[&v2[..], &reason].concat()).ends(0);
    folder.cog(&["workflows", "list"]).ends(0).says(&["letters@2  forks", "active"]);
    let shown = folder.cog(&["workflows", "show", "letters"]).ends(0);
    shown.says(&["letters@1", "letters@2", "friendlier", "Hello ${{ inputs.who }}"]);
    folder.cog(&["workflows", "show", "letters@1"]).ends(0).says(&["Dear ${{ inputs.who }}"]);
    folder.cog(&["workflows", "show", "letters@9"]).ends(2).says(&["there is no version 9"]);
    folder.cog(&["workflows", "show", "letters@x"]).ends(2).says(&["is no version"]);
    let diff = folder.cog(&["workflows", "diff", "letters"]).ends(0);
    diff.says(&["-  - { id: body", "Dear", "+  - { id: body", "Hello"]);
    let json = folder.cog(&["workflows", "diff", "letters", "2", "1", "--json"]).ends(0).json();
    assert_eq!(json.get("from").and_then(Value::as_u64), Some(2));

    // The first run follows from what is restored: it does not from the version that was active.
    let back = folder.cog(&["workflows", "restore", "letters", "1"]).ends(0);
    back.says(&["same", "activated  letters@3"]);
    folder.cog(&["run", "letters.yaml"]).ends(0);
    folder.cog(&["run", "v2.yaml"]).ends(7);
    // What runs are started from is not erased.
    let of = |place: usize| {
        let seq = folder.entries("workflow.activated")[place].get("seq").unwrap().to_string();
        let erase = ["ledger", "erase", "--entry", &seq, "--reason", "asked for"];
        folder.cog(&[&erase[..], &["--as", "user:operator"]].concat())
    };
    of(2).ends(7).says(&["holds the active version of `letters`"]);
    of(1).ends(0);
    let restore = ["workflows", "restore", "letters", "2"];
    folder.cog(&restore).ends(1).says(&["version 2 of `letters` cannot be read"]);
    folder.holds();
}

#[test]
fn an_open_run_and_a_schedule_stay_on_what_they_began_with() {
    let folder = letters("versions-open");
    let waits = FLOW.replace(
        "outputs:",
        "  - { id: go, needs: [save], wait_for: { signal: go } }\non: { schedule: [{ id: often, every_ms: 1000, catch_up_minutes: 60 }] }\noutputs:",
    );
    folder.write("letters.yaml", &waits.replace("wait_for: { signal: go }", "sleep: { ms: 1 }"));
    folder.write("waits.yaml", &waits);
    let open = folder.cog(&["run", "waits.yaml"]).ends(8).id("run");
    folder.cog(&["schedules", "set", "letters.yaml"]).ends(0);
    let activate = ["workflows", "activate", "waits.yaml"];
    folder.cog(&activate).ends(0).says(&["open", "the schedule `often` goes on starting"]);
    folder.write("v2.yaml", &waits.replace("Dear", "Hello"));
    let despite = ["--despite-runs", "friendlier"];
    folder.cog(&[&["workflows", "activate", "v2.yaml"][..], &despite].concat()).ends(0);
    folder.cog(&["signal", &open, "go"]).ends(0);
    folder.cog(&["run", "--resume", &open]).ends(0);
    folder.cog(&["run", "--fork", &open, "--from", "go"]).ends(8);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    folder.cog(&["schedules", "run", "--once"]).ends(0);
    let started = folder.entries("schedule.fired");
    assert!(started.iter().any(|it| it.at(&["data", "run"]).is_some()), "{started:?}");
    folder.cog(&["schedules", "remove", "often"]).ends(0);
    folder.holds();
}

#[test]
fn who_may_activate_is_said_by_the_canon() {
    let folder = letters("versions-who");
    let activate = |who: &str| folder.cog(&["workflows", "activate", "letters.yaml", "--as", who]);
    folder.change("canon/canon.toml", "[change]", "[runs]\nactivate = [\"user:boss\"]\n[change]");
    folder.cog(&["run", "letters.yaml"]).ends(0);
    let no = ["user:operator may not activate a version of `letters`. It takes user:boss."];
    activate("user:operator").ends(4).says(&no);
    activate("user:operator").ends(4).says(&["cognitionos why dny_"]);
    let denials = folder.entries("denial");
    assert_eq!(denials.len(), 1, "it is on record once");
    assert_eq!(text(&denials[0], &["data", "code"]), "workflow.not_entitled");
    assert_eq!(folder.entries("workflow.activated").len(), 0);
    activate("user:boss").ends(0);
    folder.holds();
}

#[test]
fn a_workflow_is_run_by_its_name_from_the_version_that_is_active() {
    let folder = letters("versions-named");
    let gone = |file: &str| std::fs::remove_file(folder.path(file)).unwrap();
    folder
        .cog(&["run", "letters"])
        .ends(2)
        .says(&["there is no file `letters`", "name a workflow"]);
    assert!(!folder.has("data"));
    folder.cog(&["run", "letters.yaml"]).ends(0);
    folder.cog(&["run", "letters"]).ends(2).says(&["no workflow of this name", "name a workflow"]);
    folder.cog(&["workflows", "activate", "letters.yaml"]).ends(0);
    gone("letters.yaml");
    // A path and what ends as a file does is a file, whatever is active.
    for file in ["letters.yaml", "./letters", "letters.json", "a/b/letters"] {
        folder.cog(&["run", file]).ends(2).says(&["cannot read"]);
    }
    folder.cog(&["run", "lettres"]).ends(2).says(&["did you mean `letters`?", "workflows list"]);
    folder.cog(&["run", "other/letters"]).ends(2).says(&["no workflow of this name", "letters"]);
    folder.cog(&["run", "letters", "--input", "whom=bea"]).ends(2).says(&["whom"]);
    let dry = folder.cog(&["run", "letters", "--dry-run"]).ends(0);
    dry.says(&["letters@1", "1 effect would be performed"]);
    assert!(!folder.has("out/bea.txt"));
    let run = folder.cog(&["run", "letters", "--input", "who=bea"]).ends(0);
    run.says(&["letters@1"]);
    assert_eq!(folder.read("out/bea.txt"), "Dear bea");
    let of_key = ["run", "letters", "--input", "who=cid", "--key", "cid"];
    let keyed = folder.cog(&of_key).ends(0).id("run");

    // The next version is what the name stands for from then on, but not for what was asked for before.
    folder.write("v2.yaml", &other_letters());
    let despite = ["--despite-runs", "friendlier"];
    folder.cog(&[&["workflows", "activate", "v2.yaml"][..], &despite].concat()).ends(0);
    gone("v2.yaml");
    let json = folder.cog(&["run", "forks/letters", "--input", "who=bea", "--json"]).ends(0);
    json.says(&["\"completed\""]);
    assert_eq!(folder.read("out/bea.txt"), "Hello bea");
    let runs = folder.entries("session.started").len();
    folder.cog(&of_key).ends(0).says(&["was asked for before", &keyed]);
    assert_eq!(
        (folder.entries("session.started").len(), folder.read("out/cid.txt")),
        (runs, "Dear cid".into())
    );
    let other = ["run", "letters", "--input", "who=dan", "--key", "cid"];
    folder.cog(&other).ends(7).says(&["something else was asked for as `cid`"]);

    // A file of that name is a file, and what is of several domains is said in full.
    folder.write("letters", &other_letters());
    folder.cog(&["run", "letters"]).ends(0);
    gone("letters");
    std::fs::create_dir(folder.path("letters")).unwrap();
    folder.cog(&["run", "letters"]).ends(0);
    folder.write("elsewhere.yaml", &FLOW.replace("domain: forks", "domain: other"));
    folder.cog(&["workflows", "activate", "elsewhere.yaml"]).ends(0);
    std::fs::remove_dir(folder.path("letters")).unwrap();
    let several = folder.cog(&["run", "letters"]).ends(2);
    several.says(&["several domains", "say which: forks/letters, other/letters"]);
    folder.cog(&["run", "forks/letters"]).ends(0);
    folder.holds();
}

#[test]
fn a_workflow_that_runs_others_is_run_by_its_name_without_any_file() {
    let folder = letters("versions-family");
    folder.write("parts/letters.yaml", FLOW);
    let post = "
name: post
domain: forks
steps:
  - { id: one, run: { workflow: parts/letters.yaml, inputs: { who: bea } } }
  - { id: go, needs: [one], wait_for: { signal: go } }
outputs: { bytes: \"${{ steps.one.output.bytes }}\" }
";
    folder.write("post.yaml", post);
    folder.cog(&["workflows", "activate", "post.yaml"]).ends(0);
    std::fs::remove_dir_all(folder.path("parts")).unwrap();
    std::fs::remove_file(folder.path("post.yaml")).unwrap();
    let run = folder.cog(&["run", "post"]).ends(8).id("run");
    assert_eq!(folder.read("parts/out/bea.txt"), "Dear bea");
    folder.cog(&["signal", &run, "go"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    folder.holds();
}

#[test]
fn nodes_start_the_active_version_alone() {
    let town = Town::new("versions-nodes");
    let tenant = town.new_tenant();
    let node = town.node("one");
    let at = ["--tenant", &tenant];
    let cog = |words: &[&str]| town.cog(&[words, &at].concat());
    let submit = |file: &str, key: &str, more: &[&str]| {
        let folder = format!("folder=pages/{key}");
        let inputs = ["--input", &folder, "--input", "pause_ms=1", "--wait"];
        cog(&[&["submit", file], &inputs[..], more].concat())
    };
    submit("workflow.yaml", "a", &["--new-tenant"]).ends(0);
    let activate = |file: &str, who: &str| cog(&["workflows", "activate", file, "--as", who]);
    activate("workflow.yaml", "user:nobody").ends(4).says(&["may not activate"]);
    activate("workflow.yaml", "user:operator").ends(0).says(&["same", "@1"]);
    let source = town.folder.read("workflow.yaml");
    town.folder.write("v2.yaml", &source.replace("One of many runs", "One of many, many runs"));
    submit("v2.yaml", "b", &[]).ends(7).says(&["is not version 1"]);
    submit("workflow.yaml", "c", &[]).ends(0);
    activate("v2.yaml", "user:operator").ends(0).says(&["@2"]);
    submit("workflow.yaml", "d", &[]).ends(7).says(&["is not version 2"]);
    submit("v2.yaml", "e", &[]).ends(0);
    cog(&["workflows", "list"]).ends(0).says(&["write-twelve-files@2", "active"]);
    cog(&["workflows", "restore", "write-twelve-files", "1"]).ends(0).says(&["@3"]);
    submit("v2.yaml", "f", &[]).ends(7).says(&["is not version 3"]);
    submit("workflow.yaml", "g", &[]).ends(0);
    // The name does instead of the file; under a key it stays what was asked for before.
    let named = "write-twelve-files";
    let file = town.folder.path("workflow.yaml");
    std::fs::rename(&file, town.folder.path("gone.txt")).unwrap();
    submit(named, "h", &[]).ends(0).says(&["write-twelve-files@3"]);
    let keyed = submit(named, "i", &["--key", "i"]).ends(0).id("run");
    cog(&["workflows", "restore", named, "2"]).ends(0).says(&["@4"]);
    submit(named, "i", &["--key", "i"]).ends(0).says(&[&keyed, "it was asked for before"]);
    submit(named, "j", &["--key", "i"]).ends(7).says(&["something else was asked for as `i`"]);
    submit("write-twelv-files", "k", &[]).ends(2).says(&["did you mean `write-twelve-files`?"]);
    submit("workflow.yaml", "k", &[]).ends(2).says(&["cannot read workflow.yaml"]);
    cog(&["ledger", "verify"]).ends(0);
    node.kill();
}

#[test]
fn a_definition_that_somebody_alters_in_the_database_is_not_the_version() {
    let folder = letters("versions-altered");
    folder.cog(&["workflows", "activate", "letters.yaml"]).ends(0);
    folder.write("v2.yaml", &other_words());
    folder.cog(&["workflows", "activate", "v2.yaml"]).ends(0);
    folder.is_tampered_with();
    let database = rusqlite::Connection::open(folder.path("data/ledger.db")).unwrap();
    // The sealed definition of the first version in place of that of the second.
    let swap = "UPDATE body SET sealed = (SELECT sealed FROM body ORDER BY place LIMIT 1)";
    database.execute_batch(swap).unwrap();
    for command in [
        &["workflows", "show", "letters@2"][..],
        &["workflows", "diff", "letters"],
        &["workflows", "restore", "letters", "1"],
        &["workflows", "activate", "letters.yaml"],
        &["ledger", "verify"],
    ] {
        folder.cog(command).ends(1).says(&["entry 2"]);
    }
}

//! Runs that continue as new, in a data folder: followed, found by any run of their chain, told.

use cog_base::Value;

use crate::program::{Folder, text};

const HEARS: &str = "
name: hears
domain: demo
inputs: { n: { type: integer, default: 0 } }
steps:
  - { id: go, wait_for: { signal: go } }
  - id: again
    needs: [go]
    if: steps.go.output.payload != \"stop\"
    continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } }
outputs: { n: \"${{ inputs.n }}\" }
";
const COUNTS: &str = "
name: counts
domain: demo
inputs: { n: { type: integer, default: 0 } }
steps:
  - { id: nap, sleep: { ms: 1000 } }
  - { id: again, needs: [nap], if: inputs.n < 2, continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } } }
outputs: { n: \"${{ inputs.n }}\" }
";

fn folder(name: &str, flow: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("workflow.yaml", flow);
    folder
}

/// The runs in the order in which they began, and how each was sealed.
fn runs(folder: &Folder) -> (Vec<String>, Vec<String>) {
    let of = |kind: &str, path: &[&str]| -> Vec<String> {
        folder.entries(kind).iter().map(|entry| text(entry, path).to_owned()).collect()
    };
    (of("session.started", &["session"]), of("session.sealed", &["data", "status"]))
}

#[test]
fn a_chain_is_followed_to_its_end_and_told() {
    let folder = folder("again", COUNTS);
    let done = folder.cog(&["run", "workflow.yaml"]).ends(0);
    done.says(&["continue", "completed", "n: 2"]);
    let (runs, seals) = runs(&folder);
    assert_eq!(seals, ["continued", "continued", "completed"]);
    let [first, second, third] = runs.as_slice() else { panic!("three runs: {runs:?}") };
    let why = folder.cog(&["why", second]).ends(0);
    why.says(&[&format!("It continues {first}"), "1 time", "It ended as continued", third]);
    let json = folder.cog(&["why", first, "--json"]).ends(0).json();
    assert_eq!(text(&json, &["next"]), second);
    let listed = folder.cog(&["runs", "--status", "continued"]).ends(0);
    let listed = listed.says(&[first, second, &format!("went on as {second}")]);
    assert!(!listed.out.contains(&format!("{third}  counts")));
    let document = folder.cog(&["runs", "--json"]).ends(0).json();
    let newest = document.as_list().unwrap().first().unwrap();
    assert_eq!(newest.get("went_on").and_then(Value::as_u64), Some(2));
    folder.cog(&["replay"]).ends(0);
    folder.holds();
}

#[test]
fn what_is_asked_of_any_run_of_a_chain_is_asked_of_the_newest() {
    let folder = folder("again-waits", HEARS);
    let first = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.cog(&["signal", &first, "go", "--id", "a"]).ends(0);
    folder.cog(&["run", "--resume", &first]).ends(8).says(&["continue", "waiting for a signal"]);
    let second = runs(&folder).0.pop().unwrap();
    assert_ne!(first, second);
    folder.cog(&["pause", &first, "--reason", "not now"]).ends(0);
    assert_eq!(text(&folder.entries("session.paused")[0], &["session"]), second);
    folder.cog(&["unpause", &first, "--reason", "now"]).ends(0);
    folder.cog(&["signal", &first, "go", "--id", "b"]).ends(0);
    assert_eq!(text(&folder.entries("signal")[1], &["session"]), second);
    folder.cog(&["run", "--resume", &second]).ends(8);
    let cancel = ["run", "--cancel", &first, "--reason", "enough"];
    folder.cog(&cancel).ends(0).says(&["cancelled"]);
    assert_eq!(runs(&folder).1, ["continued", "continued", "cancelled"]);
    folder.cog(&cancel).ends(7);
    folder.cog(&["run", "--resume", &first]).ends(7).says(&["has ended, cancelled"]);
    folder.holds();
}

#[test]
fn a_chain_that_is_stopped_in_the_middle_goes_on_where_it_stands() {
    let forever = COUNTS.replace("if: inputs.n < 2, ", "");
    let folder = folder("again-forever", &forever);
    let mut child = folder.start(&["run", "workflow.yaml"]);
    let begun = || folder.cog(&["runs", "--json"]).json().as_list().map_or(0, <[Value]>::len);
    while begun() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = runs(&folder).0.first().cloned().unwrap();
    let mut again = folder.start(&["run", "--resume", &first]);
    let before = begun();
    while begun() <= before {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    again.kill().unwrap();
    again.wait().unwrap();
    folder.cog(&["run", "--cancel", &first, "--reason", "enough"]).ends(0);
    let (runs, seals) = runs(&folder);
    assert_eq!(runs.len(), seals.len());
    assert_eq!(seals.last().map(String::as_str), Some("cancelled"));
    folder.holds();
}

#[test]
fn a_schedule_counts_a_chain_as_open() {
    let on = "on: { schedule: [ { id: tick, every_ms: 1000 } ] }\ninputs:";
    let folder = folder("again-schedule", &HEARS.replacen("inputs:", on, 1));
    folder.cog(&["schedules", "set", "workflow.yaml"]).ends(0);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    folder.cog(&["schedules", "run", "--once"]).ends(0);
    let first = runs(&folder).0.pop().unwrap();
    folder.cog(&["signal", &first, "go", "--id", "a"]).ends(0);
    folder.cog(&["run", "--resume", &first]).ends(8);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    folder.cog(&["schedules", "run", "--once"]).ends(0);
    let fired = folder.entries("schedule.fired");
    let why = |it: &Value| it.at(&["data", "skipped"]).and_then(Value::as_text) == Some("overlap");
    assert!(fired.iter().any(why), "{fired:?}");
    assert_eq!(runs(&folder).0.len(), 2, "nothing was started beside the chain");
    folder.holds();
}

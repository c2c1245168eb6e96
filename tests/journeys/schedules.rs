//! Schedules of a data folder, from the command line alone.

use std::io::{BufRead as _, BufReader};

use cog_base::json::parse;
use cog_base::{Timestamp, Value};

use crate::program::{Folder, id, text};

const FLOW: &str = "
name: report
domain: demo
inputs: { pages: { type: integer } }
on:
  schedule:
    - { id: often, every_ms: 1000, overlap: SKIP, catch_up_minutes: 60, inputs: { pages: 3 } }
steps:
  - { id: nap, sleep: { ms: 100 } }
  - { id: note, needs: [nap], uses: compute, with: { pages: \"${{ inputs.pages }}\" } }
outputs: { pages: \"${{ steps.note.output.pages }}\" }
";

fn folder(name: &str, overlap: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("report.yaml", &FLOW.replace("SKIP", overlap));
    folder
}

/// The times that were decided: microseconds, how many, and the run or why there is none.
fn fired(folder: &Folder) -> Vec<(i64, u64, String)> {
    decided(folder.entries("schedule.fired"))
}

/// The times that entries say were decided: microseconds, how many, and the run or why there is none.
pub(crate) fn decided(entries: Vec<Value>) -> Vec<(i64, u64, String)> {
    let one = |entry: Value| {
        let data = entry.get("data").unwrap();
        let at: Timestamp = text(data, &["at"]).parse().unwrap();
        let came = data.get("run").or(data.get("skipped")).and_then(Value::as_text).unwrap();
        let times = data.get("times").and_then(Value::as_u64).unwrap_or(1);
        (at.micros(), times, came.to_owned())
    };
    entries.into_iter().map(one).collect()
}

/// Each second from the first time to the last was decided, and once.
pub(crate) fn assert_no_gap(fired: &[(i64, u64, String)]) {
    for pair in fired.windows(2) {
        let [(before, ..), (at, times, _)] = pair else { panic!() };
        assert_eq!(at - before, i64::try_from(*times).unwrap() * 1_000_000, "{fired:?}");
    }
}

/// How many lines it is listened to before an event has come.
const LINES_MAX: usize = 100;

/// Start it, read what it says until an event has come so often, and kill it.
fn until(folder: &Folder, event: &str, mut times: usize) {
    let mut keeper = folder.start(&["schedules", "run", "--json"]);
    let lines = BufReader::new(keeper.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok).take(LINES_MAX) {
        let said = parse(&line).unwrap();
        times -= usize::from(said.get("event").and_then(Value::as_text) == Some(event));
        if times == 0 {
            break;
        }
    }
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    assert_eq!(times, 0, "it ended, or said other things only, before it said {event}");
}

#[test]
fn a_paused_schedule_starts_nothing_until_it_is_unpaused() {
    let folder = folder("schedules-pause", "allow_all");
    let set = ["schedules", "set", "report.yaml", "--as", "user:ada"];
    folder.cog(&set).ends(0);
    folder.cog(&["schedules", "pause", "often"]).ends(4).says(&["may not change", "user:ada"]);
    let pause = ["schedules", "pause", "often", "--as", "user:ada"];
    folder.cog(&pause).ends(0).says(&["paused  often, entry"]);
    folder.cog(&pause).ends(7).says(&["is paused", "schedules unpause often"]);
    folder.cog(&["schedules", "list"]).ends(0).says(&["it is paused"]);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    folder.cog(&["schedules", "run", "--once"]).ends(0);
    assert_eq!(fired(&folder), []);
    folder.change("report.yaml", "pages: 3", "pages: 4");
    folder.cog(&set).ends(0).says(&["set        often"]);
    folder.cog(&["schedules", "run", "--once"]).ends(0);
    assert_eq!(fired(&folder), [], "it is set anew, and paused still");
    let unpause = ["schedules", "unpause", "often", "--as", "user:ada"];
    folder.cog(&unpause).ends(0).says(&["unpaused  often, entry"]);
    folder.cog(&unpause).ends(7).says(&["is not paused"]);
    until(&folder, "sealed", 1);
    assert!(!fired(&folder).is_empty());
    folder.cog(&["why", "3"]).ends(0).says(&["paused the schedule often"]);
    folder.holds();
}

/// From when until when there are so many full hours before the schedule was set.
fn hours(folder: &Folder, count: i64) -> (String, String) {
    let set = folder.entries("schedule.set");
    let set: Timestamp = text(&set[0], &["at"]).parse().unwrap();
    let hour = 3_600_000_000;
    let last = set.micros().div_euclid(hour) * hour;
    let time = |micros| Timestamp::from_micros(micros).to_string();
    (time(last - (count - 1) * hour), time(last))
}

#[test]
fn somebody_has_a_schedule_start_runs_now_and_for_times_that_were_left_out() {
    let folder = folder("schedules-asked", "skip");
    folder.change("report.yaml", "every_ms: 1000", "every_ms: 3600000");
    folder.cog(&["schedules", "set", "report.yaml", "--as", "user:ada"]).ends(0);
    let ask =
        |words: &[&str]| folder.cog(&[&["schedules"][..], words, &["--as", "user:ada"]].concat());
    folder.cog(&["schedules", "trigger", "often"]).ends(4).says(&["may not have", "user:ada"]);
    ask(&["trigger", "seldom"]).ends(2).says(&["no schedule `seldom`"]);
    ask(&["pause", "often"]).ends(0);
    ask(&["trigger", "often"]).ends(0).says(&["completed"]);
    let (from, until) = hours(&folder, 3);
    let hours = ["backfill", "often", "--from", &from, "--until", &until];
    let listed = ask(&[&hours[..], &["--dry-run", "--json"]].concat()).ends(0).json();
    let listed: Vec<_> = listed.as_list().unwrap().iter().map(|it| text(it, &["at"])).collect();
    assert_eq!(listed.len(), 3);
    assert_eq!(fired(&folder).len(), 1, "nothing is started");
    ask(&hours).ends(0).says(&["3 runs, for times from"]);
    ask(&hours).ends(0).says(&["nothing to start"]);
    ask(&["backfill", "often", "--from", "366d"]).ends(5).says(&["more than 1000"]);
    let entries = folder.entries("schedule.fired");
    let ats: Vec<_> = entries.iter().map(|entry| text(entry, &["data", "at"])).collect();
    assert_eq!(ats[1..], listed, "each time once, in order");
    assert!(entries.iter().all(|entry| text(entry, &["data", "by"]) == "user:ada"));
    let why = entries[1].get("seq").and_then(Value::as_u64).unwrap().to_string();
    folder.cog(&["why", &why]).ends(0).says(&["as user:ada asked"]);
    folder.holds();
}

#[test]
fn a_run_that_is_not_over_is_in_the_way_of_one_that_somebody_asks_for() {
    let folder = folder("schedules-way", "skip");
    folder.change("report.yaml", "every_ms: 1000", "every_ms: 3600000");
    folder.change("report.yaml", "sleep: { ms: 100 }", "wait_for: { signal: go }");
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0);
    let (from, until) = hours(&folder, 2);
    let hours = ["schedules", "backfill", "often", "--from", &from, "--until", &until];
    folder.cog(&hours).ends(8).says(&["1 time is left", "the same command goes on"]);
    folder.cog(&hours).ends(7).says(&["is not over", "--allow-overlap"]);
    folder.cog(&["schedules", "trigger", "often"]).ends(7).says(&["is not over"]);
    folder.cog(&["schedules", "trigger", "often", "--allow-overlap"]).ends(8);
    folder.cog(&[&hours[..], &["--allow-overlap"]].concat()).ends(8);
    assert_eq!(fired(&folder).len(), 3);
    folder.holds();
}

#[test]
fn what_the_file_says_is_what_stands_from_then_on() {
    let folder = folder("schedules-set", "skip");
    folder.cog(&["schedules", "list"]).ends(2);
    let set = ["schedules", "set", "report.yaml", "--as", "user:ada"];
    folder.cog(&set).ends(0).says(&["set        often, next 2", "cognitionos schedules run"]);
    folder.cog(&set).ends(0).says(&["unchanged  often"]);
    let no = folder.cog(&["schedules", "set", "report.yaml"]).ends(4);
    let no = no.says(&["may not change the schedule `often`", "user:ada"]);
    let denial = id(&no.err, "dny").unwrap();
    folder.cog(&["schedules", "set", "report.yaml"]).ends(4).says(&[&denial]);
    folder.cog(&["schedules", "remove", "often", "--as", "agent:clerk"]).ends(4);
    let said = folder.cog(&["why", &denial]).ends(0);
    said.says(&["change the schedule `often`", "It takes user:ada."]);
    assert_eq!(folder.entries("denial").len(), 2, "the same is on record once");
    folder.cog(&["schedules", "remove", "often", "--as", "user:ada"]).ends(0);
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0).says(&["set        often"]);
    assert_eq!(folder.entries("schedule.set").len(), 2, "another asks for it now");
    let never = folder.read("report.yaml").replace("name: report", "name: never");
    let never =
        never.replace("id: often", "id: leap").replace("every_ms: 1000", "cron: '0 0 30 2 *'");
    folder.write("never.yaml", &never);
    folder.cog(&["schedules", "set", "never.yaml"]).ends(2).says(&["`leap`", "never comes"]);
    let listed = folder.cog(&["schedules", "list", "--json"]).ends(0).json();
    let listed = &listed.as_list().unwrap()[0];
    assert_eq!(text(listed, &["workflow"]), "report");
    assert_eq!(text(listed, &["when", "overlap"]), "skip");
    folder.cog(&["schedules", "list"]).ends(0).says(&["often  report, next", "every 1000 ms"]);
    let next = folder.cog(&["schedules", "next", "--count", "3", "--json"]).ends(0).json();
    assert_eq!(next.as_list().unwrap().len(), 3);
    folder.cog(&["schedules", "next", "seldom"]).ends(2).says(&["no schedule `seldom`"]);

    folder
        .write("other.yaml", &FLOW.replace("name: report", "name: other").replace("SKIP", "skip"));
    let other = folder.cog(&["schedules", "set", "other.yaml"]).ends(7);
    other.says(&["`often` is of the workflow `report`", "schedules remove often"]);
    folder.change("report.yaml", "id: often", "id: seldom");
    let seldom = ["set        seldom", "removed    often"];
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0).says(&seldom);
    folder.cog(&["schedules", "remove", "seldom"]).ends(0).says(&["removed  seldom"]);
    folder.cog(&["schedules", "remove", "seldom"]).ends(2).says(&["no schedule `seldom`"]);
    folder.change("report.yaml", "pages: 3", "pages: many");
    let wrong = folder.cog(&["schedules", "set", "report.yaml"]).ends(2);
    wrong.says(&["report.yaml:7:", "`pages` must be an integer"]);
    folder.write("plain.yaml", "name: x\ndomain: demo\nsteps: [{ id: nap, sleep: { ms: 1 } }]\n");
    folder.cog(&["schedules", "set", "plain.yaml"]).ends(2).says(&["has no schedules"]);
    folder.cog(&["ledger", "verify"]).ends(0);
}

#[test]
fn each_time_is_decided_once_although_whoever_keeps_to_it_is_killed_again_and_again() {
    let folder = folder("schedules-killed", "buffer_all");
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0);
    // In the middle of a run, right behind one, right before one, and while nothing happens.
    for (event, times) in [("due", 3), ("started", 2), ("sealed", 1), ("keeping", 1), ("due", 2)] {
        until(&folder, event, times);
    }
    folder.cog(&["schedules", "run", "--once"]).ends(0);
    let fired = fired(&folder);
    assert!(fired.len() >= 5, "{fired:?}");
    assert_no_gap(&fired);
    let sealed = folder.entries("session.sealed");
    for (_, _, run) in &fired {
        assert!(run.starts_with("run_"), "within the time that is made up for: {fired:?}");
        let seals = sealed.iter().filter(|seal| text(seal, &["session"]) == run);
        let seals: Vec<_> = seals.map(|seal| text(seal, &["data", "status"])).collect();
        assert_eq!(seals, ["completed"], "{run}");
    }
    assert_eq!(folder.entries("session.started").len(), fired.len());
    folder.holds();
}

#[test]
fn a_run_that_waits_for_somebody_is_in_the_way_until_it_is_over() {
    let folder = folder("schedules-overlap", "skip");
    folder.change("report.yaml", "sleep: { ms: 100 }", "wait_for: { signal: go }");
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0);
    until(&folder, "left out", 2);
    let (run, rest) = (fired(&folder)[0].2.clone(), fired(&folder)[1].2.clone());
    assert!(run.starts_with("run_") && rest == "overlap", "{run} {rest}");
    folder.cog(&["schedules", "list"]).ends(0).says(&[&format!("{run} is not over")]);
    folder.cog(&["signal", &run, "go"]).ends(0);
    // It is taken up, comes to its end, and the next one has its turn.
    until(&folder, "sealed", 1);
    assert_eq!(text(&folder.entries("session.sealed")[0], &["session"]), run);
    assert_no_gap(&fired(&folder));
}

#[test]
fn a_run_that_cannot_be_started_is_on_record_and_the_next_time_has_its_turn() {
    let folder = folder("schedules-broken", "skip");
    folder.change("report.yaml", "steps:\n", "roots: { in: { path: in, access: read } }\nsteps:\n");
    std::fs::create_dir(folder.path("in")).unwrap();
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0);
    std::fs::remove_dir(folder.path("in")).unwrap();
    std::os::unix::fs::symlink(folder.path("data"), folder.path("in")).unwrap();
    until(&folder, "left out", 2);
    let fired = fired(&folder);
    assert!(fired.iter().all(|(.., came)| came == "not_started"), "{fired:?}");
    let reason = folder.entries("schedule.fired");
    let reason = text(&reason[0], &["data", "reason"]).to_owned();
    assert!(reason.contains("no effect may reach the ledger"), "{reason}");
    assert_no_gap(&fired);
    folder.cog(&["ledger", "verify"]).ends(0);
}

#[test]
fn the_files_that_a_scheduled_run_comes_to_run_are_those_of_when_it_was_set() {
    let folder = folder("schedules-tree", "skip");
    folder.change(
        "report.yaml",
        "steps:\n",
        "steps:\n  - { id: sub, run: { workflow: sub.yaml } }\n",
    );
    folder.write("sub.yaml", "name: sub\ndomain: demo\nsteps: [{ id: nap, sleep: { ms: 1 } }]\n");
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0).says(&["set"]);
    folder.cog(&["schedules", "set", "report.yaml"]).ends(0).says(&["unchanged"]);
    std::fs::remove_file(folder.path("sub.yaml")).unwrap();
    until(&folder, "sealed", 2);
    let seals = folder.entries("session.sealed");
    assert!(seals.iter().all(|seal| text(seal, &["data", "status"]) == "completed"));
    folder.holds();
}

#[test]
fn a_new_schedule_is_set_by_whom_the_canon_knows() {
    let folder = Folder::example("schedules-new", "02-refusal-and-why");
    let canon = folder.read("canon/canon.toml");
    let live = "\n[environments]\nallow = [\"development\", \"live\"]\nproduction = [\"live\"]\n";
    folder.write("canon/canon.toml", &format!("{canon}{live}"));
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let domain = canon.lines().find(|line| line.starts_with("domain = ")).unwrap();
    let domain = domain.replace(" = ", ": ").replace('"', "");
    folder.write("report.yaml", &FLOW.replace("domain: demo", &domain).replace("SKIP", "skip"));
    let set = |who| folder.cog(&["schedules", "set", "report.yaml", "--as", who]);
    let refused = set("user:nobody").ends(4);
    refused.says(&["may not set the schedule `often`", "does not know user:nobody"]);
    let nowhere = ["--as", "user:head-of-travel", "--environment", "nowhere"];
    let nowhere = [&["schedules", "set", "report.yaml"], &nowhere[..]].concat();
    folder.cog(&nowhere).ends(4).says(&["does not govern the environment `nowhere`", "dny_"]);
    assert!(folder.entries("schedule.set").is_empty());
    set("user:head-of-travel").ends(0);
    folder.cog(&["ledger", "verify"]).ends(0);
}

const SEVERAL: &str = "
name: several
domain: demo
subject: \"${{ inputs.customer }}\"
inputs: { customer: { type: string } }
on:
  schedule:
    - { id: first, every_ms: FIRST, inputs: { customer: ada-77 } }
    - { id: second, at: \"SECOND\", inputs: { customer: bob-78 } }
steps:
  - { id: note, uses: compute, with: { of: \"${{ inputs.customer }}\" } }
";

#[test]
fn the_schedules_of_a_file_are_set_together_or_none_of_them() {
    let folder = Folder::new("schedules-together");
    let write = |first: &str, second: &str| {
        folder.write("several.yaml", &SEVERAL.replace("FIRST", first).replace("SECOND", second));
    };
    let set = || folder.cog(&["schedules", "set", "several.yaml"]);
    write("9000000", "2020-01-01T00:00:00Z");
    set().ends(2).says(&["the schedule `second` of several.yaml never comes"]);
    assert_eq!(folder.entries("schedule.set").len(), 0);
    write("9000000", "2120-01-01T00:00:00Z");
    set().ends(0).says(&["set        first", "set        second"]);
    let entries: Vec<_> = folder.entries("schedule.set");
    assert_eq!(entries.len(), 2);
    assert_eq!(text(&entries[0], &["at"]), text(&entries[1], &["at"]), "in one append");
    write("8000000", "2020-01-01T00:00:00Z");
    set().ends(2);
    assert_eq!(folder.entries("schedule.set").len(), 2, "the first one stays as it was, too");
    folder.cog(&["ledger", "verify"]).ends(0);
}

#[test]
fn what_a_schedule_hands_to_its_runs_goes_with_the_subject_that_they_are_about() {
    let folder = Folder::new("schedules-subject");
    let file = SEVERAL.replace("FIRST", "9000000").replace("SECOND", "2120-01-01T00:00:00Z");
    folder.write("several.yaml", &file);
    folder.cog(&["schedules", "set", "several.yaml"]).ends(0);
    let erase = || folder.cog(&["ledger", "erase", "ada-77", "--reason", "asked to"]);
    erase().ends(7).says(&["holds what the schedule `first` starts", "schedules remove first"]);
    folder.cog(&["schedules", "remove", "first"]).ends(0);
    let number = |entry: &Value| entry.get("seq").and_then(Value::as_u64).unwrap().to_string();
    let set: Vec<_> = folder.entries("schedule.set").iter().map(number).collect();
    let shown = |seq: &str| folder.cog(&["ledger", "show", seq]).ends(0).out;
    assert!(shown(&set[0]).contains("ada-77") && shown(&set[1]).contains("bob-78"));
    erase().ends(0).says(&["1 body erased"]);
    assert!(!shown(&set[0]).contains("ada-77") && shown(&set[1]).contains("bob-78"));
    folder.cog(&["ledger", "verify"]).ends(0);
}

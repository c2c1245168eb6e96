//! Runs that go on from a place of another.

use std::time::{Duration, Instant};

use cog_base::Value;

use crate::program::{Folder, text};

const FLOW: &str = r#"
name: pages
domain: forks
inputs: { who: { type: string, default: ada } }
roots: { pages: { path: ./out/pages, access: write, create: true } }
steps:
  - { id: a, uses: file.write, with: { root: pages, path: "${{ inputs.who }}-a", text: one } }
  - { id: nap, needs: [a], sleep: { ms: 2000 } }
  - { id: b, needs: [nap], uses: file.write, with: { root: pages, path: "${{ inputs.who }}-b", mode: replace, text: two } }
  - id: each
    needs: [b]
    foreach: [1, 2]
    steps: [ { id: one, uses: compute, with: { it: "${{ item }}" } } ]
  - { id: c, if: "${{ inputs.who == 'nobody' }}", uses: compute, with: { it: x } }
outputs: { b: "${{ steps.b.output.path }}" }
"#;

const SCHEMA: &str = "entity User;\nentity Root;\n\
    action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };\n";
const POLICY: &str =
    "@id(\"all\")\n@reason(\"It is about forks.\")\npermit (principal, action, resource);\n";
const CANON: &str = "name = \"forks\"\ndomain = \"forks\"\n[change]\napprovals = 1\n\
    approvers = [\"user:operator\"]\n[roots]\n\"*\" = { within = [\".\"] }\n";
const FACTS: &str = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "boss"}, "attrs": {}, "parents": []}]"#;

/// A folder with a canon of the domain `forks`, which permits the operator to write files.
pub(crate) fn permitted(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("canon/canon.toml", CANON);
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/policies/all.cedar", POLICY);
    folder.write("canon/facts/people.json", FACTS);
    folder
}

/// A folder with a run that is over.
fn over(name: &str) -> (Folder, String) {
    let folder = permitted(name);
    folder.write("workflow.yaml", FLOW);
    let run = folder.cog(&["run", "workflow.yaml"]).ends(0).id("run");
    (folder, run)
}

fn names(folder: &Folder) -> Vec<String> {
    folder.files("out/pages").into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_run_goes_on_from_a_step_of_another_with_other_inputs() {
    let (folder, parent) = over("forks");
    // The file is not needed any more: the definition is the one on record.
    folder.write("workflow.yaml", "");
    let fork = ["run", "--fork", &parent, "--from", "b", "--input", "who=eve"];
    let run = folder.cog(&fork).ends(0).says(&["b: eve-b", &parent]).id("run");
    assert_eq!(names(&folder), ["ada-a", "ada-b", "eve-b"], "`a` was not done again");
    let started = folder.entries("session.started");
    let told = |name| started[1].at(&["data", "fork", name]).cloned();
    assert_eq!(told("session"), Some(parent.as_str().into()));
    assert_eq!(told("step"), Some("b".into()));
    folder.cog(&["why", &run]).ends(0).says(&["goes on from entry", &parent]);
    let verified = folder.cog(&["ledger", "verify", "--json"]).ends(0).json();
    let runs = |name: &str| verified.at(&["decisions", name]).and_then(Value::as_u64);
    assert_eq!((runs("runs"), runs("runs_unknown")), (Some(2), Some(0)), "{verified}");
    folder.holds();
}

/// A fork that was killed soon after it began.
fn killed(folder: &Folder, parent: &str) -> String {
    let before = folder.entries("session.started").len();
    let mut child = folder.start(&["run", "--fork", parent, "--from", "nap", "--input", "who=eve"]);
    let until = Instant::now() + Duration::from_secs(60);
    while folder.entries("session.started").len() == before {
        assert!(Instant::now() < until, "the fork did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    text(&folder.entries("session.started")[before], &["session"]).to_owned()
}

#[test]
fn what_an_open_fork_goes_on_from_is_not_pruned() {
    let (folder, parent) = over("forks-pruned");
    let many = FLOW.split("steps:").next().unwrap().to_owned()
        + "steps:\n  - id: page\n    foreach: \"${{ [0,1,2,3,4,5,6,7,8,9,10,11,12] }}\"\n    \
           max_parallel: 1\n    steps:\n      - id: line\n        \
           foreach: \"${{ [0,1,2,3,4,5,6,7,8,9] }}\"\n        uses: file.write\n        \
           with: { root: pages, path: \"${{ string(item) }}\", mode: replace, text: x }\n";
    folder.write("many.yaml", &many);
    folder.cog(&["run", "many.yaml"]).ends(0);
    let run = killed(&folder, &parent);
    let prune = ["ledger", "prune", "--before", "256", "--reason", "old", "--as", "user:operator"];
    let why = format!("{run} is open and rests on {parent}, which began with entry");
    let resume = format!("cognitionos run --resume {run}");
    folder.cog(&prune).ends(7).says(&["nothing can be pruned", &why, &resume]);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["b: eve-b"]);
    folder.holds();
    folder.cog(&prune).ends(0).says(&["entries 0 to 256 pruned"]);
    // What is left of it is its own; what it went on from is gone, and nothing is accused.
    folder.cog(&["ledger", "verify"]).ends(0);
    let again = folder.cog(&["run", "--fork", &run, "--from", "b"]);
    again.ends(1).says(&["nothing can go on from", "try: "]);
}

#[test]
fn a_fork_that_is_killed_goes_on() {
    let (folder, parent) = over("forks-killed");
    let run = killed(&folder, &parent);
    assert_eq!(names(&folder), ["ada-a", "ada-b"]);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["b: eve-b"]);
    assert_eq!(names(&folder), ["ada-a", "ada-b", "eve-b"]);
    folder.holds();
}

#[test]
fn a_place_that_is_none_is_told_with_those_that_are() {
    let (folder, parent) = over("forks-nowhere");
    let before = folder.entries("session.started").len();
    let fork = |from: &str| folder.cog(&["run", "--fork", &parent, "--from", from]).ends(2);
    fork("bb").says(&["there is no step and no checkpoint `bb`", "a, nap, b, each"]);
    fork("each.one").says(&["stands inside a foreach or a repeat", "`each[0].one`"]);
    folder.cog(&["run", "--fork", &parent]).ends(2).says(&["--from"]);
    let unknown = "run_01m7ynaym0f2nb3em082cedjs9";
    folder.cog(&["run", "--fork", unknown, "--from", "a"]).ends(2).says(&["there is no run"]);
    let input = ["run", "--fork", &parent, "--from", "a", "--input", "whom=x"];
    folder.cog(&input).ends(2).says(&["there is no input `whom`"]);
    assert_eq!(folder.entries("session.started").len(), before, "nothing was recorded");
    let begins = |it: &Value| it.at(&["data", "fork"]).is_none();
    assert!(folder.entries("session.started").iter().all(begins));
}

#[test]
fn a_named_place_is_gone_on_from_and_a_recomputation_is_kept() {
    let (folder, parent) = over("forks-named");
    folder.cog(&["checkpoint", "list"]).ends(0).says(&["there is no checkpoint"]);
    let create = |rest: &[&str]| folder.cog(&[&["checkpoint", "create", &parent], rest].concat());
    create(&["here"]).ends(7).says(&["is over", "--step STEP, which is one of: a, nap, b"]);
    create(&["Here", "--step", "b"]).ends(2).says(&["a-z first"]);
    let made = create(&["before-b", "--step", "b", "--as", "user:cfo"]).ends(0);
    made.says(&["chk_", "`before-b` is entry", "cognitionos checkpoint restore"]);
    create(&["before-b", "--step", "a"]).ends(7).says(&["has a checkpoint `before-b` already"]);
    let listed = folder.cog(&["checkpoint", "list", &parent, "--json"]).ends(0).json();
    let listed = listed.as_list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(text(&listed[0], &["by"]), "user:cfo");
    folder.cog(&["ledger", "list"]).ends(0).says(&["checkpoint", "before-b of run_"]);
    let restore = ["checkpoint", "restore", &parent, "before-b", "--input", "who=eve"];
    folder.cog(&restore).ends(0).says(&["b: eve-b"]);
    assert_eq!(names(&folder), ["ada-a", "ada-b", "eve-b"]);

    folder.cog(&["replay", "--list"]).ends(0).says(&["no recomputation is kept"]);
    folder.cog(&["replay", &parent]).ends(0);
    assert!(folder.entries("replay").is_empty(), "replay stores nothing by itself");
    folder.cog(&["replay", "--all", "--keep"]).ends(0).says(&["kept as rpl_"]);
    let kept = folder.cog(&["replay", "--list", "--json"]).ends(0).json();
    assert_eq!(kept.as_list().unwrap().len(), 2);
    let of = folder.cog(&["replay", "--list", &parent, "--json"]).ends(0).json();
    let of = of.as_list().unwrap();
    assert_eq!((of.len(), text(&of[0], &["result"])), (1, "same"));
    let show = ["replay", "--show", text(&of[0], &["id"])];
    folder.cog(&show).ends(0).says(&["nothing came out otherwise", "same"]);
    folder.cog(&["replay", "--show", "rpl_01m7ynaym0f2nb3em082cedjs9"]).ends(2);
    let under = ["replay", &parent, "--canon", "canon", "--keep", "--json"];
    let under = folder.cog(&under).ends(0);
    assert!(under.out.contains(r#"{"kept":"rpl_"#), "{}", under.out);
    assert!(folder.entries("replay")[2].at(&["data", "canon"]).is_some());
    folder.holds();
}

/// A step of the workflow names its place, and a run goes on from there.
#[test]
fn a_place_that_the_workflow_names_is_gone_on_from() {
    let (folder, _) = over("forks-marked");
    let marked = FLOW.replace(
        "  - { id: b, needs: [nap],",
        "  - { id: mark, needs: [nap], checkpoint: rested }\n  - { id: b, needs: [mark],",
    );
    folder.write("workflow.yaml", &marked);
    let run = folder.cog(&["run", "workflow.yaml", "--input", "who=bob"]).ends(0).id("run");
    folder.cog(&["checkpoint", "list", &run]).ends(0).says(&["rested  run_", "where `mark`"]);
    folder.cog(&["ledger", "list", "--run", &run]).ends(0).says(&["rested of run_"]);
    folder.cog(&["checkpoint", "create", &run, "rested", "--step", "b"]).ends(7);
    let restore = ["checkpoint", "restore", &run, "rested", "--input", "who=eve"];
    folder.cog(&restore).ends(0).says(&["b: eve-b"]);
    assert_eq!(names(&folder), ["ada-a", "ada-b", "bob-a", "bob-b", "eve-b"]);
    assert_eq!(folder.entries("checkpoint").len(), 1, "what was over stays");
    let entry = folder.entries("checkpoint")[0].get("seq").unwrap().to_string();
    folder.cog(&["why", &entry]).ends(0).says(&["`rested` on", &format!("entry {entry}")]);
    folder.holds();
}

/// The state of a run behind each of its entries is the same whoever works it out, and whatever was
/// recorded behind it.
#[test]
fn the_state_of_a_run_is_shown_behind_any_of_its_entries() {
    let (folder, run) = over("forks-state");
    let at = |run: &str, place: &str| folder.cog(&["replay", run, "--at", place, "--json"]);
    let outcome = folder.entries("outcome")[0].get("seq").and_then(Value::as_u64).unwrap();
    let state = at(&run, &outcome.to_string()).ends(0).json();
    let step = |state: &Value, place: usize| {
        let step = state.get("steps").and_then(Value::as_list).unwrap()[place].clone();
        format!("{} {}", text(&step, &["step"]), text(&step, &["status"]))
    };
    assert_eq!([step(&state, 0), step(&state, 1)], ["a completed", "nap running"]);
    assert_eq!(text(&state, &["status"]), "running");
    assert_eq!(state.at(&["open", "timers"]).and_then(Value::as_list).unwrap().len(), 1);
    // `nap` began because of the outcome of `a`.
    assert_eq!(at(&run, "nap").ends(0).json(), state);
    let shown = folder.cog(&["replay", &run, "--at", "nap"]).ends(0);
    shown.says(&["running  nap", "waits for a time", text(&state, &["digest"])]);
    let fork = folder.cog(&["run", "--fork", &run, "--from", "b"]).ends(0).id("run");
    assert_eq!(at(&run, "nap").ends(0).json(), state, "what came behind it changes nothing");
    let seal = folder.entries("session.sealed")[1].get("seq").and_then(Value::as_u64).unwrap();
    let end = at(&fork, &seal.to_string()).ends(0).json();
    assert_eq!(text(&end, &["status"]), "completed");
    assert_eq!(text(&end, &["end", "output", "b"]), "ada-b");
    assert_eq!(end.at(&["goes_on_from", "run"]), Some(&run.as_str().into()));
    // What is none of its own is told, with what is.
    at(&run, "0").ends(2).says(&["entry 0 is none of", &format!("replay {run} --at")]);
    at(&run, &seal.to_string()).ends(2).says(&["is none of", "whose entries go from"]);
    at(&fork, &outcome.to_string()).ends(2).says(&[&format!("cognitionos replay {run} --at")]);
    at(&run, "nobody").ends(2).says(&["no step `nobody` began"]);
    folder.cog(&["replay", "--at", "1"]).ends(2);
    // Where a body is gone that it takes, there is a state before it and none behind.
    let erase = ["ledger", "erase", "--entry", &outcome.to_string(), "--reason", "asked for"];
    folder.cog(&erase).ends(0);
    at(&run, &(outcome - 1).to_string()).ends(0);
    at(&run, &outcome.to_string()).ends(1).says(&["cannot be worked out", "erased, as entry"]);
}

/// Where a step over no items would have run what asks people, nobody was asked, and nothing is
/// taken over.
#[test]
fn a_fork_behind_an_empty_loop_over_runs_that_ask_takes_no_consent_over() {
    let (folder, _) = over("empty");
    let head = "domain: forks\nsteps:\n";
    let kid = "  - { id: a, approve: { by: [user:operator], message: \"ok?\" } }\n";
    folder.write("kid.yaml", &format!("name: kid\n{head}{kid}"));
    let main = "  - id: g\n    steps: [ { id: k, foreach: \"${{ inputs.orders }}\", run: { workflow: kid.yaml } } ]\n  - { id: n, needs: [g], sleep: { ms: 1 } }\n";
    let inputs = "inputs: { orders: { type: list, default: [] } }\n";
    folder.write("main.yaml", &format!("name: main\n{inputs}{head}{main}"));
    let run = folder.cog(&["run", "main.yaml"]).ends(0).id("run");
    folder.cog(&["run", "--fork", &run, "--from", "n"]).ends(0);
    folder.cog(&["ledger", "verify"]).ends(0);
    folder.cog(&["replay", "--all"]).ends(0);
}

#[test]
fn nothing_goes_on_in_an_environment_that_the_canon_does_not_list_any_more() {
    let (folder, parent) = over("forks-environment");
    folder.cog(&["checkpoint", "create", &parent, "here", "--step", "b"]).ends(0);
    let live = "[environments]\nallow = [\"live\", \"trial\"]\nproduction = [\"live\"]\n";
    folder.write("canon/canon.toml", &format!("{CANON}{live}"));
    let proposal =
        folder.cog(&["canon", "propose", "canon", "--as", "user:boss"]).ends(0).id("prp");
    folder.cog(&["canon", "approve", &proposal, "--as", "user:operator"]).ends(0);
    folder.cog(&["canon", "activate", &proposal, "--as", "user:operator"]).ends(0);
    let begun = folder.entries("session.started").len();
    let fork = ["run", "--fork", &parent, "--from", "b"];
    for command in [&fork[..], &["checkpoint", "restore", &parent, "here"]] {
        let refused = folder.cog(command).ends(4);
        refused.says(&["does not govern the environment `development`", "--environment live"]);
    }
    assert_eq!(folder.entries("session.started").len(), begun);
    // What is refused is told with the environment that it was refused for.
    let refused = |name: &str| {
        let refused = folder.cog(&["run", "workflow.yaml", "--environment", name]).ends(4);
        let denial = crate::program::id(&refused.err, "dny").unwrap();
        folder.cog(&["why", &denial]).ends(0).says(&[&format!("the environment `{name}`")]);
        denial
    };
    assert_ne!(refused("lvie"), refused("tiral"));
    assert_eq!(refused("lvie"), refused("lvie"));
    folder.cog(&["ledger", "verify"]).ends(0);
}

/// A step that a fork took over is in the run that it comes from, and so is its checkpoint.
#[test]
fn no_run_gets_two_checkpoints_of_one_name_by_way_of_a_fork() {
    let (folder, parent) = over("forks-checkpoints");
    let fork = folder.cog(&["run", "--fork", &parent, "--from", "b"]).ends(0);
    let fork = fork.id("run");
    let fork = if fork == parent { forked(&folder) } else { fork };
    let create =
        |run: &str, name: &str| folder.cog(&["checkpoint", "create", run, name, "--step", "a"]);
    create(&parent, "one").ends(0);
    create(&fork, "one").ends(7).says(&[&format!("{parent} has a checkpoint `one` already")]);
    create(&fork, "two").ends(0);
    create(&fork, "two").ends(7).says(&[&format!("{parent} has a checkpoint `two` already")]);
    // A step is one although a checkpoint somewhere is called so.
    create(&parent, "b").ends(0);
    folder.cog(&["checkpoint", "create", &parent, "three", "--step", "b"]).ends(0);
    let no_step = ["checkpoint", "create", &parent, "four", "--step", "one"];
    folder.cog(&no_step).ends(2).says(&["is a checkpoint, and no step"]);
    assert_eq!(folder.entries("checkpoint").len(), 4);
    folder.holds();
}

/// The run that another was forked into.
fn forked(folder: &Folder) -> String {
    text(folder.entries("session.started").last().unwrap(), &["session"]).to_owned()
}

//! What somebody asks for and cannot have: each error is one sentence, and one line that says
//! what to do, in the same form everywhere.

use cog_base::Value;

use crate::program::{Answer, Folder, text};

const RUN: &str = "run_01m7yb4qxbf438zjd8206fmvk4";
const APPROVAL: &str = "apr_01m7yb4r66fdgag2kbjnj5dg9w";
const PROPOSAL: &str = "prp_01m7yb4r66fdgag2kbjnj5dg9w";
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// `error: …` first, `  try: …` last and once, with the commands that it consists of.
fn well_formed(arguments: &[&str], answer: &Answer) {
    let tries = answer.err.lines().filter(|line| line.starts_with("  try: ")).count();
    let error = answer.err.lines().find(|line| !line.starts_with("no canon"));
    assert!(error.is_some_and(|line| line.starts_with("error: ")), "{arguments:?}\n{answer}");
    assert_eq!(tries, 1, "{arguments:?}\n{answer}");
    let mut lines = answer.err.lines().skip_while(|line| !line.starts_with("  try: "));
    assert!(
        lines.next().is_some_and(|line| line.len() > "  try: ".len()),
        "{arguments:?}\n{answer}"
    );
    assert!(lines.all(|line| line.starts_with("    cognitionos ")), "{arguments:?}\n{answer}");
}

/// An error that ends with this code, says this and advises that.
fn tries(folder: &Folder, arguments: &[&str], code: i32, says: &str, advice: &str) {
    let answer = folder.cog(arguments).ends(code);
    well_formed(arguments, &answer);
    let (error, tries) = answer.err.split_once("  try: ").unwrap();
    assert!(error.contains(says), "{arguments:?} does not say `{says}`\n{answer}");
    assert!(tries.contains(advice), "{arguments:?} does not advise `{advice}`\n{answer}");
    let json = folder.cog(&[arguments, &["--json"]].concat()).ends(code).json();
    assert!(text(&json, &["try"]).contains(advice), "{json}");
    assert_eq!(json.get("exit").and_then(Value::as_int), Some(code.into()));
}

#[test]
fn what_is_given_wrongly_says_what_to_give() {
    let folder = Folder::new("errors-usage");
    for (arguments, says, advice) in [
        (&["frobnicate"][..], "unrecognized subcommand", "cognitionos --help"),
        (&["run"], "<FILE|NAME>", "cognitionos run --help"),
        (&["run", "w.yaml", "--imput", "a=b"], "'--imput'", "cognitionos run --help"),
        (&["run", "w.yaml", "--environment", "X!"], "named by a-z", "cognitionos run --help"),
        (&["run", "--cancel", RUN], "--reason", "cognitionos run --help"),
        (&["ledger", "lst"], "'lst'", "cognitionos ledger list --help"),
        (&["ledger", "list", "--limit", "many"], "'many'", "cognitionos ledger list --help"),
        (&["ledger", "prune", "--reason", "x"], "--before", "cognitionos ledger prune --help"),
        (&["canon", "propose", "canon"], "--as", "cognitionos canon propose --help"),
        (&["approvals", "approve", APPROVAL], "--as", "cognitionos approvals approve --help"),
        (&["verify", "a.cogbundle"], "--key", "cognitionos verify --help"),
        (&["completions", "tcsh"], "'tcsh'", "cognitionos completions --help"),
        (&["run", "nope.yaml"], "cannot read nope.yaml", "examples/01-quickstart/workflow.yaml"),
        (&["run", "nope.yaml", "--as", "cfo"], "`cfo` names nobody", "--as user:cfo"),
        (&["ledger", "list"], "no data in the folder", "--data"),
        (&["verify", "nope", "--key", "nope"], "could not read `nope`", "a file that is there"),
        (&["canon", "check", "nope"], "no canon.toml", "examples/01-quickstart/canon"),
        (
            &["canon", "diff", "nope", "active"],
            "`nope` is no canon folder",
            "cognitionos canon list",
        ),
    ] {
        tries(&folder, arguments, 2, says, advice);
    }
    assert!(!folder.has("data"));
}

#[test]
fn what_is_not_there_says_where_to_look() {
    let folder = Folder::example("errors-unknown", "06-change-the-canon");
    folder.cog(&["run", "workflow.yaml", "--canon", "canon-v1"]).ends(0);
    let started = "cognitionos ledger list --kind session.started";
    let listed = "cognitionos ledger list";
    let (requests, canons) = ("cognitionos approvals list", "cognitionos canon list");
    let with_as = |words: &[&'static str]| [words, &["--as", "user:controller"]].concat();
    let (approve, answer) =
        (with_as(&["canon", "approve", PROPOSAL]), with_as(&["approvals", "approve", APPROVAL]));
    let (cut, spelled) =
        (with_as(&["approvals", "approve", "apr_01m"]), with_as(&["canon", "activate", "5"]));
    for (arguments, says, advice) in [
        (&["ledger", "show", "9999"][..], "no entry `9999`", listed),
        (&["ledger", "show", RUN], "no run", started),
        (&["ledger", "proof", "dny_01m7…"], "ids are given whole", listed),
        (&["ledger", "list", "--kind", "nope"], "`nope` is not a kind", "session.started"),
        (&["ledger", "list", "--run", RUN], "no run", started),
        (&["ledger", "list", "--run", "run_01m7"], "ids are given whole", started),
        (&["ledger", "verify", "--against", "nope"], "nope", "ledger checkpoint"),
        (&["why", "nope"], "no entry `nope`", listed),
        (&["why", RUN], "no run", started),
        (&["replay", "nope"], "`nope` is not an id", started),
        (&["replay", RUN], "no run", started),
        (&["run", "--resume", RUN], "no run", started),
        (&["run", "--resume", "run_01j…"], "ids are given whole", started),
        (&["run", "--cancel", RUN, "--reason", "x"], "no run", started),
        (&["signal", RUN, "paid"], "no run", started),
        (&["signal", RUN, "paid", "--payload", "{"], "no JSON", "--payload '"),
        (&["signal", "run_01m", "paid"], "ids are given whole", started),
        (&["pause", RUN, "--reason", "x", "--as", "cfo"], "`cfo` names nobody", "--as user:cfo"),
        (&["unpause", "nope", "--reason", "x"], "`nope` is not an id", started),
        (&["run", "workflow.yaml", "--input", "a"], "has no value", "--input NAME=VALUE"),
        (&["run", "workflow.yaml", "--input", "a=b"], "no input `a`", "--input NAME=VALUE"),
        (&["run", "workflow.yaml", "--canon", "nope"], "no canon.toml", "canon.toml"),
        (&["run", "workflow.yaml", "--model", "nope"], "no #MODEL", "--model http"),
        (&["canon", "diff", "active", "nope"], "`nope` is no canon folder", canons),
        (&["canon", "diff", "active", DIGEST], "is kept here", canons),
        (&approve, "no proposal", canons),
        (&spelled, "`5` is not an id", canons),
        (&answer, "no open run waits", requests),
        (&cut, "ids are given whole", requests),
    ] {
        tries(&folder, arguments, 2, says, advice);
    }
    let run = text(&folder.entries("session.started")[0], &["session"]).to_owned();
    tries(&folder, &["ledger", "show", &run], 2, "many entries", &format!("--run {run}"));
}

#[test]
fn what_a_run_needs_and_has_not_says_how_to_give_it() {
    let folder = Folder::example("errors-needs", "01-quickstart");
    let elsewhere = ["run", "workflow.yaml", "--input", "folder=nowhere"];
    let here = std::fs::canonicalize(folder.path(".")).unwrap();
    let nowhere = format!(
        "the folder of the root `invoices`, {}/nowhere, is not there; `--input folder=nowhere` names it",
        here.display()
    );
    let other = "cognitionos run workflow.yaml --input folder=DIR";
    tries(&folder, &elsewhere, 2, &nowhere, other);
    let file = ["run", "workflow.yaml", "--input", "folder=workflow.yaml"];
    tries(&folder, &file, 2, "workflow.yaml, is no folder; `--input folder=workflow.yaml`", other);
    std::fs::rename(folder.path("invoices"), folder.path("put-away")).unwrap();
    let default = "/invoices, is not there; the default of the input `folder` names it";
    tries(&folder, &["run", "workflow.yaml"], 2, default, other);
    std::fs::rename(folder.path("put-away"), folder.path("invoices")).unwrap();
    folder.write(
        "literal.yaml",
        &folder.read("workflow.yaml").replace("\"${{ inputs.folder }}\"", "gone"),
    );
    let made = format!("mkdir -p {}/gone", here.display());
    let literal = ["run", "literal.yaml"];
    tries(&folder, &literal, 2, "/gone, is not there; literal.yaml names it", &made);
    folder.write("recordings/reader.jsonl", "{");
    tries(&folder, &["run", "workflow.yaml"], 2, "cassette is not JSON", "record anew");
    folder.change("workflow.yaml", "uses: file.read", "uses: file.raed");
    let broken = ["run", "workflow.yaml"];
    tries(&folder, &broken, 2, "`file.raed`", "docs/guide/workflow.md");
    folder.change("canon/canon.toml", "domain =", "domian =");
    tries(&folder, &["canon", "check"], 2, "canon.toml:4:1", "docs/guide/canon.md");
    assert!(!folder.has("out"));
}

#[test]
fn who_may_not_is_told_who_may() {
    let folder = Folder::example("errors-refused", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    for who in ["user:operator", "agent:clerk", "user:nobody"] {
        let approve = ["approvals", "approve", &request, "--as", who];
        tries(&folder, &approve, 4, who, "--as somebody of those who may, such as user:cfo");
    }
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    let again = ["approvals", "approve", &request, "--as", "user:controller"];
    tries(&folder, &again, 4, "already answered", &format!("run --resume {run}"));

    folder.copy("canon", "next");
    folder.change("next/canon.toml", "resources_max = 500", "resources_max = 400");
    let propose = |who| ["canon", "propose", "next", "--as", who];
    tries(&folder, &propose("user:nobody"), 4, "does not know user:nobody", "user:cfo");
    let same = ["canon", "propose", "canon", "--as", "user:cfo"];
    tries(&folder, &same, 7, "in force already", "cognitionos canon list");
    let id = folder.cog(&propose("user:cfo")).ends(0).says(&["--as user:controller"]).id("prp");
    let act = |word, who| ["canon", word, &id, "--as", who].map(str::to_owned);
    for (word, who, says, advice) in [
        ("approve", "user:operator", "may not do this", "such as user:controller"),
        ("approve", "agent:clerk", "no person", "--as a person, such as user:controller"),
        ("activate", "user:cfo", "0 of 1 approvals", "--as user:controller"),
    ] {
        tries(&folder, &act(word, who).each_ref().map(String::as_str), 4, says, advice);
    }
    for words in [&["ledger", "rotate"][..], &["ledger", "erase", "somebody"]] {
        tries(&folder, words, 4, "user:operator may not", "--as user:");
    }
}

#[test]
fn what_cannot_be_written_says_where_it_could_be() {
    let folder = Folder::example("errors-written", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    for arguments in [
        &["ledger", "export", "-o", "nowhere/x.cogbundle"][..],
        &["ledger", "export", "--key", "nowhere/x.vkey"],
    ] {
        tries(&folder, arguments, 1, "cannot write nowhere/x", "a folder that is there");
    }
}

/// What a program needs to show errors of a file where they are.
#[test]
fn errors_of_a_file_are_told_place_by_place() {
    let folder = Folder::new("places");
    folder.write(
        "w.yaml",
        "name: x\ndomain: d\nsteps:\n  - { id: a, uses: compute, with: { x: 1 }, nedes: [] }\n",
    );
    let error = folder.cog(&["run", "w.yaml", "--json"]).ends(2).json();
    let place = &error.get("places").and_then(Value::as_list).unwrap()[0];
    assert_eq!(text(place, &["file"]), "w.yaml");
    let at = ["line", "column"].map(|name| place.get(name).and_then(Value::as_u64));
    assert_eq!(at, [Some(4), Some(45)], "{place}");
    assert!(text(place, &["hint"]).contains("`needs`"), "{place}");
    std::fs::write(folder.path("old.yaml"), b"name: x\n# \xe4\n").unwrap();
    let old = folder.cog(&["run", "old.yaml"]).ends(2);
    old.says(&["old.yaml:2: what stands here is not UTF-8", "save the file as UTF-8"]);
    let usage = folder.cog(&["run"]).ends(2).says(&["Usage: cognitionos run"]);
    assert!(!usage.err.contains("--data"), "{usage}");
}

#[test]
fn a_recording_that_is_not_there_is_named() {
    let folder = Folder::example("no-cassette", "01-quickstart");
    std::fs::remove_file(folder.path("recordings/reader.jsonl")).unwrap();
    let run = folder.cog(&["run", "workflow.yaml"]).ends(1);
    run.says(&["recordings/reader.jsonl of model `reader` is not there", "--record"]);
}

/// What is lost is not told as done, and what a flag cannot do is not passed over.
#[test]
fn what_goes_wrong_at_the_edges_is_told() {
    let folder = Folder::example("edges", "02-refusal-and-why");
    let full = |arguments: &[&str]| {
        let out = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        Answer::of(folder.command(arguments).stdout(out).output().unwrap())
    };
    let head = "name: go\ndomain: travel\nsteps:\n";
    folder.write("wait.yaml", &format!("{head}  - {{ id: w, wait_for: {{ signal: go }} }}\n"));
    full(&["run", "wait.yaml", "--json"]).ends(1);
    // A limit is one to whoever started it.
    let many = (0..10_001).map(|_| "0").collect::<Vec<_>>().join(",");
    let each = "  - { id: a, foreach: \"${{ inputs.l }}\", uses: compute, with: { x: 1 } }\n";
    let inputs = "name: go\ndomain: travel\ninputs: { l: { type: list } }\nsteps:\n";
    folder.write("many.yaml", &format!("{inputs}{each}"));
    folder.cog(&["run", "many.yaml", "--input", &format!("l=[{many}]")]).ends(5);
    // A bundle is not lost to its own key.
    let same = ["ledger", "export", "-o", "b", "--key", "./b"];
    folder.cog(&same).ends(2).says(&["the key would be written over"]);
    assert!(!folder.has("b"));
    // The folder of a canon is all there is of it.
    std::os::unix::fs::symlink("/etc/passwd", folder.path("canon/policies/z.cedar")).unwrap();
    folder.cog(&["canon", "check", "canon"]).ends(2).says(&["z.cedar is a link out of the folder"]);
    std::fs::remove_file(folder.path("canon/policies/z.cedar")).unwrap();
    // Whoever wants to hear little hears all the same which canon decides.
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.write("canon/policies/more.cedar", "@id(\"more\") forbid(principal, action, resource);");
    let quiet = folder.cog(&["run", "workflow.yaml", "-q"]).ends(0);
    quiet.says(&["is not the canon in force"]);
    // Places of what only the canon can tell.
    let asks = "  - { id: go, approve: { by: [\"user:nobody\"], message: go? } }\n";
    folder.write("ask.yaml", &format!("{head}{asks}"));
    let wrong = folder.cog(&["run", "ask.yaml", "--json"]).ends(2).json();
    let place = &wrong.get("places").unwrap().as_list().unwrap()[0];
    assert_eq!(place.get("line"), Some(&4_u64.into()), "{wrong}");
    // A key in the address of a server is shown to nobody.
    let url = "http://127.0.0.1:9/v1?key=sk-hidden#m";
    let bad = folder.cog(&["run", "workflow.yaml", "--model", url]).ends(2);
    let bad = bad.says(&["holds a query"]);
    assert!(!bad.to_string().contains("sk-hidden"), "{bad}");
}

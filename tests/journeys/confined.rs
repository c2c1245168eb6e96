//! What is made and shown only as the canon and a receipt say: the folders of roots, and the file
//! system that programs see.

use crate::kills::has_sandbox;
use crate::program::{Answer, Folder, text};
use crate::roots::behind_a_mount;

const CANON: &str = "
name = \"box\"
domain = \"demo\"
[change]
approvals = 1
approvers = [\"user:cfo\"]
[roots]
\"*\" = { within = [\".\"] }
[programs]
allow = [\"sort\", { program = \"printenv\", env = [\"LANG\", \"PYTHONPATH\"] }]
";

const SCHEMA: &str = "
entity Role; entity User in [Role]; entity Root; entity Program;
action \"file.read\" appliesTo { principal: [User], resource: [Root], context: {} };
action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };
action \"process.run\" appliesTo { principal: [User], resource: [Program], context: {
  args: { line: String } } };
";

const FACTS: &str = r#"[
  { "uid": { "type": "User", "id": "operator" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "User", "id": "cfo" }, "attrs": {}, "parents": [] }
]"#;

const PERMIT: &str = "@id(\"all\") permit (principal, action, resource);\n";

const PARENT: &str = "
name: parent
domain: demo
steps:
  - { id: name, uses: compute, with: { folder: ./made/by/a/model } }
  - id: child
    needs: [name]
    run: { workflow: ./child.yaml, inputs: { folder: \"${{ steps.name.output.folder }}\" } }
";

const CHILD: &str = "
name: child
domain: demo
inputs: { folder: { type: string } }
roots: { out: { path: \"${{ inputs.folder }}\", access: write, create: true } }
steps:
  - { id: look, uses: file.read, with: { root: out, path: . }, on_refused: continue }
  - { id: write, needs: [look], if: \"${{ WRITE }}\", uses: file.write, with: { root: out, path: a, text: a } }
";

/// A folder with a canon that has this policy.
fn folder(name: &str, policy: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("canon/canon.toml", CANON);
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/facts/people.json", FACTS);
    folder.write("canon/policies/all.cedar", policy);
    folder.write("parent.yaml", PARENT);
    folder.write("child.yaml", &CHILD.replace("WRITE", "true"));
    folder
}

#[test]
fn the_folder_of_a_root_is_made_on_a_receipt_and_not_before() {
    let refused = folder("made-refused", "@id(\"none\") forbid (principal, action, resource);\n");
    refused.cog(&["run", "parent.yaml"]).ends(4);
    refused.cog(&["run", "child.yaml", "--input", "folder=made"]).ends(4);
    assert_eq!(refused.entries("receipt").len(), 0);
    assert!(!refused.has("made"), "a folder was made without a receipt");
    refused.holds();
    // Reading makes nothing either: what is not there yet is empty.
    let looked = folder("made-looked", PERMIT);
    looked.write("child.yaml", &CHILD.replace("WRITE", "steps.look.output.entries.size() > 0"));
    looked.cog(&["run", "parent.yaml"]).ends(0);
    assert_eq!(looked.entries("receipt").len(), 1);
    assert!(!looked.has("made"));
    let written = folder("made-written", PERMIT);
    written.cog(&["run", "parent.yaml"]).ends(0);
    assert_eq!(written.read("made/by/a/model/a"), "a");
    written.holds();
}

#[test]
fn a_link_that_is_put_where_a_root_is_yet_to_be_made_leads_nowhere() {
    let folder = folder("made-link", PERMIT);
    folder.write("other/keep", "");
    let wait = "uses: file.write, with: { root: out, path: a, text: a }";
    let swapped = CHILD.replace("WRITE", "true").replace(
        &format!("- {{ id: write, needs: [look], if: \"${{{{ true }}}}\", {wait} }}"),
        &format!(
            "- {{ id: go, needs: [look], wait_for: {{ signal: go }} }}\n  - {{ id: write, needs: [go], {wait} }}"
        ),
    );
    folder.write("child.yaml", &swapped);
    let run = folder.cog(&["run", "child.yaml", "--input", "folder=made/it"]).ends(8).id("run");
    assert!(!folder.has("made"));
    std::os::unix::fs::symlink(folder.path("other"), folder.path("made")).unwrap();
    folder.cog(&["signal", &run, "go", "--id", "go-1"]).ends(0);
    let resumed = folder.cog(&["run", "--resume", &run]);
    assert_ne!(resumed.code, 0, "{resumed}");
    assert_eq!(folder.files("other").len(), 1);
    std::fs::remove_file(folder.path("made")).unwrap();
    folder.cog(&["run", "child.yaml", "--input", "folder=made/it"]).ends(8);
    folder.cog(&["run", "--cancel", &run, "--reason", "it was moved"]);
    assert!(!folder.has("made"));
}

const SORT: &str = "
name: sort
domain: demo
steps:
  - { id: sort, uses: process.run, with: { program: sort, args: [-r, -n, -r] } }
";

#[test]
fn no_program_runs_while_the_data_folder_shows_among_the_programs() {
    if !has_sandbox("shown-doctor") {
        return;
    }
    let folder = folder("shown", PERMIT);
    folder.write("sort.yaml", SORT);
    folder.cog(&["run", "sort.yaml"]).ends(0);
    for arguments in [&["run", "sort.yaml"][..], &["doctor"]] {
        let answer = behind_a_mount(&folder, "data", "/usr/share", arguments);
        answer.ends(1).says(&["every program in the sandbox can read"]);
    }
    let outcomes = folder.entries("outcome");
    assert_eq!(outcomes.len(), 2);
    assert_eq!(text(&outcomes[1], &["data", "code"]), "process.keys_shown");
    folder.holds();
    // So it is with a key that the environment names.
    let mut command = folder.command(&["run", "sort.yaml"]);
    command.env("COGNITIONOS_DATABASE_URL_FILE", "/usr/share/cog-url");
    let said = ["the address of the database /usr/share/cog-url", "every program in the sandbox"];
    Answer::of(command.output().unwrap()).ends(1).says(&said);
}

#[test]
fn a_program_is_lent_only_the_variables_that_the_canon_names() {
    let folder = folder("variables", PERMIT);
    let run = |env: &str| {
        let text = format!(
            "name: env\ndomain: demo\nsteps:\n  - {{ id: env, uses: process.run, with: {{ program: \
             printenv, env: {env} }} }}\noutputs: {{ o: \"${{{{ steps.env.output.stdout }}}}\" }}\n"
        );
        folder.write("env.yaml", &text);
        folder.cog(&["run", "env.yaml"])
    };
    if has_sandbox("variables-doctor") {
        run("{ LANG: C }").ends(0).says(&["LANG=C"]);
    }
    run("{ LANG: C, CURL_HOME: /workspace }").ends(4).says(&[
        "program.env_not_allowed",
        "CURL_HOME",
        "env = [\"CURL_HOME\", \"LANG\"]",
    ]);
    run("{ LANG: C, LD_PRELOAD: /workspace/x.so }").ends(4).says(&[
        "program.env_never_allowed",
        "LD_PRELOAD",
        "no canon can allow it",
        "args.env set no LD_PRELOAD",
    ]);
    folder.holds();
    folder.cog(&["canon", "check", "canon"]).ends(0).says(&["`PYTHONPATH` can have `printenv`"]);
    folder.change("canon/canon.toml", "PYTHONPATH", "LD_AUDIT");
    folder.cog(&["canon", "check", "canon"]).ends(2).says(&["LD_AUDIT", "allowed to nobody"]);
}

#[test]
fn a_policy_sees_the_arguments_of_a_program_in_their_order() {
    if !has_sandbox("line-doctor") {
        return;
    }
    let only = "@id(\"line\") permit (principal, action == Action::\"process.run\", resource)
when { context.args.line == \"[\\\"-r\\\",\\\"-n\\\",\\\"-r\\\"]\" };\n";
    let folder = folder("line", PERMIT);
    folder.write("canon/policies/all.cedar", only);
    folder.write("sort.yaml", SORT);
    folder.cog(&["run", "sort.yaml"]).ends(0);
    folder.change("sort.yaml", "[-r, -n, -r]", "[-n, -r]");
    folder.cog(&["run", "sort.yaml"]).ends(4).says(&["canon.no_permit"]);
    folder.holds();
}

//! What programs write while they run: on record as it comes, followed, and kept when they fail.

#![expect(clippy::disallowed_methods, reason = "these tests wait for programs")]

use std::time::Duration;

use crate::kills::has_sandbox;
use crate::program::{Folder, text};

const CANON: &str = "name = \"stream\"\ndomain = \"demo\"\n[change]\napprovals = 1\n\
    approvers = [\"user:operator\"]\n[programs]\nallow = [\"sh\"]\n\
    [roots]\n\"*\" = { within = [\".\"] }\n";
const SCHEMA: &str = "entity User;\nentity Root;\nentity Program;\n\
    action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };\n\
    action \"process.run\" appliesTo { principal: [User], resource: [Program], context: {} };\n";
const FACTS: &str = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;

/// A program that says one thing, waits for a file, and says another.
const SLOW: &str = "
name: slow
domain: demo
roots: { out: { path: out, access: write, create: true } }
steps:
  - { id: make, uses: file.write, with: { root: out, path: begun, text: x } }
  - id: build
    needs: [make]
    uses: process.run
    with: { program: sh, root: out, args: [-c, \"echo one; echo wörse >&2; \
              while [ ! -e go ]; do sleep 0.05; done; printf 'two\\nthree'; exit EXIT\"] }
    stream: true
";

fn folder(name: &str, policy: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("canon/canon.toml", CANON);
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/facts/people.json", FACTS);
    folder.write("canon/policies/all.cedar", policy);
    folder.write("slow.yaml", &SLOW.replace("EXIT", "0"));
    folder
}

const PERMIT: &str = "@id(\"all\") permit (principal, action, resource);\n";

#[test]
fn what_a_program_writes_is_on_record_while_it_runs() {
    if !has_sandbox("streaming-doctor") {
        return;
    }
    let folder = folder("streaming", PERMIT);
    let mut run = folder.start(&["run", "slow.yaml"]);
    // There is nothing to list before there is a ledger.
    let given = || folder.cog(&["ledger", "list", "--kind", "output"]).out.lines().count();
    while given() < 2 {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(folder.entries("outcome").len() < 2, "the program still runs");
    let started = &folder.entries("session.started")[0];
    let id = text(started, &["session"]).to_owned();
    let follows = folder.start(&["logs", &id, "--follow", "--step", "build"]);
    folder.write("out/go", "");
    assert!(run.wait().unwrap().success());
    let followed = follows.wait_with_output().unwrap();
    let followed = String::from_utf8(followed.stdout).unwrap();
    let mut lines: Vec<&str> = followed.lines().collect();
    // Which of two streams is read first is nobody's choice.
    lines.sort_unstable();
    assert_eq!(lines, ["one", "stderr wörse", "three", "two"]);
    let pieces = folder.cog(&["logs", &id, "--json"]).ends(0).jsons();
    let of = |name| {
        let pieces = pieces.iter().filter(move |it| text(it, &["name"]) == name);
        pieces.map(|it| text(it, &["text"])).collect::<String>()
    };
    assert_eq!((of("stdout"), of("stderr")), ("one\ntwo\nthree".into(), "wörse\n".into()));
    // From an offset on: the last bytes of what was given.
    let all: usize = pieces.iter().map(|it| text(it, &["text"]).len()).sum();
    let from = (all - 3).to_string();
    folder.cog(&["logs", &id, "--from", &from]).ends(0).says(&["build ree"]);
    let cut = folder.cog(&["logs", &id, "--from", &from, "--json"]).ends(0);
    assert!(cut.out.contains(&format!(r#""offset":{from}"#)), "{}", cut.out);
    assert!(cut.out.contains(r#""text":"ree"#), "{}", cut.out);
    folder.holds();
}

#[test]
fn what_a_program_wrote_before_it_failed_is_kept() {
    if !has_sandbox("streaming-failed-doctor") {
        return;
    }
    let folder = folder("streaming-failed", PERMIT);
    let failing = SLOW.replace("while [ ! -e go ]; do sleep 0.05; done", "sleep 60");
    folder.write("slow.yaml", &format!("{failing}    timeout_ms: 700\n"));
    folder.cog(&["run", "slow.yaml"]).ends(1);
    let id = text(&folder.entries("session.started")[0], &["session"]).to_owned();
    folder.cog(&["logs", &id]).ends(0).says(&["build one", "build stderr wörse"]);
    folder.holds();
}

#[test]
fn nothing_is_streamed_that_the_canon_removes_of_the_output() {
    if !has_sandbox("streaming-redacted-doctor") {
        return;
    }
    let policy = "@id(\"all\") @redact(\"output.stdout\") permit (principal, action, resource);\n";
    let folder = folder("streaming-redacted", policy);
    folder.write("out/go", "");
    folder.cog(&["run", "slow.yaml"]).ends(0);
    assert_eq!(folder.entries("output").len(), 0);
    folder.holds();
}

#[test]
fn only_programs_have_a_stream() {
    let folder = folder("streaming-only", PERMIT);
    folder.change(
        "slow.yaml",
        "path: begun, text: x } }",
        "path: begun, text: x }, stream: true }",
    );
    let answer = folder.cog(&["run", "slow.yaml"]).ends(2);
    answer.says(&["`stream` means nothing here; it goes with `process.run`"]);
}

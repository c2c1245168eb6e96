//! Bad workflow files: exit code 2, with file, line, column and a way out, before anything
//! is opened or written.

use crate::program::{Answer, Folder};

const HEAD: &str = "name: x\ndomain: d\nsteps:\n";

/// Name of the case, the file after the head, where the error is, and what is said.
const BAD: [(&str, &str, &str, &[&str]); 10] = [
    (
        "cycle",
        "  - { id: a, needs: [b], uses: compute, with: { x: 1 } }
  - { id: b, needs: [a], uses: compute, with: { x: 1 } }\n",
        "5:22",
        &["wait for each other: a -> b -> a", "take one of these out of `needs`"],
    ),
    (
        "unknown-step",
        "  - { id: first, uses: compute, with: { x: 1 } }
  - { id: b, needs: [frist], uses: compute, with: { x: 1 } }\n",
        "5:22",
        &["needs `frist`, which is not here", "did you mean `first`?"],
    ),
    (
        "unknown-effect",
        "  - id: a\n    uses: file.reed\n    with: { root: r, path: p }\n",
        "5:11",
        &["there is no effect `file.reed`", "did you mean `file.read`?"],
    ),
    (
        "unknown-key",
        "  - id: a\n    uses: compute\n    wiht: { x: 1 }\n",
        "6:5",
        &["unknown key `wiht` in a step", "did you mean `with`?"],
    ),
    (
        "bad-type",
        "  - id: a\n    uses: file.read\n    with: { root: 7, path: p }\n",
        "6:19",
        &["`root` of `file.read` takes a string, not an integer"],
    ),
    (
        "bad-expression",
        "  - id: a\n    uses: compute\n    with: { x: \"${{ 1 + }}\" }\n",
        "6:25",
        &["not a CEL expression"],
    ),
    (
        "unknown-reference",
        "  - id: a\n    uses: compute\n    with: { x: \"${{ inputs.nmae }}\" }\n",
        "6:",
        &["nmae"],
    ),
    (
        "duplicate-key",
        "  - id: a\n    uses: compute\n    uses: compute\n    with: { x: 1 }\n",
        "6:5",
        &["uses"],
    ),
    ("not-yaml", "  - id: [\n", "5:1", &["not valid YAML", "check the indentation"]),
    (
        "alias-bomb",
        "  - &a [x, x, x, x, x, x, x, x, x]\n  - &b [*a, *a, *a, *a, *a, *a, *a, *a]
  - &c [*b, *b, *b, *b, *b, *b, *b, *b]\n",
        "4:5",
        &["anchors and aliases", "write the value out"],
    ),
];

#[test]
fn a_bad_file_is_told_by_place_and_nothing_is_written() {
    let folder = Folder::new("bad-files");
    for (name, body, place, words) in BAD {
        let file = format!("{name}.yaml");
        folder.write(&file, &format!("{HEAD}{body}"));
        let answer = folder.cog(&["run", &file]).ends(2).says(words);
        assert!(answer.err.contains(&format!("{file}:{place}")), "{name}: {answer}");
        let error = folder.cog(&["run", &file, "--json"]).ends(2).json();
        assert_eq!(error.get("exit"), Some(&2_u64.into()));
        assert!(error.to_string().contains(&format!("{file}:{place}")), "{error}");
    }
    assert!(!folder.has("data"));
}

#[test]
fn what_is_too_deep_or_too_large_is_refused_at_once() {
    let folder = Folder::new("bombs");
    folder.write("deep.yaml", &format!("{HEAD}  - {}\n", "[".repeat(10_000)));
    folder.cog(&["run", "deep.yaml"]).ends(2).says(&["deep.yaml:4:"]);
    folder.write("deeper.yaml", &format!("{HEAD}  - {}\n", "[".repeat(100)));
    folder
        .cog(&["run", "deeper.yaml"])
        .ends(2)
        .says(&["deeper.yaml:4:", "levels deep; a file has at most 32"]);
    folder.write("deep.json", &"{\"a\":".repeat(100_000));
    folder.cog(&["run", "deep.json"]).ends(2).says(&["deep.json:1:"]);
    folder.write("huge.yaml", &format!("{HEAD}{}", "# filler\n".repeat(300_000)));
    folder.cog(&["run", "huge.yaml"]).ends(2).says(&["huge.yaml", "at most 1 MiB"]);
    let many = "  - { id: a, uses: compute, with: { x: 1 } }\n".repeat(5_000);
    folder.write("many.yaml", &format!("{HEAD}{many}"));
    folder.cog(&["run", "many.yaml"]).ends(2).says(&["many.yaml:"]);
    folder.write("not-text.yaml", HEAD);
    std::fs::write(folder.path("not-text.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    folder.cog(&["run", "not-text.yaml"]).ends(2).says(&["not-text.yaml"]);
    folder.cog(&["run", "missing.yaml"]).ends(2).says(&["missing.yaml"]);
    folder.cog(&["run", "."]).ends(2);
    assert!(!folder.has("data"));
}

#[test]
fn what_is_no_file_is_refused_and_nobody_waits_for_it() {
    let folder = Folder::example("no-files", "01-quickstart");
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    folder.cog(&["ledger", "export", "-o", "all.cogbundle", "--key", "all.vkey"]).ends(0);
    folder.copy("canon", "odd");
    folder.copy("invoices", "elsewhere/invoices");
    folder.copy("canon", "elsewhere/canon");
    std::fs::copy(folder.path("workflow.yaml"), folder.path("elsewhere/workflow.yaml")).unwrap();
    let reader = "elsewhere/recordings/reader.jsonl";
    std::fs::create_dir(folder.path("elsewhere/recordings")).unwrap();
    for pipe in ["pipe", "odd/policies/odd.cedar", reader] {
        let made = std::process::Command::new("mkfifo").arg(folder.path(pipe)).status();
        assert!(made.unwrap().success());
    }
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
    for (given, what) in [
        ("pipe", "it is a named pipe, not a file"),
        ("socket", "it is a socket"),
        ("/dev/zero", "it is a device, not a file"),
        ("canon", "it is a folder, not a file"),
    ] {
        folder.cog(&["run", given]).ends(2).says(&["cannot read", what, "try: name a workflow"]);
        let bundle = ["verify", given, "--key", "all.vkey"];
        folder.cog(&bundle).ends(2).says(&[what, "try: name a file"]);
        folder.cog(&["verify", "all.cogbundle", "--key", given]).ends(2).says(&[what]);
        let against = ["verify", "all.cogbundle", "--key", "all.vkey", "--against", given];
        folder.cog(&against).ends(2).says(&[what]);
        folder.cog(&["ledger", "verify", "--against", given]).ends(2).says(&[what]);
        let model = ["run", "workflow.yaml", "--model", "http://127.0.0.1:1/v1#x", "--record"];
        folder.cog(&[&model[..], &[given]].concat()).ends(2).says(&[what]);
    }
    let pipe = "it is a named pipe, not a file";
    folder.cog(&["canon", "check", "odd"]).ends(2).says(&["odd.cedar", pipe]);
    folder.cog(&["run", "elsewhere/workflow.yaml"]).ends(2).says(&[reader, pipe]);
    // What the process was given as a descriptor is read.
    folder
        .write("small.yaml", &format!("{HEAD}  - {{ id: a, uses: compute, with: {{ x: 1 }} }}\n"));
    let mut run = folder.command(&["run", "/dev/stdin"]);
    run.stdin(std::fs::File::open(folder.path("small.yaml")).unwrap());
    Answer::of(run.output().unwrap()).ends(0);
}

/// What one command says, another takes: a workflow and a bundle come through a pipe.
#[test]
fn a_dash_is_standard_input() {
    let folder = Folder::example("dash", "01-quickstart");
    let workflow = folder.read("workflow.yaml");
    folder.piped(&["run", "-"], &workflow).ends(8).says(&["waiting for approval"]);
    folder.piped(&["run", "-"], "name: x\nstps: []\n").ends(2).says(&["<stdin>:2:1"]);
    folder.piped(&["run", "-"], "").ends(2).says(&["<stdin>"]);
    folder.cog(&["ledger", "export", "-o", "all.cogbundle", "--key", "all.vkey"]).ends(0);
    let bundle = folder.read("all.cogbundle");
    let named = folder.cog(&["verify", "all.cogbundle", "--key", "all.vkey"]).ends(0);
    let report = named.out.replace("all.cogbundle", "<stdin>");
    for given in ["-", "/dev/stdin"] {
        let answer = folder.piped(&["verify", given, "--key", "all.vkey"], &bundle).ends(0);
        assert_eq!(answer.out.replace(given, "<stdin>"), report.replace(given, "<stdin>"));
        let with = ["verify", "all.cogbundle", "--key", "all.vkey", "--against", given];
        folder.piped(&with, &bundle).ends(0).says(&["only grew between the two views"]);
    }
    assert!(report.contains("recomputed, by canon and record"), "{report}");
    let proof = folder.cog(&["ledger", "proof", "3"]).ends(0).out;
    folder.piped(&["verify", "-", "--key", "all.vkey"], &proof).ends(0);
    for other in ["", "text"] {
        let answer = folder.piped(&["verify", "-", "--key", "all.vkey"], other).ends(2);
        answer.says(&["could not check `<stdin>`"]);
    }
}

#[test]
fn a_bad_file_leaves_a_ledger_that_is_there_as_it_was() {
    let folder = Folder::example("bad-file-beside-a-ledger", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    let before = folder.snapshot("data");
    folder.write("bad.yaml", &format!("{HEAD}{}", BAD[0].1));
    folder.cog(&["run", "bad.yaml"]).ends(2);
    folder.cog(&["run", "workflow.yaml", "--input", "nito=desk"]).ends(2);
    assert_eq!(folder.snapshot("data"), before);
}

#[test]
fn inputs_are_checked_before_anything_is_written() {
    let folder = Folder::new("inputs");
    let inputs = "name: x\ndomain: d\ninputs:\n  count: { type: integer }\n";
    let steps = "steps:\n  - { id: a, uses: compute, with: { x: \"${{ inputs.count }}\" } }\n";
    folder.write("w.yaml", &format!("{inputs}{steps}"));
    for (given, words) in [
        (&["--input", "count=three"][..], "takes a whole number"),
        (&["--input", "count"], "--input NAME=VALUE"),
        (&["--input", "count=3", "--input", "cuont=3"], "did you mean `count`?"),
        (&[], "the input `count` is missing"),
    ] {
        folder.cog(&[&["run", "w.yaml"], given].concat()).ends(2).says(&[words]);
    }
    assert!(!folder.has("data"));
    folder.cog(&["run", "w.yaml", "--input", "count=3"]).ends(0);
}

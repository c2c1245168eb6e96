//! What is personal: sealed under the key of whom it is about, and gone when that is erased.

use cog_base::Value;

use crate::program::{Folder, text};

const FLOW: &str = r#"
name: letters
domain: letters
subject: "${{ inputs.customer }}"
inputs:
  customer: { type: string }
  words: { type: string }
steps:
  - { id: greet, uses: compute, with: { text: "Dear ${{ inputs.words }}" } }
  - { id: answer, needs: [greet], wait_for: { signal: answer } }
  - id: part
    needs: [answer]
    run: { workflow: part.yaml, inputs: { words: "${{ steps.answer.output.payload }}" } }
outputs: { text: "${{ steps.greet.output.text }}", part: "${{ steps.part.output.words }}" }
"#;
const PART: &str = r#"
name: part
domain: letters
inputs: { words: { type: string } }
steps: [ { id: note, uses: compute, with: { it: "${{ inputs.words }}" } } ]
outputs: { words: "${{ inputs.words }} again" }
"#;
/// What must not be found any more, wherever it stood.
const WORDS: [&str; 3] = ["zanzibar", "quetzal", "ada-lovelace"];

/// The files of the data folder that hold one of the words, as they are.
fn found(folder: &Folder, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (path, _) in folder.snapshot(name) {
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let has = |word: &&&str| bytes.windows(word.len()).any(|it| it == word.as_bytes());
            found
                .extend(WORDS.iter().filter(has).map(|word| format!("{word}: {}", path.display())));
        }
    }
    found
}

/// How many entries of the ledger show one of the words, with their bodies.
fn shown(folder: &Folder) -> usize {
    let entries = folder.cog(&["ledger", "list", "--json", "--limit", "1000"]).ends(0).jsons();
    let seqs = entries.iter().map(|entry| entry.get("seq").unwrap().to_string());
    let shown = seqs.map(|seq| folder.cog(&["ledger", "show", &seq]).ends(0).out);
    shown.filter(|it| WORDS.iter().any(|word| it.contains(word))).count()
}

fn letters(name: &str) -> (Folder, String) {
    let folder = Folder::new(name);
    folder.write("workflow.yaml", FLOW);
    folder.write("part.yaml", PART);
    let inputs = ["--input", "customer=ada-lovelace", "--input", "words=zanzibar"];
    let run = folder.cog(&[&["run", "workflow.yaml"][..], &inputs].concat()).ends(8).id("run");
    (folder, run)
}

#[test]
fn of_a_run_about_somebody_nothing_is_left_when_that_is_erased() {
    let (folder, run) = letters("privacy-run");
    let erase = ["ledger", "erase", "ada-lovelace", "--as", "user:operator"];
    folder.cog(&erase).ends(7).says(&[&run, "is open"]);
    folder.cog(&["signal", &run, "answer", "--payload", "\"quetzal\"", "--as", "user:ada"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["Dear zanzibar", "quetzal again"]);
    folder.holds();
    // Beginning and end of both runs, the signal, and what the one heard of the other.
    assert_eq!(shown(&folder), 6);
    folder.cog(&erase).ends(0).says(&["6 bodies erased"]);
    assert_eq!(shown(&folder), 0);
    assert_eq!(found(&folder, "data"), Vec::<String>::new());
    folder.cog(&["ledger", "verify"]).ends(0).says(&["erased, as entries say"]);
    folder.cog(&["ledger", "export", "-o", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    folder.cog(&["verify", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    assert!(!WORDS.iter().any(|word| folder.read("b.cogbundle").contains(word)));
    let replayed = folder.cog(&["replay", &run, "--json"]).ends(0).json();
    assert_eq!(text(&replayed, &["result"]), "erased");
}

#[test]
fn what_goes_on_from_a_run_says_that_it_was_erased() {
    let (folder, run) = letters("privacy-fork");
    folder.cog(&["signal", &run, "answer", "--payload", "\"quetzal\""]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    folder.cog(&["ledger", "erase", "ada-lovelace", "--as", "user:operator"]).ends(0);
    let erasure = folder.entries("bodies.erased")[0].get("seq").and_then(Value::as_u64).unwrap();
    let by = format!("entry {erasure}");
    for words in [
        &["run", "--fork", &run, "--from", "answer"][..],
        &["checkpoint", "create", &run, "here"],
        &["checkpoint", "create", &run, "here", "--step", "answer"],
    ] {
        folder.cog(words).ends(1).says(&["the body of entry", "erased, as", &by]);
    }
    folder.cog(&["run", "--resume", &run]).ends(7).says(&["has ended, completed"]);
    folder.cog(&["why", &run]).ends(0).says(&["It ended as completed"]);
    assert_eq!(folder.entries("session.started").len(), 2);
}

#[test]
fn what_goes_on_from_a_step_that_was_erased_says_so_and_not_that_it_never_began() {
    let folder = Folder::new("privacy-step");
    folder.write("workflow.yaml", FLOW);
    folder.change("workflow.yaml", "subject: \"${{ inputs.customer }}\"\n", "");
    folder.write("part.yaml", PART);
    let inputs = ["--input", "customer=ada-lovelace", "--input", "words=zanzibar"];
    let run = folder.cog(&[&["run", "workflow.yaml"][..], &inputs].concat()).ends(8).id("run");
    let sent = ["signal", &run, "answer", "--payload", "\"quetzal\"", "--subject", "ada"];
    folder.cog(&sent).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    folder.cog(&["ledger", "erase", "ada", "--as", "user:operator"]).ends(0);
    for words in [
        &["run", "--fork", &run, "--from", "part"][..],
        &["checkpoint", "create", &run, "here", "--step", "part"],
        &["checkpoint", "create", &run, "here"],
    ] {
        let told = folder.cog(words);
        assert!(!told.err.contains("has not begun") && !told.err.contains("is over"), "{told}");
        told.says(&["the body of entry", "erased, as entry"]);
    }
    folder.cog(&["checkpoint", "create", &run, "here", "--step", "answer"]).ends(0);
}

#[test]
fn a_subject_that_is_no_name_starts_nothing() {
    let folder = Folder::new("privacy-nobody");
    folder.write("workflow.yaml", FLOW);
    folder.write("part.yaml", PART);
    let run = |customer: &str| {
        folder.cog(&["run", "workflow.yaml", "--input", customer, "--input", "words=a"])
    };
    run("customer=").ends(2).says(&["the subject of the run is empty"]);
    folder.change("workflow.yaml", "inputs.customer }}", "steps.greet.output.text }}");
    run("customer=ada").ends(2).says(&["no step `greet`"]);
    assert!(!folder.has("data"));
}

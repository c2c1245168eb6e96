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
fn a_checkpoint_behind_what_was_erased_says_so_before_a_run_begins() {
    let folder = Folder::new("privacy-checkpoint");
    folder.write("workflow.yaml", FLOW);
    folder.change("workflow.yaml", "subject: \"${{ inputs.customer }}\"\n", "");
    folder.write("part.yaml", PART);
    let inputs = ["--input", "customer=ada-lovelace", "--input", "words=zanzibar"];
    let run = folder.cog(&[&["run", "workflow.yaml"][..], &inputs].concat()).ends(8).id("run");
    let sent = ["signal", &run, "answer", "--payload", "\"quetzal\"", "--subject", "ada"];
    folder.cog(&sent).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    folder.cog(&["checkpoint", "create", &run, "here", "--step", "part"]).ends(0);
    folder.cog(&["ledger", "erase", "ada", "--as", "user:operator"]).ends(0);
    let told = folder.cog(&["run", "--fork", &run, "--from", "here"]).ends(2);
    told.says(&["nothing can go on from", "the body of entry", "erased, as entry"]);
    assert_eq!(folder.entries("session.started").len(), 2, "nothing began");
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

const ASKS: &str = r#"
name: asks
domain: asks
steps:
  - { id: ask, approve: { by: ["user:boss"], message: "May it?" } }
"#;
const CANON: &str = "name = \"asks\"\ndomain = \"asks\"\n[change]\napprovals = 1\n\
    approvers = [\"user:boss\", \"user:operator\"]\n[runs]\ncancel = [\"user:boss\"]\n";
const SCHEMA: &str = "entity User;\nentity Root;\n\
    action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };\n";
const POLICY: &str =
    "@id(\"all\")\n@reason(\"It is about this.\")\npermit (principal, action, resource);\n";
const FACTS: &str = r#"[{"uid": {"type": "User", "id": "boss"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;

/// A folder with a canon and a run that asks.
fn asks(name: &str) -> (Folder, String) {
    let folder = Folder::new(name);
    folder.write("workflow.yaml", ASKS);
    folder.write("canon/canon.toml", CANON);
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/policies/all.cedar", POLICY);
    folder.write("canon/facts/people.json", FACTS);
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    (folder, run)
}

/// The number of the only entry of a kind.
fn seq(folder: &Folder, kind: &str) -> String {
    let entries = folder.entries(kind);
    assert_eq!(entries.len(), 1, "{kind}");
    entries[0].get("seq").unwrap().to_string()
}

#[test]
fn what_people_type_is_never_in_an_entry_and_can_be_erased() {
    let (folder, run) = asks("privacy-words");
    folder.cog(&["pause", &run, "--reason", "zanzibar is ill", "--as", "user:boss"]).ends(0);
    folder.cog(&["unpause", &run, "--reason", "quetzal is well", "--as", "user:boss"]).ends(0);
    let no = text(&folder.entries("approval.requested")[0], &["data", "id"]).to_owned();
    let no = ["approvals", "reject", &no, "--reason", "ada-lovelace", "--as", "user:boss"];
    folder.cog(&no).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(4);
    let other = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.cog(&["run", "--cancel", &other, "--reason", "zanzibar quit"]).ends(0);
    folder.change("canon/canon.toml", "approvals = 1\n", "approvals = 1 # more\n");
    let note = ["canon", "propose", "canon", "--note", "quetzal asked", "--as", "user:operator"];
    let proposal = folder.cog(&note).ends(0).id("prp");
    let no = ["canon", "reject", &proposal, "--reason", "zanzibar said no", "--as", "user:boss"];
    folder.cog(&no).ends(0);

    let all = folder.cog(&["ledger", "list", "--json", "--limit", "1000"]).ends(0).out;
    assert!(!WORDS.iter().any(|word| all.contains(word)), "{all}");
    let listed = folder.cog(&["ledger", "list"]).ends(0);
    let listed =
        listed.says(&["zanzibar is ill", "quetzal is well", "ada-lovelace", "quetzal asked"]);
    listed.says(&["zanzibar quit", "zanzibar said no"]);
    folder.cog(&["why", &run]).ends(0).says(&["ada-lovelace"]);
    folder.cog(&["why", &other]).ends(0).says(&["cancelled", "user:operator"]);
    folder.cog(&["why", &proposal]).ends(0).says(&["zanzibar said no"]);
    let csv = ["ledger", "export", "--format", "csv", "-o", "-"];
    folder.cog(&csv).ends(0).says(&["zanzibar is ill", "quetzal asked", "ada-lovelace"]);
    folder.holds();

    let kinds = ["session.paused", "session.unpaused", "approval.rejected", "evidence"];
    let mut erase: Vec<String> = vec!["ledger".into(), "erase".into()];
    for kind in kinds.iter().chain(&["canon.proposed", "canon.rejected"]) {
        erase.extend(["--entry".to_owned(), seq(&folder, kind)]);
    }
    // How a run ended says why it was refused or ended.
    for seal in folder.entries("session.sealed") {
        erase.extend(["--entry".to_owned(), seal.get("seq").unwrap().to_string()]);
    }
    erase.extend(["--reason", "they asked for it", "--as"].map(str::to_owned));
    let by = |who: &str| {
        let words: Vec<&str> = erase.iter().map(String::as_str).chain([who]).collect();
        folder.cog(&words)
    };
    by("user:nobody").ends(4).says(&["user:nobody may not erase"]);
    by("user:boss").ends(0).says(&["8 bodies erased"]);
    by("user:boss").ends(0).says(&["erased before, as entry"]);
    assert_eq!(shown(&folder), 0);
    assert_eq!(found(&folder, "data"), Vec::<String>::new());
    let erasure = seq(&folder, "bodies.erased");
    let gone = format!("erased, as entry {erasure} says");
    let listed = folder.cog(&["ledger", "list"]).ends(0).says(&[&gone, "they asked for it"]);
    assert!(!WORDS.iter().any(|word| listed.out.contains(word)), "{listed}");
    for id in [&run, &other, &proposal, &seq(&folder, "session.paused")] {
        folder.cog(&["why", id]).ends(0).says(&["erased"]);
    }
    folder.cog(&csv).ends(0);
    folder.cog(&["ledger", "verify"]).ends(0).says(&["erased, as entries say"]);
    folder.cog(&["ledger", "export", "-o", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    folder.cog(&["verify", "b.cogbundle", "--key", "b.vkey"]).ends(0);
    let replayed = folder.cog(&["replay", &run, "--json"]).ends(0).json();
    assert_eq!(text(&replayed, &["result"]), "erased");
    assert_eq!(text(&folder.entries("bodies.erased")[0], &["data", "basis"]), "entries");
}

#[test]
fn what_an_open_run_needs_is_not_erased_by_the_number_of_its_entry() {
    let (folder, run) = asks("privacy-open");
    folder.cog(&["pause", &run, "--reason", "zanzibar", "--as", "user:boss"]).ends(0);
    let paused = seq(&folder, "session.paused");
    let erase = |seq: &str| {
        folder.cog(&["ledger", "erase", "--entry", seq, "--reason", "r", "--as", "user:boss"])
    };
    erase(&paused).ends(7).says(&[&run, "is open and needs what it holds of these entries"]);
    erase("4711").ends(2).says(&["there is no entry 4711"]);
    erase("0").ends(2).says(&["nothing stands beside"]);
    folder.cog(&["ledger", "erase", "--entry", &paused, "--as", "user:boss"]).ends(2);
    folder.cog(&["ledger", "erase", "ada", "--entry", &paused, "--reason", "r"]).ends(2);
    assert!(folder.entries("bodies.erased").is_empty());
    folder.cog(&["run", "--cancel", &run, "--reason", "over"]).ends(0);
    erase(&paused).ends(0).says(&["1 body erased"]);
}

#[test]
fn a_no_about_somebody_goes_with_the_data_of_that_person() {
    let (folder, _) = asks("privacy-no");
    folder.change("workflow.yaml", "  - { id: ask, approve", "  - id: part\n    subject: ada-lovelace\n    steps:\n      - { id: ask, on_refused: continue, approve");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let asked = folder.entries("approval.requested");
    let no = text(&asked[1], &["data", "id"]);
    let no = ["approvals", "reject", no, "--reason", "zanzibar", "--as", "user:boss"];
    folder.cog(&no).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    folder.cog(&["ledger", "list"]).says(&["zanzibar"]);
    folder.cog(&["ledger", "erase", "ada-lovelace", "--as", "user:boss"]).ends(0);
    assert!(!folder.cog(&["ledger", "list"]).out.contains("zanzibar"));
}

#[test]
fn how_long_things_are_kept_is_told_and_nothing_goes_before() {
    let folder = Folder::new("retention");
    folder.write("workflow.yaml", ASKS);
    folder.write("canon/canon.toml", &format!("{CANON}[retention]\nentries = \"7 weeks\"\n"));
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/policies/all.cedar", POLICY);
    folder.write("canon/facts/people.json", FACTS);
    let wrong = folder.cog(&["run", "workflow.yaml"]).ends(4);
    wrong.says(&["`7 weeks` is no length of time", "\"400 days\" or \"7 years\""]);
    folder.change("canon/canon.toml", "7 weeks", "7 years");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.cog(&["run", "--cancel", &run, "--reason", "over"]).ends(0);
    let told = folder.cog(&["ledger", "retention"]).ends(0);
    told.says(&[
        "asks  entries are kept 7 years, bodies as nobody says",
        "0 bodies and 0 entries old enough to go",
    ]);
    let told = folder.cog(&["ledger", "retention", "--json"]).ends(0).json();
    let asks = &told.as_list().unwrap()[0];
    assert_eq!(asks.get("domain"), Some(&"asks".into()), "{told}");
    assert_eq!(asks.get("due"), Some(&0_u64.into()));
    assert!(asks.get("bytes").and_then(Value::as_u64).unwrap() > 1_000);
    let before = folder.cog(&["ledger", "list", "--json"]).out;
    folder.cog(&["ledger", "prune", "--expired", "--dry-run"]).ends(0).says(&["no whole segment"]);
    folder.cog(&["ledger", "prune", "--expired", "--as", "user:boss"]).ends(0);
    assert_eq!(folder.cog(&["ledger", "list", "--json"]).out, before);
    let prune = |before: &str| {
        folder.cog(&["ledger", "prune", "--before", before, "--reason", "r", "--as", "user:boss"])
    };
    prune("yesterday").ends(2).says(&["neither the number of an entry nor a time", "2026-01-31"]);
    prune("2999-01-01").ends(2).says(&["whole segments of 256 entries"]);
    folder.cog(&["ledger", "prune", "--before", "1", "--as", "user:boss"]).ends(2);
    folder.cog(&["ledger", "prune", "--as", "user:boss"]).ends(2);
    folder.holds();
}

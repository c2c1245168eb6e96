//! Another version of a workflow file is tested on the runs on record before anybody runs it.

use cog_base::Value;

use crate::forks::permitted;
use crate::program::text;

const FLOW: &str = "
name: letters
domain: forks
inputs: { who: { type: string, default: ann } }
roots: { out: { path: ./out, access: write, create: true } }
steps:
  - { id: body, uses: compute, with: { text: \"Dear ${{ inputs.who }}\" } }
  - { id: save, needs: [body], uses: file.write, with: { root: out, path: \"${{ inputs.who }}.txt\", text: \"${{ steps.body.output.text }}\", mode: replace } }
  - { id: tell, needs: [save], if: \"${{ inputs.who == 'bob' }}\", uses: file.write, with: { root: out, path: log.txt, text: bob, mode: replace } }
outputs: { bytes: \"${{ steps.save.output.bytes }}\" }
";

#[test]
fn another_version_of_a_file_is_tested_on_the_runs_on_record() {
    let folder = permitted("definitions");
    folder.write("workflow.yaml", FLOW);
    folder.write("other.yaml", &FLOW.replace("name: letters", "name: bills"));
    let run = |who: &str| {
        let input = format!("who={who}");
        folder.cog(&["run", "workflow.yaml", "--input", &input]).ends(0).id("run")
    };
    let (ann, bob) = (run("ann"), run("bob"));
    let bill = folder.cog(&["run", "other.yaml"]).ends(0).id("run");
    let all = || folder.cog(&["ledger", "list", "--json", "--limit", "1000"]).ends(0).jsons().len();
    let entries = all();
    let test = |source: &str, args: &[&str]| {
        folder.write("v2.yaml", source);
        folder.cog(&[&["replay", "--definition", "v2.yaml"], args].concat())
    };

    // What no run came to may change: words, and a step that stands behind another condition.
    let same = FLOW.replace("Dear ${{", "${{ 'Dear ' }}${{");
    test(&same, &[]).ends(0).says(&[
        "same",
        &ann,
        &bob,
        "2 of 2 recorded runs follow from letters",
    ]);

    let told = FLOW.replace("text: bob", "text: b");
    let json = test(&told, &["--json"]).ends(1).json();
    let number = |name: &str| json.get(name).and_then(Value::as_u64);
    assert_eq!(
        (number("runs"), number("same"), number("differing"), number("unknown")),
        (Some(2), Some(1), Some(1), Some(0))
    );
    let of = |run: &str| {
        let tested = json.get("tested").and_then(Value::as_list).unwrap();
        tested.iter().find(|it| text(it, &["run"]) == run).unwrap().clone()
    };
    assert_eq!(text(&of(&ann), &["result"]), "same");
    assert_eq!(text(&of(&bob), &["result"]), "differs");
    assert!(text(&of(&bob), &["why"]).contains("the flow wants other arguments"));
    test(&told, &[&bob]).ends(1).says(&["differs", "0 of 1 recorded runs follow"]);
    test(&told, &[&ann]).ends(0);

    let longer = FLOW.replace(
        "outputs:",
        "  - { id: last, needs: [save], uses: file.read, with: { root: out, path: . } }\noutputs:",
    );
    test(&longer, &[&ann]).ends(1).says(&["the run has not ended"]);
    let outputs = FLOW.replace("{ bytes: \"${{ steps.save.output.bytes }}\" }", "{ bytes: 1 }");
    test(&outputs, &[&ann]).ends(1).says(&["its outputs or error are others"]);
    let inputs = FLOW.replace(
        "inputs: { who: { type: string, default: ann } }",
        "inputs: { who: { type: integer, default: 1 } }",
    );
    test(&inputs, &[&ann]).ends(1).says(&["the input `who` is not integer"]);

    test(FLOW, &[&bill]).ends(2).says(&["is a run of `bills`, not of `letters`"]);
    let new = FLOW.replace("name: letters", "name: new");
    test(&new, &[]).ends(0).says(&["no run of `new` is on record, and so nothing was tested"]);
    test("steps: 1", &[]).ends(2).says(&["v2.yaml"]);
    assert_eq!(all(), entries, "testing writes nothing");
    folder.holds();
}

#[test]
fn an_open_run_and_one_with_erased_records_are_told_apart() {
    let folder = permitted("definitions-open");
    let flow = format!("{FLOW}  \n")
        .replace("outputs:", "  - { id: go, needs: [save], wait_for: { signal: go } }\noutputs:");
    folder.write("workflow.yaml", &flow);
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let test = || folder.cog(&["replay", "--definition", "workflow.yaml"]);
    test().ends(0).says(&["same", &format!("{run}, open"), "1 of 1 recorded runs follow"]);
    folder.cog(&["signal", &run, "go"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    let receipts = folder.entries("outcome");
    let entry = receipts[0].get("seq").and_then(Value::as_u64).unwrap().to_string();
    folder
        .cog(&[
            "ledger",
            "erase",
            "--entry",
            &entry,
            "--reason",
            "asked for",
            "--as",
            "user:operator",
        ])
        .ends(0);
    test().ends(0).says(&["cannot tell", "0 of 1 recorded runs follow"]);
}

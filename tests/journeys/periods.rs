//! What all runs of a domain may do together in a day: across commands, each a process of its own.

use cog_base::Value;

use crate::program::Folder;

const FLOW: &str = r#"
name: pay
domain: payments
inputs: { file: { type: string }, cents: { type: integer, default: 900 } }
roots: { out: { path: ./out, access: write, create: true } }
steps:
  - id: pay
    uses: file.write
    with: { root: out, path: "${{ inputs.file }}", document: { amount_cents: "${{ inputs.cents }}" } }
"#;

const SCHEMA: &str = "entity User;\nentity Root;\n\
    action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };\n";
const POLICY: &str =
    "@id(\"all\")\n@limit(\"400 per month\")\npermit (principal, action, resource);\n";
const CANON: &str = "name = \"payments\"\ndomain = \"payments\"\n[change]\napprovals = 1\n\
    approvers = [\"user:operator\"]\n[roots]\n\"*\" = { within = [\".\"] }\n\
    [envelope]\namount_max = 1000\n[envelope.per_month]\namount_max = 1000\n";
const FACTS: &str = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;

fn house(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("canon/canon.toml", CANON);
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/policies/all.cedar", POLICY);
    folder.write("canon/facts/people.json", FACTS);
    folder.write("workflow.yaml", FLOW);
    folder
}

#[test]
fn a_run_that_is_started_again_and_again_moves_no_more_than_the_domain_may() {
    let folder = house("periods");
    folder.cog(&["canon", "check", "canon"]).ends(0).says(&[
        "per month, all runs together: at most amounts of 1000 (10.00)",
        "policy `all`, all runs together: at most 400 per month",
    ]);
    let run = |file| folder.cog(&["run", "workflow.yaml", "--input", &format!("file={file}")]);
    run("one").ends(0);
    for file in ["two", "three", "four"] {
        run(file).ends(4).says(&["may move 1000 (10.00) per month", "it has moved 900 (9.00)"]);
    }
    let names: Vec<_> = folder.files("out").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["one"]);
    let denials = folder.entries("denial");
    assert_eq!(denials.len(), 3);
    let code = denials[0].at(&["data", "code"]).and_then(Value::as_text);
    assert_eq!(code, Some("envelope.period_amount"));
    let denial = denials[0].at(&["data", "id"]).and_then(Value::as_text).unwrap();
    folder.cog(&["why", denial]).ends(0).says(&[
        "900 (9.00) of 1000 (10.00) used per month",
        "it were asked from",
        "The month ends",
        "args.document.amount_cents were at most 100 (it is 900)",
    ]);
    let verified = folder.cog(&["ledger", "verify", "--json"]).ends(0).json();
    let counted = |name| verified.at(&["decisions", name]).and_then(Value::as_u64);
    let all = ["recomputed", "differ", "periods_unknown"].map(counted);
    assert_eq!(all, [Some(4), Some(0), Some(0)], "{verified}");
    folder.holds();
}

#[test]
fn what_a_period_counts_is_not_pruned_before_it_is_over() {
    let folder = house("periods-pruned");
    let many = FLOW.split("steps:").next().unwrap().to_owned()
        + "steps:\n  - id: page\n    foreach: \"${{ [0,1,2,3,4,5,6,7,8,9,10,11,12] }}\"\n    \
           max_parallel: 1\n    steps:\n      - id: line\n        \
           foreach: \"${{ [0,1,2,3,4,5,6,7,8,9] }}\"\n        uses: file.write\n        \
           with: { root: out, path: \"${{ string(item) }}\", mode: replace, text: x }\n";
    folder.write("many.yaml", &many);
    folder.cog(&["run", "many.yaml", "--input", "file=x"]).ends(0);
    let prune = ["ledger", "prune", "--before", "256", "--reason", "old", "--as", "user:operator"];
    folder.cog(&prune).ends(7).says(&["nothing can be pruned", "which is not over"]);
    folder.holds();
}

#[test]
fn impact_counts_a_period_that_is_new_from_what_is_recorded() {
    let folder = house("periods-impact");
    folder.change("canon/canon.toml", "[envelope.per_month]\namount_max = 1000\n", "");
    folder.change("canon/policies/all.cedar", "@limit(\"400 per month\")\n", "");
    for file in ["one", "two", "three"] {
        let file = format!("file={file}");
        folder.cog(&["run", "workflow.yaml", "--input", &file, "--input", "cents=300"]).ends(0);
    }
    let impact = |lines: &str, limit: &str| {
        drop(std::fs::remove_dir_all(folder.path("next")));
        folder.copy("canon", "next");
        let settings = folder.read("next/canon.toml");
        folder.write("next/canon.toml", &format!("{settings}{lines}"));
        folder.change("next/policies/all.cedar", "permit", &format!("{limit}permit"));
        let json = folder.cog(&["canon", "impact", "next", "--json"]).ends(0).json();
        json.get("flipped").and_then(Value::as_list).unwrap().len()
    };
    for (lines, limit, would_change) in [
        ("[envelope.per_day]\neffects_max = 3\n", "", 0),
        ("[envelope.per_day]\neffects_max = 1\n", "", 2),
        ("[envelope.per_month]\namount_max = 600\n", "", 1),
        ("[envelope.per_week]\nresources_max = 2\n", "", 1),
        ("", "@limit(\"2 per day\")\n", 1),
        ("", "@limit(\"3 per day\")\n", 0),
    ] {
        assert_eq!(impact(lines, limit), would_change, "{lines}{limit}");
    }
}

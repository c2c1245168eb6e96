//! A run that goes on from a place of another takes over no consent.

use crate::program::Folder;

const FLOW: &str = r#"
name: orders
domain: orders
inputs: { text: { type: string, default: 1 EUR to Acme } }
roots: { orders: { path: ./out, access: write, create: true } }
steps:
  - { id: ok, approve: { by: ["user:cfo"], message: "Order ${{ inputs.text }}?" } }
  - { id: w, needs: [ok], uses: file.write, with: { root: orders, path: order, mode: replace, text: "${{ inputs.text }}" } }
  - { id: all, needs: [w], steps: [ { id: sure, approve: { by: ["user:cfo"], message: Sure? } } ] }
  - { id: tell, needs: [all], uses: file.write, with: { root: orders, path: told, mode: replace, text: "${{ inputs.text }}" } }
"#;
const SCHEMA: &str = "entity User;\nentity Root;\n\
    action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };\n";
const POLICY: &str =
    "@id(\"all\")\n@reason(\"It is about consent.\")\npermit (principal, action, resource);\n";
const CANON: &str = "name = \"orders\"\ndomain = \"orders\"\n[change]\napprovals = 1\n\
    approvers = [\"user:cfo\"]\n[roots]\n\"*\" = { within = [\".\"] }\n";
const FACTS: &str = r#"[{"uid": {"type": "User", "id": "cfo"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;

/// The CFO agrees to the only request that waits, and the run goes on.
fn agreed(folder: &Folder, run: &str, code: i32) {
    let request = folder.cog(&["approvals", "list"]).ends(0).id("apr");
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    folder.cog(&["run", "--resume", run]).ends(code);
}

#[test]
fn who_agreed_to_a_run_is_asked_again_by_its_fork() {
    let folder = Folder::new("asked-again");
    folder.write("canon/canon.toml", CANON);
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/policies/all.cedar", POLICY);
    folder.write("canon/facts/people.json", FACTS);
    folder.write("workflow.yaml", FLOW);
    let parent = folder.cog(&["run", "workflow.yaml", "--no-input"]).ends(8).id("run");
    agreed(&folder, &parent, 8);
    agreed(&folder, &parent, 0);
    assert_eq!(folder.read("out/order"), "1 EUR to Acme");

    let fork = [
        "run",
        "--no-input",
        "--fork",
        &parent,
        "--from",
        "w",
        "--input",
        "text=1000000 EUR to Mallory",
    ];
    let run = folder.cog(&fork).ends(8).id("run");
    assert_eq!(folder.read("out/order"), "1 EUR to Acme", "nobody agreed to anything else");
    folder.cog(&["approvals", "list"]).ends(0).says(&["Order 1000000 EUR to Mallory?"]);
    agreed(&folder, &run, 8);
    assert_eq!(folder.read("out/order"), "1000000 EUR to Mallory");

    // What was agreed to inside a step that is over cannot be asked by itself.
    let fork = |from: &str| folder.cog(&["run", "--no-input", "--fork", &parent, "--from", from]);
    fork("tell").ends(2).says(&["people are asked at `all.sure`", "--from all"]);
    fork("all").ends(8);
    let create = |step: &str| folder.cog(&["checkpoint", "create", &parent, "c", "--step", step]);
    create("tell").ends(2).says(&["--from all"]);
    create("all").ends(0);
    folder.cog(&["checkpoint", "restore", &parent, "c", "--as", "user:operator"]).ends(8);
    let own = ["run", "--no-input", "--fork", &parent, "--from", "w", "--as", "user:cfo"];
    folder.cog(&own).ends(4).says(&["approval.nobody"]);
    folder.holds();
}

#[test]
fn what_was_asked_under_a_canon_of_before_is_told_and_asked_anew() {
    let folder = Folder::new("asked-before");
    let write = |canon: &str, settings: &str| {
        folder.write(&format!("{canon}/canon.toml"), settings);
        folder.write(&format!("{canon}/schema.cedarschema"), SCHEMA);
        folder.write(&format!("{canon}/policies/all.cedar"), POLICY);
        folder.write(&format!("{canon}/facts/people.json"), FACTS);
    };
    write("canon", CANON);
    write("next", &format!("{CANON}[envelope]\nresources_max = 9\n"));
    folder.write("workflow.yaml", FLOW);
    let run = folder.cog(&["run", "workflow.yaml", "--no-input"]).ends(8).id("run");
    let before = folder.cog(&["approvals", "list"]).ends(0).id("apr");
    let proposal = folder.cog(&["canon", "propose", "next", "--as", "user:operator"]).ends(0);
    let proposal = proposal.id("prp");
    folder.cog(&["canon", "approve", &proposal, "--as", "user:cfo"]).ends(0);
    folder.cog(&["canon", "activate", &proposal, "--as", "user:cfo"]).ends(0);
    let again = format!("it asks anew by cognitionos run --resume {run}");
    let listed = folder.cog(&["approvals", "list"]).ends(0).says(&["nothing waits", &again]);
    assert!(!listed.out.contains(&before), "{listed}");
    std::fs::remove_dir_all(folder.path("canon")).unwrap();
    folder.cog(&["run", "--resume", &run, "--no-input"]).ends(8);
    let listed = folder.cog(&["approvals", "list"]).ends(0).says(&["Order 1 EUR to Acme?"]);
    assert!(!listed.out.contains(&before), "{listed}");
    folder.holds();
}

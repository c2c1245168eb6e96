//! Where the roots of a workflow stand: where the canon says, and never over the ledger.

use crate::program::Folder;

const PAYMENT: &str = "
name: rebound
domain: accounts-payable
roots: { payments: { path: PLACE, access: write, create: true } }
steps:
  - id: pay
    as: agent:clerk
    uses: file.write
    with: { root: payments, path: a.json, document: { invoice: { amount_cents: 100 } } }
";

fn rebound(name: &str, place: &str) -> Folder {
    let folder = Folder::example(name, "01-quickstart");
    folder.write("rebound.yaml", &PAYMENT.replace("PLACE", place));
    folder
}

#[test]
fn a_workflow_does_not_choose_where_payments_go() {
    let folder = rebound("root-elsewhere", "./elsewhere");
    let refused = folder.cog(&["run", "rebound.yaml"]).ends(4).says(&["root.elsewhere"]);
    let denial = refused.id("dny");
    folder.cog(&["why", &denial]).ends(0).says(&["elsewhere"]);
    assert!(!folder.has("elsewhere"), "a folder was made without a receipt");
    assert_eq!(folder.entries("receipt").len(), 0);
    folder.holds();
}

#[test]
fn a_link_leads_no_root_elsewhere() {
    let folder = rebound("root-link", "./out");
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path("elsewhere"), folder.path("out")).unwrap();
    folder.cog(&["run", "rebound.yaml"]).ends(4).says(&["root.elsewhere"]);
    assert!(folder.files("elsewhere").is_empty());
}

#[test]
fn no_root_shares_anything_with_the_data_folder() {
    for (name, place) in [("data", "data"), ("keys", "data/keys"), ("over", ".")] {
        let folder = rebound(&format!("root-{name}"), place);
        folder.cog(&["run", "workflow.yaml"]).ends(8);
        let before = folder.snapshot("data/keys");
        folder.cog(&["run", "rebound.yaml"]).ends(4).says(&["no effect may reach the ledger"]);
        assert_eq!(folder.snapshot("data/keys"), before);
        folder.holds();
    }
}

#[test]
fn no_command_writes_over_the_ledger_or_its_keys() {
    let folder = Folder::example("root-export", "01-quickstart");
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    let before = folder.snapshot("data/keys");
    let out = "audit.cogbundle";
    for target in ["data/keys/master.key", "data/ledger.db", "data/new", "./out/../data/x"] {
        let refusal = ["which holds the ledger and its keys"];
        folder.cog(&["ledger", "export", "-o", target]).ends(2).says(&refusal);
        folder.cog(&["ledger", "export", "-o", out, "--key", target]).ends(2).says(&refusal);
        let record =
            ["run", "workflow.yaml", "--model", "http://127.0.0.1:1/v1#x", "--record", target];
        folder.cog(&record).ends(2).says(&refusal);
    }
    assert_eq!(folder.snapshot("data/keys"), before);
    folder.holds();
}

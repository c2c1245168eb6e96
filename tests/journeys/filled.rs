//! Steps that ask people, and have them fill something in.

use cog_base::Value;

use crate::forks::permitted;
use crate::program::{Folder, text};

const FLOW: &str = r#"
name: orders
domain: forks
inputs: { who: { type: string, default: ada-lovelace } }
subject: "${{ inputs.who }}"
roots: { out: { path: ./out, access: write, create: true } }
steps:
  - { id: long, sleep: { ms: 1 } }
  - id: ok
    approve:
      by: ["user:boss"]
      message: Order?
      form:
        cents: { type: integer, description: what it may cost }
        note: { type: string, required: false }
        way: { type: string, enum: [sepa, card], required: false }
  - id: w
    needs: [ok]
    if: "steps.ok.output.form.cents < 1000"
    uses: file.write
    with: { root: out, path: order, mode: create, text: "${{ steps.ok.output.form.cents }} by ${{ steps.ok.output.form.way }}" }
outputs: { cents: "${{ steps.ok.output.form.cents }}", by: "${{ steps.ok.output.by }}" }
"#;

const TWO: &str = r#"
name: budget
domain: forks
steps:
  - id: ok
    approve: { by: ["user:boss", "user:cfo"], count: 2, message: How much?, form: { cents: { type: integer } } }
outputs: { boss: "${{ steps.ok.output.form['user:boss'].cents }}", cfo: "${{ steps.ok.output.form['user:cfo'].cents }}" }
"#;

const FACTS: &str = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "cfo"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "boss"}, "attrs": {}, "parents": []}]"#;

fn folder(name: &str, flow: &str) -> Folder {
    let folder = permitted(name);
    folder.write("canon/facts/people.json", FACTS);
    folder.write("workflow.yaml", flow);
    folder
}

fn granted(folder: &Folder) -> Vec<Value> {
    folder.entries("approval.granted")
}

#[test]
fn what_is_filled_in_is_checked_kept_beside_the_entry_and_read_by_steps() {
    let folder = folder("filled", FLOW);
    let waits = folder.cog(&["run", "workflow.yaml", "--no-input"]).ends(8);
    let (run, request) = (waits.id("run"), waits.id("apr"));
    folder.cog(&["approvals", "list"]).ends(0).says(&["cents", "integer", "what it may cost"]);
    let approve = |who: &str, more: &[&str]| {
        let asked = ["approvals", "approve", &request, "--as", who];
        folder.cog(&[&asked[..], more].concat())
    };
    let usage = "--field cents=INTEGER [--field note=STRING] [--field way=STRING]";
    for (given, said) in [
        (&[][..], "the field `cents` is missing"),
        (&["--field", "cents=much"], "the field `cents` is not integer"),
        (&["--field", "cents=7", "--field", "way=cash"], "is not one of \"sepa\", \"card\""),
        (&["--field", "cents=7", "--field", "ways=card"], "no field `ways`"),
    ] {
        approve("user:boss", given).ends(2).says(&[said, usage]);
    }
    approve("user:boss", &["--field", "cents"]).ends(2).says(&["has no value"]);
    approve("user:boss", &["--field", "cents=1", "--field", "cents=2"]).ends(2).says(&["twice"]);
    folder.write("form.json", "[]");
    approve("user:boss", &["--fields", "form.json"]).ends(2).says(&["no JSON object"]);
    // Who may not answer may not fill in either.
    approve("user:operator", &["--field", "cents=7"]).ends(4).says(&["started the run"]);
    approve("user:cfo", &["--field", "cents=7"]).ends(4).says(&["may not answer"]);
    assert_eq!(granted(&folder), []);

    folder.write("form.json", "{ \"cents\": 700, \"note\": \"for the anniversary\" }");
    approve("user:boss", &["--fields", "form.json", "--field", "way=card"]).ends(0);
    approve("user:boss", &["--field", "cents=1"]).ends(4).says(&["already answered"]);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["completed", "cents: 700"]);
    assert_eq!(folder.read("out/order"), "700 by card");
    // The entry says what was agreed to, and nothing of what was filled in.
    let asked = folder.entries("approval.requested");
    let data = granted(&folder)[0].get("data").unwrap().clone();
    let names: Vec<_> = data.as_map().unwrap().keys().cloned().collect();
    assert_eq!(names, ["id", "intent"]);
    assert_eq!(data.get("intent"), asked[0].at(&["data", "intent"]));
    folder.holds();

    let seq = granted(&folder)[0].get("seq").unwrap().to_string();
    let holds = || folder.cog(&["ledger", "show", &seq]).ends(0).out.contains("anniversary");
    assert!(holds());
    folder.cog(&["ledger", "erase", "ada-lovelace", "--as", "user:operator"]).ends(0);
    folder.cog(&["ledger", "verify"]).ends(0).says(&["erased, as entries say"]);
    assert!(!holds());
}

#[test]
fn each_of_several_fills_in_a_form_of_their_own() {
    let folder = folder("filled-two", TWO);
    let waits = folder.cog(&["run", "workflow.yaml", "--no-input"]).ends(8);
    let (run, request) = (waits.id("run"), waits.id("apr"));
    for (who, cents) in [("user:cfo", "cents=5"), ("user:boss", "cents=7")] {
        let approve = ["approvals", "approve", &request, "--as", who, "--field", cents];
        folder.cog(&approve).ends(0);
        folder.cog(&["run", "--resume", &run]);
    }
    let seal = folder.entries("session.sealed").pop().unwrap();
    assert_eq!(text(&seal, &["data", "status"]), "completed");
    folder.cog(&["why", &run]).ends(0).says(&["boss: 7", "cfo: 5"]);
    folder.holds();
}

#[test]
fn nothing_is_filled_in_where_nothing_is_asked_for() {
    let plain = TWO.replace(", form: { cents: { type: integer } }", "");
    let folder = folder("filled-none", plain.split("outputs:").next().unwrap());
    let request = folder.cog(&["run", "workflow.yaml", "--no-input"]).ends(8).id("apr");
    let approve = ["approvals", "approve", &request, "--as", "user:boss"];
    let filled = [&approve[..], &["--field", "cents=7"]].concat();
    folder.cog(&filled).ends(2).says(&["nothing is to be filled in", "without --field"]);
    folder.cog(&approve).ends(0);
    assert_eq!(granted(&folder).len(), 1);
    // A form says what can be filled in.
    for (form, said) in [
        ("{ cents: { type: money } }", "unknown type `money`"),
        ("{ cents: { type: integer, default: seven } }", "cents"),
        ("{ cents: { type: integer, default: 7, enum: [8] } }", "not in its `enum`"),
        ("{ cents: { type: integer, default: 7, required: true } }", "default is never used"),
        ("{ Cents!: { type: integer } }", "field"),
    ] {
        folder.write("bad.yaml", &TWO.replace("{ cents: { type: integer } }", form));
        folder.cog(&["run", "bad.yaml"]).ends(2).says(&[said]);
    }
    folder.holds();
}

#[test]
fn a_field_that_is_not_filled_in_is_its_default() {
    let flow = FLOW.replace(
        "note: { type: string, required: false }",
        "note: { type: string, default: none }",
    );
    let flow = flow.replace(
        "way: { type: string, enum: [sepa, card], required: false }",
        "way: { type: string, enum: [sepa, card], default: sepa }",
    );
    for (given, order) in [
        ("{ \"cents\": 7 }", "7 by sepa"),
        ("{ \"cents\": 7, \"way\": null }", "7 by sepa"),
        ("{ \"cents\": 8, \"way\": \"card\" }", "8 by card"),
    ] {
        let folder = folder("filled-default", &flow);
        let waits = folder.cog(&["run", "workflow.yaml", "--no-input"]).ends(8);
        let (run, request) = (waits.id("run"), waits.id("apr"));
        folder.cog(&["approvals", "list"]).ends(0).says(&["form.way.default: sepa"]);
        let approve = ["approvals", "approve", &request, "--as", "user:boss", "--fields", "-"];
        folder.piped(&approve, "[]").ends(2).says(&["<stdin> is no JSON object"]);
        folder.piped(&approve, "{}").ends(2).says(&[
            "the field `cents` is missing",
            "--field cents=INTEGER [--field note=STRING] [--field way=STRING]",
        ]);
        folder.piped(&approve, given).ends(0);
        folder.cog(&["run", "--resume", &run]).ends(0);
        assert_eq!(folder.read("out/order"), order);
        folder.holds();
    }
}

/// By the process of the run, which reads the same form.
#[test]
fn a_run_under_way_takes_what_is_filled_in() {
    let folder = folder("filled-live", &FLOW.replace("ms: 1 }", "ms: 4000 }"));
    let mut child = folder.start(&["run", "workflow.yaml", "--json"]);
    let request = loop {
        let list = folder.cog(&["approvals", "list", "--json"]);
        if list.code == 0
            && let Some([request]) = list.json().as_list()
        {
            break text(request, &["id"]).to_owned();
        }
    };
    let approve = ["approvals", "approve", &request, "--as", "user:boss"];
    folder.cog(&approve).ends(2).says(&["the field `cents` is missing"]);
    folder.cog(&[&approve[..], &["--field", "cents=800", "--field", "way=sepa"]].concat()).ends(0);
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", folder.cog(&["runs"]));
    assert_eq!(folder.read("out/order"), "800 by sepa");
    folder.holds();
}

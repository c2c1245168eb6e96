//! Classes of data as a person meets them: a misspelt one, a refusal, and why.

use crate::docs::canon_of_the_guide;
use crate::program::Folder;

const COPY: &str = "name: copy
domain: demo
inputs: { who: { type: string, default: Ada, class: CLASS } }
roots: { letters: { path: letters, access: write } }
steps:
  - { id: note, as: agent:clerk, uses: file.write, with: { root: letters, path: a.json, document: { to: \"${{ inputs.who }}\" } } }
";

fn folder(class: &str) -> Folder {
    let folder = Folder::new(&format!("classes-{class}"));
    canon_of_the_guide(&folder);
    folder.write("letters/one.txt", "Dear reader,\n");
    folder.write("copy.yaml", &COPY.replace("CLASS", class));
    folder
}

#[test]
fn a_class_that_the_canon_does_not_declare_is_named_with_its_place_before_anything_begins() {
    let folder = folder("personel");
    folder.cog(&["run", "copy.yaml"]).ends(2).says(&[
        "copy.yaml:3:53: the input `who`: there is no class `personel`",
        "did you mean `personal`?",
    ]);
}

#[test]
fn what_is_too_confidential_for_a_root_is_refused_and_why_says_where_it_came_from() {
    let folder = folder("secret");
    let words = ["would hand secret data", "to the root `letters`, which may have internal data"];
    let denial = folder.cog(&["run", "copy.yaml"]).ends(4).says(&words).id("dny");
    folder.holds();
    folder.cog(&["runs"]).ends(0).says(&["would hand secret data"]);
    folder
        .cog(&["why", &denial])
        .ends(0)
        .says(&["its data is secret", "from what inputs.who says is secret"]);
}

const KEEP: &str = "name: keep
domain: demo
roots: { private: { path: private, access: read }, out: { path: out, access: write, create: true } }
steps:
  - { id: read, uses: file.read, with: { root: private, path: a.txt } }
  - { id: list, uses: file.read, with: { root: out, path: . }, on_error: continue }
  - { id: copy, needs: [read], uses: file.write, with: { root: out, path: a.txt, text: \"${{ steps.read.output.text }}\" } }
  - { id: note, uses: file.write, with: { root: out, path: b.txt, text: done } }
";

#[test]
fn impact_of_a_canon_that_first_declares_classes_knows_what_the_data_came_from() {
    let folder = Folder::new("classes-impact");
    folder.write("keep.yaml", KEEP);
    folder.write("private/a.txt", "Dear reader");
    folder.write(
        "canon/canon.toml",
        "name = \"keep\"\ndomain = \"demo\"\n[change]\napprovals = 1\n\
         approvers = [\"user:operator\"]\n[roots]\n\"*\" = { within = [\".\"] }\n\
         private = { within = [\".\"] }\n",
    );
    folder.write(
        "canon/schema.cedarschema",
        "entity User;\nentity Root;\naction \"file.write\", \"file.read\" appliesTo \
         { principal: [User], resource: [Root], context: {} };\n",
    );
    let policy = "@id(\"all\")\npermit (principal, action, resource);\n";
    folder.write("canon/policies/all.cedar", policy);
    let operator = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;
    folder.write("canon/facts/people.json", operator);
    folder.cog(&["run", "keep.yaml"]).ends(0);
    folder.copy("canon", "next");
    let marked = "private = { within = [\".\"], class = \"personal\" }\n\
        [data]\nclasses = [\"internal\", \"personal\"]\ndefault = \"internal\"\n";
    folder.change("next/canon.toml", "private = { within = [\".\"] }\n", marked);
    let impact = || folder.cog(&["canon", "impact", "next"]).ends(0);
    let said = impact();
    said.says(&["1 of 4 recorded decisions would change", "copy file.write on Root::\"out\""]);
    // Of a run whose definition is gone nobody knows it, and that is said.
    let start = folder.entries("session.started")[0].get("seq").unwrap().to_string();
    folder.cog(&["ledger", "erase", "--entry", &start, "--reason", "asked to"]).ends(0);
    impact()
        .says(&["0 of 4 recorded decisions", "of 4 it cannot be told what their data came from"]);
}

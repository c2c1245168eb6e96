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
    folder
        .cog(&["why", &denial])
        .ends(0)
        .says(&["its data is secret", "from what inputs.who says is secret"]);
}

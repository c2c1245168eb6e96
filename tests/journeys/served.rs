//! `serve` over a data folder: the one node of it, which goes on with what is there, starts what is
//! due, and is taken up again after it was killed.

use crate::nodes::Node;
use crate::program::{Folder, text};

const WAITS: &str = "
name: waits
domain: demo
steps:
  - { id: nap, sleep: { ms: 1500 } }
  - { id: note, needs: [nap], uses: compute, with: { text: awake } }
outputs: { note: \"${{ steps.note.output.text }}\" }
";

/// The node of a folder, once it serves.
fn served(folder: &Folder) -> Node {
    let node = Node::of(folder.command(&["serve", "--json"]));
    node.waits_for("serving");
    node
}

#[test]
fn what_is_open_in_a_folder_goes_on_under_its_node_also_when_that_was_killed() {
    let folder = Folder::new("served");
    folder.write("waits.yaml", WAITS);
    let began = Node::of(folder.command(&["run", "waits.yaml", "--json"]));
    let run = text(&began.waits_for("started"), &["run"]).to_owned();
    began.kill();
    let node = served(&folder);
    node.waits_for("opened");
    // Nobody else writes here meanwhile, and everybody reads.
    folder.cog(&["run", "--resume", &run]).ends(7).says(&["is being written by process"]);
    folder.cog(&["why", &run]).ends(0);
    node.kill();
    let node = served(&folder);
    let sealed = node.waits_for("sealed");
    assert_eq!((text(&sealed, &["run"]), text(&sealed, &["status"])), (&*run, "completed"));
    node.ends();
    folder.holds();
}

#[test]
fn a_folder_has_one_node_and_it_has_no_name() {
    let folder = Folder::new("served-once");
    let node = served(&folder);
    folder.cog(&["serve"]).ends(7).says(&["is being written by process"]);
    folder
        .cog(&["serve", "--node", "two"])
        .ends(2)
        .says(&["the node of a data folder has no name"]);
    node.ends();
    // A mistyped tenant would lose what is sent.
    let other = "shop=ten_01m7yb4qxbf438zjd8206fmvk4:shop.secret";
    let hooks = ["serve", "--hooks", "127.0.0.1:0", "--hook", other];
    folder.cog(&hooks).ends(2).says(&["the data folder has ten_", "--hook shop=ten_"]);
}

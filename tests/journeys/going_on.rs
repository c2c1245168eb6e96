//! Runs of nodes that go on from a place of another: from a step, from a checkpoint, from where one
//! failed.

use crate::program::text;
use crate::trees::Orders;

const FLOW: &str = "
name: shares
domain: archive
inputs: { parts: { type: integer, default: 0 } }
roots:
  archive: { path: out, access: write, create: true }
steps:
  - { id: whole, uses: file.write, as: agent:archivist, with: { root: archive, path: whole, mode: create, text: x } }
  - { id: mark, needs: [whole], checkpoint: written }
  - { id: nap, needs: [mark], sleep: { ms: 400 } }
  - { id: share, needs: [nap], uses: compute, with: { cents: \"${{ 100 / inputs.parts }}\" } }
  - { id: part, needs: [share], uses: file.write, as: agent:archivist,
      with: { root: archive, path: \"${{ run.id }}-${{ steps.share.output.cents }}\", mode: create, text: x } }
outputs: { cents: \"${{ steps.share.output.cents }}\" }
";

fn shares(name: &str) -> Orders {
    let orders = Orders::new(name);
    orders.town.folder.write("shares.yaml", FLOW);
    orders
}

impl Orders {
    /// The start of a run.
    fn start(&self, run: &str) -> cog_base::Value {
        let starts = ["ledger", "list", "--json", "--kind", "session.started", "--limit", "1000"];
        let starts = self.cog(&starts).ends(0).jsons();
        starts.into_iter().find(|start| text(start, &["session"]) == run).unwrap()
    }
}

#[test]
fn a_run_of_nodes_goes_on_from_a_place_of_another_with_other_inputs() {
    let orders = shares("going-on");
    let node = orders.town.node("one");
    let failed = orders.cog(&["submit", "shares.yaml", "--wait"]).ends(1).id("run");
    // What was read then is what goes on.
    orders.town.folder.write("shares.yaml", "nothing");
    let from = |place: &str, parts: &str, more: &[&str]| {
        let input = format!("parts={parts}");
        let asked = ["submit", "--fork", &failed, "--from", place, "--input", &input];
        orders.cog(&[&asked[..], more].concat())
    };
    let nap = from("nap", "4", &["--wait", "--key", "quarters"]).ends(0).says(&["completed"]);
    let nap = nap.id("run");
    assert_eq!(text(&orders.start(&nap), &["data", "fork", "session"]), failed);
    assert_eq!(from("nap", "4", &["--key", "quarters"]).ends(0).id("run"), nap);
    from("nap", "5", &["--key", "quarters"]).ends(7).says(&["something else was asked for"]);
    from("nowhere", "4", &[]).ends(2).says(&["no step and no checkpoint `nowhere`", "share"]);
    from("part", "4", &[]).ends(2).says(&["the step `part` has not begun"]);
    from("nap", "many", &[]).ends(2).says(&["parts"]);
    let listed = orders.cog(&["checkpoint", "list", &failed]).ends(0);
    listed.says(&["written", "where `mark`"]);
    let restored = ["checkpoint", "restore", &failed, "written", "--input", "parts=10"];
    orders.cog(&restored).ends(0).says(&["completed"]);
    orders.cog(&["redrive", &nap]).ends(7).says(&["has not failed: it is completed"]);
    orders.cog(&["redrive", &failed]).ends(7).says(&["went on from"]);
    let again = orders.cog(&["redrive", &failed, "--again", "--input", "parts=20"]).ends(0);
    assert_eq!(text(&orders.start(&again.id("run")), &["data", "fork", "step"]), "share");
    orders.cog(&["redrive", &failed, "--again"]).ends(1).says(&["failed"]);
    assert_eq!(orders.pages(), 4, "what was over stays, and each part was written once");
    orders.holds();
    node.ends();
}

#[test]
fn a_run_that_goes_on_from_another_is_begun_once_whichever_node_is_killed() {
    let orders = shares("going-on-killed");
    let mut node = orders.town.node("n0");
    let failed = orders.cog(&["submit", "shares.yaml", "--wait"]).ends(1).id("run");
    const FORKS: usize = 5;
    for number in 0..FORKS {
        let asked = ["submit", "--fork", &failed, "--from", "nap", "--input", "parts=4"];
        let fork = orders.cog(&asked).ends(0).id("run");
        // Before it began, or while it sleeps.
        std::thread::sleep(std::time::Duration::from_millis(60 * number as u64));
        node.kill();
        node = orders.town.node(&format!("n{}", number + 1));
        // It goes on from one that is open, too.
        let asked = ["submit", "--fork", &fork, "--from", "nap", "--input", "parts=5"];
        crate::nodes::wait_until("the run is begun", || orders.cog(&asked).code == 0);
    }
    orders.wait_for("shares", "completed", 2 * FORKS);
    assert_eq!(orders.count("session.started"), 1 + 2 * FORKS);
    assert_eq!(orders.pages(), 1 + 2 * FORKS);
    orders.holds();
    node.ends();
}

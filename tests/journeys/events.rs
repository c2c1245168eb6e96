//! Events that start workflows: brought from outside, and those of the own ledger.

use cog_base::Value;

use crate::nodes::{Town, wait_until};
use crate::program::{Folder, text};

const SHIP: &str = "
name: ship
domain: demo
inputs: { order: { type: string }, cents: { type: integer, default: 0 } }
labels: { order: \"${{ inputs.order }}\" }
on:
  event:
    - id: paid
      type: com.example.order.paid
      source: /shop
      if: event.data.cents > 100
      inputs: { order: \"${{ event.data.order }}\", cents: \"${{ event.data.cents }}\" }
steps:
  - { id: note, uses: compute, with: { text: \"ship ${{ inputs.order }}\" } }
outputs: { text: \"${{ steps.note.output.text }}\" }
";
/// Started by the end of any run, its own included.
const TELL: &str = "
name: tell
domain: demo
inputs: { of: { type: string } }
on:
  event:
    - { id: ended, type: workflow.execution.completed, inputs: { of: \"${{ event.data.workflow_id }}\" } }
steps:
  - { id: note, uses: compute, with: { text: \"${{ inputs.of }} ended\" } }
";

fn paid(id: &str, cents: u64) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"com.example.order.paid","data":{{"order":"{id}","cents":{cents}}}}}"#
    )
}

fn runs(folder: &Folder, workflow: &str) -> Vec<Value> {
    let runs = folder.cog(&["runs", "--workflow", workflow, "--json"]).ends(0).json();
    runs.as_list().unwrap().to_vec()
}

#[test]
fn an_event_starts_a_run_once_however_often_it_is_brought() {
    let folder = Folder::new("events");
    folder.write("ship.yaml", SHIP);
    folder.write("1029.json", &paid("1029", 120));
    folder.write("7.json", &paid("7", 100));
    folder.write("other.json", &paid("8", 900).replace("/shop", "/other"));
    folder
        .cog(&["schedules", "set", "ship.yaml", "--as", "user:ada"])
        .ends(0)
        .says(&["set", "paid"]);
    folder.cog(&["schedules", "set", "ship.yaml", "--as", "user:ada"]).ends(0).says(&["unchanged"]);
    folder
        .cog(&["schedules", "list"])
        .ends(0)
        .says(&["paid", "event com.example.order.paid of /shop"]);
    let sent = folder.cog(&["events", "send", "1029.json"]).ends(0).says(&["begun", "paid"]);
    let run = sent.id("run");
    let again = folder.cog(&["events", "send", "1029.json"]).ends(0).says(&["again", &run]);
    assert!(!again.out.contains("begun"));
    let piped = folder.piped(&["events", "send", "-"], &paid("1029", 5_000)).ends(0);
    piped.says(&["again", &run]);
    folder.cog(&["events", "send", "7.json"]).ends(0).says(&["no workflow waits"]);
    folder.cog(&["events", "send", "other.json"]).ends(0).says(&["no workflow waits"]);
    let all = runs(&folder, "ship");
    assert_eq!(all.len(), 1);
    assert_eq!(text(&all[0], &["labels", "order"]), "1029");
    let start = &folder.entries("session.started")[0];
    assert_eq!(text(start, &["data", "initiator"]), "user:ada", "whoever set it");
    assert_eq!(text(start, &["data", "trigger", "id"]), "paid");
    folder.cog(&["schedules", "remove", "paid", "--as", "user:ada"]).ends(0);
    folder.write("9.json", &paid("9", 900));
    folder.cog(&["events", "send", "9.json"]).ends(0).says(&["no workflow waits"]);
    folder.write("bad.json", "{}");
    folder.cog(&["events", "send", "bad.json"]).ends(2);
    for (number, place) in [("9.9", "data.cents"), ("[7,{\"a\":-0.5}]", "data.cents[1].a")] {
        folder.write("fraction.json", &paid("9", 900).replace("900", number));
        let sent = folder.cog(&["events", "send", "fraction.json"]).ends(2);
        sent.says(&["fraction.json", place, "whole number", "as text"]);
    }
    folder.write("large.json", &paid("9", 1 << 53));
    folder.cog(&["events", "send", "large.json"]).ends(2).says(&["data.cents", "9007199254740992"]);
    folder.cog(&["replay", &run]).ends(0);
    folder.holds();
}

/// A workflow that its own end starts ends by itself.
#[test]
fn the_end_of_a_run_starts_others_once_each_and_a_circle_ends() {
    let folder = Folder::new("events-own");
    folder.write("tell.yaml", TELL);
    folder.write(
        "plain.yaml",
        "name: plain\ndomain: demo\nsteps: [ { id: a, uses: compute, with: { a: 1 } } ]\n",
    );
    folder.cog(&["run", "plain.yaml"]).ends(0);
    folder.cog(&["schedules", "set", "tell.yaml"]).ends(0);
    folder.cog(&["run", "plain.yaml"]).ends(0);
    let told = folder.cog(&["events", "run", "--once"]).ends(0);
    told.says(&["keeping", "starts nothing"]);
    // One for the run that was started since it was set, and no more of the circle than may be.
    let all = runs(&folder, "tell");
    assert_eq!(all.len(), 9, "hops 0 to 8");
    folder.cog(&["events", "run", "--once"]).ends(0);
    assert_eq!(runs(&folder, "tell").len(), 9, "what was brought is not brought again");
    let hops = folder.entries("session.started");
    let hops = hops.iter().filter_map(|start| start.at(&["data", "trigger", "hops"])?.as_u64());
    assert_eq!(hops.collect::<Vec<_>>(), (0..=8).collect::<Vec<_>>());
    folder.holds();
}

#[test]
fn nodes_start_the_run_of_an_event_once() {
    let town = Town::new("events-nodes");
    town.folder.write("ship.yaml", &SHIP.replace("domain: demo", "domain: archive"));
    town.folder.write("1029.json", &paid("1029", 120));
    let tenant = town.new_tenant();
    let cog = |arguments: &[&str]| town.cog(&[arguments, &["--tenant", &tenant]].concat());
    let node = town.node("one");
    cog(&["schedules", "set", "ship.yaml"]).ends(0);
    let run = cog(&["events", "send", "1029.json"]).ends(0).says(&["asked for"]).id("run");
    cog(&["events", "send", "1029.json"]).ends(0).says(&[&run]);
    wait_until("the run of the event", || {
        cog(&["runs", "--status", "completed"]).out.contains(&run)
    });
    cog(&["events", "send", "1029.json"]).ends(0).says(&["again", &run]);
    let all = cog(&["runs", "--json"]).json();
    assert_eq!(all.as_list().unwrap().len(), 1);
    cog(&["ledger", "verify"]).ends(0);
    drop(node);
}

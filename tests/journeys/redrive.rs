//! Runs that failed: they are listed, and started again from where they failed.

use crate::program::{Folder, text};

const FLOW: &str = "
name: shares
domain: demo
inputs: { parts: { type: integer, default: 0 } }
steps:
  - { id: whole, uses: compute, with: { cents: 100 } }
  - { id: nap, needs: [whole], sleep: { ms: 1 } }
  - { id: share, needs: [nap], uses: compute, with: { cents: \"${{ steps.whole.output.cents / inputs.parts }}\" } }
outputs: { cents: \"${{ steps.share.output.cents }}\" }
";

#[test]
fn a_run_that_failed_is_listed_and_started_again_from_where_it_did() {
    let folder = Folder::new("redrive");
    folder.write("workflow.yaml", FLOW);
    let well = folder.cog(&["run", "workflow.yaml", "--input", "parts=4"]).ends(0).id("run");
    let failed = folder.cog(&["run", "workflow.yaml"]).ends(1).id("run");
    let listed = folder.cog(&["runs", "--status", "failed", "--json"]).ends(0).json();
    let listed = listed.as_list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(text(&listed[0], &["run"]), failed);
    assert_eq!(text(&listed[0], &["error", "step"]), "share");
    let all = folder.cog(&["runs"]).ends(0);
    all.says(&["completed", &well, "failed", &format!("cognitionos redrive {failed}")]);
    folder.cog(&["redrive", &well]).ends(7).says(&["has not failed: it is completed"]);

    let again = folder.cog(&["redrive", &failed, "--input", "parts=5"]).ends(0);
    let fork = again.says(&["goes on from entry", "cents: 20"]).id("run");
    let starts = folder.entries("session.started");
    let start = starts.iter().find(|start| text(start, &["session"]) == fork);
    let start = start.unwrap();
    assert_eq!(text(start, &["data", "fork", "session"]), failed);
    let naps = folder.entries("evidence");
    assert!(naps.iter().all(|nap| text(nap, &["session"]) != fork), "what was over stays so");
    folder.cog(&["redrive", &failed]).ends(7).says(&[&format!("{fork} went on from {failed}")]);
    folder.cog(&["runs", "--status", "failed"]).ends(0).says(&[&format!("{fork} went on from it")]);
    folder.cog(&["redrive", &failed, "--again"]).ends(1);
    assert_eq!(folder.cog(&["runs", "--last", "2", "--json"]).json().as_list().unwrap().len(), 2);
    folder.holds();
}

const TRIP: &str = "
name: trip
domain: demo
compensate_on: [failed]
inputs: { parts: { type: integer, default: 0 } }
steps:
  - id: flight
    uses: compute
    with: { seat: 4 }
    on_cancel: { steps: [ { id: undo, uses: compute, with: { seat: 0 } } ] }
  - { id: nap, needs: [flight], sleep: { ms: 1 } }
  - { id: hotel, needs: [nap], uses: compute, with: { cents: \"${{ 100 / inputs.parts }}\" } }
";

#[test]
fn what_was_undone_is_not_taken_over_and_a_redrive_does_it_anew() {
    let folder = Folder::new("redrive-undone");
    folder.write("trip.yaml", TRIP);
    let failed = folder.cog(&["run", "trip.yaml"]).ends(1).says(&["undone: 1"]).id("run");
    let starts = || folder.entries("session.started").len();
    let fork = folder.cog(&["run", "--fork", &failed, "--from", "hotel"]).ends(2);
    fork.says(&["`flight` is over there and was undone", "--from flight"]);
    assert_eq!(starts(), 1, "nothing was started");
    let dry = folder.cog(&["redrive", "--all", "--dry-run"]).ends(0);
    dry.says(&[&failed, "from flight"]);
    let again = folder.cog(&["redrive", &failed, "--input", "parts=5"]).ends(0);
    again.says(&["goes on from entry"]);
    assert_eq!(folder.entries("evidence").len(), 2, "it slept anew");
    folder.cog(&["redrive", "--all", "--dry-run"]).ends(0).says(&["nobody has started again"]);
    folder.holds();
}

const SHIP: &str = "
name: ship
domain: demo
inputs: { customer: { type: string }, parts: { type: integer, default: 0 } }
labels: { customer: \"${{ inputs.customer }}\" }
steps:
  - { id: share, uses: compute, with: { cents: \"${{ 100 / inputs.parts }}\" } }
";

#[test]
fn all_that_failed_and_fit_are_started_again_once_with_other_inputs() {
    let folder = Folder::new("redrive-all");
    folder.write("ship.yaml", SHIP);
    let run = |customer: &str| {
        let input = format!("customer={customer}");
        folder.cog(&["run", "ship.yaml", "--input", &input]).ends(1).id("run")
    };
    let (first, second, other) = (run("acme"), run("acme"), run("other"));
    let all = ["redrive", "--all", "--label", "customer=acme", "--input", "parts=4"];
    let dry = folder.cog(&[&all[..], &["--dry-run"]].concat()).ends(0);
    dry.says(&[&first, &second, "from share"]);
    let starts = || folder.entries("session.started").len();
    assert_eq!(starts(), 3, "nothing was started");
    folder.cog(&all).ends(0);
    assert_eq!(starts(), 5);
    folder.cog(&all).ends(0);
    assert_eq!(starts(), 5, "each once");
    let left = folder.cog(&["redrive", "--all", "--dry-run"]).ends(0);
    assert!(left.out.contains(&other) && !left.out.contains(&first), "{}", left.out);
    // What fails again is told, and the command says so.
    folder.cog(&["redrive", "--all"]).ends(1);
    folder.holds();
}

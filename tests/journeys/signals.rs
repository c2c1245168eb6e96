//! Signals and pauses: of runs that are parked, from the command line alone.

use cog_base::Value;

use crate::program::{Folder, text};

const FLOW: &str = "
name: ship-when-paid
domain: demo
steps:
  - id: paid
    wait_for: { signal: payment, where: { order: 7 } }
  - { id: note, needs: [paid], uses: compute, with: { by: \"${{ steps.paid.output.payload.by }}\" } }
outputs: { by: \"${{ steps.note.output.by }}\" }
";

fn waiting(name: &str) -> (Folder, String) {
    let folder = Folder::new(name);
    folder.write("workflow.yaml", FLOW);
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let run = parked.id("run");
    let command = format!("cognitionos signal {run} payment --id ID --payload JSON");
    parked.says(&["waiting for a signal", &command, &format!("cognitionos run --resume {run}")]);
    (folder, run)
}

#[test]
fn a_run_goes_on_when_its_signal_came_and_takes_it_once() {
    let (folder, run) = waiting("signals");
    let send = |payload: &str, id: &str| {
        folder.cog(&[
            "signal",
            &run,
            "payment",
            "--payload",
            payload,
            "--id",
            id,
            "--as",
            "user:shop",
        ])
    };
    folder.cog(&["run", "--resume", &run]).ends(8);
    send(r#"{"order":8}"#, "evt-8").ends(0).says(&["sent `payment` (evt-8)", &run]);
    folder.cog(&["run", "--resume", &run]).ends(8).says(&["waiting for a signal"]);
    send(r#"{"order":7,"by":"ada"}"#, "evt-7").ends(0);
    send(r#"{"order":7,"by":"ada"}"#, "evt-7").ends(0).says(&["has the signal evt-7 already"]);
    send(r#"{"order":7,"by":"eve"}"#, "evt-7").ends(7).says(&["another signal had the id"]);
    assert_eq!(folder.entries("signal").len(), 2);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["by: ada"]);

    let signals = folder.entries("signal");
    assert_eq!(text(&signals[1], &["actor"]), "user:shop");
    let seq = signals[1].get("seq").and_then(Value::as_u64).unwrap().to_string();
    folder
        .cog(&["why", &seq])
        .ends(0)
        .says(&["user:shop sent the signal `payment` (evt-7)", "ada"]);
    folder.cog(&["ledger", "list"]).ends(0).says(&["payment evt-7"]);
    send("null", "evt-9").ends(7).says(&["has ended"]);
    let again = ["has the signal evt-7 already", "it has ended"];
    send(r#"{"order":7,"by":"ada"}"#, "evt-7").ends(0).says(&again);
    send(r#"{"order":7,"by":"eve"}"#, "evt-7").ends(7).says(&["has ended"]);
    assert_eq!(folder.entries("signal").len(), 2);
    folder.holds();
}

#[test]
fn what_is_no_signal_is_told_and_not_recorded() {
    let (folder, run) = waiting("no-signals");
    let signal = |arguments: &[&str]| folder.cog(&[&["signal"], arguments].concat());
    signal(&[&run, "payment", "--payload", "{"]).ends(2).says(&["`--payload` is no JSON"]);
    signal(&[&run, "payment", "--id", "a b"]).ends(2).says(&["the id of a signal"]);
    signal(&[&run, "Payment"]).ends(2).says(&["the name of a signal"]);
    signal(&[&run, "payment", "--as", "shop"]).ends(2);
    signal(&[&run, "refund"]).ends(7).says(&["its steps wait for payment, and not for `refund`"]);
    signal(&["run_01m7ynaym0f2nb3em082cedjs9", "payment"]).ends(2).says(&["there is no run"]);
    assert!(folder.entries("signal").is_empty());
    let sent = signal(&[&run, "payment", "--subject", "ada", "--json"]).ends(0).json();
    assert_eq!(sent.get("again"), Some(&false.into()));
    let erase = ["ledger", "erase", "ada", "--as", "user:operator"];
    folder.cog(&erase).says(&[&run]);
    assert!(folder.entries("bodies.erased").is_empty(), "an open run needs what it says");
}

#[test]
fn a_paused_run_goes_on_when_it_is_let() {
    let (folder, run) = waiting("paused");
    let hold =
        |verb: &str| folder.cog(&[verb, &run, "--reason", "an audit", "--as", "user:operator"]);
    hold("unpause").ends(7).says(&["it is not paused"]);
    hold("pause").ends(0).says(&["paused by user:operator"]);
    hold("pause").ends(7).says(&["it is paused already"]);
    let unpause = format!("cognitionos unpause {run} --reason TEXT");
    let said = ["paused", "by user:operator: an audit", unpause.as_str()];
    folder.cog(&["run", "--resume", &run]).ends(8).says(&said);
    let stranger = ["unpause", &run, "--reason", "go", "--as", "user:cfo"];
    folder.cog(&stranger).ends(4).says(&["user:cfo may not let", "may let the run go on"]);
    let denial = folder.entries("denial");
    folder.cog(&["why", text(&denial[0], &["data", "id"])]).ends(0).says(&["let go on the run"]);
    folder.cog(&["run", "--resume", &run]).ends(8).says(&said);
    hold("unpause").ends(0).says(&["unpaused by user:operator"]);
    folder.cog(&["run", "--resume", &run]).ends(8).says(&["waiting for a signal"]);
    let payload = r#"{"order":7,"by":"ada"}"#;
    folder.cog(&["signal", &run, "payment", "--payload", payload]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    hold("pause").ends(7).says(&["has ended"]);
    folder.cog(&["pause", &run]).ends(2);
    let both = folder.entries("session.paused").len() + folder.entries("session.unpaused").len();
    assert_eq!(both, 2);
    folder.holds();
}

#[test]
fn a_paused_run_keeps_the_signal_that_takes_it_to_its_end() {
    for cancels in [false, true] {
        let (folder, run) = waiting(&format!("paused-signal-{cancels}"));
        folder.cog(&["pause", &run, "--reason", "an audit"]).ends(0);
        let payload = r#"{"order":7,"by":"ada"}"#;
        let send = ["signal", &run, "payment", "--payload", payload, "--json"];
        let sent = folder.cog(&send).ends(0).json();
        assert_eq!(sent.get("paused"), Some(&true.into()), "{sent:?}");
        folder.cog(&["run", "--resume", &run]).ends(8).says(&["paused", "an audit"]);
        folder.cog(&["why", &run]).ends(0).says(&["It is paused, by user:operator: an audit"]);
        assert!(folder.entries("session.sealed").is_empty());
        if cancels {
            folder.cog(&["run", "--cancel", &run, "--reason", "go"]).says(&["completed"]);
        } else {
            folder.cog(&["unpause", &run, "--reason", "go"]).ends(0);
            folder.cog(&["run", "--resume", &run]).ends(0).says(&["by: ada"]);
        }
        let seal = &folder.entries("session.sealed")[0];
        assert_eq!(text(seal, &["data", "status"]), "completed");
        folder.cog(&["replay", &run]).ends(0);
        folder.holds();
    }
}

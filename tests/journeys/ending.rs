//! Ending a run: by whom, what is undone and what is not, and requests that nobody answers.

use crate::program::{Folder, text};

const REASON: &str = "the supplier is gone";

/// A flight and a hotel are booked, then people are asked. To undo the flight takes people too;
/// the hotel cannot be undone; nothing says how to undo the note.
const TRIP: &str = r#"name: trip
domain: accounts-payable
roots: { payments: { path: ./out/payments, access: write, create: true } }
steps:
  - id: note
    uses: file.write
    with: { root: payments, path: note, text: booked }
  - id: hotel
    needs: [note]
    uses: file.write
    with: { root: payments, path: hotel, text: booked }
    on_cancel: { steps: [ { id: undo, uses: file.read, with: { root: payments, path: nothing } } ] }
  - id: flight
    needs: [hotel]
    uses: file.write
    with: { root: payments, path: flight, text: booked }
    on_cancel:
      steps:
        - { id: ok, approve: { by: ["role:finance"], message: "Give up the flight?" } }
        - { id: undo, needs: [ok], uses: file.delete, with: { root: payments, path: flight } }
  - { id: sign, needs: [flight], approve: { by: ["role:finance"], message: "Go?" } }
"#;

/// A canon under which the operator may do all that.
const POLICY: &str = r#"@id("trip")
permit (principal == User::"operator", action, resource == Root::"payments");
"#;

/// The trip that waits: the run and the request.
fn trip(name: &str) -> (Folder, String, String) {
    let folder = Folder::example(name, "01-quickstart");
    folder.write("workflow.yaml", TRIP);
    for (file, _) in folder.files("canon/policies") {
        std::fs::remove_file(folder.path(&format!("canon/policies/{file}"))).unwrap();
    }
    for (file, _) in folder.files("canon/tests") {
        std::fs::remove_file(folder.path(&format!("canon/tests/{file}"))).unwrap();
    }
    folder.write("canon/policies/trip.cedar", POLICY);
    let actions = "action \"file.read\", \"file.delete\" appliesTo";
    folder.change("canon/schema.cedarschema", "action \"file.read\" appliesTo", actions);
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    (folder, run, request)
}

fn cancel<'a>(run: &'a str, reason: &'a str, who: &'a str) -> [&'a str; 7] {
    ["run", "--cancel", run, "--reason", reason, "--as", who]
}

#[test]
fn only_who_began_it_or_is_entitled_ends_a_run() {
    let folder = Folder::example("entitled", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    for who in ["user:cfo", "agent:clerk", "user:nobody", "service:engine"] {
        let refused = folder.cog(&cancel(&run, REASON, who)).ends(4);
        let refused = refused.says(&[who, "may not end", "Only user:operator, who began it"]);
        let denial = crate::program::id(&refused.err, "dny").unwrap();
        folder.cog(&["why", &denial]).ends(0).says(&[who, "wanted to end the run", "was refused"]);
    }
    let denials = folder.entries("denial");
    let refused = denials.iter().filter(|it| text(it, &["data", "action"]) == "run.cancel");
    assert_eq!(refused.count(), 4);
    folder.cog(&["why", &run]).ends(0).says(&[
        "is open",
        "agent:clerk: end the run",
        "user:nobody",
    ]);
    folder.cog(&["replay", &run]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(8);
    folder.cog(&cancel(&run, REASON, "user:operator")).ends(0).says(&["cancelled"]);
    folder.cog(&["replay", &run]).ends(0);
    folder.holds();

    let folder = Folder::example("entitled-by-role", "01-quickstart");
    folder.change("canon/canon.toml", "[risk]", "[runs]\ncancel = [\"role:finance\"]\n\n[risk]");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.cog(&cancel(&run, REASON, "agent:clerk")).ends(4).says(&["or role:finance may end"]);
    folder.cog(&cancel(&run, REASON, "user:controller")).ends(0).says(&["cancelled"]);
    folder.holds();
}

/// Nobody brings a canon along that entitles them.
#[test]
fn a_folder_entitles_nobody() {
    let folder = Folder::example("own-canon", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    folder.change("canon/canon.toml", "[risk]", "[runs]\ncancel = [\"user:cfo\"]\n\n[risk]");
    folder.cog(&cancel(&run, REASON, "user:cfo")).ends(4);
    let with = [&cancel(&run, REASON, "user:cfo")[..], &["--canon", "canon"]].concat();
    // A folder says nothing about who may, and so is not taken.
    folder.cog(&with).ends(2).says(&["--canon says nothing of a run that is ended"]);
    folder.holds();
}

#[test]
fn what_is_undone_and_what_is_not_is_told() {
    let (folder, run, request) = trip("undone");
    let asked = folder.cog(&cancel(&run, REASON, "user:operator")).ends(8).id("apr");
    assert_ne!(asked, request);

    // What the run gave up is not asked any more.
    let list = folder.cog(&["approvals", "list"]).ends(0);
    assert!(list.out.contains(&asked) && !list.out.contains(&request), "{list}");
    for answer in ["approve", "reject"] {
        let more = if answer == "reject" { &["--reason", "no"][..] } else { &[] };
        let late = [&["approvals", answer, &request, "--as", "user:cfo"], more].concat();
        folder.cog(&late).ends(7).says(&["withdrawn", "cancelled, by user:operator", REASON]);
    }
    folder.cog(&["why", &run]).ends(0).says(&["being cancelled, by user:operator", REASON, &asked]);

    // Nor is it ended twice.
    let again = folder.cog(&cancel(&run, "another reason", "user:operator")).ends(8);
    again.says(&["already being cancelled, by user:operator", REASON, "not recorded"]);
    let wishes = folder.entries("evidence");
    assert_eq!(wishes.iter().filter(|it| text(it, &["data", "source"]) == "cancel").count(), 1);

    folder.cog(&["approvals", "approve", &asked, "--as", "user:cfo"]).ends(0);
    let words = ["cancelled", "undone: 1 step", "not undone: `hotel`", "not undone: `note`"];
    folder.cog(&cancel(&run, "once more", "user:operator")).ends(0).says(&words);
    folder.cog(&["why", &run]).ends(0).says(&words);
    let why = folder.cog(&["why", &run, "--json"]).ends(0).json();
    let steps = why.get("not_undone").unwrap().as_list().unwrap();
    let steps: Vec<_> = steps.iter().map(|it| text(it, &["step"])).collect();
    assert_eq!(steps, ["hotel", "note"]);
    assert!(!folder.has("out/payments/flight") && folder.has("out/payments/hotel"));
    folder.cog(&["replay", &run]).ends(0);
    folder.holds();
}

/// A run that was killed while it was being ended: what it asked before stays withdrawn.
#[test]
fn a_kill_while_it_is_ended_revives_no_request() {
    let (folder, run, request) = trip("killed-ending");
    let mut child = folder.start(&cancel(&run, REASON, "user:operator"));
    child.kill().unwrap();
    child.wait().unwrap();
    let ended = folder.entries("evidence");
    let ended = ended.iter().any(|it| text(it, &["data", "source"]) == "cancel");
    println!("killed {} it was on record", if ended { "after" } else { "before" });
    let list = folder.cog(&["approvals", "list"]).ends(0);
    assert_ne!(list.out.contains(&request), ended, "{list}");
    let approve = folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]);
    assert_eq!(approve.code, if ended { 7 } else { 0 }, "{approve}");
    folder.holds();
}

/// What was erased since does not hide that a run has ended.
#[test]
fn a_run_that_has_ended_has_ended_whatever_was_erased() {
    let folder = Folder::example("ended-erased", "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    folder.cog(&["ledger", "erase", "northwind-cleaning-5521.txt", "--as", "user:cfo"]).ends(0);
    folder.cog(&["run", "--resume", &run]).ends(7).says(&["has ended"]);
    folder.cog(&cancel(&run, REASON, "user:operator")).ends(7).says(&["has ended"]);
    folder.cog(&["signal", &run, "go"]).ends(7).says(&["has ended"]);
    for hold in ["pause", "unpause"] {
        folder.cog(&[hold, &run, "--reason", REASON]).ends(7).says(&["has ended"]);
    }
    folder.cog(&["why", &run]).ends(0).says(&["cannot be told: the run cannot be rebuilt"]);
}

/// The line and column of the workflow file at which `what` begins.
fn place(folder: &Folder, what: &str) -> String {
    let text = folder.read("workflow.yaml");
    let (line, column) = text
        .lines()
        .enumerate()
        .find_map(|(line, text)| text.find(what).map(|at| (line + 1, at + 1)))
        .unwrap();
    format!("{line}:{column}")
}

#[test]
fn a_step_that_nobody_could_approve_stops_a_run_before_it_starts() {
    let (folder, ..) = trip("nobody");
    let runs = folder.entries("session.started").len();
    folder.change(
        "workflow.yaml",
        "by: [\"role:finance\"], message: \"Go?\"",
        "by: [\"role:nosuch\"], message: \"Go?\"",
    );
    let refused = folder.cog(&["run", "workflow.yaml"]).ends(2);
    // The place is that of the name, and the role that was likely meant is named.
    let refused = refused.says(&["`sign` asks 1 of role:nosuch", "nobody could", "role:finance"]);
    refused.says(&[&format!("workflow.yaml:{}: the step", place(&folder, "\"role:nosuch"))]);
    folder.change("workflow.yaml", "role:nosuch", "role:finence");
    let refused = folder.cog(&["run", "workflow.yaml"]).ends(2);
    refused.says(&["1 of role:finence", "did you mean role:finance?"]);
    // Where there are too few of those who are known, it is that of the count.
    folder.change("workflow.yaml", "[\"role:finence\"]", "[\"role:finance\"], count: 99");
    let refused = folder.cog(&["run", "workflow.yaml"]).ends(2);
    refused.says(&[&format!("workflow.yaml:{}: the step", place(&folder, "99"))]);
    folder.change(
        "workflow.yaml",
        "role:finance\"], count: 99, message: \"Go",
        "user:operator\"], message: \"Go",
    );
    std::fs::remove_dir_all(folder.path("out")).unwrap();
    let refused = folder.cog(&["run", "workflow.yaml"]).ends(4);
    refused.says(&["approval.nobody", "besides those who asked or began the run"]);
    folder.cog(&["replay"]).ends(0);
    assert_eq!(folder.entries("session.started").len(), runs + 1);
    folder.holds();
}

/// The folder that the canon was asked about is the one that is opened, also later.
#[test]
fn a_folder_that_is_swapped_for_a_link_while_people_think_is_not_the_one_they_agreed_to() {
    let (folder, run, request) = trip("swapped");
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    std::fs::create_dir_all(folder.path("far")).unwrap();
    std::fs::rename(folder.path("out/payments"), folder.path("kept")).unwrap();
    for name in ["hotel", "flight"] {
        folder.write(&format!("far/{name}"), "of somebody else");
    }
    std::os::unix::fs::symlink(folder.path("far"), folder.path("out/payments")).unwrap();
    let refused = folder.cog(&["run", "--resume", &run]).ends(4);
    refused.says(&["symbolic link", "`payments`", "--cancel"]);
    // What undoes the run deletes nothing there either.
    folder.cog(&cancel(&run, REASON, "user:operator"));
    assert_eq!(folder.files("far").len(), 2);
    folder.holds();
}

//! Approvals: by whom, of what exactly, once, and under which canon.

use crate::program::{Folder, text};

/// A quickstart that waits for one approval: the run and the request.
fn waiting(name: &str) -> (Folder, String, String) {
    let folder = Folder::example(name, "01-quickstart");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    (folder, run, request)
}

#[test]
fn only_who_may_can_approve_and_only_once() {
    let (folder, run, request) = waiting("approve");
    let approve = |who| folder.cog(&["approvals", "approve", &request, "--as", who]);
    let before = folder.entries("approval.granted").len();
    approve("agent:clerk").ends(4).says(&["asked for this"]);
    approve("user:operator").ends(4).says(&["started the run"]);
    approve("user:nobody").ends(4).says(&["it takes role:finance", "cognitionos why dny_"]);
    approve("user:nobody").ends(4);
    approve("role:finance").ends(2);
    approve("cfo").ends(2);
    approve("").ends(2);
    assert_eq!(folder.entries("approval.granted").len(), before);
    folder.cog(&["run", "--resume", &run]).ends(8).says(&[&request]);

    approve("user:cfo").ends(0).says(&["approved by user:cfo", &run]);
    approve("user:cfo").ends(4).says(&["already answered"]);
    approve("user:controller").ends(4).says(&["already answered"]);
    let reject = ["approvals", "reject", &request, "--as", "user:controller", "--reason", "late"];
    folder.cog(&reject).ends(4);
    folder.cog(&["run", "--resume", &run]).ends(0);
    let over = approve("user:cfo").ends(7);
    over.says(&["has ended", "user:cfo approved it on", "cognitionos why apr_"]);
    // Each of these is on record, once for each person and reason.
    let denials = folder.entries("denial");
    let refused = denials.iter().filter(|it| text(it, &["data", "action"]) == "approval.answer");
    let codes: Vec<_> =
        refused.clone().map(|it| [text(it, &["actor"]), text(it, &["data", "code"])]).collect();
    assert_eq!(
        codes,
        [
            ["agent:clerk", "approval.own_request"],
            ["user:operator", "approval.own_request"],
            ["user:nobody", "approval.not_entitled"],
            ["user:cfo", "approval.answered"],
            ["user:controller", "approval.answered"],
            ["user:cfo", "approval.unknown"],
        ]
    );
    for denial in refused {
        let why = folder.cog(&["why", text(denial, &["data", "id"])]).ends(0);
        why.says(&["wanted to answer", &request, "was refused", "Why: "]);
    }
    let receipts = folder.entries("receipt");
    let resting = receipts.iter().filter(|it| it.to_string().contains(&request)).count();
    assert_eq!(resting, 1, "one receipt rests on the approval");
    folder.holds();
}

#[test]
fn a_flag_that_says_nothing_of_what_is_done_ends_no_run() {
    let (folder, run, _) = waiting("spare");
    let entries = folder.entries("session.sealed").len();
    for (command, flag) in [
        (&["run", "--resume", &run, "--reason", "after the audit"][..], "--reason"),
        (&["run", "workflow.yaml", "--reason", "after the audit"], "--reason"),
        (&["run", "--resume", &run, "--environment", "staging"], "--environment"),
        (&["run", "--fork", &run, "--from", "list", "--reason", "x"], "--reason"),
    ] {
        folder.cog(command).ends(2).says(&[flag, "says nothing of a run that"]);
    }
    assert_eq!(folder.entries("session.sealed").len(), entries);
    folder.cog(&["run", "--resume", &run]).ends(8);
}

#[test]
fn a_rejection_is_a_denial_with_its_reason() {
    let (folder, run, request) = waiting("reject");
    folder
        .cog(&["approvals", "reject", &request, "--as", "user:operator", "--reason", "x"])
        .ends(4);
    let reason = "the order was never signed";
    let reject = |request: &str| {
        let reject = ["approvals", "reject", request, "--as", "user:cfo", "--reason", reason];
        folder.cog(&reject).ends(0).says(&["rejected by user:cfo"]);
        folder.cog(&["run", "--resume", &run]).says(&["approval.rejected"])
    };
    // A no is an answer: no other way to pay the same is taken or asked for.
    reject(&request).ends(0).says(&["paid: 8"]);
    let denials = folder.entries("denial");
    assert_eq!(denials.len(), 5, "the last one is of the answer that did not count");
    let last = denials.last().unwrap();
    assert_eq!(text(last, &["data", "code"]), "approval.rejected");
    folder.cog(&["why", text(last, &["data", "id"])]).ends(0).says(&["was refused"]);
    folder.cog(&["why", &request]).ends(0).says(&["user:cfo said no", reason]);
    assert_eq!(folder.files("out/payments").len(), 8);
    folder.holds();
}

#[test]
fn two_of_a_group_are_two_people() {
    let folder = Folder::example("two-people", "01-quickstart");
    folder.change("canon/policies/paying.cedar", "1 of role:finance", "2 of role:finance");
    let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    let approve = |who| folder.cog(&["approvals", "approve", &request, "--as", who]);
    let next = format!("next: cognitionos approvals approve {request} --as user:controller");
    let first = approve("user:cfo").ends(0).says(&["it takes 1 more of role:finance", &next]);
    assert!(!first.err.contains("--resume"), "{first}");
    let again = approve("user:cfo").ends(4);
    again.says(&["`user:cfo` has agreed already; it takes 1 more", "user:controller"]);
    folder.cog(&["approvals", "list"]).ends(0).says(&["needs 2", "has 1"]);
    folder.cog(&["run", "--resume", &run]).ends(8);
    approve("user:controller").ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0).says(&["paid: 9"]);
    folder.holds();
}

#[test]
fn an_approval_that_was_given_does_not_outlive_its_canon() {
    let (folder, run, request) = waiting("approved-then-changed");
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    change_the_limit(&folder);
    asked_again_then_paid(&folder, &run, &request);
}

/// Put a canon in force that differs a little.
fn change_the_limit(folder: &Folder) {
    folder.copy("canon", "next");
    folder.change("next/policies/paying.cedar", "2000000 per run", "1900000 per run");
    let proposed = folder.cog(&["canon", "propose", "next", "--as", "user:cfo"]).ends(0).id("prp");
    folder.cog(&["canon", "approve", &proposed, "--as", "user:controller"]).ends(0);
    folder.cog(&["canon", "activate", &proposed, "--as", "user:cfo"]).ends(0);
}

/// The run that goes on asks anew, and only the new answer counts.
fn asked_again_then_paid(folder: &Folder, run: &str, old: &str) {
    let again = folder.cog(&["run", "--resume", run]).ends(8).id("apr");
    assert_ne!(again, *old);
    assert_eq!(folder.files("out/payments").len(), 8);
    let list = folder.cog(&["approvals", "list"]).ends(0);
    assert!(list.out.contains(&again) && !list.out.contains(old), "{list}");
    folder.cog(&["approvals", "approve", &again, "--as", "user:cfo"]).ends(0);
    folder.cog(&["run", "--resume", run]).ends(0).says(&["paid: 9"]);
    folder.holds();
}

#[test]
fn a_step_can_ask_people_by_itself() {
    let folder = Folder::example("sign", "01-quickstart");
    let steps = r#"name: sign
domain: accounts-payable
steps:
  - id: sign
    approve: { by: ["role:finance"], count: 1, message: "Close the month?", expires_minutes: 60 }
  - id: closed
    needs: [sign]
    uses: compute
    with: { by: finance }
outputs:
  closed: "${{ steps.closed.output.by }}"
"#;
    folder.write("workflow.yaml", steps);
    for (answer, code) in [("approve", 0), ("reject", 4)] {
        let parked = folder.cog(&["run", "workflow.yaml"]).ends(8);
        let (run, request) = (parked.id("run"), parked.id("apr"));
        folder.cog(&["approvals", "list"]).ends(0).says(&["Close the month?", &request]);
        let by = |who| {
            let reason = if answer == "reject" { &["--reason", "not yet"][..] } else { &[] };
            folder.cog(&[&["approvals", answer, &request, "--as", who], reason].concat())
        };
        by("user:operator").ends(4);
        by("user:controller").ends(0);
        let ended = folder.cog(&["run", "--resume", &run]).ends(code);
        assert_eq!(ended.out.contains("closed: finance"), code == 0, "{ended}");
    }
    folder.holds();
}

#[test]
fn whoever_approves_sees_the_real_folder() {
    let (folder, _, request) = waiting("real-folder");
    let stands = std::fs::canonicalize(folder.path("out/payments")).unwrap();
    let stands = stands.to_str().unwrap();
    let said = format!("in the folder {stands} (root `payments`)");
    folder.cog(&["approvals", "list"]).ends(0).says(&[&said]);
    folder.cog(&["why", &request]).ends(0).says(&[&said]);
    let listed = folder.cog(&["approvals", "list", "--json"]).ends(0).json();
    let one = &listed.as_list().unwrap()[0];
    assert_eq!((text(one, &["root"]), text(one, &["folder"])), ("payments", stands));
}

#[test]
fn whoever_approves_payments_starts_no_run_that_makes_them() {
    let folder = Folder::example("duties", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml", "--as", "user:cfo"]);
    assert!(matches!(run.code, 0 | 4), "{run}");
    assert_eq!(folder.files("out/payments").len(), 0);
    folder.cog(&["run", "workflow.yaml", "--as", "user:nobody"]).ends(4);
    folder.cog(&["run", "workflow.yaml", "--as", "nobody"]).ends(2);
    folder.holds();
}

#[test]
fn an_approval_is_bound_to_the_canon_it_was_asked_under() {
    let (folder, run, request) = waiting("approve-then-change");
    change_the_limit(&folder);
    let late = ["approvals", "approve", &request, "--as", "user:cfo"];
    folder.cog(&late).ends(7).says(&["the canon changed since", "--resume"]);
    folder.cog(&["why", &request]).ends(0).says(&["The canon changed since: no answer counts"]);
    asked_again_then_paid(&folder, &run, &request);
}

const SIGN: &str = "
name: sign
domain: accounts-payable
steps:
  - id: sign
    approve: { by: [\"user:cfo\"], message: \"Close?\", escalate: { after_ms: AFTER, to: [\"user:controller\"] } }
";

#[test]
fn who_may_answer_from_a_time_on_answers_from_then_on() {
    let folder = Folder::example("escalate", "01-quickstart");
    folder.write("later.yaml", &SIGN.replace("AFTER", "80000000"));
    let request = folder.cog(&["run", "later.yaml"]).ends(8).id("apr");
    let approve = |id: &str, who: &str| folder.cog(&["approvals", "approve", id, "--as", who]);
    folder.cog(&["approvals", "list"]).ends(0).says(&["user:controller may answer as well"]);
    approve(&request, "user:controller").ends(4).says(&["it takes user:cfo"]);
    approve(&request, "user:cfo").ends(0);

    folder.write("now.yaml", &SIGN.replace("AFTER", "1"));
    let parked = folder.cog(&["run", "now.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    approve(&request, "user:controller").ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    assert_eq!(folder.entries("approval.escalated").len(), 1);
    folder.cog(&["why", &request]).ends(0).says(&["user:controller may answer as well"]);
    folder.cog(&["replay", &run]).ends(0);
    folder.holds();

    // Also where nobody answers: whoever goes on with the run has it on record.
    let parked = folder.cog(&["run", "now.yaml"]).ends(8);
    folder.cog(&["run", "--resume", &parked.id("run")]).ends(8);
    assert_eq!(folder.entries("approval.escalated").len(), 2);
    folder.holds();
}

#[test]
fn another_person_answers_where_the_canon_lets_them() {
    let folder = Folder::example("delegate", "01-quickstart");
    folder.write(
        "sign.yaml",
        &SIGN.replace(", escalate: { after_ms: AFTER, to: [\"user:controller\"] }", ""),
    );
    let delegate = |id: &str, who: &str, to: &str| {
        folder.cog(&["approvals", "delegate", id, "--to", to, "--as", who, "--reason", "on leave"])
    };
    let approve = |id: &str, who: &str| folder.cog(&["approvals", "approve", id, "--as", who]);
    let request = folder.cog(&["run", "sign.yaml"]).ends(8).id("apr");
    let no = delegate(&request, "user:cfo", "user:controller").ends(4);
    no.says(&["the canon lets nobody answer for another", "cognitionos why dny_"]);
    approve(&request, "user:cfo").ends(0);
    assert_eq!(folder.entries("approval.delegated").len(), 0);
    folder.holds();

    let folder = Folder::example("delegate-let", "01-quickstart");
    folder.write(
        "sign.yaml",
        &SIGN.replace(", escalate: { after_ms: AFTER, to: [\"user:controller\"] }", ""),
    );
    folder.change(
        "canon/canon.toml",
        "[risk]",
        "[runs]\ndelegate = [\"user:controller\"]\n\n[risk]",
    );
    let delegate = |id: &str, who: &str, to: &str| {
        folder.cog(&["approvals", "delegate", id, "--to", to, "--as", who, "--reason", "on leave"])
    };
    let approve = |id: &str, who: &str| folder.cog(&["approvals", "approve", id, "--as", who]);
    let parked = folder.cog(&["run", "sign.yaml"]).ends(8);
    let (run, request) = (parked.id("run"), parked.id("apr"));
    delegate(&request, "user:cfo", "user:operator")
        .ends(4)
        .says(&["they asked for this or started"]);
    delegate(&request, "user:controller", "user:cfo").ends(4).says(&["it takes user:cfo"]);
    delegate(&request, "user:cfo", "user:stranger").ends(4).says(&["`[runs] delegate`"]);
    delegate(&request, "user:cfo", "nobody").ends(2);
    approve(&request, "user:controller").ends(4).says(&["it takes user:cfo"]);
    let done = delegate(&request, "user:cfo", "user:controller").ends(0);
    done.says(&["user:controller answers in the place of user:cfo", "--as user:controller"]);
    delegate(&request, "user:cfo", "user:controller").ends(4).says(&["answer in their place"]);
    approve(&request, "user:cfo")
        .ends(4)
        .says(&["`user:cfo` has `user:controller` answer", "--as user:controller"]);
    folder
        .cog(&["approvals", "list"])
        .ends(0)
        .says(&["user:controller answers in the place of user:cfo"]);
    approve(&request, "user:controller").ends(0);
    folder.cog(&["run", "--resume", &run]).ends(0);
    let granted = folder.entries("approval.granted").pop().unwrap();
    assert_eq!(
        [text(&granted, &["actor"]), text(&granted, &["data", "for"])],
        ["user:controller", "user:cfo"]
    );
    let told = ["user:controller, in the place of user:cfo, approved it", "on leave"];
    folder.cog(&["why", &request]).ends(0).says(&told);
    folder.cog(&["replay", &run]).ends(0);
    folder.holds();
}

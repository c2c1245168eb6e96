//! The canon: checked, compared, and changed by more than one person.

use cog_base::Value;

use crate::program::{Folder, text};

/// The laboratory after a run under its first canon.
fn laboratory(name: &str) -> Folder {
    let folder = Folder::example(name, "06-change-the-canon");
    folder.cog(&["run", "workflow.yaml", "--canon", "canon-v1"]).ends(0).says(&["founds"]);
    folder
}

fn propose(folder: &Folder, dir: &str, who: &str) -> String {
    folder.cog(&["canon", "propose", dir, "--as", who]).ends(0).id("prp")
}

#[test]
fn a_change_takes_a_proposal_and_somebody_else() {
    let folder = laboratory("change");
    let act = |word, id: &str, who| folder.cog(&["canon", word, id, "--as", who]);
    folder.cog(&["canon", "propose", "canon-v2", "--as", "user:nobody"]).ends(4);
    folder.cog(&["canon", "propose", "canon-v1", "--as", "user:head-of-lab"]).ends(7);
    let id = propose(&folder, "canon-v2", "user:head-of-lab");
    folder.cog(&["canon", "list"]).ends(0).says(&["in force", "open", "nobody yet", &id]);

    act("activate", &id, "user:head-of-lab").ends(4);
    act("approve", &id, "user:nobody").ends(4);
    act("approve", &id, "user:operator").ends(4);
    act("approve", &id, "user:head-of-lab").ends(0);
    act("activate", &id, "user:head-of-lab").ends(4);
    act("approve", &id, "user:controller").ends(0);
    let next = format!("cognitionos canon activate {id}");
    act("approve", &id, "user:controller").ends(4).says(&[&next]);
    act("activate", &id, "user:nobody").ends(4);
    act("activate", &id, "user:head-of-lab").ends(0);
    act("activate", &id, "user:head-of-lab").ends(2).says(&[&id, "activated already", "in force"]);
    act("approve", &id, "user:controller").ends(2);
    let old = text(&folder.entries("canon.proposed")[0], &["data", "base"]).to_owned();
    let short = &old["sha256:".len()..][..12];
    let diff = folder.cog(&["canon", "diff", short, "active"]).ends(0);
    assert_eq!(diff.out, folder.cog(&["canon", "diff", &old, "active"]).ends(0).out);
    folder.cog(&["canon", "diff", "0123456789ab", "active"]).ends(2).says(&["no canon"]);

    let run = folder.cog(&["run", "workflow.yaml"]).ends(0);
    run.says(&["ordered: gloves, centrifuge-rotor", "refused: solvent-waste-tank"]);
    let denials = folder.entries("denial");
    let refused = denials.iter().filter(|it| text(it, &["data", "action"]).starts_with("canon."));
    let refused: Vec<_> = refused
        .map(|it| {
            [text(it, &["actor"]), text(it, &["data", "action"]), text(it, &["data", "code"])]
        })
        .collect();
    let (head, nobody) = ("user:head-of-lab", "user:nobody");
    assert_eq!(
        refused,
        [
            [nobody, "canon.propose", "identity.unknown"],
            [head, "canon.propose", "change.none"],
            [head, "canon.activate", "change.not_approved"],
            [nobody, "canon.approve", "identity.unknown"],
            ["user:operator", "canon.approve", "change.not_entitled"],
            ["user:controller", "canon.approve", "change.approved_before"],
            [nobody, "canon.activate", "identity.unknown"],
            [head, "canon.activate", "change.closed"],
            ["user:controller", "canon.approve", "change.closed"],
        ]
    );
    folder.cog(&["why", text(&denials[denials.len() - 1], &["data", "id"])]).ends(0);
    folder.holds();
}

#[test]
fn what_no_policy_permits_says_what_to_do() {
    let folder = Folder::example("no-permit", "06-change-the-canon");
    let run = folder.cog(&["run", "workflow.yaml", "--canon", "canon-v1"]).ends(0);
    let todo = "What to do: if it should be permitted, write a policy that permits `file.write`";
    let why = folder.cog(&["why", &run.id("dny")]).ends(0);
    why.says(&[todo, "cognitionos canon check FOLDER, and cognitionos canon propose FOLDER"]);

    folder.change("canon-v1/schema.cedarschema", "path: String", "path: String, paht?: String");
    let odd = "no `file.write` has `args.paht` in its context";
    folder.cog(&["canon", "check", "canon-v1"]).ends(0).says(&[odd, "did you mean `args.path`?"]);
}

#[test]
fn a_proposal_says_why() {
    let folder = laboratory("proposal-note");
    let because = "the rotor is worn out";
    let propose = ["canon", "propose", "canon-v2", "--as", "user:head-of-lab", "--note", because];
    let id = folder.cog(&propose).ends(0).id("prp");
    assert!(!folder.entries("canon.proposed")[0].to_string().contains(because));
    folder.cog(&["ledger", "list"]).ends(0).says(&[because]);
    let reject = ["canon", "reject", &id, "--as", "user:controller", "--reason", "buy a new one"];
    folder.cog(&reject).ends(0);
    folder.cog(&["ledger", "list"]).ends(0).says(&["buy a new one"]);
    folder.holds();
}

#[test]
fn another_canon_binds_nobody_until_it_is_in_force() {
    let folder = laboratory("not-in-force");
    let with_v2 = ["run", "workflow.yaml", "--canon", "canon-v2"];
    let before = folder.entries("receipt").len();
    folder.cog(&with_v2).ends(7).says(&["canon propose"]);
    // A folder beside the workflow that was changed is a remark; the one in force decides.
    folder.copy("canon-v2", "canon");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(0);
    run.says(&["the one in force decides", "refused: centrifuge-rotor, solvent-waste-tank"]);
    assert_eq!(folder.entries("receipt").len(), before + 1);
    let id = propose(&folder, "canon-v2", "user:head-of-lab");
    folder.cog(&with_v2).ends(7);
    folder.cog(&["canon", "approve", &id, "--as", "user:controller"]).ends(0);
    folder.cog(&["canon", "activate", &id, "--as", "user:controller"]).ends(0);
    folder.cog(&with_v2).ends(0);
    folder.cog(&["run", "workflow.yaml", "--canon", "canon-v1"]).ends(7);
    folder.holds();
}

#[test]
fn a_rejected_proposal_is_closed_and_an_overtaken_one_too() {
    let folder = laboratory("rejected");
    folder.copy("canon-v2", "canon-v3");
    folder.change("canon-v3/canon.toml", "amount_max = 1_000_000", "amount_max = 900_000");
    let act = |word, id: &str, who| folder.cog(&["canon", word, id, "--as", who]);
    let (second, third, again) = (
        propose(&folder, "canon-v2", "user:head-of-lab"),
        propose(&folder, "canon-v3", "user:head-of-lab"),
        propose(&folder, "canon-v2", "user:controller"),
    );
    let reject = ["canon", "reject", &again, "--reason", "twice", "--as", "user:head-of-lab"];
    folder.cog(&reject).ends(0);
    act("approve", &again, "user:head-of-lab").ends(2);
    act("approve", &second, "user:controller").ends(0);
    act("approve", &third, "user:controller").ends(0);
    let activated = act("activate", &second, "user:controller").ends(0);
    activated.says(&[&format!("{third} is stale"), "propose it again"]);
    // The third was approved as a change of the first, which no longer binds.
    act("activate", &third, "user:controller").ends(7).says(&["stale", "try: "]);
    act("approve", &third, "user:head-of-lab").ends(7);
    let listed = folder.cog(&["canon", "list"]).ends(0);
    listed.says(&[&format!("stale       {third}"), &format!("canon reject {third}")]);
    let state = |id: &str| {
        let list = folder.cog(&["canon", "list", "--json"]).ends(0).json();
        let all = list.get("proposals").and_then(Value::as_list).unwrap();
        let one = all.iter().find(|it| text(it, &["proposal"]) == id).unwrap();
        text(one, &["state"]).to_owned()
    };
    assert_eq!(["activated", "stale", "rejected"], [&second, &third, &again].map(|id| state(id)));
    let reject = ["canon", "reject", &third, "--reason", "late", "--as", "user:head-of-lab"];
    folder.cog(&reject).ends(0);
    act("approve", &third, "user:controller").ends(2).says(&["rejected by user:head-of-lab"]);

    let back = propose(&folder, "canon-v1", "user:head-of-lab");
    act("approve", &back, "user:controller").ends(0);
    act("activate", &back, "user:controller").ends(0);
    assert_eq!([state(&second), state(&back)], ["superseded", "activated"]);
    act("activate", &second, "user:controller").ends(2).says(&["in force since", &back]);
    folder.holds();
}

#[test]
fn impact_names_each_verdict_that_would_flip() {
    let folder = laboratory("impact");
    let flips = |arguments: &[&str]| {
        let impact = folder.cog(&[arguments, &["--json"]].concat()).ends(0).json();
        let flipped = impact.get("flipped").and_then(Value::as_list).unwrap();
        let line = |it: &Value| {
            format!("{} {} -> {}", text(it, &["step"]), text(it, &["before"]), text(it, &["after"]))
        };
        flipped.iter().map(line).collect::<Vec<_>>()
    };
    let expected = ["order[1] refuse -> allow"];
    assert_eq!(flips(&["canon", "impact", "canon-v2"]), expected);
    assert_eq!(flips(&["replay", "--canon", "canon-v2"]), expected);
    assert_eq!(flips(&["replay", "--all", "--canon", "canon-v2"]), expected);
    assert_eq!(flips(&["canon", "impact", "canon-v1"]), [""; 0]);
}

#[test]
fn impact_of_a_canon_of_another_domain_is_bad_input() {
    let folder = laboratory("impact-elsewhere");
    folder.copy("canon-v2", "other");
    folder.change("other/canon.toml", "domain = \"purchasing\"", "domain = \"travel\"");
    for words in [&["canon", "impact", "other"][..], &["replay", "--all", "--canon", "other"]] {
        let answer = folder.cog(words).ends(2);
        answer.says(&["for the domain `travel`", "of `purchasing`", "try: "]);
    }
    let empty = Folder::example("impact-empty", "06-change-the-canon");
    let propose = ["canon", "propose", "canon-v1", "--as", "user:head-of-lab"];
    empty.cog(&propose).ends(0);
    empty.cog(&["canon", "impact", "canon-v2"]).ends(0).says(&["no decision is recorded here yet"]);
}

#[test]
fn canons_are_compared_by_folder_digest_and_name() {
    let folder = laboratory("diff");
    let check = folder.cog(&["canon", "check", "canon-v1", "--json"]).ends(0).json();
    let digest = text(&check, &["digest"]);
    let diff = |from, to| folder.cog(&["canon", "diff", from, to]).ends(0);
    let differences = diff("canon-v1", "canon-v2").out;
    for part in ["order.small", "order.no-waste-equipment"] {
        assert!(differences.contains(part), "{differences}");
    }
    assert_eq!(diff("active", "canon-v2").out, differences);
    assert_eq!(diff(digest, "canon-v2").out, differences);
    assert_eq!(diff("active", digest).out, "");
    folder.cog(&["canon", "diff", "active", "nonsense"]).ends(2);
}

#[test]
fn a_comparison_shows_how_each_part_changed() {
    let folder = Folder::example("diff-lines", "06-change-the-canon");
    folder.copy("canon-v1", "next");
    folder.change("next/policies/orders.cedar", "<= 50000", "<= 60000");
    folder.change("next/policies/orders.cedar", "@control(\"SOC2:CC6.3\")", "@control(\"X\")");
    folder.change("next/canon.toml", "approvals = 1", "approvals = 2");
    let facts = folder.read("next/facts/people.json");
    let eve = r#"[{ "uid": { "type": "User", "id": "eve" }, "attrs": {}, "parents": [] }, "#;
    folder.write("next/facts/people.json", &facts.replacen('[', eve, 1));
    let diff = folder.cog(&["canon", "diff", "canon-v1", "next"]).ends(0);
    diff.says(&[
        "policy order.small changed",
        "\n  -@control(\"SOC2:CC6.3\")\n  +@control(\"X\")\n",
        "\n  -) when { context.args.document.amount_cents <= 50000 };\n",
        "\n  +) when { context.args.document.amount_cents <= 60000 };\n",
        "setting change.approvals changed from 1 to 2",
        "fact user:eve added: nothing",
    ]);
    let json = folder.cog(&["canon", "diff", "canon-v1", "next", "--json"]).ends(0).json();
    let all = json.as_list().unwrap();
    let of = |part: &str| all.iter().find(|it| text(it, &["part"]) == part).unwrap();
    assert_eq!(text(of("policy"), &["change"]), "changed");
    assert!(text(of("policy"), &["before"]).contains("<= 50000"));
    assert!(text(of("policy"), &["after"]).contains("<= 60000"));
    assert_eq!(of("fact").get("before"), Some(&Value::Null));
    // What differs and does not bind is said to be no difference.
    folder.copy("canon-v1", "comment");
    folder.change("comment/canon.toml", "[change]", "# Nothing.\n[change]");
    folder.cog(&["canon", "diff", "canon-v1", "comment"]).ends(0).says(&["differ in comments"]);
}

#[test]
fn a_canon_without_tests_is_warned_of() {
    let folder = Folder::example("no-tests", "06-change-the-canon");
    std::fs::remove_dir_all(folder.path("canon-v1/tests")).unwrap();
    let warning = "it has no tests";
    for words in ["check", "test"] {
        folder.cog(&["canon", words, "canon-v1"]).ends(0).says(&["0 tests passed", warning]);
        let tested = folder.cog(&["canon", words, "canon-v2"]).ends(0);
        assert!(!tested.err.contains(warning), "{tested}");
    }
    folder.cog(&["run", "workflow.yaml", "--canon", "canon-v1"]).ends(0).says(&[warning]);
    folder.change("canon-v1/canon.toml", "amount_max = 1_000_000", "amount_max = 900_000");
    let propose = ["canon", "propose", "canon-v1", "--as", "user:head-of-lab"];
    folder.cog(&propose).ends(0).says(&[warning]);
}

#[test]
fn a_canon_whose_tests_fail_never_binds() {
    let folder = laboratory("failing-tests");
    folder.change("canon-v2/policies/orders.cedar", "<= 100000", "<= 90000");
    folder.cog(&["canon", "test", "canon-v2"]).ends(1).says(&["failed", "1,000.00 is fine now"]);
    folder.cog(&["canon", "check", "canon-v2"]).ends(1).says(&["1,000.00 is fine now"]);
    let propose = ["canon", "propose", "canon-v2", "--as", "user:head-of-lab"];
    folder.cog(&propose).ends(2).says(&["1 of its tests fails"]);
    let other = ["run", "workflow.yaml", "--canon", "canon-v2", "--data", "other"];
    folder.cog(&other).ends(4).says(&["tests fail"]);
    assert!(!folder.has("out/centrifuge-rotor.json"));
}

#[test]
fn a_canon_that_does_not_load_is_told_by_file_and_refuses_all() {
    let folder = Folder::example("broken-canon", "06-change-the-canon");
    for (name, file, from, to, words) in [
        ("syntax", "policies/orders.cedar", "permit (", "permitt (", "policies/orders.cedar"),
        ("type", "policies/orders.cedar", "amount_cents <=", "amount <=", "policies/orders.cedar"),
        ("key", "canon.toml", "approvals = 1", "aprovals = 1", "canon.toml"),
        ("facts", "facts/people.json", "[", "{", "facts/people.json"),
        ("case", "tests/orders.yaml", "expect:", "expcet:", "tests/orders.yaml"),
    ] {
        folder.copy("canon-v2", name);
        folder.change(&format!("{name}/{file}"), from, to);
        folder.cog(&["canon", "check", name]).ends(2).says(&[words]);
        let run = folder.cog(&["run", "workflow.yaml", "--canon", name]).ends(4);
        run.says(&[words, "canon.not_loaded", "cognitionos why dny_"]);
    }
    folder.copy("canon-v2", "wrong");
    folder.change("wrong/tests/orders.yaml", "expect: refuse", "expect: permit");
    let run = folder.cog(&["run", "workflow.yaml", "--canon", "wrong"]).ends(4);
    run.says(&["canon.tests_failed"]);
    assert!(!folder.has("out"), "something took effect");
    // What was refused stands there once for each reason, and no run was begun.
    let denials = folder.entries("denial");
    let codes: Vec<&str> = denials.iter().map(|it| text(it, &["data", "code"])).collect();
    assert_eq!(codes, ["canon.not_loaded", "canon.tests_failed"]);
    let why = folder.cog(&["why", text(&denials[0], &["data", "id"])]).ends(0);
    why.says(&["start a run of", "was refused", "does not load", "policies/orders.cedar"]);
    assert!(folder.entries("session.started").is_empty());
    folder.cog(&["ledger", "verify"]).ends(0);
}

#[test]
fn without_a_canon_everything_is_refused() {
    let folder = Folder::example("no-canon", "04-survives-kill-9");
    std::fs::remove_dir_all(folder.path("canon")).unwrap();
    let run = folder.cog(&["run", "workflow.yaml"]).ends(4);
    run.says(&["no canon", "everything is refused", "0 receipts"]);
    assert_eq!(folder.entries("receipt").len(), 0);
    assert!(!folder.entries("denial").is_empty());
    assert!(folder.files("out").is_empty());
    folder.cog(&["ledger", "verify"]).ends(0);
    folder.cog(&["replay"]).ends(0);
}

#[test]
fn a_canon_binds_its_own_domain_only() {
    let folder = Folder::example("other-domain", "06-change-the-canon");
    folder.change("canon-v1/canon.toml", "domain = \"purchasing\"", "domain = \"travel\"");
    let run = ["run", "workflow.yaml", "--canon", "canon-v1"];
    folder.cog(&run).ends(2).says(&["`travel`", "`purchasing`"]);
    assert!(!folder.has("out"));
}

#[test]
fn evidence_is_promoted_only_by_entries_that_are_evidence() {
    let folder = laboratory("evidence");
    let propose = |seq: &str| {
        let propose = ["canon", "propose", "canon-v2", "--as", "user:head-of-lab"];
        folder.cog(&[&propose[..], &["--evidence", seq]].concat())
    };
    propose("0").ends(2).says(&["no evidence"]);
    propose("9999").ends(2).says(&["no evidence"]);
    let outcome = folder.entries("outcome")[0].get("seq").and_then(Value::as_u64).unwrap();
    let id = propose(&outcome.to_string()).ends(0).id("prp");
    folder.cog(&["canon", "approve", &id, "--as", "user:controller"]).ends(0);
    folder.cog(&["canon", "activate", &id, "--as", "user:controller"]).ends(0);
    let promotion = &folder.entries("promotion")[0];
    assert!(promotion.to_string().contains(&format!("[{outcome}]")), "{promotion}");
    folder.holds();
}

#[test]
fn evidence_of_a_run_that_is_not_over_is_not_promoted() {
    let folder = Folder::example("evidence-open", "01-quickstart");
    let run = folder.cog(&["run", "workflow.yaml"]).ends(8).id("run");
    let outcome = folder.entries("outcome")[0].get("seq").and_then(Value::as_u64).unwrap();
    folder.copy("canon", "next");
    folder.change("next/canon.toml", "[change]", "# the next\n[change]");
    let propose = || {
        let propose = ["canon", "propose", "next", "--as", "user:cfo", "--evidence"];
        folder.cog(&[&propose[..], &[&outcome.to_string()]].concat())
    };
    propose().ends(4).says(&["evidence.not_sealed", &run, "not sealed", "why dny_"]);
    let denials = folder.entries("denial");
    assert_eq!(text(denials.last().unwrap(), &["data", "code"]), "evidence.not_sealed");
    assert!(folder.entries("canon.proposed").is_empty());
    folder.cog(&["run", "--cancel", &run, "--reason", "to learn from it"]).ends(0);
    propose().ends(0);
    folder.holds();
}

/// A canon that is nested as deep as the limits let it be is the same canon on every machine.
#[test]
fn no_verdict_depends_on_the_stack_that_a_machine_gives() {
    let folder = Folder::example("stacks", "01-quickstart");
    let policy = |levels: usize| {
        let condition = "if true && true then ".repeat(levels);
        format!(
            "@id(\"deep\") forbid (principal, action, resource) when {{ {condition}false{} }};",
            " else false".repeat(levels)
        )
    };
    folder.write("canon/policies/deep.cedar", &policy(58));
    folder.on_stack(256, &["canon", "check", "canon"]).ends(0);
    folder.on_stack(256, &["run", "workflow.yaml", "--canon", "canon"]).ends(8);
    folder.cog(&["ledger", "export", "-o", "all.cogbundle", "--key", "all.vkey"]).ends(0);
    let verify = ["verify", "all.cogbundle", "--key", "all.vkey"];
    folder.on_stack(256, &verify).ends(0).says(&["everything checked holds"]);
    folder.on_stack(65_536, &verify).ends(0).says(&["everything checked holds"]);
    folder.write("canon/policies/deep.cedar", &policy(63));
    folder.cog(&["canon", "check", "canon"]).ends(2).says(&["nested deeper than 64 brackets"]);
}

#[test]
fn a_folder_with_a_space_is_quoted_in_what_comes_next() {
    let folder = laboratory("change-spaces");
    folder.copy("canon-v2", "canon 2");
    let proposed = folder.cog(&["canon", "propose", "canon 2", "--as", "user:head-of-lab"]);
    proposed.ends(0).says(&["canon impact 'canon 2'"]);
}

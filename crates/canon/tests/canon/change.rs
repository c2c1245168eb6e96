//! Groups, change control, versions, and what changed from one to another.

use cog_canon::{Canon, ChangeRule, Source};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::house::{self, FACTS, PAYING, PEOPLE, PLAIN, POLICIES, SCHEMA, SETTINGS, TESTS};

/// Ada and Bob in the board through the audit; the board and the audit are groups.
const GROUPS: &str = r#"[
  { "uid": { "type": "Role", "id": "board" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "Role", "id": "audit" }, "attrs": {}, "parents": [{ "type": "Role", "id": "board" }] },
  { "uid": { "type": "User", "id": "ada" }, "attrs": {}, "parents": [{ "type": "Role", "id": "audit" }] },
  { "uid": { "type": "User", "id": "bob" }, "attrs": {}, "parents": [{ "type": "Role", "id": "audit" }] },
  { "uid": { "type": "User", "id": "cfo" }, "attrs": {}, "parents": [{ "type": "Role", "id": "board" }] },
  { "uid": { "type": "User", "id": "eve" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "Agent", "id": "miner" }, "attrs": {}, "parents": [{ "type": "Role", "id": "board" }] }
]"#;

fn grouped() -> Canon {
    house::load(&[(SETTINGS, PLAIN), (SCHEMA, PAYING), (FACTS, GROUPS)])
}

#[test]
fn people_are_in_the_groups_of_their_groups() {
    let canon = grouped();
    let check = |who: &str, group: &str, inside: bool| {
        assert_eq!(canon.is_member(who, group), inside, "{who} in {group}");
    };
    check("user:ada", "role:audit", true);
    check("user:ada", "role:board", true);
    check("user:cfo", "role:audit", false);
    check("user:cfo", "user:cfo", true);
    check("user:cfo", "user:ada", false);
    check("user:ghost", "user:ghost", false);
    check("user:ghost", "role:board", false);
    check("agent:ada", "role:audit", false);
    check("ada", "role:audit", false);
    check("user:ada", "audit", false);
    check("user:ada", "role:nothing", false);
    check("user:ada", "", false);
    assert_eq!(canon.people("role:board"), ["user:ada", "user:bob", "user:cfo"]);
    assert_eq!(canon.people("role:audit"), ["user:ada", "user:bob"]);
    assert_eq!(canon.people("user:eve"), ["user:eve"]);
    assert!(canon.people("user:ghost").is_empty());
    assert!(canon.people("role:nothing").is_empty());
    assert!(canon.knows("user:eve") && canon.knows("role:audit"));
    assert!(!canon.knows("user:ghost") && !canon.knows("eve") && !canon.knows("user:"));
}

/// Whom the canon names may end a run, and nobody else: no agent, whatever role it is in.
#[test]
fn people_are_entitled_to_end_runs_by_name_or_by_role() {
    let may = |list: &str, who: &str, expected: bool| {
        let settings = format!("{PLAIN}[runs]\ncancel = {list}\n");
        let canon = house::load(&[(SETTINGS, &settings), (SCHEMA, PAYING), (FACTS, GROUPS)]);
        assert_eq!(canon.may_cancel(who), expected, "{who} by {list}");
    };
    let board = r#"["role:board"]"#;
    for who in ["user:ada", "user:cfo"] {
        may(board, who, true);
        may("[]", who, false);
    }
    for who in ["user:eve", "user:ghost", "agent:miner", "role:board", "role:audit", "ada", ""] {
        may(board, who, false);
    }
    may(r#"["role:board", "user:eve"]"#, "user:eve", true);
    assert!(!grouped().may_cancel("user:ada"), "nobody, unless the canon says so");
}

fn admitted(approvals: u64, approvers: &[&str], proposer: &str, who: &[&str], expected: Expect) {
    let approvers = approvers.iter().map(|group| (*group).to_owned()).collect();
    let said = match (ChangeRule { approvals, approvers }).admits(&grouped(), proposer, who) {
        Ok(()) => "admitted".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    expected.assert_eq(&said);
}

#[test]
fn a_change_needs_enough_different_approvers_and_never_the_proposer_alone() {
    let board = ["role:board"];
    admitted(1, &board, "user:eve", &["user:cfo"], expect!["admitted"]);
    admitted(1, &board, "user:eve", &["user:ada"], expect!["admitted"]);
    admitted(1, &board, "user:eve", &[], expect!["the change has 0 of 1 approvals by role:board"]);
    admitted(
        1,
        &board,
        "user:cfo",
        &["user:cfo"],
        expect!["user:cfo proposed the change and cannot be the only one to approve it"],
    );
    admitted(
        1,
        &board,
        "user:cfo",
        &["user:cfo", "user:eve"],
        expect!["user:cfo proposed the change and cannot be the only one to approve it"],
    );
    admitted(1, &board, "user:cfo", &["user:cfo", "user:ada"], expect!["admitted"]);
    admitted(2, &board, "user:cfo", &["user:cfo", "user:ada"], expect!["admitted"]);
    admitted(
        2,
        &board,
        "user:eve",
        &["user:ada", "user:ada"],
        expect!["the change has 1 of 2 approvals by role:board"],
    );
    admitted(2, &board, "user:eve", &["user:ada", "user:bob"], expect!["admitted"]);
    admitted(
        1,
        &board,
        "user:cfo",
        &["user:eve"],
        expect!["the change has 0 of 1 approvals by role:board"],
    );
    admitted(
        1,
        &board,
        "user:cfo",
        &["user:ghost"],
        expect!["the change has 0 of 1 approvals by role:board"],
    );
    admitted(
        1,
        &["role:audit", "user:eve"],
        "user:ada",
        &["user:cfo"],
        expect!["the change has 0 of 1 approvals by role:audit or user:eve"],
    );
    admitted(1, &["role:audit", "user:eve"], "user:ada", &["user:eve"], expect!["admitted"]);
}

#[test]
fn a_group_or_an_agent_is_nobody_who_could_approve() {
    let none = || expect!["the change has 0 of 1 approvals by role:board"];
    admitted(1, &["role:board"], "user:eve", &["role:board"], none());
    admitted(1, &["role:board"], "user:eve", &["role:audit"], none());
    admitted(1, &["role:board"], "user:eve", &["agent:miner"], none());
}

const FILES: [(&str, &str); 5] = [
    (SETTINGS, PLAIN),
    (SCHEMA, PAYING),
    (FACTS, PEOPLE),
    (POLICIES, r#"@id("any") permit (principal, action, resource);"#),
    (TESTS, "[]"),
];

fn source(files: &[(&str, Vec<u8>)]) -> Source {
    Source::new(files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())))
}

fn bytes() -> Vec<(&'static str, Vec<u8>)> {
    FILES.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_version_does_not_depend_on_the_order_of_the_files(
        files in Just(bytes()).prop_shuffle(),
    ) {
        prop_assert_eq!(source(&files).digest(), house::source(&FILES).digest());
    }

    #[test]
    fn any_byte_changes_the_version(file in 0..4_usize, place: prop::sample::Index, flip in 1..=255_u8) {
        let mut files = bytes();
        let place = place.index(files[file].1.len());
        files[file].1[place] ^= flip;
        prop_assert_ne!(source(&files).digest(), house::source(&FILES).digest());
    }

    #[test]
    fn a_byte_more_or_less_changes_the_version(file in 0..5_usize, place: prop::sample::Index) {
        let mut files = bytes();
        let place = place.index(files[file].1.len());
        let removed = files[file].1.remove(place);
        let shorter = source(&files).digest();
        files[file].1.insert(place, removed);
        files[file].1.insert(place, b'\n');
        let base = house::source(&FILES).digest();
        prop_assert!(shorter != base && source(&files).digest() != base);
    }
}

#[test]
fn a_file_more_less_or_of_another_name_changes_the_version() {
    let base = house::source(&FILES).digest();
    assert_eq!(house::load(&FILES).digest(), base);
    assert_ne!(house::source(&FILES[..4]).digest(), base);
    let mut files = FILES.to_vec();
    files[3].0 = "policies/other.cedar";
    assert_ne!(house::source(&files).digest(), base);
    files[3].0 = POLICIES;
    files.push(("policies/empty.cedar", ""));
    assert_ne!(house::source(&files).digest(), base);
    files[5].0 = "README.md";
    assert_eq!(house::source(&files).digest(), base, "what is no part of it does not count");
}

/// What changes when `text` of a file becomes `other`.
fn changed(file: &str, text: &str, other: &str, expected: Expect) {
    const CASE: &str = "- { name: reads, principal: \"user:ada\", action: file.read,\n    \
        resource: { type: Root, id: pay }, expect: permit }";
    let mut files = FILES.to_vec();
    files[4].1 = CASE;
    let place = files.iter().position(|(path, _)| *path == file).unwrap();
    let new = files[place].1.replace(text, other);
    assert_ne!(new, files[place].1, "{text} is in {file}");
    let before = house::load(&files);
    files[place].1 = &new;
    let after = house::load(&files);
    let lines = |one: &Canon, other: &Canon| {
        let lines: Vec<_> = one.compare(other).iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    assert_eq!(lines(&before, &before), "");
    expected.assert_eq(&format!(
        "{}\nand back:\n{}",
        lines(&before, &after),
        lines(&after, &before)
    ));
}

#[test]
fn a_difference_is_said_in_words() {
    changed(
        SETTINGS,
        "[change]",
        "[envelope]\namount_max = 5\n[change]",
        expect![[r#"
        setting envelope.amount_max added: 5
        and back:
        setting envelope.amount_max removed, was 5"#]],
    );
    changed(
        SETTINGS,
        "[change]",
        "[envelope.per_day]\namount_max = 5\n[change]",
        expect![[r#"
            setting envelope.per_day.amount_max added: 5
            and back:
            setting envelope.per_day.amount_max removed, was 5"#]],
    );
    changed(
        SETTINGS,
        "\"testing\"",
        "\"live\"",
        expect![[r#"
        setting domain changed from "testing" to "live"
        and back:
        setting domain changed from "live" to "testing""#]],
    );
    changed(
        SCHEMA,
        "dry: Bool",
        "dry: Bool, cost?: Long",
        expect![[r#"
        schema schema.cedarschema changed
        and back:
        schema schema.cedarschema changed"#]],
    );
}

#[test]
fn differences_of_policies_facts_and_tests_are_said_in_words() {
    changed(
        POLICIES,
        "permit",
        "forbid",
        expect![[r#"
        policy any changed
        and back:
        policy any changed"#]],
    );
    changed(
        POLICIES,
        "\"any\"",
        "\"all\"",
        expect![[r#"
        policy all added
        policy any removed
        and back:
        policy all removed
        policy any added"#]],
    );
    changed(
        FACTS,
        "\"ada\"",
        "\"eve\"",
        expect![[r#"
        fact user:ada removed, was in role:finance
        fact user:eve added: in role:finance
        and back:
        fact user:ada added: in role:finance
        fact user:eve removed, was in role:finance"#]],
    );
    changed(
        FACTS,
        ", { \"type\": \"Role\", \"id\": \"finance\" }]",
        "]",
        expect![[r#"
        fact user:cfo changed from in role:board, in role:finance to in role:board
        and back:
        fact user:cfo changed from in role:board to in role:board, in role:finance"#]],
    );
    changed(
        TESTS,
        "pay",
        "notes",
        expect![[r#"
        test reads changed
        and back:
        test reads changed"#]],
    );
    changed(
        TESTS,
        "reads",
        "looks",
        expect![[r#"
        test looks added
        test reads removed
        and back:
        test looks removed
        test reads added"#]],
    );
    changed(
        POLICIES,
        "@id",
        "@reason(\"x\") @id",
        expect![[r#"
        policy any changed
        and back:
        policy any changed"#]],
    );
}

#[test]
fn a_difference_holds_what_was_and_what_is() {
    let mut files = FILES.to_vec();
    let before = house::load(&files);
    let policies = files.iter_mut().find(|(path, _)| *path == POLICIES).unwrap();
    let other = policies.1.replace("@id", "@reason(\"x\")\n@id");
    policies.1 = &other;
    let after = house::load(&files);
    let [changed] = before.compare(&after).try_into().unwrap();
    let (was, now) = (changed.before().unwrap(), changed.after().unwrap());
    assert!(!was.contains("@reason") && now.contains("@reason(\"x\")\n@id"), "{changed:?}");
    assert!(!changed.is_said_whole(), "a policy is more than its name");
}

#[test]
fn two_tests_of_one_name_do_not_hide_each_other() {
    let case = |action: &str| {
        format!(
            "- {{ name: same, principal: \"user:ada\", action: {action},\n    \
             resource: {{ type: Root, id: pay }}, expect: refuse }}\n"
        )
    };
    let mut files = FILES.to_vec();
    let before = format!("{}{}", case("file.read"), case("file.write"));
    let after = format!("{}{}", case("file.burn"), case("file.write"));
    files[4].1 = &before;
    let canon = house::load(&files);
    files[4].1 = &after;
    let lines: Vec<_> =
        canon.compare(&house::load(&files)).iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["test same changed"]);
}

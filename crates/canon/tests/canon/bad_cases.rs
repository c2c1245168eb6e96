//! What is said of the tests of a canon that are no cases.

use expect_test::{Expect, expect};

use crate::bad::check;
use crate::house::TESTS;

fn case(from: &str, to: &str, expected: Expect) {
    const CASE: &str = "\n- name: reads\n  principal: user:ada\n  action: file.read\n  \
        resource: { type: Root, id: pay }\n  context: {}\n  expect: permit\n  rule: any\n";
    assert!(CASE.contains(from), "{from}");
    check(TESTS, &CASE.replace(from, to), expected);
}

#[test]
fn tests_are_lists_of_cases() {
    case("permit", "permit", expect!["loaded"]);
    case(
        "rule:",
        "rules:",
        expect![[r#"
        tests/cases.yaml:8:10: a case has no `rules`
          hint: did you mean `rule`?"#]],
    );
    case(
        "rule:",
        "banana:",
        expect![[r#"
        tests/cases.yaml:8:11: a case has no `banana`
          hint: a case is {name, principal: "agent:clerk", action: file.write, resource: {type: Root, id: payments}, context: {…}, expect: permit}"#]],
    );
    case(
        "permit",
        "allow",
        expect![[r#"
        tests/cases.yaml:7:11: `allow` cannot be expected
          hint: use permit, forbid, refuse or approval"#]],
    );
    case(
        "  expect: permit\n",
        "",
        expect![[r#"
        tests/cases.yaml:2:3: the case has no `expect`
          hint: a case is {name, principal: "agent:clerk", action: file.write, resource: {type: Root, id: payments}, context: {…}, expect: permit}"#]],
    );
    case("user:ada", "7", expect!["tests/cases.yaml:3:14: `principal` must be text"]);
    case("reads", "\"\"", expect!["tests/cases.yaml:2:9: `name` must be text"]);
    case(
        ", id: pay",
        "",
        expect![[r#"
        tests/cases.yaml:5:13: the case has no `id`
          hint: a case is {name, principal: "agent:clerk", action: file.write, resource: {type: Root, id: payments}, context: {…}, expect: permit}"#]],
    );
    case(
        "context: {}",
        "context: []",
        expect!["tests/cases.yaml:6:12: `context` must be an object"],
    );
    case(
        "context: {}",
        "context: { cost: 1.5 }",
        expect![
            "tests/cases.yaml:6:20: `1.5` is not a whole number; write it as text or in minor units"
        ],
    );
}

#[test]
fn a_file_of_tests_is_a_list() {
    case(
        "- name",
        "  name",
        expect![[r#"
        tests/cases.yaml:2:3: expected a list of cases
          hint: a case is {name, principal: "agent:clerk", action: file.write, resource: {type: Root, id: payments}, context: {…}, expect: permit}"#]],
    );
    case(
        "- name: reads",
        "- name: reads\n  name: reads",
        expect!["tests/cases.yaml:3:3: the key `name` stands twice"],
    );
    check(
        TESTS,
        "- 7",
        expect![[r#"
        tests/cases.yaml:1:3: a case is an object
          hint: a case is {name, principal: "agent:clerk", action: file.write, resource: {type: Root, id: payments}, context: {…}, expect: permit}"#]],
    );
    check(TESTS, "", expect!["tests/cases.yaml: the file is empty"]);
    check(
        TESTS,
        "- [",
        expect!["tests/cases.yaml:2:1: while parsing a node, did not find expected node content"],
    );
    check(TESTS, "- &a [*a, *a]", expect!["tests/cases.yaml:1:3: anchors are not allowed"]);
}

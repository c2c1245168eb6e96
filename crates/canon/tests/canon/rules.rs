//! What a canon answers, case by case, and what it asks for.

use cog_canon::{Canon, Duty, Window};
use expect_test::{Expect, expect};

use crate::house::{self, FACTS, PAYING, PEOPLE, PLAIN, POLICIES, SCHEMA, SETTINGS, TESTS};

const GOOD: &str = r#"{"args":{"path":"x"},"dry":false}"#;
const WRITE: &str = "agent:clerk file.write Root pay";

fn check(policies: &str, question: &str, context: &str, expected: Expect) {
    let answer = house::ask(&house::paying(policies), question, &house::context(context));
    expected.assert_eq(&house::say(&answer));
}

const ANY: &str = r#"@id("any") permit (principal, action, resource);"#;

#[test]
fn nothing_is_permitted_by_default() {
    check("", WRITE, GOOD, expect!["no permit"]);
    check(
        r#"@id("other") permit (principal == Agent::"miner", action, resource);"#,
        WRITE,
        GOOD,
        expect!["no permit"],
    );
    check(ANY, WRITE, GOOD, expect!["permit | any"]);
}

#[test]
fn what_the_schema_does_not_know_is_refused() {
    check(
        ANY,
        "agent:clerk file.burn Root pay",
        GOOD,
        expect!["error | the schema has no action `file.burn`"],
    );
    check(
        ANY,
        "robot:r2 file.write Root pay",
        GOOD,
        expect!["error | the schema does not let `robot:r2` do file.write"],
    );
    check(
        ANY,
        "role:board file.write Root pay",
        GOOD,
        expect!["error | the schema does not let `role:board` do file.write"],
    );
    check(
        ANY,
        "clerk file.write Root pay",
        GOOD,
        expect!["error | the schema does not let `clerk` do file.write"],
    );
    check(
        ANY,
        "agent: file.write Root pay",
        GOOD,
        expect!["error | the schema does not let `agent:` do file.write"],
    );
    check(
        ANY,
        "agent:clerk file.write Host pay",
        GOOD,
        expect!["error | the schema does not let file.write be done to Host `pay`"],
    );
    check(
        ANY,
        "agent:clerk file.write root pay",
        GOOD,
        expect!["error | the schema does not let file.write be done to root `pay`"],
    );
    check(
        ANY,
        "agent:clerk file.write User ada",
        GOOD,
        expect!["error | the schema does not let file.write be done to User `ada`"],
    );
    check(
        ANY,
        "Agent:clerk file.write Root pay",
        GOOD,
        expect!["error | the schema does not let `Agent:clerk` do file.write"],
    );
    check(
        ANY,
        "agent:clerk File.Write Root pay",
        GOOD,
        expect!["error | the schema has no action `File.Write`"],
    );
}

#[test]
fn the_context_must_be_what_the_schema_declares() {
    check(ANY, WRITE, "{}", expect!["error | context.args is missing"]);
    check(ANY, WRITE, r#"{"args":{"path":"x"}}"#, expect!["error | context.dry is missing"]);
    check(
        ANY,
        WRITE,
        r#"{"args":{"path":"x"},"dry":null}"#,
        expect!["error | context.dry should be true or false, but is null"],
    );
    check(
        ANY,
        WRITE,
        r#"{"args":{"path":"x"},"dry":"no"}"#,
        expect!["error | context.dry should be true or false, but is string"],
    );
    check(
        ANY,
        WRITE,
        r#"{"args":[],"dry":true}"#,
        expect!["error | context.args should be an object, but is list"],
    );
    check(
        ANY,
        WRITE,
        r#"{"args":{"path":"x","document":{}},"dry":true}"#,
        expect!["error | context.args.document.amount_cents is missing"],
    );
    check(
        ANY,
        WRITE,
        r#"{"args":{"path":"x"},"dry":true,"tags":["a",7]}"#,
        expect!["error | context.tags should be a string, but is integer"],
    );
}

#[test]
fn what_the_schema_does_not_declare_is_not_looked_at() {
    check(
        ANY,
        WRITE,
        r#"{"args":{"path":"x","more":[{}]},"dry":true,"other":null}"#,
        expect!["permit | any"],
    );
    check(ANY, "agent:clerk file.read Root pay", r#"{"dry":7}"#, expect!["permit | any"]);
    check(ANY, "agent:stranger file.write Root unheard-of", GOOD, expect!["permit | any"]);
}

/// Overflows whenever it is evaluated.
const BROKEN: &str = r#"@id("broken") permit (principal, action == Action::"file.write", resource)
    when { context.args has document &&
      context.args.document.amount_cents + 9223372036854775807 > 0 };"#;
const PAID: &str = r#"{"args":{"path":"x","document":{"amount_cents":5}},"dry":false}"#;

#[test]
fn a_forbid_outweighs_a_permit_and_an_error_outweighs_both() {
    let no = r#"@id("no") @reason("r") forbid (principal, action, resource == Root::"pay");"#;
    check(&format!("{ANY}{no}"), WRITE, GOOD, expect!["forbid | no"]);
    check(
        &format!("{ANY}{no}"),
        "agent:clerk file.write Root notes",
        GOOD,
        expect!["permit | any"],
    );
    check(
        &format!("{ANY}{BROKEN}"),
        WRITE,
        PAID,
        expect![
            "error | broken | error while evaluating policy `broken`: integer overflow while attempting to add the values `5` and `9223372036854775807`"
        ],
    );
    check(
        &format!("{ANY}{BROKEN}{no}"),
        WRITE,
        PAID,
        expect![
            "error | broken | error while evaluating policy `broken`: integer overflow while attempting to add the values `5` and `9223372036854775807`"
        ],
    );
    check(&format!("{ANY}{BROKEN}"), WRITE, GOOD, expect!["permit | any"]);
    check(
        &format!("{ANY}{BROKEN}"),
        "agent:clerk file.read Root pay",
        PAID,
        expect!["permit | any"],
    );
}

#[test]
fn the_obligations_of_all_permits_add_up() {
    let policies = r#"
        @id("b") @limit("20 per run; sum args.document.amount_cents <= 900 per run")
        permit (principal, action, resource);
        @id("a") @approval("1 of role:finance") @redact("output.iban") @window("mon-fri 08:00-18:00")
        permit (principal, action, resource);
        @id("c") @limit("3 per run") permit (principal, action == Action::"file.read", resource);"#;
    check(
        policies,
        WRITE,
        GOOD,
        expect![
            "permit | a, b | a: approval by 1 of role:finance; a: without output.iban; a: only mon-fri 08:00-18:00 UTC; b: at most 20 per run; b: args.document.amount_cents at most 900 per run in sum"
        ],
    );
    let no = format!(r#"{policies} @id("no") forbid (principal, action, resource);"#);
    check(&no, WRITE, GOOD, expect!["forbid | no"]);
}

#[test]
fn a_note_says_what_people_are_told() {
    let policies = r#"@id("no") @reason("Not on Sundays.") @advice("Wait.")
        @control("SOC2:CC6.1, ISO27001:A.5.15,") forbid (principal, action, resource);"#;
    let answer = house::ask(&house::paying(policies), WRITE, &house::context(GOOD));
    let note = &answer.policies[0];
    assert_eq!(note.reason.as_deref(), Some("Not on Sundays."));
    assert_eq!(note.advice.as_deref(), Some("Wait."));
    assert_eq!(note.controls, ["SOC2:CC6.1", "ISO27001:A.5.15"]);
}

fn window(text: &str) -> Window {
    let policies = format!(r#"@id("w") @window("{text}") permit (principal, action, resource);"#);
    let answer = house::ask(&house::paying(&policies), WRITE, &house::context(GOOD));
    let Duty::Window(window) = &answer.obligations[0].duty else { panic!("{answer:?}") };
    window.clone()
}

/// The first and the last minute of each stretch inside, over a week from Monday.
fn stretches(text: &str) -> String {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let window = window(text);
    let said = |at: u16| {
        let (day, minute) = (at / 1440, at % 1440);
        format!("{} {:02}:{:02}", DAYS[usize::from(day)], minute / 60, minute % 60)
    };
    let inside = |at: u16| window.contains(u8::try_from(at / 1440).unwrap(), at % 1440);
    let week = 7 * 1440;
    let starts = (0..week).filter(|at| inside(*at) && (*at == 0 || !inside(at - 1)));
    let ends = (0..week).filter(|at| inside(*at) && (at + 1 == week || !inside(at + 1)));
    let pairs = starts.zip(ends).map(|(start, end)| format!("{}..{}", said(start), said(end)));
    pairs.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_window_is_open_from_its_start_to_just_before_its_end() {
    let check = |text, expected: Expect| expected.assert_eq(&stretches(text));
    check("mon 08:00-18:00", expect!["mon 08:00..mon 17:59"]);
    check(
        "tue-wed,sun 23:00-24:00",
        expect!["tue 23:00..tue 23:59, wed 23:00..wed 23:59, sun 23:00..sun 23:59"],
    );
    check(
        "sat-mon 00:00-00:01",
        expect!["mon 00:00..mon 00:00, sat 00:00..sat 00:00, sun 00:00..sun 00:00"],
    );
    check("sun 22:00-06:00", expect!["mon 00:00..mon 05:59, sun 22:00..sun 23:59"]);
    check("fri 18:00-08:00", expect!["fri 18:00..sat 07:59"]);
    check("mon-fri 00:00-24:00", expect!["mon 00:00..fri 23:59"]);
    check(
        "daily 12:00-11:59",
        expect![
            "mon 00:00..mon 11:58, mon 12:00..tue 11:58, tue 12:00..wed 11:58, wed 12:00..thu 11:58, thu 12:00..fri 11:58, fri 12:00..sat 11:58, sat 12:00..sun 11:58, sun 12:00..sun 23:59"
        ],
    );
}

fn tested(policies: &str, tests: &str) -> (Canon, String) {
    let canon = house::load(&[
        (SETTINGS, PLAIN),
        (SCHEMA, PAYING),
        (FACTS, PEOPLE),
        (POLICIES, policies),
        (TESTS, tests),
    ]);
    let report = canon.test();
    assert_eq!(report.is_good(), report.failed.is_empty());
    let failed: Vec<_> = report.failed.iter().map(ToString::to_string).collect();
    let said = format!("{} passed\n{}", report.passed, failed.join("\n"));
    (canon, said)
}

const CASES: &str = r#"
- { name: read, principal: "agent:clerk", action: file.read,
    resource: { type: Root, id: pay }, expect: permit, rule: read }
- { name: big, principal: "agent:clerk", action: file.write, resource: { type: Root, id: pay },
    context: { dry: false, args: { path: x, document: { amount_cents: 5 } } }, expect: approval }
- name: secret
  principal: user:ada
  action: file.write
  resource: { type: Root, id: secret }
  context: { dry: true, args: { path: x } }
  expect: forbid
- { name: secret too, principal: "user:ada", action: file.write,
    resource: { type: Root, id: secret }, context: { dry: true, args: { path: x } },
    expect: refuse }
- { name: odd, principal: "user:ada", action: file.write,
    resource: { type: Root, id: secret }, context: { args: { path: x } }, expect: refuse }
"#;

const TESTED: &str = r#"
@id("read") permit (principal, action == Action::"file.read", resource);
@id("write") @approval("1 of role:finance") permit (principal, action == Action::"file.write", resource);
@id("secret") @reason("It is secret.") forbid (principal, action, resource == Root::"secret");"#;

#[test]
fn the_tests_of_a_canon_hold_or_say_why_not() {
    let (_, said) = tested(TESTED, CASES);
    expect!["5 passed\n"].assert_eq(&said);
    let wrong = CASES
        .replace("rule: read", "rule: write")
        .replace("expect: approval", "expect: permit")
        .replace("expect: forbid", "expect: permit")
        .replace("expect: refuse", "expect: forbid");
    let (_, said) = tested(TESTED, &wrong);
    expect![[r#"
        1 passed
        tests/cases.yaml:2: read: expected permit by write, found permit by read
        tests/cases.yaml:4: big: expected permit, found approval by write
        tests/cases.yaml:6: secret: expected permit, found forbid by secret (It is secret.)
        tests/cases.yaml:15: odd: expected forbid, found refuse, as it cannot be evaluated (context.dry is missing)"#]].assert_eq(&said);
    let (_, said) = tested("", CASES);
    expect![[r#"
        2 passed
        tests/cases.yaml:2: read: expected permit by read, found refuse, as no policy permits it
        tests/cases.yaml:4: big: expected approval, found refuse, as no policy permits it
        tests/cases.yaml:6: secret: expected forbid, found refuse, as no policy permits it"#]]
    .assert_eq(&said);
    let (canon, said) = tested(TESTED, "[]");
    expect!["0 passed\n"].assert_eq(&said);
    assert!(canon.test().is_good(), "a canon without tests has none that fail");
}

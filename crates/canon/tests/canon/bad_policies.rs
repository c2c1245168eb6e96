//! What is said of policies that are no good.

use cog_canon::Canon;
use cog_canon::limits::ANNOTATION_MAX;
use expect_test::{Expect, expect};

use crate::bad;
use crate::house::{self, FACTS, PAYING, PEOPLE, PLAIN, POLICIES, SCHEMA, SETTINGS, TESTS};

fn check(text: &str, expected: Expect) {
    bad::check(POLICIES, text, expected);
}

/// A good policy, then one with this annotation.
pub(crate) fn annotated(annotation: &str, effect: &str, expected: Expect) {
    let text = format!(
        "@id(\"good\")\npermit (principal, action, resource);\n\n\
         @id(\"bad\")\n{annotation}\n{effect} (principal, action, resource);\n"
    );
    check(&text, expected);
}

#[test]
fn policies_are_cedar() {
    check(
        "permit (principal, action, resource)",
        expect![[r#"
        policies/main.cedar:1:37: unexpected end of input
          hint: expected `;` or identifier"#]],
    );
    check(
        "@id(\"a\")\npermit (principal, action, resource)\nwhen { context.dry = true };",
        expect![[r#"
            policies/main.cedar:3:8: '=' is not a valid operator in Cedar
              hint: try using '==' instead"#]],
    );
    check(
        "@id(\"a\")\nallow (principal, action, resource);",
        expect![[r#"
        policies/main.cedar:2:1: invalid policy effect: allow
          hint: effect must be either `permit` or `forbid`"#]],
    );
    check(
        "@id(\"a\") @id(\"b\")\npermit (principal, action, resource);",
        expect!["policies/main.cedar:1:10: duplicate annotation: @id"],
    );
    check(
        "@id(\"é\") permit (principal, action, resource); öops",
        expect!["policies/main.cedar:1:48: invalid token"],
    );
    check(
        "@id(\"a\") permit (principal == ?principal, action, resource);",
        expect![[r#"
        policies/main.cedar:1:1: a policy with `?principal` or `?resource` is a template
          hint: write a policy for each role instead: roles are entities in facts/"#]],
    );
    check(
        "@id(\"a\")\npermit (principal, action, resource) when { \"\u{202e}x\" == \"x\" };",
        expect![[
            r#"policies/main.cedar:2:45: for policy `a`, string `"<202e>x"` contains BIDI control characters"#
        ]],
    );
}

#[test]
fn policies_fit_the_schema() {
    let when = |condition: &str, expected: Expect| {
        let write = "@id(\"a\")\npermit (principal, action == Action::\"file.write\", resource)";
        check(&format!("{write}\nwhen {{ {condition} }};"), expected);
    };
    when(
        "context.amount > 7",
        expect![[r#"
        policies/main.cedar:3:8: for policy `a`, attribute `amount` in context for Action::"file.write" not found
          hint: did you mean `args`?"#]],
    );
    when(
        "context.tags.contains(\"x\")",
        expect![[r#"
        policies/main.cedar:3:8: for policy `a`, unable to guarantee safety of access to optional attribute `tags` in context for Action::"file.write"
          hint: try testing for the attribute's presence with `context has tags && ..`"#]],
    );
    when(
        "context.dry == \"yes\"",
        expect![[r#"
        policies/main.cedar:3:8: the types Bool and String are not compatible
          hint: for policy `a`, both operands to a `==` expression must have compatible types. Types must be exactly equal to be compatible"#]],
    );
    when(
        "context.args.path > 7",
        expect![
            "policies/main.cedar:3:8: for policy `a`, unexpected type: expected Long but saw String"
        ],
    );
    when(
        "principal in Roles::\"x\"",
        expect![[r#"
            policies/main.cedar:3:21: for policy `a`, unrecognized entity type `Roles`
              hint: did you mean `Role`?"#]],
    );
    when(
        "principal.level > 7",
        expect![
            "policies/main.cedar:3:8: for policy `a`, attribute `level` on entity type `Agent` not found"
        ],
    );
    check(
        "@id(\"a\")\npermit (principal, action == Action::\"file.writes\", resource);",
        expect![[r#"
            policies/main.cedar:2:30: for policy `a`, unrecognized action `Action::"file.writes"`
              hint: did you mean `Action::"file.write"`?"#]],
    );
    check(
        "@id(\"a\")\npermit (principal == Users::\"x\", action, resource);",
        expect![[r#"
            policies/main.cedar:2:22: for policy `a`, unrecognized entity type `Users`
              hint: did you mean `User`?"#]],
    );
}

/// What is odd about a canon, but for the attributes with which tests go beyond what effects have.
fn odd(canon: &Canon) -> String {
    let odd = canon.warnings().iter().filter(|it| !it.starts_with(SCHEMA));
    odd.map(String::as_str).collect::<Vec<_>>().join("\n")
}

#[test]
fn whom_the_facts_do_not_know_is_a_warning() {
    let warnings = |policy: &str| odd(&house::paying(policy));
    let forbid = "@id(\"a\") forbid (principal in Role::\"bord\", action, resource);";
    expect![[r#"
        policies/main.cedar:1:31: policy `a` names Role::"bord", which is not in the facts
          hint: did you mean Role::"board"?"#]]
    .assert_eq(&warnings(forbid));
    let when =
        "@id(\"a\") permit (principal, action, resource) when { principal == User::\"zoe\" };";
    expect![[r#"
        policies/main.cedar:1:67: policy `a` names User::"zoe", which is not in the facts
          hint: add it to facts/, or correct the name"#]]
    .assert_eq(&warnings(when));
    let known =
        "@id(\"a\") permit (principal in Role::\"board\", action, resource == Root::\"x\");";
    assert_eq!(warnings(known), "");
    let facts = PEOPLE.replace(
        "\"parents\": [] }\n]",
        "\"parents\": [{ \"type\": \"Role\", \"id\": \"ghosts\" }] }\n]",
    );
    let policy = "@id(\"a\") permit (principal, action, resource);";
    let canon =
        house::load(&[(SETTINGS, PLAIN), (SCHEMA, PAYING), (POLICIES, policy), (FACTS, &facts)]);
    expect![[r#"
        facts: Agent::"clerk" is in Role::"ghosts", which is not in the facts
          hint: add it to facts/, or correct the name"#]]
    .assert_eq(&odd(&canon));
}

#[test]
fn an_amount_that_no_effect_has_is_a_warning() {
    let warnings = |path: &str| {
        let settings =
            format!("{PLAIN}\n[envelope]\namount_max = 5\namount_paths = [\"{path}\"]\n");
        let files = [(SETTINGS, &*settings), (SCHEMA, PAYING), (FACTS, PEOPLE)];
        odd(&house::load(&files))
    };
    assert_eq!(warnings("args.document.amount_cents"), "");
    expect![[r#"
        canon.toml:11:18: no action of the schema has `args.document.amuont_cents` in its context
          hint: an effect without it counts as moving nothing; correct the path, or declare it"#]]
    .assert_eq(&warnings("args.document.amuont_cents"));
    expect![[r#"
        canon.toml:11:18: no action of the schema has `args.path.amount_cents` in its context
          hint: an effect without it counts as moving nothing; correct the path, or declare it"#]]
    .assert_eq(&warnings("args.path.amount_cents"));
}

#[test]
fn what_no_effect_has_in_its_context_is_a_warning() {
    let warnings = |from: &str, to: &str| {
        let schema = PAYING.replace("    dry: Bool,\n    tags?: Set<String>,\n", "");
        let schema = schema.replace(from, to);
        let files = [(SETTINGS, PLAIN), (SCHEMA, &*schema), (FACTS, PEOPLE)];
        house::load(&files).warnings().join("\n")
    };
    assert_eq!(warnings("args: { path", "cost_micros: Long, args: { path"), "");
    expect![[r#"
        schema.cedarschema:10:5: no `file.write` has `costs_micros` in its context
          hint: did you mean `cost_micros`? with it every one is refused"#]]
    .assert_eq(&warnings("args: { path", "costs_micros: Long, args: { path"));
    expect![[r#"
        schema.cedarschema:10:13: no `file.write` has `args.whom` in its context
          hint: take it out: a policy never finds it there. There are document, mode, path, root, text
        schema.cedarschema:10:28: no `file.write` has `args.paht` in its context
          hint: did you mean `args.path`? with it every one is refused"#]].assert_eq(&warnings("args: { path", "args: { whom?: String, paht: String, path"));
}

#[test]
fn a_policy_that_can_never_apply_is_a_warning() {
    let canon =
        house::paying("\n@id(\"a\") permit (principal == Role::\"board\", action, resource);");
    expect![[r#"
        policies/main.cedar:2:1: for policy `a`, policy is impossible: the policy expression evaluates to false for all valid requests
        policies/main.cedar:2:1: for policy `a`, unable to find an applicable action given the policy scope constraints
          hint: try replacing `==` with `in` in the principal clause"#]].assert_eq(&odd(&canon));
    assert!(odd(&house::paying("@id(\"a\") permit (principal, action, resource);")).is_empty());
}

#[test]
fn each_policy_has_an_id_of_its_own() {
    check(
        "@id(\"a\") permit (principal, action, resource);\n  permit (principal, action, resource);",
        expect![[r#"
            policies/main.cedar:2:3: the policy has no @id
              hint: give it a short unique name: @id("pay.small")"#]],
    );
    check(
        "\n@reason(\"x\")\npermit (principal, action, resource);",
        expect![[r#"
        policies/main.cedar:2:1: the policy has no @id
          hint: give it a short unique name: @id("pay.small")"#]],
    );
    check(
        "@id(\"a\")\npermit (principal, action, resource);\n@id(\"a\")\nforbid (principal, action, resource);",
        expect![[r#"
            policies/main.cedar:3:1: the id `a` is taken by policies/main.cedar
              hint: each policy has an @id of its own"#]],
    );
    check(
        "@id(\"\") permit (principal, action, resource);",
        expect![[r#"
            policies/main.cedar:1:1: `` is no good @id
              hint: use letters, digits, `.`, `-`, `_`, `:` and `/`, 128 at most"#]],
    );
    check(
        "@id(\"a b\") permit (principal, action, resource);",
        expect![[r#"
            policies/main.cedar:1:1: `a b` is no good @id
              hint: use letters, digits, `.`, `-`, `_`, `:` and `/`, 128 at most"#]],
    );
    check(
        "@id permit (principal, action, resource);",
        expect![[r#"
            policies/main.cedar:1:1: `` is no good @id
              hint: use letters, digits, `.`, `-`, `_`, `:` and `/`, 128 at most"#]],
    );
    check(
        &format!("@id(\"{}\") permit (principal, action, resource);", "a".repeat(129)),
        expect![[r#"
            policies/main.cedar:1:1: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is no good @id
              hint: use letters, digits, `.`, `-`, `_`, `:` and `/`, 128 at most"#]],
    );
    let files = [
        (SETTINGS, PLAIN),
        (SCHEMA, PAYING),
        (FACTS, PEOPLE),
        (POLICIES, "@id(\"a\") permit (principal, action, resource);"),
        ("policies/next.cedar", "\n\n  @id(\"a\") forbid (principal, action, resource);"),
    ];
    expect![[r#"
        policies/next.cedar:3:3: the id `a` is taken by policies/main.cedar
          hint: each policy has an @id of its own"#]]
    .assert_eq(&bad::said(&files));
}

#[test]
fn annotations_are_known() {
    annotated(
        "@aproval(\"1 of role:finance\")",
        "permit",
        expect![[r#"
        policies/main.cedar:5:1: unknown annotation `@aproval`
          hint: did you mean @approval?"#]],
    );
    annotated(
        "@reasn(\"x\")",
        "permit",
        expect![[r#"
        policies/main.cedar:5:1: unknown annotation `@reasn`
          hint: did you mean @reason?"#]],
    );
    annotated(
        "@banana(\"x\")",
        "permit",
        expect![[r#"
            policies/main.cedar:5:1: unknown annotation `@banana`
              hint: the annotations are @id, @reason, @advice, @control, @approval, @escalate, @limit, @redact, @window, @declassify"#]],
    );
    annotated(
        "@Id(\"x\")",
        "permit",
        expect![[r#"
        policies/main.cedar:5:1: unknown annotation `@Id`
          hint: did you mean @id?"#]],
    );
    annotated(
        &format!("@reason(\"{}\")", "x".repeat(ANNOTATION_MAX + 1)),
        "permit",
        expect!["policies/main.cedar:5:1: `@reason` is longer than 4096 characters"],
    );
}

#[test]
fn of_very_many_wrong_policies_the_first_is_named_without_going_through_all() {
    let wrong = |number: usize| {
        format!("@id(\"w{number}\") forbid (principal, action, resource) when {{ context.no }};\n")
    };
    let many: String = (0..15_000).map(wrong).collect();
    let few: String = (0..2).map(wrong).collect();
    let said = |policies: &str| {
        let others = [(SETTINGS, PLAIN), (SCHEMA, PAYING), (FACTS, PEOPLE), (TESTS, "[]")];
        bad::said(&others.into_iter().chain([(POLICIES, policies)]).collect::<Vec<_>>())
    };
    assert!(said(&few).contains("for policy `w0`"), "{}", said(&few));
    assert_eq!(said(&many), said(&few));
}

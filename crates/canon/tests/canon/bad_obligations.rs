//! What is said of obligations that are no good, or that nobody can meet.

use cog_canon::limits::OBLIGATIONS_MAX;
use expect_test::expect;

use crate::bad_policies::annotated;

#[test]
fn a_policy_that_forbids_asks_for_nothing() {
    annotated("@limit(\"1 per run\")", "permit", expect!["loaded"]);
    annotated(
        "@approval(\"1 of role:finance\")",
        "forbid",
        expect![[r#"
        policies/main.cedar:5:1: `@approval` stands on a policy that forbids
          hint: obligations bind what is permitted; put it on the permit policy"#]],
    );
    annotated(
        "@limit(\"1 per run\")",
        "forbid",
        expect![[r#"
        policies/main.cedar:5:1: `@limit` stands on a policy that forbids
          hint: obligations bind what is permitted; put it on the permit policy"#]],
    );
    annotated(
        "@redact(\"output.x\")",
        "forbid",
        expect![[r#"
        policies/main.cedar:5:1: `@redact` stands on a policy that forbids
          hint: obligations bind what is permitted; put it on the permit policy"#]],
    );
    annotated(
        "@window(\"daily 08:00-09:00\")",
        "forbid",
        expect![[r#"
        policies/main.cedar:5:1: `@window` stands on a policy that forbids
          hint: obligations bind what is permitted; put it on the permit policy"#]],
    );
    annotated(
        "@window(\"never\")",
        "forbid",
        expect![[r#"
        policies/main.cedar:5:1: `@window` stands on a policy that forbids
          hint: obligations bind what is permitted; put it on the permit policy"#]],
    );
}

#[test]
fn approvals_have_a_form() {
    annotated(
        "@approval(\"role:finance\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `role:finance` is not an approval like `1 of role:finance`"
        ],
    );
    annotated(
        "@approval(\"0 of role:finance\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `0 of role:finance` is not an approval like `1 of role:finance`"
        ],
    );
    annotated(
        "@approval(\"1 of finance\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `1 of finance` is not an approval like `1 of role:finance`"
        ],
    );
    annotated(
        "@approval(\"1 of agent:clerk\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `1 of agent:clerk` is not an approval like `1 of role:finance`"
        ],
    );
    annotated(
        "@approval(\"\")",
        "permit",
        expect!["policies/main.cedar:5:1: `` is not an approval like `1 of role:finance`"],
    );
}

#[test]
fn limits_have_a_form() {
    annotated(
        "@limit(\"many per run\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `many per run` is not a limit like `20 per run` or `sum args.amount <= 1000 per day`"
        ],
    );
    annotated(
        "@limit(\"x per day\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `x per day` is not a limit like `20 per run` or `sum args.amount <= 1000 per day`"
        ],
    );
    annotated(
        "@limit(\"sum args.x < 5 per run\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `sum args.x < 5 per run` is not a limit like `20 per run` or `sum args.amount <= 1000 per day`"
        ],
    );
    annotated(
        "@limit(\"sum  <= 5 per run\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `sum  <= 5 per run` is not a limit like `20 per run` or `sum args.amount <= 1000 per day`"
        ],
    );
    annotated(
        "@limit(\"1 per run;\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `` is not a limit like `20 per run` or `sum args.amount <= 1000 per day`"
        ],
    );
    annotated(
        "@limit(\"99999999999999999999 per run\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `99999999999999999999 per run` is not a limit like `20 per run` or `sum args.amount <= 1000 per day`"
        ],
    );
}

#[test]
fn redactions_have_a_form() {
    annotated(
        "@redact(\"iban\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `iban` is not a list of paths like `output.iban, output.tax_id`"
        ],
    );
    annotated(
        "@redact(\"output.iban,,output.x\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `output.iban,,output.x` is not a list of paths like `output.iban, output.tax_id`"
        ],
    );
    annotated(
        "@redact(\"output.\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `output.` is not a list of paths like `output.iban, output.tax_id`"
        ],
    );
}

#[test]
fn windows_have_a_form() {
    annotated(
        "@window(\"always\")",
        "permit",
        expect!["policies/main.cedar:5:1: `always` is not a window like mon-fri 08:00-18:00"],
    );
    annotated(
        "@window(\"mon 08:00-08:00\")",
        "permit",
        expect!["policies/main.cedar:5:1: `mon 08:00-08:00` is an empty window"],
    );
    annotated(
        "@window(\"mon 8:00-18:00\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `mon 8:00-18:00` is not a window like mon-fri 08:00-18:00"
        ],
    );
    annotated(
        "@window(\"mon-son 08:00-18:00\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: `mon-son 08:00-18:00` is not a window like mon-fri 08:00-18:00"
        ],
    );
    annotated(
        "@window(\"mon 24:00-01:00\")",
        "permit",
        expect!["policies/main.cedar:5:1: `mon 24:00-01:00` is an empty window"],
    );
}

#[test]
fn obligations_are_few() {
    let many = vec!["1 per run"; OBLIGATIONS_MAX + 1].join(";");
    annotated(
        &format!("@limit(\"{many}\")"),
        "permit",
        expect!["policies/main.cedar:5:1: 17 obligations in one annotation, most 16"],
    );
}

#[test]
fn somebody_must_be_able_to_give_an_approval() {
    annotated("@approval(\"2 of role:finance\")", "permit", expect!["loaded"]);
    annotated(
        "@approval(\"3 of role:finance\")",
        "permit",
        expect![[r#"
            policies/main.cedar:5:1: policy `bad` asks for approval by 3 of role:finance, which nobody can give
              hint: the facts have 2 such people: add them to facts/"#]],
    );
    annotated(
        "@approval(\"1 of role:nobody\")",
        "permit",
        expect![[r#"
            policies/main.cedar:5:1: policy `bad` asks for approval by 1 of role:nobody, which nobody can give
              hint: the facts have 0 such people: add them to facts/, or name a role that is there: role:board, role:finance"#]],
    );
    annotated(
        "@approval(\"1 of user:ghost\")",
        "permit",
        expect![[r#"
            policies/main.cedar:5:1: policy `bad` asks for approval by 1 of user:ghost, which nobody can give
              hint: the facts have 0 such people: add them to facts/, or name a role that is there: role:board, role:finance"#]],
    );
    annotated("@approval(\"2 of user:ada, role:finance\")", "permit", expect!["loaded"]);
    annotated(
        "@approval(\"2 of user:ada, user:ada\")",
        "permit",
        expect![[r#"
            policies/main.cedar:5:1: policy `bad` asks for approval by 2 of user:ada, user:ada, which nobody can give
              hint: the facts have 1 such people: add them to facts/"#]],
    );
}

#[test]
fn a_limit_counts_in_a_run_or_in_a_period() {
    annotated("@limit(\"20 per day; sum args.x <= 5 per month\")", "permit", expect!["loaded"]);
    annotated(
        "@limit(\"20 per daay\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: nothing is counted `per daay`: write per run, hour, day, week, month; did you mean `per day`?"
        ],
    );
    annotated(
        "@limit(\"20 per year\")",
        "permit",
        expect![
            "policies/main.cedar:5:1: nothing is counted `per year`: write per run, hour, day, week, month"
        ],
    );
}

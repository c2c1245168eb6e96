//! Ways out of a refusal in words, and the bound of the search for them.

use cog_canon::limits::EVALUATIONS_MAX;
use cog_canon::{Canon, Flip, Request, WaysOut};
use expect_test::expect;

use crate::house;

const WRITE: &str = "action == Action::\"file.write\"";
const CENTS: &str = "context.args has document && context.args.document.amount_cents";
const TWELVE: &str =
    r#"{"args":{"path":"x","document":{"amount_cents":1200,"country":"KP"}},"dry":false}"#;

/// What is said of the refusal of a payment, one way out a line.
fn said(policies: &str, context: &str) -> String {
    let canon = house::paying(&policies.replace(", action, ", &format!(", {WRITE}, ")));
    let context = house::context(context);
    let (principal, action) = ("agent:clerk", "file.write");
    let request = Request { principal, action, resource: ("Root", "pay"), context: &context };
    let flips = canon.ways_out(&request).flips;
    flips.iter().map(Flip::describe).collect::<Vec<_>>().join("\n")
}

#[test]
fn flips_are_said_in_words() {
    let small =
        format!("@id(\"a\") permit (principal, action, resource) when {{ {CENTS} <= 1000 }};");
    expect!["if args.document.amount_cents were at most 1000 (it is 1200)"]
        .assert_eq(&said(&small, TWELVE));
    let exact = small.replace("<= 1000", "== 1000");
    expect!["if args.document.amount_cents were 1000 (it is 1200)"]
        .assert_eq(&said(&exact, TWELVE));
    let board = small
        .replace("@id", "@approval(\"1 of role:board\") @id")
        .replace("<=", "< 2 * ")
        .replace("1000", "300");
    expect!["if args.document.amount_cents were at most 599 (it is 1200), with the approval of 1 of role:board"]
        .assert_eq(&said(&board, TWELVE));
    let two = small.replace("<= 1000", "<= 1000 && context.dry");
    expect!["if dry were true (it is false) and args.document.amount_cents were at most 1000 (it is 1200)"]
        .assert_eq(&said(&two, TWELVE));
    let country = "@id(\"a\") permit (principal, action, resource);
        @id(\"b\") forbid (principal, action, resource) when { context.args has document &&
          context.args.document has country && [\"KP\", \"IR\"].contains(context.args.document.country) };";
    expect!["if args.document.country were another (it is `KP`)"].assert_eq(&said(country, TWELVE));
    let other = "@id(\"a\") permit (principal == Agent::\"miner\", action, resource);
        @id(\"b\") permit (principal, action, resource == Root::\"notes\");";
    expect![[r#"
        if it were about Root `notes` (it is about `pay`)
        if agent:miner asked for it (it is agent:clerk)"#]]
    .assert_eq(&said(other, TWELVE));
}

#[test]
fn texts_of_which_each_would_do_are_named_as_one_way_out() {
    let known = |names: &str| {
        format!(
            "@id(\"a\") permit (principal, action, resource) when {{ context.args has document &&
               context.args.document has country && [{names}].contains(context.args.document.country) }};"
        )
    };
    expect![
        "if args.document.country were one of `AT`, `BE`, `CH`, `DE`, `FR`, `IT`, `NL` (it is `KP`)"
    ]
    .assert_eq(&said(&known(r#""DE", "AT", "CH", "FR", "IT", "NL", "BE""#), TWELVE));
    let many: Vec<_> = ('A'..='Z').map(|letter| format!("\"{letter}X\"")).collect();
    expect![
        "if args.document.country were one of `AX`, `BX`, `CX`, `DX`, `EX` or others (it is `KP`)"
    ]
    .assert_eq(&said(&known(&many.join(", ")), TWELVE));
    let asked = known(r#""DE", "AT""#)
        + "@id(\"b\") @approval(\"1 of role:board\") permit (principal, action, resource) when {
          context.args has document && context.args.document has country &&
          context.args.document.country == \"DE\" };";
    expect![[r#"
        if args.document.country were `AT` (it is `KP`)
        if args.document.country were `DE` (it is `KP`), with the approval of 1 of role:board"#]]
    .assert_eq(&said(&asked, TWELVE));
}

/// Who owes nobody anything pays nobody: only what makes sense is named.
#[test]
fn an_amount_below_nothing_is_no_way_out() {
    let less = format!("@id(\"a\") permit (principal, action, resource) when {{ {CENTS} < 0 }};");
    expect![""].assert_eq(&said(&less, TWELVE));
    let after_fees = less.replace("< 0", "+ 1300 <= 1000");
    expect![""].assert_eq(&said(&after_fees, TWELVE));
    let nothing = less.replace("< 0", "<= 0");
    expect!["if args.document.amount_cents were at most 0 (it is 1200)"]
        .assert_eq(&said(&nothing, TWELVE));
    let small = less.replace("< 0", "<= 1000");
    let refund = TWELVE.replace("1200", "-5");
    let positive = small.replace("};", &format!("&& {CENTS} > 0 }};"));
    expect!["if args.document.amount_cents were at least 1 (it is -5)"]
        .assert_eq(&said(&positive, &refund));
    let above_debts = less.replace("< 0", "> -3");
    expect!["if args.document.amount_cents were at least 0 (it is -5)"]
        .assert_eq(&said(&above_debts, &refund));
}

#[test]
fn nothing_is_found_where_nothing_helps() {
    expect![""].assert_eq(&said("@id(\"a\") forbid (principal, action, resource);", TWELVE));
    expect![""].assert_eq(&said("", TWELVE));
    let nonsense = said("@id(\"a\") permit (principal, action, resource);", r#"{"dry":true}"#);
    expect![""].assert_eq(&nonsense);
}

/// Each policy is about one of the numbers and one of the texts: together too many to try.
fn large() -> Canon {
    let policy = |number: usize| {
        format!(
        "@id(\"p{number}\") permit (principal, action == Action::\"file.write\", resource == Root::\"r{}\")
         when {{ {CENTS} == {} && context.args.path == \"f{number}\" && context.dry }};",
        number % 40, 1_000_000 + 7 * number,
    )
    };
    house::paying(&(0..2_000).map(policy).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_search_that_is_cut_short_says_so() {
    let (canon, context) = (large(), house::context(TWELVE));
    let (principal, action) = ("agent:clerk", "file.write");
    let request = Request { principal, action, resource: ("Root", "r7"), context: &context };
    let found = canon.ways_out(&request);
    assert_eq!(found.flips, [], "three changes are needed");
    assert!(found.cut && found.evaluations <= EVALUATIONS_MAX, "{found:?}");
    assert_eq!(found, canon.ways_out(&request), "always the same");
}

#[test]
fn a_search_for_what_is_near_is_short_however_many_policies_there_are() {
    let (canon, mut near) = (large(), house::context(TWELVE));
    near.insert("dry".into(), true.into());
    let args = house::context(r#"{"path":"f7","document":{"amount_cents":1000048}}"#);
    near.insert("args".into(), args.into());
    let (principal, action) = ("agent:clerk", "file.write");
    let request = Request { principal, action, resource: ("Root", "r7"), context: &near };
    let found = canon.ways_out(&request);
    let words: Vec<_> = found.flips.iter().map(Flip::describe).collect();
    assert_eq!(words, ["if args.document.amount_cents were 1000049 (it is 1000048)"]);
    assert!(!found.cut, "{found:?}");
    expect!["93"].assert_eq(&found.evaluations.to_string());
}

/// What forbids it reads nothing that could be changed, or nothing permits it: to see that
/// takes no search.
#[test]
fn a_hopeless_search_is_not_begun() {
    let hopeless = "@id(\"never\") forbid (principal, action, resource);
        @id(\"a\") permit (principal, action, resource) when { context.dry };";
    for policies in ["", hopeless] {
        let canon = house::paying(&policies.replace(", action, ", &format!(", {WRITE}, ")));
        let context = house::context(TWELVE);
        let (principal, action) = ("agent:clerk", "file.write");
        let request = Request { principal, action, resource: ("Root", "pay"), context: &context };
        let expected = WaysOut { flips: Vec::new(), cut: false, evaluations: 1 };
        assert_eq!(canon.ways_out(&request), expected);
    }
}

#[test]
fn a_condition_that_is_nested_deep_is_searched_as_well() {
    let deep = vec!["context.dry"; 300].join(" && ");
    let deep = format!(
        "@id(\"a\") permit (principal, action, resource)
           when {{ {CENTS} <= 1000 && {deep} }};"
    );
    let dry = TWELVE.replace("false", "true");
    expect!["if args.document.amount_cents were at most 1000 (it is 1200)"]
        .assert_eq(&said(&deep, &dry));
}

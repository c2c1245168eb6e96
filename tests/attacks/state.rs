//! The state of the house: tenant, run, actor, clock and canon.

use cog_base::Digest;
use cog_base::id::RunId;
use cog_canon::{Canon, Source};
use cog_gate::snapshot::TenantStatus;
use cog_ledger::Kind;

use crate::house::{CLERK, House, actor, ample, canon_but, get, noon, pay, read};

fn check(change: impl FnOnce(&mut House), expected: &str) {
    let mut house = House::new();
    change(&mut house);
    assert_eq!(house.answer(CLERK, read("invoices", "acme.txt")), expected);
    assert_eq!(house.count(Kind::Receipt), 0);
    assert_eq!(house.count(Kind::Denial), 1);
}

#[test]
fn owasp_asi10_a_suspended_tenant_does_nothing_more() {
    check(|house| house.status = TenantStatus::Suspended, "refused tenant tenant.suspended");
}

#[test]
fn a_tenant_that_nobody_knows_does_nothing() {
    check(|house| house.status = TenantStatus::Unknown, "refused tenant tenant.unknown");
}

#[test]
fn a_run_that_is_not_open_does_nothing() {
    check(
        |house| house.origin.session = RunId::new(noon(), &mut house.entropy).unwrap(),
        "refused tenant tenant.unknown",
    );
}

#[test]
fn a_run_that_is_closed_does_nothing_more() {
    check(|house| house.gate.close_session(house.origin.session), "refused tenant tenant.unknown");
}

#[test]
fn owasp_asi03_an_actor_that_the_canon_does_not_know_does_nothing() {
    let mut house = House::new();
    for who in ["agent:stranger", "service:clerk", "agent:Clerk"] {
        let cog_gate::Answer::Refused(refusal) = house.ask(who, read("invoices", "a")) else {
            panic!("{who} is let in")
        };
        assert_eq!(refusal.code, "identity.unknown", "{who}");
    }
}

#[test]
fn owasp_asi03_a_workflow_acts_as_nobody_who_did_not_begin_the_run() {
    let mut house = House::new();
    for who in ["user:cfo", "user:bob", "user:clerk"] {
        let cog_gate::Answer::Refused(refusal) = house.ask(who, read("invoices", "a")) else {
            panic!("{who} is let in")
        };
        assert_eq!(refusal.code, "identity.another_person", "{who}");
    }
    assert_eq!(house.answer("user:ada", read("invoices", "a")), "permitted");
}

#[test]
fn owasp_asi09_nobody_is_asked_for_what_nobody_could_agree_to() {
    let mut house = House::new();
    let begun_by = |house: &mut House, who: &str| {
        house.origin.initiator = actor(who);
        house.answer(CLERK, pay("acme", 200_000))
    };
    let alone = canon_but("2 of role:finance", "2 of user:bob, user:cfo");
    let mut small = House::with(alone, ample());
    assert_eq!(begun_by(&mut small, "user:bob"), "refused approval approval.nobody");
    assert!(begun_by(&mut small, "user:ada").starts_with("asks 2"));
    assert!(begun_by(&mut house, "user:ada").starts_with("asks 2"));
}

#[test]
fn a_name_with_anything_but_plain_letters_is_no_actor() {
    for who in [
        "user:",
        "key:clerk",
        "role:finance",
        "agent:a\"b",
        "agent:a b",
        "agent:a\n",
        "Agent:clerk",
        "x",
    ] {
        assert!(who.parse::<cog_gate::Actor>().is_err(), "{who:?}");
    }
}

#[test]
fn without_a_canon_everything_is_refused() {
    check(
        |house| (house.canon, house.in_force) = (None, None),
        "refused identity identity.unknown",
    );
    let mut house = House::new();
    (house.canon, house.in_force) = (None, None);
    let cog_gate::Answer::Refused(refusal) = house.ask(CLERK, read("invoices", "a")) else {
        panic!("allowed")
    };
    let codes: Vec<_> = refusal.decision.checks.iter().map(|check| check.code).collect();
    assert!(codes.contains(&"canon.missing"), "{codes:?}");
}

#[test]
fn a_canon_that_is_not_in_force_decides_nothing() {
    check(
        |house| {
            house.canon = Some(canon_but("amount_max = 1_000_000", "amount_max = 9_000_000").into())
        },
        "refused freshness freshness.canon_changed",
    );
    check(
        |house| house.in_force = Some(Digest::of(&[b"another"])),
        "refused freshness freshness.canon_changed",
    );
    check(|house| house.in_force = None, "refused freshness freshness.canon_changed");
}

#[test]
fn a_canon_that_does_not_load_is_no_canon() {
    let load = |policies: &str| {
        let files = [
            (
                "canon.toml",
                "name = \"a\"\ndomain = \"a\"\n[change]\napprovals = 1\napprovers = [\"user:a\"]\n",
            ),
            (
                "schema.cedarschema",
                "entity User; entity Root; action \"file.read\" appliesTo { principal: [User], resource: [Root] };",
            ),
            ("facts/a.json", r#"[{"uid":{"type":"User","id":"a"},"attrs":{},"parents":[]}]"#),
            ("policies/a.cedar", policies),
        ];
        Canon::load(&Source::new(
            files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())),
        ))
    };
    assert!(load("@id(\"a\") permit (principal, action, resource);").is_ok());
    for broken in [
        "@id(\"a\") permit (principal, action, resource)",
        "permit (principal, action, resource);",
        "@id(\"a\") @approvel(\"1 of user:a\") permit (principal, action, resource);",
        "@id(\"a\") @limit(\"many\") permit (principal, action, resource);",
        "@id(\"a\") @approval(\"1 of role:nobody\") permit (principal, action, resource);",
        "@id(\"a\") permit (principal, action, resource) when { context.nowhere };",
    ] {
        assert!(load(broken).is_err(), "{broken}");
    }
}

#[test]
fn a_policy_that_cannot_be_evaluated_refuses_although_another_permits() {
    let mut house = House::new();
    assert_eq!(house.answer(CLERK, read("invoices", "a")), "permitted");
    assert_eq!(house.answer(CLERK, read("broken", "a")), "refused canon canon.error");
    let denial = house.entries().into_iter().rfind(|entry| entry.kind() == Kind::Denial).unwrap();
    assert_eq!(denial.text("rule"), Some("read.broken"));
}

#[test]
fn a_clock_far_behind_the_ledger_allows_nothing() {
    check(
        |house| {
            house.now = noon().plus_ms(60_000);
            house.record(house.draft(
                Kind::Evidence,
                CLERK,
                [("source", "test".into()), ("digest", Digest::of(&[]).into())],
            ));
            house.now = noon().plus_ms(54_999);
        },
        "refused freshness freshness.clock_behind",
    );
}

#[test]
fn control_a_clock_a_little_behind_the_ledger_decides_at_the_ledgers_time() {
    let mut house = House::new();
    house.now = noon().plus_ms(60_000);
    house.answer(CLERK, pay("acme", 1));
    house.now = noon().plus_ms(55_000);
    assert_eq!(house.answer(CLERK, get("https://api.example.com/")), "permitted");
    let times: Vec<_> = house.entries().iter().map(|entry| entry.at()).collect();
    assert!(times.is_sorted());
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn at_the_wrong_time_of_the_week_nothing_runs() {
    let mut house = House::new();
    let sort = || crate::house::effect("process.run", r#"{"program":"sort"}"#);
    assert_eq!(house.answer(CLERK, sort()), "permitted");
    house.now = house.now.plus_ms(6 * 3_600_000);
    assert_eq!(house.answer(CLERK, sort()), "refused canon canon.window");
    house.now = house.now.plus_ms(4 * 24 * 3_600_000 - 6 * 3_600_000);
    assert_eq!(house.answer(CLERK, sort()), "refused canon canon.window");
}

//! The table of decisions: for each case the checks that do not pass, as
//! `check outcome code`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cog_base::Micros;
use cog_gate::decision::{Decision, Outcome, decide};
use cog_gate::explain::{reason, ways_out};
use cog_gate::snapshot::{Snapshot, TenantStatus};
use cog_gate::{AnyEffect, Effect, Gate, Intent, Limits, Question, World};
use expect_test::{Expect, expect};

use crate::house::{CLERK, House, actor, ample, canon_but, chat, effect, get, pay, read};

/// What the gate would say about an effect in a house, with everything it read.
pub(crate) fn preview(house: &mut House, who: &str, effect: &AnyEffect) -> (Intent, Snapshot) {
    let ledger_at = house.ledger_at();
    let canon = house.canon.as_deref();
    let world = World {
        now: house.now,
        ledger_at,
        tenant: house.status,
        canon: house.canon.as_ref(),
        in_force: house.in_force,
    };
    let question = Question {
        origin: &house.origin,
        step: house.step,
        actor: actor(who),
        effect: effect.clone(),
        subject: None,
        sources: house.sources.clone(),
    };
    let intent = Gate::intent(&question, canon);
    let snapshot = house.gate.snapshot(&intent, &effect.footprint(), &world);
    assert_eq!(house.gate.preview(&question, &world), decide(&intent, &snapshot, canon));
    (intent, snapshot)
}

/// One line for each check that does not pass; the verdict when all do.
fn lines(decision: &Decision) -> String {
    let mut lines = String::new();
    for check in decision.checks.iter().filter(|check| check.outcome != Outcome::Pass) {
        writeln!(lines, "{} {} {}", check.name.word(), check.outcome.word(), check.code).unwrap();
    }
    if lines.is_empty() { format!("{}\n", decision.verdict.word()) } else { lines }
}

fn check_in(house: &mut House, who: &str, effect: impl Into<AnyEffect>, expected: Expect) {
    let (intent, snapshot) = preview(house, who, &effect.into());
    expected.assert_eq(&lines(&decide(&intent, &snapshot, house.canon.as_deref())));
}

fn check(who: &str, effect: impl Into<AnyEffect>, expected: Expect) {
    check_in(&mut House::new(), who, effect, expected);
}

#[test]
fn what_policies_permit_passes_every_check() {
    check(
        CLERK,
        read("invoices", "acme.txt"),
        expect![[r#"
        allow
    "#]],
    );
    check(
        CLERK,
        pay("acme", 100_000),
        expect![[r#"
        allow
    "#]],
    );
    check(
        CLERK,
        chat("read this", 100),
        expect![[r#"
        allow
    "#]],
    );
    check(
        CLERK,
        get("https://api.example.com/rates"),
        expect![[r#"
        allow
    "#]],
    );
    check(
        CLERK,
        effect("process.run", r#"{"program":"sort","root":"notes"}"#),
        expect![[r#"
        allow
    "#]],
    );
}

#[test]
fn a_refusal_names_each_check_that_says_no() {
    let cases: [(&str, AnyEffect); 10] = [
        ("agent:stranger", read("invoices", "a").into()),
        (CLERK, read("broken", "a").into()),
        (CLERK, read("secrets", "a").into()),
        (CLERK, effect("file.delete", r#"{"root":"invoices","path":"../a"}"#)),
        (CLERK, effect("file.write", r#"{"root":"payments","path":"a","text":""}"#)),
        (CLERK, pay("acme", 1_000_001).into()),
        (CLERK, get("https://evil.example/").into()),
        (CLERK, effect("process.run", r#"{"program":"sh","root":"invoices"}"#)),
        (CLERK, effect("process.run", r#"{"program":"sort","network":true}"#)),
        (CLERK, effect("model.chat", r#"{"model":"oracle","messages":[]}"#)),
    ];
    let mut house = House::new();
    let mut table = String::new();
    for (who, effect) in cases {
        let (intent, snapshot) = preview(&mut house, who, &effect);
        let said = lines(&decide(&intent, &snapshot, house.canon.as_deref()));
        writeln!(table, "{who} {} {}", intent.action(), intent.resource_text()).unwrap();
        said.lines().for_each(|line| writeln!(table, "  {line}").unwrap());
    }
    expect![[r#"
        agent:stranger file.read Root::"invoices"
          identity fail identity.unknown
        agent:clerk file.read Root::"broken"
          canon fail canon.error
        agent:clerk file.read Root::"secrets"
          confinement fail root.undeclared
        agent:clerk file.delete Root::"invoices"
          confinement fail root.read_only
          approval approval approval.needed
        agent:clerk file.write Root::"payments"
          canon fail canon.no_permit
        agent:clerk file.write Root::"payments"
          approval approval approval.needed
          envelope fail envelope.amount
        agent:clerk http.request Host::"evil.example"
          confinement fail host.not_allowed
        agent:clerk process.run Program::"sh"
          confinement fail program.not_allowed
        agent:clerk process.run Program::"sort"
          confinement fail program.network_not_allowed
          canon fail canon.no_permit
        agent:clerk model.chat Model::"oracle"
          confinement fail model.unknown
    "#]]
    .assert_eq(&table);
}

#[test]
fn consent_is_asked_for_only_when_nothing_else_stands_against_it() {
    check(
        CLERK,
        pay("acme", 100_001),
        expect![[r#"
        approval approval approval.needed
    "#]],
    );
    check(
        "agent:stranger",
        pay("acme", 100_001),
        expect![[r#"
        identity fail identity.unknown
        approval approval approval.needed
    "#]],
    );
}

#[test]
fn the_state_of_the_house_counts() {
    let mut house = House::new();
    house.status = TenantStatus::Suspended;
    check_in(
        &mut house,
        CLERK,
        read("invoices", "a"),
        expect![[r#"
        tenant fail tenant.suspended
    "#]],
    );
    house.status = TenantStatus::Active;
    house.canon = None;
    check_in(
        &mut house,
        CLERK,
        read("invoices", "a"),
        expect![[r#"
        identity fail identity.unknown
        canon fail canon.missing
        envelope fail envelope.unknown
        freshness fail freshness.canon_changed
    "#]],
    );
    house.in_force = None;
    check_in(
        &mut house,
        CLERK,
        read("invoices", "a"),
        expect![[r#"
        identity fail identity.unknown
        canon fail canon.missing
        envelope fail envelope.unknown
    "#]],
    );
    let mut poor = House::with(
        canon_but("\"wait\"", "\"refuse\""),
        Limits { cost: Some(cog_base::Micros::new(10)), effects: Some(1), ..ample() },
    );
    check_in(
        &mut poor,
        CLERK,
        chat("hello", 100),
        expect![[r#"
        budget fail budget.exceeded
    "#]],
    );
    let _open = poor.clear(pay("acme", 1));
    check_in(
        &mut poor,
        CLERK,
        pay("acme", 1),
        expect![[r#"
        quota fail quota.exceeded
        interference fail interference.conflict
    "#]],
    );
}

#[test]
fn the_reason_and_the_way_out_are_said_in_words() {
    let mut house = House::new();
    let mut words = |effect: AnyEffect| {
        let (intent, snapshot) = preview(&mut house, CLERK, &effect);
        let canon = house.canon.as_deref();
        let decision = decide(&intent, &snapshot, canon);
        let ways_out = ways_out(&intent, &snapshot, canon, &decision, &|_| None).flips.join("\n");
        format!("{}\n{ways_out}", reason(&decision, &intent))
    };
    expect![[r#"
        The root `invoices` may only be read.
        if the workflow declared the root `invoices` with access: write, and if the path stayed inside the root `invoices`, with the approval of 1 of role:finance"#]].assert_eq(&words(effect("file.delete", r#"{"root":"invoices","path":"../x"}"#)));
    expect![[r#"
        The canon does not list the host `evil.example`.
        if the canon listed the host `evil.example`"#]]
    .assert_eq(&words(get("https://evil.example/").into()));
    expect![[r#"
        The run would move 1000001 (10000.01) in all, more than the 1000000 (10000.00) it may, in minor units (as cents).
        if args.document.amount_cents were at most 1000000 (it is 1000001), with the approval of 2 of role:finance"#]]
    .assert_eq(&words(pay("acme", 1_000_001).into()));
}

#[test]
fn every_check_is_made_and_stands_in_the_trace_in_order() {
    let mut house = House::new();
    let (intent, snapshot) =
        preview(&mut house, "agent:stranger", &get("https://evil.example/").into());
    let decision = decide(&intent, &snapshot, house.canon.as_deref());
    let names: Vec<_> = decision.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, cog_gate::decision::CheckName::ALL);
}

#[test]
fn the_canon_knows_the_effects_that_there_are() {
    let mut ours = cog_gate::AnyEffect::ACTIONS.to_vec();
    ours.sort_unstable();
    assert_eq!(ours, cog_canon::EFFECTS);
}

/// An event with all that policies see of one.
const EVENT: &str = r#"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\"subject\":\"r\",\"time\":\"2026-11-24T12:00:00Z\",\"data\":{\"status\":\"done\"}}"#;

/// A schema is held against these names, so that one that no effect has is told.
#[test]
fn the_canon_knows_what_the_context_of_each_effect_has() {
    let place = r#""root":"notes","path":"a""#;
    let all = [
        ("file.read", format!("{{{place}}}")),
        ("file.delete", format!("{{{place}}}")),
        ("file.write", format!(r#"{{{place},"text":"a"}}"#)),
        ("file.write", format!(r#"{{{place},"document":{{}}}}"#)),
        ("http.request", r#"{"method":"POST","url":"https://a.example/","body":"a"}"#.to_owned()),
        ("http.request", r#"{"method":"POST","url":"https://a.example/","json":1}"#.to_owned()),
        ("process.run", r#"{"program":"sort","root":"notes","stdin":"a"}"#.to_owned()),
        ("model.chat", r#"{"model":"reader","messages":[]}"#.to_owned()),
        ("session.accept", format!(r#"{{"event":"{EVENT}","proof":"p","key":"k"}}"#)),
    ];
    let house = House::new();
    let mut args: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (action, given) in &all {
        let effect = effect(action, given);
        let intent = Intent::new(&house.origin, "s", actor(CLERK), &effect, Micros::ZERO, "low");
        assert!(intent.context().keys().eq(cog_canon::CONTEXT), "{action}");
        let own = intent.context().get("args").unwrap().as_map().unwrap().keys().cloned();
        args.entry(action).or_default().extend(own);
    }
    // Policies see the arguments of a program as one text besides.
    args.entry("process.run").or_default().insert("line".into());
    for (action, args) in &args {
        assert!(args.iter().eq(cog_canon::arguments(action)), "{action}: {args:?}");
    }
    assert!(args.keys().eq(&cog_canon::EFFECTS));
}

#[test]
fn a_workflow_acts_as_no_person_but_who_began_the_run() {
    let verdict = |initiator: &str| {
        let mut house = House::new();
        house.origin.initiator = initiator.parse().unwrap();
        let (intent, snapshot) =
            preview(&mut house, "user:cfo", &get("https://api.example.com/").into());
        let decision = decide(&intent, &snapshot, house.canon.as_deref());
        decision.failed().map(|check| check.code)
    };
    assert_eq!(verdict("user:mallory"), Some("identity.another_person"));
    assert_eq!(verdict("agent:clerk"), Some("identity.another_person"));
    assert_ne!(verdict("user:cfo"), Some("identity.another_person"));
}

//! What all runs of a domain do together in a period: it is counted over runs, kept over restarts,
//! and said in words.

use cog_base::id::RunId;
use cog_base::{Period, Timestamp, Value};
use cog_canon::Canon;
use cog_gate::decision::{decide, read_record};
use cog_gate::{Answer, AnyEffect, Gate};
use cog_ledger::Kind;
use expect_test::expect;

use crate::house::{CLERK, House, ample, canon_with, chat, noon, pay, read};

const BOUNDS: &str = "\n[envelope.per_day]\namount_max = 1_000\n";

/// The canon of the house with `bounds` at the end of its settings, and `limit` on small payments.
fn counting(bounds: &str, limit: &str) -> Canon {
    canon_with(|path, text| match path {
        "canon.toml" => format!("{text}{bounds}"),
        "policies/effects.cedar" => text.replace("3 per run;", limit),
        _ => text.to_owned(),
    })
}

fn house(bounds: &str, limit: &str) -> House {
    House::with(counting(bounds, limit), ample())
}

/// Another run of the same domain goes on.
fn another_run(house: &mut House) {
    house.origin.session = RunId::new(house.now, &mut house.entropy).unwrap();
    let nothing = Value::from(cog_base::Digest::of(&[]));
    let started = [
        ("workflow", Value::from(house.origin.workflow.as_str())),
        ("definition", nothing.clone()),
        ("inputs", nothing),
        ("roots", Value::map([] as [(&str, Value); 0])),
        ("initiator", house.origin.initiator.as_str().into()),
    ];
    let draft = house.draft(Kind::SessionStarted, "user:ada", started);
    house.record(draft);
    house.gate.open_session(house.origin.tenant, house.origin.session, ample());
}

/// Everything in memory is gone; what the entries say is counted again.
fn restart(house: &mut House) {
    house.gate = Gate::default();
    for entry in house.entries() {
        house.gate.recall(&entry);
    }
    another_run(house);
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The reason and the ways out of a refusal.
fn refusal(house: &mut House, effect: impl Into<AnyEffect>) -> String {
    let Answer::Refused(refusal) = house.ask(CLERK, effect.into()) else { panic!("it is allowed") };
    let flips: Vec<_> = refusal.flips.iter().map(|flip| format!("\n  {flip}")).collect();
    format!("{}: {}{}", refusal.code, refusal.reason, flips.concat())
}

#[test]
fn what_one_run_may_all_runs_of_a_day_may_together() {
    let mut house = house(BOUNDS, "3 per run;");
    house.perform(pay("a", 900), Value::Null, 0);
    another_run(&mut house);
    assert_eq!(house.answer(CLERK, pay("b", 200)), "refused envelope envelope.period_amount");
    expect![[r#"
        envelope.period_amount: The domain `accounts-payable` may move 1000 (10.00) per day, in minor units (as cents); it has moved 900 (9.00), and 200 (2.00) more would pass that. The day ends 2026-11-25 00:00 UTC.
          if it were asked from 2026-11-25 00:00 UTC on
          if args.document.amount_cents were at most 100 (it is 200)"#]]
    .assert_eq(&refusal(&mut house, pay("b", 200)));
    assert_eq!(house.answer(CLERK, pay("b", 100)), "permitted");
    assert_eq!(house.answer(CLERK, read("invoices", "a.txt")), "permitted", "it moves nothing");
    house.now = time("2026-11-25T00:00:00.000000Z");
    assert_eq!(house.answer(CLERK, pay("c", 1_000)), "permitted");
    assert_eq!(house.answer(CLERK, pay("d", 1)), "refused envelope envelope.period_amount");
}

#[test]
fn each_bound_of_a_period_has_its_reason() {
    let mut each = String::new();
    for bound in ["effects_max = 1", "resources_max = 1", "cost_micros_max = 60"] {
        let mut house = house(&format!("\n[envelope.per_week]\n{bound}\n"), "3 per run;");
        let is_cost = bound == "cost_micros_max = 60";
        let cost = if is_cost { 40 } else { 0 };
        let effect = |name| if is_cost { chat("hello", 9).into() } else { pay(name, 1).into() };
        house.perform::<AnyEffect>(effect("a"), Value::Null, cost);
        another_run(&mut house);
        let refused = refusal(&mut house, effect("b"));
        each = format!("{each}{refused}\n");
    }
    expect![[r#"
        envelope.period_effects: The domain `accounts-payable` may begin 1 effect per week, and it has begun 1. The week ends 2026-11-30 00:00 UTC.
          if it were asked from 2026-11-30 00:00 UTC on
        envelope.period_resources: The domain `accounts-payable` may touch 1 resource per week, and it has touched 1. The week ends 2026-11-30 00:00 UTC.
          if it were asked from 2026-11-30 00:00 UTC on
        envelope.period_cost: It may cost up to $0.000051, and the domain `accounts-payable` has $0.00002 left of the $0.00006 that it may spend per week. The week ends 2026-11-30 00:00 UTC.
          if it were asked from 2026-11-30 00:00 UTC on
    "#]]
    .assert_eq(&each);
}

#[test]
fn a_limit_of_a_policy_is_for_all_runs_of_its_period() {
    let mut house = house("", "2 per hour; sum args.document.amount_cents <= 500 per month;");
    house.perform(pay("a", 300), Value::Null, 0);
    another_run(&mut house);
    let of_month = refusal(&mut house, pay("b", 250));
    house.perform(pay("b", 100), Value::Null, 0);
    another_run(&mut house);
    let of_hour = refusal(&mut house, pay("c", 1));
    house.now = house.now.plus_ms(3_600_000);
    let of_both = refusal(&mut house, pay("c", 101));
    assert_eq!(house.answer(CLERK, pay("c", 100)), "permitted");
    expect![[r#"
        canon.period_limit: The policy `pay.small` lets args.document.amount_cents come to 500 per month in the domain `accounts-payable`; it has come to 300, and 250 more would pass that. The month ends 2026-12-01 00:00 UTC.
          if it were asked from 2026-12-01 00:00 UTC on
          if args.document.amount_cents were at most 200 (it is 250)
        canon.period_limit: The policy `pay.small` lets 2 through per hour in the domain `accounts-payable`, and it has let 2 through. The hour ends 2026-11-24 13:00 UTC.
          if it were asked from 2026-11-24 13:00 UTC on
        canon.period_limit: The policy `pay.small` lets args.document.amount_cents come to 500 per month in the domain `accounts-payable`; it has come to 400, and 101 more would pass that. The month ends 2026-12-01 00:00 UTC.
          if it were asked from 2026-12-01 00:00 UTC on
          if args.document.amount_cents were at most 100 (it is 101)
    "#]]
    .assert_eq(&format!("{of_month}\n{of_hour}\n{of_both}\n"));
}

#[test]
fn what_an_outcome_changes_is_what_it_changes_for_a_run() {
    let bounds = "\n[envelope.per_day]\ncost_micros_max = 150\neffects_max = 3\n";
    let mut house = house(bounds, "3 per run;");
    // Reserved until it is known what it cost.
    let cleared = house.clear(chat("hello", 30));
    assert_eq!(house.answer(CLERK, chat("hello", 30)), "refused envelope envelope.period_cost");
    let (draft, settling) = cleared.done(Value::Null, cog_base::Micros::new(10)).settle();
    house.gate.close(house.origin.session, &settling);
    house.record(draft);
    // Nobody can tell: all of it counts.
    let (draft, settling) = house.clear(chat("hello", 30)).unknown().settle();
    house.gate.close(house.origin.session, &settling);
    house.record(draft);
    assert_eq!(house.answer(CLERK, chat("hello", 30)), "refused envelope envelope.period_cost");
    // It never began: nothing of it counts.
    let permit = house.permit(read("invoices", "a.txt"));
    assert_eq!(
        house.answer(CLERK, read("invoices", "b.txt")),
        "refused envelope envelope.period_effects"
    );
    let (draft, settling) = permit.abandon();
    house.gate.close(house.origin.session, &settling);
    house.record(draft);
    restart(&mut house);
    assert_eq!(house.answer(CLERK, chat("hello", 30)), "refused envelope envelope.period_cost");
    assert_eq!(house.answer(CLERK, read("invoices", "b.txt")), "permitted");
    assert_eq!(
        house.answer(CLERK, read("invoices", "c.txt")),
        "refused envelope envelope.period_effects"
    );
}

#[test]
fn a_restart_loses_and_doubles_nothing() {
    let bounds = "\n[envelope.per_day]\namount_max = 1_000\nresources_max = 2\n";
    let mut house = house(bounds, "9 per run; 2 per day;");
    house.perform(pay("a", 300), Value::Null, 0);
    let open = house.permit(pay("b", 300));
    drop(open);
    restart(&mut house);
    let Answer::Refused(refusal) = house.ask(CLERK, pay("a", 300)) else { panic!("the limit") };
    assert_eq!(refusal.code, "canon.period_limit");
    let body: Value = cog_base::json::parse(
        std::str::from_utf8(&refusal.draft.body.as_ref().unwrap().bytes).unwrap(),
    )
    .unwrap();
    let (intent, snapshot) = read_record(&body).unwrap();
    let tally = &snapshot.periods[&Period::Day];
    assert_eq!((tally.effects, tally.amount), (2, 600));
    assert_eq!((tally.resources, tally.adds), (2, 0), "the key of the first is written already");
    assert_eq!(tally.receipts_by_policy["pay.small"], 2);
    assert_eq!(tally.start, Period::Day.start(noon()));
    let again = decide(&intent, &snapshot, house.canon.as_deref());
    assert_eq!(again, refusal.decision);
}

#[test]
fn another_version_of_the_canon_goes_on_counting() {
    let mut house = house(BOUNDS, "3 per run;");
    house.perform(pay("a", 900), Value::Null, 0);
    let version = counting(BOUNDS, "4 per run;");
    house.in_force = Some(version.digest());
    house.canon = Some(version.into());
    assert_eq!(house.answer(CLERK, pay("b", 200)), "refused envelope envelope.period_amount");
    restart(&mut house);
    assert_eq!(house.answer(CLERK, pay("b", 200)), "refused envelope envelope.period_amount");
}

#[test]
fn a_clock_that_is_set_back_begins_no_period_anew() {
    let mut house = house("\n[envelope.per_hour]\namount_max = 1_000\n", "3 per run;");
    house.perform(pay("a", 900), Value::Null, 0);
    // Within what is tolerated, and over the beginning of the hour.
    house.now = time("2026-11-24T11:59:59.000000Z");
    assert_eq!(house.answer(CLERK, pay("b", 200)), "refused envelope envelope.period_amount");
    restart(&mut house);
    assert_eq!(house.answer(CLERK, pay("b", 200)), "refused envelope envelope.period_amount");
}

#[test]
fn without_periods_nothing_is_said_of_them() {
    let mut house = House::new();
    let permitted = house.pending(pay("a", 1)).take_draft().unwrap();
    assert!(!permitted.data.contains_key("counts"));
    let body = String::from_utf8(permitted.body.unwrap().bytes).unwrap();
    assert!(!body.contains("periods"), "{body}");
}

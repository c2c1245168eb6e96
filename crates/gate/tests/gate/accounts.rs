//! Whatever is asked and settled in whatever order: no budget is passed, no two open effects
//! hold the same thing, and a ledger read from its start gives the same accounts.

use cog_base::entropy::SeededEntropy;
use cog_base::id::RunId;
use cog_base::{Micros, Value};
use cog_gate::effect::Footprint;
use cog_gate::{Answer, AnyEffect, Effect, Limits, Performed};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::house::{House, ample, canon_but, chat, effect, noon, pay, read};

const BUDGET: u64 = 2_000;
const EFFECTS: u64 = 12;

#[derive(Clone, Debug)]
enum Act {
    Ask(AnyEffect),
    Settle(usize),
}

fn acts() -> impl Strategy<Value = Act> {
    let file = |name: u8| format!("{}.json", char::from(b'a' + name));
    prop_oneof![
        (0..400_u64).prop_map(|tokens| Act::Ask(chat("hello", tokens).into())),
        (0..3_u8, 0..1_000_u64).prop_map(|(name, cents)| Act::Ask(
            pay(&char::from(b'a' + name).to_string(), cents).into()
        )),
        (0..3_u8).prop_map(move |name| Act::Ask(read("payments", &file(name)).into())),
        Just(Act::Ask(read("payments", ".").into())),
        Just(Act::Ask(effect("process.run", r#"{"program":"sort","root":"payments"}"#))),
        (0..8_usize).prop_map(Act::Settle),
        (0..8_usize).prop_map(Act::Settle),
    ]
}

struct Open {
    performed: Option<Performed<AnyEffect>>,
    footprint: Footprint,
    reserve: u64,
    cost: u64,
}

/// Whether two effects may not be open at once.
fn clash(one: &Footprint, other: &Footprint) -> bool {
    let inside =
        |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
    let meets = |writes: &Footprint, all: &Footprint| {
        writes.writes.iter().any(|key| {
            all.reads.iter().chain(&all.writes).any(|held| inside(key, held) || inside(held, key))
        })
    };
    meets(one, other) || meets(other, one)
}

fn settle(house: &mut House, mut open: Open) -> u64 {
    let (draft, settling) = open.performed.take().unwrap().settle();
    let session = house.origin.session;
    house.gate.close(session, &settling);
    let entry = house.record(draft);
    settling.settled(&entry).unwrap();
    open.cost
}

fn begin(house: &mut House, effect: AnyEffect, share: u64, end: u8) -> Option<Open> {
    let footprint = effect.footprint();
    let Answer::Permitted(mut pending) = house.ask("agent:clerk", effect) else { return None };
    let entry = house.record(pending.take_draft().unwrap());
    let reserve = entry.count("reserve_micros").unwrap();
    let permit = pending.granted(&entry).unwrap();
    let cleared = house.gate.clear(permit, house.now).unwrap();
    let cost = reserve * share / 100;
    let performed = match end {
        0 => cleared.done(Value::Null, Micros::new(cost)),
        1 => {
            let failure =
                cog_gate::Failure { code: "x".into(), message: "no".into(), transient: false };
            cleared.failed(failure, Micros::new(cost))
        }
        _ => cleared.unknown(),
    };
    let cost = performed.report().cost.get();
    Some(Open { performed: Some(performed), footprint, reserve, cost })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_holds_and_leases_do_not_overlap(acts in vec(acts(), 1..60)) {
        let canon = canon_but("resources_max = 4\n", "");
        let limits = Limits { cost: Some(Micros::new(BUDGET)), effects: Some(EFFECTS), ..ample() };
        let mut house = House::with(canon, limits);
        let session = house.origin.session;
        let (mut open, mut spent, mut permits): (Vec<Open>, u64, u64) = (Vec::new(), 0, 0);
        for (turn, act) in acts.into_iter().enumerate() {
            match act {
                Act::Ask(effect) => {
                    let share = (turn as u64 * 37) % 101;
                    let end = u8::try_from(turn % 3).unwrap();
                    if let Some(new) = begin(&mut house, effect, share, end) {
                        prop_assert!(open.iter().all(|held| !clash(&held.footprint, &new.footprint)));
                        permits += 1;
                        open.push(new);
                    }
                }
                Act::Settle(which) if !open.is_empty() => {
                    let one = open.swap_remove(which % open.len());
                    spent += settle(&mut house, one);
                }
                Act::Settle(_) => {}
            }
            let reserved: u64 = open.iter().map(|it| it.reserve).sum();
            prop_assert!(spent + reserved <= BUDGET);
            prop_assert!(permits <= EFFECTS);
            prop_assert_eq!(house.gate.spent(session), Micros::new(spent));
            let left = Some(Micros::new(BUDGET - spent - reserved));
            prop_assert_eq!(house.gate.budget_left(session), left);
        }
        prop_assert_eq!(house.audit(), Vec::<&str>::new());
    }
}

#[test]
fn what_an_effect_did_not_cost_is_free_again_and_what_nobody_knows_is_not() {
    let mut house = House::new();
    let session = house.origin.session;
    house.perform(chat("hello", 1_000), Value::Null, 7);
    assert_eq!(house.gate.spent(session), Micros::new(7));
    let cleared = house.clear(chat("hello", 1_000));
    let reserve = 1_000_000 - 7 - house.gate.budget_left(session).unwrap().get();
    assert!(reserve > 2_000);
    let (_, settling) = cleared.unknown().settle();
    house.gate.close(session, &settling);
    assert_eq!(house.gate.spent(session), Micros::new(7 + reserve));
}

#[test]
fn what_was_permitted_and_not_recorded_gives_back_all_that_it_held() {
    let mut house = House::new();
    let session = house.origin.session;
    let left = house.gate.budget_left(session);
    let pending = house.pending(chat("hello", 1_000));
    assert_ne!(house.gate.budget_left(session), left);
    assert!(!house.gate.withdraw(pending), "a question to a model holds no lease");
    assert_eq!(house.gate.budget_left(session), left);

    assert_eq!(house.answer("agent:clerk", pay("acme", 200_000)), "asks 2 of role:finance");
    house.approve("user:bob");
    house.approve("user:cfo");
    let used = house.gate.used(session).amount;
    let pending = house.pending(pay("acme", 200_000));
    let reading = read("payments", "acme.json");
    assert_eq!(house.answer("agent:clerk", reading.clone()), "waits for file:payments/acme.json");
    assert!(house.gate.withdraw(pending), "its lease ended");
    assert_eq!(house.gate.used(session).amount, used);
    assert_eq!(house.answer("agent:clerk", pay("acme", 200_000)), "permitted");
    assert_eq!(house.audit(), Vec::<&str>::new());
}

/// What is under way in a run begins anew where another goes on from it, and is counted then; what is
/// under way beside it or below does not, or goes on beside that.
#[test]
fn what_is_under_way_beside_a_run_is_carried_on_from_it() {
    let mut house = House::new();
    let top = house.origin.session;
    let [one, other] =
        [1, 2].map(|seed| RunId::new(noon(), &mut SeededEntropy::new(seed)).unwrap());
    for child in [one, other] {
        house.gate.open_child(house.origin.tenant, child, ample(), top);
    }
    house.origin.session = one;
    let under_way = house.permit(pay("acme", 900));
    for (run, expected) in [(top, 900), (one, 0), (other, 900)] {
        let carried = house.gate.carried(run).to_value();
        assert_eq!(carried.get("amount").and_then(Value::as_u64), Some(expected));
    }
    drop(under_way);
}

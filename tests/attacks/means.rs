//! Spending twice: budgets, quotas, limits, leases and the blast radius of a run.

use cog_base::{Micros, Value};
use cog_gate::snapshot::Folder;
use cog_gate::{AnyEffect, Limits};
use cog_ledger::Kind;

use crate::house::{
    CLERK, House, ample, canon, canon_but, canon_with, chat, effect, get, pay, read,
};

/// The reserve of a question with so many tokens, in the order of the house's prices.
fn cost_of(tokens: u64) -> u64 {
    chat("hi", tokens).input_tokens_max() + 2 * tokens
}

#[test]
fn owasp_llm10_of_two_that_race_for_the_last_money_one_gets_it() {
    let budget = 2 * cost_of(1_000) - 1;
    let limits = Limits { cost: Some(Micros::new(budget)), ..ample() };
    let mut house = House::with(canon_but("resources_max", "# resources_max"), limits);
    let first = house.answer(CLERK, chat("hi", 1_000));
    let second = house.answer(CLERK, chat("hi", 1_000));
    assert_eq!([first.as_str(), &second], ["permitted", "refused budget budget.exceeded"]);
    assert_eq!((house.count(Kind::Receipt), house.count(Kind::Denial)), (1, 1));
}

#[test]
fn owasp_llm10_what_a_model_may_cost_is_reserved_before_it_is_asked() {
    let limits = Limits { cost: Some(Micros::new(cost_of(100) - 1)), ..ample() };
    let mut house = House::with(crate::house::canon(), limits);
    assert_eq!(house.answer(CLERK, chat("hi", 100)), "refused budget budget.exceeded");
    assert_eq!(house.answer(CLERK, chat("hi", 99)), "permitted");
}

#[test]
fn an_effect_that_cost_more_than_it_reserved_ends_the_spending() {
    let limits = Limits { cost: Some(Micros::new(1_000)), ..ample() };
    let mut house = House::with(crate::house::canon(), limits);
    house.perform(chat("hi", 10), Value::Null, 5_000);
    assert_eq!(house.gate.spent(house.origin.session), Micros::new(5_000));
    assert_eq!(house.answer(CLERK, chat("hi", 1)), "refused budget budget.exceeded");
}

#[test]
fn a_number_of_tokens_beyond_all_bounds_does_not_wrap_round() {
    let prices = cog_gate::effect::Prices { input: u64::MAX, output: u64::MAX };
    assert_eq!(prices.of(u64::MAX, u64::MAX), Micros::new(u64::MAX));
    let mut house = House::new();
    assert_eq!(house.answer(CLERK, chat("hi", u64::MAX)), "refused budget budget.exceeded");
}

#[test]
fn owasp_api4_of_two_that_race_for_the_last_effect_one_gets_it() {
    let mut house = House::with(crate::house::canon(), Limits { effects: Some(1), ..ample() });
    let answers = ["a", "b"].map(|name| house.answer(CLERK, read("invoices", name)));
    assert_eq!(answers, ["permitted", "refused quota quota.exceeded"]);
}

#[test]
fn a_policy_that_permits_three_does_not_permit_four() {
    let mut house = House::new();
    let answers = ["a", "b", "c", "d"].map(|name| house.answer(CLERK, pay(name, 1)));
    assert_eq!(answers, ["permitted", "permitted", "permitted", "refused canon canon.limit"]);
}

#[test]
fn owasp_asi02_small_payments_do_not_add_up_beyond_the_sum() {
    let mut house = House::new();
    let answers = ["a", "b", "c"].map(|name| house.answer(CLERK, pay(name, 90_000)));
    assert_eq!(answers, ["permitted", "permitted", "refused canon canon.limit"]);
    assert_eq!(house.answer(CLERK, pay("c", 70_000)), "permitted");
}

#[test]
fn owasp_asi08_a_run_moves_no_more_money_than_its_envelope() {
    let canon = canon_with(|path, text| match path {
        "canon.toml" => text.replace("amount_max = 1_000_000", "amount_max = 150_000"),
        _ => text.to_owned(),
    });
    let mut house = House::with(canon, ample());
    let answers = ["a", "b"].map(|name| house.answer(CLERK, pay(name, 80_000)));
    assert_eq!(answers, ["permitted", "refused envelope envelope.amount"]);
}

#[test]
fn an_amount_that_nobody_can_read_is_not_nothing() {
    let canon = || {
        canon_with(|path, text| match path {
            "policies/effects.cedar" => {
                r#"@id("any") permit (principal, action, resource);"#.to_owned()
            }
            "schema.cedarschema" => {
                text.replace(", document?: { amount_cents?: Long, country?: String }", "")
            }
            _ => text.to_owned(),
        })
    };
    let document = |amount: &str| {
        let args = format!(r#"{{"root":"payments","path":"a","document":{{{amount}}}}}"#);
        effect("file.write", &args)
    };
    for amount in [
        r#""amount_cents":"9000000""#,
        r#""amount_cents":-1"#,
        r#""amount_cents":null,"amount_minor":9000000"#,
        r#""amount_cents":0,"amount_minor":9000000"#,
        r#""amount_cents":{"amount":9000000}"#,
    ] {
        let mut house = House::with(canon(), ample());
        let answer = house.answer(CLERK, document(amount));
        assert_eq!(answer, "refused envelope envelope.amount", "{amount}");
    }
    assert_eq!(
        House::with(canon(), ample()).answer(CLERK, document(r#""amount_cents":7"#)),
        "permitted"
    );
}

#[test]
fn owasp_asi08_a_run_touches_no_more_than_its_envelope() {
    let mut house = House::new();
    let note = |name: usize| {
        effect("file.write", &format!(r#"{{"root":"notes","path":"{name}","text":""}}"#))
    };
    for name in 0..4 {
        assert_eq!(house.answer(CLERK, note(name)), "permitted");
    }
    assert_eq!(house.answer(CLERK, note(4)), "refused envelope envelope.resources");
}

#[test]
fn owasp_asi08_what_may_not_be_combined_is_not_combined_in_either_order() {
    let get = || AnyEffect::from(get("https://api.example.com/"));
    let delete = || effect("file.delete", r#"{"root":"notes","path":"a"}"#);
    let canon = || canon_but("@approval(\"1 of role:finance\")\n", "");
    for pair in [[get(), delete()], [delete(), get()]] {
        let mut house = House::with(canon(), ample());
        let answers = pair.map(|effect| house.answer(CLERK, effect));
        assert_eq!(answers, ["permitted", "refused envelope envelope.combination"]);
    }
}

#[test]
fn of_two_that_want_the_same_file_the_second_waits() {
    let mut house = House::new();
    let first = house.clear(pay("acme", 1));
    assert_eq!(house.answer(CLERK, pay("acme", 2)), "waits for file:payments/acme.json");
    assert_eq!(house.answer(CLERK, read("payments", ".")), "waits for file:payments");
    let (draft, settling) = first.done(Value::Null, Micros::ZERO).settle();
    assert!(house.gate.close(house.origin.session, &settling));
    house.record(draft);
    assert_eq!(house.answer(CLERK, pay("acme", 2)), "permitted");
}

#[test]
fn two_names_of_one_folder_do_not_let_two_effects_in() {
    let stand = [("payments", "/srv/pages"), ("notes", "/srv/pages/notes")];
    let folder = |(name, path): (&str, &str)| (name.to_owned(), Folder::new(path, "/srv"));
    let limits = Limits { folders: stand.map(folder).into(), ..ample() };
    let mut house = House::with(canon(), limits);
    let write = |root: &str, path: &str| {
        effect("file.write", &format!(r#"{{"root":"{root}","path":"{path}","text":"x"}}"#))
    };
    let _first = house.clear(write("notes", "acme.json"));
    let held = "waits for file:payments/notes/acme.json";
    assert_eq!(house.answer(CLERK, read("payments", "notes/acme.json")), held);
    assert_eq!(house.answer(CLERK, read("payments", ".")), "waits for file:payments");
    assert_eq!(house.answer(CLERK, read("payments", "acme.json")), "permitted");
}

#[test]
fn where_the_canon_says_so_the_second_is_refused() {
    let mut house = House::with(canon_but("\"wait\"", "\"refuse\""), ample());
    let _first = house.clear(pay("acme", 1));
    let conflict = "refused interference interference.conflict";
    assert_eq!(house.answer(CLERK, pay("acme", 2)), conflict);
    assert_eq!(house.answer(CLERK, read("payments", "acme.json")), conflict);
    assert_eq!(house.answer(CLERK, pay("other", 2)), "permitted");
}

#[test]
fn a_lease_is_not_escaped_by_another_spelling_of_the_path() {
    let mut house = House::with(canon_but("\"wait\"", "\"refuse\""), ample());
    let _first = house.clear(pay("acme", 1));
    for path in ["./acme.json", "acme.json/", "/acme.json", "x/../acme.json", ".//acme.json"] {
        let answer = house.answer(CLERK, read("payments", path));
        assert!(answer.starts_with("refused"), "{path}: {answer}");
    }
}

#[test]
fn without_randomness_nothing_is_issued_and_nothing_reserved() {
    struct Dry;
    impl cog_base::Entropy for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), cog_base::entropy::NoEntropy> {
            Err(cog_base::entropy::NoEntropy)
        }
    }
    let mut house = House::new();
    let before = house.gate.budget_left(house.origin.session);
    let ledger_at = house.ledger_at();
    let world = cog_gate::World {
        now: house.now,
        ledger_at,
        tenant: house.status,
        canon: house.canon.as_ref(),
        in_force: house.in_force,
    };
    let question = cog_gate::Question {
        origin: &house.origin,
        step: "pay",
        actor: crate::house::actor(CLERK),
        effect: chat("hi", 100),
        subject: None,
        sources: Default::default(),
    };
    assert!(house.gate.ask(question, &world, &mut Dry).is_err());
    assert_eq!(house.gate.budget_left(house.origin.session), before);
}

//! What people may not do about approvals, canon and ledger, as it is recorded and judged again.

use cog_base::id::ProposalId;
use cog_base::json::parse;
use cog_base::{Timestamp, Value};
use cog_canon::Canon;

use cog_gate::act::{Act, Cited, Facts, Put, differs, same_of};
use cog_ledger::{Durable, Entry};

use crate::house::{CLERK, DOMAIN, House, actor, canon, canon_but, pay};

/// An act about the canon of the house.
fn act(house: &House, who: &str, action: &'static str, resource: &str) -> Act {
    Act {
        tenant: house.origin.tenant,
        domain: DOMAIN.to_owned(),
        environment: "any".to_owned(),
        session: None,
        canon: house.in_force,
        actor: actor(who),
        action,
        resource: resource.to_owned(),
        args: Default::default(),
    }
}

/// Refuse an act on the record: the code, the entry, and the record beside it.
fn refused(
    house: &mut House,
    act: &Act,
    facts: &Facts,
    canon: Option<&Canon>,
) -> Option<(&'static str, Durable<Entry>, Value)> {
    let no = act.judge(facts, house.now, canon)?;
    assert!(no.reason.ends_with('.') && !no.reason.ends_with(".."), "{}", no.reason);
    let (_, draft) = act.refuse(&no, facts, house.now, &mut house.entropy).unwrap();
    let body = std::str::from_utf8(&draft.body.as_ref().unwrap().bytes).unwrap().to_owned();
    let entry = house.record(draft);
    assert_eq!(same_of(&entry), Some(act.same(&no)));
    Some((no.code, entry, parse(&body).unwrap()))
}

/// Whoever has entry, record and canon comes to the same.
fn assert_same((code, entry, body): (&'static str, Durable<Entry>, Value), canon: Option<&Canon>) {
    assert_eq!(differs(&entry, &body, canon), Ok(None), "{code}");
    assert_eq!(entry.text("code"), Some(code));
}

#[test]
fn a_run_does_not_begin_where_the_canon_governs_nothing() {
    let allow = "[environments]\nallow = [\"live\", \"trial\"]\n";
    let told = format!("{allow}production = [\"live\"]\n\n[change]");
    for (settings, environment, code) in [
        (told.as_str(), "live", None),
        (&told, "trial", None),
        (&told, "lvie", Some("environment.not_listed")),
        // Where nothing is production every effect is refused, and no run.
        (&format!("{allow}\n[change]"), "lvie", None),
        ("[change]", "lvie", None),
    ] {
        let canon = canon_but("[change]", settings);
        let mut house = House::with(canon, crate::house::ample());
        let mut begin = act(&house, "user:ada", "run.start", "Workflow::\"pay\"");
        begin.args = [("environment".to_owned(), environment.into())].into();
        let canon = house.canon.clone();
        let no = refused(&mut house, &begin, &Facts::Begin, canon.as_deref());
        assert_eq!(no.as_ref().map(|(code, ..)| *code), code, "{environment}");
        no.into_iter().for_each(|no| assert_same(no, canon.as_deref()));
    }
}

fn asked(house: &mut House) -> Facts {
    assert!(house.answer(CLERK, pay("acme", 200_000)).starts_with("asks"));
    let request = house.gate.approvals().get(house.waiting()).cloned();
    Facts::Answer { request: request.map(Box::new), waits: true, is_seen: true }
}

fn answer(house: &House, who: &str, verdict: Result<(), &str>) -> Act {
    let (place, canon) =
        ((house.origin.tenant, Some(house.origin.session)), house.canon.as_deref());
    Act::answer(place, (DOMAIN, "production"), house.waiting(), &actor(who), verdict, canon)
}

#[test]
fn a_refused_answer_is_judged_the_same_from_its_record() {
    let mut house = House::new();
    let facts = asked(&mut house);
    let Facts::Answer { request, .. } = &facts else { panic!("it is asked") };
    let (bound, other) = (canon(), canon_but("amount_max = 1_000_000", "amount_max = 9_000_000"));
    let but = |waits, is_seen| Facts::Answer { request: request.clone(), waits, is_seen };
    let none = Facts::Answer { request: None, waits: false, is_seen: true };
    let (yes, no) = (Ok(()), Err("no"));
    for (code, who, verdict, facts, canon) in [
        ("approval.own_request", CLERK, yes, &facts, Some(&bound)),
        ("approval.own_request", "user:ada", no, &facts, Some(&bound)),
        ("approval.not_entitled", "user:nobody", yes, &facts, Some(&bound)),
        ("approval.canon_changed", "user:bob", yes, &facts, Some(&other)),
        ("approval.canon_changed", "user:bob", yes, &facts, None),
        ("approval.withdrawn", "user:bob", yes, &but(false, true), Some(&bound)),
        ("body.absent", "user:bob", yes, &but(true, false), Some(&bound)),
        ("approval.unknown", "user:bob", yes, &none, Some(&bound)),
    ] {
        let mut act = answer(&house, who, verdict);
        act.canon = house.in_force.filter(|_| canon.is_some());
        let made = refused(&mut house, &act, facts, canon).unwrap();
        assert_eq!(made.0, code, "{who}");
        assert_same(made, canon);
    }
    for (code, who, to, canon) in [
        ("approval.no_delegate", "user:bob", "user:cfo", &bound),
        ("approval.not_entitled", "user:nobody", "user:bob", &bound),
    ] {
        let place = (house.origin.tenant, Some(house.origin.session));
        let both = (&actor(who), &actor(to));
        let act = Act::delegate(place, (DOMAIN, "production"), house.waiting(), both, Some(canon));
        let made = refused(&mut house, &act, &facts, Some(canon)).unwrap();
        assert_eq!(made.0, code, "{who} to {to}");
        assert_same(made, Some(canon));
    }
    let late = answer(&house, "user:bob", yes);
    house.now = house.now.plus_ms(8 * 24 * 3_600 * 1_000);
    let made = refused(&mut house, &late, &facts, Some(&bound)).unwrap();
    assert_eq!(made.0, "approval.expired");
    assert_same(made, Some(&bound));
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn an_answer_that_counts_is_no_refusal() {
    let mut house = House::new();
    let facts = asked(&mut house);
    let act = answer(&house, "user:bob", Ok(()));
    assert!(refused(&mut house, &act, &facts, Some(&canon())).is_none());
}

#[test]
fn a_record_that_says_something_else_is_found() {
    let mut house = House::new();
    let (facts, bound) = (asked(&mut house), canon());
    let act = answer(&house, "user:nobody", Ok(()));
    let (_, entry, body) = refused(&mut house, &act, &facts, Some(&bound)).unwrap();
    let changed = |from: &str, to: &str| {
        let text = body.to_string();
        assert!(text.contains(from), "{from} in {text}");
        differs(&entry, &parse(&text.replace(from, to)).unwrap(), Some(&bound))
    };
    assert!(changed("\"waits\":true", "\"waits\":false").is_err(), "other facts");
    assert!(changed("\"verdict\":\"approve\"", "\"verdict\":\"reject\"").is_err(), "other words");
    assert!(changed("\"may\":[\"", "\"may\":[\"user:eve\",\"").unwrap().is_some(), "others may");
    // Signed by whoever has the key, and never so: the one whom it refuses could have answered.
    let mut act = answer(&house, "user:bob", Ok(()));
    act.canon = house.in_force;
    let no = answer(&house, "user:nobody", Ok(())).judge(&facts, house.now, Some(&bound)).unwrap();
    let (_, draft) = act.refuse(&no, &facts, house.now, &mut house.entropy).unwrap();
    let body = draft.body.as_ref().unwrap().bytes.clone();
    let body = parse(std::str::from_utf8(&body).unwrap()).unwrap();
    let entry = house.record(draft);
    let found = differs(&entry, &body, Some(&bound)).unwrap();
    assert_eq!(found.as_deref(), Some("it would not be refused"));
}

#[test]
fn refused_steps_of_change_control_are_judged_the_same_from_their_records() {
    let mut house = House::new();
    let (bound, next) = (canon(), canon_but("amount_max = 1_000_000", "amount_max = 9_000_000"));
    let id = ProposalId::new(house.now, &mut house.entropy).unwrap();
    let draft = house.changes.propose(id, &next, "production", &actor("user:ada"), &[]).unwrap();
    house.record(draft);
    let change = |house: &House, is_sound| {
        let proposal = house.changes.proposal(id).cloned().map(Box::new);
        Facts::Change { in_force: house.in_force, proposal, is_sound }
    };
    let unknown = Facts::Change { in_force: house.in_force, proposal: None, is_sound: true };
    let open = change(&house, true);
    let unsound = change(&house, false);
    for (code, who, action, facts) in [
        ("change.unknown", "user:chair", "canon.approve", &unknown),
        ("identity.unknown", "user:nobody", "canon.reject", &open),
        ("change.not_a_person", CLERK, "canon.approve", &open),
        ("change.not_approved", "user:chair", "canon.activate", &open),
        ("change.unsound", "user:chair", "canon.approve", &unsound),
    ] {
        let act = act(&house, who, action, "Proposal::\"it\"");
        let made = refused(&mut house, &act, facts, Some(&bound)).unwrap();
        assert_eq!(made.0, code, "{who} {action}");
        assert_same(made, Some(&bound));
    }
    let draft = house.changes.approve(id, &actor("user:chair"), &bound).unwrap();
    house.record(draft);
    let again = act(&house, "user:chair", "canon.approve", "Proposal::\"it\"");
    let facts = change(&house, true);
    let made = refused(&mut house, &again, &facts, Some(&bound)).unwrap();
    assert_eq!(made.0, "change.approved_before");
    assert_same(made, Some(&bound));
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn what_cannot_be_put_forward_or_kept_is_judged_the_same_from_its_record() {
    let mut house = House::new();
    let bound = canon();
    let cited = |is_evidence, is_over| vec![Cited { seq: 1, is_evidence, is_over }];
    let in_force = house.in_force;
    let put = || Put { in_force, digest: in_force, ..Put::default() };
    for (code, who, facts) in [
        ("canon.not_loaded", "user:ada", Put { error: Some("line 3: no".into()), ..put() }),
        ("canon.tests_failed", "user:ada", Put { failed: 2, ..put() }),
        ("evidence.not_evidence", "user:ada", Put { evidence: cited(false, false), ..put() }),
        ("evidence.not_sealed", "user:ada", Put { evidence: cited(true, false), ..put() }),
        ("identity.unknown", "user:nobody", put()),
        ("change.none", "user:ada", put()),
        ("change.not_a_person", CLERK, Put { in_force: None, ..put() }),
    ] {
        let act = act(&house, who, "canon.propose", "Canon::\"it\"");
        let made = refused(&mut house, &act, &Facts::Put(facts), Some(&bound)).unwrap();
        assert_eq!(made.0, code, "{who}");
        assert_same(made, Some(&bound));
    }
    let keep = |who: &str, house: &House| act(house, who, "ledger.erase", "Ledger::\"it\"");
    for who in [CLERK, "user:ada", "user:nobody"] {
        let act = keep(who, &house);
        let made = refused(&mut house, &act, &Facts::Keep, Some(&bound)).unwrap();
        assert_eq!(made.0, "ledger.not_entitled", "{who}");
        assert_same(made, Some(&bound));
    }
    for (who, by, is_refused) in [
        ("user:ada", "user:ada", false),
        ("user:ada", "user:nobody", true),
        (CLERK, "user:ada", true),
        ("user:chair", "user:ada", !bound.may_cancel("user:chair")),
    ] {
        let act = act(&house, who, "schedule.change", "Schedule::\"nightly\"");
        let facts = Facts::Schedule { by: Some(by.parse().unwrap()) };
        let made = refused(&mut house, &act, &facts, Some(&bound));
        assert_eq!(made.is_some(), is_refused, "{who} {by}");
        if let Some(made) = made {
            assert_eq!(made.0, "schedule.not_entitled", "{who} {by}");
            assert_same(made, Some(&bound));
        }
    }
    let named = canon_but("[change]", "[runs]\nschedule = [\"role:board\"]\n[change]");
    for (who, canon, code) in [
        ("user:ada", Some(&bound), None),
        (CLERK, Some(&bound), None),
        ("user:nobody", Some(&bound), Some("identity.unknown")),
        ("user:nobody", None, None),
        ("user:chair", Some(&named), None),
        (CLERK, Some(&named), Some("schedule.not_entitled")),
        ("user:nobody", Some(&named), Some("schedule.not_entitled")),
    ] {
        let act = act(&house, who, "schedule.change", "Schedule::\"new\"");
        let made = refused(&mut house, &act, &Facts::Schedule { by: None }, canon);
        assert_eq!(made.as_ref().map(|made| made.0), code, "{who}");
        if let Some(made) = made {
            assert_same(made, canon);
        }
    }
    let act = keep("user:chair", &house);
    assert!(refused(&mut house, &act, &Facts::Keep, Some(&bound)).is_none());
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn a_version_is_activated_by_whom_the_canon_names_or_knows() {
    let (mut house, bound) = (House::new(), canon());
    let named = canon_but("[change]", "[runs]\nactivate = [\"role:board\"]\n[change]");
    let nobody = canon_but("[change]", "[runs]\nactivate = []\n[change]");
    for (who, canon, code) in [
        (CLERK, Some(&bound), None),
        ("user:nobody", Some(&bound), Some("identity.unknown")),
        ("user:nobody", None, None),
        ("user:chair", Some(&named), None),
        (CLERK, Some(&named), Some("workflow.not_entitled")),
        ("user:chair", Some(&nobody), Some("workflow.not_entitled")),
    ] {
        let act = act(&house, who, "workflow.activate", "Workflow::\"pay\"");
        let made = refused(&mut house, &act, &Facts::Activate, canon);
        assert_eq!(made.as_ref().map(|made| made.0), code, "{who}");
        if let Some(made) = made {
            assert_same(made, canon);
        }
    }
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn of_what_names_nothing_one_refusal_is_enough_whatever_was_made_up() {
    let house = House::new();
    let none = Facts::Answer { request: None, waits: false, is_seen: true };
    let unknown = |who, name: &str| {
        let act = act(&house, who, "approval.answer", name);
        act.same(&act.judge(&none, house.now, None).unwrap())
    };
    assert_eq!(unknown("user:eve", "Approval::\"a\""), unknown("user:eve", "Approval::\"b\""));
    assert_ne!(unknown("user:eve", "Approval::\"a\""), unknown("user:bob", "Approval::\"a\""));
}

#[test]
fn what_the_canon_keeps_is_not_pruned_and_judged_the_same_from_its_record() {
    let mut house = House::new();
    let keeping = canon_but("[change]", "[retention]\nentries = \"30 days\"\n[change]");
    let prune = act(&house, "user:chair", "ledger.prune", "Ledger::\"it\"");
    let mut of_age = |days: i64| {
        let at = Timestamp::from_micros(house.now.micros() - 86_400_000_000 * days);
        refused(&mut house, &prune, &Facts::Kept { seq: 7, at }, Some(&keeping))
    };
    assert!(of_age(30).is_none());
    let made = of_age(29).unwrap();
    assert_eq!(made.0, "ledger.kept");
    assert_same(made, Some(&keeping));
    let kept = Facts::Kept { seq: 7, at: house.now };
    assert_eq!(prune.judge(&kept, house.now, Some(&canon())), None, "nothing is said there");
}

#[test]
fn only_who_set_a_schedule_has_it_start_runs() {
    let (mut house, bound) = (House::new(), canon());
    for (who, by) in [("user:ada", "user:ada"), ("user:chair", "user:ada"), (CLERK, "user:ada")] {
        let act = act(&house, who, "schedule.fire", "Schedule::\"nightly\"");
        let facts = Facts::Fire { by: by.parse().unwrap() };
        let made = refused(&mut house, &act, &facts, Some(&bound));
        assert_eq!(made.is_some(), who != by, "who may end its runs may not begin them: {who}");
        if let Some(made) = made {
            assert_eq!(made.0, "schedule.not_entitled", "{who} {by}");
            assert_same(made, Some(&bound));
        }
    }
    assert_eq!(house.audit(), Vec::<&str>::new());
}

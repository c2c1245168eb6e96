//! A house that holds the key can sign anything. The audit finds what it must not have done.

use cog_base::Value;
use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::json::parse;
use cog_ledger::audit::Audit;
use cog_ledger::kind::ACTS;
use cog_ledger::{Draft, Entry, Kind};

use crate::house::{Act, DOMAIN, House, continues, data, digest, limit};

/// Let a house with a canon and a running session do something; say what the audit finds.
pub(crate) fn audit(act: impl FnOnce(&mut House, cog_base::id::RunId)) -> Vec<&'static str> {
    let mut house = House::new(42);
    house.found_canon("name = \"first\"\n");
    let session = house.start();
    act(&mut house, session);
    codes(&mut house)
}

fn codes(house: &mut House) -> Vec<&'static str> {
    let mut audit = Audit::new(0);
    house.log().entries().for_each(|entry| audit.entry(entry));
    let audited = audit.finish();
    audited.findings.kept().iter().map(|finding| finding.code).collect()
}

#[test]
fn honest_houses_are_not_accused() {
    for seed in 0..20 {
        assert_eq!(codes(&mut House::honest(seed)), [""; 0]);
    }
}

/// Whatever people named so.
#[test]
fn a_step_of_a_run_names_the_place_where_it_stands() {
    let found = audit(|house, session| {
        let seq = house.plan(session, "sepa").seq();
        house.checkpoint(session, seq);
        house.checkpoint_by(Some(session), session, None);
        house.checkpoint_by(Some(session), session, Some(seq));
        let other = cog_base::id::RunId::from_uuid(cog_base::id::Uuid::from_u128(1));
        house.checkpoint_by(Some(session), other, None);
    });
    assert_eq!(found, ["checkpoint.unknown", "checkpoint.twice", "checkpoint.unknown"]);
}

#[test]
fn what_an_effect_gives_follows_what_it_gave_before_until_it_is_over() {
    let found = audit(|house, session| {
        let receipt = house.receipt(session, "build", &[]);
        house.output(session, receipt, 0);
        house.output(session, receipt, 5);
        house.output(session, receipt, 11);
        let other = house.start();
        house.output(other, receipt, 16);
        house.outcome(session, receipt, "completed");
        house.output(session, receipt, 21);
        let receipt = ReceiptId::new(house.now, &mut house.entropy).unwrap();
        house.output(session, receipt, 0);
    });
    let (gap, late) = ("output.gap", "output.late");
    assert_eq!(found, [gap, "output.other_session", late, "output.without_receipt"]);
}

#[test]
fn an_outcome_needs_its_receipt_and_comes_once() {
    let found = audit(|house, session| {
        let receipt = ReceiptId::new(house.now, &mut house.entropy).unwrap();
        house.outcome(session, receipt, "completed");
    });
    assert_eq!(found, ["outcome.without_receipt"]);

    let found = audit(|house, session| {
        let receipt = house.receipt(session, "pay", &[]);
        house.outcome(session, receipt, "failed");
        house.outcome(session, receipt, "completed");
    });
    assert_eq!(found, ["outcome.twice"]);

    let found = audit(|house, session| {
        let receipt = house.receipt(session, "pay", &[]);
        let other = house.start();
        house.outcome(other, receipt, "completed");
    });
    assert_eq!(found, ["outcome.other_session"]);

    let found = audit(|house, session| {
        let other = house.start();
        house.signal(other, "evt-1");
        house.signal(session, "evt-1");
        house.signal(session, "evt-1");
    });
    assert_eq!(found, ["signal.twice"]);

    let found = audit(|house, session| {
        house.pause(session, true);
        house.pause(session, true);
        let receipt = house.receipt(session, "pay", &[]);
        house.outcome(session, receipt, "completed");
        house.pause(session, false);
        house.pause(session, false);
    });
    let twice = "session.paused_twice";
    assert_eq!(found, [twice, "receipt.while_paused", twice]);

    let found = audit(|house, session| {
        house.pause(session, true);
        let act = house.act(Kind::Evidence, "user:cfo", Some(session));
        house.record(act, data([("source", "cancel".into()), ("digest", digest("why"))]));
        let receipt = house.receipt(session, "undo", &[]);
        house.outcome(session, receipt, "completed");
    });
    assert_eq!(found, [""; 0], "a run that is ended is undone, paused or not");

    let found = audit(|house, session| {
        let seq = house.plan(session, "sepa").seq();
        house.fork(session, seq, "definition");
        house.fork(session, seq, "another");
        house.fork(session, seq + 1, "definition");
    });
    assert_eq!(found, ["fork.other_definition", "fork.unknown"]);

    let found = audit(|house, session| {
        let seq = house.plan(session, "sepa").seq();
        house.checkpoint(session, seq);
        house.checkpoint(session, seq + 5);
        house.replayed(session);
        house.replayed(cog_base::id::RunId::from_uuid(cog_base::id::Uuid::from_u128(1)));
    });
    assert_eq!(found, ["checkpoint.unknown", "checkpoint.twice", "replay.unknown"]);

    let found = audit(|house, session| {
        let denial = house.deny(session);
        house.outcome(session, ReceiptId::from_uuid(denial.uuid()), "completed");
    });
    assert_eq!(found, ["denial.outcome", "outcome.without_receipt"]);
}

#[test]
fn a_run_that_was_asked_for_begins_once_as_that_and_within_its_limits() {
    let found = audit(|house, session| {
        let run = house.asked("definition", []);
        house.asked_as(run, "definition", []);
        house.unqueued(run);
        house.start_as(run);
        house.unqueued(run);
        house.asked_as(session, "definition", []);
    });
    let twice = "queue.twice";
    assert_eq!(found, [twice, "queue.withdrawn", "queue.not_waiting", twice]);
    let found = audit(|house, _| {
        let other = house.asked("another", []);
        house.start_as(other);
        let early = ("not_before", "2027-01-01T00:00:00.000000Z".into());
        let early = house.asked("definition", [early]);
        house.start_as(early);
    });
    assert_eq!(found, ["queue.differs", "queue.too_early"]);
    let found = audit(|house, _| {
        for team in ["red", "blue"] {
            let labels = |team: &str| ("labels", Value::map([("team", team)]));
            let run = house.asked("definition", [labels("red")]);
            house.start_with(run, [labels(team)]);
        }
    });
    assert_eq!(found, ["queue.differs"]);
    let found = audit(|house, _| {
        let runs = [0, 1, 2].map(|_| house.asked("definition", [limit("acme", 1)]));
        house.start_as(runs[0]);
        house.seal(runs[0]);
        house.start_as(runs[1]);
        house.start_as(runs[2]);
    });
    assert_eq!(found, ["queue.over_limit"]);
    let found = audit(|house, _| {
        let key = ("key", digest("acme"));
        let rate = [key, ("count", 2_u64.into()), ("per_seconds", 3_600_u64.into())];
        for _ in 0..3 {
            let run = house.asked("definition", [("rate", Value::map(rate.clone()))]);
            house.start_as(run);
        }
    });
    assert_eq!(found, ["queue.over_rate"]);
}

#[test]
fn what_a_schedule_starts_was_set_begins_and_counts_once() {
    let found = audit(|house, _| {
        house.schedule(Kind::ScheduleRemoved, []);
        house.schedule_set();
        house.fired(21, true);
        house.fired(21, true);
        house.schedule(Kind::ScheduleRemoved, []);
        house.fired(22, true);
    });
    assert_eq!(found, ["schedule.not_set", "schedule.fired_twice", "schedule.not_set"]);
    let found = audit(|house, _| {
        for id in ["nightly", "daily"] {
            let when = Value::map([("id", id), ("cron", "@daily")]);
            let set = [("workflow", "pay".into()), ("when", when), ("digest", digest("x"))];
            house.schedule(Kind::ScheduleSet, set);
        }
    });
    assert_eq!(found, ["schedule.differs"]);
    let found = audit(|house, _| {
        house.schedule_set();
        house.fired(21, false);
        house.start();
        house.fired(22, false);
    });
    assert_eq!(found, ["schedule.not_begun", "schedule.not_begun"]);
}

#[test]
fn a_run_that_an_event_starts_is_the_one_run_of_that_event() {
    let event = cog_base::Digest::of(&[b"event"]);
    let run = RunId::from_uuid(cog_base::id::Uuid::of(&event));
    let trigger = |id: &str| {
        let members = [("id", Value::from(id)), ("event", event.into()), ("hops", 0_u64.into())];
        ("trigger", Value::map(members))
    };
    let found = audit(|house, _| {
        house.schedule_set();
        house.start_with(run, [trigger("nightly")]);
    });
    assert_eq!(found, [""; 0]);
    let found = audit(|house, _| {
        house.schedule_set();
        let other = RunId::new(house.now, &mut house.entropy).unwrap();
        house.start_with(other, [trigger("nightly")]);
        house.start_with(run, [trigger("unknown")]);
    });
    assert_eq!(found, ["schedule.other_run", "schedule.not_set"]);
}

#[test]
fn ids_are_given_once() {
    let found = audit(|house, session| {
        let (_, receipt) = house.receipt_data("pay", &[]);
        for _ in 0..2 {
            let act = house.act(Kind::Receipt, "agent:clerk", Some(session));
            house.record(act, receipt.clone());
        }
    });
    assert_eq!(found, ["id.twice"]);
}

#[test]
fn a_session_begins_once_and_ends_with_its_seal() {
    let found = audit(|house, session| {
        house.seal(session);
        house.deny(session);
    });
    assert_eq!(found, ["session.after_seal"]);

    let found = audit(|house, _| {
        let session = cog_base::id::RunId::new(house.now, &mut house.entropy).unwrap();
        house.deny(session);
    });
    assert_eq!(found, ["session.not_started"]);

    let found = audit(|house, session| {
        let start = house.log().entries.last().unwrap().entry.data().clone();
        let act = house.act(Kind::SessionStarted, "user:clerk", Some(session));
        house.record(act, start);
    });
    assert_eq!(found, ["session.started_twice"]);
}

#[test]
fn a_seal_adds_up() {
    for (name, wrong) in [
        ("entries", Value::from(9_u64)),
        ("receipts", Value::from(9_u64)),
        ("denials", Value::from(9_u64)),
        ("spent_micros", Value::from(9_u64)),
        ("trace", digest("wrong")),
    ] {
        let found = audit(|house, session| {
            let receipt = house.receipt(session, "pay", &[]);
            house.outcome(session, receipt, "completed");
            let mut seal = house.seal_data(session);
            seal.insert(name.to_owned(), wrong);
            let act = house.act(Kind::SessionSealed, "service:engine", Some(session));
            house.record(act, seal);
        });
        assert_eq!(found, ["seal.wrong"], "{name}");
    }
    let found = audit(|house, session| {
        house.receipt(session, "pay", &[]);
        house.seal(session);
    });
    assert_eq!(found, ["seal.open_receipts"]);
}

#[test]
fn consent_is_for_one_intent_by_others_and_before() {
    let of = ["user:cfo", "user:ceo", "user:clerk"];
    type Deed = fn(&mut House, cog_base::id::RunId, ApprovalId);
    let table: [(&str, &[&str], Deed); 10] = [
        ("granted by a role", &[], |house, session, _| {
            let id = house.ask(session, "pay", &["role:finance"], 1);
            house.grant(session, id, "pay", "user:anyone");
            house.receipt(session, "pay", &[id]);
        }),
        ("not granted at all", &["approval.not_granted"], |house, session, id| {
            house.receipt(session, "pay", &[id]);
        }),
        (
            "granted by who asked",
            &["approval.own_request", "approval.not_entitled", "approval.not_granted"],
            {
                |house, session, id| {
                    house.grant(session, id, "pay", "agent:clerk");
                    house.receipt(session, "pay", &[id]);
                }
            },
        ),
        ("granted by who began the run", &["approval.own_request", "approval.not_granted"], {
            |house, session, id| {
                house.grant(session, id, "pay", "user:clerk");
                house.receipt(session, "pay", &[id]);
            }
        }),
        ("granted for another intent", &["approval.other_intent"], |house, session, id| {
            house.grant(session, id, "pay more", "user:cfo");
        }),
        ("used for another intent", &["approval.other_intent"], |house, session, id| {
            house.grant(session, id, "pay", "user:cfo");
            house.receipt(session, "pay more", &[id]);
        }),
        ("used twice", &["approval.reused"], |house, session, id| {
            house.grant(session, id, "pay", "user:cfo");
            let receipt = house.receipt(session, "pay", &[id]);
            house.outcome(session, receipt, "completed");
            house.receipt(session, "pay", &[id]);
        }),
        ("granted after its time", &["approval.not_granted"], |house, session, id| {
            house.now = house.now.plus_ms(120_000);
            house.grant(session, id, "pay", "user:cfo");
            house.receipt(session, "pay", &[id]);
        }),
        ("granted by an agent that has the role", &["approval.not_entitled"], {
            |house, session, _| {
                let id = house.ask(session, "pay", &["role:finance"], 1);
                house.grant(session, id, "pay", "agent:auditor");
            }
        }),
        ("never asked for", &["approval.missing"], |house, session, _| {
            let id = ApprovalId::new(house.now, &mut house.entropy).unwrap();
            house.receipt(session, "pay", &[id]);
        }),
    ];
    for (what, expected, deed) in table {
        let found = audit(|house, session| {
            let id = house.ask(session, "pay", &of, 1);
            deed(house, session, id);
        });
        assert_eq!(found, expected, "{what}");
    }
}

/// Who else may answer may from an entry on that says so, in time and once.
#[test]
fn others_approve_from_when_the_log_lets_them() {
    let escalated = |after_ms: u64, of: &[&str], times: usize| {
        audit(|house, session| {
            let later = [("after_ms", after_ms.into()), ("of", Value::list(["user:ceo"]))];
            let id = house.ask_and(session, "pay", &["user:cfo"], 1, Some(Value::map(later)));
            for _ in 0..times {
                let act = house.act(Kind::ApprovalEscalated, "user:clerk", Some(session));
                let of = ("of", Value::list(of.iter().copied()));
                house.record(act, data([("id", id.into()), ("intent", digest("pay")), of]));
            }
            house.grant(session, id, "pay", "user:ceo");
            house.receipt(session, "pay", &[id]);
        })
    };
    assert_eq!(escalated(1, &["user:ceo"], 1), [""; 0]);
    assert_eq!(escalated(1, &["user:ceo"], 0), ["approval.not_entitled"]);
    assert_eq!(escalated(u64::MAX >> 12, &["user:ceo"], 1), ["approval.escalated"]);
    assert_eq!(escalated(1, &["user:eve"], 1), ["approval.escalated"]);
    assert_eq!(escalated(1, &["user:ceo"], 2), ["approval.escalated"]);
}

#[test]
fn only_those_named_approve_and_each_once_and_not_after_a_no() {
    let found = audit(|house, session| {
        let id = house.ask(session, "pay", &["user:cfo", "user:ceo"], 2);
        house.grant(session, id, "pay", "user:intern");
        house.grant(session, id, "pay", "user:cfo");
        house.grant(session, id, "pay", "user:cfo");
        let act = house.act(Kind::ApprovalRejected, "user:ceo", Some(session));
        let no = [("id", id.into()), ("intent", digest("pay"))];
        house.record(act, data(no));
        house.grant(session, id, "pay", "user:ceo");
        house.receipt(session, "pay", &[id]);
    });
    let expected =
        ["approval.not_entitled", "approval.twice", "approval.rejected", "approval.not_granted"];
    assert_eq!(found, expected);
}

#[test]
fn decisions_are_made_under_the_canon_in_force() {
    let found = audit(|house, session| {
        house.canon = Some(cog_base::Digest::of(&[b"another"]));
        house.receipt(session, "pay", &[]);
        house.deny(session);
        house.canon = None;
        house.receipt(session, "pay", &[]);
        house.deny(session);
    });
    assert_eq!(found, ["canon.not_in_force"; 3]);
}

#[test]
fn only_what_people_do_is_refused_outside_of_any_run() {
    let refused = |action: &str| {
        let mut house = House::new(1);
        house.found_canon("name = \"first\"\n");
        let (_, mut denial) = house.denial_data();
        denial.insert("action".to_owned(), action.into());
        let draft = Draft {
            kind: Kind::Denial,
            actor: "user:eve".to_owned(),
            domain: DOMAIN.to_owned(),
            environment: "any".to_owned(),
            session: None,
            canon: house.canon,
            data: denial,
            body: None,
        };
        let drafts = vec![(house.tenant, draft)];
        let appended = house.writer.append(drafts, house.now.plus_ms(9), &mut house.entropy);
        appended.map(|_| codes(&mut house))
    };
    for action in ACTS {
        assert_eq!(refused(action).unwrap(), Vec::<&str>::new(), "{action}");
    }
    assert!(refused("file.write").is_err(), "the refusal of an effect is one of a run");
}

#[test]
fn canon_changes_by_change_control_alone() {
    let found = audit(|house, _| {
        house.change_canon("name = \"second\"\n", "user:clerk", &[]);
    });
    assert_eq!(found, ["canon.not_approved"], "the proposer alone");

    let found = audit(|house, _| {
        house.found_canon("name = \"second\"\n");
    });
    assert_eq!(found, ["canon.previous", "canon.founded_twice"]);

    let found = audit(|house, _| {
        house.change_canon("name = \"second\"\n", "user:cfo", &[900]);
    });
    assert_eq!(found, ["evidence.missing"]);

    let found = audit(|house, _| {
        house.change_canon("name = \"second\"\n", "agent:auditor", &[]);
    });
    assert_eq!(found, ["canon.not_a_person", "canon.not_approved"]);

    let found = audit(|house, _| {
        house.change_canon("name = \"second\"\n", "user:cfo", &[1]);
    });
    assert_eq!(found, ["evidence.not_evidence"], "what founded the domain is no evidence");

    let found = audit(|house, session| {
        let receipt = house.receipt(session, "read", &[]);
        let outcome = house.outcome(session, receipt, "completed").seq();
        house.change_canon("name = \"second\"\n", "user:cfo", &[outcome]);
        house.seal(session);
        house.change_canon("name = \"third\"\n", "user:cfo", &[outcome]);
    });
    assert_eq!(found, ["evidence.not_sealed"], "evidence of a run that is not over, and then is");

    let found = audit(|house, _| {
        let evidence = house.evidence();
        let id = house.change_canon("name = \"second\"\n", "user:cfo", &[evidence]);
        let current = house.canon.unwrap();
        let act = house.act(Kind::CanonActivated, "user:cfo", None);
        let again = [
            ("digest", current.into()),
            ("previous", current.into()),
            ("basis", "change".into()),
            ("proposal", id.into()),
        ];
        house.record(act, data(again));
    });
    assert_eq!(found, ["canon.previous", "canon.closed"]);
}

#[test]
fn a_run_that_continues_another_begins_behind_its_seal_as_what_that_was() {
    let found = audit(|house, session| {
        let second = house.goes_on(session, 1);
        let third = house.goes_on(second, 3);
        house.seal(third);
    });
    assert_eq!(found, ["chain.count"]);
    for (name, other) in [
        ("inputs", digest("others")),
        ("definition", digest("another")),
        ("initiator", "user:ceo".into()),
        ("classes", Value::map([("a", "low")])),
        ("fork", Value::map([("session", "run_01m7yb4qxbf438zjd8206fmvk4"), ("seq", "0")])),
    ] {
        let found = audit(|house, session| {
            let next = house.seal_of_chain(session, "inputs");
            let fork = Value::map([("session", Value::from(session)), ("seq", 2_u64.into())]);
            let other = if name == "fork" { fork } else { other };
            house.start_with(next, [continues(session, 1), (name, other)]);
        });
        assert_eq!(found, ["chain.differs"], "{name}");
    }
    let found = audit(|house, session| {
        house.seal_of_chain(session, "inputs");
        house.start();
    });
    assert_eq!(found, ["chain.not_begun"], "another begins");
    let found = audit(|house, session| {
        house.seal_of_chain(session, "inputs");
    });
    assert_eq!(found, ["chain.not_begun"], "nothing follows");
    let found = audit(|house, session| {
        let next = house.seal_of_chain(session, "inputs");
        house.start_as(next);
    });
    assert_eq!(found, ["chain.not_sealed"], "it does not say what it continues");
    let found = audit(|house, session| {
        house.seal(session);
        let next = cog_base::id::RunId::new(house.now, &mut house.entropy).unwrap();
        house.start_with(next, [continues(session, 1)]);
    });
    assert_eq!(found, ["chain.not_sealed"], "the seal says nothing of it");
    let found = audit(|house, session| {
        let mut seal = house.seal_data(session);
        seal.insert("status".to_owned(), "continued".into());
        let act = house.act(Kind::SessionSealed, "service:engine", Some(session));
        house.record(act, seal);
    });
    assert_eq!(found, ["chain.seal"], "no next run is named");
}

#[test]
fn a_plan_that_was_no_candidate_is_found() {
    assert_eq!(audit(|house, session| drop(house.plan(session, "cash"))), ["plan.not_candidate"]);
}

#[test]
fn gaps_broken_links_and_times_that_go_back_are_found() {
    let mut house = House::honest(1);
    let entries: Vec<_> = house.log().entries().cloned().collect();
    let audit = |order: &[usize]| {
        let mut audit = Audit::new(0);
        order.iter().for_each(|place| audit.entry(&entries[*place]));
        audit.finish().findings
    };
    assert!(audit(&[0, 1, 2]).is_empty());
    let gap = audit(&[0, 2]);
    assert!(gap.has("seq.gap") && gap.has("link.broken"));
    let back = audit(&[0, 2, 1]);
    assert!(back.has("time.backwards"));
    let Value::Map(mut first) = parse(std::str::from_utf8(entries[1].bytes()).unwrap()).unwrap()
    else {
        panic!("an entry is an object");
    };
    first.remove("prev");
    first.insert("seq".to_owned(), Value::from(0_u64));
    let mut headless = Audit::new(0);
    headless.entry(&Entry::parse(&Value::Map(first).canonical()).unwrap());
    assert!(headless.finish().findings.has("genesis.misplaced"));
    assert!(audit(&[]).has("log.empty"));
    let mut mixed = Audit::new(0);
    mixed.entry(&entries[0]);
    mixed.entry(&House::honest(2).log().entries[1].entry);
    assert!(mixed.finish().findings.has("tenant.mixed"));
}

#[test]
fn a_body_of_somebody_else_does_not_pass_for_the_entrys() {
    let mut house = House::new(3);
    house.found_canon("name = \"first\"\n");
    let session = house.start();
    let act = house.act(Kind::Evidence, "agent:clerk", Some(session));
    let act = Act { body: Some("one"), ..act };
    let one = house.record(act, data([("source", "file".into()), ("digest", digest("one"))]));
    let body = house.log().bodies().last().unwrap().1.clone();
    assert_eq!(one.commit(), Some(body.commit));
    assert_eq!(cog_ledger::body::commitment(&body.salt, &body.bytes), body.commit);
    assert_ne!(cog_ledger::body::commitment(&[0; 32], &body.bytes), body.commit);
}

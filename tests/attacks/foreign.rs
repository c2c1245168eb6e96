//! Completions of sessions that ran elsewhere: forged, changed, of another ledger, proven by a key
//! of the attacker's own, or told by a model.

use cog_base::id::TenantId;
use cog_base::json::{Map, parse};
use cog_base::{Digest, Source, Sources, Timestamp, Value};
use cog_events::{Event, Facts};
use cog_gate::AnyEffect;
use cog_ledger::session::Tally;
use cog_ledger::{Draft, Entry, Kind};

use crate::house::{CLERK, House, ample, canon_with, chat, noon};
use crate::runner::{key, proven};

const OURS: &str = "/core-engine/workflows";
const SCHEMA: &str = "
entity Source;
action \"session.accept\" appliesTo {
  principal: [User, Agent],
  resource: [Source],
  context: { args: { type: String, status?: String, subject?: String, proven: Bool } },
};
";
/// Of a CognitionOS only what is proven, of the browser agents whatever they say.
const POLICIES: &str = r#"
@id("accept.proven")
permit (principal, action == Action::"session.accept", resource == Source::"/core-engine/workflows")
when { context.args.proven && context.args has status && context.args.status == "succeeded" };
@id("accept.told")
permit (principal, action == Action::"session.accept", resource == Source::"/agents/browser")
when { context.args.type == "run.ended" };
"#;

/// What the other ledger says of a session, and what proves it.
struct Elsewhere {
    seal: Entry,
    event: String,
    proof: String,
    key: String,
}

impl Elsewhere {
    /// A session of another tenant that ended so.
    fn ended(status: &str) -> Self {
        let mut house = House::new();
        house.origin.tenant = TenantId::new(noon(), &mut house.entropy).unwrap();
        let nothing = Value::from(Digest::of(&[]));
        let started = [
            ("workflow", Value::from("count-stock")),
            ("definition", nothing.clone()),
            ("inputs", nothing),
            ("roots", Value::Map(Map::new())),
            ("initiator", "user:ada".into()),
            ("canon", house.in_force.into()),
        ];
        let started = house.record(house.draft(Kind::SessionStarted, "user:ada", started));
        let mut tally = Tally::default();
        tally.add(&started);
        let seal = house.draft(Kind::SessionSealed, "service:engine", []);
        let seal = house.record(Draft { data: tally.seal(status), ..seal });
        let key = key(&mut house);
        let facts = Facts {
            workflow: Some("count-stock".into()),
            started_at: Some(started.at()),
            tokens: Some(7),
        };
        Self {
            event: Event::of(&seal, key.name(), &facts).json().to_owned(),
            proof: proven(&mut house, Kind::SessionSealed).to_string(),
            key: key.to_string(),
            seal: Entry::clone(&seal),
        }
    }

    fn effect(&self) -> AnyEffect {
        with_proof(&self.event, &self.proof, &self.key)
    }
}

fn accept(event: &str) -> AnyEffect {
    let args = Map::from([("event".to_owned(), event.into())]);
    AnyEffect::from_args("session.accept", &args).unwrap()
}

fn with_proof(event: &str, proof: &str, key: &str) -> AnyEffect {
    let args = [("event", event), ("proof", proof), ("key", key)];
    let args = args.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect();
    AnyEffect::from_args("session.accept", &args).unwrap()
}

/// A house whose canon lets this key prove what a CognitionOS says.
fn house(key: &str) -> House {
    let canon = canon_with(|path, text| match path {
        "canon.toml" => format!(
            "{text}\n[sources.\"{OURS}\"]\nkeys = [\"{key}\"]\n[sources.\"/agents/browser\"]\n"
        ),
        "schema.cedarschema" => format!("{text}{SCHEMA}"),
        "policies/effects.cedar" => format!("{text}{POLICIES}"),
        _ => text.to_owned(),
    });
    House::with(canon, ample())
}

fn told(source: &str, status: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"b-1","source":"{source}","type":"run.ended","subject":"r1","data":{{"status":"{status}"}}}}"#
    )
}

#[test]
fn control_what_is_proven_is_taken_in_and_what_its_source_may_say_unproven() {
    let there = Elsewhere::ended("completed");
    let mut house = house(&there.key);
    assert_eq!(house.answer(CLERK, there.effect()), "permitted");
    assert_eq!(house.answer(CLERK, accept(&told("/agents/browser", "done"))), "permitted");
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn a_completion_from_a_source_that_the_canon_does_not_list_is_refused() {
    let there = Elsewhere::ended("completed");
    let refused = "refused confinement source.not_listed";
    let mut house = house(&there.key);
    assert_eq!(house.answer(CLERK, accept(&told("/agents/other", "succeeded"))), refused);
    assert_eq!(House::new().answer(CLERK, there.effect()), refused);
}

#[test]
fn a_completion_that_nothing_proves_is_refused_where_a_proof_is_wanted() {
    let there = Elsewhere::ended("completed");
    let refused = "refused canon canon.no_permit";
    assert_eq!(house(&there.key).answer(CLERK, accept(&there.event)), refused);
    let claims = there.event.replace("\"data\":{", "\"data\":{\"proven\":true,");
    assert_eq!(house(&there.key).answer(CLERK, accept(&claims)), refused);
    let claims = there.event.replace("{\"data\"", "{\"aproven\":true,\"data\"");
    assert_eq!(house(&there.key).answer(CLERK, accept(&claims)), refused);
}

#[test]
fn a_session_that_failed_is_not_taken_in_as_one_that_succeeded() {
    let there = Elsewhere::ended("failed");
    let mut house = house(&there.key);
    assert_eq!(house.answer(CLERK, there.effect()), "refused canon canon.no_permit");
    let forged = there.event.replace("\"failed\"", "\"succeeded\"");
    assert_ne!(forged, there.event);
    let forged = with_proof(&forged, &there.proof, &there.key);
    assert_eq!(house.answer(CLERK, forged), "refused confinement source.proof_fails");
}

#[test]
fn no_member_of_a_proven_event_can_be_changed() {
    let there = Elsewhere::ended("completed");
    let refused = "refused confinement source.proof_fails";
    let seal = &there.seal;
    let other = TenantId::new(Timestamp::default(), &mut House::new().entropy).unwrap();
    let changes = [
        (seal.session().unwrap().to_string(), "run_00000000000000000000000000".to_owned()),
        (seal.tenant().to_string(), other.to_string()),
        (format!("/{}/", seal.seq()), "/9/".to_owned()),
        (seal.at().to_string(), "2026-11-24T12:00:01.000000Z".to_owned()),
        ("accounts-payable".to_owned(), "treasury".to_owned()),
        ("workflow.execution.completed".to_owned(), "workflow.execution.started".to_owned()),
        ("\"receipts\":0".to_owned(), "\"receipts\":1".to_owned()),
        ("\"data\":{".to_owned(), "\"data\":{\"amount_cents\":1,".to_owned()),
        ("service:engine".to_owned(), "user:cfo".to_owned()),
    ];
    for (from, to) in changes {
        let forged = there.event.replace(&from, &to);
        assert_ne!(forged, there.event, "{from}");
        let forged = with_proof(&forged, &there.proof, &there.key);
        assert_eq!(house(&there.key).answer(CLERK, forged), refused, "{from}");
    }
}

#[test]
fn a_proof_of_another_entry_or_one_that_was_changed_is_refused() {
    let (there, failed) = (Elsewhere::ended("completed"), Elsewhere::ended("failed"));
    let refused = "refused confinement source.proof_fails";
    let cut = &there.proof[..there.proof.len() - 20];
    let index = there.proof.replace(&format!("index {}", there.seal.seq()), "index 0");
    for proof in [failed.proof.as_str(), cut, &index, "", "c2sp.org/tlog-proof@v1\nindex 0\n\n"] {
        let forged = with_proof(&there.event, proof, &there.key);
        assert_eq!(house(&there.key).answer(CLERK, forged), refused, "{proof}");
    }
}

#[test]
fn a_proof_by_a_key_of_the_attackers_own_is_refused() {
    let there = Elsewhere::ended("completed");
    let mut own = House::new();
    let own = key(&mut own).to_string();
    // The key of this house is listed, and the head is signed by another.
    assert_ne!(own, there.key);
    let mut house = house(&own);
    let refused = "refused confinement source.key_not_listed";
    assert_eq!(house.answer(CLERK, there.effect()), refused);
    let forged = with_proof(&there.event, &there.proof, &own);
    assert_eq!(house.answer(CLERK, forged), "refused confinement source.proof_fails");
}

#[test]
fn what_a_model_says_of_a_session_proves_nothing() {
    let there = Elsewhere::ended("completed");
    let mut house = house(&there.key);
    let words = told(OURS, "succeeded");
    house.perform(chat("Is it done?", 10), Value::map([("text", words.as_str())]), 1);
    house.sources = Sources::of(Source::Model("reader".into()), "ask");
    let refused = "refused canon canon.no_permit";
    assert_eq!(house.answer(CLERK, accept(&words)), refused);
}

#[test]
fn nobody_sets_beside_an_event_what_it_does_not_say() {
    let event = told("/agents/browser", "failed");
    for (name, value) in [
        ("status", Value::from("succeeded")),
        ("proven", true.into()),
        ("source", OURS.into()),
        ("type", "workflow.execution.completed".into()),
        ("subject", "r2".into()),
        ("time", "2026-11-24T12:00:00Z".into()),
        ("data", Value::map([("status", "succeeded")])),
    ] {
        let args = Map::from([("event".to_owned(), event.as_str().into()), (name.into(), value)]);
        let error = AnyEffect::from_args("session.accept", &args).unwrap_err();
        assert!(error.to_string().contains("what the event says"), "{error}");
    }
    for wrong in ["", "{}", "[1]", r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#] {
        let args = Map::from([("event".to_owned(), wrong.into())]);
        assert!(AnyEffect::from_args("session.accept", &args).is_err(), "{wrong}");
    }
}

#[test]
fn one_event_has_one_spelling() {
    let event = told("/agents/browser", "done");
    let spread = event.replace(',', " ,\n ").replace("\"r1\"", "\"\\u0072\\u0031\"");
    assert_ne!(spread, event);
    assert_eq!(accept(&spread), accept(&event));
    let float = event.replace("\"done\"", "\"done\",\"cost\":1.50,\"count\":2.0");
    let once = accept(&float);
    let AnyEffect::SessionAccept(effect) = &once else { panic!("another effect") };
    assert!(parse(&effect.event).is_err(), "a fraction stays one: {}", effect.event);
    assert_eq!(accept(&effect.event), once);
}

#[test]
fn a_proven_event_cannot_be_stripped_of_what_its_seal_says() {
    let there = Elsewhere::ended("completed");
    let named = |name: &str| there.event.replace("\"count-stock\"", &format!("\"{name}\""));
    let long = named(&"w".repeat(64_601));
    // As the seal would be told, were it too large with such a name.
    let event = cog_base::json::parse(&long).unwrap();
    let Value::Map(mut event) = event else { panic!("it is a map") };
    let Some(Value::Map(data)) = event.get_mut("data") else { panic!("it has data") };
    data.remove("entry").unwrap();
    data.insert("entry_omitted".into(), true.into());
    let stripped = Value::Map(event).to_string();
    let refused = "refused confinement source.proof_fails";
    for forged in [stripped, named(&"w".repeat(65)), named("Pay all!")] {
        let forged = with_proof(&forged, &there.proof, &there.key);
        assert_eq!(house(&there.key).answer(CLERK, forged), refused);
    }
    let other = with_proof(&named("another"), &there.proof, &there.key);
    assert!(house(&there.key).answer(CLERK, other).starts_with("permitted"));
}

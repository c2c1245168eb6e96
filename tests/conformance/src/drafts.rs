//! Entries as they are really written, with ids that tests can name by a number.

use cog_base::id::{DenialId, ReceiptId, RunId, TenantId, Uuid};
use cog_base::json::{Map, Value};
use cog_base::{Digest, Timestamp};
use cog_ledger::{BodyDraft, Draft, Kind};

/// A tenant by number.
#[must_use]
pub fn tenant(number: u64) -> TenantId {
    TenantId::from_uuid(id(number))
}

/// A run by number.
#[must_use]
pub fn run(number: u64) -> RunId {
    RunId::from_uuid(id(number))
}

/// A UUIDv7 whose time is the number, as ids made one after the other have.
fn id(number: u64) -> Uuid {
    Uuid::from_u128((u128::from(number) << 80) | (7 << 76) | (2 << 62) | 1)
}

fn draft(kind: Kind, session: Option<RunId>, data: Value) -> Draft {
    let Value::Map(data) = data else { panic!("data is an object") };
    Draft {
        kind,
        actor: "agent:clerk".into(),
        domain: "accounts-payable".into(),
        environment: "test".into(),
        session,
        canon: Some(Digest::of(&[b"canon"])),
        data,
        body: None,
    }
}

fn digest(text: &str) -> Value {
    Digest::of(&[text.as_bytes()]).into()
}

/// An observation outside any run.
#[must_use]
pub fn evidence(source: &str) -> Draft {
    let data = [("source", Value::from(source)), ("digest", digest(source))];
    draft(Kind::Evidence, None, Value::map(data))
}

/// A version of canon comes into force.
#[must_use]
pub fn canon_activated(version: &str) -> Draft {
    let data = [("digest", digest(version)), ("basis", "genesis".into())];
    draft(Kind::CanonActivated, None, Value::map(data))
}

/// A run begins.
#[must_use]
pub fn started(session: RunId) -> Draft {
    let data = [
        ("workflow", Value::from("pay-supplier-invoices")),
        ("definition", digest("definition")),
        ("inputs", digest("inputs")),
        ("roots", Value::Map(Map::new())),
        ("initiator", "user:cfo".into()),
    ];
    draft(Kind::SessionStarted, Some(session), Value::map(data))
}

/// A run ends. The counts are not those of the run: see [`cog_ledger::session::Tally`] for
/// a seal that an audit accepts.
#[must_use]
pub fn sealed(session: RunId, status: &str) -> Draft {
    let data = cog_ledger::session::Tally::default().seal(status);
    draft(Kind::SessionSealed, Some(session), Value::Map(data))
}

/// The authorisation of effect `number`.
#[must_use]
pub fn receipt(session: RunId, number: u64) -> Draft {
    let data = [
        ("id", Value::from(ReceiptId::from_uuid(id(number)))),
        ("intent", digest(&format!("intent {number}"))),
        ("action", "file.write".into()),
        ("resource", "Root::\"payments\"".into()),
        ("effect", digest(&format!("effect {number}"))),
        ("step", "pay/write".into()),
        ("expires", Timestamp::from_micros(1_900_000_000_000_000).into()),
        ("reserve_micros", 200_u64.into()),
        ("procedure", 1_u64.into()),
        ("snapshot", digest("snapshot")),
        ("rules", Value::list(["pay-small-invoices"])),
        ("approvals", Value::List(Vec::new())),
    ];
    draft(Kind::Receipt, Some(session), Value::map(data))
}

/// What became of effect `number`.
#[must_use]
pub fn outcome(session: RunId, number: u64) -> Draft {
    let data = [
        ("receipt", Value::from(ReceiptId::from_uuid(id(number)))),
        ("disposition", "completed".into()),
        ("cost_micros", 200_u64.into()),
        ("attempts", 1_u64.into()),
    ];
    draft(Kind::Outcome, Some(session), Value::map(data))
}

/// The refusal of effect `number`.
#[must_use]
pub fn denial(session: RunId, number: u64) -> Draft {
    let data = [
        ("id", Value::from(DenialId::from_uuid(id(number)))),
        ("intent", digest(&format!("intent {number}"))),
        ("action", "http.request".into()),
        ("resource", "Host::\"bank.example\"".into()),
        ("effect", digest(&format!("effect {number}"))),
        ("step", "pay/send".into()),
        ("check", "canon".into()),
        ("code", "no_permit".into()),
        ("procedure", 1_u64.into()),
        ("snapshot", digest("snapshot")),
    ];
    draft(Kind::Denial, Some(session), Value::map(data))
}

/// A body of so many bytes of text.
#[must_use]
pub fn body(bytes: usize) -> Vec<u8> {
    Value::map([("text", "x".repeat(bytes))]).canonical()
}

/// The draft with a body that is about `subject`.
#[must_use]
pub fn with_body(mut draft: Draft, subject: Option<&str>, bytes: Vec<u8>) -> Draft {
    draft.body = Some(BodyDraft { subject: subject.map(str::to_owned), bytes });
    draft
}

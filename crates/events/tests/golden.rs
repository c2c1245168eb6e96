//! What goes out, byte for byte: a change here is a change for everybody who listens.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use cog_base::entropy::SeededEntropy;
use cog_base::json::{Map, Value, parse};
use cog_base::{Digest, Timestamp};
use cog_conformance::{
    canon_activated, denial, evidence, outcome, receipt, run, sealed, started, tenant,
};
use cog_events::{BYTES_MAX, Event, Facts, Types, check, read, type_of};
use cog_ledger::memory::{MemoryKeys, MemoryShelf};
use cog_ledger::{Draft, Entry, Kind, Writer};
use expect_test::{Expect, expect};

const ORIGIN: &str = "cognitionos.local/ten_00000000010000000000000001";

/// Entries one second apart, behind the genesis of a log.
fn entries(drafts: impl IntoIterator<Item = Draft>) -> Vec<Entry> {
    let mut writer =
        Writer::new(MemoryShelf::default(), Box::new(MemoryKeys::default()), "cognitionos/test");
    let mut entropy = SeededEntropy::new(7);
    let mut all = Vec::new();
    for (second, draft) in (0..).zip(drafts) {
        let now = Timestamp::from_micros(1_771_322_400_000_000 + second * 1_000_000);
        let written = writer.append(vec![(tenant(1), draft)], now, &mut entropy).unwrap();
        all.extend(written.iter().map(|entry| Entry::clone(entry)));
    }
    all
}

fn facts() -> Facts {
    Facts {
        workflow: Some("pay-supplier-invoices".to_owned()),
        started_at: Some(Timestamp::from_micros(1_771_322_398_766_000)),
        tokens: Some(567),
    }
}

fn golden(draft: Draft, expected: &Expect) {
    let entry = entries([draft]).remove(0);
    let event = Event::of(&entry, ORIGIN, &facts());
    check(&read(event.json()).unwrap()).unwrap();
    expected.assert_eq(&pretty(&parse(event.json()).unwrap(), 0));
}

/// One member a line, so that a difference is seen.
fn pretty(value: &Value, depth: usize) -> String {
    let Some(members) = value.as_map().filter(|members| !members.is_empty()) else {
        return value.to_string();
    };
    let pad = "  ".repeat(depth + 1);
    let line =
        |(name, value): (&String, &Value)| format!("{pad}{name}: {}\n", pretty(value, depth + 1));
    let lines: String = members.iter().map(line).collect();
    format!("{{\n{lines}{}}}", "  ".repeat(depth))
}

#[test]
fn a_run_that_ended() {
    golden(
        sealed(run(2), "completed"),
        &expect![[r#"
            {
              data: {
                actor: "agent:clerk"
                cost_micros: 0
                domain: "accounts-payable"
                duration_ms: 1234
                entry: {
                  denials: 0
                  entries: 0
                  outcomes: {
                    abandoned: 0
                    completed: 0
                    failed: 0
                    unknown: 0
                  }
                  receipts: 0
                  spent_micros: 0
                  status: "completed"
                  trace: "sha256:e681ef9377c8af4f8dc520afde6df4a2e36ff71e951802d57bbea72202e0aa13"
                }
                environment: "test"
                execution_id: "run_0000000002e008000000000001"
                leaf: "sha256:798e1d273b73543854d8b3035accf5b80559705a272158c40b5ca554182f0720"
                status: "succeeded"
                tenant_id: "ten_0000000001e008000000000001"
                token_usage: 567
                workflow_id: "pay-supplier-invoices"
              }
              datacontenttype: "application/json"
              id: "cognitionos.local/ten_00000000010000000000000001/1/798e1d273b735438"
              partitionkey: "run_0000000002e008000000000001"
              sequence: "00000000000000000001"
              source: "/core-engine/workflows"
              specversion: "1.0"
              subject: "run_0000000002e008000000000001"
              time: "2026-02-17T10:00:00.000000Z"
              type: "workflow.execution.completed"
            }"#]],
    );
}

#[test]
fn a_run_that_began() {
    golden(
        started(run(2)),
        &expect![[r#"
            {
              data: {
                actor: "agent:clerk"
                domain: "accounts-payable"
                entry: {
                  definition: "sha256:4c4ed1afbfdaa1e4c3bf7bbb82d730cecb7e384da91eea4f3cc093fd545524d6"
                  initiator: "user:cfo"
                  inputs: "sha256:32381523e63197c929b67f793a8098bed0ae3a6fa902634fdbcc6fa4567f3346"
                  roots: {}
                  workflow: "pay-supplier-invoices"
                }
                environment: "test"
                execution_id: "run_0000000002e008000000000001"
                leaf: "sha256:73a8a02e94bf1813cbd371293e4c6a400e628241179fb59bcbebd0195fe433d0"
                status: "running"
                tenant_id: "ten_0000000001e008000000000001"
                workflow_id: "pay-supplier-invoices"
              }
              datacontenttype: "application/json"
              id: "cognitionos.local/ten_00000000010000000000000001/1/73a8a02e94bf1813"
              partitionkey: "run_0000000002e008000000000001"
              sequence: "00000000000000000001"
              source: "/core-engine/workflows"
              specversion: "1.0"
              subject: "run_0000000002e008000000000001"
              time: "2026-02-17T10:00:00.000000Z"
              type: "workflow.execution.started"
            }"#]],
    );
}

#[test]
fn a_receipt() {
    golden(
        receipt(run(2), 3),
        &expect![[r#"
            {
              data: {
                actor: "agent:clerk"
                domain: "accounts-payable"
                entry: {
                  action: "file.write"
                  approvals: []
                  effect: "sha256:c61ca590625374321a9346319c8841725b586380c9b06ccfc933b2c589859f2e"
                  expires: "2030-03-17T17:46:40.000000Z"
                  id: "rcp_0000000003e008000000000001"
                  intent: "sha256:cf847f974ca7b97df94e23e62019ece2ad7792812f966a34116a128428c24ec1"
                  procedure: 1
                  reserve_micros: 200
                  resource: "Root::\"payments\""
                  rules: ["pay-small-invoices"]
                  snapshot: "sha256:16a0eeb0791b6c92451fd284dd9f599e0a7dbe7f6ebea6e2d2d06c7f74aec112"
                  step: "pay/write"
                }
                environment: "test"
                execution_id: "run_0000000002e008000000000001"
                leaf: "sha256:e938020cfac440e07762e463f7652ea3de4580ab7326fe3cff3e10514ae4b2bb"
                tenant_id: "ten_0000000001e008000000000001"
                workflow_id: "pay-supplier-invoices"
              }
              datacontenttype: "application/json"
              id: "cognitionos.local/ten_00000000010000000000000001/1/e938020cfac440e0"
              partitionkey: "run_0000000002e008000000000001"
              sequence: "00000000000000000001"
              source: "/core-engine/workflows"
              specversion: "1.0"
              subject: "rcp_0000000003e008000000000001"
              time: "2026-02-17T10:00:00.000000Z"
              type: "cognitionos.receipt"
            }"#]],
    );
}

#[test]
fn a_canon_that_binds() {
    golden(
        canon_activated("1"),
        &expect![[r#"
            {
              data: {
                actor: "agent:clerk"
                domain: "accounts-payable"
                entry: {
                  basis: "genesis"
                  digest: "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
                }
                environment: "test"
                leaf: "sha256:c6ead6db68f1cdcf8fae5c274917c7dedfd85505ac085c9e8c7e6fa72d21627b"
                tenant_id: "ten_0000000001e008000000000001"
              }
              datacontenttype: "application/json"
              id: "cognitionos.local/ten_00000000010000000000000001/1/c6ead6db68f1cdcf"
              partitionkey: "ten_0000000001e008000000000001"
              sequence: "00000000000000000001"
              source: "/core-engine/ledger"
              specversion: "1.0"
              time: "2026-02-17T10:00:00.000000Z"
              type: "cognitionos.canon.activated"
            }"#]],
    );
}

#[test]
fn types_are_the_words_of_the_ledger_but_for_how_a_run_stands() {
    let named = [
        (Kind::SessionStarted, "workflow.execution.started"),
        (Kind::SessionSealed, "workflow.execution.completed"),
        (Kind::Receipt, "cognitionos.receipt"),
        (Kind::ApprovalRequested, "cognitionos.approval.requested"),
        (Kind::CanonActivated, "cognitionos.canon.activated"),
    ];
    for (kind, name) in named {
        assert_eq!(type_of(kind), name);
    }
    for kind in Kind::ALL.iter().filter(|kind| !kind.as_str().starts_with("session.")) {
        assert_eq!(type_of(*kind), format!("cognitionos.{kind}"));
    }
}

#[test]
fn a_run_is_told_to_have_completed_by_its_seal_alone() {
    let all = entries([
        started(run(2)),
        receipt(run(2), 3),
        outcome(run(2), 3),
        denial(run(2), 4),
        sealed(run(2), "refused"),
        evidence("5"),
    ]);
    let completed = Types::matching(["workflow.execution.completed"]);
    let told = all.iter().map(|entry| Event::of(entry, ORIGIN, &facts()));
    let told: Vec<Event> = told.filter(|event| completed.wants(event.kind())).collect();
    assert_eq!(told.iter().map(Event::seq).collect::<Vec<_>>(), [5]);
    assert!(told.iter().all(|event| event.json().contains(r#""status":"refused""#)));
}

#[test]
fn the_words_for_how_a_run_ended() {
    let word = |status: &str| {
        let entry = entries([sealed(run(2), status)]).remove(0);
        let event = parse(Event::of(&entry, ORIGIN, &facts()).json()).unwrap();
        event.at(&["data", "status"]).unwrap().as_text().unwrap().to_owned()
    };
    let words = ["completed", "failed", "refused", "cancelled"].map(word);
    assert_eq!(words, ["succeeded", "failed", "refused", "cancelled"]);
}

#[test]
fn an_event_is_the_same_whenever_it_is_made_and_no_other_has_its_id() {
    let all = entries((0..20).map(|number| receipt(run(2), number)));
    let make =
        || -> Vec<Event> { all.iter().map(|entry| Event::of(entry, ORIGIN, &facts())).collect() };
    assert_eq!(make(), make());
    let mut ids: Vec<String> = make().iter().map(|event| event.id().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
    let ordered: Vec<String> = make().iter().map(|event| event.sequence().to_owned()).collect();
    assert!(ordered.is_sorted());
}

#[test]
fn the_events_of_a_log_that_goes_on_from_an_older_copy_have_ids_of_their_own() {
    let [first, second] = ["lost", "instead"].map(|source| {
        let entry = entries([evidence("kept"), evidence(source)]).remove(1);
        Event::of(&entry, ORIGIN, &Facts::default())
    });
    assert_eq!(first.seq(), second.seq());
    assert_ne!(first.id(), second.id());
}

#[test]
fn what_is_not_known_any_more_is_left_out() {
    let entry = entries([sealed(run(2), "completed")]).remove(0);
    let event = parse(Event::of(&entry, ORIGIN, &Facts::default()).json()).unwrap();
    check(&event).unwrap();
    let data = event.get("data").unwrap();
    for gone in ["workflow_id", "duration_ms", "token_usage"] {
        assert!(data.get(gone).is_none(), "{gone}");
    }
    assert_eq!(data.get("execution_id").unwrap().as_text().unwrap(), run(2).to_string());
}

#[test]
fn an_event_is_no_larger_than_all_must_forward() {
    let note = "n".repeat(64_000);
    let data =
        [("source", Value::from("x")), ("digest", Digest::of(&[]).into()), ("note", note.into())];
    let mut draft = evidence("x");
    draft.data = data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map>();
    let small = Event::of(&entries([evidence("x")]).remove(0), ORIGIN, &Facts::default());
    let long = "o".repeat(1_500);
    let event = Event::of(&entries([draft]).remove(0), &long, &Facts::default());
    assert!(event.json().len() <= BYTES_MAX);
    assert!(event.json().contains(r#""entry_omitted":true"#));
    assert!(!small.json().contains("entry_omitted"));
    check(&parse(event.json()).unwrap()).unwrap();
}

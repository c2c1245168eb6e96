//! A decision is made again from its record, and comes out the same.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::entropy::SeededEntropy;
use cog_base::id::ApprovalId;
use cog_base::json::{Canonical, Object, parse};
use cog_base::{Digest, Micros, Period, Timestamp, Value};
use cog_canon::Canon;
use cog_gate::decision::{PROCEDURE, decide, decide_by, read_record};
use cog_gate::snapshot::{
    Access, Allowance, Approval, Conflict, Folder, Snapshot, Spread, Tally, TenantStatus,
};
use cog_gate::{AnyEffect, Effect, Intent};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::decisions::preview;
use crate::house::{CLERK, House, actor, canon, chat, get, noon, pay, read};

const PEOPLE: [&str; 4] = ["user:ada", "user:bob", "user:cfo", "user:eve"];
const POLICIES: [&str; 2] = ["pay.small", "write.notes"];

fn effects() -> impl Strategy<Value = AnyEffect> {
    prop_oneof![
        (0..3_u64).prop_map(|step| pay("acme", 60_000 + step * 40_000).into()),
        Just(read("invoices", "acme.txt").into()),
        Just(read("payments", "../x").into()),
        Just(get("https://api.example.com/").into()),
        (1..9_u64).prop_map(|tokens| chat("hello", tokens).into()),
    ]
}

prop_compose! {
    fn intents()(effect in effects(), who in 0..3_usize, cost in any::<u64>(), risk in 0..2_usize)
        -> Intent
    {
        let house = House::new();
        let who = [CLERK, "user:bob", "agent:stranger"][who];
        let risk = ["low", "high"][risk];
        Intent::new(&house.origin, "pay", actor(who), &effect, Micros::new(cost), risk)
    }
}

fn allowance() -> impl Strategy<Value = Allowance> {
    let number = || prop_oneof![0..4_u64, any::<u64>()];
    (number(), option::of(number())).prop_map(|(used, limit)| Allowance { used, limit })
}

prop_compose! {
    fn approval()(
        seed in any::<u64>(),
        own_intent in any::<bool>(),
        own_canon in any::<bool>(),
        by in btree_set(0..PEOPLE.len(), 0..3),
        rejected in any::<bool>(),
        left_ms in 0..3_u64,
    ) -> (bool, bool, Approval) {
        let digest = Digest::of(&[&seed.to_be_bytes()]);
        let id = ApprovalId::new(noon(), &mut SeededEntropy::new(seed)).unwrap();
        let by = by.into_iter().map(|who| PEOPLE[who].to_owned()).collect();
        let expires = noon().plus_ms(left_ms);
        (own_intent, own_canon, Approval { id, intent: digest, canon: digest, by, rejected, escalated: rejected, expires })
    }
}

fn spreads() -> impl Strategy<Value = Spread> {
    let number = || prop_oneof![0..4_u64, any::<u64>()];
    let actions = btree_set(0..AnyEffect::ACTIONS.len(), 0..4);
    let by_policy = || btree_map(0..POLICIES.len(), number(), 0..2);
    (number(), 0..2_u64, number(), actions, by_policy(), by_policy()).prop_map(
        |(resources, adds, amount, actions, counts, sums)| Spread {
            resources,
            adds,
            amount,
            actions: actions.into_iter().map(|it| AnyEffect::ACTIONS[it].to_owned()).collect(),
            receipts_by_policy: named(counts, ""),
            sums_by_policy: named(sums, " args.document.amount_cents"),
        },
    )
}

fn tally(period: Period, (spread, cost_micros): (Spread, u64)) -> (Period, Tally) {
    let Spread { resources, adds, amount, receipts_by_policy, sums_by_policy, .. } = spread;
    let (start, effects) = (period.start(noon()), resources / 2);
    let tally = Tally {
        start,
        effects,
        amount,
        cost_micros,
        resources,
        adds,
        receipts_by_policy,
        sums_by_policy,
    };
    (period, tally)
}

fn named(numbers: BTreeMap<usize, u64>, ending: &str) -> BTreeMap<String, u64> {
    numbers.into_iter().map(|(it, number)| (format!("{}{ending}", POLICIES[it]), number)).collect()
}

prop_compose! {
    fn snapshots()(
        later_ms in 0..3_u64,
        clock_behind_ms in prop_oneof![Just(0_u64), 4_999..5_002_u64],
        tenant in 0..3_usize,
        entitled in option::of(btree_set(0..AnyEffect::ACTIONS.len(), 0..7)),
        effects in allowance(),
        budget in allowance(),
        canon in 0..3_usize,
        roots in btree_map(0..2_usize, any::<bool>(), 0..3),
        approvals in vec(approval(), 0..3),
        conflicts in btree_set((0..2_u8, 0..2_u8), 0..2),
        spread in spreads(),
        periods in btree_map(0..4_usize, (spreads(), any::<u64>()), 0..3),
        folder in option::of(0..3_usize),
        intent in intents(),
    ) -> (Intent, Snapshot) {
        let version = house_canon().digest();
        let approvals = approvals.into_iter().map(|(own_intent, own_canon, mut approval)| {
            approval.intent = if own_intent { intent.digest() } else { approval.intent };
            approval.canon = if own_canon { version } else { approval.canon };
            approval
        });
        let access = |write| if write { Access::Write } else { Access::Read };
        let snapshot = Snapshot {
            now: noon().plus_ms(later_ms),
            clock_behind_ms,
            tenant: [TenantStatus::Active, TenantStatus::Suspended, TenantStatus::Unknown][tenant],
            entitled: entitled.map(|set| {
                set.into_iter().map(|it| AnyEffect::ACTIONS[it].to_owned()).collect::<BTreeSet<_>>()
            }),
            effects,
            budget,
            canon: [None, Some(version), Some(Digest::of(&[]))][canon],
            roots: roots
                .into_iter()
                .map(|(it, write)| (["invoices", "payments"][it].to_owned(), access(write)))
                .collect(),
            folder: folder.map(|it| Folder::new(["/w", "/w/out", "/etc"][it], "/w")),
            approvals: approvals.collect(),
            conflicts: conflicts
                .into_iter()
                .map(|(key, holder)| Conflict { key: key.to_string(), holder: holder.to_string() })
                .collect(),
            spread,
            periods: periods.into_iter().map(|(it, used)| tally(Period::ALL[it], used)).collect(),
        };
        (intent, snapshot)
    }
}

/// The canon is the same in every case; it is loaded once.
pub(crate) fn house_canon() -> &'static Canon {
    static CANON: std::sync::OnceLock<Canon> = std::sync::OnceLock::new();
    CANON.get_or_init(canon)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_reads_back_whole_and_decides_the_same((intent, snapshot) in snapshots()) {
        let canon = Some(house_canon());
        let decision = decide(&intent, &snapshot, canon);
        let mut record = Vec::new();
        Object::new(&mut record)
            .put("intent", &intent)
            .put("snapshot", &snapshot)
            .put("trace", &decision)
            .end();
        let kept = parse(&String::from_utf8(record.clone()).unwrap()).unwrap();
        prop_assert_eq!(kept.canonical(), record, "it is written in the one canonical way");
        let (intent_again, snapshot_again) = read_record(&kept).unwrap();
        prop_assert_eq!(&intent_again, &intent);
        prop_assert_eq!(&snapshot_again, &snapshot);
        prop_assert_eq!(snapshot_again.digest(), snapshot.digest());
        let again = decide_by(PROCEDURE, &intent_again, &snapshot_again, canon).unwrap();
        prop_assert_eq!(again.canonical(), kept.get("trace").unwrap().canonical());
        prop_assert_eq!(again, decision);
    }

    #[test]
    fn nothing_is_allowed_unless_every_check_passes((intent, snapshot) in snapshots()) {
        let decision = decide(&intent, &snapshot, Some(house_canon()));
        let passes = decision.checks.iter().all(|it| it.outcome == cog_gate::decision::Outcome::Pass);
        prop_assert_eq!(decision.verdict == cog_gate::decision::Verdict::Allow, passes);
        prop_assert!(snapshot.canon == Some(house_canon().digest()) || !passes);
    }
}

fn value(thing: &impl Canonical) -> Value {
    parse(&String::from_utf8(thing.canonical()).unwrap()).unwrap()
}

#[test]
fn a_record_that_was_changed_is_not_read() {
    let mut house = House::new();
    let (intent, snapshot) = preview(&mut house, CLERK, &pay("acme", 100).into());
    let whole = Value::map([("intent", value(&intent)), ("snapshot", value(&snapshot))]);
    let text = whole.to_string();
    assert!(read_record(&whole).is_ok());
    let refuses = |from: &str, to: &str, part: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        let changed = parse(&text.replacen(from, to, 1)).unwrap();
        assert_eq!(read_record(&changed).unwrap_err().part, part, "{from} to {to}");
    };
    refuses("\"amount_cents\":100", "\"amount_cents\":101", "effect");
    refuses("\"actor\":\"agent:clerk\"", "\"actor\":\"user:bob\"", "digest");
    refuses("\"initiator\":\"user:ada\"", "\"initiator\":\"user:eve\"", "context");
    refuses("\"cost_micros\":0", "\"cost_micros\":1", "context");
    refuses("\"risk\":\"medium\"", "\"risk\":\"low\"", "digest");
    refuses("\"tenant\":\"active\"", "\"tenant\":\"happy\"", "tenant");
}

#[test]
fn a_later_procedure_is_not_guessed() {
    let mut house = House::new();
    let (intent, snapshot) = preview(&mut house, CLERK, &read("invoices", "a").into());
    assert!(decide_by(PROCEDURE + 1, &intent, &snapshot, house.canon.as_deref()).is_err());
}

#[test]
fn the_digest_binds_the_action_and_every_argument() {
    let small = pay("acme", 100);
    let same = pay("acme", 100);
    assert_eq!(small.digest(), same.digest());
    for other in [pay("acme", 101), pay("acmf", 100)] {
        assert_ne!(small.digest(), other.digest());
    }
    assert_ne!(
        read("a", "b").digest(),
        cog_gate::effect::FileDelete { root: "a".into(), path: "b".into() }.digest()
    );
}

#[test]
fn the_time_of_a_decision_is_never_before_the_ledger() {
    let mut house = House::new();
    house.now = Timestamp::MIN;
    let (_, snapshot) = preview(&mut house, CLERK, &read("invoices", "a").into());
    assert_eq!(snapshot.now, noon());
}

//! Logs are written gapless, whole or not at all, and go on where they ended.

use std::sync::Arc;

use cog_base::Digest;
use cog_ledger::audit::Audit;
use cog_ledger::merkle::Frontier;
use cog_ledger::session::Tally;
use cog_ledger::{Kind, SealedBatch, SealedEntry, Shelf as _};
use cog_store::{Select, StoreError};

use crate::{House, Place, evidence, outcome, receipt, run, sealed, started, tenant};

/// Nothing is there before anything was written.
pub fn an_empty_store_has_nothing(place: &dyn Place) {
    let house = House::at(place);
    assert_eq!(house.store().tenants().unwrap(), []);
    let scope = house.scope(tenant(1));
    assert_eq!(scope.tenant(), tenant(1));
    assert!(scope.tail().unwrap().is_none() && scope.checkpoint().unwrap().is_none());
    assert!(scope.entry(0).unwrap().is_none() && scope.body(0).unwrap().is_none());
    assert!(scope.leaf(0).unwrap().is_none() && scope.node(8, 0).unwrap().is_none());
    assert!(scope.select(&Select::default()).unwrap().is_empty());
    assert!(scope.sessions(10).unwrap().is_empty() && scope.open_sessions().unwrap().is_empty());
    assert_eq!(scope.pruned().unwrap(), cog_store::Pruned::default());
}

/// The writer's own genesis is kept as entry 0.
pub fn the_first_entry_opens_a_log_with_a_genesis(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("first")]);
    let entries = house.entries(tenant(1));
    let kinds: Vec<Kind> = entries.iter().map(cog_ledger::Entry::kind).collect();
    assert_eq!(kinds, [Kind::Genesis, Kind::Evidence]);
}

/// What is read is what was written, to the byte.
pub fn entries_come_back_byte_for_byte(place: &dyn Place) {
    let mut house = House::at(place);
    let drafts = (0..50).map(|number| evidence(&format!("\u{1F600} \"{number}\"\n")));
    let written = house.append(tenant(1), drafts);
    house.reopen();
    for entry in written {
        let read = house.scope(tenant(1)).entry(entry.seq()).unwrap().unwrap();
        assert_eq!(read, *entry);
        assert_eq!(read.bytes(), entry.bytes());
    }
}

/// Batches of all sizes make one gapless log.
pub fn sequence_numbers_have_no_gaps(place: &dyn Place) {
    let mut house = House::at(place);
    for size in [1, 2, 7, 255, 1, 300] {
        house.append(tenant(1), (0..size).map(|number| evidence(&number.to_string())));
    }
    let entries = house.entries(tenant(1));
    assert_eq!(entries.len(), 567);
    assert!((0..).zip(&entries).all(|(seq, entry)| entry.seq() == seq));
}

/// Too early, too late, and twice are all refused, and nothing of them is kept.
pub fn a_batch_that_does_not_begin_at_the_end_is_refused(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("1"), evidence("2")]);
    let before = house.scope(tenant(1)).tail().unwrap();
    for first in [0, 2, 4] {
        let batch = copy_of_the_log(&house, first);
        let error = house.writer().shelf().commit(&[batch]).unwrap_err();
        assert!(!error.transient);
        let why = error.source.downcast_ref::<StoreError>().unwrap();
        assert!(matches!(why, StoreError::HeadMoved { size: 3, .. }), "{why:?}");
        assert_eq!(house.scope(tenant(1)).tail().unwrap(), before);
        assert_eq!(house.entries(tenant(1)).len(), 3);
    }
    house.append(tenant(1), [evidence("3")]);
    assert_eq!(house.entries(tenant(1)).len(), 4);
}

/// A batch of the log's own first entry that claims to begin at `first`.
fn copy_of_the_log(house: &House<'_>, first: u64) -> SealedBatch {
    let scope = house.scope(tenant(1));
    let entry = scope.entry(0).unwrap().unwrap();
    let tail = scope.tail().unwrap().unwrap();
    SealedBatch {
        tenant: tenant(1),
        first,
        entries: vec![SealedEntry { entry: Arc::new(entry), body: None }],
        nodes: Vec::new(),
        frontier: tail.frontier,
        checkpoint: tail.checkpoint,
    }
}

/// A good batch in the same commit as a bad one is not kept either.
pub fn a_refusal_takes_the_whole_commit_with_it(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("1")]);
    let bad = copy_of_the_log(&house, 9);
    let mut frontier = Frontier::new();
    frontier.push(Digest::of(&[b"leaf"]), |_, _, _| {});
    let good = SealedBatch { tenant: tenant(2), first: 0, frontier, ..copy_of_the_log(&house, 0) };
    assert!(house.writer().shelf().commit(&[good, bad]).is_err());
    assert_eq!(house.store().tenants().unwrap(), [tenant(1)]);
    assert!(house.scope(tenant(2)).tail().unwrap().is_none());
    assert_eq!(house.entries(tenant(1)).len(), 2);
    house.append_all(vec![(tenant(2), evidence("1")), (tenant(1), evidence("2"))]);
    assert_eq!(house.entries(tenant(2)).len(), 2);
}

/// The second batch begins where the first one of the same commit ends.
pub fn two_batches_of_one_log_may_share_a_commit(place: &dyn Place) {
    let mut log = cog_ledger::Writer::new(
        cog_ledger::memory::MemoryShelf::default(),
        Box::new(cog_ledger::memory::MemoryKeys::default()),
        "cognitionos/test",
    );
    let mut entropy = cog_base::entropy::SeededEntropy::new(3);
    let now = cog_base::Clock::now(&crate::Stopped);
    for source in ["1", "2"] {
        log.append(vec![(tenant(1), evidence(source))], now, &mut entropy).unwrap();
    }
    let kept = log.into_shelf();
    let kept = kept.log(tenant(1)).unwrap();
    let batch = |first: u64, end: u64, head: usize| {
        let mut frontier = Frontier::new();
        kept.entries().take(usize::try_from(end).unwrap()).for_each(|entry| {
            frontier.push(entry.leaf(), |_, _, _| {});
        });
        let entries = kept.entries.iter().filter(|one| (first..end).contains(&one.entry.seq()));
        SealedBatch {
            tenant: tenant(1),
            first,
            entries: entries.cloned().collect(),
            nodes: Vec::new(),
            frontier,
            checkpoint: kept.checkpoints[head].clone(),
        }
    };
    let mut house = House::at(place);
    house.writer().shelf().commit(&[batch(0, 2, 0), batch(2, 3, 1)]).unwrap();
    assert_eq!(house.entries(tenant(1)).len(), 3);
    assert_eq!(house.scope(tenant(1)).checkpoints(0, 10).unwrap().len(), 2);
    assert_eq!(house.scope(tenant(1)).tail().unwrap().unwrap().frontier.size(), 3);
}

/// The shelf is given once, and again when it was given back.
pub fn there_is_one_writer_at_a_time(place: &dyn Place) {
    let store = place.open();
    let shelf = store.shelf().unwrap();
    assert!(matches!(store.shelf().err(), Some(StoreError::WriterTaken)));
    drop(shelf);
    assert!(store.shelf().is_ok());
}

/// Tail, entries and heads are the same after closing, and the writer goes on.
pub fn a_log_goes_on_where_it_was_closed(place: &dyn Place) {
    let mut house = House::at(place);
    for round in 1..=5_u64 {
        house.append(tenant(1), (0..300).map(|number| evidence(&number.to_string())));
        let before = house.scope(tenant(1)).tail().unwrap();
        house.reopen();
        assert_eq!(house.scope(tenant(1)).tail().unwrap(), before);
        assert_eq!(before.unwrap().frontier.size(), 1 + 300 * round);
    }
}

/// The key in force after a rotation is found again, and so is the rotation.
pub fn a_rotated_key_is_there_again_after_closing(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("1")]);
    house.rotate(tenant(1));
    house.reopen();
    house.append(tenant(1), [evidence("2")]);
    let kinds: Vec<Kind> = house.entries(tenant(1)).iter().map(cog_ledger::Entry::kind).collect();
    assert_eq!(kinds, [Kind::Genesis, Kind::Evidence, Kind::KeyRotated, Kind::Evidence]);
}

/// A writer that knows nothing goes on from what is kept.
pub fn a_writer_that_reads_the_end_again_finds_it(place: &dyn Place) {
    let mut house = House::at(place);
    for number in 0..10_u64 {
        let entries = house.append(tenant(1), [evidence("again")]);
        assert_eq!(entries[0].seq(), number + 1);
        house.forget();
    }
}

/// One commit for many logs, several times.
pub fn many_logs_share_a_commit(place: &dyn Place) {
    let mut house = House::at(place);
    for _ in 0..3 {
        house.append_all((0..200).map(|number| (tenant(number), evidence("1"))).collect());
    }
    assert_eq!(house.store().tenants().unwrap().len(), 200);
    for number in 0..200 {
        assert_eq!(house.scope(tenant(number)).tail().unwrap().unwrap().frontier.size(), 4);
    }
}

/// What is read back is a log that an auditor accepts, and its head is signed by its key.
pub fn the_audit_finds_nothing(place: &dyn Place) {
    let mut house = House::at(place);
    let mut tally = Tally::default();
    let mut add = |house: &mut House<'_>, drafts: Vec<cog_ledger::Draft>| {
        house.append(tenant(1), drafts).iter().for_each(|entry| tally.add(entry));
        tally.seal("completed")
    };
    add(&mut house, vec![started(run(1))]);
    let mut seal = Default::default();
    for number in 0..20 {
        seal = add(&mut house, vec![receipt(run(1), number), outcome(run(1), number)]);
    }
    let mut end = sealed(run(1), "completed");
    end.data = seal;
    house.append(tenant(1), [end]);
    house.reopen();
    let mut audit = Audit::new(0);
    house.entries(tenant(1)).iter().for_each(|entry| audit.entry(entry));
    let audited = audit.finish();
    // The entries of these tests name a canon that nobody activated.
    let others: Vec<_> =
        audited.findings.kept().iter().filter(|one| !one.code.contains("canon")).collect();
    assert!(others.is_empty(), "{others:?}");
    let keys: Vec<_> = audited.keys.into_iter().map(|one| one.key).collect();
    let head = house.scope(tenant(1)).checkpoint().unwrap().unwrap();
    assert!(head.verify(&audited.origin.unwrap(), &keys).is_ok());
}

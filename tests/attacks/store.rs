//! A store that fails, lies or was restored: nothing is done that is not recorded.

use cog_base::{Digest, Value};
use cog_gate::{Effect, End, Gate};
use cog_ledger::memory::{MemoryKeys, MemoryShelf};
use cog_ledger::{
    AppendError, Checkpoint, Draft, Durable, Entry, Kind, SealedBatch, Shelf, ShelfError, Tail,
    Writer,
};

use crate::house::{CLERK, House, ample, pay};

/// A shelf on a disk that is full, or whose answer is lost after it kept what it was given.
struct Failing {
    kept: MemoryShelf,
    is_full: bool,
    loses_answers: bool,
}

impl Shelf for Failing {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        if self.is_full {
            return Err(ShelfError::transient("no space left on device"));
        }
        self.kept.commit(batches)?;
        if self.loses_answers { Err(ShelfError::transient("no answer")) } else { Ok(()) }
    }

    fn tail(&mut self, tenant: cog_base::id::TenantId) -> Result<Option<Tail>, ShelfError> {
        self.kept.tail(tenant)
    }
}

fn failing(is_full: bool, loses_answers: bool) -> Writer<Failing> {
    let kept = MemoryShelf::default();
    let shelf = Failing { kept, is_full, loses_answers };
    Writer::new(shelf, Box::new(MemoryKeys::default()), "cognitionos/test")
}

fn append(
    house: &mut House,
    writer: &mut Writer<Failing>,
    draft: Draft,
) -> Result<Vec<Durable<Entry>>, AppendError> {
    writer.append(vec![(house.origin.tenant, draft)], house.now, &mut house.entropy)
}

#[test]
fn on_a_full_disk_there_is_no_receipt_and_so_no_permit() {
    let mut house = House::new();
    let mut writer = failing(true, false);
    let mut pending = house.pending(pay("acme", 1));
    let draft = pending.take_draft().unwrap();
    assert!(append(&mut house, &mut writer, draft).is_err());
    assert!(writer.shelf().kept.log(house.origin.tenant).is_none());
    // There is no durable entry to get a permit with, and another one is not enough.
    let other = house.record(house.draft(
        Kind::Evidence,
        CLERK,
        [("source", "test".into()), ("digest", Digest::of(&[]).into())],
    ));
    assert!(pending.granted(&other).is_err());
}

#[test]
fn on_a_full_disk_what_was_reserved_stays_reserved() {
    let mut house = House::new();
    let mut writer = failing(true, false);
    let mut pending = house.pending(pay("acme", 1));
    let draft = pending.take_draft().unwrap();
    assert!(append(&mut house, &mut writer, draft).is_err());
    drop(pending);
    assert_eq!(house.answer(CLERK, pay("acme", 1)), "waits for file:payments/acme.json");
}

#[test]
fn when_the_answer_of_the_store_is_lost_the_receipt_is_settled_and_not_performed() {
    let mut house = House::new();
    let mut writer = failing(false, true);
    let effect = pay("acme", 1);
    let mut pending = house.pending(effect.clone());
    let receipt = pending.receipt();
    let draft = pending.take_draft().unwrap();
    let kept: Value = cog_base::json::parse(&text(&draft)).unwrap();
    assert!(append(&mut house, &mut writer, draft).is_err(), "nothing durable is handed out");
    drop(pending);
    // After the restart the receipt is found open. It can be settled, never performed.
    writer.shelf().loses_answers = false;
    let (intent, _) = cog_gate::decision::read_record(&kept).unwrap();
    let lost = house.gate.lost(receipt, &intent, effect, house.in_force, None);
    let (draft, settling) = lost.settle(End::Abandoned);
    let entry = append(&mut house, &mut writer, draft).unwrap().remove(0);
    assert!(settling.settled(&entry).is_ok());
    let log = writer.shelf().kept.log(house.origin.tenant).unwrap();
    let kinds: Vec<_> = log.entries().map(|entry| entry.kind()).collect();
    assert_eq!(kinds, [Kind::Genesis, Kind::Receipt, Kind::Outcome]);
}

fn text(draft: &Draft) -> String {
    String::from_utf8(draft.body.as_ref().unwrap().bytes.clone()).unwrap()
}

#[test]
fn an_outcome_that_is_not_kept_leaves_the_effect_unsettled() {
    let mut house = House::new();
    let mut writer = failing(true, false);
    let performed = house.clear(pay("acme", 1)).done(Value::Null, cog_base::Micros::ZERO);
    let (draft, _settling) = performed.settle();
    assert!(append(&mut house, &mut writer, draft).is_err());
    assert_eq!((house.count(Kind::Receipt), house.count(Kind::Outcome)), (1, 0));
}

#[test]
fn under_a_restored_store_the_writer_appends_nothing() {
    let mut house = House::new();
    let backup = house.writer.shelf().clone();
    house.perform(pay("acme", 1), Value::Null, 0);
    *house.writer.shelf() = backup;
    let mut pending = house.pending(pay("other", 1));
    let drafts = vec![(house.origin.tenant, pending.take_draft().unwrap())];
    let refused = house.writer.append(drafts, house.now, &mut house.entropy);
    assert!(matches!(refused, Err(AppendError::Shelf(_))));
}

#[test]
fn replay_after_a_restore_shows_to_whoever_kept_a_head() {
    let mut house = House::new();
    let backup = house.writer.shelf().clone();
    house.perform(pay("acme", 1), Value::Null, 0);
    let seen = head(&mut house);
    // The store is put back, the program starts anew, and the payment is made again.
    house.writer = Writer::new(backup, Box::new(house.keys.clone()), "cognitionos/test");
    house.gate = Gate::default();
    house.gate.open_session(house.origin.tenant, house.origin.session, ample());
    house.now = house.now.plus_ms(1);
    house.perform(pay("acme", 1), Value::Null, 0);
    let restored = head(&mut house);
    assert_eq!(restored.size(), seen.size());
    assert_ne!(restored.root(), seen.root(), "one key signed two histories");
}

#[test]
fn without_its_key_nobody_goes_on_with_a_log() {
    let mut house = House::new();
    let copy = house.writer.shelf().clone();
    let mut thief = Writer::new(copy, Box::new(MemoryKeys::default()), "cognitionos/test");
    let mut pending = house.pending(pay("acme", 1));
    let drafts = vec![(house.origin.tenant, pending.take_draft().unwrap())];
    let refused = thief.append(drafts, house.now, &mut house.entropy);
    assert!(matches!(refused, Err(AppendError::Sign { .. })));
}

fn head(house: &mut House) -> Checkpoint {
    house.writer.head(house.origin.tenant).unwrap().unwrap().checkpoint.clone()
}

#[test]
fn a_permit_from_before_a_restore_is_not_open_after_it() {
    let mut house = House::new();
    let backup = house.entries();
    let permit = house.permit(pay("acme", 1));
    let mut gate = Gate::default();
    for entry in backup {
        gate.observe(&entry);
    }
    assert!(gate.clear(permit, house.now).is_err());
}

#[test]
fn an_effect_that_nobody_recorded_is_not_in_the_ledger_and_was_not_done() {
    let mut house = House::new();
    let before = house.entries().len();
    let pending = house.pending(pay("acme", 1));
    assert_eq!(house.entries().len(), before);
    drop(pending);
    let digest = Value::from(pay("acme", 1).digest());
    assert!(house.entries().iter().all(|entry| entry.data().get("effect") != Some(&digest)));
}

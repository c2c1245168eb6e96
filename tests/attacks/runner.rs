//! What a worker in another process is handed: receipts that are expired, used, for another call,
//! of another tenant, or signed by another key.

use std::convert::Infallible;

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ReceiptId, TenantId};
use cog_base::{Digest, Timestamp};
use cog_gate::Effect;
use cog_gate::effect::Prices;
use cog_gate::runner::{Journal, NotAccepted, Runner, Used};
use cog_ledger::memory::KeptLog;
use cog_ledger::merkle::{Hashes, inclusion};
use cog_ledger::proof::{BadProof, ProvenEntry};
use cog_ledger::{Entry, Kind, Signer as _, SigningKey, VerifierKey};

use crate::house::{House, noon, pay};

struct Kept<'a>(&'a KeptLog);

impl Hashes for Kept<'_> {
    type Error = Infallible;

    fn leaf(&mut self, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.entries().nth(usize::try_from(index).unwrap()).map(|entry| entry.leaf()))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.nodes.get(&(level, index)).copied())
    }
}

/// The newest entry of a kind, with its proof.
pub(crate) fn proven(house: &mut House, kind: Kind) -> ProvenEntry {
    let tenant = house.origin.tenant;
    let log = house.writer.shelf().log(tenant).unwrap();
    let entry: Entry =
        log.entries().filter(|it| it.kind() == kind).last().unwrap().as_ref().clone();
    let (size, head) = (log.entries.len() as u64, log.checkpoints.last().unwrap().clone());
    let path = inclusion(&mut Kept(log), entry.seq(), size).unwrap();
    // As it travels: one text.
    ProvenEntry::new(entry, path, head).to_string().parse().unwrap()
}

pub(crate) fn key(house: &mut House) -> VerifierKey {
    house.entries()[0].text("key").unwrap().parse().unwrap()
}

/// A house with a receipt for a payment, and a worker that began with it.
fn issued() -> (House, Runner, ProvenEntry) {
    let mut house = House::new();
    let _ = house.permit(pay("acme", 100));
    let key = key(&mut house);
    let runner = Runner::new(house.origin.tenant, key.name(), vec![key.clone()], noon());
    let receipt = proven(&mut house, Kind::Receipt);
    (house, runner, receipt)
}

fn refused<E: Effect>(
    runner: &mut Runner,
    receipt: &ProvenEntry,
    effect: E,
    now: Timestamp,
) -> NotAccepted {
    match runner.accept(receipt, effect, now) {
        Ok(errand) => panic!("{} was accepted", errand.receipt()),
        Err(why) => why,
    }
}

fn id(receipt: &ProvenEntry) -> ReceiptId {
    receipt.unverified().text("id").unwrap().parse().unwrap()
}

#[test]
fn control_a_worker_acts_on_a_receipt_with_its_proof() {
    let (house, mut runner, receipt) = issued();
    let errand = runner.accept(&receipt, pay("acme", 100), noon()).unwrap();
    assert_eq!((errand.receipt(), errand.run()), (id(&receipt), house.origin.session));
    assert_eq!(errand.effect(), &pay("acme", 100));
}

#[test]
fn a_worker_does_not_use_a_receipt_twice() {
    let (_, mut runner, receipt) = issued();
    runner.accept(&receipt, pay("acme", 100), noon()).map(drop).unwrap();
    let again = refused(&mut runner, &receipt, pay("acme", 100), noon());
    assert_eq!(again, NotAccepted::Used(id(&receipt)));
}

#[test]
fn owasp_asi07_a_worker_makes_no_other_call_than_the_receipt_says() {
    let (_, mut runner, receipt) = issued();
    for other in [pay("acme", 101), pay("acme-2", 100)] {
        let why = refused(&mut runner, &receipt, other, noon());
        assert_eq!(why, NotAccepted::OtherCall { receipt: id(&receipt), action: "file.write" });
    }
    let read = crate::house::read("payments", "acme.json");
    let why = refused(&mut runner, &receipt, read, noon());
    assert_eq!(why, NotAccepted::OtherCall { receipt: id(&receipt), action: "file.read" });
    // None of these used it up.
    runner.accept(&receipt, pay("acme", 100), noon()).map(drop).unwrap();
}

#[test]
fn a_worker_does_not_act_on_an_expired_receipt_even_when_its_clock_is_set_back() {
    let (_, mut runner, receipt) = issued();
    let end: Timestamp = receipt.unverified().text("expires").unwrap().parse().unwrap();
    let expired = NotAccepted::Expired { receipt: id(&receipt), expires: end };
    assert_eq!(refused(&mut runner, &receipt, pay("acme", 100), end.plus_ms(1)), expired);
    assert_eq!(refused(&mut runner, &receipt, pay("acme", 100), noon()), expired);
}

#[test]
fn a_worker_whose_clock_is_behind_the_receipt_does_not_act() {
    let (mut house, _, receipt) = issued();
    let (key, early) = (key(&mut house), Timestamp::from_micros(noon().micros() - 60_000_000));
    let mut runner = Runner::new(house.origin.tenant, key.name(), vec![key.clone()], early);
    let why = refused(&mut runner, &receipt, pay("acme", 100), early);
    assert!(matches!(why, NotAccepted::ClockBehind { .. }), "{why}");
}

#[test]
fn a_worker_that_was_begun_again_does_not_act_on_what_its_earlier_life_may_have_used() {
    let (mut house, mut runner, receipt) = issued();
    runner.accept(&receipt, pay("acme", 100), noon()).map(drop).unwrap();
    let (key, since) = (key(&mut house), house.now.plus_ms(1));
    let mut again = Runner::new(house.origin.tenant, key.name(), vec![key.clone()], since);
    let why = refused(&mut again, &receipt, pay("acme", 100), since);
    assert_eq!(why, NotAccepted::OlderThanWorker { receipt: id(&receipt), since });
}

#[test]
fn owasp_api1_a_worker_does_not_act_on_a_receipt_of_another_tenant() {
    let (mut house, _, receipt) = issued();
    let other = TenantId::new(noon(), &mut SeededEntropy::new(99)).unwrap();
    let key = key(&mut house);
    let mut runner = Runner::new(other, key.name(), vec![key.clone()], noon());
    let why = refused(&mut runner, &receipt, pay("acme", 100), noon());
    assert!(matches!(why, NotAccepted::Proof(BadProof::OtherEntry { .. })), "{why}");
    let mut runner = Runner::new(house.origin.tenant, "another.log", vec![key], noon());
    let why = refused(&mut runner, &receipt, pay("acme", 100), noon());
    assert!(matches!(why, NotAccepted::Proof(BadProof::Checkpoint(_))), "{why}");
}

#[test]
fn a_worker_does_not_act_on_a_receipt_under_another_key() {
    let (mut house, _, receipt) = issued();
    let name = key(&mut house).name().to_owned();
    let stranger = SigningKey::new(&name, &mut SeededEntropy::new(5)).unwrap();
    let trusted = vec![stranger.public().clone()];
    let mut runner = Runner::new(house.origin.tenant, &name, trusted, noon());
    let why = refused(&mut runner, &receipt, pay("acme", 100), noon());
    assert!(matches!(why, NotAccepted::Proof(BadProof::Checkpoint(_))), "{why}");
    let mut runner = Runner::new(house.origin.tenant, &name, Vec::new(), noon());
    let why = refused(&mut runner, &receipt, pay("acme", 100), noon());
    assert!(matches!(why, NotAccepted::Proof(_)), "a worker that trusts nobody: {why}");
}

#[test]
fn a_worker_does_not_act_on_an_altered_receipt() {
    let (house, mut runner, receipt) = issued();
    let entry = receipt.unverified();
    let end = entry.text("expires").unwrap();
    let text = String::from_utf8(entry.bytes().to_vec()).unwrap();
    let altered = text.replace(end, "2036-11-24T12:15:00.000000Z");
    assert_ne!(altered, text);
    let altered = Entry::parse(altered.as_bytes()).unwrap();
    let (path, head) = (receipt.proof().path.clone(), receipt.proof().checkpoint.clone());
    let altered = ProvenEntry::new(altered, path, head);
    let why = refused(&mut runner, &altered, pay("acme", 100), house.now);
    assert!(matches!(why, NotAccepted::Proof(BadProof::NotIncluded { .. })), "{why}");
}

#[test]
fn a_worker_does_not_act_on_an_entry_that_is_no_receipt() {
    let (mut house, mut runner, _) = issued();
    house.perform(pay("other", 5), cog_base::Value::Null, 0);
    let outcome = proven(&mut house, Kind::Outcome);
    let why = refused(&mut runner, &outcome, pay("other", 5), house.now);
    assert!(matches!(why, NotAccepted::NoReceipt { kind: Kind::Outcome, .. }), "{why}");
}

/// A journal that can be full.
#[derive(Default)]
struct Notes {
    kept: Vec<Used>,
    is_full: bool,
}

impl Journal for Notes {
    fn note(&mut self, used: &Used) -> Result<(), String> {
        if self.is_full {
            return Err("the disk is full".to_owned());
        }
        self.kept.push(*used);
        Ok(())
    }
}

fn clear<E: Effect>(
    runner: &mut Runner,
    receipt: &ProvenEntry,
    effect: E,
    attempt: u64,
    notes: &mut Notes,
) -> Result<cog_gate::Cleared<E>, NotAccepted> {
    runner.clear(receipt, effect, (attempt, Prices::default()), noon(), notes)
}

/// The worker of a house in its next life.
fn next_life(house: &mut House, notes: &Notes) -> Runner {
    let key = key(house);
    let used = notes.kept.iter().copied();
    Runner::remembering(house.origin.tenant, key.name(), vec![key.clone()], used)
}

#[test]
fn control_what_a_worker_clears_is_what_the_receipt_says() {
    let (house, mut runner, receipt) = issued();
    let mut notes = Notes::default();
    let cleared = clear(&mut runner, &receipt, pay("acme", 100), 1, &mut notes).unwrap();
    assert_eq!(
        (cleared.idempotency_key(), cleared.session()),
        (id(&receipt), house.origin.session)
    );
    assert_eq!((cleared.attempt(), cleared.tenant()), (1, house.origin.tenant));
    assert_eq!(notes.kept.len(), 1, "it is noted before it is performed");
}

#[test]
fn a_receipt_is_used_once_across_the_lives_of_a_worker() {
    let (mut house, mut runner, receipt) = issued();
    let mut notes = Notes::default();
    clear(&mut runner, &receipt, pay("acme", 100), 1, &mut notes).map(drop).unwrap();
    // Neither again, nor as another attempt, nor by the worker that was killed and begun again.
    for attempt in [1, 2, 7] {
        let again = clear(&mut runner, &receipt, pay("acme", 100), attempt, &mut notes);
        assert_eq!(again.map(drop), Err(NotAccepted::Used(id(&receipt))));
        let mut next = next_life(&mut house, &notes);
        let again = clear(&mut next, &receipt, pay("acme", 100), attempt, &mut notes);
        assert_eq!(again.map(drop), Err(NotAccepted::Used(id(&receipt))));
    }
    // When nothing came of it, its owner may have it tried again.
    let mut next = next_life(&mut house, &notes);
    next.fell(id(&receipt), &mut notes).unwrap();
    let mut next = next_life(&mut house, &notes);
    let same = clear(&mut next, &receipt, pay("acme", 100), 1, &mut notes);
    assert_eq!(same.map(drop), Err(NotAccepted::Used(id(&receipt))));
    clear(&mut next, &receipt, pay("acme", 100), 2, &mut notes).map(drop).unwrap();
}

#[test]
fn what_cannot_be_noted_is_not_performed() {
    let (_, mut runner, receipt) = issued();
    let mut notes = Notes { is_full: true, ..Notes::default() };
    let none = clear(&mut runner, &receipt, pay("acme", 100), 1, &mut notes);
    assert_eq!(none.map(drop), Err(NotAccepted::NotNoted("the disk is full".to_owned())));
    notes.is_full = false;
    clear(&mut runner, &receipt, pay("acme", 100), 1, &mut notes).map(drop).unwrap();
}

#[test]
fn a_worker_clears_no_other_call_and_nothing_of_another_tenant() {
    let (mut house, mut runner, receipt) = issued();
    let mut notes = Notes::default();
    for other in [pay("acme", 101), pay("acme-2", 100)] {
        let why = clear(&mut runner, &receipt, other, 1, &mut notes).map(drop).unwrap_err();
        assert!(matches!(why, NotAccepted::OtherCall { .. }), "{why}");
    }
    let key = key(&mut house);
    let other = TenantId::new(noon(), &mut SeededEntropy::new(99)).unwrap();
    let mut stranger = Runner::remembering(other, key.name(), vec![key.clone()], []);
    let why = clear(&mut stranger, &receipt, pay("acme", 100), 1, &mut notes).map(drop);
    assert!(matches!(why, Err(NotAccepted::Proof(BadProof::OtherEntry { .. }))), "{why:?}");
    assert_eq!(stranger.knows(&receipt, &pay("acme", 100)).map(drop), why);
    assert!(notes.kept.is_empty(), "what is refused is not used up");
}

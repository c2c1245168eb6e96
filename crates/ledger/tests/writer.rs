//! The writer: what it says is recorded is recorded, whatever the shelf does.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use cog_base::entropy::{Entropy, NoEntropy, SeededEntropy};
use cog_base::id::{RunId, TenantId};
use cog_base::json::{Map, Value, parse};
use cog_base::{Digest, Timestamp};
use cog_ledger::entry::BYTES_MAX;
use cog_ledger::memory::{MemoryKeys, MemoryShelf};
use cog_ledger::merkle::{Frontier, Hashes, inclusion};
use cog_ledger::proof::ProvenEntry;
use cog_ledger::{
    AppendError, BodyDraft, Draft, Entry, EntryError, Kind, Prepared, SealedBatch, Shelf,
    ShelfError, Tail, VerifierKey, Writer,
};

fn now(ms: u64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000).plus_ms(ms)
}

fn tenant(seed: u64) -> TenantId {
    TenantId::new(now(0), &mut SeededEntropy::new(seed)).unwrap()
}

fn evidence(note: &str) -> Draft {
    let digest = Digest::of(&[note.as_bytes()]);
    let data = [("source", Value::from("test")), ("digest", digest.into()), ("note", note.into())];
    Draft {
        kind: Kind::Evidence,
        actor: "agent:clerk".to_owned(),
        domain: "accounts-payable".to_owned(),
        environment: "test".to_owned(),
        session: None,
        canon: None,
        data: data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        body: None,
    }
}

fn writer<S: Shelf>(shelf: S) -> Writer<S> {
    Writer::new(shelf, Box::new(MemoryKeys::default()), "cognitionos/test")
}

/// A shelf that fails where it is told to: before or after it kept the batches.
#[derive(Default)]
struct Failing {
    kept: MemoryShelf,
    fail_before: bool,
    fail_after: bool,
    tails_read: u64,
}

impl Shelf for Failing {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        if self.fail_before {
            return Err(ShelfError::transient("the disk is full"));
        }
        self.kept.commit(batches)?;
        if self.fail_after {
            return Err(ShelfError::transient("the answer was lost"));
        }
        Ok(())
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        self.tails_read += 1;
        self.kept.tail(tenant)
    }
}

#[test]
fn entries_come_back_in_the_order_of_the_drafts_each_in_its_own_log() {
    let mut writer = writer(MemoryShelf::default());
    let (one, two) = (tenant(1), tenant(2));
    let drafts = [(two, "a"), (one, "b"), (two, "c"), (one, "d")];
    let drafts = drafts.map(|(tenant, note)| (tenant, evidence(note))).to_vec();
    let entries = writer.append(drafts, now(0), &mut SeededEntropy::new(3)).unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| (entry.tenant(), entry.seq(), entry.text("note").unwrap()))
        .collect();
    assert_eq!(shown, [(two, 1, "a"), (one, 1, "b"), (two, 2, "c"), (one, 2, "d")]);
    for tenant in [one, two] {
        let log = writer.shelf().log(tenant).unwrap();
        assert_eq!(log.entries().next().unwrap().kind(), Kind::Genesis);
        assert_eq!(log.checkpoints.len(), 1, "one signature for the batch");
    }
    assert!(writer.append(Vec::new(), now(0), &mut SeededEntropy::new(4)).unwrap().is_empty());
}

#[test]
fn what_is_placed_is_what_a_reader_reads() {
    let mut writer = writer(MemoryShelf::default());
    let mut draft = evidence("quotes \" and \u{1f600} and \u{1}");
    draft.actor = "user:o'neil \"the\" \\cfo".to_owned();
    draft.canon = Some(Digest::of(&[b"canon"]));
    draft.session = Some(RunId::new(now(0), &mut SeededEntropy::new(9)).unwrap());
    draft.body = Some(BodyDraft { subject: None, bytes: b"{}".to_vec() });
    let mut entropy = SeededEntropy::new(1);
    let entry = writer.append(vec![(tenant(1), draft)], now(0), &mut entropy).unwrap().remove(0);
    assert_eq!(Entry::parse(entry.bytes()).unwrap(), *entry);
    let value = parse(std::str::from_utf8(entry.bytes()).unwrap()).unwrap();
    assert_eq!(value.canonical(), entry.bytes());
    assert_eq!(
        value.at(&["body", "commit"]).unwrap().as_text().unwrap(),
        entry.commit().unwrap().to_string()
    );
}

#[test]
fn a_draft_that_is_not_acceptable_stops_the_whole_append() {
    let mut writer = writer(MemoryShelf::default());
    let mut entropy = SeededEntropy::new(1);
    let spoil: [fn(&mut Draft); 8] = [
        |draft| draft.actor = "cfo".to_owned(),
        |draft| draft.domain.clear(),
        |draft| draft.environment = "e".repeat(257),
        |draft| draft.kind = Kind::Receipt,
        |draft| draft.kind = Kind::Genesis,
        |draft| drop(draft.data.remove("digest")),
        |draft| drop(draft.data.insert("source".to_owned(), Value::from(1_u64))),
        |draft| drop(draft.data.insert("note".to_owned(), Value::from("x".repeat(66_000)))),
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        let mut bad = evidence("bad");
        spoil(&mut bad);
        let drafts = vec![(tenant(1), evidence("good")), (tenant(1), bad)];
        let error = writer.append(drafts, now(0), &mut entropy).unwrap_err();
        assert!(matches!(error, AppendError::Draft { index: 1, .. }), "{number}: {error:?}");
        assert!(writer.shelf().log(tenant(1)).is_none(), "{number}");
    }
    assert_eq!(
        writer.append(vec![(tenant(1), evidence("good"))], now(0), &mut entropy).unwrap()[0].seq(),
        1
    );
}

#[test]
fn time_never_goes_back() {
    let mut writer = writer(MemoryShelf::default());
    let mut entropy = SeededEntropy::new(1);
    let mut at = |ms| {
        let drafts = vec![(tenant(1), evidence("x"))];
        writer.append(drafts, now(ms), &mut entropy).unwrap()[0].at()
    };
    assert_eq!([at(5_000), at(1_000), at(6_000)], [now(5_000), now(5_000), now(6_000)]);
}

#[test]
fn after_a_failed_commit_the_shelf_says_where_to_go_on() {
    for (fail_before, fail_after, next) in [(true, false, 2), (false, true, 3)] {
        let mut writer = writer(Failing::default());
        let mut entropy = SeededEntropy::new(1);
        let mut append = |writer: &mut Writer<Failing>, note| {
            writer.append(vec![(tenant(1), evidence(note))], now(0), &mut entropy)
        };
        append(&mut writer, "one").unwrap();
        append(&mut writer, "held").unwrap_or_else(|error| panic!("{error}"));
        let before = writer.shelf().tails_read;
        writer.shelf().fail_before = fail_before;
        writer.shelf().fail_after = fail_after;
        assert!(matches!(append(&mut writer, "lost?"), Err(AppendError::Shelf(_))));
        writer.shelf().fail_before = false;
        writer.shelf().fail_after = false;
        assert_eq!(append(&mut writer, "next").unwrap()[0].seq(), next + 1);
        assert_eq!(writer.shelf().tails_read, before + 1, "the tail is read again, once");
    }
}

#[test]
fn a_restarted_writer_goes_on_under_the_key_that_signed_last() {
    let (keys, mut shelf) = (MemoryKeys::default(), MemoryShelf::default());
    let (mut entropy, id) = (SeededEntropy::new(1), tenant(1));
    for round in 0..3 {
        let mut writer = Writer::new(&mut shelf, Box::new(keys.clone()), "cognitionos/test");
        let drafts = vec![(id, evidence("x"))];
        writer.append(drafts, now(round), &mut entropy).unwrap();
        writer.rotate(id, now(round), &mut entropy).unwrap();
        let size = writer.head(id).unwrap().unwrap().frontier.size();
        assert_eq!(size, 3 + 2 * round, "genesis, and each round an entry and a hand-over");
    }
    let log = shelf.log(id).unwrap();
    let key = |name| move |entry: &Entry| entry.text(name)?.parse::<VerifierKey>().ok();
    let mut in_force = log.entries().find_map(|entry| key("key")(entry)).unwrap();
    for entry in log.entries().filter(|entry| entry.kind() == Kind::KeyRotated) {
        let head = log.checkpoints.iter().find(|head| head.size() == entry.seq() + 1).unwrap();
        assert_eq!(key("from")(entry).as_ref(), Some(&in_force));
        let next = key("to")(entry).unwrap();
        assert!(head.note().is_signed_by(&in_force) && head.note().is_signed_by(&next));
        in_force = next;
    }
    // Without the key nothing is written, and nothing is invented.
    let mut writer = Writer::new(&mut shelf, Box::new(MemoryKeys::default()), "cognitionos/test");
    let lost = writer.append(vec![(id, evidence("x"))], now(9), &mut entropy);
    assert!(matches!(lost, Err(AppendError::Sign { .. })));
}

/// A shelf that gives back another end than it was given.
struct Lying(MemoryShelf, fn(&mut Tail));

impl Shelf for Lying {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        self.0.commit(batches)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        let mut tail = self.0.tail(tenant)?;
        tail.as_mut().into_iter().for_each(self.1);
        Ok(tail)
    }
}

#[test]
fn a_tail_that_was_tampered_with_is_not_gone_on_from() {
    let (keys, mut shelf) = (MemoryKeys::default(), MemoryShelf::default());
    let (mut entropy, id) = (SeededEntropy::new(1), tenant(1));
    let mut writer = Writer::new(&mut shelf, Box::new(keys.clone()), "cognitionos/test");
    writer.append(vec![(id, evidence("x"))], now(0), &mut entropy).unwrap();
    let lies: [fn(&mut Tail); 3] = [
        |tail| tail.frontier.push(Digest::of(&[b"one more"]), |_, _, _| {}),
        |tail| tail.frontier = Frontier::from_roots(2, vec![Digest::of(&[b"other"])]).unwrap(),
        |tail| {
            let note = tail.checkpoint.to_string().replacen("\u{2014} ", "\u{2014} not-", 1);
            tail.checkpoint = cog_ledger::Checkpoint::parse(&note).unwrap();
        },
    ];
    for lie in lies {
        let lying = Lying(shelf.clone(), lie);
        let mut writer = Writer::new(lying, Box::new(keys.clone()), "cognitionos/test");
        let error = writer.append(vec![(id, evidence("y"))], now(1), &mut entropy).unwrap_err();
        assert!(matches!(error, AppendError::Corrupt { .. }), "{error:?}");
    }
}

/// Randomness that ran out.
struct Dry;

impl Entropy for Dry {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), NoEntropy> {
        Err(NoEntropy)
    }
}

#[test]
fn without_randomness_there_is_neither_key_nor_salt() {
    let mut writer = writer(MemoryShelf::default());
    let drafts = || vec![(tenant(1), evidence("x"))];
    assert!(matches!(writer.append(drafts(), now(0), &mut Dry), Err(AppendError::Sign { .. })));
    writer.append(drafts(), now(0), &mut SeededEntropy::new(1)).unwrap();
    let mut salted = drafts();
    salted[0].1.body = Some(BodyDraft { subject: None, bytes: b"{}".to_vec() });
    assert!(matches!(writer.append(salted, now(0), &mut Dry), Err(AppendError::NoEntropy(_))));
}

#[test]
fn what_is_not_recorded_is_handed_back_as_it_was() {
    let (one, two) = (tenant(1), tenant(2));
    let drafts = || {
        let mut salted = evidence("b");
        salted.session = Some(RunId::new(now(0), &mut SeededEntropy::new(9)).unwrap());
        salted.canon = Some(Digest::of(&[b"canon"]));
        salted.body = Some(BodyDraft { subject: Some("ada".into()), bytes: b"{}".to_vec() });
        vec![(two, evidence("a")), (one, salted), (two, evidence("c"))]
    };
    let shown = |drafts: &[(TenantId, Prepared)]| format!("{drafts:?}");
    let mut writer = writer(Failing::default());
    let mut check = |spoil: fn(&mut Draft), fails: bool, entropy: &mut dyn Entropy| {
        let mut drafts = drafts();
        spoil(&mut drafts[2].1);
        let mut handed = Prepared::all(drafts, &mut SeededEntropy::new(2)).unwrap();
        let before = shown(&handed);
        writer.shelf().fail_before = fails;
        assert!(writer.append_from(&mut handed, now(0), entropy).is_err());
        assert_eq!(shown(&handed), before);
        writer.shelf().fail_before = false;
    };
    let (same, mut entropy): (fn(&mut Draft), _) = (|_| {}, SeededEntropy::new(1));
    check(same, true, &mut entropy);
    check(same, false, &mut Dry);
    let large: fn(&mut Draft) =
        |draft| drop(draft.data.insert("note".to_owned(), Value::from("x".repeat(66_000))));
    check(large, false, &mut entropy);
    let mut handed = Prepared::all(drafts(), &mut entropy).unwrap();
    let entries = writer.append_from(&mut handed, now(0), &mut entropy).unwrap();
    assert_eq!((entries.len(), handed.len()), (3, 0));
    let salted: Vec<_> = entries.iter().map(|entry| entry.commit().is_some()).collect();
    assert_eq!(salted, [false, true, false]);
}

#[test]
fn an_entry_of_the_largest_size_is_recorded_and_one_of_a_byte_more_is_not() {
    let mut writer = writer(MemoryShelf::default());
    let (mut entropy, id) = (SeededEntropy::new(1), tenant(1));
    let of = |length: usize| {
        let mut draft = evidence("x");
        draft.data.insert("note".to_owned(), Value::from("n".repeat(length)));
        vec![(id, draft)]
    };
    let first = writer.append(of(0), now(0), &mut entropy).unwrap().remove(0);
    let room = BYTES_MAX - first.bytes().len();
    let largest = writer.append(of(room), now(0), &mut entropy).unwrap().remove(0);
    assert_eq!(largest.bytes().len(), BYTES_MAX);
    assert_eq!(&Entry::parse(largest.bytes()).unwrap(), &*largest);
    let larger = writer.append(of(room + 1), now(0), &mut entropy).unwrap_err();
    let AppendError::Draft { index: 0, source } = larger else { panic!("{larger}") };
    assert_eq!(source, EntryError::TooLarge { bytes: BYTES_MAX + 1 });
}

/// The hashes that a shelf keeps: leaves, and subtree roots at every eighth level.
struct Kept<'a>(&'a cog_ledger::memory::KeptLog);

impl Hashes for Kept<'_> {
    type Error = std::convert::Infallible;

    fn leaf(&mut self, index: u64) -> Result<Option<Digest>, Self::Error> {
        let entry = usize::try_from(index).ok().and_then(|index| self.0.entries.get(index));
        Ok(entry.map(|sealed| sealed.entry.leaf()))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error> {
        Ok(self.0.nodes.get(&(level, index)).copied())
    }
}

#[test]
fn an_entry_proves_itself_offline_and_nothing_else() {
    let mut writer = writer(MemoryShelf::default());
    let (mut entropy, id) = (SeededEntropy::new(1), tenant(1));
    for batch in 0..30 {
        let drafts = (0..20).map(|number| (id, evidence(&format!("{batch} {number}"))));
        writer.append(drafts.collect(), now(batch), &mut entropy).unwrap();
    }
    let log = writer.shelf().log(id).unwrap();
    assert_eq!(log.nodes.len(), 2, "601 entries complete two subtrees of 256");
    let head = log.checkpoints.last().unwrap();
    let key: VerifierKey = log.entries[0].entry.text("key").unwrap().parse().unwrap();
    let trusted = std::slice::from_ref(&key);
    for entry in log.entries() {
        let path = inclusion(&mut Kept(log), entry.seq(), head.size()).unwrap();
        let proven = ProvenEntry::new(Entry::clone(entry), path, head.clone());
        let text = proven.to_string();
        let read: ProvenEntry = text.parse().unwrap();
        assert_eq!(read, proven);
        assert_eq!(read.verify(id, head.origin(), trusted).unwrap(), &**entry);
        if entry.seq() % 100 == 7 {
            assert!(read.verify(tenant(2), head.origin(), trusted).is_err());
            assert!(read.verify(id, "cognitionos.local/other", trusted).is_err());
            assert!(read.verify(id, head.origin(), &[]).is_err());
            let moved = text.replace(&format!("index {}", entry.seq()), "index 3");
            assert!(
                moved.parse::<ProvenEntry>().unwrap().verify(id, head.origin(), trusted).is_err()
            );
        }
    }
}

#[test]
fn every_kind_has_one_word_and_refuses_what_is_missing() {
    for kind in Kind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        // Who held a run, or let it go on, is the actor; why stands in the body.
        let is_bare = matches!(kind, Kind::SessionPaused | Kind::SessionUnpaused);
        assert_eq!(kind.check(&Map::new()).is_ok(), is_bare, "{kind}");
    }
    assert!("receipts".parse::<Kind>().is_err());
}

#[test]
fn bytes_that_no_writer_makes_are_no_entry() {
    let mut writer = writer(MemoryShelf::default());
    let mut entropy = SeededEntropy::new(1);
    let drafts = vec![(tenant(1), evidence("x"))];
    let entry = writer.append(drafts, now(0), &mut entropy).unwrap().remove(0);
    let text = String::from_utf8(entry.bytes().to_vec()).unwrap();
    let table = [
        ("\"v\":1", "\"v\":2"),
        ("\"v\":1", "\"v\":1,\"w\":1"),
        ("\"v\":1", "\"v\": 1"),
        ("\"kind\":\"evidence\"", "\"kind\":\"receipt\""),
        ("\"kind\":\"evidence\"", "\"kind\":\"rumour\""),
        ("\"seq\":1", "\"seq\":0"),
        ("\"seq\":1", "\"seq\":-1"),
        ("\"seq\":1", "\"seq\":\"1\""),
        ("agent:clerk", "clerk"),
        ("agent:clerk", "robot:clerk"),
        ("\"environment\":\"test\"", "\"environment\":\"\""),
        ("\"data\":{", "\"body\":{\"commit\":\"sha256:00\"},\"data\":{"),
        ("\"data\":{", "\"canon\":null,\"data\":{"),
        ("sha256:", "sha512:"),
        ("ten_", "run_"),
        (".000000Z", "Z"),
    ];
    for (from, to) in table {
        assert!(text.contains(from), "{from}");
        assert!(Entry::parse(text.replace(from, to).as_bytes()).is_err(), "{to}");
    }
    assert!(Entry::parse(&[b' '; 65_536]).is_err());
}

//! Group commit under load, with bad neighbours and a failing store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;

use cog_base::entropy::{Entropy, NoEntropy, SeededEntropy};
use cog_base::id::{RunId, TenantId, Uuid};
use cog_base::json::{Map, Value};
use cog_base::{Clock, Digest, Timestamp};
use cog_ledger::body::commitment;
use cog_ledger::{
    AppendError, BodyDraft, Draft, Kind, SealedBatch, Shelf, ShelfError, Tail, Writer,
};

use super::queue::{Job, Queue, Refused};
use super::{Committer, QUEUE_MAX, RETRIES_MAX, SUBMISSIONS_PER_BATCH_MAX, Stepper, Submission};
use crate::{MemoryStore, Select, Store};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000)
    }
}

const TENANT: TenantId = TenantId::from_uuid(Uuid::from_u128(7));

fn evidence(note: &str) -> Draft {
    Draft {
        kind: Kind::Evidence,
        actor: "user:ada".into(),
        domain: "test".into(),
        environment: "development".into(),
        session: None,
        canon: None,
        data: Map::from([
            ("source".into(), Value::from(note)),
            ("digest".into(), Digest::of(&[]).into()),
        ]),
        body: None,
    }
}

fn committer_on(store: &MemoryStore, shelf: Box<dyn Shelf + Send>) -> Committer {
    let writer = Writer::new(shelf, store.signing_keys().unwrap(), "test/1");
    Committer::spawn(writer, Arc::new(Stopped), Box::new(SeededEntropy::new(1)))
}

fn committer(store: &MemoryStore) -> Committer {
    committer_on(store, store.shelf().unwrap())
}

/// Fails so many commits first, in passing or for good.
struct Faulty {
    inner: Box<dyn Shelf + Send>,
    failures: Arc<AtomicU32>,
    transient: bool,
}

impl Shelf for Faulty {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        let left =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match left {
            Err(_) => self.inner.commit(batches),
            Ok(_) if self.transient => Err(ShelfError::transient("no room")),
            Ok(_) => Err(ShelfError::lasting("no disk")),
        }
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        self.inner.tail(tenant)
    }
}

fn faulty(store: &MemoryStore, failures: u32, transient: bool) -> Committer {
    let failures = Arc::new(AtomicU32::new(failures));
    let shelf = Faulty { inner: store.shelf().unwrap(), failures, transient };
    committer_on(store, Box::new(shelf))
}

#[test]
fn everything_submitted_is_answered_in_order_and_shares_commits() {
    let store = MemoryStore::new();
    let committer = committer(&store);
    let order = Arc::new(Mutex::new(Vec::new()));
    let (done, wait) = mpsc::channel();
    for number in 0..1_000_u32 {
        let (order, done) = (Arc::clone(&order), done.clone());
        let reply = move |result: Result<Vec<_>, _>| {
            let entries: Vec<cog_ledger::Durable<cog_ledger::Entry>> = result.unwrap();
            assert_eq!(entries[0].text("source"), Some(number.to_string().as_str()));
            order.lock().unwrap().push(entries[0].seq());
            done.send(()).unwrap();
        };
        let drafts = vec![(TENANT, evidence(&number.to_string())), (TENANT, evidence("and"))];
        committer.submit(drafts, Box::new(reply));
    }
    for _ in 0..1_000 {
        wait.recv().unwrap();
    }
    let order = order.lock().unwrap();
    assert!(order.iter().zip((1..).step_by(2)).all(|(seq, expected)| *seq == expected));
    let stats = committer.stats();
    assert_eq!((stats.submissions, stats.entries), (1_000, 2_000));
    assert!(stats.syncs == stats.batches && stats.batches < 1_000, "{stats:?}");
}

#[test]
fn what_is_submitted_together_shares_a_commit() {
    let store = MemoryStore::new();
    let committer = committer(&store);
    let (done, wait) = mpsc::channel();
    let submission = |number: u32| -> Submission {
        let done = done.clone();
        let reply = move |result: Result<Vec<_>, _>| done.send((number, result.is_ok())).unwrap();
        (vec![(TENANT, evidence(&number.to_string()))], Box::new(reply))
    };
    committer.submit_all((0..100).map(submission));
    let answers: Vec<_> = (0..100).map(|_| wait.recv().unwrap()).collect();
    assert_eq!(answers, (0..100).map(|number| (number, true)).collect::<Vec<_>>());
    committer.shutdown();
    assert_eq!(committer.stats().batches, 1);
}

#[test]
fn a_bad_submission_fails_alone() {
    let store = MemoryStore::new();
    let committer = committer(&store);
    let mut bad = evidence("bad");
    bad.actor = "nobody".into();
    let huge = {
        let mut huge = evidence("huge");
        huge.data.insert("note".into(), Value::from("x".repeat(70_000)));
        huge
    };
    let (done, wait) = mpsc::channel();
    let submissions = [
        vec![(TENANT, evidence("1"))],
        vec![(TENANT, evidence("2")), (TENANT, bad)],
        vec![(TENANT, huge)],
        vec![(TENANT, evidence("3"))],
    ];
    for (number, drafts) in submissions.into_iter().enumerate() {
        let done = done.clone();
        committer.submit(drafts, Box::new(move |result| done.send((number, result)).unwrap()));
    }
    let mut results: Vec<_> = (0..4).map(|_| wait.recv().unwrap()).collect();
    results.sort_by_key(|(number, _)| *number);
    assert!(results[0].1.is_ok() && results[3].1.is_ok());
    let why = results[1].1.as_ref().unwrap_err();
    assert!(matches!(**why, AppendError::Draft { index: 1, .. }), "{why:?}");
    assert!(results[2].1.is_err());
    let kept = store.scope(TENANT).unwrap().select(&Select::default()).unwrap();
    let sources: Vec<_> = kept.iter().filter_map(|entry| entry.text("source")).collect();
    assert_eq!(sources, ["1", "3"]);
}

#[test]
fn what_cannot_be_prepared_is_answered_in_its_turn_and_breaks_its_session() {
    let store = MemoryStore::new();
    let committer = committer(&store);
    let (done, wait) = mpsc::channel();
    let submission = |name: &'static str, session: u128, actor: &str| -> Submission {
        let done = done.clone();
        let session = Some(RunId::from_uuid(Uuid::from_u128(session)));
        let draft = Draft { session, actor: actor.into(), ..evidence(name) };
        (vec![(TENANT, draft)], Box::new(move |kept| done.send((name, kept)).unwrap()))
    };
    committer.submit_all([
        submission("before", 1, "user:ada"),
        submission("bad", 1, "nobody"),
        submission("behind", 1, "user:ada"),
        submission("bad behind", 1, "nobody"),
        submission("another", 2, "user:ada"),
    ]);
    let told = |kept: Result<Vec<_>, Arc<AppendError>>| match kept {
        Ok(_) => "kept",
        Err(why) if matches!(*why, AppendError::Draft { .. }) => "draft",
        Err(why) if matches!(*why, AppendError::Behind { .. }) => "behind",
        Err(why) => panic!("{why}"),
    };
    let answers: Vec<_> = wait.iter().take(5).map(|(name, kept)| (name, told(kept))).collect();
    let expected = [
        ("before", "kept"),
        ("bad", "draft"),
        ("behind", "behind"),
        ("bad behind", "behind"),
        ("another", "kept"),
    ];
    assert_eq!(answers, expected);
    let kept = store.scope(TENANT).unwrap().select(&Select::default()).unwrap();
    let sources: Vec<_> = kept.iter().filter_map(|entry| entry.text("source")).collect();
    assert_eq!(sources, ["before", "another"]);
}

/// Notes which thread draws a salt.
struct Watched(SeededEntropy, Arc<Mutex<Vec<ThreadId>>>);

impl Entropy for Watched {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.1.lock().unwrap().push(std::thread::current().id());
        self.0.fill(bytes)
    }
}

#[test]
fn whoever_submits_does_what_needs_no_place() {
    let store = MemoryStore::new();
    let drawn = Arc::new(Mutex::new(Vec::new()));
    let writer = Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "test/1");
    let entropy = Box::new(Watched(SeededEntropy::new(1), Arc::clone(&drawn)));
    let committer = Committer::spawn(writer, Arc::new(Stopped), entropy);
    committer.append_blocking(vec![(TENANT, evidence("it opens the log"))]).unwrap();
    drawn.lock().unwrap().clear();
    let body = Some(BodyDraft { subject: None, bytes: b"{}".to_vec() });
    let drafts = vec![(TENANT, Draft { body, ..evidence("1") })];
    let kept = committer.append_blocking(drafts).unwrap();
    assert!(kept[0].commit().is_some());
    assert_eq!(*drawn.lock().unwrap(), [std::thread::current().id()]);
}

#[test]
fn what_is_tried_again_is_the_same_entry() {
    let store = MemoryStore::new();
    let committer = faulty(&store, 2, true);
    let body = Some(BodyDraft { subject: Some("ada".into()), bytes: b"{}".to_vec() });
    let draft = Draft { body, ..evidence("1") };
    let kept = committer.append_blocking(vec![(TENANT, draft)]).unwrap();
    let body = store.scope(TENANT).unwrap().body(kept[0].seq()).unwrap().unwrap();
    assert_eq!(kept[0].commit(), Some(commitment(&body.salt, &body.bytes)));
    assert_eq!((committer.stats().retries, kept[0].seq()), (2, 1));
}

#[test]
fn a_passing_failure_is_tried_again() {
    let store = MemoryStore::new();
    let committer = faulty(&store, 2, true);
    let entries = committer.append_blocking(vec![(TENANT, evidence("1"))]).unwrap();
    assert_eq!(entries[0].seq(), 1);
    assert_eq!((committer.stats().retries, committer.stats().batches), (2, 1));
}

#[test]
fn a_failure_that_does_not_pass_is_answered_and_the_next_may_succeed() {
    let store = MemoryStore::new();
    let committer = faulty(&store, RETRIES_MAX + 1, true);
    assert!(committer.append_blocking(vec![(TENANT, evidence("1"))]).is_err());
    assert!(committer.append_blocking(vec![(TENANT, evidence("2"))]).is_ok());
    committer.shutdown();
    let committer = faulty(&store, 1, false);
    assert!(committer.append_blocking(vec![(TENANT, evidence("3"))]).is_err());
    assert_eq!(committer.stats().retries, 0);
    assert_eq!(committer.head(TENANT).unwrap().unwrap().frontier.size(), 2);
}

#[test]
fn a_shutdown_records_what_waits_and_refuses_the_rest() {
    let store = MemoryStore::new();
    let committer = committer(&store);
    let (done, wait) = mpsc::channel();
    for number in 0..100 {
        let done = done.clone();
        let drafts = vec![(TENANT, evidence(&number.to_string()))];
        committer.submit(drafts, Box::new(move |result| done.send(result.is_ok()).unwrap()));
    }
    committer.shutdown();
    assert!((0..100).all(|_| wait.try_recv().unwrap()));
    assert!(committer.append_blocking(vec![(TENANT, evidence("late"))]).is_err());
    assert!(committer.head(TENANT).is_err());
    assert!(store.shelf().is_ok(), "the shelf was given back");
}

#[test]
fn a_log_changes_hands_between_appends() {
    let store = MemoryStore::new();
    let committer = committer(&store);
    committer.append_blocking(vec![(TENANT, evidence("1"))]).unwrap();
    let rotated = committer.rotate(TENANT).unwrap();
    assert_eq!(rotated[0].kind(), Kind::KeyRotated);
    let entries = committer.append_blocking(vec![(TENANT, evidence("2"))]).unwrap();
    assert_eq!(entries[0].seq(), 3);
}

#[test]
fn when_the_thread_dies_everybody_is_told() {
    let store = MemoryStore::new();
    let committer = committer(&store);
    committer.submit(vec![(TENANT, evidence("1"))], Box::new(|_| panic!("a bug in a reply")));
    assert!(committer.append_blocking(vec![(TENANT, evidence("2"))]).is_err());
    assert!(committer.head(TENANT).is_err());
}

#[test]
fn what_a_tenant_submits_behind_a_failed_append_is_not_recorded() {
    let store = MemoryStore::default();
    let failures = Arc::new(AtomicU32::new(1));
    let inner = store.shelf().unwrap();
    let shelf = Faulty { inner, failures, transient: false };
    let committer = committer_on(&store, Box::new(shelf));
    let of = |session: u128, note: &str| {
        let session = Some(RunId::from_uuid(Uuid::from_u128(session)));
        vec![(TENANT, Draft { session, ..evidence(note) })]
    };
    assert!(committer.append_blocking(of(1, "lost")).is_err());
    for (session, note) in [(1, "behind it"), (2, "another session, which may rest on it")] {
        let behind = committer.append_blocking(of(session, note)).unwrap_err();
        let lost = RunId::from_uuid(Uuid::from_u128(1));
        assert!(matches!(*behind, AppendError::Behind { session } if session == lost), "{behind}");
    }
    let other = committer.append_blocking(vec![(TENANT, evidence("of no session"))]).unwrap();
    assert_eq!(other.len(), 1);
}

/// Refuses whatever has something of a tenant that another node owns.
struct Overtaken(Box<dyn Shelf + Send>);

const LOST: TenantId = TenantId::from_uuid(Uuid::from_u128(8));

impl Shelf for Overtaken {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        if batches.iter().any(|batch| batch.tenant == LOST) {
            let owner = "another".to_owned();
            return Err(crate::StoreError::Owned { tenant: LOST, owner }.into());
        }
        self.0.commit(batches)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        self.0.tail(tenant)
    }
}

#[test]
fn a_log_that_another_node_took_does_not_stand_in_the_way_of_the_others() {
    let store = MemoryStore::new();
    let committer = committer_on(&store, Box::new(Overtaken(store.shelf().unwrap())));
    let (answers, answered) = mpsc::channel();
    let (held, hold) = mpsc::channel::<()>();
    // While the first answer is being given the others wait, and then share one commit.
    committer.submit(vec![(TENANT, evidence("0"))], Box::new(move |_| hold.recv().unwrap()));
    for (whose, tenant) in [("ours", TENANT), ("theirs", LOST), ("ours", TENANT)] {
        let answers = answers.clone();
        let reply =
            Box::new(move |kept: Result<_, _>| answers.send((whose, kept.is_ok())).unwrap());
        committer.submit(vec![(tenant, evidence(whose))], reply);
    }
    held.send(()).unwrap();
    let mut found: Vec<_> = answered.iter().take(3).collect();
    found.sort_unstable();
    assert_eq!(found, [("ours", true), ("ours", true), ("theirs", false)]);
}

#[test]
fn a_session_is_recorded_again_when_somebody_went_on_from_the_log() {
    let store = MemoryStore::new();
    let committer = faulty(&store, 1, false);
    let of_run = || {
        let session = Some(RunId::from_uuid(Uuid::from_u128(5)));
        committer.append_blocking(vec![(TENANT, Draft { session, ..evidence("1") })])
    };
    assert!(of_run().is_err());
    assert!(matches!(of_run().map_err(Arc::into_inner), Err(Some(AppendError::Behind { .. }))));
    committer.forgive(LOST);
    assert!(of_run().is_err(), "that was of another tenant");
    committer.forgive(TENANT);
    assert_eq!(of_run().unwrap().len(), 1);
}

#[test]
fn what_a_tenant_breaks_refuses_nothing_of_another_that_has_a_run_of_the_same_id() {
    let store = MemoryStore::new();
    let committer = committer_on(&store, Box::new(Overtaken(store.shelf().unwrap())));
    let of = |tenant| {
        let session = Some(RunId::from_uuid(Uuid::from_u128(5)));
        committer.append_blocking(vec![(tenant, Draft { session, ..evidence("1") })])
    };
    assert!(of(LOST).is_err());
    assert!(matches!(of(LOST).map_err(Arc::into_inner), Err(Some(AppendError::Behind { .. }))));
    assert!(of(TENANT).is_ok());
}

#[test]
fn a_queue_that_is_full_takes_no_appends_and_everything_else() {
    let queue = Queue::new(BTreeMap::new());
    let append = || Job::Append { drafts: Vec::new(), reply: Box::new(|_| ()) };
    assert!(queue.put((0..QUEUE_MAX).map(|_| append())).is_empty());
    assert_eq!(queue.put([append()]).len(), 1);
    let head = Job::Head { tenant: TENANT, reply: Box::new(|_| ()) };
    let rotate = Job::Rotate { tenant: TENANT, reply: Box::new(|_| ()) };
    let refuse = Job::Refuse(Refused {
        sessions: Vec::new(),
        why: AppendError::NoEntropy(NoEntropy),
        reply: Box::new(|_| ()),
    });
    assert_eq!(queue.put([refuse]).len(), 1);
    assert!(queue.put([head, rotate, Job::Forgive { tenant: TENANT }]).is_empty());
}

#[test]
fn a_committer_without_a_thread_records_when_it_is_told_to() {
    let store = MemoryStore::new();
    let failures = Arc::new(AtomicU32::new(RETRIES_MAX));
    let shelf = Box::new(Faulty { inner: store.shelf().unwrap(), failures, transient: true });
    let writer =
        Writer::<Box<dyn Shelf + Send>>::new(shelf, store.signing_keys().unwrap(), "test/1");
    let entropy = Box::new(SeededEntropy::new(1));
    let (committer, mut stepper) = Committer::stepped(writer, Arc::new(Stopped), entropy);
    assert!(!stepper.step(), "nothing waits");
    let (answer, answers) = mpsc::channel();
    let reply = || -> super::Reply {
        let answer = answer.clone();
        Box::new(move |result| {
            let _ = answer.send(result.map_or(0, |entries| entries.len()));
        })
    };
    committer.submit(vec![(TENANT, evidence("one"))], reply());
    committer.submit(vec![(TENANT, evidence("two"))], reply());
    committer.submit_rotation(TENANT, reply());
    assert!(answers.try_recv().is_err(), "nothing is recorded yet");
    assert!(stepper.step());
    assert_eq!(answers.try_iter().collect::<Vec<_>>(), [1, 1]);
    assert_eq!(committer.stats().retries, u64::from(RETRIES_MAX));
    assert!(stepper.step(), "the key is changed in a turn of its own");
    assert_eq!(answers.try_iter().collect::<Vec<_>>(), [1]);
    assert!(!stepper.step());
    drop(stepper);
    committer.submit(vec![(TENANT, evidence("late"))], reply());
    assert_eq!(answers.try_iter().collect::<Vec<_>>(), [0], "whoever submits is told it ended");
}

/// A committer without a thread, and what it answered: whose submission, and which of theirs.
struct Desk {
    committer: Committer,
    stepper: Stepper,
    answer: mpsc::Sender<(char, usize)>,
    answers: mpsc::Receiver<(char, usize)>,
}

fn tenant(who: char) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(u128::from(u32::from(who))))
}

impl Desk {
    fn new() -> Self {
        let store = MemoryStore::new();
        let keys = store.signing_keys().unwrap();
        let writer = Writer::<Box<dyn Shelf + Send>>::new(store.shelf().unwrap(), keys, "test/1");
        let entropy = Box::new(SeededEntropy::new(1));
        let (committer, stepper) = Committer::stepped(writer, Arc::new(Stopped), entropy);
        let (answer, answers) = mpsc::channel();
        Self { committer, stepper, answer, answers }
    }

    /// A submission of one draft for each of these tenants.
    fn submit(&self, who: &str, number: usize) {
        let drafts = who.chars().map(|who| (tenant(who), evidence(&number.to_string())));
        let (answer, first) = (self.answer.clone(), who.chars().next().unwrap());
        let reply = Box::new(move |kept: Result<_, _>| {
            // What still waits when a test has seen enough is not kept.
            if kept.is_ok() {
                answer.send((first, number)).unwrap();
            }
        });
        self.committer.submit(drafts.collect(), reply);
    }

    /// Whose submissions the next commit has, in their order.
    fn commit(&mut self) -> Vec<(char, usize)> {
        assert!(self.stepper.step());
        self.answers.try_iter().collect()
    }
}

#[test]
fn a_tenant_with_thousands_of_appends_keeps_none_of_another_out_of_the_next_commit() {
    let mut desk = Desk::new();
    (0..2_000).for_each(|number| desk.submit("a", number));
    (0..3).for_each(|number| desk.submit("b", number));
    desk.submit("c", 0);
    let first = desk.commit();
    assert_eq!(first.len(), SUBMISSIONS_PER_BATCH_MAX);
    for (who, count) in [('a', SUBMISSIONS_PER_BATCH_MAX - 4), ('b', 3), ('c', 1)] {
        let numbers = first.iter().filter(|(whose, _)| *whose == who).map(|(_, number)| *number);
        assert!(numbers.eq(0..count), "those of {who} in their order");
    }
    // Nobody else waits: it has all of the next one.
    let next = desk.commit();
    let from = SUBMISSIONS_PER_BATCH_MAX - 4;
    let all: Vec<_> = (from..from + SUBMISSIONS_PER_BATCH_MAX).map(|it| ('a', it)).collect();
    assert_eq!(next, all);
}

#[test]
fn tenants_who_have_more_than_one_commit_takes_share_it() {
    let mut desk = Desk::new();
    for who in ["a", "b", "c", "d"] {
        (0..1_000).for_each(|number| desk.submit(who, number));
    }
    let commit = desk.commit();
    for who in ['a', 'b', 'c', 'd'] {
        let count = commit.iter().filter(|(whose, _)| *whose == who).count();
        assert_eq!(count, SUBMISSIONS_PER_BATCH_MAX / 4, "{who}");
    }
}

#[test]
fn what_is_of_several_tenants_stands_behind_what_was_submitted_before_it() {
    let mut desk = Desk::new();
    for (number, who) in ["b", "ab", "b", "ba", "a"].into_iter().enumerate() {
        desk.submit(who, number);
    }
    // Other things stand in the line of their tenant, and stop nobody else's.
    let (head, heads) = mpsc::channel();
    let reply = move |tail: Result<Option<Tail>, _>| head.send(tail.unwrap().is_some()).unwrap();
    let drafts = Job::Head { tenant: tenant('a'), reply: Box::new(reply) };
    assert!(desk.committer.inner.queue.put([drafts]).is_empty());
    desk.submit("a", 5);
    desk.submit("c", 6);
    let order = [('b', 0), ('a', 1), ('b', 2), ('b', 3), ('a', 4), ('c', 6)];
    assert_eq!(desk.commit(), order);
    assert!(desk.commit().is_empty());
    assert_eq!(heads.try_iter().count(), 1);
    assert_eq!(desk.commit(), [('a', 5)]);
}

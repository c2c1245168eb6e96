//! A house with a ledger: records what a governed run records, and exports it.

#[path = "queued.rs"]
mod queued;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use cog_base::digest::Digest;
use cog_base::entropy::{Entropy, SeededEntropy};
use cog_base::id::{
    ApprovalId, CheckpointId, DenialId, ProposalId, ReceiptId, ReplayId, RunId, SelectionId,
    TenantId,
};
use cog_base::json::{Map, Value};
use cog_base::{Timestamp, time};
use cog_ledger::bundle::{BundleWriter, CanonFiles, Earlier, Manifest, Part};
use cog_ledger::memory::{KeptLog, MemoryShelf};
use cog_ledger::merkle::{Frontier, Hashes, inclusion};
use cog_ledger::session::Tally;
use cog_ledger::{
    BodyDraft, Checkpoint, Draft, Entry, KeyRing, Kind, SignError, Signer, SigningKey, VerifierKey,
    Writer,
};

pub(crate) use self::queued::{continues, limit};

pub(crate) const DOMAIN: &str = "accounts-payable";

/// Keys that the test keeps hold of.
#[derive(Clone, Default)]
pub(crate) struct Ring(Arc<Mutex<Vec<SigningKey>>>);

impl Ring {
    /// The signer behind a key that was in force once.
    pub(crate) fn signing_key(&self, key: &VerifierKey) -> SigningKey {
        let keys = self.0.lock().unwrap();
        keys.iter().find(|kept| kept.public() == key).unwrap().clone()
    }
}

impl KeyRing for Ring {
    fn create(
        &mut self,
        _: TenantId,
        name: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        let key = SigningKey::new(name, entropy)?;
        self.0.lock().unwrap().push(key.clone());
        Ok(Box::new(key))
    }

    fn open(
        &mut self,
        tenant: TenantId,
        name: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        let keys = self.0.lock().unwrap();
        let key = keys.iter().find(|key| key.public().name() == name && key.public().id() == id);
        let no_key = || SignError::NoKey { tenant, name: name.to_owned(), id };
        Ok(Box::new(key.ok_or_else(no_key)?.clone()))
    }
}

pub(crate) struct House {
    pub(crate) ring: Ring,
    pub(crate) writer: Writer<MemoryShelf>,
    pub(crate) tenant: TenantId,
    pub(crate) entropy: SeededEntropy,
    pub(crate) now: time::Timestamp,
    pub(crate) canon: Option<Digest>,
    pub(crate) canons: BTreeMap<Digest, CanonFiles>,
    tallies: HashMap<RunId, Tally>,
}

/// Who and where; the rest of a draft is its data.
pub(crate) struct Act<'a> {
    pub(crate) kind: Kind,
    pub(crate) actor: &'a str,
    pub(crate) session: Option<RunId>,
    pub(crate) canon: Option<Digest>,
    pub(crate) body: Option<&'a str>,
}

pub(crate) fn data<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn digest(text: &str) -> Value {
    Digest::of(&[text.as_bytes()]).into()
}

impl House {
    pub(crate) fn new(seed: u64) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        let now = Timestamp::from_micros(1_795_000_000_000_000);
        let ring = Ring::default();
        let keys = Box::new(ring.clone());
        Self {
            ring,
            writer: Writer::new(MemoryShelf::default(), keys, "cognitionos/test"),
            tenant: TenantId::new(now, &mut entropy).unwrap(),
            entropy,
            now,
            canon: None,
            canons: BTreeMap::new(),
            tallies: HashMap::new(),
        }
    }

    pub(crate) fn log(&mut self) -> &KeptLog {
        let tenant = self.tenant;
        self.writer.shelf().log(tenant).unwrap()
    }

    pub(crate) fn act<'a>(&self, kind: Kind, actor: &'a str, session: Option<RunId>) -> Act<'a> {
        Act { kind, actor, session, canon: self.canon, body: None }
    }

    pub(crate) fn record(&mut self, act: Act<'_>, data: Map) -> Arc<Entry> {
        self.now = self.now.plus_ms(7);
        let draft = Draft {
            kind: act.kind,
            actor: act.actor.to_owned(),
            domain: DOMAIN.to_owned(),
            environment: "test".to_owned(),
            session: act.session,
            canon: act.canon,
            data,
            body: act.body.map(|text| BodyDraft {
                subject: Some("supplier:acme".to_owned()),
                bytes: Value::map([("output", text)]).canonical(),
            }),
        };
        let drafts = vec![(self.tenant, draft)];
        let mut placed = self.writer.append(drafts, self.now, &mut self.entropy).unwrap();
        let entry = placed.pop().unwrap().into_inner();
        if let Some(session) = act.session
            && act.kind != Kind::SessionSealed
        {
            self.tallies.entry(session).or_default().add(&entry);
        }
        entry
    }

    pub(crate) fn found_canon(&mut self, text: &str) -> Arc<Entry> {
        let canon = self.canon_files(text);
        self.canon = Some(canon);
        let act = self.act(Kind::CanonActivated, "user:founder", None);
        self.record(act, data([("digest", canon.into()), ("basis", "genesis".into())]))
    }

    pub(crate) fn canon_files(&mut self, text: &str) -> Digest {
        let files = BTreeMap::from([
            ("canon.toml".to_owned(), text.to_owned()),
            ("policies/pay.cedar".to_owned(), "permit(principal, action, resource);\n".to_owned()),
        ]);
        let mut canon = CanonFiles { digest: Digest::of(&[]), files };
        canon.digest = canon.computed();
        let digest = canon.digest;
        self.canons.insert(digest, canon);
        digest
    }

    /// Propose, approve, promote and activate another canon.
    pub(crate) fn change_canon(
        &mut self,
        text: &str,
        approver: &str,
        evidence: &[u64],
    ) -> ProposalId {
        let id = ProposalId::new(self.now, &mut self.entropy).unwrap();
        let (previous, next) = (self.canon, self.canon_files(text));
        let act = self.act(Kind::CanonProposed, "user:clerk", None);
        let mut proposal = data([("proposal", id.into()), ("digest", next.into())]);
        proposal.insert("base".to_owned(), previous.unwrap().into());
        proposal.insert("evidence".to_owned(), Value::list(evidence.iter().copied()));
        self.record(act, proposal);
        let act = self.act(Kind::CanonApproved, approver, None);
        self.record(act, data([("proposal", id.into()), ("digest", next.into())]));
        if !evidence.is_empty() {
            let act = self.act(Kind::Promotion, "user:cfo", None);
            let evidence = Value::list(evidence.iter().copied());
            self.record(act, data([("proposal", id.into()), ("evidence", evidence)]));
        }
        let act = self.act(Kind::CanonActivated, "user:cfo", None);
        let change = [
            ("digest", next.into()),
            ("previous", previous.unwrap().into()),
            ("basis", "change".into()),
            ("proposal", id.into()),
        ];
        self.canon = Some(next);
        self.record(act, data(change));
        id
    }

    pub(crate) fn start(&mut self) -> RunId {
        let session = RunId::new(self.now, &mut self.entropy).unwrap();
        self.start_as(session);
        session
    }

    pub(crate) fn start_as(&mut self, session: RunId) {
        self.start_with(session, []);
    }

    /// An entry about a schedule, always the same.
    pub(crate) fn schedule<const N: usize>(&mut self, kind: Kind, more: [(&str, Value); N]) {
        let act = self.act(kind, "user:cfo", None);
        let mut members = data(more);
        members.insert("schedule".into(), "nightly".into());
        self.record(act, members);
    }

    pub(crate) fn schedule_set(&mut self) {
        let when = Value::map([("id", "nightly"), ("cron", "@daily")]);
        let set = [("workflow", "pay".into()), ("when", when), ("digest", digest("nightly"))];
        self.schedule(Kind::ScheduleSet, set);
    }

    /// A run goes on from an entry of another.
    pub(crate) fn fork(&mut self, parent: RunId, seq: u64, definition: &str) {
        let session = RunId::new(self.now, &mut self.entropy).unwrap();
        let act = self.act(Kind::SessionStarted, "user:clerk", Some(session));
        let fork = Value::map([("session", Value::from(parent)), ("seq", seq.into())]);
        let start = [
            ("workflow", "pay".into()),
            ("definition", digest(definition)),
            ("inputs", digest("inputs")),
            ("roots", Value::Map(Map::new())),
            ("initiator", "user:clerk".into()),
            ("fork", fork),
        ];
        self.record(Act { body: Some("definition"), ..act }, data(start));
    }

    /// A place of a run has a name from here on, always the same.
    pub(crate) fn checkpoint(&mut self, run: RunId, seq: u64) {
        self.checkpoint_by(None, run, Some(seq));
    }

    /// The same by a step of a run.
    pub(crate) fn checkpoint_by(&mut self, by: Option<RunId>, run: RunId, seq: Option<u64>) {
        let id = CheckpointId::new(self.now, &mut self.entropy).unwrap();
        let mut named = data([("id", id.into()), ("name", "here".into()), ("run", run.into())]);
        named.extend(seq.map(|seq| ("seq".to_owned(), seq.into())));
        self.record(self.act(Kind::Checkpoint, "user:cfo", by), named);
    }

    pub(crate) fn replayed(&mut self, run: RunId) {
        let id = ReplayId::new(self.now, &mut self.entropy).unwrap();
        let act = self.act(Kind::Replay, "user:cfo", None);
        let replay = [
            ("id", id.into()),
            ("run", run.into()),
            ("result", "same".into()),
            ("entries", Value::from(3_u64)),
            ("decisions", Value::from(1_u64)),
            ("findings", digest("findings")),
        ];
        self.record(act, data(replay));
    }

    pub(crate) fn plan(&mut self, session: RunId, chosen: &str) -> Arc<Entry> {
        let id = SelectionId::new(self.now, &mut self.entropy).unwrap();
        let act = self.act(Kind::PlanSelected, "service:engine", Some(session));
        let candidates = ["sepa", "instant"].map(|plan| Value::map([("plan", plan)]));
        let plan = [
            ("id", id.into()),
            ("step", "pay".into()),
            ("goal", "Pay".into()),
            ("chosen", chosen.into()),
            ("candidates", Value::list(candidates)),
        ];
        self.record(act, data(plan))
    }

    pub(crate) fn receipt_data(
        &mut self,
        intent: &str,
        approvals: &[ApprovalId],
    ) -> (ReceiptId, Map) {
        let id = ReceiptId::new(self.now, &mut self.entropy).unwrap();
        let receipt = [
            ("id", id.into()),
            ("intent", digest(intent)),
            ("action", "file.write".into()),
            ("resource", "Root::\"payments\"".into()),
            ("effect", digest("args")),
            ("step", "pay".into()),
            ("expires", self.now.plus_ms(60_000).into()),
            ("reserve_micros", Value::from(200_u64)),
            ("procedure", Value::from(1_u64)),
            ("snapshot", digest("snapshot")),
            ("rules", Value::list(["pay.small"])),
            ("approvals", Value::list(approvals.iter().copied())),
        ];
        (id, data(receipt))
    }

    pub(crate) fn receipt(
        &mut self,
        session: RunId,
        intent: &str,
        approvals: &[ApprovalId],
    ) -> ReceiptId {
        let (id, receipt) = self.receipt_data(intent, approvals);
        let act = self.act(Kind::Receipt, "agent:clerk", Some(session));
        self.record(Act { body: Some("intent"), ..act }, receipt);
        id
    }

    pub(crate) fn output(&mut self, session: RunId, receipt: ReceiptId, offset: u64) {
        let act = self.act(Kind::Output, "agent:clerk", Some(session));
        let output = [
            ("receipt", receipt.into()),
            ("name", "stdout".into()),
            ("offset", offset.into()),
            ("bytes", Value::from(5_u64)),
        ];
        self.record(Act { body: Some("hello"), ..act }, data(output));
    }

    pub(crate) fn outcome(&mut self, session: RunId, receipt: ReceiptId, how: &str) -> Arc<Entry> {
        let act = self.act(Kind::Outcome, "service:engine", Some(session));
        let outcome = [
            ("receipt", receipt.into()),
            ("disposition", how.into()),
            ("cost_micros", Value::from(150_u64)),
            ("attempts", Value::from(1_u64)),
        ];
        self.record(Act { body: Some("IBAN DE02 1203 0000"), ..act }, data(outcome))
    }

    pub(crate) fn denial_data(&mut self) -> (DenialId, Map) {
        let id = DenialId::new(self.now, &mut self.entropy).unwrap();
        let denial = [
            ("id", id.into()),
            ("intent", digest("injected")),
            ("action", "file.write".into()),
            ("resource", "Root::\"etc\"".into()),
            ("effect", digest("args")),
            ("step", "pay".into()),
            ("check", "canon".into()),
            ("code", "no-permit".into()),
            ("procedure", Value::from(1_u64)),
            ("snapshot", digest("snapshot")),
        ];
        (id, data(denial))
    }

    pub(crate) fn deny(&mut self, session: RunId) -> DenialId {
        let (id, denial) = self.denial_data();
        let act = self.act(Kind::Denial, "agent:clerk", Some(session));
        self.record(act, denial);
        id
    }

    pub(crate) fn grant(&mut self, session: RunId, id: ApprovalId, intent: &str, who: &str) {
        let act = self.act(Kind::ApprovalGranted, who, Some(session));
        self.record(act, data([("id", id.into()), ("intent", digest(intent))]));
    }

    pub(crate) fn signal(&mut self, session: RunId, id: &str) {
        let act = self.act(Kind::Signal, "user:shop", Some(session));
        let signal = [("signal", id.into()), ("name", "payment".into())];
        self.record(Act { body: Some("paid"), ..act }, data(signal));
    }

    pub(crate) fn pause(&mut self, session: RunId, pauses: bool) {
        let kind = if pauses { Kind::SessionPaused } else { Kind::SessionUnpaused };
        let act = self.act(kind, "user:cfo", Some(session));
        self.record(act, data([]));
    }

    pub(crate) fn seal_data(&self, session: RunId) -> Map {
        self.tallies[&session].seal("completed")
    }

    pub(crate) fn seal(&mut self, session: RunId) {
        let seal = self.seal_data(session);
        let act = self.act(Kind::SessionSealed, "service:engine", Some(session));
        self.record(act, seal);
    }

    pub(crate) fn rotate(&mut self) {
        self.now = self.now.plus_ms(7);
        self.writer.rotate(self.tenant, self.now, &mut self.entropy).unwrap();
    }

    pub(crate) fn evidence(&mut self) -> u64 {
        let act = self.act(Kind::Evidence, "agent:clerk", None);
        self.record(act, data([("source", "model".into()), ("digest", digest("seen"))])).seq()
    }

    /// Say that everything before `to` is pruned, as the store does before it removes it.
    pub(crate) fn prune(&mut self, to: u64) {
        let root = frontier(self.log(), to).root();
        let act = self.act(Kind::SegmentPruned, "service:ledger", None);
        let pruned = [("from", Value::from(0_u64)), ("to", Value::from(to)), ("root", root.into())];
        self.record(act, data(pruned));
    }

    /// A session with a bit of everything.
    pub(crate) fn honest_session(&mut self) -> RunId {
        let session = self.start();
        self.plan(session, "sepa");
        let receipt = self.receipt(session, "read", &[]);
        self.outcome(session, receipt, "completed");
        self.deny(session);
        let approval = self.ask(session, "large", &["user:cfo", "user:ceo"], 2);
        self.grant(session, approval, "large", "user:cfo");
        self.grant(session, approval, "large", "user:ceo");
        let receipt = self.receipt(session, "large", &[approval]);
        self.outcome(session, receipt, "abandoned");
        let receipt = self.receipt(session, "large", &[approval]);
        self.outcome(session, receipt, "unknown");
        let receipt = self.receipt(session, "hosts", &[]);
        self.outcome(session, receipt, "failed");
        self.signal(session, "evt-1");
        self.pause(session, true);
        self.pause(session, false);
        let seq = self.plan(session, "sepa").seq();
        self.seal(session);
        self.checkpoint(session, seq);
        self.replayed(session);
        self.schedule_set();
        self.one_begins_and_one_is_withdrawn();
        self.a_chain();
        session
    }

    /// The whole life of a small ledger: runs, change control, a rotation, pruning.
    pub(crate) fn honest(seed: u64) -> Self {
        Self::honest_until(seed, "open")
    }

    /// The same life, but that the last intent is another.
    pub(crate) fn honest_until(seed: u64, last: &str) -> Self {
        let mut house = Self::new(seed);
        house.found_canon("name = \"first\"\n");
        let evidence = house.evidence();
        house.rotate();
        house.change_canon("name = \"second\"\n", "user:cfo", &[evidence]);
        house.activated(1, "definition");
        house.honest_session();
        house.fired(21, true);
        let at = ("at", "2026-11-24T00:00:00.000000Z".into());
        let left_out = [at, ("skipped", "missed".into()), ("times", 3_u64.into())];
        house.schedule(Kind::SchedulePaused, []);
        house.schedule(Kind::ScheduleFired, left_out);
        house.schedule(Kind::ScheduleUnpaused, []);
        house.schedule(Kind::ScheduleRemoved, []);
        let kept_from = house.log().entries.len() as u64;
        house.honest_session();
        house.prune(kept_from);
        house.rotate();
        let session = house.start();
        house.receipt(session, last, &[]);
        house
    }

    pub(crate) fn head(&mut self) -> Checkpoint {
        self.log().checkpoints.last().unwrap().clone()
    }

    /// The keys that were in force, in order.
    pub(crate) fn keys(&mut self) -> Vec<VerifierKey> {
        let key = |entry: &Arc<Entry>| entry.text("key").or(entry.text("to"))?.parse().ok();
        self.log().entries().filter_map(key).collect()
    }

    /// The keys, each with the entry that hands over from it: the last one has none.
    fn handed(&mut self) -> Vec<(VerifierKey, u64)> {
        let keys = self.keys();
        let rotations = self.log().entries().filter(|entry| entry.kind() == Kind::KeyRotated);
        let last: Vec<_> = rotations.map(|entry| entry.seq()).chain([u64::MAX]).collect();
        keys.into_iter().zip(last).collect()
    }

    /// The versions of canon that entries name from here on.
    fn named_since(&mut self, from: u64) -> BTreeSet<Digest> {
        let from = usize::try_from(from).unwrap();
        let changes = [Kind::CanonProposed, Kind::CanonActivated];
        let named = |entry: &Arc<Entry>| {
            let changed = entry.digest("digest").filter(|_| changes.contains(&entry.kind()));
            entry.canon().into_iter().chain(changed)
        };
        self.log().entries().skip(from).flat_map(named).collect()
    }

    pub(crate) fn bundle(&mut self) -> Vec<u8> {
        self.bundle_from(0, true)
    }

    pub(crate) fn bundle_from(&mut self, from: u64, with_bodies: bool) -> Vec<u8> {
        let tenant = self.tenant;
        let keys: Vec<_> = self.handed().into_iter().filter(|(_, last)| *last >= from).collect();
        let named = self.named_since(from);
        let canons: Vec<_> =
            self.canons.values().filter(|canon| named.contains(&canon.digest)).cloned().collect();
        let log = self.writer.shelf().log(tenant).unwrap();
        let head = log.checkpoints.last().unwrap();
        let bodies: Vec<_> = log.bodies().filter(|(seq, _)| with_bodies && *seq >= from).collect();
        let manifest = Manifest {
            tenant,
            origin: head.origin().to_owned(),
            from,
            size: head.size(),
            root: head.root(),
            bodies: bodies.len() as u64,
            canons: canons.len() as u64,
            left_out: if with_bodies { BTreeSet::new() } else { BTreeSet::from([Part::Bodies]) },
        };
        let mut out = Vec::new();
        let mut writer = BundleWriter::begin(&mut out, &manifest).unwrap();
        keys.iter().for_each(|(key, _)| writer.key(key).unwrap());
        canons.iter().for_each(|canon| writer.canon(canon).unwrap());
        if from > 0 {
            writer.subtrees(frontier(log, from).roots()).unwrap();
            earlier(log, from).iter().for_each(|it| writer.earlier(it).unwrap());
        }
        let kept = || log.entries().skip(usize::try_from(from).unwrap());
        kept().for_each(|entry| writer.entry(entry).unwrap());
        for (seq, body) in bodies {
            writer.body(seq, &body.salt, &body.bytes).unwrap();
        }
        for (giver, last) in &keys {
            let size = last.saturating_add(1);
            let head = log.checkpoints.iter().find(|it| it.size() == size).unwrap_or(head);
            writer.checkpoint(head, giver).unwrap();
        }
        writer.end().unwrap();
        out
    }
}

struct Leaves<'a>(&'a KeptLog);

impl Hashes for Leaves<'_> {
    type Error = ();

    fn leaf(&mut self, index: u64) -> Result<Option<Digest>, ()> {
        let index = usize::try_from(index).unwrap();
        Ok(self.0.entries().nth(index).map(|entry| entry.leaf()))
    }

    fn node(&mut self, _: u8, _: u64) -> Result<Option<Digest>, ()> {
        Ok(None)
    }
}

/// What put keys in force before `from`, each with its proof.
fn earlier(log: &KeptLog, from: u64) -> Vec<Earlier> {
    let of_keys = [Kind::Genesis, Kind::KeyRotated];
    let entries = log.entries().filter(|it| it.seq() < from && of_keys.contains(&it.kind()));
    let head = |entry: &Entry| log.checkpoints.iter().find(|it| it.size() == entry.seq() + 1);
    let proven = |entry: &Arc<Entry>| Earlier {
        entry: Entry::clone(entry),
        path: inclusion(&mut Leaves(log), entry.seq(), from).unwrap(),
        head: (entry.seq() > 0).then(|| head(entry).unwrap().clone()),
    };
    entries.map(proven).collect()
}

pub(crate) fn frontier(log: &KeptLog, size: u64) -> Frontier {
    let mut frontier = Frontier::new();
    for entry in log.entries().take(usize::try_from(size).unwrap()) {
        frontier.push(entry.leaf(), |_, _, _| {});
    }
    frontier
}

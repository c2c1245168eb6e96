//! The one writer. What it returns is recorded: [`Durable`] cannot be made elsewhere.

mod staged;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::{RunId, TenantId};
use cog_base::json::Value;

use crate::entry::{Draft, Entry, EntryError, Prepared};
use crate::keys::{KeyRing, SignError, Signer};
use crate::kind::{FORMAT, Kind};
use crate::log::staged::{Staged, undone};
use crate::shelf::{Shelf, ShelfError, Tail};

/// The most drafts in one append.
pub const DRAFTS_MAX: usize = 65_536;
/// The most logs whose heads are held at once; beyond it all are dropped and read again.
pub const HEADS_MAX: usize = 65_536;

const ORIGIN: &str = "cognitionos.local";
/// Who makes the entries that put keys in force.
pub(crate) const WRITER: &str = "service:ledger";

/// Something that is recorded: on stable storage, under a signed head.
#[derive(Debug)]
pub struct Durable<T>(Arc<T>);

impl<T> Durable<T> {
    /// The thing itself, without the proof that it is recorded.
    #[must_use]
    pub fn into_inner(self) -> Arc<T> {
        self.0
    }
}

impl<T> Deref for Durable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why nothing was appended. Whether a failed commit reached the store is unknown; the
/// writer reads the tail again before it goes on.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A draft is not acceptable; none was appended.
    #[error("draft {index} of the append is not acceptable")]
    Draft {
        /// Which one, from 0.
        index: usize,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// More than [`DRAFTS_MAX`] at once.
    #[error("{0} drafts are more than the {DRAFTS_MAX} of one append")]
    TooMany(usize),
    /// The store failed.
    #[error("could not append to the ledger")]
    Shelf(#[from] ShelfError),
    /// The head could not be signed.
    #[error("could not sign the head of the log of {tenant}")]
    Sign {
        /// Whose log.
        tenant: TenantId,
        /// Why.
        #[source]
        source: SignError,
    },
    /// An earlier append of the same session, or of another of its tenant, was not recorded, and this
    /// one follows it.
    #[error(
        "an earlier append of {session} was not recorded, so that what follows it is not either"
    )]
    Behind {
        /// The session of the earlier one.
        session: RunId,
    },
    /// No randomness for a salt.
    #[error("could not salt a body")]
    NoEntropy(#[from] NoEntropy),
    /// What the store kept is not what was signed.
    #[error("the kept log of {tenant} does not hold together: {what}")]
    Corrupt {
        /// Whose log.
        tenant: TenantId,
        /// What is wrong.
        what: &'static str,
    },
}

/// Appends to the logs of all tenants. There must be one writer for a log at a time.
pub struct Writer<S> {
    shelf: S,
    keys: Box<dyn KeyRing>,
    engine: Arc<str>,
    origin: String,
    heads: HashMap<TenantId, Open>,
}

/// A log that is being written.
struct Open {
    tail: Option<Tail>,
    origin: String,
    signer: Box<dyn Signer>,
}

/// Entries, each with the draft that it was; nothing for those of the writer's own.
type Recorded = Vec<(Option<usize>, Durable<Entry>)>;

/// A prepared draft, with its place among those that were handed in.
type Numbered = (usize, (TenantId, Prepared));

/// Why nothing was kept, and the drafts back.
struct NotKept {
    why: AppendError,
    drafts: Vec<Numbered>,
}

impl<S: Shelf> Writer<S> {
    /// A writer over a shelf and the keys of its logs. `engine` is the name and version of
    /// the program, as entries name it.
    #[must_use]
    pub fn new(shelf: S, keys: Box<dyn KeyRing>, engine: &str) -> Self {
        Self {
            shelf,
            keys,
            engine: engine.into(),
            origin: ORIGIN.to_owned(),
            heads: HashMap::new(),
        }
    }

    /// New logs are named `<origin>/<tenant>` instead of `cognitionos.local/<tenant>`.
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        origin.clone_into(&mut self.origin);
        self
    }

    /// The shelf, to read from.
    pub const fn shelf(&mut self) -> &mut S {
        &mut self.shelf
    }

    /// The shelf, when the writer is done.
    #[must_use]
    pub fn into_shelf(self) -> S {
        self.shelf
    }

    /// The end of a tenant's log, or nothing when there is none yet.
    ///
    /// # Errors
    /// [`AppendError`] when it cannot be read or does not hold together.
    pub fn head(&mut self, tenant: TenantId) -> Result<Option<&Tail>, AppendError> {
        if !self.heads.contains_key(&tenant)
            && let Some(open) = self.read_tail(tenant)?
        {
            self.hold(tenant, open);
        }
        Ok(self.heads.get(&tenant).and_then(|open| open.tail.as_ref()))
    }

    /// Record all of `drafts` or none, each in its tenant's log, in the order given. The
    /// first entry of a tenant opens its log with a genesis entry and a new key.
    ///
    /// One batch, one signature for each tenant, one commit for all. The result has the
    /// order of the drafts.
    ///
    /// # Errors
    /// [`AppendError`]; then no entry may be taken as recorded.
    pub fn append(
        &mut self,
        drafts: Vec<(TenantId, Draft)>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Durable<Entry>>, AppendError> {
        if drafts.len() > DRAFTS_MAX {
            return Err(AppendError::TooMany(drafts.len()));
        }
        let mut prepared = Prepared::all(drafts, entropy)?;
        self.append_from(&mut prepared, now, entropy)
    }

    /// As [`Writer::append`], for whoever prepared the drafts beforehand and may try again: what
    /// is recorded is taken out of `drafts`, and after an error they are all there as they were.
    ///
    /// # Errors
    /// [`AppendError`]; then no entry may be taken as recorded.
    pub fn append_from(
        &mut self,
        drafts: &mut Vec<(TenantId, Prepared)>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Durable<Entry>>, AppendError> {
        if drafts.len() > DRAFTS_MAX {
            return Err(AppendError::TooMany(drafts.len()));
        }
        let count = drafts.len();
        let mut waiting: Vec<Numbered> = drafts.drain(..).enumerate().collect();
        waiting.sort_by_key(|(_, (tenant, _))| *tenant);
        let mut waiting = waiting.into_iter();
        let mut staged = Vec::new();
        let recorded = match self.stage_all(&mut waiting, &mut staged, now, entropy) {
            Ok(()) => self.commit(staged),
            Err(why) => {
                Err(NotKept { why, drafts: staged.into_iter().flat_map(Staged::undo).collect() })
            }
        };
        match recorded {
            Ok(recorded) => Ok(in_order(recorded, count)),
            Err(NotKept { why, drafts: mut undone }) => {
                undone.extend(waiting);
                undone.sort_by_key(|(index, _)| *index);
                drafts.extend(undone.into_iter().map(|(_, draft)| draft));
                Err(why)
            }
        }
    }

    /// Give each draft its place, one batch for each tenant. What could not be staged is
    /// left in `waiting`.
    fn stage_all(
        &mut self,
        waiting: &mut std::vec::IntoIter<Numbered>,
        staged: &mut Vec<Staged>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(), AppendError> {
        while let Some((index, (tenant, draft))) = waiting.as_slice().first() {
            if staged.last().is_none_or(|batch| batch.tenant != *tenant) {
                staged.push(self.stage(*tenant, now, entropy)?);
            }
            let Some(batch) = staged.last_mut() else { break };
            let checked = batch.check(draft);
            checked.map_err(|source| AppendError::Draft { index: *index, source })?;
            if let Some((index, (_, draft))) = waiting.next() {
                batch.add(Some(index), draft);
            }
        }
        Ok(())
    }

    /// Hand a log over to a new key. The entry and the head that says so are signed by
    /// both keys; later heads by the new one alone. Returns what was recorded: the hand-over,
    /// after a genesis entry if the log did not exist.
    ///
    /// # Errors
    /// [`AppendError`]; then the old key is still in force, unless the commit's fate is
    /// unknown, which the next call finds out from the shelf.
    pub fn rotate(
        &mut self,
        tenant: TenantId,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Durable<Entry>>, AppendError> {
        let mut batch = self.stage(tenant, now, entropy)?;
        let next = self.keys.create(tenant, &batch.open.origin, entropy);
        let next = next.map_err(|source| AppendError::Sign { tenant, source })?;
        let keys =
            [("from", batch.open.signer.public().to_string()), ("to", next.public().to_string())];
        batch.add_own(own_draft(Kind::KeyRotated, keys), entropy)?;
        batch.next = Some(next);
        let recorded = self.commit(vec![batch]).map_err(|not_kept| not_kept.why)?;
        Ok(recorded.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Take the head out and begin a batch. Only a commit puts the head back, so that after
    /// any error the tail is read from the shelf again.
    fn stage(
        &mut self,
        tenant: TenantId,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Staged, AppendError> {
        let open = match self.heads.remove(&tenant) {
            Some(open) => open,
            None => match self.read_tail(tenant)? {
                Some(open) => open,
                None => self.create(tenant, entropy)?,
            },
        };
        let is_new = open.tail.is_none();
        let mut batch = Staged::new(tenant, open, &self.engine, now);
        if is_new {
            let draft = own_draft(
                Kind::Genesis,
                [
                    ("format", FORMAT.to_owned()),
                    ("origin", batch.open.origin.clone()),
                    ("key", batch.open.signer.public().to_string()),
                ],
            );
            batch.add_own(draft, entropy)?;
        }
        Ok(batch)
    }

    fn create(&mut self, tenant: TenantId, entropy: &mut dyn Entropy) -> Result<Open, AppendError> {
        let origin = format!("{}/{tenant}", self.origin);
        let signer = self.keys.create(tenant, &origin, entropy);
        let signer = signer.map_err(|source| AppendError::Sign { tenant, source })?;
        Ok(Open { tail: None, origin, signer })
    }

    /// Read the end of a log and check that it is what its key signed. The key in force is
    /// the one that signed last.
    fn read_tail(&mut self, tenant: TenantId) -> Result<Option<Open>, AppendError> {
        let Some(tail) = self.shelf.tail(tenant)? else {
            return Ok(None);
        };
        let corrupt = |what| AppendError::Corrupt { tenant, what };
        let checkpoint = &tail.checkpoint;
        if checkpoint.size() != tail.frontier.size() || checkpoint.root() != tail.frontier.root() {
            return Err(corrupt("its signed head is not the head of its tree"));
        }
        let origin = checkpoint.origin().to_owned();
        let own = checkpoint.note().signatures().iter().rfind(|line| line.name == origin);
        let id = own.ok_or_else(|| corrupt("its head is not signed in its name"))?.id;
        let signer = self.keys.open(tenant, &origin, id);
        let signer = signer.map_err(|source| AppendError::Sign { tenant, source })?;
        if !checkpoint.note().is_signed_by(signer.public()) {
            return Err(corrupt("the signature of its head is wrong"));
        }
        Ok(Some(Open { tail: Some(tail), origin, signer }))
    }

    fn commit(&mut self, mut staged: Vec<Staged>) -> Result<Recorded, NotKept> {
        let heads: Result<Vec<_>, _> = staged.iter_mut().map(Staged::sign).collect();
        let heads = match heads {
            Ok(heads) => heads,
            Err(why) => {
                let drafts = staged.into_iter().flat_map(Staged::undo).collect();
                return Err(NotKept { why, drafts });
            }
        };
        let mut batches = Vec::with_capacity(staged.len());
        let mut opens = Vec::with_capacity(staged.len());
        let mut drafts = Vec::new();
        for (batch, head) in staged.into_iter().zip(heads) {
            let (sealed, open, own) = batch.seal(head);
            opens.push((sealed.tenant, open));
            batches.push(sealed);
            drafts.extend(own);
        }
        let kept = if batches.is_empty() { Ok(()) } else { self.shelf.commit(&batches) };
        let entries = batches.into_iter().flat_map(|batch| batch.entries);
        let entries = drafts.into_iter().zip(entries);
        if let Err(why) = kept {
            return Err(NotKept { why: why.into(), drafts: undone(entries).collect() });
        }
        for (tenant, open) in opens {
            self.hold(tenant, open);
        }
        Ok(entries.map(|(draft, sealed)| (draft, Durable(sealed.entry))).collect())
    }

    fn hold(&mut self, tenant: TenantId, open: Open) {
        if self.heads.len() >= HEADS_MAX {
            self.heads.clear();
        }
        self.heads.insert(tenant, open);
    }
}

/// A draft of the writer's own.
fn own_draft(kind: Kind, data: impl IntoIterator<Item = (&'static str, String)>) -> Draft {
    let data = data.into_iter().map(|(name, text)| (name, Value::from(text)));
    Draft::new(kind, WRITER, "ledger", "any", data)
}

/// The recorded entries in the order of their drafts, without those of the writer's own.
fn in_order(recorded: Recorded, count: usize) -> Vec<Durable<Entry>> {
    let mut placed: Vec<Option<Durable<Entry>>> = Vec::new();
    placed.resize_with(count, || None);
    for (draft, entry) in recorded {
        if let Some(place) = draft.and_then(|draft| placed.get_mut(draft)) {
            *place = Some(entry);
        }
    }
    placed.into_iter().flatten().collect()
}

//! A draft that is ready for a place: checked, salted, and written but for what only its place
//! tells. That is most of the work of an append, and needs no writer, so that whoever hands
//! drafts to a busy one does it beforehand.

use std::sync::Arc;

use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::{RunId, TenantId};
use cog_base::json::{Canonical as _, Object, Value};
use cog_base::{Digest, Timestamp};

use super::{BYTES_MAX, Draft, Entry, EntryError, NAME_BYTES_MAX, VERSION};
use crate::body::{SealedBody, commitment};
use crate::kind::Kind;
use crate::log::AppendError;
use crate::merkle;

/// Room for the text of an entry of the usual size.
const TEXT_BYTES: usize = 1280;
/// More than any place adds: a name whose every byte is escaped, and some short members.
const ADDED_BYTES_MAX: usize = 6 * NAME_BYTES_MAX + 512;

/// A draft that was found acceptable, with the salt and the commitment of its body and with
/// its text, in which what the place tells is left out.
#[derive(Debug)]
pub struct Prepared {
    draft: Draft,
    salt: [u8; 32],
    commit: Option<Digest>,
    text: Text,
}

/// The members of an entry in the order of RFC 8785, without the values of `at`, `engine`,
/// `seq` and `tenant` and without the member `prev`, and where in the bytes these belong.
#[derive(Debug)]
struct Text {
    bytes: Vec<u8>,
    at: usize,
    engine: usize,
    prev: usize,
    seq: usize,
    tenant: usize,
}

/// Where an entry stands: all that a writer adds to a draft.
pub(crate) struct Place<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) prev: Option<Digest>,
    /// The member `prev` with the comma before it; nothing in the first entry.
    prev_json: Vec<u8>,
    seq_json: Vec<u8>,
    pub(crate) batch: &'a BatchText,
}

/// What all entries of a batch have in common, written once.
pub(crate) struct BatchText {
    engine: Arc<str>,
    at_json: Vec<u8>,
    engine_json: Vec<u8>,
    tenant_json: Vec<u8>,
}

impl BatchText {
    pub(crate) fn new(tenant: TenantId, at: Timestamp, engine: &Arc<str>) -> Self {
        Self {
            engine: Arc::clone(engine),
            at_json: Value::from(at).canonical(),
            engine_json: Value::from(&**engine).canonical(),
            tenant_json: Value::from(tenant).canonical(),
        }
    }
}

impl<'a> Place<'a> {
    pub(crate) fn new(
        (tenant, seq): (TenantId, u64),
        at: Timestamp,
        prev: Option<Digest>,
        batch: &'a BatchText,
    ) -> Self {
        let mut prev_json = Vec::with_capacity(96);
        if let Some(prev) = &prev {
            prev_json.extend_from_slice(b",\"prev\":");
            prev.write_canonical(&mut prev_json);
        }
        Self { tenant, seq, at, prev, prev_json, seq_json: seq.canonical(), batch }
    }
}

impl Prepared {
    /// Prepare all drafts of an append, or say which of them is not acceptable. What it comes
    /// to depends on nothing but them and the salts that are drawn.
    ///
    /// # Errors
    /// [`AppendError::Draft`], or [`AppendError::NoEntropy`] without salt for a body.
    pub fn all(
        drafts: Vec<(TenantId, Draft)>,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<(TenantId, Self)>, AppendError> {
        for (index, (_, draft)) in drafts.iter().enumerate() {
            acceptable(draft).map_err(|source| AppendError::Draft { index, source })?;
        }
        let prepare = |(tenant, draft)| Ok((tenant, Self::of(draft, entropy)?));
        drafts.into_iter().map(prepare).collect()
    }

    /// Salt and write a draft that was checked, or that the writer itself made.
    pub(crate) fn of(draft: Draft, entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
        let (mut salt, mut commit) = ([0; 32], None);
        if let Some(body) = &draft.body {
            entropy.fill(&mut salt)?;
            commit = Some(commitment(&salt, &body.bytes));
        }
        Ok(Self { text: Text::of(&draft, commit), draft, salt, commit })
    }

    /// The run it belongs to.
    #[must_use]
    pub const fn session(&self) -> Option<RunId> {
        self.draft.session
    }

    /// Whether the entry that this becomes in a place is small enough.
    pub(crate) fn check<'a>(&self, place: impl FnOnce() -> Place<'a>) -> Result<(), EntryError> {
        let bytes = self.text.bytes.len();
        if bytes + ADDED_BYTES_MAX <= BYTES_MAX {
            return Ok(());
        }
        let bytes = bytes + added_bytes(&self.text.added(&place()));
        if bytes > BYTES_MAX { Err(EntryError::TooLarge { bytes }) } else { Ok(()) }
    }

    /// The entry that this becomes in a place that it was checked for, and its body.
    pub(crate) fn into_entry(mut self, place: &Place<'_>) -> (Entry, Option<SealedBody>) {
        let body = self.draft.body.take().zip(self.commit);
        let body = body.map(|(body, commit)| SealedBody::with(body, self.salt, commit));
        let bytes = self.text.into_bytes(place);
        let entry = Entry {
            leaf: merkle::leaf_hash(&bytes),
            bytes: bytes.into(),
            tenant: place.tenant,
            seq: place.seq,
            at: place.at,
            prev: place.prev,
            kind: self.draft.kind,
            actor: self.draft.actor,
            domain: self.draft.domain,
            environment: self.draft.environment,
            engine: Arc::clone(&place.batch.engine),
            session: self.draft.session,
            canon: self.draft.canon,
            commit: self.commit,
            data: self.draft.data,
        };
        (entry, body)
    }

    /// What an entry was that lost its place.
    pub(crate) fn again(entry: Entry, body: Option<SealedBody>) -> Self {
        let commit = entry.commit;
        let salt = body.as_ref().map_or([0; 32], |body| body.salt);
        let draft = Draft {
            kind: entry.kind,
            actor: entry.actor,
            domain: entry.domain,
            environment: entry.environment,
            session: entry.session,
            canon: entry.canon,
            data: entry.data,
            body: body.map(SealedBody::into_draft),
        };
        Self { text: Text::of(&draft, commit), draft, salt, commit }
    }
}

impl Text {
    fn of(draft: &Draft, commit: Option<Digest>) -> Self {
        let mut text = Self {
            bytes: Vec::with_capacity(TEXT_BYTES),
            at: 0,
            engine: 0,
            prev: 0,
            seq: 0,
            tenant: 0,
        };
        let object = Object::new(&mut text.bytes)
            .put("actor", &draft.actor)
            .put_with("at", |out| text.at = out.len());
        let object = match commit {
            Some(commit) => {
                object.put_with("body", |out| Object::new(out).put("commit", &commit).end())
            }
            None => object,
        };
        object
            .put_some("canon", draft.canon.as_ref())
            .put("data", &draft.data)
            .put("domain", &draft.domain)
            .put_with("engine", |out| text.engine = out.len())
            .put("environment", &draft.environment)
            .put_with("kind", |out| {
                draft.kind.as_str().write_canonical(out);
                text.prev = out.len();
            })
            .put_with("seq", |out| text.seq = out.len())
            .put_some("session", draft.session.as_ref())
            .put_with("tenant", |out| text.tenant = out.len())
            .put("v", &VERSION)
            .end();
        text
    }

    /// What a place adds, and where.
    fn added<'a>(&self, place: &'a Place<'_>) -> [(usize, &'a [u8]); 5] {
        [
            (self.at, place.batch.at_json.as_slice()),
            (self.engine, place.batch.engine_json.as_slice()),
            (self.prev, place.prev_json.as_slice()),
            (self.seq, place.seq_json.as_slice()),
            (self.tenant, place.batch.tenant_json.as_slice()),
        ]
    }

    /// The whole text in a place. It is made in the memory that the text has already.
    fn into_bytes(mut self, place: &Place<'_>) -> Vec<u8> {
        let added = self.added(place);
        let mut end = self.bytes.len();
        let mut to = end + added_bytes(&added);
        self.bytes.resize(to, 0);
        // From the back to the front: what stands behind a part, then the part.
        for (cut, part) in added.into_iter().rev() {
            to -= end - cut;
            self.bytes.copy_within(cut..end, to);
            end = cut;
            to -= part.len();
            if let Some(gap) = self.bytes.get_mut(to..to + part.len()) {
                gap.copy_from_slice(part);
            }
        }
        self.bytes
    }
}

fn added_bytes(added: &[(usize, &[u8])]) -> usize {
    added.iter().map(|(_, part)| part.len()).sum()
}

/// Whether others than the writer itself may record this.
fn acceptable(draft: &Draft) -> Result<(), EntryError> {
    match draft.kind {
        Kind::Genesis | Kind::KeyRotated => Err(EntryError::Reserved(draft.kind)),
        Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonRejected
        | Kind::CanonActivated
        | Kind::Evidence
        | Kind::Promotion
        | Kind::SessionStarted
        | Kind::PlanSelected
        | Kind::Receipt
        | Kind::Denial
        | Kind::ApprovalRequested
        | Kind::ApprovalGranted
        | Kind::ApprovalRejected
        | Kind::ApprovalEscalated
        | Kind::ApprovalDelegated
        | Kind::Output
        | Kind::Outcome
        | Kind::Signal
        | Kind::SessionPaused
        | Kind::SessionUnpaused
        | Kind::ChildStarted
        | Kind::ChildEnded
        | Kind::SessionSealed
        | Kind::Checkpoint
        | Kind::Replay
        | Kind::ScheduleSet
        | Kind::ScheduleRemoved
        | Kind::SchedulePaused
        | Kind::ScheduleUnpaused
        | Kind::WorkflowActivated
        | Kind::ScheduleFired
        | Kind::SessionQueued
        | Kind::SessionUnqueued
        | Kind::BodiesErased
        | Kind::SegmentPruned => draft.check(),
    }
}

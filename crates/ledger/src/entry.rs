//! A record in a log: canonical JSON of at most 65,535 bytes whose RFC 9162 leaf hash
//! covers every byte of it.

mod prepared;

use std::fmt;
use std::sync::Arc;

use cog_base::id::{RunId, TenantId};
use cog_base::json::{Map, Value};
use cog_base::{Digest, Timestamp};

use crate::body::BodyDraft;
use crate::canonical::{self, NotCanonical};
use crate::kind::{ACTS, BadData, Kind};
use crate::merkle;

pub use prepared::Prepared;
pub(crate) use prepared::{BatchText, Place};

/// The most bytes of an entry (the limit of C2SP `tlog-tiles`).
pub const BYTES_MAX: usize = 65_535;
/// The most bytes of an actor, domain, environment or engine name.
pub const NAME_BYTES_MAX: usize = 256;
/// The version of the entry format: the member `v`.
pub const VERSION: u64 = 1;

/// What somebody wants recorded. The writer adds tenant, place, time and link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What the entry is about.
    pub kind: Kind,
    /// Who does it: `user:…`, `agent:…` or `service:…`.
    pub actor: String,
    /// The governed workflow domain.
    pub domain: String,
    /// Production or not.
    pub environment: String,
    /// The run it belongs to; required where [`Kind::in_session`] says so.
    pub session: Option<RunId>,
    /// The version of canon it was decided under.
    pub canon: Option<Digest>,
    /// The members that [`Kind::check`] knows, and any further ones.
    pub data: Map,
    /// What is kept beside the log.
    pub body: Option<BodyDraft>,
}

/// A record in its place in a log. Read-only: it is what its bytes say.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    bytes: Box<[u8]>,
    leaf: Digest,
    tenant: TenantId,
    seq: u64,
    at: Timestamp,
    prev: Option<Digest>,
    kind: Kind,
    actor: String,
    domain: String,
    environment: String,
    engine: Arc<str>,
    session: Option<RunId>,
    canon: Option<Digest>,
    commit: Option<Digest>,
    data: Map,
}

/// Why bytes or a draft are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Larger than [`BYTES_MAX`].
    #[error("the entry has {bytes} bytes; at most {BYTES_MAX} are allowed")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// Not the one canonical spelling.
    #[error("the bytes are not canonical JSON")]
    NotCanonical(#[from] NotCanonical),
    /// A member that no entry has.
    #[error("no entry has a member `{0}`")]
    UnknownMember(String),
    /// A top-level member that is missing or wrong.
    #[error("the member `{member}` must be {expected}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A member of `data` that is missing or wrong.
    #[error(transparent)]
    Data(#[from] BadData),
    /// A kind that only the writer itself records.
    #[error("entries of kind `{0}` are made by the writer alone")]
    Reserved(Kind),
}

impl Draft {
    /// A draft that belongs to no run, rests on no canon and has no body.
    #[must_use]
    pub fn new<'a>(
        kind: Kind,
        actor: &str,
        domain: &str,
        environment: &str,
        data: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Self {
        let data = data.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self {
            kind,
            actor: actor.to_owned(),
            domain: domain.to_owned(),
            environment: environment.to_owned(),
            session: None,
            canon: None,
            data: data.collect(),
            body: None,
        }
    }

    /// The same with what somebody typed: in the body, which can be erased, and never in the entry.
    #[must_use]
    pub fn saying(mut self, name: &str, words: &str) -> Self {
        let bytes = Value::map([(name, words)]).canonical();
        self.body = Some(BodyDraft { subject: None, bytes });
        self
    }

    /// Say whose data the body holds, if there is one and it does not say so yet.
    pub fn about(&mut self, subject: Option<&str>) {
        if let Some(body) = &mut self.body
            && body.subject.is_none()
        {
            body.subject = subject.map(str::to_owned);
        }
    }

    /// Check what can be checked before a place is known.
    fn check(&self) -> Result<(), EntryError> {
        check_actor(&self.actor)?;
        check_name("domain", &self.domain)?;
        check_name("environment", &self.environment)?;
        check_session(self.kind, self.session, &self.data)?;
        Ok(self.kind.check(&self.data)?)
    }
}

impl Entry {
    /// Read an entry from its bytes.
    ///
    /// # Errors
    /// [`EntryError`] unless the bytes are exactly what a writer makes: canonical, complete,
    /// of a known kind with its `data`, without unknown members, within [`BYTES_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > BYTES_MAX {
            return Err(EntryError::TooLarge { bytes: bytes.len() });
        }
        let mut members = Members(canonical::read_map(bytes)?);
        let entry = Self {
            leaf: merkle::leaf_hash(bytes),
            bytes: bytes.into(),
            tenant: members.read("tenant", "a tenant id (ten_…)")?,
            seq: members.seq()?,
            at: members.read("at", "a time like 2026-11-21T04:05:06.000000Z")?,
            prev: members.digest("prev")?,
            kind: members.read("kind", "a known kind of entry")?,
            actor: members.text("actor")?,
            domain: members.text("domain")?,
            environment: members.text("environment")?,
            engine: members.text("engine")?.into(),
            session: members.session()?,
            canon: members.digest("canon")?,
            commit: members.commit()?,
            data: members.data()?,
        };
        members.finish()?;
        entry.check()?;
        Ok(entry)
    }

    fn check(&self) -> Result<(), EntryError> {
        check_actor(&self.actor)?;
        check_name("domain", &self.domain)?;
        check_name("environment", &self.environment)?;
        check_name("engine", &self.engine)?;
        check_session(self.kind, self.session, &self.data)?;
        if self.prev.is_none() != (self.seq == 0) {
            let expected = "there except in the first entry of a log";
            return Err(EntryError::Member { member: "prev", expected });
        }
        Ok(self.kind.check(&self.data)?)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The RFC 9162 leaf hash of the bytes.
    #[must_use]
    pub const fn leaf(&self) -> Digest {
        self.leaf
    }

    /// Whose log it is in.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Its place in the log, from 0 without gaps: the leaf index.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// When it was recorded. It never decreases along a log.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The leaf hash of the entry before; nothing in the first.
    #[must_use]
    pub const fn prev(&self) -> Option<Digest> {
        self.prev
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Who did it.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The governed workflow domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Production or not.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The program that wrote it, with its version.
    #[must_use]
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// The run it belongs to.
    #[must_use]
    pub const fn session(&self) -> Option<RunId> {
        self.session
    }

    /// The version of canon it was decided under.
    #[must_use]
    pub const fn canon(&self) -> Option<Digest> {
        self.canon
    }

    /// The commitment to its body.
    #[must_use]
    pub const fn commit(&self) -> Option<Digest> {
        self.commit
    }

    /// What it says.
    #[must_use]
    pub const fn data(&self) -> &Map {
        &self.data
    }

    /// The text member `name` of its data.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name)?.as_text()
    }

    /// The digest member `name` of its data.
    #[must_use]
    pub fn digest(&self, name: &str) -> Option<Digest> {
        self.text(name)?.parse().ok()
    }

    /// The whole-number member `name` of its data.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.data.get(name)?.as_u64()
    }

    /// The id it is found by: its own, that of its receipt, or that of its proposal.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        ["id", "receipt", "proposal"].into_iter().find_map(|name| self.text(name))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", String::from_utf8_lossy(&self.bytes))
    }
}

/// The top-level members of an entry, taken out one by one until none may be left.
struct Members(Map);

impl Members {
    fn text(&mut self, member: &'static str) -> Result<String, EntryError> {
        match self.0.remove(member) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(EntryError::Member { member, expected: "text" }),
        }
    }

    fn read<T: std::str::FromStr>(
        &mut self,
        member: &'static str,
        expected: &'static str,
    ) -> Result<T, EntryError> {
        self.text(member)?.parse().map_err(|_| EntryError::Member { member, expected })
    }

    fn digest(&mut self, member: &'static str) -> Result<Option<Digest>, EntryError> {
        let expected = "a digest, `sha256:` and 64 hex digits";
        let digest = |value: Value| value.as_text()?.parse().ok();
        self.0
            .remove(member)
            .map(|value| digest(value).ok_or(EntryError::Member { member, expected }))
            .transpose()
    }

    fn seq(&mut self) -> Result<u64, EntryError> {
        let wrong = EntryError::Member { member: "seq", expected: "a whole number, not negative" };
        self.0.remove("seq").and_then(|seq| seq.as_u64()).ok_or(wrong)
    }

    fn session(&mut self) -> Result<Option<RunId>, EntryError> {
        if !self.0.contains_key("session") {
            return Ok(None);
        }
        self.read("session", "a run id (run_…)").map(Some)
    }

    fn commit(&mut self) -> Result<Option<Digest>, EntryError> {
        let Some(body) = self.0.remove("body") else {
            return Ok(None);
        };
        let only = body.as_map().filter(|members| members.len() == 1);
        let commit = only.and_then(|members| members.get("commit")?.as_text());
        let expected = "{commit: digest}";
        commit
            .and_then(|digest| digest.parse().ok())
            .map(Some)
            .ok_or(EntryError::Member { member: "body", expected })
    }

    fn data(&mut self) -> Result<Map, EntryError> {
        match self.0.remove("data") {
            Some(Value::Map(data)) => Ok(data),
            _ => Err(EntryError::Member { member: "data", expected: "an object" }),
        }
    }

    /// The version, and nothing else, is left.
    fn finish(mut self) -> Result<(), EntryError> {
        if self.0.remove("v") != Some(Value::from(VERSION)) {
            return Err(EntryError::Member { member: "v", expected: "1" });
        }
        let left = self.0.into_iter().next();
        left.map_or(Ok(()), |(name, _)| Err(EntryError::UnknownMember(name)))
    }
}

fn check_actor(actor: &str) -> Result<(), EntryError> {
    let expected = "`user:`, `agent:` or `service:` and a name of at most 256 bytes";
    let name =
        actor.split_once(':').filter(|(kind, _)| matches!(*kind, "user" | "agent" | "service"));
    match name {
        Some((_, name)) if !name.is_empty() && actor.len() <= NAME_BYTES_MAX => Ok(()),
        _ => Err(EntryError::Member { member: "actor", expected }),
    }
}

fn check_name(member: &'static str, name: &str) -> Result<(), EntryError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let expected = "text of 1 to 256 bytes";
        return Err(EntryError::Member { member, expected });
    }
    Ok(())
}

fn check_session(kind: Kind, session: Option<RunId>, data: &Map) -> Result<(), EntryError> {
    let action = data.get("action").and_then(Value::as_text);
    // What people do about approvals, canon and ledger may concern no run.
    let is_act = kind == Kind::Denial && action.is_some_and(|action| ACTS.contains(&action));
    if kind.in_session() && session.is_none() && !is_act {
        let expected = "there: entries of this kind belong to a run";
        return Err(EntryError::Member { member: "session", expected });
    }
    Ok(())
}

//! Everything a decision reads besides the intent and the canon, as one value.
//!
//! The snapshot is kept with the decision and its digest is in the ledger entry, so that
//! anyone can recompute the verdict.

mod tally;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::ApprovalId;
use cog_base::json::{Canonical, Object};
use cog_base::{Digest, Micros, Period, Timestamp, Value};

use crate::intent::BadRecord;

pub use tally::Tally;

/// Whether the tenant may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantStatus {
    /// It may.
    Active,
    /// It was suspended.
    Suspended,
    /// Nobody knows it.
    Unknown,
}

/// A count with a limit; no limit when `limit` is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// How much is used or reserved.
    pub used: u64,
    /// How much may be.
    pub limit: Option<u64>,
}

impl Allowance {
    /// Whether `more` still fits. The limit itself is allowed.
    #[must_use]
    pub fn admits(self, more: u64) -> bool {
        let after = self.used.checked_add(more);
        self.limit.is_none_or(|limit| after.is_some_and(|after| after <= limit))
    }
}

/// What a run may do in a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    Write,
}

/// A consent that people gave to one intent under one canon version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The intent it was asked for.
    pub intent: Digest,
    /// The canon version it was asked under.
    pub canon: Digest,
    /// Who said yes.
    pub by: BTreeSet<String>,
    /// Whether somebody said no.
    pub rejected: bool,
    /// Whether others were let answer, as that took too long.
    pub escalated: bool,
    /// When it ends.
    pub expires: Timestamp,
}

/// Another open receipt that holds a lease on what this intent touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The contested key.
    pub key: String,
    /// The receipt that holds it.
    pub holder: String,
}

/// What the session has done so far, for envelopes and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many different keys were written so far.
    pub resources: u64,
    /// How many more this intent would write.
    pub adds: u64,
    /// Money moved so far, in minor units.
    pub amount: u64,
    /// Actions taken so far.
    pub actions: BTreeSet<String>,
    /// For each limited policy, how many receipts it gave.
    pub receipts_by_policy: BTreeMap<String, u64>,
    /// For each limited policy and path, the sum of the values it let through.
    pub sums_by_policy: BTreeMap<String, u64>,
}

/// Where a root of a run stands. It is fixed when the run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder, absolute and without symbolic links.
    pub path: String,
    /// The path to it from the folder of the workflow file, if it is in there: `.` for that
    /// very folder, and `..` for one that holds that.
    pub beside: Option<String>,
}

impl Folder {
    /// The folder `path`, for a workflow whose file stands in the folder `base`.
    #[must_use]
    pub fn new(path: &str, base: &str) -> Self {
        let rest = path.strip_prefix(base.trim_end_matches('/')).filter(|_| !base.is_empty());
        let beside = rest.and_then(|rest| match rest {
            "" => Some("."),
            rest => rest.strip_prefix('/'),
        });
        let below = base.strip_prefix(path.trim_end_matches('/')).filter(|it| it.starts_with('/'));
        let beside = beside.or_else(|| below.map(|_| cog_canon::ABOVE));
        Self { path: path.to_owned(), beside: beside.map(str::to_owned) }
    }

    fn from_value(value: &Value) -> Option<Self> {
        let path = value.get("path")?.as_text()?.to_owned();
        let beside = match value.get("beside") {
            Some(beside) => Some(beside.as_text()?.to_owned()),
            None => None,
        };
        Some(Self { path, beside })
    }
}

impl Canonical for Folder {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Object::new(out)
            .put_some("beside", self.beside.as_deref())
            .put("path", self.path.as_str())
            .end();
    }
}

/// Everything a decision reads besides the intent and the canon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The time of the decision: never before the ledger's last entry.
    pub now: Timestamp,
    /// How far the clock stands behind the ledger's last entry, in milliseconds.
    pub clock_behind_ms: u64,
    /// The tenant's status.
    pub tenant: TenantStatus,
    /// Features the tenant is entitled to; absent where nothing is sold (embedded).
    pub entitled: Option<BTreeSet<String>>,
    /// Effects of the run.
    pub effects: Allowance,
    /// Money of the run, in micros, spent or reserved.
    pub budget: Allowance,
    /// The version of the canon in force, if there is one.
    pub canon: Option<Digest>,
    /// The run's declared roots.
    pub roots: BTreeMap<String, Access>,
    /// Where the root of the effect stands, if it has one and that is known.
    pub folder: Option<Folder>,
    /// Consents to this very intent, under any canon version.
    pub approvals: Vec<Approval>,
    /// Leases in the way.
    pub conflicts: BTreeSet<Conflict>,
    /// What the session has done so far.
    pub spread: Spread,
    /// What all runs of the domain used together, in each period in which the canon counts.
    pub periods: BTreeMap<Period, Tally>,
}

impl Snapshot {
    /// The digest in the ledger entry.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Self::digest_of(&self.canonical())
    }

    /// The digest of a snapshot with these canonical bytes.
    pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
        Digest::in_context("cognitionos/snapshot/v1", bytes)
    }

    /// The snapshot in a record.
    ///
    /// # Errors
    /// [`BadRecord`] names the member that is missing or malformed.
    pub fn from_value(value: &Value) -> Result<Self, BadRecord> {
        let bad = |part| BadRecord { part };
        let now = value.get("now").and_then(Value::as_text).and_then(|text| text.parse().ok());
        let tenant = value.get("tenant").and_then(Value::as_text).and_then(TenantStatus::parse);
        let list = |name: &'static str| value.get(name).and_then(Value::as_list).unwrap_or(&[]);
        let approvals = list("approvals").iter().map(Approval::from_value).collect::<Option<_>>();
        let conflicts = list("conflicts").iter().map(Conflict::from_value).collect::<Option<_>>();
        let canon = value
            .get("canon")
            .map(|digest| digest.as_text().and_then(|text| text.parse().ok()).ok_or(bad("canon")));
        let roots = value.get("roots").map_or(Some(BTreeMap::new()), |roots| {
            let access = |(name, word): (&String, &Value)| {
                Some((name.clone(), Access::parse(word.as_text()?)?))
            };
            roots.as_map()?.iter().map(access).collect()
        });
        let folder =
            value.get("folder").map(|folder| Folder::from_value(folder).ok_or(bad("folder")));
        let spread = value.get("spread").map_or(Some(Spread::default()), Spread::from_value);
        let periods = value.get("periods").map_or(Some(BTreeMap::new()), Tally::all_from_value);
        Ok(Self {
            now: now.ok_or(bad("now"))?,
            clock_behind_ms: value.get("clock_behind_ms").and_then(number).unwrap_or(0),
            tenant: tenant.ok_or(bad("tenant"))?,
            entitled: value.get("entitled").map(text_set),
            effects: Allowance::from_value(value.get("effects")).ok_or(bad("effects"))?,
            budget: Allowance::from_value(value.get("budget_micros")).ok_or(bad("budget"))?,
            canon: canon.transpose()?,
            roots: roots.ok_or(bad("roots"))?,
            folder: folder.transpose()?,
            approvals: approvals.ok_or(bad("approvals"))?,
            conflicts: conflicts.ok_or(bad("conflicts"))?,
            spread: spread.ok_or(bad("spread"))?,
            periods: periods.ok_or(bad("periods"))?,
        })
    }

    /// What is used of a period now: nothing of one that began since. Absent where nobody knows.
    #[must_use]
    pub fn tally(&self, period: Period) -> Option<Cow<'_, Tally>> {
        let tally = self.periods.get(&period)?;
        let start = period.start(self.now);
        if tally.start >= start {
            return Some(Cow::Borrowed(tally));
        }
        // Whatever is written is new in it, and no more than was wanted of both.
        let adds = tally.adds;
        Some(Cow::Owned(Tally { adds, ..Tally::new(start) }))
    }

    /// What is left of the run's money; nothing when there is no limit.
    #[must_use]
    pub fn budget_left(&self) -> Option<Micros> {
        self.budget.limit.map(|limit| Micros::new(limit.saturating_sub(self.budget.used)))
    }
}

/// The record kept beside the ledger. What is empty is left out.
impl Canonical for Snapshot {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        let approvals = (!self.approvals.is_empty()).then_some(&self.approvals);
        let behind = (self.clock_behind_ms > 0).then_some(&self.clock_behind_ms);
        let conflicts = (!self.conflicts.is_empty()).then_some(&self.conflicts);
        let roots = (!self.roots.is_empty()).then_some(&self.roots);
        let spread = (self.spread != Spread::default()).then_some(&self.spread);
        let periods: BTreeMap<String, Tally> =
            self.periods.iter().map(|(it, tally)| (it.word().to_owned(), tally.clone())).collect();
        let periods = (!periods.is_empty()).then_some(&periods);
        Object::new(out)
            .put_some("approvals", approvals)
            .put("budget_micros", &self.budget)
            .put_some("canon", self.canon.as_ref())
            .put_some("clock_behind_ms", behind)
            .put_some("conflicts", conflicts)
            .put("effects", &self.effects)
            .put_some("entitled", self.entitled.as_ref())
            .put_some("folder", self.folder.as_ref())
            .put("now", &self.now)
            .put_some("periods", periods)
            .put_some("roots", roots)
            .put_some("spread", spread)
            .put("tenant", self.tenant.word())
            .end();
    }
}

impl TenantStatus {
    /// The word in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Unknown].into_iter().find(|it| it.word() == word)
    }
}

impl Access {
    /// The word in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The access a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Write].into_iter().find(|it| it.word() == word)
    }
}

impl Canonical for Access {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        self.word().write_canonical(out);
    }
}

impl Canonical for Allowance {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Object::new(out).put_some("limit", self.limit.as_ref()).put("used", &self.used).end();
    }
}

impl Canonical for Approval {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        // Where nobody else was let answer it is what earlier releases wrote.
        let object = Object::new(out).put("by", &self.by).put("canon", &self.canon);
        let object = if self.escalated { object.put("escalated", &true) } else { object };
        object
            .put("expires", &self.expires)
            .put("id", &self.id)
            .put("intent", &self.intent)
            .put("rejected", &self.rejected)
            .end();
    }
}

impl Canonical for Conflict {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Object::new(out).put("holder", &self.holder).put("key", &self.key).end();
    }
}

impl Canonical for Spread {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Object::new(out)
            .put("actions", &self.actions)
            .put("adds", &self.adds)
            .put("amount", &self.amount)
            .put("receipts_by_policy", &self.receipts_by_policy)
            .put("resources", &self.resources)
            .put("sums_by_policy", &self.sums_by_policy)
            .end();
    }
}

impl Allowance {
    fn from_value(value: Option<&Value>) -> Option<Self> {
        let value = value?;
        let limit = match value.get("limit") {
            Some(limit) => Some(number(limit)?),
            None => None,
        };
        Some(Self { used: number(value.get("used")?)?, limit })
    }
}

impl Approval {
    fn from_value(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_text);
        Some(Self {
            id: text("id")?.parse().ok()?,
            intent: text("intent")?.parse().ok()?,
            canon: text("canon")?.parse().ok()?,
            by: text_set(value.get("by")?),
            rejected: value.get("rejected")?.as_bool()?,
            escalated: value.get("escalated").and_then(Value::as_bool).unwrap_or(false),
            expires: text("expires")?.parse().ok()?,
        })
    }
}

impl Conflict {
    fn from_value(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_text).map(str::to_owned);
        Some(Self { key: text("key")?, holder: text("holder")? })
    }
}

impl Spread {
    fn from_value(value: &Value) -> Option<Self> {
        let numbers = |name| -> Option<BTreeMap<String, u64>> {
            let pair = |(key, value): (&String, &Value)| Some((key.clone(), number(value)?));
            value.get(name)?.as_map()?.iter().map(pair).collect()
        };
        Some(Self {
            resources: number(value.get("resources")?)?,
            adds: number(value.get("adds")?)?,
            amount: number(value.get("amount")?)?,
            actions: text_set(value.get("actions")?),
            receipts_by_policy: numbers("receipts_by_policy")?,
            sums_by_policy: numbers("sums_by_policy")?,
        })
    }
}

/// A number as [`Value`] writes it: beyond 53 bits as text, so that what is counted in a
/// record is read back whatever it came to.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_text()?.parse().ok())
}

fn text_set(value: &Value) -> BTreeSet<String> {
    let texts = value.as_list().unwrap_or_default().iter();
    texts.filter_map(Value::as_text).map(str::to_owned).collect()
}

//! Runs that go on from a place of another: whose entries stand before their own, and that these
//! are history to them and no authority.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Value;
use cog_base::id::RunId;
use cog_ledger::{Entry, Kind};

use crate::checker::Record;
use crate::property::Property;
use crate::report::Report;

/// Where a run goes on from.
pub(crate) struct Fork {
    pub(crate) session: RunId,
    /// The last entry that it takes over.
    pub(crate) seq: u64,
}

impl Fork {
    /// What the first entry of a run says; nothing where the run begins by itself.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let fork = entry.data().get("fork").filter(|_| entry.kind() == Kind::SessionStarted)?;
        let session = fork.get("session").and_then(Value::as_text)?.parse().ok()?;
        Some(Self { session, seq: fork.get("seq")?.as_u64()? })
    }
}

/// The runs of which the entries are here.
pub(crate) struct Known<'r> {
    pub(crate) open: &'r BTreeMap<RunId, Vec<Record>>,
    pub(crate) sealed: &'r BTreeMap<RunId, Vec<Record>>,
}

impl<'r> Known<'r> {
    fn of(&self, run: RunId) -> Option<&'r [Record]> {
        self.open.get(&run).or_else(|| self.sealed.get(&run)).map(Vec::as_slice)
    }
}

/// The entries of a run behind those that it took over, a part for each run, the oldest first.
pub(crate) type Parts<'r> = Vec<&'r [Record]>;

/// Find the entries that a run took over; nothing where some are not here, or are not where the
/// run says that they are.
pub(crate) fn parts<'r>(
    own: &'r [Record],
    known: &Known<'r>,
    report: &mut Report,
) -> Option<Parts<'r>> {
    let mut parts = vec![own];
    let mut first = &own.first()?.entry;
    while let Some(fork) = Fork::of(first) {
        let parent = known.of(fork.session)?;
        // Of a run whose beginning was pruned nobody knows what it did before.
        let begins = parent.first().filter(|it| it.entry.kind() == Kind::SessionStarted)?;
        let until = parent.partition_point(|record| record.entry.seq() <= fork.seq);
        let taken = parent.get(..until).unwrap_or_default();
        let last = taken.last().map(|record| &record.entry);
        let is_its = last.is_some_and(|it| it.seq() == fork.seq && it.seq() < first.seq());
        report.test(Property::Fork, is_its, first.seq(), || {
            format!(
                "it goes on from entry {}, which is none of {} before it",
                fork.seq, fork.session
            )
        });
        report.test(Property::Fork, is_same(&begins.entry, first), first.seq(), || {
            format!(
                "it is not of the definition, the domain and the environment of {}",
                fork.session
            )
        });
        if !is_its || !is_same(&begins.entry, first) {
            return None;
        }
        let over = taken.iter().find(|record| is_end(&record.entry));
        report.test(Property::Fork, over.is_none(), first.seq(), || {
            let over = over.map_or(0, |record| record.entry.seq());
            format!("it goes on from {}, which was over with entry {over}", fork.session)
        });
        if over.is_some() {
            return None;
        }
        parts.push(taken);
        first = &begins.entry;
    }
    parts.reverse();
    Some(parts)
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.digest("definition") == other.digest("definition")
        && one.domain() == other.domain()
        && one.environment() == other.environment()
}

/// Whether an entry ends its run, whatever its steps are about.
fn is_end(entry: &Entry) -> bool {
    let budget = entry.text("source") == Some("timer") && entry.text("note") == Some("budget");
    let outside = budget || entry.text("source") == Some("cancel");
    entry.kind() == Kind::SessionSealed || (entry.kind() == Kind::Evidence && outside)
}

/// Nothing of a run rests on what the runs before it were allowed: neither on their receipts nor
/// on the consents that people gave them.
pub(crate) fn authority(own: &[Record], known: &Known<'_>, report: &mut Report) {
    let mut theirs = BTreeSet::new();
    let mut fork = own.first().and_then(|record| Fork::of(&record.entry));
    while let Some(parent) = fork.as_ref().and_then(|fork| known.of(fork.session)) {
        let of = |record: &&Record| {
            matches!(record.entry.kind(), Kind::Receipt | Kind::ApprovalRequested)
        };
        theirs.extend(parent.iter().filter(of).filter_map(|record| record.entry.id()));
        let before = fork.as_ref().map_or(0, |fork| fork.seq);
        fork = parent.first().and_then(|record| Fork::of(&record.entry));
        // Those that are named grow ever older.
        fork = fork.filter(|fork| fork.seq < before);
    }
    for record in own {
        let (entry, data) = (&record.entry, record.entry.data());
        let consents = data.get("approvals").filter(|_| entry.kind() == Kind::Receipt);
        let consents = consents.and_then(Value::as_list).unwrap_or_default();
        let named = consents.iter().filter_map(Value::as_text).chain(entry.id());
        let taken = named.filter(|id| theirs.contains(id)).min();
        report.test(Property::Inherited, taken.is_none(), entry.seq(), || {
            let taken = taken.unwrap_or_default();
            format!("it rests on {taken}, which was given to a run that this one goes on from")
        });
    }
}

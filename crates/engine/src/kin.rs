//! The tree that a run belongs to: the run that nobody began, those that it began, and those that
//! they began. A run and its tree go on together, as their accounts count in each other.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::RunId;
use cog_ledger::Kind;

use crate::children::Parent;
use crate::fork::own;
use crate::history::Record;

/// The records of all other runs of the tree of a run, each as `read` gives them: behind those of
/// the runs that it was forked from.
///
/// # Errors
/// Those of `read`.
pub fn kin<E>(
    run: RunId,
    records: &[Record],
    mut read: impl FnMut(RunId) -> Result<Vec<Record>, E>,
) -> Result<Vec<Vec<Record>>, E> {
    // Those of the run itself are many, perhaps, and are not copied.
    let mut known: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
    let mut top = run;
    while let Some(parent) = parent(known.get(&top).map_or(records, Vec::as_slice)) {
        if parent == run || known.contains_key(&parent) {
            break;
        }
        known.insert(parent, read(parent)?);
        top = parent;
    }
    let mut queue = vec![top];
    while let Some(id) = queue.pop() {
        if id == run {
            queue.extend(begun(records));
            continue;
        }
        let records = match known.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(read(id)?),
        };
        queue.extend(begun(records));
    }
    Ok(known.into_values().collect())
}

/// The records of those among `kin` that a run began, and of those that they began.
#[must_use]
pub fn below<'k>(records: &[Record], kin: &'k [Vec<Record>]) -> Vec<&'k Vec<Record>> {
    let mut runs: BTreeSet<RunId> = begun(records).into_iter().collect();
    let (mut found, mut left) = (Vec::new(), kin.iter().collect::<Vec<_>>());
    while let Some(place) = left.iter().position(|records| is_of(records, &runs)) {
        let records = left.swap_remove(place);
        runs.extend(begun(records));
        found.push(records);
    }
    found
}

/// The run that began the one of these records, if one did.
#[must_use]
pub fn parent(records: &[Record]) -> Option<RunId> {
    Parent::of(&own(records).first()?.entry).map(|parent| parent.run)
}

fn begun(records: &[Record]) -> Vec<RunId> {
    let asked = own(records).iter();
    let asked = asked.filter(|record| record.entry.kind() == Kind::ChildStarted);
    asked.filter_map(|record| record.entry.text("session")?.parse().ok()).collect()
}

fn is_of(records: &[Record], runs: &BTreeSet<RunId>) -> bool {
    let run = own(records).first().and_then(|first| first.entry.session());
    run.is_some_and(|run| runs.contains(&run))
}

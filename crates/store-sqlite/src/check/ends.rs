//! The end of the log, as the entries make it.

use cog_ledger::audit::Findings;

use super::entries::Derived;
use crate::binding::Sum;
use crate::log::Log;

/// Compare the row of the log, and the state that is sealed in it.
pub(super) fn compare(log: &Log, derived: &Derived, findings: &mut Findings) {
    let mut differs = |what| findings.add(None, "store.end", what);
    let end = &log.end;
    if let Some(tree) = &derived.tree {
        let roots: Vec<u8> = tree.roots().iter().flat_map(|root| *root.as_bytes()).collect();
        if tree.size() != end.size || roots != end.frontier {
            differs("the tree at the end of the log is not that of the entries");
        }
    }
    let last = derived.last.as_ref();
    let is_last = last.is_some_and(|last| {
        last.leaf().as_bytes().as_slice() == end.last_leaf && last.at().micros() == end.last_at
    });
    if !is_last {
        differs("the last entry is not the one that the end of the log names");
    }
    let (mut open, mut sum) = (0, Sum::default());
    for run in derived.runs.open() {
        open += 1;
        sum = sum.plus(run.mark(&log.bindings));
    }
    if (log.state.open, log.state.sum) != (open, sum) {
        differs("the open runs are not those that the end of the log counts");
    }
    if !log.state.ends_as(&derived.state, end.pruned.entries) {
        differs("the newest entries of some kind are not those that the end of the log names");
    }
}

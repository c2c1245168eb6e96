//! Non-interference: an open receipt holds a lease on what its effect reads and writes.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::ReceiptId;

use crate::effect::Footprint;
use crate::snapshot::Conflict;

/// The leases of a domain's open receipts.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: BTreeMap<ReceiptId, Footprint>,
}

impl Leases {
    pub(crate) fn hold(&mut self, receipt: ReceiptId, footprint: Footprint) {
        if !footprint.reads.is_empty() || !footprint.writes.is_empty() {
            self.held.insert(receipt, footprint);
        }
    }

    /// Whether a lease ended: somebody may have waited for it.
    pub(crate) fn release(&mut self, receipt: ReceiptId) -> bool {
        self.held.remove(&receipt).is_some()
    }

    /// The leases that stand in the way of `wanted`: a write on either side.
    pub(crate) fn conflicts(&self, wanted: &Footprint) -> BTreeSet<Conflict> {
        let mut found = BTreeSet::new();
        if wanted.reads.is_empty() && wanted.writes.is_empty() {
            return found;
        }
        for (receipt, held) in &self.held {
            let clash = clash(&wanted.writes, &held.writes)
                .or_else(|| clash(&wanted.writes, &held.reads))
                .or_else(|| clash(&wanted.reads, &held.writes));
            if let Some(key) = clash {
                found.insert(Conflict { key: key.to_owned(), holder: receipt.to_string() });
            }
        }
        found
    }
}

fn clash<'a>(one: &'a BTreeSet<String>, other: &BTreeSet<String>) -> Option<&'a str> {
    one.iter().map(String::as_str).find(|key| other.iter().any(|held| covers(key, held)))
}

/// Whether two keys name the same thing or one contains the other.
fn covers(one: &str, other: &str) -> bool {
    let below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(one, other) || below(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cog_base::entropy::SeededEntropy;

    fn check(held: (&[&str], &[&str]), wanted: (&[&str], &[&str]), clashes: bool) {
        let footprint = |(reads, writes): (&[&str], &[&str])| Footprint {
            reads: reads.iter().map(ToString::to_string).collect(),
            writes: writes.iter().map(ToString::to_string).collect(),
        };
        let mut leases = Leases::default();
        let receipt = ReceiptId::new(Default::default(), &mut SeededEntropy::new(1)).expect("id");
        leases.hold(receipt, footprint(held));
        assert_eq!(
            !leases.conflicts(&footprint(wanted)).is_empty(),
            clashes,
            "{held:?} {wanted:?}"
        );
        leases.release(receipt);
        assert!(leases.conflicts(&footprint(wanted)).is_empty());
    }

    #[test]
    fn only_a_write_interferes_and_a_folder_covers_its_files() {
        check((&["file:a/x"], &[]), (&["file:a/x"], &[]), false);
        check((&[], &["file:a/x"]), (&["file:a/x"], &[]), true);
        check((&[], &["file:a/x"]), (&[], &["file:a/x"]), true);
        check((&[], &["file:a/x"]), (&[], &["file:a/y"]), false);
        check((&[], &["file:a/x"]), (&["file:a"], &[]), true);
        check((&[], &["file:a"]), (&[], &["file:a/b/c"]), true);
        check((&[], &["file:a"]), (&[], &["file:ab"]), false);
    }
}

//! Non-interference: an open receipt holds a lease on what its effect reads and writes. What
//! stands in a folder is held by where that folder stands, whatever a run calls it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::ReceiptId;

use crate::effect::Footprint;
use crate::snapshot::Conflict;

/// Where the root of a run stands; nothing where nobody knows.
pub(crate) type Stands<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

/// The leases of a tenant's open receipts.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: BTreeMap<ReceiptId, Footprint>,
}

impl Leases {
    pub(crate) fn hold(&mut self, receipt: ReceiptId, footprint: &Footprint, stands: &Stands<'_>) {
        let placed = |keys: &BTreeSet<String>| {
            keys.iter().map(|key| place(key, stands).into_owned()).collect()
        };
        if !footprint.reads.is_empty() || !footprint.writes.is_empty() {
            let (reads, writes) = (placed(&footprint.reads), placed(&footprint.writes));
            self.held.insert(receipt, Footprint { reads, writes });
        }
    }

    /// Hold what is held there.
    pub(crate) fn adopt(&mut self, other: Self) {
        self.held.extend(other.held);
    }

    /// Whether a lease ended: somebody may have waited for it.
    pub(crate) fn release(&mut self, receipt: ReceiptId) -> bool {
        self.held.remove(&receipt).is_some()
    }

    /// The leases that stand in the way of `wanted`: a write on either side. Each with the key
    /// that is wanted, as the run calls it.
    pub(crate) fn conflicts(&self, wanted: &Footprint, stands: &Stands<'_>) -> BTreeSet<Conflict> {
        let mut found = BTreeSet::new();
        for (receipt, held) in &self.held {
            let clash = clash(&wanted.writes, &held.writes, stands)
                .or_else(|| clash(&wanted.writes, &held.reads, stands))
                .or_else(|| clash(&wanted.reads, &held.writes, stands));
            if let Some(key) = clash {
                found.insert(Conflict { key: key.to_owned(), holder: receipt.to_string() });
            }
        }
        found
    }
}

fn clash<'a>(
    one: &'a BTreeSet<String>,
    other: &BTreeSet<String>,
    stands: &Stands<'_>,
) -> Option<&'a str> {
    let mut keys = one.iter().map(String::as_str);
    keys.find(|key| {
        let key = place(key, stands);
        other.iter().any(|held| covers(&key, held))
    })
}

/// A key by where it stands: `file:out/x` as `file:/srv/pages/x`.
pub(crate) fn place<'a>(key: &'a str, stands: &Stands<'_>) -> Cow<'a, str> {
    let Some(inside) = key.strip_prefix("file:") else { return Cow::Borrowed(key) };
    let (root, path) = inside.split_at(inside.find('/').unwrap_or(inside.len()));
    match stands(root) {
        // The key of the root of the file system ends without its slash, so that it covers all.
        Some(folder) => Cow::Owned(format!("file:{}{path}", folder.trim_end_matches('/'))),
        None => Cow::Borrowed(key),
    }
}

/// Whether two keys name the same thing or one contains the other.
fn covers(one: &str, other: &str) -> bool {
    is_below(one, other) || is_below(other, one)
}

/// Whether a key is another or within it.
pub(crate) fn is_below(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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
        let stands = |root: &str| match root {
            "out" | "same" => Some("/srv/pages"),
            "sub" => Some("/srv/pages/sub"),
            "all" => Some("/"),
            _ => None,
        };
        leases.hold(receipt, &footprint(held), &stands);
        let conflicts = leases.conflicts(&footprint(wanted), &stands);
        assert_eq!(!conflicts.is_empty(), clashes, "{held:?} {wanted:?}");
        let keys = [wanted.0, wanted.1].concat();
        assert!(conflicts.iter().all(|it| keys.contains(&it.key.as_str())), "as the run calls it");
        leases.release(receipt);
        assert!(leases.conflicts(&footprint(wanted), &stands).is_empty());
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

    #[test]
    fn a_folder_is_held_whatever_it_is_called() {
        check((&[], &["file:out/x"]), (&["file:same/x"], &[]), true);
        check((&[], &["file:out"]), (&[], &["file:same"]), true);
        check((&[], &["file:out/sub/x"]), (&[], &["file:sub/x"]), true);
        check((&[], &["file:out"]), (&[], &["file:sub"]), true);
        check((&[], &["file:out/x"]), (&[], &["file:sub/x"]), false);
        check((&[], &["file:all"]), (&["file:sub/x"], &[]), true);
        check((&[], &["http:out/x"]), (&["http:same/x"], &[]), false);
    }
}

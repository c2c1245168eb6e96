//! What a bundle has of the pruned part: the entries that put keys in force, each proven to be
//! in the tree of that part, so that a key from before still leads to the one that signs now.

use cog_base::Digest;
use cog_base::json::Value;

use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::kind::Kind;
use crate::merkle::{before, verify_inclusion};

/// An entry of the pruned part that put a key in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The genesis, or a hand-over.
    pub entry: Entry,
    /// From the leaf of the entry to the root over the pruned part.
    pub path: Vec<Digest>,
    /// Of a hand-over the head just after it, which the key that hands over signed.
    pub head: Option<Checkpoint>,
}

impl Earlier {
    pub(super) fn to_value(&self, head: Option<&Checkpoint>) -> Option<Value> {
        let entry = cog_base::json::parse(std::str::from_utf8(self.entry.bytes()).ok()?).ok()?;
        let members = [("entry", entry), ("path", Value::list(self.path.iter().copied()))];
        let head = head.map(|head| ("head", Value::from(head.to_string())));
        Some(Value::map(members.into_iter().chain(head)))
    }

    /// Read the members of a line, which is canonical.
    pub(super) fn from_value(value: &Value) -> Option<Self> {
        let entry = Entry::parse(&value.get("entry")?.canonical()).ok()?;
        let path = value.get("path")?.as_list()?.iter();
        let path = path.map(|hash| hash.as_text()?.parse().ok()).collect::<Option<_>>()?;
        let head = match value.get("head") {
            Some(note) => Some(Checkpoint::parse(note.as_text()?).ok()?),
            None => None,
        };
        let is_hand_over = entry.kind() == Kind::KeyRotated;
        let is_known = is_hand_over || (entry.kind() == Kind::Genesis && entry.seq() == 0);
        let members = if is_hand_over { 3 } else { 2 };
        let has_form =
            is_known && value.as_map()?.len() == members && head.is_some() == is_hand_over;
        has_form.then_some(Self { entry, path, head })
    }

    /// The root of the tree just after the entry, if the entry is in that of the first `from`
    /// entries with `root`.
    pub(super) fn root_after(&self, from: u64, root: Digest) -> Option<Digest> {
        let (leaf, seq) = (self.entry.leaf(), self.entry.seq());
        if !verify_inclusion(leaf, seq, from, root, &self.path) {
            return None;
        }
        let mut frontier = before(seq, from, &self.path)?;
        frontier.push(leaf, |_, _, _| {});
        Some(frontier.root())
    }
}

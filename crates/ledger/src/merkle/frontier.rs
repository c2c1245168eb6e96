//! The right edge of a growing tree: enough to add leaves and know the root, in a few
//! dozen hashes whatever the size.

use cog_base::Digest;

use super::{empty_root, node_hash};

/// The roots of the perfect subtrees that a tree of `size` leaves is made of, the largest
/// first: one for each 1 bit of the size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

/// So many hashes do not fit a tree of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {} perfect subtrees at its right edge, not {found}", size.count_ones())]
pub struct BadFrontier {
    /// The number of leaves.
    pub size: u64,
    /// The number of hashes given.
    pub found: usize,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, roots: Vec::new() }
    }

    /// The frontier of a tree of `size` leaves with these subtree roots, the largest first.
    ///
    /// # Errors
    /// [`BadFrontier`] when their number does not fit the size.
    pub fn from_roots(size: u64, roots: Vec<Digest>) -> Result<Self, BadFrontier> {
        if roots.len() != size.count_ones() as usize {
            return Err(BadFrontier { size, found: roots.len() });
        }
        Ok(Self { size, roots })
    }

    /// Add a leaf. `finished` is told of each perfect subtree that this completes, from the
    /// lowest up: its level (a pair of leaves is level 1), its index at that level, its root.
    pub fn push(&mut self, leaf: Digest, mut finished: impl FnMut(u8, u64, Digest)) {
        let mut root = leaf;
        for level in 1..=self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            root = node_hash(&left, &root);
            finished(u8::try_from(level).unwrap_or(u8::MAX), self.size >> level, root);
        }
        self.roots.push(root);
        self.size = self.size.saturating_add(1);
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, the largest first.
    #[must_use]
    pub fn roots(&self) -> &[Digest] {
        &self.roots
    }

    /// The root of the whole tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut smallest_first = self.roots.iter().rev();
        let first = smallest_first.next().copied();
        first.map_or_else(empty_root, |first| {
            smallest_first.fold(first, |right, left| node_hash(left, &right))
        })
    }
}

//! Inclusion and consistency proofs of RFC 9162 section 2.1: making them from kept hashes,
//! and checking them.

use cog_base::Digest;

use super::{Frontier, node_hash};

/// The most hashes in an inclusion proof of a tree of 64-bit size; a consistency proof has
/// at most one more.
pub const PATH_MAX: usize = 64;

/// Where the hashes of a tree are kept.
pub trait Hashes {
    /// How reading fails.
    type Error;

    /// The hash of the leaf `index`, or nothing when it is not kept any more.
    ///
    /// # Errors
    /// When it cannot be read.
    fn leaf(&mut self, index: u64) -> Result<Option<Digest>, Self::Error>;

    /// The root of the perfect subtree of 2^`level` leaves that is the `index`-th of its
    /// level, or nothing when it is not kept; then it is computed from those below. Asked
    /// for levels from 1, and only for subtrees that are complete.
    ///
    /// # Errors
    /// When it cannot be read.
    fn node(&mut self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error>;
}

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// Asked about a leaf or a size beyond the tree.
    #[error("{asked} is beyond a tree of {size} leaves")]
    OutOfRange {
        /// The leaf or size.
        asked: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A leaf is not kept any more, nor a subtree over it.
    #[error("the hash of leaf {0} is not kept")]
    Missing(u64),
    /// The hashes cannot be read.
    #[error("could not read the hashes of the tree")]
    Read(#[source] E),
}

/// The root of the first `size` leaves.
///
/// # Errors
/// [`ProofError`] when a hash is missing or cannot be read.
pub fn root<H: Hashes>(hashes: &mut H, size: u64) -> Result<Digest, ProofError<H::Error>> {
    if size == 0 { Ok(super::empty_root()) } else { range(hashes, 0, size) }
}

/// The proof that leaf `index` is in the tree of the first `size` leaves (RFC 9162 section
/// 2.1.3.1), from the leaf's sibling up.
///
/// # Errors
/// [`ProofError`] when there is no such leaf, or a hash is missing or cannot be read.
pub fn inclusion<H: Hashes>(
    hashes: &mut H,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, ProofError<H::Error>> {
    if index >= size {
        return Err(ProofError::OutOfRange { asked: index, size });
    }
    let mut path = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            path.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            path.push(range(hashes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `size` leaves has grown from that of the first `earlier`
/// ones (RFC 9162 section 2.1.4.1). Empty when the sizes are equal.
///
/// # Errors
/// [`ProofError`] when `earlier` is 0 or beyond `size`, or a hash is missing or cannot be
/// read.
pub fn consistency<H: Hashes>(
    hashes: &mut H,
    earlier: u64,
    size: u64,
) -> Result<Vec<Digest>, ProofError<H::Error>> {
    if earlier == 0 || earlier > size {
        return Err(ProofError::OutOfRange { asked: earlier, size });
    }
    let mut path = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end > earlier {
        let middle = begin + split(end - begin);
        if earlier <= middle {
            path.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            path.push(range(hashes, begin, middle)?);
            begin = middle;
        }
    }
    if begin > 0 {
        path.push(range(hashes, begin, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root of the leaves from `begin` to before `end`, as RFC 9162 splits them.
fn range<H: Hashes>(hashes: &mut H, begin: u64, end: u64) -> Result<Digest, ProofError<H::Error>> {
    let count = end - begin;
    if count == 1 {
        return hashes.leaf(begin).map_err(ProofError::Read)?.ok_or(ProofError::Missing(begin));
    }
    if count.is_power_of_two() {
        let level = count.ilog2();
        let kept = u8::try_from(level).ok().map(|level| hashes.node(level, begin >> level));
        if let Some(Some(root)) = kept.transpose().map_err(ProofError::Read)? {
            return Ok(root);
        }
    }
    let middle = begin + split(count);
    Ok(node_hash(&range(hashes, begin, middle)?, &range(hashes, middle, end)?))
}

/// Whether `path` proves that the leaf with this hash is the `index`-th of the tree of
/// `size` leaves with this `root`: the algorithm of RFC 9162 section 2.1.3.2.
#[must_use]
pub fn verify_inclusion(
    leaf: Digest,
    index: u64,
    size: u64,
    root: Digest,
    path: &[Digest],
) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// The right edge of the tree of the leaves before `index`, which is what stands to the left in a
/// `path` that [`verify_inclusion`] accepts.
#[must_use]
pub fn before(index: u64, size: u64, path: &[Digest]) -> Option<Frontier> {
    let (mut node, mut last) = (index, size.checked_sub(1)?);
    let mut lefts = Vec::new();
    for sibling in path {
        if node & 1 == 1 || node == last {
            lefts.push(*sibling);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        }
        node >>= 1;
        last >>= 1;
    }
    lefts.reverse();
    Frontier::from_roots(index, lefts).ok()
}

/// Whether `path` proves that the tree of `size` leaves with `root` has grown from that of
/// `earlier` leaves with `earlier_root`: the algorithm of RFC 9162 section 2.1.4.2. Equal
/// sizes need equal roots and no path. An empty tree proves nothing, so 0 is always refused.
#[must_use]
pub fn verify_consistency(
    earlier: u64,
    earlier_root: Digest,
    size: u64,
    root: Digest,
    path: &[Digest],
) -> bool {
    if earlier == 0 || earlier > size {
        return false;
    }
    if earlier == size {
        return path.is_empty() && earlier_root == root;
    }
    let (mut node, mut last) = (earlier - 1, size - 1);
    let alone = earlier.is_power_of_two().then_some(&earlier_root);
    let mut hashes = alone.into_iter().chain(path);
    let Some(&first) = hashes.next().filter(|_| !path.is_empty()) else {
        return false;
    };
    let shift = node.trailing_ones();
    node = node.checked_shr(shift).unwrap_or(0);
    last = last.checked_shr(shift).unwrap_or(0);
    let (mut old, mut new) = (first, first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == earlier_root && new == root
}

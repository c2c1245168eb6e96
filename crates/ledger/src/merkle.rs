//! The Merkle tree of RFC 9162 section 2.1 over SHA-256: leaf hashes, the frontier that a
//! writer carries, roots, and proofs.

mod frontier;
mod proof;

pub use frontier::{BadFrontier, Frontier};
pub use proof::{
    Hashes, PATH_MAX, ProofError, before, consistency, inclusion, root, verify_consistency,
    verify_inclusion,
};

use cog_base::Digest;

/// The hash of a leaf: SHA-256 of 0x00 and the bytes.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of(&[&[0x00], bytes])
}

/// The hash of an inner node: SHA-256 of 0x01 and its two children.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut node = [0x01; 65];
    let (head, tail) = node.split_at_mut(33);
    for (place, byte) in head.iter_mut().skip(1).zip(left.as_bytes()) {
        *place = *byte;
    }
    tail.copy_from_slice(right.as_bytes());
    Digest::of(&[&node])
}

/// The root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

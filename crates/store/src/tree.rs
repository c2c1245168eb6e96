//! The kept hashes of a tenant's log, for proofs.

use cog_base::Digest;
use cog_ledger::merkle::{BadFrontier, Frontier, Hashes, ProofError, node_hash};

use crate::{StoreError, TenantTx};

/// The tree over a tenant's log, as [`cog_ledger::merkle`] makes proofs from.
pub struct Tree<'a>(pub &'a dyn TenantTx);

impl Hashes for Tree<'_> {
    type Error = StoreError;

    fn leaf(&mut self, index: u64) -> Result<Option<Digest>, StoreError> {
        self.0.leaf(index)
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        self.0.node(level, index)
    }
}

/// The right edge of the tree of the first `size` entries: what a bundle of a pruned log
/// begins with.
///
/// # Errors
/// [`ProofError`] when a hash is not kept or cannot be read.
pub fn frontier(scope: &dyn TenantTx, size: u64) -> Result<Frontier, ProofError<StoreError>> {
    let mut roots = Vec::new();
    let mut begin = 0_u64;
    for level in (0..64_u8).rev().filter(|level| size >> level & 1 == 1) {
        roots.push(subtree(scope, level, begin >> level)?);
        begin += 1 << level;
    }
    let mismatch = |error: BadFrontier| ProofError::Read(StoreError::corrupt(error.to_string()));
    Frontier::from_roots(size, roots).map_err(mismatch)
}

fn subtree(scope: &dyn TenantTx, level: u8, index: u64) -> Result<Digest, ProofError<StoreError>> {
    if level == 0 {
        let leaf = scope.leaf(index).map_err(ProofError::Read)?;
        return leaf.ok_or(ProofError::Missing(index));
    }
    if let Some(root) = scope.node(level, index).map_err(ProofError::Read)? {
        return Ok(root);
    }
    let left = subtree(scope, level - 1, index * 2)?;
    let right = subtree(scope, level - 1, index * 2 + 1)?;
    Ok(node_hash(&left, &right))
}

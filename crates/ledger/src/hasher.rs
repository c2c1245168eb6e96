//! SHA-256 over bytes that come one after the other.

use std::fmt;

use cog_base::Digest;
use ring::digest::{Context, SHA256};

/// A SHA-256 under way.
#[derive(Clone)]
pub(crate) struct Hasher(Context);

impl Hasher {
    /// A hash of nothing so far.
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// A hash under a context string, as `Digest::in_context` makes them.
    pub(crate) fn in_context(context: &str) -> Self {
        let mut hasher = Self::new();
        hasher.update(context.as_bytes());
        hasher.update(b"\n");
        hasher
    }

    /// Go on with these bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far; more may follow.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.clone().finish().as_ref());
        Digest::from_bytes(digest)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.digest().short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hash_as_the_whole() {
        let mut hasher = Hasher::in_context("context/v1");
        hasher.update(b"one ");
        let _ = hasher.digest();
        hasher.update(b"two");
        assert_eq!(hasher.digest(), Digest::in_context("context/v1", b"one two"));
    }
}

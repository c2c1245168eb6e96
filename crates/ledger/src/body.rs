//! Bodies: what an entry is about in full, kept beside the log and never in it.
//!
//! An entry holds only a salted commitment to its body. When the body and its salt are
//! erased, every hash and proof stays valid and the commitment tells nothing any more.

use cog_base::Digest;

const CONTEXT: &str = "cognitionos/body/v1";

/// A body that is to be recorded with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyDraft {
    /// Whose key seals it, so that erasing that key erases it; `None` for the tenant's own.
    pub subject: Option<String>,
    /// Canonical JSON.
    pub bytes: Vec<u8>,
}

/// A body with the salt of its commitment. The store seals it under the subject's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBody {
    /// Whose key seals it; `None` for the tenant's own.
    pub subject: Option<String>,
    /// 32 random bytes that make the commitment unguessable.
    pub salt: [u8; 32],
    /// Canonical JSON.
    pub bytes: Vec<u8>,
    /// What the entry holds: the commitment to salt and bytes.
    pub commit: Digest,
}

impl SealedBody {
    /// A body under the commitment that was made to it with this salt.
    pub(crate) fn with(draft: BodyDraft, salt: [u8; 32], commit: Digest) -> Self {
        Self { subject: draft.subject, salt, bytes: draft.bytes, commit }
    }

    /// The draft that it was.
    pub(crate) fn into_draft(self) -> BodyDraft {
        BodyDraft { subject: self.subject, bytes: self.bytes }
    }
}

/// The commitment to a body: SHA-256 under its own context over the salt and the bytes.
#[must_use]
pub fn commitment(salt: &[u8; 32], bytes: &[u8]) -> Digest {
    Digest::of(&[CONTEXT.as_bytes(), b"\n", salt, bytes])
}

//! Proofs that leave the house: C2SP `tlog-proof` v1, and an entry together with its proof.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Digest;
use cog_base::id::TenantId;

use crate::checkpoint::{Checkpoint, CheckpointError, base64_digest, decimal};
use crate::entry::{Entry, EntryError};
use crate::merkle::{PATH_MAX, verify_inclusion};
use crate::note::VerifierKey;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The proof that a leaf is in a log, against a signed head. Reading one proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque, and not authenticated by the proof itself.
    pub extra: Option<Vec<u8>>,
    /// The place of the leaf.
    pub index: u64,
    /// From the leaf's sibling up.
    pub path: Vec<Digest>,
    /// The head.
    pub checkpoint: Checkpoint,
}

/// Why a proof is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// The text breaks the format.
    #[error("this is not a tlog-proof: {0}")]
    Form(&'static str),
    /// The head is not acceptable.
    #[error("the head in the proof is not acceptable")]
    Checkpoint(#[from] CheckpointError),
    /// The entry in the proof is none.
    #[error("the entry in the proof is not acceptable")]
    Entry(#[from] EntryError),
    /// The entry is of another tenant or place than the proof.
    #[error("the entry is number {seq} of {tenant}, which is not what was to be proved")]
    OtherEntry {
        /// Whose it is.
        tenant: TenantId,
        /// Its place.
        seq: u64,
    },
    /// The hashes do not lead to the signed root.
    #[error("leaf {index} is not in the signed tree of {size}")]
    NotIncluded {
        /// The place it is said to have.
        index: u64,
        /// The size of the signed tree.
        size: u64,
    },
}

impl TlogProof {
    /// Check that `leaf` is in the log `origin`, under a head signed by one of `trusted`.
    ///
    /// # Errors
    /// [`BadProof`] when it is not.
    pub fn verify(
        &self,
        leaf: Digest,
        origin: &str,
        trusted: &[VerifierKey],
    ) -> Result<(), BadProof> {
        self.checkpoint.verify(origin, trusted)?;
        let (index, size, root) = (self.index, self.checkpoint.size(), self.checkpoint.root());
        if verify_inclusion(leaf, index, size, root, &self.path) {
            Ok(())
        } else {
            Err(BadProof::NotIncluded { index, size })
        }
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = BadProof;

    fn from_str(text: &str) -> Result<Self, BadProof> {
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(BadProof::Form("it has no blank line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(BadProof::Form("its first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra "));
        let extra = extra.map(|text| STANDARD.decode(text)).transpose();
        let extra = extra.map_err(|_| BadProof::Form("its extra data is not base64"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(decimal).ok_or(BadProof::Form("it has no plain index"))?;
        let path: Option<Vec<_>> = lines.take(PATH_MAX + 1).map(base64_digest).collect();
        let path = path.filter(|path| path.len() <= PATH_MAX);
        let path = path.ok_or(BadProof::Form("its path is not lines of base64 hashes"))?;
        Ok(Self { extra, index, path, checkpoint: Checkpoint::parse(checkpoint)? })
    }
}

/// An entry that proves itself offline: as text, a `tlog-proof` whose extra data are the
/// bytes of the entry. For a receipt this is what a remote runner is handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    entry: Entry,
    proof: TlogProof,
}

impl ProvenEntry {
    /// Join an entry with the path from its leaf to the root of a signed head.
    #[must_use]
    pub fn new(entry: Entry, path: Vec<Digest>, checkpoint: Checkpoint) -> Self {
        let (extra, index) = (Some(entry.bytes().to_vec()), entry.seq());
        Self { proof: TlogProof { extra, index, path, checkpoint }, entry }
    }

    /// Check it, and only then give the entry: it is of `tenant`, in the log `origin`, under
    /// a head signed by one of `trusted`, which should be the key in force alone: a single
    /// proof does not show hand-overs. Whether a receipt has expired or was used is for the
    /// caller to check.
    ///
    /// # Errors
    /// [`BadProof`] says what does not hold.
    pub fn verify(
        &self,
        tenant: TenantId,
        origin: &str,
        trusted: &[VerifierKey],
    ) -> Result<&Entry, BadProof> {
        let entry = &self.entry;
        if entry.tenant() != tenant || entry.seq() != self.proof.index {
            return Err(BadProof::OtherEntry { tenant: entry.tenant(), seq: entry.seq() });
        }
        self.proof.verify(entry.leaf(), origin, trusted)?;
        Ok(entry)
    }

    /// The entry, before anything is checked.
    #[must_use]
    pub const fn unverified(&self) -> &Entry {
        &self.entry
    }

    /// The proof alone.
    #[must_use]
    pub const fn proof(&self) -> &TlogProof {
        &self.proof
    }
}

impl fmt::Display for ProvenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proof.fmt(f)
    }
}

impl FromStr for ProvenEntry {
    type Err = BadProof;

    fn from_str(text: &str) -> Result<Self, BadProof> {
        let proof: TlogProof = text.parse()?;
        let bytes = proof.extra.as_deref().ok_or(BadProof::Form("it carries no entry"))?;
        Ok(Self { entry: Entry::parse(bytes)?, proof })
    }
}

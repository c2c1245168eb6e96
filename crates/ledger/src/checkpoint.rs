//! Signed tree heads: C2SP `tlog-checkpoint`, a signed note of origin, size and root.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Digest;

use crate::keys::{SignError, Signer};
use crate::note::{Note, NoteError, VerifierKey};

/// The head of a log at one size. Reading one proves nothing: see [`Checkpoint::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    note: Note,
    origin: String,
    size: u64,
    root: Digest,
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is wrong, or nobody trusted signed it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not that of a checkpoint.
    #[error("this is not a checkpoint: {0}")]
    Form(&'static str),
    /// It is the head of another log.
    #[error("the checkpoint is of the log `{found}`, not of `{expected}`")]
    OtherLog {
        /// The origin that was asked for.
        expected: String,
        /// The origin that stands there.
        found: String,
    },
}

impl Checkpoint {
    /// Sign a head.
    ///
    /// # Errors
    /// [`SignError`] when a signer cannot sign, or the origin is not one line.
    pub fn sign(
        origin: &str,
        size: u64,
        root: Digest,
        signers: &mut [&mut dyn Signer],
    ) -> Result<Self, SignError> {
        if origin.is_empty() || origin.contains('\n') {
            return Err(SignError::NotANote);
        }
        let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.as_bytes()));
        let note = Note::sign(text, signers)?;
        Ok(Self { note, origin: origin.to_owned(), size, root })
    }

    /// Read a checkpoint, without trusting it.
    ///
    /// # Errors
    /// [`CheckpointError`] says what breaks the format.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let note = Note::parse(text)?;
        let body = note.text().strip_suffix('\n').unwrap_or_default();
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Form("it has fewer than three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(CheckpointError::Form("it has an empty line"));
        }
        let size = decimal(size).ok_or(CheckpointError::Form("its size is no plain number"))?;
        let root = base64_digest(root)
            .ok_or(CheckpointError::Form("its root is not the base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root, note })
    }

    /// Check that it is the head of `origin` and signed by one of `trusted`.
    ///
    /// # Errors
    /// [`CheckpointError`] when it is not.
    pub fn verify<'k>(
        &self,
        origin: &str,
        trusted: &'k [VerifierKey],
    ) -> Result<&'k VerifierKey, CheckpointError> {
        if self.origin != origin {
            let (expected, found) = (origin.to_owned(), self.origin.clone());
            return Err(CheckpointError::OtherLog { expected, found });
        }
        Ok(self.note.verify(trusted)?)
    }

    /// The same head with the signature of `key` alone, if `key` signed it.
    #[must_use]
    pub fn signed_only_by(&self, key: &VerifierKey) -> Option<Self> {
        Some(Self { note: self.note.signed_only_by(key)?, ..self.clone() })
    }

    /// Which log it is the head of.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over them.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// The signed note.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

/// The note as it is sent and stored.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

/// A decimal number without sign or leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The digest whose standard base64 is `text`.
pub(crate) fn base64_digest(text: &str) -> Option<Digest> {
    let bytes = STANDARD.decode(text).ok()?;
    bytes.try_into().ok().map(Digest::from_bytes)
}

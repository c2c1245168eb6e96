//! SHA-256 digests and how they are shown.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256};

use crate::json::{Canonical, Json};

/// How long the text of a digest is: `sha256:` and 64 hex digits.
const TEXT_LENGTH: usize = 71;

/// A SHA-256 digest, shown as `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is not `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest; expected `sha256:` and 64 hex digits")]
pub struct BadDigest(String);

impl Digest {
    /// The digest of these parts, one after the other.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        Self::from_slice(context.finish().as_ref())
    }

    /// The digest of `bytes` under a context string, so that a digest made for one purpose
    /// never passes for another. The context ends with a newline.
    #[must_use]
    pub fn in_context(context: &str, bytes: &[u8]) -> Self {
        Self::of(&[context.as_bytes(), b"\n", bytes])
    }

    /// The digest with these 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.with_text(|text| text.get(7..19).unwrap_or_default().to_owned())
    }

    /// 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.with_text(|text| text.get(7..).unwrap_or_default().to_owned())
    }

    /// The text, without an allocation: an entry holds several.
    fn with_text<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; TEXT_LENGTH];
        let (prefix, digits) = text.split_at_mut(7);
        prefix.copy_from_slice(b"sha256:");
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        show(std::str::from_utf8(&text).unwrap_or_default())
    }

    fn from_slice(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(bytes);
        Self(digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        read(text).ok_or_else(|| BadDigest(text.chars().take(80).collect()))
    }
}

fn read(text: &str) -> Option<Digest> {
    let digits: &[u8; 64] = text.strip_prefix("sha256:")?.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(Digest(bytes))
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl<F> From<Digest> for Json<F> {
    fn from(digest: Digest) -> Self {
        Self::Text(digest.with_text(str::to_owned))
    }
}

impl Canonical for Digest {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        self.with_text(|text| text.write_canonical(out));
    }
}

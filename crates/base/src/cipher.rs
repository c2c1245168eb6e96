//! Sealed bytes: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce in front.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::entropy::{Entropy, NoEntropy};

/// A 256-bit key. It is wiped when dropped and never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

/// The bytes were not sealed with this key and context, or were changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not open: wrong key, wrong place, or changed")]
pub struct NotOpened;

impl Key {
    /// A new random key.
    ///
    /// # Errors
    /// [`NoEntropy`] when the source of randomness fails.
    pub fn new(entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for storage under another key.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seal `plain` for the place `context`: it opens only with this key in this place.
    ///
    /// # Errors
    /// [`NoEntropy`] when no nonce can be drawn.
    pub fn seal(
        &self,
        context: &[u8],
        plain: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, NoEntropy> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + 16);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(NONCE_LEN..).ok_or(NoEntropy)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .cipher()
            .and_then(|cipher| {
                cipher.seal_in_place_separate_tag(nonce, Aad::from(context), body).ok()
            })
            .ok_or(NoEntropy)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Open what [`Key::seal`] made for the same place.
    ///
    /// # Errors
    /// [`NotOpened`] when the key or the place is another, or a bit was changed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened)?;
        let cipher = self.cipher().ok_or(NotOpened)?;
        let mut plain = body.to_vec();
        let length = cipher
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut plain)
            .map_err(|_| NotOpened)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0).ok().map(LessSafeKey::new)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

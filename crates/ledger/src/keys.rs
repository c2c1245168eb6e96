//! Keys that sign heads of logs.

use std::fmt;

use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::TenantId;
use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use crate::note::{BadKey, VerifierKey};

/// Signs heads of logs: an Ed25519 key in memory, or one in a PKCS#11 token or a KMS.
pub trait Signer: Send {
    /// The public half.
    fn public(&self) -> &VerifierKey;

    /// The Ed25519 signature (RFC 8032) over `message`.
    ///
    /// # Errors
    /// [`SignError`] when the key cannot be used now.
    fn sign(&mut self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// Holds the signing keys of all logs of an instance.
pub trait KeyRing: Send {
    /// Make a key named `name` for the log of `tenant` and keep it durably before it is
    /// returned. It may be asked again for the same name, when the log did not come to be
    /// or its key is rotated; keys made before must stay.
    ///
    /// # Errors
    /// [`SignError`] when no key can be made or kept.
    fn create(
        &mut self,
        tenant: TenantId,
        name: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError>;

    /// The key with this name and id, made before.
    ///
    /// # Errors
    /// [`SignError::NoKey`] when there is none, or another when it cannot be used.
    fn open(&mut self, tenant: TenantId, name: &str, id: u32)
    -> Result<Box<dyn Signer>, SignError>;
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key is not there.
    #[error("there is no signing key `{name}+{id:08x}` of {tenant}")]
    NoKey {
        /// Whose key.
        tenant: TenantId,
        /// Its name.
        name: String,
        /// Its id.
        id: u32,
    },
    /// The key store failed.
    #[error("the key store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No randomness for a new key.
    #[error("could not make a key")]
    NoEntropy(#[from] NoEntropy),
    /// The name or the bytes cannot be a key.
    #[error("the key cannot be used")]
    BadKey(#[from] BadKey),
    /// The text has control characters or no last newline.
    #[error("the text cannot be signed as a note")]
    NotANote,
}

/// An Ed25519 key in memory. It is wiped when dropped and never shown.
#[derive(Clone)]
pub struct SigningKey {
    secret: ed25519_dalek::SigningKey,
    public: VerifierKey,
}

impl SigningKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`SignError`] without randomness, or when the name cannot be a key's.
    pub fn new(name: &str, entropy: &mut dyn Entropy) -> Result<Self, SignError> {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut())?;
        Ok(Self::from_seed(name, &seed)?)
    }

    /// The key of this seed (RFC 8032: the 32-byte private key).
    ///
    /// # Errors
    /// [`BadKey`] when the name cannot be a key's.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, BadKey> {
        let secret = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = VerifierKey::new(name, secret.verifying_key().as_bytes())?;
        Ok(Self { secret, public })
    }

    /// The seed, for the key store alone.
    #[must_use]
    pub fn expose_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes())
    }
}

impl Signer for SigningKey {
    fn public(&self) -> &VerifierKey {
        &self.public
    }

    fn sign(&mut self, message: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.secret.sign(message).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, …)", self.public.name())
    }
}

//! Keys and what they seal, the same in every database. The master key seals the key of each
//! log, of each subject and of each signer; those of logs and subjects seal bodies.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cog_base::Digest;
use cog_base::cipher::Key;
use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::{MailId, TenantId};
use zeroize::Zeroizing;

use crate::{OpenBody, StoreError};

const SUBJECT_CONTEXT: &str = "cognitionos/kept-subject/v1";
const BODY_CONTEXT: &[u8] = b"cognitionos/kept-body/v1\n";
const WRAP_CONTEXT: &[u8] = b"cognitionos/kept-key/v1\n";
const NAMES_CONTEXT: &str = "cognitionos/kept-subject-key/v1";
const MAIL_CONTEXT: &[u8] = b"cognitionos/kept-mail/v1\n";
const SALT_BYTES: usize = 32;
/// The most keys held in memory; beyond it all are dropped and opened again when needed.
const KEYS_MAX: usize = 16_384;

/// The purpose of the key that seals what is of no subject.
pub const LOG_KEY: &[u8] = b"log";
/// The purpose of the key of a subject.
pub const SUBJECT_KEY: &[u8] = b"subject";
/// The purpose of a key that signs heads.
pub const SIGNING_KEY: &[u8] = b"signing";

/// Which key seals a body. `L` is how a store calls a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which<L> {
    /// The log's own.
    Log(L),
    /// That of a subject, by its number.
    Subject(i64),
}

/// The master key, and the keys that were opened with it.
pub struct Vault<L> {
    master: Key,
    /// Keys the digests that stand for the names of subjects.
    names: Digest,
    open: Mutex<HashMap<Which<L>, Key>>,
}

impl<L: Copy + Eq + Hash> Vault<L> {
    /// A vault that knows its master key only.
    #[must_use]
    pub fn new(master: Key) -> Self {
        let names = Digest::in_context(NAMES_CONTEXT, master.expose());
        Self { master, names, open: Mutex::default() }
    }

    /// What a subject is called in the database: without the master key nobody can tell
    /// whose it is, not even by trying names.
    #[must_use]
    pub fn subject(&self, tenant: TenantId, subject: &str) -> Digest {
        let tenant = tenant.uuid().as_u128().to_be_bytes();
        let inner = Digest::of(&[self.names.as_bytes(), &tenant, subject.as_bytes()]);
        let keyed = [self.names.as_bytes().as_slice(), inner.as_bytes()].concat();
        Digest::in_context(SUBJECT_CONTEXT, &keyed)
    }

    /// Seal a secret of `tenant` for the database. `purpose` says what it is for.
    ///
    /// # Errors
    /// [`NoEntropy`] without randomness.
    pub fn wrap(
        &self,
        tenant: TenantId,
        purpose: &[u8],
        secret: &[u8; 32],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, NoEntropy> {
        self.master.seal(&wrap_context(tenant, purpose), secret, entropy)
    }

    /// Open what [`Vault::wrap`] sealed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it was sealed otherwise.
    pub fn unwrap(
        &self,
        tenant: TenantId,
        purpose: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let foreign = "a key was sealed with another master key, or changed since";
        let plain = self.master.open(&wrap_context(tenant, purpose), wrapped);
        let plain = plain.map(Zeroizing::new).map_err(|_| StoreError::corrupt(foreign))?;
        let secret = plain.as_slice().try_into().map_err(|_| StoreError::corrupt(foreign))?;
        Ok(Zeroizing::new(secret))
    }

    /// Seal mail of `tenant` for the database.
    ///
    /// # Errors
    /// [`NoEntropy`] without randomness.
    pub fn seal_mail(
        &self,
        tenant: TenantId,
        id: MailId,
        payload: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, NoEntropy> {
        self.master.seal(&mail_context(tenant, id), payload, entropy)
    }

    /// Open what [`Vault::seal_mail`] sealed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it was sealed otherwise.
    pub fn open_mail(
        &self,
        tenant: TenantId,
        id: MailId,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::corrupt(format!("mail {id} of {tenant}"));
        self.master.open(&mail_context(tenant, id), sealed).map_err(|_| damaged())
    }

    /// The key, from memory or by `read`.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn key(
        &self,
        which: Which<L>,
        read: impl FnOnce() -> Result<Option<Key>, StoreError>,
    ) -> Result<Option<Key>, StoreError> {
        if let Some(key) = self.open().get(&which) {
            return Ok(Some(key.clone()));
        }
        let key = read()?;
        if let Some(key) = &key {
            self.hold(which, key.clone());
        }
        Ok(key)
    }

    /// Remember a key.
    pub fn hold(&self, which: Which<L>, key: Key) {
        let mut open = self.open();
        if open.len() >= KEYS_MAX {
            open.clear();
        }
        open.insert(which, key);
    }

    /// Forget a key that was destroyed.
    pub fn forget(&self, which: Which<L>) {
        self.open().remove(&which);
    }

    /// Forget all keys; they are opened again when needed.
    pub fn forget_all(&self) {
        self.open().clear();
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Which<L>, Key>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seal a body for the place of its entry, with the salt inside. The scratch is overwritten.
///
/// # Errors
/// [`NoEntropy`] without randomness.
pub fn seal_body(
    key: &Key,
    (tenant, seq): (TenantId, u64),
    salt: &[u8; SALT_BYTES],
    bytes: &[u8],
    (scratch, entropy): (&mut Vec<u8>, &mut dyn Entropy),
) -> Result<Vec<u8>, NoEntropy> {
    scratch.clear();
    scratch.extend_from_slice(salt);
    scratch.extend_from_slice(bytes);
    key.seal(&body_context(tenant, seq), scratch, entropy)
}

/// Open what [`seal_body`] sealed.
///
/// # Errors
/// [`StoreError::Corrupt`] when it was sealed otherwise.
pub fn open_body(
    key: &Key,
    (tenant, seq): (TenantId, u64),
    sealed: &[u8],
) -> Result<OpenBody, StoreError> {
    let damaged = || StoreError::corrupt(format!("the body of entry {seq} of {tenant}"));
    let mut plain = key.open(&body_context(tenant, seq), sealed).map_err(|_| damaged())?;
    let salt = plain.first_chunk::<SALT_BYTES>().copied().ok_or_else(damaged)?;
    plain.drain(..SALT_BYTES);
    Ok(OpenBody { salt, bytes: plain })
}

fn body_context(tenant: TenantId, seq: u64) -> [u8; 49] {
    let mut context = [0; 49];
    let parts = [BODY_CONTEXT, &tenant.uuid().as_u128().to_be_bytes(), &seq.to_be_bytes()];
    for (place, byte) in context.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    context
}

fn wrap_context(tenant: TenantId, purpose: &[u8]) -> Vec<u8> {
    [WRAP_CONTEXT, &tenant.uuid().as_u128().to_be_bytes(), purpose].concat()
}

fn mail_context(tenant: TenantId, id: MailId) -> Vec<u8> {
    let parts = [tenant.uuid().as_u128().to_be_bytes(), id.uuid().as_u128().to_be_bytes()];
    [MAIL_CONTEXT, &parts.concat()].concat()
}

/// Randomness drawn in blocks, as a draw may cost a call into the system.
pub struct Drawn {
    source: Box<dyn Entropy>,
    block: Zeroizing<[u8; 1024]>,
    used: usize,
}

impl Drawn {
    /// Nothing is drawn yet.
    #[must_use]
    pub fn new(source: Box<dyn Entropy>) -> Self {
        Self { source, block: Zeroizing::new([0; 1024]), used: 1024 }
    }
}

impl Entropy for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        if bytes.len() > self.block.len() {
            return self.source.fill(bytes);
        }
        if self.used + bytes.len() > self.block.len() {
            self.source.fill(self.block.as_mut())?;
            self.used = 0;
        }
        let fresh = self.block.iter_mut().skip(self.used);
        for (byte, fresh) in bytes.iter_mut().zip(fresh) {
            *byte = std::mem::take(fresh);
        }
        self.used += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cog_base::entropy::SeededEntropy;
    use cog_base::id::Uuid;

    use super::*;

    fn tenant(number: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn a_body_opens_only_in_its_place() {
        let mut entropy = SeededEntropy::new(1);
        let key = Key::new(&mut entropy).unwrap();
        let place = (tenant(1), 7);
        let with = (&mut Vec::new(), &mut entropy as &mut dyn Entropy);
        let sealed = seal_body(&key, place, &[9; 32], b"{}", with).unwrap();
        let open = open_body(&key, place, &sealed).unwrap();
        assert_eq!((open.salt, open.bytes.as_slice()), ([9; 32], b"{}".as_slice()));
        assert!(open_body(&key, (tenant(1), 8), &sealed).is_err());
        assert!(open_body(&key, (tenant(2), 7), &sealed).is_err());
    }

    #[test]
    fn a_wrapped_key_opens_only_for_its_tenant_and_purpose() {
        let mut entropy = SeededEntropy::new(1);
        let vault = Vault::<i64>::new(Key::new(&mut entropy).unwrap());
        let wrapped = vault.wrap(tenant(1), b"log", &[5; 32], &mut entropy).unwrap();
        assert_eq!(*vault.unwrap(tenant(1), b"log", &wrapped).unwrap(), [5; 32]);
        assert!(vault.unwrap(tenant(2), b"log", &wrapped).is_err());
        assert!(vault.unwrap(tenant(1), b"subject", &wrapped).is_err());
    }

    #[test]
    fn the_name_of_a_subject_depends_on_tenant_and_master_key() {
        let mut entropy = SeededEntropy::new(1);
        let one = Vault::<i64>::new(Key::new(&mut entropy).unwrap());
        let other = Vault::<i64>::new(Key::new(&mut entropy).unwrap());
        let name = one.subject(tenant(1), "user:ada");
        assert_eq!(name, one.subject(tenant(1), "user:ada"));
        assert_ne!(name, one.subject(tenant(2), "user:ada"));
        assert_ne!(name, other.subject(tenant(1), "user:ada"));
    }

    #[test]
    fn drawn_randomness_is_never_given_twice() {
        let mut drawn = Drawn::new(Box::new(SeededEntropy::new(1)));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            let mut nonce = [0; 12];
            drawn.fill(&mut nonce).unwrap();
            assert!(seen.insert(nonce));
        }
        let mut large = [0; 2_000];
        drawn.fill(&mut large).unwrap();
        assert!(large.iter().any(|byte| *byte != 0));
    }
}

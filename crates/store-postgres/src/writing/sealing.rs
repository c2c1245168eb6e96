//! The bodies of a commit, sealed under the keys of their subjects or of their log.

use std::collections::HashMap;

use cog_base::cipher::Key;
use cog_base::id::TenantId;
use cog_base::{Digest, Entropy};
use cog_ledger::{SealedBatch, SealedBody};
use cog_store::StoreError;
use cog_store::vault::{Drawn, LOG_KEY, SUBJECT_KEY, Which, seal_body};
use tokio_postgres::Row;

use super::{Failure, stopped};
use crate::Inner;
use crate::id::{Hash, Id};
use crate::link::{Link, Step};
use crate::pool::SET_TENANT;
use crate::reading::place;

/// The most subjects whose keys are remembered; beyond it all are read again.
const SUBJECTS_MAX: usize = 65_536;

const OWN_KEY: &str = "SELECT own_key FROM log WHERE tenant = $1";
const SUBJECTS: &str = "SELECT subject, no, wrapped FROM subject_key
    WHERE tenant = $1 AND subject = ANY ($2)";

/// What one batch keeps beside its entries.
#[derive(Default)]
pub(super) struct Sealed {
    /// The wrapped key of a log that begins with this batch.
    pub(super) own_key: Option<Vec<u8>>,
    /// Keys of subjects that are kept with this batch: number, name, wrapped.
    pub(super) keys: Vec<(i64, Digest, Vec<u8>)>,
    /// Keys that must still be there.
    pub(super) used: Vec<i64>,
    /// Place, number of the subject's key, what is sealed.
    pub(super) bodies: Vec<(i64, Option<i64>, Vec<u8>)>,
}

/// Keys of subjects that are known, by tenant and name.
#[derive(Default)]
pub(super) struct Subjects {
    known: HashMap<(TenantId, Digest), (i64, Key)>,
    scratch: Vec<u8>,
}

impl Subjects {
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// Seal the bodies of all batches.
    pub(super) fn seal(
        &mut self,
        inner: &Inner,
        link: &mut Link,
        entropy: &mut Drawn,
        batches: &[SealedBatch],
    ) -> Result<Vec<Sealed>, Failure> {
        if self.known.len() > SUBJECTS_MAX {
            self.known.clear();
        }
        self.read_missing(inner, link, batches)?;
        let seal = |batch| self.seal_batch(inner, entropy, batch);
        batches.iter().map(seal).collect::<Result<_, _>>().map_err(Failure::Refused)
    }

    /// Read the keys that the batches need and that are not known, in one go for each log.
    fn read_missing(
        &mut self,
        inner: &Inner,
        link: &mut Link,
        batches: &[SealedBatch],
    ) -> Result<(), Failure> {
        for batch in batches.iter().filter(|batch| batch.first > 0) {
            let tenant = batch.tenant;
            let bodies = batch.entries.iter().filter_map(|sealed| sealed.body.as_ref());
            let subjects = bodies.clone().filter_map(|body| body.subject.as_deref());
            let mut names: Vec<Digest> =
                subjects.map(|subject| inner.vault.subject(tenant, subject)).collect();
            names.retain(|name| !self.known.contains_key(&(tenant, *name)));
            names.sort_unstable();
            names.dedup();
            let has_own = bodies.clone().any(|body| body.subject.is_none());
            let is_known = known_log_key(inner, tenant).map_err(Failure::Refused)?.is_some();
            if names.is_empty() && (is_known || !has_own) {
                continue;
            }
            let id = Id::from(tenant);
            let hashes: Vec<Hash> = names.into_iter().map(Hash).collect();
            let steps = [
                Step::plain("BEGIN READ ONLY"),
                Step::new(SET_TENANT, vec![Box::new(id)]),
                Step::new(OWN_KEY, vec![Box::new(id)]),
                Step::new(SUBJECTS, vec![Box::new(id), Box::new(hashes)]),
                Step::plain("ROLLBACK"),
            ];
            let rows = link.flight(&steps).map_err(stopped)?;
            let (own, subjects) = (rows.get(2), rows.get(3));
            self.take(inner, tenant, own, subjects).map_err(Failure::Refused)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        inner: &Inner,
        tenant: TenantId,
        own: Option<&Vec<Row>>,
        subjects: Option<&Vec<Row>>,
    ) -> Result<(), StoreError> {
        if let Some(row) = own.and_then(|rows| rows.first()) {
            let secret = inner.vault.unwrap(tenant, LOG_KEY, row.get(0))?;
            inner.vault.hold(Which::Log(tenant), Key::from_bytes(*secret));
        }
        for row in subjects.into_iter().flatten() {
            let name = row.get::<_, &[u8]>(0).try_into().map(Digest::from_bytes);
            let name = name.map_err(|_| StoreError::corrupt("the name of a subject"))?;
            let secret = inner.vault.unwrap(tenant, SUBJECT_KEY, row.get(2))?;
            self.known.insert((tenant, name), (row.get(1), Key::from_bytes(*secret)));
        }
        Ok(())
    }

    fn seal_batch(
        &mut self,
        inner: &Inner,
        entropy: &mut Drawn,
        batch: &SealedBatch,
    ) -> Result<Sealed, StoreError> {
        let mut sealed = Sealed::default();
        if batch.first == 0 {
            let key = Key::new(entropy)?;
            let wrapped = inner.vault.wrap(batch.tenant, LOG_KEY, key.expose(), entropy)?;
            sealed.own_key = Some(wrapped);
            inner.vault.hold(Which::Log(batch.tenant), key);
        }
        for entry in &batch.entries {
            let Some(body) = &entry.body else { continue };
            let (number, key) = self.key(inner, entropy, batch.tenant, body, &mut sealed)?;
            let seq = entry.entry.seq();
            let with = (&mut self.scratch, &mut *entropy as &mut dyn Entropy);
            let bytes = seal_body(&key, (batch.tenant, seq), &body.salt, &body.bytes, with)?;
            sealed.bodies.push((place(seq), number, bytes));
        }
        sealed.used.sort_unstable();
        sealed.used.dedup();
        let made = |no: &i64| sealed.keys.iter().any(|(new, _, _)| new == no);
        sealed.used.retain(|no| !made(no));
        Ok(sealed)
    }

    /// The key of a body, made when its subject is new.
    fn key(
        &mut self,
        inner: &Inner,
        entropy: &mut Drawn,
        tenant: TenantId,
        body: &SealedBody,
        sealed: &mut Sealed,
    ) -> Result<(Option<i64>, Key), StoreError> {
        let Some(subject) = &body.subject else {
            let missing = || StoreError::corrupt(format!("the key of the log of {tenant}"));
            return Ok((None, known_log_key(inner, tenant)?.ok_or_else(missing)?));
        };
        let name = inner.vault.subject(tenant, subject);
        if let Some((no, key)) = self.known.get(&(tenant, name)) {
            sealed.used.push(*no);
            return Ok((Some(*no), key.clone()));
        }
        let key = Key::new(entropy)?;
        let mut no = [0; 8];
        entropy.fill(&mut no)?;
        let no = i64::from_be_bytes(no);
        let wrapped = inner.vault.wrap(tenant, SUBJECT_KEY, key.expose(), entropy)?;
        sealed.keys.push((no, name, wrapped));
        self.known.insert((tenant, name), (no, key.clone()));
        Ok((Some(no), key))
    }
}

fn known_log_key(inner: &Inner, tenant: TenantId) -> Result<Option<Key>, StoreError> {
    inner.vault.key(Which::Log(tenant), || Ok(None))
}

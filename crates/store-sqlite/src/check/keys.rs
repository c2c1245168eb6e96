//! The signing keys of the log: every key that its entries name is there and opens, and there
//! is none that was not made here.

use cog_ledger::VerifierKey;
use cog_ledger::audit::Findings;
use cog_ledger::keys::{Signer as _, SigningKey};
use cog_store::StoreError;
use cog_store::vault::SIGNING_KEY;
use rusqlite::{Connection, params};

use crate::error::failed;
use crate::log::Log;
use crate::log::Vault;

/// Compare the keys that entries name with those that are kept. A key more is no finding if
/// it opens: one is made before the entry that names it is recorded.
pub(super) fn compare(
    db: &Connection,
    vault: &Vault,
    log: &Log,
    named: &[VerifierKey],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let cannot = |error| failed("check the signing keys", error);
    let mut read =
        db.prepare("SELECT name, id, sealed FROM signing_key WHERE tenant = ?1").map_err(cannot)?;
    let tenant = log.tenant.uuid().as_u128().to_be_bytes();
    let mut rows = read.query(params![tenant]).map_err(cannot)?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next().map_err(cannot)? {
        let row = || -> rusqlite::Result<(String, u32, Vec<u8>)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        };
        let opened = row().ok().and_then(|(name, id, sealed)| {
            let seed = vault.unwrap(log.tenant, SIGNING_KEY, &sealed).ok()?;
            let key = SigningKey::from_seed(&name, &seed).ok()?;
            (key.public().id() == id).then(|| key.public().clone())
        });
        match opened {
            Some(key) => kept.push(key),
            None => {
                let what = "a signing key is kept that does not open, or under another name";
                findings.add(None, "store.key.foreign", what);
            }
        }
    }
    for key in named.iter().filter(|key| !kept.contains(key)) {
        let what =
            format!("the key {}+{:08x}, which the log names, is not kept", key.name(), key.id());
        findings.add(None, "store.key.missing", what);
    }
    Ok(())
}

//! The bodies of a log that does not hold as a whole, each against its entry.

use cog_ledger::audit::{Erasures, Findings};
use cog_ledger::{Entry, Kind};
use cog_store::StoreError;
use rusqlite::Connection;

use super::held;
use crate::log::{Log, Vault};
use crate::reading::body_at;

/// Open every body that an entry commits to. One that is not there is a finding, unless an
/// entry that can be read says that it was erased.
pub(super) fn compare(
    db: &Connection,
    vault: &Vault,
    log: &Log,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let (mut erasures, mut absent) = (Erasures::default(), Vec::new());
    for seq in log.end.pruned.entries..log.end.size {
        let Ok(Some((bytes, _))) = held::row(db, log.range(), seq) else { continue };
        let Ok(entry) = Entry::parse(&bytes) else { continue };
        if entry.kind() == Kind::BodiesErased {
            erasures.observe(&entry);
        }
        if entry.commit().is_none() || entry.seq() != seq {
            continue;
        }
        match body_at(db, vault, log, &entry) {
            Ok(Some(_)) => {}
            Ok(None) => absent.push(seq),
            Err(StoreError::Corrupt { .. }) => {
                findings.add(
                    Some(seq),
                    "body.changed",
                    "its body is not what the entry commits to",
                );
            }
            Err(error) => return Err(error),
        }
    }
    for seq in absent.into_iter().filter(|seq| !erasures.explains(*seq)) {
        let what = "its body is not here, and no entry that can be read says that it was erased";
        findings.add(Some(seq), "body.absent", what);
    }
    Ok(())
}

//! A commit whose answer was lost. It is looked up, so that it is neither written twice nor
//! taken as lost.

use cog_ledger::SealedBatch;
use cog_store::StoreError;

use super::Patience;
use crate::Inner;
use crate::error::failed;
use crate::id::Id;
use crate::link::Link;
use crate::owning::LOCK;
use crate::pool::begin;
use crate::reading::place;

const HEAD: &str = "SELECT note FROM checkpoint WHERE tenant = $1 AND size = $2";

/// Find out whether the batches were kept: they were, or a passing error says that they were
/// not. When the server does not come back in time, nobody knows.
pub(super) fn settle(
    inner: &Inner,
    batches: &[SealedBatch],
    lost: StoreError,
    patience: &mut Patience,
) -> Result<(), StoreError> {
    loop {
        match was_kept(inner, batches) {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(lost),
            Err(StoreError::Unreachable { .. } | StoreError::Busy { .. }) if patience.wait() => {}
            Err(source) => return Err(StoreError::Unknown { source: Box::new(source) }),
        }
    }
}

/// Whether the head of the first batch is there, which it is with all the others or not at
/// all. What the lost connection may still be doing is over once the row that it held is
/// ours.
fn was_kept(inner: &Inner, batches: &[SealedBatch]) -> Result<bool, StoreError> {
    let Some(batch) = batches.iter().find(|batch| !batch.entries.is_empty()) else {
        return Ok(true);
    };
    let cannot = |error| failed("look whether a commit was kept", error);
    let mut link = Link::open(inner.pool.address(), "")?;
    begin(&mut link, "BEGIN ISOLATION LEVEL READ COMMITTED", batch.tenant).map_err(cannot)?;
    let id = Id::from(batch.tenant);
    link.query(LOCK, &[&vec![id]]).map_err(cannot)?;
    let rows = link.query(HEAD, &[&id, &place(batch.checkpoint.size())]).map_err(cannot)?;
    link.batch("ROLLBACK").map_err(cannot)?;
    let note = batch.checkpoint.to_string();
    Ok(rows.first().is_some_and(|row| row.get::<_, &str>(0) == note))
}

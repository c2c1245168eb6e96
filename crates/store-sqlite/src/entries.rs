//! Rows of entries, read so that nothing but what was written passes.

use cog_base::Digest;
use cog_ledger::Entry;
use cog_ledger::merkle::leaf_hash;
use cog_store::StoreError;
use rusqlite::{Connection, Row};

use crate::binding::{Links, TAG_BYTES};
use crate::error::failed;
use crate::log::Log;

/// An entry and how it hangs together with those before it.
pub(crate) struct Found {
    pub(crate) links: Links,
    pub(crate) entry: Entry,
}

impl Found {
    /// The sequence number of the entry before this one in its chain; nothing for the first.
    pub(crate) fn before(&self) -> Option<u64> {
        let kin = self.links.kin.filter(|kin| *kin > 0)?;
        self.entry.seq().checked_sub(u64::try_from(kin).ok()?)
    }
}

/// The entry at `seq`, unless it is beyond the end or pruned. It is an error when it is
/// missing otherwise.
pub(crate) fn read(db: &Connection, log: &Log, seq: u64) -> Result<Option<Found>, StoreError> {
    if seq >= log.end.size {
        return Ok(None);
    }
    let cannot = |error| failed("read an entry", error);
    let place = log.range().place(seq);
    let mut read = db
        .prepare_cached("SELECT kind, back, kin, tag, bytes FROM entry WHERE place = ?1")
        .map_err(cannot)?;
    let mut rows = read.query([place]).map_err(cannot)?;
    match rows.next().map_err(cannot)? {
        Some(row) => parse(log, place, row).map(Some),
        None if seq < log.end.pruned.entries => Ok(None),
        None => Err(log.damaged(&format!("entry {seq}"))),
    }
}

/// The links and the leaf hash of the entry at `place`, without reading what it says; nothing
/// when there is no row.
pub(crate) fn read_links(
    db: &Connection,
    log: &Log,
    place: i64,
) -> Result<Option<(Links, Digest)>, StoreError> {
    let cannot = |error| failed("read an entry", error);
    let mut read = db
        .prepare_cached("SELECT kind, back, kin, tag, bytes FROM entry WHERE place = ?1")
        .map_err(cannot)?;
    let mut rows = read.query([place]).map_err(cannot)?;
    rows.next().map_err(cannot)?.map(|row| links(log, place, row)).transpose()
}

/// Read the row of an entry strictly: the columns kind, back, kin, tag, bytes.
pub(crate) fn parse(log: &Log, place: i64, row: &Row<'_>) -> Result<Found, StoreError> {
    let seq = log.range().seq(place);
    let damaged =
        |source| StoreError::Corrupt { what: format!("entry {seq} of {}", log.tenant), source };
    let (links, _) = links(log, place, row)?;
    let entry = Entry::parse(bytes(row).ok_or_else(|| damaged(None))?)
        .map_err(|error| damaged(Some(Box::new(error))))?;
    if entry.tenant() != log.tenant || entry.seq() != seq {
        return Err(damaged(None));
    }
    Ok(Found { links, entry })
}

/// Read the links of a row, with the leaf hash of its bytes, and see that they are those that
/// were written for it: the columns kind, back, kin, tag, bytes.
pub(crate) fn links(log: &Log, place: i64, row: &Row<'_>) -> Result<(Links, Digest), StoreError> {
    let read = || -> rusqlite::Result<_> {
        let links = Links { kind: row.get(0)?, back: row.get(1)?, kin: row.get(2)? };
        Ok((links, row.get::<_, [u8; TAG_BYTES]>(3)?))
    };
    let leaf = bytes(row).map(leaf_hash);
    match (read(), leaf) {
        (Ok((links, tag)), Some(leaf)) if log.bindings.tag(place, links, leaf) == tag => {
            Ok((links, leaf))
        }
        _ => Err(log.damaged(&format!("entry {}", log.range().seq(place)))),
    }
}

fn bytes<'a>(row: &'a Row<'_>) -> Option<&'a [u8]> {
    row.get_ref(4).ok()?.as_blob().ok()
}

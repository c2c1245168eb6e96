//! Rows of entries, read so that nothing but what was written passes.

use cog_ledger::Entry;
use cog_store::StoreError;
use rusqlite::{Connection, OptionalExtension as _, Row};

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
        .prepare_cached("SELECT kind, back, kin, tag, leaf, bytes FROM entry WHERE place = ?1")
        .map_err(cannot)?;
    let mut rows = read.query([place]).map_err(cannot)?;
    match rows.next().map_err(cannot)? {
        Some(row) => parse(log, place, row).map(Some),
        None if seq < log.end.pruned.entries => Ok(None),
        None => Err(log.damaged(&format!("entry {seq}"))),
    }
}

/// The links of the entry at `place`, without reading it; nothing when there is no row.
pub(crate) fn read_links(
    db: &Connection,
    log: &Log,
    place: i64,
) -> Result<Option<Links>, StoreError> {
    let mut damage = None;
    let links = db
        .prepare_cached("SELECT kind, back, kin, tag, leaf FROM entry WHERE place = ?1")
        .and_then(|mut read| {
            read.query_row([place], |row| {
                Ok(links(log, place, row).map_err(|error| damage = Some(error)).ok())
            })
            .optional()
        })
        .map_err(|error| failed("read an entry", error))?;
    damage.map_or(Ok(links.flatten()), Err)
}

/// Read the row of an entry strictly: the columns kind, back, kin, tag, leaf, bytes.
pub(crate) fn parse(log: &Log, place: i64, row: &Row<'_>) -> Result<Found, StoreError> {
    let links = links(log, place, row)?;
    let seq = log.range().seq(place);
    let what = || log.damaged(&format!("entry {seq}"));
    let blob =
        |column| row.get_ref(column).ok().and_then(|value| value.as_blob().ok()).ok_or_else(what);
    let entry = Entry::parse(blob(5)?).map_err(|error| StoreError::Corrupt {
        what: format!("entry {seq} of {}", log.tenant),
        source: Some(Box::new(error)),
    })?;
    let is_own = entry.tenant() == log.tenant && entry.seq() == seq;
    if !is_own || entry.leaf().as_bytes() != blob(4)? {
        return Err(what());
    }
    Ok(Found { links, entry })
}

/// Read the links of a row and see that they are those that were written for its leaf hash
/// and place: the columns kind, back, kin, tag, leaf.
pub(crate) fn links(log: &Log, place: i64, row: &Row<'_>) -> Result<Links, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let links = Links { kind: row.get(0)?, back: row.get(1)?, kin: row.get(2)? };
        Ok((links, row.get::<_, [u8; TAG_BYTES]>(3)?, row.get::<_, [u8; 32]>(4)?))
    };
    match read() {
        Ok((links, tag, leaf)) if log.bindings.tag(place, links, &leaf) == tag => Ok(links),
        Ok(_) | Err(_) => Err(log.damaged(&format!("entry {}", log.range().seq(place)))),
    }
}

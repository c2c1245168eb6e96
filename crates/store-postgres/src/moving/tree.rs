//! Entries that were copied, computed anew: what comes of them must be the signed head that
//! they had.

use cog_base::Digest;
use cog_ledger::merkle::Frontier;
use cog_ledger::{Checkpoint, Entry};
use cog_store::StoreError;

use crate::id::Id;
use crate::link::Link;
use crate::pool::Stop;
use crate::reading::{SEGMENT, number, place};

const ENTRIES: &str = "SELECT seq, leaf, bytes FROM entry
    WHERE tenant = $1 AND seq >= $2 AND seq < $3 ORDER BY seq LIMIT 2048";
const TILE: &str = "SELECT hashes FROM tile WHERE tenant = $1 AND seq = $2";
const HEAD: &str = "SELECT note FROM checkpoint JOIN log USING (tenant, size)
    WHERE log.tenant = $1";
const DIGEST_BYTES: usize = 32;

/// The tree of the entries so far.
#[derive(Default)]
pub(crate) struct Tree {
    frontier: Frontier,
    /// The leaf hashes of the pruned segment that was last read, and its first entry.
    tile: Option<(u64, Vec<u8>)>,
}

impl Tree {
    /// Take in the entries before `size`.
    pub(crate) fn grow(&mut self, link: &mut Link, id: Id, size: u64) -> Result<(), Stop> {
        let mut at = self.frontier.size();
        while at < size {
            let rows = link.query(ENTRIES, &[&id, &place(at), &place(size)])?;
            for row in &rows {
                let seq = number(row.get(0));
                self.pruned(link, id, seq)?;
                let entry = Entry::parse(row.get(2)).map_err(|error| StoreError::Corrupt {
                    what: format!("entry {seq} of {}", id.tenant()),
                    source: Some(Box::new(error)),
                })?;
                let is_own = entry.tenant() == id.tenant() && entry.seq() == seq;
                if !is_own || entry.leaf().as_bytes() != row.get::<_, &[u8]>(1) {
                    return Err(StoreError::corrupt(format!("entry {seq}")).into());
                }
                self.frontier.push(entry.leaf(), |_, _, _| {});
            }
            if rows.is_empty() {
                self.pruned(link, id, size)?;
            }
            at = self.frontier.size();
        }
        Ok(())
    }

    /// Take in the leaf hashes of pruned entries before `seq`.
    fn pruned(&mut self, link: &mut Link, id: Id, seq: u64) -> Result<(), Stop> {
        while self.frontier.size() < seq {
            let at = self.frontier.size();
            let first = at - at % SEGMENT;
            if self.tile.as_ref().is_none_or(|(tile, _)| *tile != first) {
                let rows = link.query(TILE, &[&id, &place(first)])?;
                self.tile = rows.first().map(|row| (first, row.get(0)));
            }
            let from = usize::try_from(at % SEGMENT).unwrap_or(usize::MAX) * DIGEST_BYTES;
            let hash = self.tile.as_ref().and_then(|(_, tile)| tile.get(from..from + DIGEST_BYTES));
            let hash = hash.and_then(|hash| <[u8; DIGEST_BYTES]>::try_from(hash).ok());
            let gone = || StoreError::corrupt(format!("the leaf of entry {at}"));
            self.frontier.push(Digest::from_bytes(hash.ok_or_else(gone)?), |_, _, _| {});
        }
        Ok(())
    }

    /// See that these entries are those of a head.
    pub(crate) fn is_of(&self, head: &Checkpoint) -> bool {
        self.frontier.size() == head.size() && self.frontier.root() == head.root()
    }
}

/// The signed head of the log; nothing when there is no log.
pub(crate) fn head(link: &mut Link, id: Id) -> Result<Option<Checkpoint>, Stop> {
    let rows = link.query(HEAD, &[&id])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let head = Checkpoint::parse(row.get(0));
    Ok(Some(head.map_err(|_| StoreError::corrupt("the signed head"))?))
}

//! What holds whatever else is damaged: the entries before a signed head that fits them. This
//! needs nothing but their bytes, and the keys that they name.

use std::collections::VecDeque;
use std::ops;

use cog_ledger::audit::Findings;
use cog_ledger::merkle::Frontier;
use cog_ledger::{Checkpoint, Entry, Kind, VerifierKey};
use cog_store::StoreError;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::failed;
use crate::place::Range;

/// Heads that fit are kept until their signatures are looked at: so many.
const FITTING_MAX: usize = 16;

/// The signed heads of a log that fit its entries.
#[derive(Default)]
pub(super) struct Heads {
    fitting: VecDeque<Checkpoint>,
    /// Whether the one before did not fit: those after an altered entry all do not.
    is_off: bool,
}

impl Heads {
    /// Compare a head that is kept with the tree there. Whether it is one to tell of: the
    /// first that does not fit.
    pub(super) fn meet(&mut self, tree: &Frontier, note: Vec<u8>) -> bool {
        let head = String::from_utf8(note).ok().and_then(|note| Checkpoint::parse(&note).ok());
        let fits = |head: &Checkpoint| head.size() == tree.size() && head.root() == tree.root();
        match head.filter(fits) {
            Some(head) => {
                self.is_off = false;
                if self.fitting.len() >= FITTING_MAX {
                    self.fitting.pop_front();
                }
                self.fitting.push_back(head);
                false
            }
            None => !std::mem::replace(&mut self.is_off, true),
        }
    }

    /// The newest of them that is signed by one of `keys`. Of those behind it, if there are any,
    /// the signatures are damaged.
    pub(super) fn newest(
        &self,
        keys: &[VerifierKey],
        findings: &mut Findings,
    ) -> Option<Checkpoint> {
        for head in self.fitting.iter().rev() {
            if head.verify(head.origin(), keys).is_ok() {
                return Some(head.clone());
            }
            let what = "no key of the log signed the head that ends here";
            findings.add(head.size().checked_sub(1), "store.head", what);
        }
        None
    }
}

/// The key that an entry puts in force.
pub(super) fn key_of(entry: &Entry) -> Option<VerifierKey> {
    let key = if entry.kind() == Kind::Genesis { entry.text("key") } else { None };
    let next = if entry.kind() == Kind::KeyRotated { entry.text("to") } else { None };
    key.or(next)?.parse().ok()
}

/// What holds of a log whose end does not open, or that lacks a table. Its entries are looked at
/// one by one, as far as they follow from each other; nothing is known of what was pruned.
pub(super) fn unopened(
    db: &Connection,
    range: Range,
    kept: ops::Range<u64>,
    findings: &mut Findings,
) -> Result<Option<Checkpoint>, StoreError> {
    let (mut heads, mut keys, mut last) = (Heads::default(), Vec::new(), None);
    let mut tree = (kept.start == 0).then(Frontier::new);
    for seq in kept.start..kept.end.min(rows(db, range)?) {
        let row = match row(db, range, seq) {
            Ok(row) => row,
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let entry = row.and_then(|(bytes, head)| Some((Entry::parse(&bytes).ok()?, head)));
        let follows = |entry: &Entry| entry.seq() == seq && entry.prev() == last;
        let Some((entry, head)) = entry.filter(|(entry, _)| tree.is_none() || follows(entry))
        else {
            findings.add(Some(seq), "store.entry", "it is missing, or not what was written");
            tree = None;
            continue;
        };
        last = Some(entry.leaf());
        let Some(tree) = &mut tree else { continue };
        keys.extend(key_of(&entry));
        tree.push(entry.leaf(), |_, _, _| {});
        if let Some(head) = head
            && heads.meet(tree, head)
        {
            let what = "the signed head that ends here is not that of the entries";
            findings.add(Some(seq), "store.head", what);
        }
    }
    Ok(heads.newest(&keys, findings))
}

/// Read the entries before `size` as they are.
pub(super) fn entries(
    db: &Connection,
    range: Range,
    size: u64,
    take: &mut dyn FnMut(Entry),
) -> Result<(), StoreError> {
    for seq in 0..size {
        let Some((bytes, _)) = row(db, range, seq)? else { continue };
        let damaged = |_| StoreError::corrupt(format!("entry {seq}"));
        take(Entry::parse(&bytes).map_err(damaged)?);
    }
    Ok(())
}

/// Behind the last row that there is: the size in the open may be anything.
fn rows(db: &Connection, range: Range) -> Result<u64, StoreError> {
    let span = [range.place(0), range.place(u64::MAX)];
    let sql = "SELECT max(place) FROM entry WHERE place >= ?1 AND place <= ?2";
    let last: Option<i64> = db
        .query_row(sql, span, |row| row.get(0))
        .map_err(|error| failed("read the last entry", error))?;
    Ok(last.map_or(0, |last| range.seq(last) + 1))
}

type Kept = (Vec<u8>, Option<Vec<u8>>);

/// The bytes of an entry, and the head in its row.
pub(super) fn row(db: &Connection, range: Range, seq: u64) -> Result<Option<Kept>, StoreError> {
    let read = db.prepare_cached("SELECT bytes, CAST(head AS BLOB) FROM entry WHERE place = ?1");
    let row = read.and_then(|mut read| {
        read.query_row([range.place(seq)], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    });
    row.map_err(|error| failed("read an entry", error))
}

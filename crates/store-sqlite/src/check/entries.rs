//! One pass over the entries: their rows are checked, and what else must be there is derived.

use cog_base::Digest;
use cog_ledger::audit::Findings;
use cog_ledger::merkle::Frontier;
use cog_ledger::{Entry, VerifierKey};
use cog_store::StoreError;
use cog_store::index::{id_key, is_rare, kind_code};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};

use super::held::{Heads, key_of};
use super::runs::Runs;
use crate::binding::{Chain, Links, State};
use crate::entries;
use crate::error::failed;
use crate::log::Log;
use crate::place::LEVEL_STEP;
use crate::reading::SEGMENT;

const DIGEST_BYTES: usize = 32;

/// What the entries come to.
pub(super) struct Derived {
    /// The tree; nothing when a leaf of it is missing.
    pub(super) tree: Option<Frontier>,
    pub(super) last: Option<Entry>,
    pub(super) state: State,
    pub(super) runs: Runs,
    /// How many of the rows by kind and by id are there that must be, and how many subtree
    /// roots there must be.
    pub(super) kinds: u64,
    pub(super) ids: u64,
    pub(super) nodes: u64,
    /// The keys that entries name, the first one first.
    pub(super) keys: Vec<VerifierKey>,
    /// The signed heads that fit.
    pub(super) heads: Heads,
}

/// Read all entries of the log.
pub(super) fn derive(
    db: &Connection,
    log: &Log,
    findings: &mut Findings,
) -> Result<Derived, StoreError> {
    let cannot = |error| failed("read entries", error);
    let mut read = db
        .prepare_cached(
            "SELECT kind, back, kin, tag, bytes, place, head FROM entry
             WHERE place >= ?1 AND place <= ?2 ORDER BY place",
        )
        .map_err(cannot)?;
    let range = log.range();
    let mut rows = read.query([range.place(0), range.place(u64::MAX)]).map_err(cannot)?;
    let mut pass = Pass::new(db, log, findings)?;
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let place = row.get(5).map_err(cannot)?;
                pass.row(place, row)?;
            }
            Ok(None) => break,
            Err(error) => {
                let error = failed("read entries", error);
                if !matches!(error, StoreError::Corrupt { .. }) {
                    return Err(error);
                }
                // A damaged page ends the walk; what is behind it may still be found.
                pass.one_by_one()?;
                break;
            }
        }
    }
    pass.absent(log.end.size)?;
    Ok(pass.derived)
}

struct Pass<'a> {
    db: &'a Connection,
    log: &'a Log,
    findings: &'a mut Findings,
    /// The entry that comes next.
    next: u64,
    /// The leaf hashes of the pruned segment that was read last, and its first entry.
    tile: (u64, Vec<u8>),
    by_kind: CachedStatement<'a>,
    by_id: CachedStatement<'a>,
    node: CachedStatement<'a>,
    head: CachedStatement<'a>,
    body: CachedStatement<'a>,
    derived: Derived,
}

impl<'a> Pass<'a> {
    fn new(
        db: &'a Connection,
        log: &'a Log,
        findings: &'a mut Findings,
    ) -> Result<Self, StoreError> {
        let prepare =
            |sql| db.prepare_cached(sql).map_err(|error| failed("check the tables", error));
        Ok(Self {
            db,
            log,
            findings,
            next: 0,
            tile: (u64::MAX, Vec::new()),
            by_kind: prepare("SELECT 1 FROM entry_kind WHERE kind = ?1 AND place = ?2")?,
            by_id: prepare("SELECT 1 FROM entry_id WHERE key = ?1 AND place = ?2")?,
            node: prepare("SELECT hash FROM node WHERE place = ?1")?,
            head: prepare("SELECT note FROM checkpoint WHERE place = ?1")?,
            body: prepare("SELECT 1 FROM body WHERE place = ?1")?,
            derived: Derived {
                tree: Some(Frontier::new()),
                last: None,
                state: State::default(),
                runs: Runs::default(),
                kinds: 0,
                ids: 0,
                nodes: 0,
                keys: Vec::new(),
                heads: Heads::default(),
            },
        })
    }

    /// Take in what is left, each entry by its own place.
    fn one_by_one(&mut self) -> Result<(), StoreError> {
        let cannot = |error| failed("read entries", error);
        let sql = "SELECT kind, back, kin, tag, bytes, place, head FROM entry WHERE place = ?1";
        let mut read = self.db.prepare_cached(sql).map_err(cannot)?;
        for seq in self.next..self.log.end.size {
            let place = self.log.range().place(seq);
            let mut rows = read.query([place]).map_err(cannot)?;
            match rows.next() {
                Ok(Some(row)) => self.row(place, row)?,
                Ok(None) => self.absent(seq + 1)?,
                Err(error) => {
                    let error = failed("read an entry", error);
                    if !matches!(error, StoreError::Corrupt { .. }) {
                        return Err(error);
                    }
                    self.gone(seq, "it is on a damaged page");
                }
            }
        }
        Ok(())
    }

    /// Nothing can be said of an entry.
    fn gone(&mut self, seq: u64, what: &str) {
        self.next = seq + 1;
        self.derived.tree = None;
        self.findings.add(Some(seq), "store.entry", what);
    }

    /// Take in the row at a place. A table beside it that cannot be read ends nothing.
    fn row(&mut self, place: i64, row: &Row<'_>) -> Result<(), StoreError> {
        let seq = self.log.range().seq(place);
        let done = self.read_row(place, row);
        self.next = self.next.max(seq.saturating_add(1).min(self.log.end.size));
        super::part(self.findings, done)
    }

    fn read_row(&mut self, place: i64, row: &Row<'_>) -> Result<(), StoreError> {
        let seq = self.log.range().seq(place);
        if seq >= self.log.end.size {
            self.findings.add(Some(seq), "store.entry", "it is beyond the end of the log");
            return Ok(());
        }
        self.absent(seq)?;
        let Ok(found) = entries::parse(self.log, place, row) else {
            return self.unreadable(seq, row);
        };
        self.follows(&found.entry);
        let kept = self.pruned_leaf(seq)?;
        if kept.is_some_and(|kept| kept != found.entry.leaf()) {
            self.findings.add(
                Some(seq),
                "store.tile",
                "another leaf hash was kept when it was pruned",
            );
        }
        self.entry(place, found.links, &found.entry)?;
        self.leaf(seq, found.entry.leaf(), head(row))?;
        self.derived.last = Some(found.entry);
        Ok(())
    }

    /// The entry names the one before it, if that could be read.
    fn follows(&mut self, entry: &Entry) {
        let before = self.derived.last.as_ref();
        let before = before.filter(|before| before.seq().checked_add(1) == Some(entry.seq()));
        if before.is_some_and(|before| Some(before.leaf()) != entry.prev()) {
            let what = "its bytes are not those that the next entry names";
            self.findings.add(entry.seq().checked_sub(1), "store.entry", what);
        }
    }

    /// A row that is not what was written. What the bytes still say is gone on with.
    fn unreadable(&mut self, seq: u64, row: &Row<'_>) -> Result<(), StoreError> {
        let bytes = row.get_ref(4).ok().and_then(|bytes| bytes.as_blob().ok());
        let entry = bytes.and_then(|bytes| Entry::parse(bytes).ok());
        let is_own = |entry: &Entry| entry.seq() == seq && entry.tenant() == self.log.tenant;
        let Some(entry) = entry.filter(is_own) else {
            self.gone(seq, "its bytes are not those of an entry");
            return Ok(());
        };
        let what = "its bytes, kind, links and tag are not those that were written together";
        self.findings.add(Some(seq), "store.links", what);
        let links = Links {
            kind: row.get(0).unwrap_or_default(),
            back: row.get(1).unwrap_or_default(),
            kin: row.get(2).unwrap_or_default(),
        };
        self.entry(self.log.range().place(seq), links, &entry)?;
        self.leaf(seq, entry.leaf(), head(row))?;
        self.derived.last = Some(entry);
        Ok(())
    }

    /// What must be there because of an entry.
    fn entry(&mut self, place: i64, links: Links, entry: &Entry) -> Result<(), StoreError> {
        let seq = entry.seq();
        let pruned = self.log.end.pruned.entries;
        let back = self.derived.runs.add(place, entry, links.back, seq, pruned);
        let kin = is_rare(entry.kind()).then(|| {
            let chain = Chain::of(entry.kind(), entry.session().is_some());
            let is_first = self.derived.state.newest(chain).is_none();
            let kin = self.derived.state.extend(chain, seq);
            // What was before the first that is kept cannot be told.
            let cut = links.kin.filter(|kin| is_first && reaches(seq, *kin, pruned));
            cut.filter(|_| entry.session().is_some()).unwrap_or(kin)
        });
        if links != (Links { kind: kind_code(entry.kind()), back, kin }) {
            let what = "its kind or links in its row are not those of the entries";
            self.findings.add(Some(seq), "store.links", what);
        }
        self.indexed(place, entry)?;
        if entry.commit().is_none() && exists(&mut self.body, [place])? {
            self.findings.add(
                Some(seq),
                "store.body.foreign",
                "a body is kept for it, and it has none",
            );
        }
        self.derived.keys.extend(key_of(entry));
        Ok(())
    }

    fn indexed(&mut self, place: i64, entry: &Entry) -> Result<(), StoreError> {
        let seq = entry.seq();
        if is_rare(entry.kind()) {
            if exists(&mut self.by_kind, [kind_code(entry.kind()), place])? {
                self.derived.kinds += 1;
            } else {
                let what = format!("it is not found by its kind, {}", entry.kind());
                self.findings.add(Some(seq), "store.kind.missing", what);
            }
        }
        if let Some(id) = entry.id() {
            if exists(&mut self.by_id, [id_key(id), place])? {
                self.derived.ids += 1;
            } else {
                let what = format!("it is not found by its id, {id}");
                self.findings.add(Some(seq), "store.id.missing", what);
            }
        }
        Ok(())
    }

    /// Entries up to `seq` have no row. Those that were pruned left their leaf hashes.
    fn absent(&mut self, seq: u64) -> Result<(), StoreError> {
        while self.next < seq {
            let at = self.next;
            if let Some(leaf) = self.pruned_leaf(at)? {
                self.leaf(at, leaf, None)?;
                continue;
            }
            self.next = at + 1;
            self.derived.tree = None;
            let is_pruned = at < self.log.end.pruned.entries;
            let what =
                if is_pruned { "it was pruned without its leaf hash" } else { "it is missing" };
            self.findings.add(Some(at), if is_pruned { "store.tile" } else { "store.entry" }, what);
        }
        Ok(())
    }

    fn pruned_leaf(&mut self, seq: u64) -> Result<Option<Digest>, StoreError> {
        if seq >= self.log.end.pruned.entries {
            return Ok(None);
        }
        let begin = seq - seq % SEGMENT;
        if self.tile.0 != begin {
            let hashes = self
                .db
                .prepare_cached("SELECT hashes FROM tile WHERE place = ?1")
                .and_then(|mut read| {
                    let place = self.log.range().place(begin);
                    read.query_row([place], |row| row.get(0)).optional()
                })
                .map_err(|error| failed("read a leaf hash", error))?;
            self.tile = (begin, hashes.unwrap_or_default());
        }
        let nth = usize::try_from(seq - begin).unwrap_or(usize::MAX);
        let hash = self.tile.1.chunks_exact(DIGEST_BYTES).nth(nth);
        Ok(hash.and_then(|hash| hash.try_into().ok()).map(Digest::from_bytes))
    }

    /// Put a leaf in the tree, and compare what is kept of the tree there. `head` is what the
    /// row has; the heads within what was pruned are apart.
    fn leaf(&mut self, seq: u64, leaf: Digest, head: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.next = seq + 1;
        let Some(tree) = &mut self.derived.tree else { return Ok(()) };
        let mut finished = Vec::new();
        tree.push(leaf, |level, index, hash| {
            if level.is_multiple_of(LEVEL_STEP) {
                finished.push((level, index, hash));
            }
        });
        for (level, index, hash) in finished {
            self.derived.nodes += 1;
            let place = self.log.range().node(level, index);
            let kept = text_or_bytes(&mut self.node, place)?;
            if kept.as_deref() != Some(hash.as_bytes()) {
                let what =
                    format!("the subtree that ends here, {index} of level {level}, is another");
                self.findings.add(Some(seq), "store.node", what);
            }
        }
        let kept = if seq < self.log.end.pruned.entries {
            text_or_bytes(&mut self.head, self.log.range().place(seq + 1))?
        } else {
            head
        };
        let Some(kept) = kept else { return Ok(()) };
        if self.derived.heads.meet(tree, kept) {
            let what = "the signed head that ends here is not that of the entries";
            self.findings.add(Some(seq), "store.head", what);
        }
        Ok(())
    }
}

/// The head in the row of an entry.
fn head(row: &Row<'_>) -> Option<Vec<u8>> {
    let head = row.get_ref(6).ok()?.as_bytes_or_null().unwrap_or(Some(b"damaged"));
    head.map(<[u8]>::to_vec)
}

/// Whether a link goes back behind what was pruned.
pub(super) fn reaches(seq: u64, distance: i64, pruned: u64) -> bool {
    let distance = u64::try_from(distance).unwrap_or(0);
    distance > 0 && seq.checked_sub(distance).is_some_and(|before| before < pruned)
}

fn exists<const N: usize>(
    find: &mut CachedStatement<'_>,
    key: [i64; N],
) -> Result<bool, StoreError> {
    find.exists(rusqlite::params_from_iter(key)).map_err(|error| failed("check the tables", error))
}

fn text_or_bytes(
    find: &mut CachedStatement<'_>,
    place: i64,
) -> Result<Option<Vec<u8>>, StoreError> {
    find.query_row(params![place], |row| {
        Ok(row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec())
    })
    .optional()
    .map_err(|error| failed("check the tables", error))
}

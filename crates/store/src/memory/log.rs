//! One tenant's log in memory, and reading it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cog_base::Digest;
use cog_base::id::{RunId, TenantId};
use cog_ledger::body::commitment;
use cog_ledger::{Checkpoint, Entry, Kind, SealedBatch, Tail};

use crate::{Cut, Files, OpenBody, PAGE_MAX, Pruned, Select, Session, StoreError, TenantTx};

/// Entries are pruned by segments of so many.
const SEGMENT: u64 = 256;

#[derive(Clone, Default)]
pub(super) struct Log {
    pub(super) tail: Option<Tail>,
    pub(super) canons: BTreeMap<Digest, Files>,
    entries: BTreeMap<u64, Arc<Entry>>,
    leaves: Vec<Digest>,
    nodes: BTreeMap<(u8, u64), Digest>,
    checkpoints: BTreeMap<u64, Checkpoint>,
    bodies: BTreeMap<u64, (Option<String>, OpenBody)>,
    sessions: BTreeMap<u64, Session>,
    started: BTreeMap<RunId, bool>,
    pruned: Pruned,
}

impl Log {
    pub(super) const fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(super) fn add(&mut self, batch: &SealedBatch) {
        for sealed in &batch.entries {
            let entry = &sealed.entry;
            self.leaves.push(entry.leaf());
            self.entries.insert(entry.seq(), Arc::clone(entry));
            self.note_session(entry);
            if let Some(body) = &sealed.body {
                let open = OpenBody { salt: body.salt, bytes: body.bytes.clone() };
                self.bodies.insert(entry.seq(), (body.subject.clone(), open));
            }
            self.tail = Some(Tail {
                frontier: batch.frontier.clone(),
                last_leaf: entry.leaf(),
                last_at: entry.at(),
                checkpoint: batch.checkpoint.clone(),
            });
        }
        self.nodes.extend(batch.nodes.iter().map(|node| ((node.level, node.index), node.hash)));
        self.checkpoints.insert(batch.checkpoint.size(), batch.checkpoint.clone());
    }

    fn note_session(&mut self, entry: &Entry) {
        let Some(id) = entry.session() else { return };
        let known = self.sessions.values().rfind(|session| session.id == id);
        let first = known.map_or(entry.seq(), |session| session.first);
        let new = Session { id, first, last: first, entries: 0, status: None };
        let session = self.sessions.entry(first).or_insert(new);
        session.last = entry.seq();
        session.entries += 1;
        if entry.kind() == Kind::SessionSealed {
            session.status = entry.text("status").map(str::to_owned);
        }
        *self.started.entry(id).or_default() |= entry.kind() == Kind::SessionStarted;
    }

    pub(super) fn about(&self, subject: &str) -> Vec<u64> {
        let own = self.bodies.iter().filter(|(_, (whose, _))| whose.as_deref() == Some(subject));
        own.map(|(seq, _)| *seq).collect()
    }

    pub(super) fn erase(&mut self, subject: &str) -> u64 {
        let before = self.bodies.len();
        self.bodies.retain(|_, (whose, _)| whose.as_deref() != Some(subject));
        (before - self.bodies.len()) as u64
    }

    pub(super) fn kept(&self, range: Range<u64>) -> Vec<(u64, u64)> {
        let kept = self.bodies.iter().filter(|(seq, _)| range.contains(seq));
        kept.map(|(seq, (_, body))| (*seq, body.bytes.len() as u64)).collect()
    }

    pub(super) fn erase_bodies(&mut self, entries: &[u64]) -> u64 {
        entries.iter().filter(|seq| self.bodies.remove(seq).is_some()).count() as u64
    }

    pub(super) fn prune_bodies(&mut self, before: u64) -> Cut {
        let from = self.pruned.bodies;
        let to = before.min(self.size()).max(from);
        let kept = self.bodies.split_off(&to);
        let removed = std::mem::replace(&mut self.bodies, kept).len() as u64;
        self.pruned.bodies = to;
        Cut { from, to, removed }
    }

    pub(super) fn prunable(&self, before: u64) -> Range<u64> {
        let from = self.pruned.entries;
        let open = self.sessions.values().find(|session| session.status.is_none());
        let last = self.size().saturating_sub(1);
        let limit = open.map_or(last, |session| session.first.min(last));
        let to = before.min(limit);
        from..(to - to % SEGMENT).max(from)
    }

    pub(super) fn prune_entries(&mut self, before: u64) -> Cut {
        let Range { start: from, end: to } = self.prunable(before);
        let count = self.entries.len();
        self.entries.retain(|seq, entry| *seq >= to || entry.session().is_none());
        let kept = &self.entries;
        self.bodies.retain(|seq, _| kept.contains_key(seq));
        self.sessions.retain(|_, session| session.last >= to);
        self.pruned.entries = to;
        Cut { from, to, removed: (count - self.entries.len()) as u64 }
    }
}

/// A log as it was when the scope was opened.
pub(super) struct Scope {
    pub(super) tenant: TenantId,
    pub(super) log: Arc<Log>,
}

impl TenantTx for Scope {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn tail(&self) -> Result<Option<Tail>, StoreError> {
        Ok(self.log.tail.clone())
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        Ok(self.log.entries.get(&seq).map(|entry| Entry::clone(entry)))
    }

    fn select(&self, select: &Select) -> Result<Vec<Entry>, StoreError> {
        select.check()?;
        let takes = |entry: &&Arc<Entry>| select.takes(entry);
        let own = |entry: &Arc<Entry>| Entry::clone(entry);
        let entries = self.log.entries.values();
        Ok(if select.newest_first {
            entries.rev().filter(takes).take(select.limit).map(own).collect()
        } else {
            entries.filter(takes).take(select.limit).map(own).collect()
        })
    }

    fn body(&self, seq: u64) -> Result<Option<OpenBody>, StoreError> {
        let (Some((_, body)), Some(entry)) =
            (self.log.bodies.get(&seq), self.log.entries.get(&seq))
        else {
            return Ok(None);
        };
        if entry.commit() != Some(commitment(&body.salt, &body.bytes)) {
            return Err(StoreError::corrupt(format!("the body of entry {seq} is another")));
        }
        Ok(Some(body.clone()))
    }

    fn leaf(&self, seq: u64) -> Result<Option<Digest>, StoreError> {
        Ok(usize::try_from(seq).ok().and_then(|seq| self.log.leaves.get(seq)).copied())
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        Ok(self.log.nodes.get(&(level, index)).copied())
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.log.tail.as_ref().map(|tail| tail.checkpoint.clone()))
    }

    fn checkpoints(&self, size: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        Ok(self.log.checkpoints.range(size..).take(limit).map(|(_, head)| head.clone()).collect())
    }

    fn open_sessions(&self) -> Result<Vec<RunId>, StoreError> {
        let sessions = self.log.sessions.values();
        let open = sessions.filter(|session| session.status.is_none()).map(|session| session.id);
        Ok(open.filter(|id| self.log.started.get(id) == Some(&true)).collect())
    }

    fn sessions(&self, limit: usize) -> Result<Vec<Session>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        Ok(self.log.sessions.values().rev().take(limit.min(PAGE_MAX)).cloned().collect())
    }

    fn session(&self, id: RunId) -> Result<Option<Session>, StoreError> {
        Ok(self.log.sessions.values().find(|session| session.id == id).cloned())
    }

    fn canon(&self, digest: Digest) -> Result<Option<Files>, StoreError> {
        Ok(self.log.canons.get(&digest).cloned())
    }

    fn pruned(&self) -> Result<Pruned, StoreError> {
        Ok(self.log.pruned)
    }
}

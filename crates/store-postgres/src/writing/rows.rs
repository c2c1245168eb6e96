//! The statements of a commit, each with all the rows of a batch.

use std::collections::BTreeMap;

use cog_base::id::{RunId, TenantId};
use cog_ledger::{Kind, SealedBatch};
use cog_store::index::{id_key, kind_code};

use super::check_step;
use super::sealing::Sealed;
use crate::id::{Hash, Id};
use crate::link::{Step, Value};
use crate::pool::SET_TENANT;
use crate::reading::place;
use crate::{Inner, shards};

const TENANT: &str = "INSERT INTO tenant (tenant, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const BEGIN_LOG: &str = "
    INSERT INTO log (tenant, size, frontier, last_leaf, last_at, own_key)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING size";
const END_LOG: &str = "
    UPDATE log SET size = $2, frontier = $3, last_leaf = $4, last_at = $5
    WHERE tenant = $1 AND size = $6 RETURNING size";
const ENTRIES: &str = "
    INSERT INTO entry (tenant, seq, kind, session, id_key, leaf, bytes)
    SELECT $1, * FROM unnest($2::bigint[], $3::smallint[], $4::uuid[], $5::bigint[],
        $6::bytea[], $7::bytea[])";
const SESSIONS: &str = "
    INSERT INTO session AS s (tenant, id, first, last, entries, started, status)
    SELECT $1, * FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::boolean[], $7::text[])
    ON CONFLICT (tenant, id) DO UPDATE SET last = excluded.last,
        entries = s.entries + excluded.entries, started = s.started OR excluded.started,
        status = coalesce(excluded.status, s.status), parked = false, wake = NULL";
const KEYS: &str = "
    INSERT INTO subject_key (tenant, no, subject, wrapped)
    SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[])";
/// A key that is used cannot be destroyed before the commit is over.
const HOLD_KEYS: &str = "
    SELECT no FROM subject_key WHERE tenant = $1 AND no = ANY ($2) FOR KEY SHARE";
const BODIES: &str = "
    INSERT INTO body (tenant, seq, key, sealed)
    SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[])";
const NODES: &str = "
    INSERT INTO node (tenant, level, index, hash)
    SELECT $1, * FROM unnest($2::smallint[], $3::bigint[], $4::bytea[])";
const CHECKPOINT: &str = "INSERT INTO checkpoint (tenant, size, note) VALUES ($1, $2, $3)";

/// What the answer to a statement must be.
pub(super) enum Wants {
    Nothing,
    /// The rows of these tenants with our fences.
    Fences(Vec<TenantId>),
    /// One row: the log ended where the batch of this tenant begins.
    Row(TenantId, u64),
    /// So many rows.
    Rows(usize),
}

/// All statements of a commit but the last.
pub(super) struct Plan<'a> {
    pub(super) steps: Vec<Step<'a>>,
    pub(super) wants: Vec<Wants>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        inner: &Inner,
        tenants: &[TenantId],
        batches: &'a [SealedBatch],
        sealed: &'a [Sealed],
    ) -> Self {
        let mut plan = Self { steps: Vec::new(), wants: Vec::new() };
        plan.add("BEGIN ISOLATION LEVEL READ COMMITTED", Vec::new(), Wants::Nothing);
        plan.steps.push(check_step(inner, tenants));
        plan.wants.push(Wants::Fences(tenants.to_vec()));
        for (batch, sealed) in batches.iter().zip(sealed) {
            if !batch.entries.is_empty() {
                plan.batch(batch, sealed);
            }
        }
        plan
    }

    fn add(&mut self, sql: &'static str, values: Vec<Value<'a>>, wants: Wants) {
        self.steps.push(Step::new(sql, values));
        self.wants.push(wants);
    }

    fn batch(&mut self, batch: &'a SealedBatch, sealed: &'a Sealed) {
        let id = Id::from(batch.tenant);
        self.add(SET_TENANT, vec![Box::new(id)], Wants::Nothing);
        self.end(id, batch, sealed);
        self.entries(id, batch);
        self.sessions(id, batch);
        self.bodies(id, sealed);
        if !batch.nodes.is_empty() {
            let nodes = &batch.nodes;
            let levels: Vec<i16> = nodes.iter().map(|node| i16::from(node.level)).collect();
            let indexes: Vec<i64> = nodes.iter().map(|node| place(node.index)).collect();
            let hashes: Vec<Hash> = nodes.iter().map(|node| Hash(node.hash)).collect();
            let values: Vec<Value<'a>> =
                vec![Box::new(id), Box::new(levels), Box::new(indexes), Box::new(hashes)];
            self.add(NODES, values, Wants::Nothing);
        }
        let (size, note) = (place(batch.checkpoint.size()), batch.checkpoint.to_string());
        let values: Vec<Value<'a>> = vec![Box::new(id), Box::new(size), Box::new(note)];
        self.add(CHECKPOINT, values, Wants::Nothing);
    }

    /// The end of the log. It must end where the batch begins.
    fn end(&mut self, id: Id, batch: &'a SealedBatch, sealed: &'a Sealed) {
        let Some(last) = batch.entries.last() else { return };
        let roots: Vec<u8> = batch
            .frontier
            .roots()
            .iter()
            .flat_map(|root| root.as_bytes().iter().copied())
            .collect();
        let size = place(batch.first.saturating_add(batch.entries.len() as u64));
        let (leaf, at) = (Hash(last.entry.leaf()), last.entry.at().micros());
        let mut values: Vec<Value<'a>> =
            vec![Box::new(id), Box::new(size), Box::new(roots), Box::new(leaf), Box::new(at)];
        let wants = Wants::Row(batch.tenant, batch.first);
        if let Some(key) = &sealed.own_key {
            let shard = shards::of(batch.tenant);
            self.add(TENANT, vec![Box::new(id), Box::new(shard)], Wants::Nothing);
            values.push(Box::new(key.as_slice()));
            self.add(BEGIN_LOG, values, wants);
        } else {
            values.push(Box::new(place(batch.first)));
            self.add(END_LOG, values, wants);
        }
    }

    fn entries(&mut self, id: Id, batch: &'a SealedBatch) {
        let entries = || batch.entries.iter().map(|sealed| &*sealed.entry);
        let seqs: Vec<i64> = entries().map(|entry| place(entry.seq())).collect();
        let kinds: Vec<i16> = entries()
            .map(|entry| i16::try_from(kind_code(entry.kind())).unwrap_or(i16::MAX))
            .collect();
        let sessions: Vec<Option<Id>> =
            entries().map(|entry| entry.session().map(Id::from)).collect();
        let keys: Vec<Option<i64>> = entries().map(|entry| entry.id().map(id_key)).collect();
        let leaves: Vec<Hash> = entries().map(|entry| Hash(entry.leaf())).collect();
        let bytes: Vec<&'a [u8]> =
            batch.entries.iter().map(|sealed| sealed.entry.bytes()).collect();
        let values: Vec<Value<'a>> = vec![
            Box::new(id),
            Box::new(seqs),
            Box::new(kinds),
            Box::new(sessions),
            Box::new(keys),
            Box::new(leaves),
            Box::new(bytes),
        ];
        self.add(ENTRIES, values, Wants::Nothing);
    }

    /// The runs that the entries belong to, each once.
    fn sessions(&mut self, id: Id, batch: &'a SealedBatch) {
        let mut runs: BTreeMap<RunId, Run<'a>> = BTreeMap::new();
        for sealed in &batch.entries {
            let entry = &*sealed.entry;
            let Some(run) = entry.session() else { continue };
            let first = place(entry.seq());
            let run = runs.entry(run).or_insert(Run { first, ..Run::default() });
            run.last = first;
            run.entries += 1;
            run.started |= entry.kind() == Kind::SessionStarted;
            if entry.kind() == Kind::SessionSealed {
                run.status = entry.text("status");
            }
        }
        if runs.is_empty() {
            return;
        }
        let ids: Vec<Id> = runs.keys().map(|run| Id::from(*run)).collect();
        let values: Vec<Value<'a>> = vec![
            Box::new(id),
            Box::new(ids),
            Box::new(runs.values().map(|run| run.first).collect::<Vec<_>>()),
            Box::new(runs.values().map(|run| run.last).collect::<Vec<_>>()),
            Box::new(runs.values().map(|run| run.entries).collect::<Vec<_>>()),
            Box::new(runs.values().map(|run| run.started).collect::<Vec<_>>()),
            Box::new(runs.values().map(|run| run.status).collect::<Vec<_>>()),
        ];
        self.add(SESSIONS, values, Wants::Nothing);
    }

    fn bodies(&mut self, id: Id, sealed: &'a Sealed) {
        if !sealed.used.is_empty() {
            let values: Vec<Value<'a>> = vec![Box::new(id), Box::new(sealed.used.as_slice())];
            self.add(HOLD_KEYS, values, Wants::Rows(sealed.used.len()));
        }
        if !sealed.keys.is_empty() {
            let keys = &sealed.keys;
            let numbers: Vec<i64> = keys.iter().map(|(no, _, _)| *no).collect();
            let names: Vec<Hash> = keys.iter().map(|(_, name, _)| Hash(*name)).collect();
            let wrapped: Vec<&'a [u8]> = keys.iter().map(|(_, _, key)| key.as_slice()).collect();
            let values: Vec<Value<'a>> =
                vec![Box::new(id), Box::new(numbers), Box::new(names), Box::new(wrapped)];
            self.add(KEYS, values, Wants::Nothing);
        }
        if !sealed.bodies.is_empty() {
            let bodies = &sealed.bodies;
            let seqs: Vec<i64> = bodies.iter().map(|(seq, _, _)| *seq).collect();
            let keys: Vec<Option<i64>> = bodies.iter().map(|(_, key, _)| *key).collect();
            let bytes: Vec<&'a [u8]> = bodies.iter().map(|(_, _, body)| body.as_slice()).collect();
            let values: Vec<Value<'a>> =
                vec![Box::new(id), Box::new(seqs), Box::new(keys), Box::new(bytes)];
            self.add(BODIES, values, Wants::Nothing);
        }
    }
}

/// What a batch adds to a run.
#[derive(Default)]
struct Run<'a> {
    first: i64,
    last: i64,
    entries: i64,
    started: bool,
    status: Option<&'a str>,
}

//! A bundle of many entries, checked as an outsider checks it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use cog_base::Clock as _;
use cog_base::id::TenantId;
use cog_ledger::bundle::{BundleWriter, Check, Manifest, Part, verify};
use cog_ledger::memory::MemoryKeys;
use cog_ledger::{Checkpoint, Entry, SealedBatch, Shelf, ShelfError, Tail, VerifierKey, Writer};

use crate::journal::{Journal, TENANT, seals};
use crate::meter::{Figures, Samples};
use crate::options::Options;
use crate::report::{Row, rounded};
use crate::system::{Scratch, SystemClock, SystemEntropy};
use crate::usage;

/// Runs that are appended at once while the log is made.
const RUNS_A_BATCH: u64 = 100;
const TIMES: usize = 3;
const CHUNK: usize = 1 << 20;

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let scratch = Scratch::new(&options.data, "verify")?;
    let path = scratch.path().join("log.cogbundle");
    let key = make(&path, options.entries).context("the bundle that is to be verified")?;
    let bytes = std::fs::metadata(&path)?.len();
    usage::forget_peak();
    let times = if options.quick { 1 } else { TIMES };
    let verified = repeat(times, options.entries, || check(&path, options.entries, &key))?;
    let row = Row::new(format!("{} entries", options.entries), "entry", verified.clone());
    let floor = (!options.alone).then(|| repeat(times, options.entries, || hash(&path)));
    let floor = floor.transpose()?;
    let mib_per_s = |figures: &Figures| {
        bytes as f64 * figures.throughput_per_s / options.entries as f64 / f64::from(1 << 20)
    };
    Ok(vec![
        row.timed("bundle")
            .parameter("entries", options.entries)
            .more("bundle_bytes", bytes)
            .more("mib_per_s", rounded(mib_per_s(&verified)))
            .more("sha256_mib_per_s", rounded(floor.as_ref().map_or(0.0, mib_per_s)))
            .floor("SHA-256 of the same bytes", floor),
    ])
}

fn repeat(
    times: usize,
    entries: u64,
    mut operation: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Figures> {
    let mut samples = Samples::default();
    let (cpu, start) = (usage::cpu(), Instant::now());
    for _ in 0..times {
        let began = Instant::now();
        operation()?;
        samples.note(began.elapsed());
    }
    let cpu = usage::cpu().saturating_sub(cpu);
    Ok(samples.figures(entries * times as u64, start.elapsed(), cpu))
}

fn check(path: &Path, entries: u64, key: &VerifierKey) -> anyhow::Result<()> {
    let mut input = BufReader::with_capacity(CHUNK, File::open(path)?);
    let check = Check { trusted: std::slice::from_ref(key), against: &[] };
    let verified = verify(&mut input, &check)?;
    if !verified.holds() || verified.signer.is_none() || verified.entries != entries {
        let first = verified.findings().kept().first();
        bail!("the bundle does not hold with {} entries: {first:?}", verified.entries);
    }
    Ok(())
}

fn hash(path: &Path) -> anyhow::Result<()> {
    let mut input = File::open(path)?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = input.read(&mut chunk)?;
        let Some(some) = chunk.get(..count).filter(|some| !some.is_empty()) else { break };
        context.update(some);
    }
    std::hint::black_box(context.finish());
    Ok(())
}

/// Write a bundle of `count` entries and return the key to trust.
fn make(path: &Path, count: u64) -> anyhow::Result<VerifierKey> {
    let mut shelf = Spool::default();
    append(&mut shelf, count)?;
    let tail = shelf.tail.as_ref().context("nothing was appended")?;
    let manifest = Manifest {
        tenant: TENANT,
        origin: tail.checkpoint.origin().to_owned(),
        from: 0,
        size: tail.checkpoint.size(),
        root: tail.checkpoint.root(),
        bodies: 0,
        canons: 0,
        left_out: left_out(&shelf)?,
    };
    let mut file = BufWriter::with_capacity(CHUNK, File::create(path)?);
    let mut out = BundleWriter::begin(&mut file, &manifest)?;
    let mut key = None;
    for entry in shelf.entries() {
        let entry = entry?;
        if entry.seq() == 0 {
            let text = entry.data().get("key").and_then(cog_base::Value::as_text);
            let named: VerifierKey = text.context("the genesis names no key")?.parse()?;
            out.key(&named)?;
            key = Some(named);
        }
        out.entry(&entry)?;
    }
    let key = key.context("the log has no genesis")?;
    out.checkpoint(&tail.checkpoint, &key)?;
    out.end()?;
    Ok(key)
}

/// The canon is a digest without files, and no body is kept; the founding entries have none.
fn left_out(shelf: &Spool) -> anyhow::Result<BTreeSet<Part>> {
    let mut parts = BTreeSet::from([Part::Canons]);
    for entry in shelf.entries() {
        if entry?.commit().is_some() {
            parts.insert(Part::Bodies);
            break;
        }
    }
    Ok(parts)
}

/// Append whole runs, each sealed a batch later, until there are exactly `count` entries.
fn append(shelf: &mut Spool, count: u64) -> anyhow::Result<()> {
    let mut writer = Writer::new(shelf, Box::new(MemoryKeys::default()), "cognitionos/bench");
    let mut journal = Journal::new(true);
    let mut entropy = SystemEntropy::new();
    let mut drafts = vec![journal.founding()];
    loop {
        let size = writer.head(TENANT)?.map_or(1, |tail| tail.frontier.size());
        let room = usize::try_from(count.saturating_sub(size)).unwrap_or(usize::MAX);
        if room == 0 {
            return Ok(());
        }
        if drafts.len() < room {
            drafts.extend(journal.runs(RUNS_A_BATCH)?);
        }
        drafts.truncate(room);
        let entries = writer.append(drafts, SystemClock.now(), &mut entropy)?;
        drafts = seals(&entries);
    }
}

/// Keeps the bytes of the entries one after the other, and the end of the log.
#[derive(Default)]
struct Spool {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    tail: Option<Tail>,
}

impl Spool {
    fn entries(&self) -> impl Iterator<Item = anyhow::Result<Entry>> {
        let begins = std::iter::once(&0).chain(&self.ends);
        begins.zip(&self.ends).map(|(begin, end)| {
            let bytes = self.bytes.get(*begin..*end).ok_or_else(|| anyhow!("no such entry"))?;
            Ok(Entry::parse(bytes)?)
        })
    }
}

impl Shelf for Spool {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        for batch in batches {
            for sealed in &batch.entries {
                self.bytes.extend_from_slice(sealed.entry.bytes());
                self.ends.push(self.bytes.len());
            }
            let Some(last) = batch.entries.last() else { continue };
            let checkpoint: Checkpoint = batch.checkpoint.clone();
            self.tail = Some(Tail {
                frontier: batch.frontier.clone(),
                last_leaf: last.entry.leaf(),
                last_at: last.entry.at(),
                checkpoint,
            });
        }
        Ok(())
    }

    fn tail(&mut self, _tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        Ok(self.tail.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_of_any_size_hold() {
        let scratch = Scratch::new(&std::env::temp_dir(), "cog-bench-verify").unwrap();
        for count in [2, 3, 150, 5_000] {
            let path = scratch.path().join("log.cogbundle");
            let key = make(&path, count).unwrap();
            check(&path, count, &key).unwrap();
        }
    }
}

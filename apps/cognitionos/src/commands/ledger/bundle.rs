//! The bundle of the own ledger: what goes into it, and what may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use cog_base::Digest;
use cog_ledger::audit::Findings;
use cog_ledger::bundle::{BundleWriter, CanonFiles, Manifest, Part};
use cog_ledger::merkle::Frontier;
use cog_ledger::{Checkpoint, Entry, Kind, VerifierKey};
use cog_store::{Select, StoreError, frontier};

use super::empty;
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};

/// What somebody who exports does without.
#[derive(Clone, Copy, Default)]
pub(super) struct Without {
    pub(super) bodies: bool,
    pub(super) canons: bool,
    /// What is missing and nothing accounts for: whoever checks the bundle finds it.
    pub(super) missing: bool,
}

/// What a bundle holds beside the entries.
pub(super) struct Contents {
    from: u64,
    head: Checkpoint,
    keys: Vec<VerifierKey>,
    canons: Vec<CanonFiles>,
    subtrees: Option<Frontier>,
    /// The heads at which a key was handed over, signed by both keys.
    rotations: Vec<Checkpoint>,
    with_body: Vec<u64>,
    left_out: BTreeSet<Part>,
}

/// Where the entries of a bundle come from, in their order.
type Entries<'a> = dyn Fn(&mut dyn FnMut(&Entry)) -> anyhow::Result<()> + 'a;

/// Write the bundle of the whole log.
///
/// # Errors
/// When a body or a version of canon is missing that nothing accounts for, unless that is meant.
pub(super) fn bundle(home: &Home, without: Without, out: &mut dyn Write) -> anyhow::Result<()> {
    let contents = gather(home, without)?;
    let (from, to) = (contents.from, contents.head.size());
    let entries =
        |take: &mut dyn FnMut(&Entry)| home.each(Select { from, to, ..Select::default() }, take);
    contents.write(home, &entries, out)
}

fn gather(home: &Home, without: Without) -> anyhow::Result<Contents> {
    let scope = home.scope()?;
    let head = scope.checkpoint().map_err(told)?.ok_or_else(empty)?;
    let from = scope.pruned().map_err(told)?.entries;
    let canons = if without.canons { Vec::new() } else { canons(home, without.missing)? };
    let mut with_body = Vec::new();
    if !without.bodies {
        let select = Select { from, to: head.size(), ..Select::default() };
        home.each(select, |entry| with_body.extend(entry.commit().map(|_| entry.seq())))?;
        with_body = kept(home, with_body, without.missing)?;
    }
    let left_out = [(without.bodies, Part::Bodies), (without.canons, Part::Canons)];
    let mut rotations = Vec::new();
    let kinds = vec![Kind::KeyRotated];
    let select = Select { from, kinds, ..Select::default() };
    home.each(select, |entry| rotations.push(entry.seq() + 1))?;
    Ok(Contents {
        from,
        keys: keys(home)?,
        canons,
        subtrees: (from > 0).then(|| frontier(scope.as_ref(), from)).transpose()?,
        rotations: heads(home, &rotations)?,
        with_body,
        left_out: left_out.into_iter().filter_map(|(is, part)| is.then_some(part)).collect(),
        head,
    })
}

/// Those of the bodies that are here. One that is not must have been erased, as entries say.
fn kept(home: &Home, mut seqs: Vec<u64>, may_miss: bool) -> anyhow::Result<Vec<u64>> {
    let scope = home.scope()?;
    let mut absent = Vec::new();
    let mut failed = None;
    seqs.retain(|seq| match scope.body(*seq) {
        Ok(Some(_)) => true,
        Ok(None) => {
            absent.push(*seq);
            false
        }
        Err(StoreError::Corrupt { .. }) if may_miss => false,
        Err(error) => {
            failed.get_or_insert(error);
            false
        }
    });
    if let Some(error) = failed {
        return Err(told(error));
    }
    let erasures = home.erasures()?;
    absent.retain(|seq| !erasures.explains(*seq));
    match absent.first() {
        Some(first) if !may_miss => Err(incomplete(
            "body.absent",
            &format!(
                "the body of entry {first} is not here, and no entry says that it was erased{}",
                and_more(absent.len())
            ),
            "--no-bodies",
        )),
        _ => Ok(seqs),
    }
}

fn and_more(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        count => format!("; nor are those of {} more", count - 1),
    }
}

/// A bundle that would be found wanting is not made unasked.
fn incomplete(code: &'static str, message: &str, flag: &str) -> anyhow::Error {
    let advice = format!(
        "cognitionos ledger verify tells all that is missing; put a copy of the folder from \
         before in its place. To export what there is: {flag} says so in the manifest, and with \
         --incomplete whoever checks the bundle finds each absence"
    );
    Failure::coded(Exit::Failed, code, message, advice)
}

impl Contents {
    /// What can be said of the entries before `head`, which hold, with what else is kept of
    /// them. Bodies are looked at when the whole log holds; what is wrong with one is told.
    pub(super) fn held(
        home: &Home,
        head: &Checkpoint,
        is_whole: bool,
        findings: &mut Findings,
    ) -> anyhow::Result<Self> {
        let mut contents = Self {
            from: 0,
            head: head.clone(),
            keys: Vec::new(),
            canons: Vec::new(),
            subtrees: None,
            rotations: Vec::new(),
            with_body: Vec::new(),
            left_out: BTreeSet::from([Part::Bodies, Part::Canons]),
        };
        let (mut digests, mut rotations, mut bodies) = (BTreeSet::new(), Vec::new(), Vec::new());
        held_entries(home, head.size(), &mut |entry| {
            contents.keys.extend(key_of(entry));
            digests.extend(canon_of(entry));
            rotations.extend((entry.kind() == Kind::KeyRotated).then(|| entry.seq() + 1));
            bodies.extend(entry.commit().map(|_| entry.seq()));
        })?;
        // Where the end of the log does not open, nothing but its entries can be read.
        let Ok(scope) = home.scope() else { return Ok(contents) };
        contents.from = scope.pruned().map_err(told)?.entries;
        let from = contents.from;
        contents.subtrees = (from > 0).then(|| frontier(scope.as_ref(), from)).transpose()?;
        rotations.retain(|size| *size > from);
        contents.rotations = heads(home, &rotations)?;
        contents.left_out.remove(&Part::Canons);
        for digest in digests {
            if let Ok(Some(files)) = scope.canon(digest) {
                contents.canons.push(CanonFiles { digest, files: BTreeMap::from_iter(files) });
            }
        }
        if is_whole {
            contents.left_out.remove(&Part::Bodies);
            for seq in bodies.into_iter().filter(|seq| *seq >= from) {
                match scope.body(seq) {
                    Ok(Some(_)) => contents.with_body.push(seq),
                    Ok(None) => {}
                    // The table of bodies is gone, as was told.
                    Err(StoreError::Corrupt { source: Some(_), .. })
                        if findings.has("store.schema") =>
                    {
                        contents.left_out.insert(Part::Bodies);
                    }
                    Err(_) => {
                        let what = "its body is not what the entry commits to";
                        findings.add(Some(seq), "body.changed", what);
                    }
                }
            }
        }
        Ok(contents)
    }

    /// The keys that the entries name.
    pub(super) fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Write the bundle of the entries that hold.
    pub(super) fn write_held(&self, home: &Home, out: &mut dyn Write) -> anyhow::Result<()> {
        let entries = |take: &mut dyn FnMut(&Entry)| {
            held_entries(home, self.head.size(), &mut |entry| {
                if entry.seq() >= self.from {
                    take(entry);
                }
            })
        };
        self.write(home, &entries, out)
    }

    fn write(&self, home: &Home, entries: &Entries<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
        let manifest = Manifest {
            tenant: home.tenant,
            origin: self.head.origin().to_owned(),
            from: self.from,
            size: self.head.size(),
            root: self.head.root(),
            bodies: self.with_body.len() as u64,
            canons: self.canons.len() as u64,
            left_out: self.left_out.clone(),
        };
        let mut writer = BundleWriter::begin(out, &manifest)?;
        for key in &self.keys {
            writer.key(key)?;
        }
        for canon in &self.canons {
            writer.canon(canon)?;
        }
        if let Some(subtrees) = &self.subtrees {
            writer.subtrees(subtrees.roots())?;
        }
        let mut failed = None;
        entries(&mut |entry| {
            if failed.is_none() {
                failed = writer.entry(entry).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        if !self.with_body.is_empty() {
            let scope = home.scope()?;
            for seq in &self.with_body {
                if let Some(body) = scope.body(*seq).map_err(told)? {
                    writer.body(*seq, &body.salt, &body.bytes)?;
                }
            }
        }
        // The head of a bundle comes last, also when it is that of a rotation.
        for head in self.rotations.iter().chain([&self.head]) {
            writer.checkpoint(head)?;
        }
        Ok(writer.end()?)
    }
}

/// The entries before `size`, also those of a folder that only their bytes are left of.
fn held_entries(home: &Home, size: u64, take: &mut dyn FnMut(&Entry)) -> anyhow::Result<()> {
    if home.is_of_nodes() {
        return home.each(Select { to: size, ..Select::default() }, take);
    }
    let mut kept = |entry: Entry| take(&entry);
    home.folder()?.held_entries(home.tenant, size, &mut kept).map_err(told)
}

/// The signed heads of these sizes.
fn heads(home: &Home, sizes: &[u64]) -> anyhow::Result<Vec<Checkpoint>> {
    let mut heads = Vec::new();
    for size in sizes {
        heads.extend(home.scope()?.checkpoints(*size, 1).map_err(told)?);
    }
    Ok(heads)
}

/// Every kept version of canon that the log names.
fn canons(home: &Home, may_miss: bool) -> anyhow::Result<Vec<CanonFiles>> {
    let mut digests = BTreeSet::new();
    let kinds = vec![Kind::CanonProposed, Kind::CanonActivated];
    home.each(Select { kinds, ..Select::default() }, |entry| digests.extend(canon_of(entry)))?;
    let mut canons = Vec::new();
    for digest in digests {
        match home.scope()?.canon(digest) {
            Ok(Some(files)) => {
                canons.push(CanonFiles { digest, files: BTreeMap::from_iter(files) });
            }
            Ok(None) | Err(StoreError::Corrupt { .. }) if may_miss => {}
            Ok(None) => {
                let what = format!("the files of the canon {digest} are not here");
                return Err(incomplete("canon.absent", &what, "--no-canons"));
            }
            Err(error) => return Err(told(error)),
        }
    }
    Ok(canons)
}

/// The version of canon that an entry proposes or puts in force.
fn canon_of(entry: &Entry) -> Option<Digest> {
    let is_change = matches!(entry.kind(), Kind::CanonProposed | Kind::CanonActivated);
    is_change.then(|| entry.digest("digest")).flatten()
}

/// The key that an entry puts in force.
fn key_of(entry: &Entry) -> Option<VerifierKey> {
    let first = if entry.kind() == Kind::Genesis { entry.text("key") } else { None };
    let next = if entry.kind() == Kind::KeyRotated { entry.text("to") } else { None };
    first.or(next)?.parse().ok()
}

/// The keys of the log, the first one first.
pub(super) fn keys(home: &Home) -> anyhow::Result<Vec<VerifierKey>> {
    let mut keys = Vec::new();
    let kinds = vec![Kind::Genesis, Kind::KeyRotated];
    home.each(Select { kinds, ..Select::default() }, |entry| keys.extend(key_of(entry)))?;
    Ok(keys)
}

/// The key that signs the newest heads.
pub(crate) fn public_key(home: &Home) -> anyhow::Result<VerifierKey> {
    keys(home)?.pop().ok_or_else(empty)
}

//! The bundle of the own ledger: what goes into it, and what may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use cog_base::Digest;
use cog_ledger::audit::{Erasures, Findings};
use cog_ledger::bundle::{BundleWriter, CanonFiles, Earlier, Manifest, Part};
use cog_ledger::merkle::{Frontier, inclusion};
use cog_ledger::{Checkpoint, Entry, Kind, VerifierKey};
use cog_store::{Select, StoreError, TenantTx, Tree, frontier};

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
    /// The keys in force in the kept part, in order.
    keys: Vec<VerifierKey>,
    canons: Vec<CanonFiles>,
    subtrees: Option<Frontier>,
    /// What put keys in force before the kept part.
    earlier: Vec<Earlier>,
    /// The heads at which a key was handed over, each with the key that did so.
    rotations: Vec<(Checkpoint, VerifierKey)>,
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
    let mut named = Named::default();
    let select = Select { from, to: head.size(), ..Select::default() };
    home.each(select, |entry| named.add(entry))?;
    let mut left_out = BTreeSet::new();
    let canons = if without.canons {
        left_out.extend((!named.canons.is_empty()).then_some(Part::Canons));
        Vec::new()
    } else {
        canons(home, &named.canons, without.missing)?
    };
    let with_body = if without.bodies {
        let is_gone = home.erasures()?.explain_all(named.bodies.iter().copied());
        left_out.extend((!is_gone).then_some(Part::Bodies));
        Vec::new()
    } else {
        kept(home, named.bodies, without.missing)?
    };
    Ok(Contents {
        from,
        keys: keys_since(&keys(home)?, &named.rotations),
        canons,
        subtrees: (from > 0).then(|| frontier(scope.as_ref(), from)).transpose()?,
        earlier: earlier(scope.as_ref(), from)?,
        rotations: heads(home, named.rotations)?,
        with_body,
        left_out,
        head,
    })
}

/// What the kept entries name, each of which must be in the bundle.
#[derive(Default)]
struct Named {
    canons: BTreeSet<Digest>,
    /// The entries that have a body.
    bodies: Vec<u64>,
    /// The size of the log after each hand-over, and the key that handed over.
    rotations: Vec<(u64, VerifierKey)>,
}

impl Named {
    fn add(&mut self, entry: &Entry) {
        self.canons.extend(entry.canon().into_iter().chain(canon_of(entry)));
        self.bodies.extend(entry.commit().map(|_| entry.seq()));
        let giver = if entry.kind() == Kind::KeyRotated { entry.text("from") } else { None };
        let giver = giver.and_then(|giver| giver.parse().ok());
        self.rotations.extend(giver.map(|giver| (entry.seq() + 1, giver)));
    }
}

/// Of all keys of the log those in force since it handed over so often.
fn keys_since(keys: &[VerifierKey], rotations: &[(u64, VerifierKey)]) -> Vec<VerifierKey> {
    let since = keys.len().saturating_sub(rotations.len() + 1);
    keys.get(since..).unwrap_or_default().to_vec()
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
            earlier: Vec::new(),
            rotations: Vec::new(),
            with_body: Vec::new(),
            left_out: BTreeSet::from([Part::Bodies, Part::Canons]),
        };
        // Where the end of the log does not open, nothing but its entries can be read.
        let scope = home.scope().ok();
        if let Some(scope) = &scope {
            contents.from = scope.pruned().map_err(told)?.entries;
        }
        let from = contents.from;
        let (mut named, mut erasures) = (Named::default(), Erasures::default());
        held_entries(home, head.size(), &mut |entry| {
            contents.keys.extend(key_of(entry));
            erasures.observe(entry);
            if entry.seq() >= from {
                named.add(entry);
            }
        })?;
        contents.keys = keys_since(&contents.keys, &named.rotations);
        if erasures.explain_all(named.bodies.iter().copied()) {
            contents.left_out.remove(&Part::Bodies);
        }
        if named.canons.is_empty() {
            contents.left_out.remove(&Part::Canons);
        }
        let Some(scope) = scope else { return Ok(contents) };
        contents.subtrees = (from > 0).then(|| frontier(scope.as_ref(), from)).transpose()?;
        contents.earlier = earlier(scope.as_ref(), from)?;
        contents.rotations = heads(home, named.rotations)?;
        contents.left_out.remove(&Part::Canons);
        for digest in named.canons {
            if let Ok(Some(files)) = scope.canon(digest) {
                contents.canons.push(CanonFiles { digest, files: BTreeMap::from_iter(files) });
            }
        }
        if is_whole {
            contents.left_out.remove(&Part::Bodies);
            for seq in named.bodies {
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
        for earlier in &self.earlier {
            writer.earlier(earlier)?;
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
        for (head, giver) in &self.rotations {
            writer.checkpoint(head, giver)?;
        }
        // The head of a bundle comes last, also when it is that of a rotation.
        if let Some(last) = self.keys.last() {
            writer.checkpoint(&self.head, last)?;
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

/// The entries before `from` that put keys in force, each with its proof.
fn earlier(scope: &dyn TenantTx, from: u64) -> anyhow::Result<Vec<Earlier>> {
    let kinds = vec![Kind::Genesis, Kind::KeyRotated];
    let select = Select { to: from, kinds, ..Select::default() };
    let mut found = Vec::new();
    if from > 0 {
        scope.each(select, &mut |entry| found.push(entry.clone())).map_err(told)?;
    }
    let proven = |entry: Entry| {
        let path = inclusion(&mut Tree(scope), entry.seq(), from)
            .map_err(|error| Failure::advise(Exit::Failed, error, "cognitionos ledger verify"))?;
        let mut head = None;
        if entry.kind() == Kind::KeyRotated {
            head = scope.checkpoints(entry.seq() + 1, 1).map_err(told)?.pop();
        }
        Ok(Earlier { entry, path, head })
    };
    found.into_iter().map(proven).collect()
}

/// The signed heads after these hand-overs.
fn heads(
    home: &Home,
    rotations: Vec<(u64, VerifierKey)>,
) -> anyhow::Result<Vec<(Checkpoint, VerifierKey)>> {
    let mut heads = Vec::new();
    for (size, giver) in rotations {
        let head = home.scope()?.checkpoints(size, 1).map_err(told)?;
        heads.extend(head.into_iter().map(|head| (head, giver.clone())));
    }
    Ok(heads)
}

/// The files of these versions of canon.
fn canons(
    home: &Home,
    digests: &BTreeSet<Digest>,
    may_miss: bool,
) -> anyhow::Result<Vec<CanonFiles>> {
    let mut canons = Vec::new();
    for digest in digests.iter().copied() {
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

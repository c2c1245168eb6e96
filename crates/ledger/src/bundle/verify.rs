//! Checking a bundle, in one pass and with nothing but the keys that the verifier brings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use cog_base::Digest;

use super::lines::{BadLine, Body, Line, Lines, manifest, parse};
use super::trust::Trust;
use super::{BundleError, CanonFiles, Earlier, Manifest, Part};
use crate::audit::{Audit, Audited, Findings, Set};
use crate::body::commitment;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::kind::Kind;
use crate::merkle::{Frontier, empty_root};
use crate::note::VerifierKey;

/// What to check a bundle against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Check<'a> {
    /// The keys that the verifier has from elsewhere. Nothing in the bundle adds to them
    /// but hand-overs that one of them signed.
    pub trusted: &'a [VerifierKey],
    /// Heads of the same log seen earlier: this bundle must have grown from each.
    pub against: &'a [Checkpoint],
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The first line.
    pub manifest: Manifest,
    /// The head, if there is one. Trust it only when [`Verified::signer`] is there.
    pub head: Option<Checkpoint>,
    /// The trusted key that signed the head.
    pub signer: Option<VerifierKey>,
    /// What the entries say, and everything that is wrong.
    pub audited: Audited,
    /// The entries read.
    pub entries: u64,
    /// The bodies whose commitments hold.
    pub bodies: u64,
    /// The entries that have a body which is not here: left out or erased. Without an
    /// entry or a manifest that says so, it is a finding.
    pub bodies_absent: u64,
    /// The versions of canon here whose files have their digest.
    pub canons: u64,
    /// The versions that entries name and that are not here.
    pub canons_absent: u64,
    /// The lines read.
    pub lines: u64,
    /// How many earlier heads the log was compared with.
    pub compared: u64,
}

impl Verified {
    /// Everything that is wrong.
    #[must_use]
    pub const fn findings(&self) -> &Findings {
        &self.audited.findings
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.audited.findings.is_empty()
    }
}

/// Check a bundle. What is wrong inside it becomes a finding; reading goes on as long as
/// the lines can be read.
///
/// # Errors
/// [`BundleError`] when it cannot be read, or is no bundle at all.
pub fn verify(input: &mut dyn BufRead, check: &Check<'_>) -> Result<Verified, BundleError> {
    let mut lines = Lines::new(input);
    let manifest = manifest(lines.next()?)?;
    let mut reading = Reading::new(manifest, check);
    while let Some(line) = lines.next()? {
        let line = match line.map_err(BadLine::Wrong).and_then(parse) {
            Ok(line) => line,
            Err(bad) => {
                let (code, what) = bad.finding();
                let message = format!("line {}: {what}", lines.count());
                reading.audit.findings().add(None, code, message);
                break;
            }
        };
        if reading.is_ended {
            let message = format!("line {} follows the end", lines.count());
            reading.audit.findings().add(None, "bundle.end", message);
            break;
        }
        reading.line(line, &lines);
    }
    Ok(reading.finish(check, lines.count()))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Keys,
    Canons,
    Subtrees,
    Earlier,
    Entries,
    Bodies,
    Checkpoints,
    End,
}

/// A bundle as far as it is read.
struct Reading {
    manifest: Manifest,
    audit: Audit,
    section: Section,
    keys: Vec<VerifierKey>,
    canons: u64,
    canons_here: BTreeSet<Digest>,
    last_canon: Option<Digest>,
    /// The versions that entries name, and the first that does.
    canons_named: BTreeMap<Digest, u64>,
    frontier: Option<Frontier>,
    /// The sizes at which the root is wanted, and the roots found.
    wanted: BTreeSet<u64>,
    roots: BTreeMap<u64, Digest>,
    /// The last entry of the pruned part that is here.
    last_earlier: Option<u64>,
    /// The heads of its hand-overs.
    earlier_heads: Vec<Checkpoint>,
    entries: u64,
    /// Commitments whose bodies have not come yet.
    commits: BTreeMap<u64, Digest>,
    /// What entries say of the schedules that stand beside them.
    schedules: BTreeMap<u64, Set>,
    bodies: u64,
    last_body: Option<u64>,
    checkpoints: Vec<Checkpoint>,
    is_ended: bool,
}

impl Reading {
    fn new(manifest: Manifest, check: &Check<'_>) -> Self {
        let frontier = (manifest.from == 0).then(Frontier::new);
        Self {
            audit: Audit::new(manifest.from),
            section: Section::Keys,
            keys: Vec::new(),
            canons: 0,
            canons_here: BTreeSet::new(),
            last_canon: None,
            canons_named: BTreeMap::new(),
            frontier,
            wanted: check.against.iter().map(Checkpoint::size).chain([manifest.from]).collect(),
            roots: BTreeMap::from([(0, empty_root())]),
            last_earlier: None,
            earlier_heads: Vec::new(),
            entries: 0,
            commits: BTreeMap::new(),
            schedules: BTreeMap::new(),
            bodies: 0,
            last_body: None,
            checkpoints: Vec::new(),
            is_ended: false,
            manifest,
        }
    }

    fn find(&mut self, seq: Option<u64>, code: &'static str, message: impl Into<String>) {
        self.audit.findings().add(seq, code, message);
    }

    fn line(&mut self, line: Line, lines: &Lines<'_>) {
        let section = match &line {
            Line::Key(_) => Section::Keys,
            Line::Canon(_) => Section::Canons,
            Line::Subtrees(_) => Section::Subtrees,
            Line::Earlier(_) => Section::Earlier,
            Line::Entry(_) => Section::Entries,
            Line::Body(_) => Section::Bodies,
            Line::Checkpoint(_) => Section::Checkpoints,
            Line::End { .. } => Section::End,
        };
        if section < self.section {
            let message = format!("line {} does not belong there", lines.count());
            self.find(None, "bundle.order", message);
        }
        self.section = section;
        match line {
            Line::Key(key) => self.keys.push(key),
            Line::Canon(canon) => self.canon(&canon),
            Line::Subtrees(roots) => self.subtrees(roots),
            Line::Earlier(earlier) => self.earlier(*earlier),
            Line::Entry(entry) => self.entry(&entry),
            Line::Body(body) => self.body(&body),
            Line::Checkpoint(checkpoint) => self.checkpoints.push(*checkpoint),
            Line::End { digest, lines: count } => {
                self.is_ended = true;
                if digest != lines.digest_before() || count != lines.count().saturating_sub(1) {
                    let message = "the bytes before the last line are not those it names";
                    self.find(None, "bundle.digest", message);
                }
            }
        }
    }

    fn canon(&mut self, canon: &CanonFiles) {
        if self.last_canon >= Some(canon.digest) {
            let message = format!("canon {} is out of order or there twice", canon.digest);
            self.find(None, "canon.order", message);
        }
        self.last_canon = Some(canon.digest);
        self.canons_here.insert(canon.digest);
        if canon.computed() == canon.digest {
            self.canons = self.canons.saturating_add(1);
        } else {
            let message = format!("the files of canon {} do not have its digest", canon.digest);
            self.find(None, "canon.files", message);
        }
    }

    fn subtrees(&mut self, roots: Vec<Digest>) {
        let fits = Frontier::from_roots(self.manifest.from, roots);
        match fits {
            Ok(frontier) if self.manifest.from > 0 && self.frontier.is_none() => {
                self.note_root(&frontier);
                self.frontier = Some(frontier);
            }
            _ => self.find(None, "bundle.subtrees", "the subtrees do not fit the pruned part"),
        }
    }

    /// An entry of the pruned part is one of this log if it is in the tree of that part.
    fn earlier(&mut self, earlier: Earlier) {
        let seq = earlier.entry.seq();
        let from = self.manifest.from;
        let root = self.pruned_root().filter(|_| from > 0);
        let root = root.and_then(|root| earlier.root_after(from, root));
        let is_next = self.last_earlier.map_or(seq == 0, |last| last < seq);
        self.last_earlier = self.last_earlier.max(Some(seq));
        let Some(root) = root.filter(|_| is_next) else {
            let message = "it is not in its place in the tree of the pruned part";
            return self.find(Some(seq), "bundle.earlier", message);
        };
        self.audit.earlier(&earlier.entry);
        if let Some(head) = earlier.head {
            self.roots.insert(seq.saturating_add(1), root);
            self.earlier_heads.push(head);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.entries = self.entries.saturating_add(1);
        self.audit.entry(entry);
        let keys = self.audit.keys().last();
        if keys.is_some_and(|key| key.seq == entry.seq() && key.from.is_some()) {
            self.wanted.insert(entry.seq().saturating_add(1));
        }
        let is_change = matches!(entry.kind(), Kind::CanonProposed | Kind::CanonActivated);
        let changed = is_change.then(|| entry.digest("digest")).flatten();
        for canon in entry.canon().into_iter().chain(changed) {
            self.canons_named.entry(canon).or_insert(entry.seq());
        }
        if let Some(commit) = entry.commit() {
            self.commits.insert(entry.seq(), commit);
            self.schedules.extend(Set::of(entry).map(|set| (entry.seq(), set)));
        }
        if let Some(mut frontier) = self.frontier.take() {
            frontier.push(entry.leaf(), |_, _, _| {});
            self.note_root(&frontier);
            self.frontier = Some(frontier);
        } else if self.entries == 1 {
            self.find(None, "bundle.subtrees", "the hashes of the pruned part are missing");
        }
    }

    fn note_root(&mut self, frontier: &Frontier) {
        if self.wanted.contains(&frontier.size()) {
            self.roots.insert(frontier.size(), frontier.root());
        }
    }

    fn body(&mut self, body: &Body) {
        let seq = Some(body.seq);
        if self.last_body >= seq {
            self.find(seq, "body.order", "its body is out of order or there twice");
        }
        self.last_body = seq;
        if let Some(erasure) = self.audit.erasures().of(body.seq) {
            let message = format!("its body is here, and entry {erasure} says that it was erased");
            self.find(seq, "body.not_erased", message);
        }
        if self.schedules.remove(&body.seq).is_some_and(|set| !set.is_of(&body.bytes)) {
            let message = "it names another schedule than stands beside it";
            self.find(seq, "schedule.differs", message);
        }
        match self.commits.remove(&body.seq) {
            Some(commit) if commit == commitment(&body.salt, &body.bytes) => {
                self.bodies = self.bodies.saturating_add(1);
            }
            Some(_) => self.find(seq, "body.changed", "its body is not what the entry commits to"),
            None => self.find(seq, "body.unknown", "a body is here that no entry commits to"),
        }
    }

    fn finish(mut self, check: &Check<'_>, lines: u64) -> Verified {
        if !self.is_ended {
            self.find(None, "bundle.end", "the bundle breaks off: its last line is missing");
        }
        let head = self.checkpoints.pop();
        self.check_numbers();
        self.check_tree(head.as_ref());
        let canons_absent = self.check_canons();
        let (from, pruned_root) = (self.manifest.from, self.pruned_root());
        let mut audited = self.audit.finish();
        let findings = &mut audited.findings;
        let manifest = &self.manifest;
        // Of a bundle that breaks off, nobody knows what it had.
        if self.is_ended && !manifest.left_out.contains(&Part::Bodies) {
            audited.erasures.check(self.commits.keys().copied(), findings);
        } else if self.is_ended && audited.erasures.explain_all(self.commits.keys().copied()) {
            let message = "the manifest says that bodies were left out, and none was";
            findings.add(None, "manifest.wrong", message);
        }
        if audited.tenant.is_some_and(|tenant| tenant != manifest.tenant) {
            findings.add(None, "manifest.wrong", "the manifest names another tenant");
        }
        if audited.origin.as_ref().is_some_and(|origin| *origin != manifest.origin) {
            findings.add(None, "manifest.wrong", "the manifest names another origin");
        }
        if from > 0 && audited.pruned.get(&from).is_none_or(|root| Some(*root) != pruned_root) {
            let message = "no entry says that the missing part was pruned, with its root";
            findings.add(None, "prune.unexplained", message);
        }
        let is_from_genesis = audited.keys.first().is_some_and(|step| step.from.is_none());
        if from > 0 && !is_from_genesis {
            let message =
                "the entry that began the log is not here: no key can be followed from it";
            findings.add(None, "bundle.earlier", message);
        }
        let mut rotations = self.earlier_heads;
        rotations.append(&mut self.checkpoints);
        let trust = Trust {
            trusted: check.trusted,
            chain: &audited.keys,
            rotations: &rotations,
            roots: &self.roots,
        };
        let signer = head.as_ref().and_then(|head| trust.signer(&manifest.origin, head, findings));
        // The last key of the pruned part is in force where the kept part begins.
        let before = audited.keys.iter().filter(|step| step.seq < from).count();
        let in_force = audited.keys.iter().skip(before.saturating_sub(1)).map(|step| &step.key);
        let is_known = from == 0 || is_from_genesis;
        if is_known && !self.keys.iter().eq(in_force) {
            let message = "the keys named in the bundle are not those of the log";
            findings.add(None, "bundle.keys", message);
        }
        let known =
            Known { manifest, roots: &self.roots, chain: &audited.keys, signer: signer.as_ref() };
        known.compare(check, findings);
        Verified {
            head,
            signer,
            entries: self.entries,
            bodies: self.bodies,
            bodies_absent: self.commits.len() as u64,
            canons: self.canons,
            canons_absent,
            lines,
            compared: check.against.len() as u64,
            audited,
            manifest: self.manifest,
        }
    }

    /// Every version that entries name must be here, or be left out as the manifest says; and
    /// no others.
    fn check_canons(&mut self) -> u64 {
        let mut absent = std::mem::take(&mut self.canons_named);
        let is_named = |canon: &&Digest| absent.contains_key(*canon);
        let unknown: Vec<_> =
            self.canons_here.iter().filter(|canon| !is_named(canon)).copied().collect();
        absent.retain(|canon, _| !self.canons_here.contains(canon));
        let count = absent.len() as u64;
        if !self.is_ended {
            return count;
        }
        for canon in unknown {
            let message = format!("the canon {canon} is here, and no entry names it");
            self.find(None, "canon.unknown", message);
        }
        if !self.manifest.left_out.contains(&Part::Canons) {
            for (canon, seq) in absent {
                let message = format!("it names the canon {canon}, whose files are not here");
                self.find(Some(seq), "canon.absent", message);
            }
        } else if count == 0 {
            let message = "the manifest says that canons were left out, and none was";
            self.find(None, "manifest.wrong", message);
        }
        count
    }

    fn pruned_root(&self) -> Option<Digest> {
        self.roots.get(&self.manifest.from).copied()
    }

    fn check_numbers(&mut self) {
        let (entries, canons) = (self.manifest.entries(), self.manifest.canons);
        let bodies = self.manifest.bodies;
        let numbers = [
            ("entries", self.entries, entries),
            ("canons", self.canons, canons),
            ("bodies", self.bodies, bodies),
        ];
        for (part, stated) in [(Part::Bodies, bodies), (Part::Canons, canons)] {
            if stated > 0 && self.manifest.left_out.contains(&part) {
                let message = format!("the manifest says that {} were left out", part.as_str());
                self.find(None, "manifest.wrong", message);
            }
        }
        for (name, found, stated) in numbers {
            if found != stated {
                let message = format!("the manifest states {stated} {name}, {found} hold");
                self.find(None, "manifest.wrong", message);
            }
        }
    }

    /// The tree over the entries is the one that was signed.
    fn check_tree(&mut self, head: Option<&Checkpoint>) {
        let Some(head) = head else {
            return self.find(None, "head.missing", "there is no signed head");
        };
        if head.origin() != self.manifest.origin {
            self.find(None, "manifest.wrong", "the manifest names another origin");
        }
        let Some(frontier) = self.frontier.take() else { return };
        let (size, root) = (frontier.size(), frontier.root());
        if head.size() != size {
            let message = format!("the signed head is of {} entries, here are {size}", head.size());
            self.find(None, "head.size", message);
        } else if head.root() != root {
            let message = "the entries are not those that were signed: the roots differ";
            self.find(None, "head.root", message);
        }
        if self.manifest.size != size || self.manifest.root != root {
            let message = "the manifest states another size or root than the entries have";
            self.find(None, "manifest.wrong", message);
        }
    }
}

/// What is known of the log when it is compared with heads seen earlier.
struct Known<'a> {
    manifest: &'a Manifest,
    roots: &'a BTreeMap<u64, Digest>,
    chain: &'a [crate::audit::KeyInForce],
    signer: Option<&'a VerifierKey>,
}

impl Known<'_> {
    fn compare(&self, check: &Check<'_>, findings: &mut Findings) {
        // Keys in force earlier count for earlier heads, once the chain is trusted.
        let chain = self.chain.iter().filter(|_| self.signer.is_some()).flat_map(|it| it.keys());
        let keys: Vec<_> = check.trusted.iter().chain(chain).cloned().collect();
        for earlier in check.against {
            let (then, now) = (earlier.size(), self.manifest.size);
            let (code, message) = if let Err(error) = earlier.verify(&self.manifest.origin, &keys) {
                let message = format!("the head to compare with is not acceptable: {error}");
                ("against.untrusted", message)
            } else if then > now {
                let message =
                    format!("the log had {then} entries, here are {now}: some are missing");
                ("against.shorter", message)
            } else {
                match self.roots.get(&then) {
                    Some(root) if *root == earlier.root() => continue,
                    Some(_) => (
                        "against.split",
                        format!(
                            "the first {then} entries are not those that were signed: the log was split or rewritten"
                        ),
                    ),
                    None => (
                        "against.pruned",
                        format!(
                            "the first {then} entries were pruned in part, so that their head cannot be compared"
                        ),
                    ),
                }
            };
            findings.add(None, code, message);
        }
    }
}

//! Writing a bundle, line by line.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::{Digest, Value};

use super::{BundleError, CanonFiles, Earlier, Manifest};
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::hasher::Hasher;
use crate::note::VerifierKey;

/// Writes a bundle to `out`. Call the methods in the order of the lines; the writer checks
/// order and numbers, not hashes.
pub struct BundleWriter<'a> {
    out: &'a mut dyn Write,
    hasher: Hasher,
    lines: u64,
    section: Section,
    left: Left,
    next: u64,
    is_pruned: bool,
    buffer: Vec<u8>,
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
}

/// How many lines of each section are still to come.
struct Left {
    canons: u64,
    entries: u64,
    bodies: u64,
}

impl<'a> BundleWriter<'a> {
    /// Begin a bundle.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or the manifest has no entries.
    pub fn begin(out: &'a mut dyn Write, manifest: &Manifest) -> Result<Self, BundleError> {
        if manifest.entries() == 0 {
            return Err(BundleError::Misuse("it has no entries"));
        }
        let mut writer = Self {
            out,
            hasher: Hasher::new(),
            lines: 0,
            section: Section::Keys,
            left: Left {
                canons: manifest.canons,
                entries: manifest.entries(),
                bodies: manifest.bodies,
            },
            next: manifest.from,
            is_pruned: manifest.from > 0,
            buffer: Vec::with_capacity(4096),
        };
        writer.value(&manifest.to_value())?;
        Ok(writer)
    }

    /// Name a key that was in force.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or comes too late.
    pub fn key(&mut self, key: &VerifierKey) -> Result<(), BundleError> {
        self.enter(Section::Keys)?;
        self.value(&Value::map([("key", key.to_string())]))
    }

    /// Add a version of canon.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or is one too many or too late.
    pub fn canon(&mut self, canon: &CanonFiles) -> Result<(), BundleError> {
        self.enter(Section::Canons)?;
        count_down(&mut self.left.canons, "more canons than the manifest says")?;
        self.value(&Value::map([("canon", canon.to_value())]))
    }

    /// Add the right edge of the tree over the pruned entries: [`crate::merkle::Frontier::roots`].
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or nothing was pruned.
    pub fn subtrees(&mut self, roots: &[Digest]) -> Result<(), BundleError> {
        if !self.is_pruned || self.section >= Section::Subtrees {
            return Err(BundleError::Misuse("subtrees belong once into a pruned bundle"));
        }
        self.enter(Section::Subtrees)?;
        self.value(&Value::map([("subtrees", Value::list(roots.iter().copied()))]))
    }

    /// Add an entry of the pruned part that put a key in force: the genesis, then each hand-over.
    /// Of its head only the signature of the key that hands over goes in.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or does not come behind the subtrees.
    pub fn earlier(&mut self, earlier: &Earlier) -> Result<(), BundleError> {
        if self.section < Section::Subtrees {
            return Err(BundleError::Misuse("earlier keys belong into a pruned bundle"));
        }
        self.enter(Section::Earlier)?;
        let giver = earlier.entry.text("from").and_then(|key| key.parse().ok());
        let alone = giver.and_then(|by| earlier.head.as_ref()?.signed_only_by(&by));
        let value = earlier.to_value(alone.as_ref().or(earlier.head.as_ref()));
        let value = value.ok_or(BundleError::Misuse("an entry that cannot be read"))?;
        self.value(&Value::map([("earlier", value)]))
    }

    /// Add the next entry.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or is not the next.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), BundleError> {
        if self.is_pruned && self.section < Section::Subtrees {
            return Err(BundleError::Misuse("a pruned bundle needs its subtrees"));
        }
        self.enter(Section::Entries)?;
        count_down(&mut self.left.entries, "more entries than the manifest says")?;
        if entry.seq() != self.next {
            return Err(BundleError::Misuse("an entry out of order"));
        }
        self.next = self.next.saturating_add(1);
        self.buffer.clear();
        self.buffer.extend_from_slice(b"{\"entry\":");
        self.buffer.extend_from_slice(entry.bytes());
        self.buffer.push(b'}');
        self.line()
    }

    /// Add the body of entry `seq`.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or is one too many or too late.
    pub fn body(&mut self, seq: u64, salt: &[u8; 32], bytes: &[u8]) -> Result<(), BundleError> {
        self.enter(Section::Bodies)?;
        count_down(&mut self.left.bodies, "more bodies than the manifest says")?;
        let body = Value::map([
            ("bytes", Value::from(STANDARD.encode(bytes))),
            ("salt", Value::from(STANDARD.encode(salt))),
            ("seq", Value::from(seq)),
        ]);
        self.value(&Value::map([("body", body)]))
    }

    /// Add the head of a hand-over, with the signature of the key that hands over; or last the
    /// head of the log, with that of the key in force. Other signatures are left out, so that
    /// nothing in the bundle is the head of a log that ends at a hand-over. A head that `by` did
    /// not sign goes in as it is: whoever checks the bundle finds it.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or comes too early.
    pub fn checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        by: &VerifierKey,
    ) -> Result<(), BundleError> {
        self.enter(Section::Checkpoints)?;
        let alone = checkpoint.signed_only_by(by);
        let note = alone.as_ref().unwrap_or(checkpoint).to_string();
        self.value(&Value::map([("checkpoint", note)]))
    }

    /// Close the bundle.
    ///
    /// # Errors
    /// [`BundleError`] when it cannot be written, or the head is missing.
    pub fn end(mut self) -> Result<(), BundleError> {
        if self.section != Section::Checkpoints {
            return Err(BundleError::Misuse("the head is missing"));
        }
        let digest = self.hasher.digest();
        let end = [("digest", Value::from(digest)), ("lines", Value::from(self.lines))];
        self.value(&Value::map([("end", Value::map(end))]))?;
        self.out.flush().map_err(BundleError::Write)
    }

    /// Go on to a section, if all of the sections before it is there.
    fn enter(&mut self, section: Section) -> Result<(), BundleError> {
        if section < self.section {
            return Err(BundleError::Misuse("a line after its section"));
        }
        let missing = (section > Section::Canons && self.left.canons > 0)
            || (section > Section::Entries && self.left.entries > 0)
            || (section > Section::Bodies && self.left.bodies > 0);
        if missing {
            return Err(BundleError::Misuse("fewer lines than the manifest says"));
        }
        self.section = section;
        Ok(())
    }

    fn value(&mut self, value: &Value) -> Result<(), BundleError> {
        self.buffer.clear();
        value.write_canonical(&mut self.buffer);
        self.line()
    }

    fn line(&mut self) -> Result<(), BundleError> {
        self.buffer.push(b'\n');
        self.hasher.update(&self.buffer);
        self.lines = self.lines.saturating_add(1);
        self.out.write_all(&self.buffer).map_err(BundleError::Write)
    }
}

fn count_down(left: &mut u64, what: &'static str) -> Result<(), BundleError> {
    *left = left.checked_sub(1).ok_or(BundleError::Misuse(what))?;
    Ok(())
}

//! The embedded store in a real folder, of which a crash keeps what a disk would have: what was
//! synced, and any part of what was just being written.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a disk is simulated with the files of a temporary folder"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cog_base::entropy::{Entropy as _, SeededEntropy};
use cog_store::StoreError;
use cog_store_sqlite::{Mode, SqliteStore};

/// In memory where the system has that: a sync costs nothing there.
const MEMORY: &str = "/dev/shm";
const LOG: &str = "ledger.db-wal";
const MARKS: &str = "keys/high-water";
/// The files that a crash leaves. The others are made anew.
const FILES: [&str; 4] = ["ledger.db", LOG, "keys/master.key", MARKS];
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// What is on a disk at one moment.
#[derive(Clone)]
pub(crate) struct Image(BTreeMap<&'static str, Vec<u8>>);

/// A folder for each life of the store, the last of which is in use.
pub(crate) struct Folder {
    base: PathBuf,
    seed: u64,
    life: u64,
}

impl Folder {
    pub(crate) fn new(seed: u64) -> io::Result<Self> {
        let memory = Path::new(MEMORY);
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let base = parent.join(format!("cognitionos-sim-{}-{number}", std::process::id()));
        fs::create_dir_all(&base)?;
        Ok(Self { base, seed, life: 0 })
    }

    fn path(&self) -> PathBuf {
        self.base.join(self.life.to_string())
    }

    pub(crate) fn open(&self) -> Result<SqliteStore, StoreError> {
        let entropy = SeededEntropy::new(self.seed.wrapping_add(self.life << 40));
        SqliteStore::open(&self.path(), Mode::ReadWrite, Box::new(entropy))
    }

    /// What is on the disk now.
    pub(crate) fn image(&self) -> io::Result<Image> {
        let read = |name: &'static str| match fs::read(self.path().join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((name, Vec::new())),
            other => other.map(|bytes| (name, bytes)),
        };
        // The database first: what is copied into it meanwhile is in the log behind it.
        Ok(Image(FILES.into_iter().map(read).collect::<io::Result<_>>()?))
    }

    /// Go on with what an image has, in a folder of its own.
    pub(crate) fn go_on(&mut self, image: &Image) -> io::Result<()> {
        let before = self.path();
        self.life += 1;
        let path = self.path();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path.join("keys"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        for (name, bytes) in &image.0 {
            fs::write(path.join(name), bytes)?;
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o600))?;
        }
        fs::remove_dir_all(before)
    }

    /// Whether the database of an earlier image is noticed beside the keys of a later one.
    pub(crate) fn notices(&self, earlier: &Image, later: &Image) -> Result<(), String> {
        let mut aside = Self { base: self.base.join("aside"), seed: self.seed, life: 0 };
        let rolled_back = Image(
            FILES
                .into_iter()
                .filter_map(|name| {
                    let of = if name.starts_with("keys/") { later } else { earlier };
                    Some((name, of.0.get(name)?.clone()))
                })
                .collect(),
        );
        let prepared = fs::create_dir_all(aside.path()).and_then(|()| aside.go_on(&rolled_back));
        prepared.map_err(|error| error.to_string())?;
        let opened = aside.open();
        match opened {
            Err(StoreError::RolledBack { .. }) => Ok(()),
            Err(error) => Err(format!("a database that went back in time: {error}")),
            Ok(_) => Err("a database that went back in time was opened".to_owned()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over costs room in a temporary folder, nothing else.
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// Where two sectors begin to differ.
fn first_difference(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

impl Image {
    /// The power goes while what is in `after` and not in this one is being written: some of it
    /// is there, and what is not is as it was, or garbage.
    pub(crate) fn torn(&self, after: &Self, dice: &mut SeededEntropy) -> Self {
        let length = |image: &Self| image.0.get(MARKS).map_or(0, Vec::len);
        if length(self) != length(after) {
            // The mark of a new log is synced in between, and of that there is no image: what was
            // written is there, and nobody heard of it.
            return after.clone();
        }
        let (mut torn, empty) = (after.clone(), Vec::new());
        let (old, new) = (self.0.get(LOG).unwrap_or(&empty), after.0.get(LOG).unwrap_or(&empty));
        let mut log = new.clone();
        let old_sectors = old.chunks(SECTOR).map(Some).chain(std::iter::repeat(None));
        let all = log.chunks_mut(SECTOR).zip(new.chunks(SECTOR)).zip(old_sectors);
        let mut changed: Vec<_> = all
            .filter(|((_, new), old)| *old != Some(*new))
            .map(|((sector, _), old)| (sector, old))
            .collect();
        if dice.below(3) == 0 {
            // All of it was written, and nobody heard of it.
            changed.clear();
        }
        let kept = usize::try_from(dice.below(changed.len() as u64)).unwrap_or(0);
        let (in_order, garbage) = (dice.below(2) == 0, dice.below(2) == 0);
        for (place, (sector, old)) in changed.iter_mut().enumerate() {
            let is_kept = if in_order { place < kept } else { dice.below(2) == 0 };
            if is_kept {
                continue;
            }
            let old = old.filter(|old| old.len() == sector.len());
            // What stood in the sector before the write is what it was: SQLite takes a disk to
            // spare the bytes beside those that it writes (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`).
            let written = old.map_or(0, |old| first_difference(sector, old));
            let (_, rest) = sector.split_at_mut(written);
            rest.fill(0);
            if garbage && place == kept {
                // Seeded randomness does not fail.
                let _ = dice.fill(rest);
            } else if let Some(old) = old {
                sector.copy_from_slice(old);
            }
        }
        drop(changed);
        torn.0.insert(LOG, log);
        self.with_marks_of(&mut torn);
        torn
    }

    /// Marks are not synced: `later` may have those of this one.
    pub(crate) fn with_marks_of(&self, later: &mut Self) {
        let marks = self.0.get(MARKS).cloned().unwrap_or_default();
        if later.0.get(MARKS).is_some_and(|own| own.len() == marks.len()) {
            later.0.insert(MARKS, marks);
        }
    }
}

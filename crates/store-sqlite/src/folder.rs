//! The data folder: who may write in it, and the files beside the database.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cog_base::cipher::Key;
use cog_base::entropy::Entropy;
use cog_store::StoreError;
use zeroize::Zeroizing;

use crate::error::on_path;

const FOLDER_MODE: u32 = 0o700;
const KEY_MODE: u32 = 0o600;
/// Permission bits of anybody but the owner.
const OTHERS: u32 = 0o077;

/// The paths of one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// The right to write in a folder. The system takes it back when the process ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // By word and not by closing: a child process that is just being started may share
        // the open file for a moment. If it fails, closing does it after that moment.
        let _ = self.0.unlock();
    }
}

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("ledger.db")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.0.join("ledger.db-wal")
    }

    pub(crate) fn high_water(&self) -> PathBuf {
        self.keys().join("high-water")
    }

    fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    fn master_key(&self) -> PathBuf {
        self.keys().join("master.key")
    }

    /// Make what is missing, for the owner alone. What is there keeps its permissions.
    pub(crate) fn create(&self) -> Result<(), StoreError> {
        for folder in [self.0.clone(), self.keys()] {
            let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&folder);
            made.map_err(on_path("create the folder", &folder))?;
        }
        // SQLite gives the files beside it the same permissions.
        let path = self.database();
        let made =
            OpenOptions::new().append(true).create(true).mode(KEY_MODE).open(&path).map(drop);
        made.map_err(on_path("create", &path))
    }

    /// Become the one process that writes here.
    pub(crate) fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.0.join("lock");
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(KEY_MODE)
            .open(&path);
        let mut file = opened.map_err(on_path("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Whoever holds it may just now be writing its number: better none than a wrong one.
                let read = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                let holder = if read { holder.trim().to_owned() } else { "(unknown)".into() };
                return Err(StoreError::InUse { folder: self.0.clone(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(on_path("lock", &path)(error)),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(on_path("write", &path))?;
        Ok(Lock(file))
    }

    /// Refuse to go on while others than the owner can get at the keys.
    pub(crate) fn check_permissions(&self) -> Result<(), StoreError> {
        let parts = [(self.keys(), FOLDER_MODE), (self.master_key(), KEY_MODE)];
        for (path, wanted) in parts {
            let metadata = match std::fs::metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(on_path("look at", &path))?,
            };
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & OTHERS != 0 {
                return Err(StoreError::Permissions { path, mode, wanted });
            }
        }
        Ok(())
    }

    /// The key that all others are sealed with.
    pub(crate) fn read_master(&self) -> Result<Key, StoreError> {
        let path = self.master_key();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NoMasterKey { path });
            }
            Err(error) => return Err(on_path("read", &path)(error)),
        };
        let bytes = bytes.as_slice().try_into().map(Zeroizing::new);
        let bytes: Zeroizing<[u8; 32]> = bytes.map_err(|_| StoreError::NoMasterKey { path })?;
        Ok(Key::from_bytes(*bytes))
    }

    /// Make that key, durably, before anything is sealed with it. Its name is there once its bytes
    /// are.
    pub(crate) fn create_master(&self, entropy: &mut dyn Entropy) -> Result<Key, StoreError> {
        let path = self.master_key();
        let key = Key::new(entropy)?;
        let half = path.with_extension("new");
        match std::fs::remove_file(&half) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(on_path("remove", &half)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(KEY_MODE)
            .open(&half)
            .and_then(|mut file| file.write_all(key.expose()).and_then(|()| file.sync_all()));
        written.map_err(on_path("write", &half))?;
        std::fs::rename(&half, &path).map_err(on_path("make", &path))?;
        sync_folder(&self.keys())?;
        sync_folder(&self.0)?;
        Ok(key)
    }

    pub(crate) fn has_master(&self) -> bool {
        self.master_key().exists()
    }

    pub(crate) fn has_database(&self) -> bool {
        std::fs::metadata(self.database()).is_ok_and(|file| file.len() > 0)
    }
}

/// Make the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(on_path("sync the folder", folder))
}

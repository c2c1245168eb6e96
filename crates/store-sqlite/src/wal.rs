//! The write-ahead log: grown once, then written over and over, so that a commit costs one
//! sync of blocks that the file has already.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use cog_store::StoreError;
use rusqlite::Connection;

use crate::connect;
use crate::error::{failed, on_path};
use crate::folder::Folder;
use crate::writing::Writing;

/// The size the write-ahead log is grown to.
const WAL_BYTES: u64 = 16 * 1024 * 1024;
/// With so many pages in it, it is copied into the database: half of what it was grown to,
/// as commits go on meanwhile.
const PAGES_MAX: u32 = 2_000;
/// While a reader holds an old state and the log cannot be begun anew, it is tried again
/// after so many more pages.
const PAGES_STEP: u32 = 500;

thread_local! {
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

/// Have `db` note how many pages the write-ahead log has after each of its commits.
pub(crate) fn count_pages(db: &Connection) {
    db.wal_hook(Some(|_, pages| {
        PAGES.set(u32::try_from(pages).unwrap_or(0));
        Ok(())
    }));
}

/// How many pages the log had after the last commit of this thread.
pub(crate) fn pages_after_commit() -> u32 {
    PAGES.get()
}

/// Fill the file up with zeros. SQLite reads its log up to the first page that does not
/// carry the marks of the current round, so what is behind the end is never read. Only for
/// the holder of the folder's lock.
pub(crate) fn grow(folder: &Folder) -> Result<(), StoreError> {
    let path = folder.wal();
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(on_path("open", &path))?;
    let mut size = file.seek(SeekFrom::End(0)).map_err(on_path("read the size of", &path))?;
    if size >= WAL_BYTES {
        return Ok(());
    }
    let zeros = vec![0; 1024 * 1024];
    while size < WAL_BYTES {
        let count = zeros.len().min(usize::try_from(WAL_BYTES - size).unwrap_or(usize::MAX));
        let some = zeros.get(..count).unwrap_or(&zeros);
        file.write_all(some).map_err(on_path("write", &path))?;
        size += some.len() as u64;
    }
    file.sync_all().map_err(on_path("sync", &path))
}

/// Copies the log into the database beside the commits.
pub(crate) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    asked_at: u32,
}

impl Checkpointer {
    pub(crate) fn spawn(folder: &Folder, writing: Arc<Mutex<Writing>>) -> Result<Self, StoreError> {
        let db = connect::for_checkpoints(folder)?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::spawn(move || run(&db, &writing, &woken));
        Ok(Self { wake: Some(wake), thread: Some(thread), asked_at: 0 })
    }

    /// Told after each commit how many pages the log has.
    pub(crate) fn note(&mut self, pages: u32) {
        if pages < self.asked_at {
            self.asked_at = 0; // the log was begun anew
        }
        if pages < PAGES_MAX || pages < self.asked_at + PAGES_STEP {
            return;
        }
        self.asked_at = pages;
        if let Some(wake) = &self.wake {
            match wake.try_send(()) {
                Ok(()) | Err(TrySendError::Full(())) | Err(TrySendError::Disconnected(())) => {}
            }
        }
    }

    /// End the thread and wait for it.
    pub(crate) fn stop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has told its story; the log is copied when it is next opened.
            let _ = thread.join();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Most is copied while commits go on. Only the rest, what was committed meanwhile, is
/// copied while they wait; the next commit then begins the log anew. A failure loses
/// nothing: the log stays and grows, and commits report what is wrong with the disk.
fn run(db: &Connection, writing: &Mutex<Writing>, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        let (Ok(_), Ok(_)) = (copy(db), copy(db)) else { continue };
        let held = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = copy(db);
        let _ = held.marks.sync();
    }
}

/// Copy what can be copied. Returns whether that was all.
pub(crate) fn copy(db: &Connection) -> Result<bool, StoreError> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (busy, pages, copied): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && pages == copied)
    })
    .map_err(|error| failed("copy the write-ahead log into the database", error))
}

/// Have the log begin anew, so that the next opening has nothing to go through. Only when
/// everything was copied; otherwise the next opening does it.
pub(crate) fn close(db: &Connection) {
    if copy(db).unwrap_or(false) {
        let _ = db.execute("UPDATE housekeeping SET closed = closed + 1", []);
    }
}

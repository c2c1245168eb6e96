//! The write-ahead log: grown once, then written over and over, so that a commit costs one
//! sync of blocks that the file has already.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use cog_store::StoreError;
use rusqlite::Connection;

use crate::connect;
use crate::error::{failed, on_path};
use crate::folder::Folder;

/// The size the write-ahead log is grown to.
const WAL_BYTES: u64 = 16 * 1024 * 1024;
/// With so many pages in it, it is copied into the database while commits go on: half of
/// what it was grown to.
const PAGES_COPY: u32 = 1_000;
/// With so many, commits wait until it is copied.
const PAGES_MAX: u32 = 6_000;
/// While a reader holds an old state, the log cannot begin anew; it is tried again after so
/// many more pages.
const PAGES_STEP: u32 = 250;

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
    let opened =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
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

/// Copies the log into the database beside the commits. What was committed meanwhile is left
/// for the writer, who copies this little rest between two commits, so that the next one
/// begins the log anew.
pub(crate) struct Checkpointer {
    shared: Arc<Shared>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// How many pages to wait for before the next try.
    next: u32,
}

#[derive(Default)]
struct Shared {
    /// Held while the thread copies.
    copying: Mutex<()>,
    /// Set when only a rest is left.
    rest: AtomicBool,
}

impl Checkpointer {
    pub(crate) fn spawn(folder: &Folder) -> Result<Self, StoreError> {
        let db = connect::for_checkpoints(folder)?;
        let shared = Arc::new(Shared::default());
        let (wake, woken) = sync_channel(1);
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(&db, &for_thread, &woken));
        Ok(Self { shared, wake: Some(wake), thread: Some(thread), next: PAGES_COPY })
    }

    /// Called by the writer between two commits, with the number of pages in the log. A
    /// failure to copy loses nothing: the log stays, and a disk that is at fault shows it at
    /// the next commit.
    pub(crate) fn between_commits(&mut self, pages: u32, db: &Connection) {
        if self.shared.rest.swap(false, Ordering::AcqRel) {
            let _ = copy(db);
            return;
        }
        if pages < PAGES_COPY {
            self.next = PAGES_COPY;
        }
        if pages < self.next {
            return;
        }
        self.next = pages + PAGES_STEP;
        if pages >= PAGES_MAX {
            let _held = self.shared.copying.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = copy(db);
        } else if let Some(wake) = &self.wake {
            // Full: it is awake already.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has told its story; the log is copied when it is next opened.
            let _ = thread.join();
        }
    }
}

/// The first pass takes what has gathered, the second what came during the first.
fn run(db: &Connection, shared: &Shared, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        let _held = shared.copying.lock().unwrap_or_else(PoisonError::into_inner);
        if copy(db).and_then(|_| copy(db)).is_ok() {
            shared.rest.store(true, Ordering::Release);
        }
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

//! The floor of everything that is kept: rows of random bytes in a bare SQLite database,
//! with the settings of the store and none of its work.

use std::cell::Cell;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context as _;
use cog_base::entropy::{Entropy as _, SeededEntropy};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use crate::meter::{Figures, Samples};
use crate::options::Options;
use crate::system::Scratch;
use crate::usage;

const WAL_BYTES: usize = 16 * 1024 * 1024;
const PAGES_MAX: u32 = 1_000;
/// Random bytes that rows are cut from.
const NOISE: usize = 1 << 20;

thread_local! {
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

/// What one commit has: so many rows of so many bytes, as averages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Rows of the first table.
    pub(crate) entries: f64,
    /// Bytes of each.
    pub(crate) entry_bytes: f64,
    /// Rows of the second table.
    pub(crate) bodies: f64,
    /// Bytes of each.
    pub(crate) body_bytes: f64,
    /// What a commit counts for.
    pub(crate) operations: f64,
}

/// A bare table.
pub(crate) struct Bare {
    shape: Shape,
    /// The parts of rows that earlier commits left over.
    owed: [f64; 2],
    db: Arc<Mutex<Connection>>,
    noise: Vec<u8>,
    next: i64,
    cursor: usize,
    copier: Option<(SyncSender<()>, JoinHandle<()>)>,
}

/// Commit for some seconds, if floors are wanted. Times are those of commits.
pub(crate) fn measure(options: &Options, shape: Shape) -> anyhow::Result<Option<Figures>> {
    if options.alone {
        return Ok(None);
    }
    let seconds = options.seconds;
    let scratch = Scratch::new(&options.data, "bare")?;
    let mut bare = Bare::open(scratch.path(), shape)?;
    let mut samples = Samples::default();
    let (mut cpu, mut start) = (usage::cpu(), Instant::now());
    let mut is_warm = false;
    loop {
        let began = Instant::now();
        bare.commit(1)?;
        samples.note(began.elapsed());
        let elapsed = start.elapsed().as_secs_f64();
        if !is_warm && elapsed > seconds / 10.0 {
            (cpu, start, samples, is_warm) =
                (usage::cpu(), Instant::now(), Samples::default(), true);
        } else if elapsed > seconds {
            break;
        }
    }
    let (wall, cpu) = (start.elapsed(), usage::cpu().saturating_sub(cpu));
    let operations = (samples.len() as f64 * shape.operations) as u64;
    Ok(Some(samples.figures(operations, wall, cpu)))
}

impl Bare {
    /// Empty tables in a folder, for commits of this shape.
    pub(crate) fn open(folder: &Path, shape: Shape) -> anyhow::Result<Self> {
        Self::create(&folder.join("bare.db"), shape).context("the bare table")
    }

    fn create(path: &Path, shape: Shape) -> anyhow::Result<Self> {
        let db = connect(path)?;
        db.pragma_update(None, "page_size", 8_192)?;
        db.execute_batch(
            "CREATE TABLE entry (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
             CREATE TABLE body (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;",
        )?;
        db.pragma_update(None, "journal_mode", "wal")?;
        drop(db);
        let wal = format!("{}-wal", path.display());
        let file = std::fs::File::create(&wal)?;
        std::io::Write::write_all(&mut &file, &vec![0; WAL_BYTES])?;
        file.sync_all()?;
        let db = connect(path)?;
        db.wal_hook(Some(|_, pages| {
            PAGES.set(u32::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        let db = Arc::new(Mutex::new(db));
        let (wake, woken) = sync_channel(1);
        let (copying, writing) = (connect(path)?, Arc::clone(&db));
        let thread = std::thread::spawn(move || copy(&copying, &writing, &woken));
        let mut noise = vec![0; NOISE];
        SeededEntropy::new(1).fill(&mut noise)?;
        let (owed, copier) = ([0.0; 2], Some((wake, thread)));
        Ok(Self { shape, owed, db, noise, next: 0, cursor: 0, copier })
    }

    /// So many times the rows of its shape, in one commit.
    pub(crate) fn commit(&mut self, times: usize) -> anyhow::Result<()> {
        let shape = self.shape;
        let mut rows = [0_usize; 2];
        let each = [shape.entries, shape.bodies];
        for ((owed, each), rows) in self.owed.iter_mut().zip(each).zip(&mut rows) {
            *owed += each * times as f64;
            *rows = *owed as usize;
            *owed -= *rows as f64;
        }
        let bytes = [shape.entry_bytes as usize, shape.body_bytes as usize];
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let tables = [
                tx.prepare_cached("INSERT INTO entry VALUES (?1, ?2)")?,
                tx.prepare_cached("INSERT INTO body VALUES (?1, ?2)")?,
            ];
            for ((mut insert, rows), bytes) in tables.into_iter().zip(rows).zip(bytes) {
                for _ in 0..rows {
                    self.next += 1;
                    self.cursor = (self.cursor + 4_099) % (NOISE / 2);
                    let end = (self.cursor + bytes).min(NOISE);
                    insert.execute((self.next, self.noise.get(self.cursor..end)))?;
                }
            }
        }
        tx.commit()?;
        drop(db);
        if PAGES.get() >= PAGES_MAX
            && let Some((wake, _)) = &self.copier
        {
            // It is at it already, then.
            let _ = wake.try_send(());
        }
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if let Some((wake, thread)) = self.copier.take() {
            drop(wake);
            // A panic there has told its story.
            let _ = thread.join();
        }
    }
}

/// Copies the log into the database as the store does: beside the commits, but for the rest.
fn copy(db: &Connection, writing: &Mutex<Connection>, woken: &Receiver<()>) {
    let pass = || db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    while woken.recv().is_ok() {
        let (Ok(()), Ok(())) = (pass(), pass()) else { continue };
        let _held = writing.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be copied now is copied at the next turn.
        let _ = pass();
    }
}

fn connect(path: &Path) -> anyhow::Result<Connection> {
    let db = Connection::open(path)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let settings = [
        ("synchronous", 2),
        ("wal_autocheckpoint", 0),
        ("cache_size", -16_384),
        ("secure_delete", 1),
        ("cell_size_check", 1),
        ("temp_store", 2),
    ];
    for (name, value) in settings {
        // Some settings answer with a row, some do not.
        match db.pragma_update_and_check(None, name, value, |_| Ok(())) {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(db)
}

//! What can go wrong with a store, and what to do about it.

use std::path::{Path, PathBuf};

use cog_base::entropy::NoEntropy;
use cog_base::id::TenantId;
use cog_ledger::ShelfError;

/// What a database or file system said.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A store did not do what was asked. What was acknowledged before stays kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes to the same folder.
    #[error("the data folder `{}` is being written by process {holder}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process id that holds the lock, as far as it can be known.
        holder: String,
    },
    /// The one shelf of this store is out already.
    #[error("this store has a writer already; there is one at a time")]
    WriterTaken,
    /// A write to a store that was opened for reading.
    #[error("this store is open for reading only")]
    ReadOnly,
    /// There is no store here to read.
    #[error("there is no data in the folder `{}`", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// Others than the owner can get at the keys.
    #[error("`{}` has mode {mode:04o}: others than its owner can get at the keys; the mode must be {wanted:04o}", path.display())]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they must be.
        wanted: u32,
    },
    /// The data are there, the key they are sealed with is not.
    #[error("the key file `{}` is missing or has not 32 bytes any more, and the data in this folder are sealed with it", path.display())]
    NoMasterKey {
        /// Where the key should be.
        path: PathBuf,
    },
    /// There is a key, and it is not the one that the data are sealed with.
    #[error("the key file `{}` is not the one that the data in this folder are sealed with", path.display())]
    OtherKeyFile {
        /// Where the key is.
        path: PathBuf,
    },
    /// The log was longer than it is now.
    #[error(
        "the log of {tenant} had {was} entries and now has {now}: an old backup was restored, or entries were removed"
    )]
    RolledBack {
        /// Whose log.
        tenant: TenantId,
        /// How many entries are known to have been committed.
        was: u64,
        /// How many there are.
        now: u64,
    },
    /// The log has entries and nothing says how long it is known to have been.
    #[error(
        "the log of {tenant} has {now} entries and `{}` does not say how many it had: the mark was removed, or the folder was put together from copies", path.display()
    )]
    NoMark {
        /// Whose log.
        tenant: TenantId,
        /// How many entries there are.
        now: u64,
        /// The file of marks.
        path: PathBuf,
    },
    /// A batch does not begin where the log ends. Nothing of it was kept.
    #[error("a batch begins at {first} where the log of {tenant} has {size} entries")]
    HeadMoved {
        /// Whose log.
        tenant: TenantId,
        /// Where the batch begins.
        first: u64,
        /// How many entries are kept.
        size: u64,
    },
    /// Another node writes the log of this tenant. Nothing of the write was kept.
    #[error("the log of {tenant} is not this node's to write: it is owned by {owner}")]
    Owned {
        /// Whose log.
        tenant: TenantId,
        /// The node that owns it now, or that nobody does.
        owner: String,
    },
    /// The tenant is not in this database, or is just leaving it. Nothing of the write was
    /// kept. Whoever asks looks again where it is.
    #[error(
        "the ledger of {tenant} is in the database `{to}`, or on its way between it and this one"
    )]
    Moved {
        /// Whose.
        tenant: TenantId,
        /// What the other database is called.
        to: String,
    },
    /// Somebody else delivers to this consumer now. The cursor is where they leave it.
    #[error("the cursor of `{consumer}` over the log of {tenant} was taken by somebody else")]
    Overtaken {
        /// Whose log.
        tenant: TenantId,
        /// Which consumer.
        consumer: String,
    },
    /// The database server cannot be reached, or has not answered. A write that fails so was
    /// not kept.
    #[error("could not {doing}: the database server is not there")]
    Unreachable {
        /// What was tried, as an infinitive.
        doing: String,
        /// What the connection said.
        #[source]
        source: Cause,
    },
    /// The server was lost in the middle of a commit and did not come back in time to say
    /// whether it was kept. Whoever goes on reads the log first.
    #[error(
        "the database server was lost in the middle of a commit: whether it was kept is not known"
    )]
    Unknown {
        /// What the connection said.
        #[source]
        source: Cause,
    },
    /// The data are sealed with another master key.
    #[error("the data are sealed with another master key than the one given")]
    OtherMasterKey,
    /// The database role could get around what keeps tenants apart.
    #[error("the database role `{role}` {why}; row-level security does not bind it")]
    Unbound {
        /// The role.
        role: String,
        /// What it is or may do.
        why: String,
    },
    /// The file was made by something else.
    #[error("`{}` is not a CognitionOS ledger", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file was made by a later release.
    #[error("the data have format {found}, this release knows formats up to {known}")]
    TooNew {
        /// The format of the data.
        found: i64,
        /// The latest that this release knows.
        known: i64,
    },
    /// The file was made by an earlier release whose format is not read any more.
    #[error("the data have format {found}, this release reads formats from {known} on")]
    TooOld {
        /// The format of the data.
        found: i64,
        /// The earliest that this release reads.
        known: i64,
    },
    /// What is kept does not hold together.
    #[error("the kept data are damaged: {what}")]
    Corrupt {
        /// What was found.
        what: String,
        /// What the database said, if it was it that noticed.
        #[source]
        source: Option<Cause>,
    },
    /// The disk or quota is full. Nothing of the write was kept.
    #[error("the disk is full; nothing of this write was kept")]
    Full {
        /// What the database said.
        #[source]
        source: Cause,
    },
    /// Somebody else holds the database. Nothing of the write was kept.
    #[error("the database is locked by another program")]
    Busy {
        /// What the database said.
        #[source]
        source: Cause,
    },
    /// What was erased or pruned cannot be read any more, and its bytes stand in the files until
    /// they are written over.
    #[error(
        "it is done and on record, but its bytes are still in the files of `{}`: another program reads the database as it was before", folder.display()
    )]
    Unwiped {
        /// The folder.
        folder: PathBuf,
    },
    /// Reading or writing failed below the store.
    #[error("could not {doing}")]
    Io {
        /// What was tried, as an infinitive.
        doing: String,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// More than one call may ask for, or more than the store can ever hold.
    #[error("{asked} {what} are more than the {max} allowed")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        asked: u64,
        /// How many are allowed.
        max: u64,
    },
    /// No randomness for a key or a nonce.
    #[error("could not seal what is to be kept")]
    NoEntropy(#[from] NoEntropy),
}

impl StoreError {
    /// Damage that the store itself noticed.
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), source: None }
    }

    /// A failure of the system while doing something, said as an infinitive.
    pub fn io(doing: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Io { doing: doing.into(), source: source.into() }
    }

    /// Whether nothing was kept and trying again may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Full { .. } | Self::Unreachable { .. } => true,
            Self::InUse { .. }
            | Self::WriterTaken
            | Self::ReadOnly
            | Self::Missing { .. }
            | Self::Permissions { .. }
            | Self::NoMasterKey { .. }
            | Self::OtherKeyFile { .. }
            | Self::RolledBack { .. }
            | Self::NoMark { .. }
            | Self::HeadMoved { .. }
            | Self::Owned { .. }
            | Self::Moved { .. }
            | Self::Overtaken { .. }
            | Self::Unknown { .. }
            | Self::OtherMasterKey
            | Self::Unbound { .. }
            | Self::NotOurs { .. }
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::Corrupt { .. }
            | Self::Unwiped { .. }
            | Self::Io { .. }
            | Self::TooMuch { .. }
            | Self::NoEntropy(_) => false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::InUse { holder, .. } => {
                format!(
                    "Wait until process {holder} ends or stop it, or name another folder with --data."
                )
            }
            Self::WriterTaken => {
                "Use the committer that is there; drop it before taking another.".into()
            }
            Self::ReadOnly => "Open the store for writing.".into(),
            Self::Missing { .. } => "Check --data; a first run makes the folder.".into(),
            Self::Permissions { path, wanted, .. } => {
                format!("Run: chmod {wanted:o} '{}'", path.display())
            }
            Self::NoMasterKey { path } | Self::OtherKeyFile { path } => put_back(path),
            Self::RolledBack { .. } => ROLLED_BACK.into(),
            Self::NoMark { path, .. } => mark_again(path),
            Self::HeadMoved { .. } => {
                "Only one writer may append to a log; read its end again.".into()
            }
            Self::Owned { .. } => {
                "Send the work to the node that owns the tenant, or claim it when that node is \
                 gone."
                    .into()
            }
            Self::Moved { to, .. } => name_it_too(to),
            Self::Overtaken { .. } => "Take the cursor anew to deliver from here again.".into(),
            Self::Unreachable { .. } => {
                "Check that the server runs and that its address is right; work goes on by \
                 itself when it is back."
                    .into()
            }
            Self::Unknown { .. } => {
                "Start the node again when the server is back; runs go on where the ledger ends."
                    .into()
            }
            Self::OtherMasterKey => {
                "Give the master key that the data were first opened with.".into()
            }
            Self::Unbound { .. } => {
                "Connect as the application role, which owns nothing and has no BYPASSRLS; only \
                 migrations run as the owner."
                    .into()
            }
            Self::NotOurs { .. } => "Name another folder with --data.".into(),
            Self::TooNew { .. } => {
                "Use a release at least as new as the one that wrote the data.".into()
            }
            Self::TooOld { .. } => "Export it with the release that wrote it; begin anew.".into(),
            Self::Corrupt { .. } => {
                "Change nothing, keep a copy of the folder, and see what still holds: \
                 cognitionos ledger verify. Then put a copy from before the damage in its place."
                    .into()
            }
            Self::Full { .. } => "Free some space, then go on where the ledger ends: run --resume.".into(),
            Self::Busy { .. } => "Close the other program that has the database open.".into(),
            Self::Unwiped { .. } => UNWIPED.into(),
            Self::Io { .. } => {
                "Check what the cause names: the disk and the rights on the folder, or the address of \
                 the database and the rights of its roles. Then start again."
                    .into()
            }
            Self::TooMuch { max, .. } => format!("Ask for at most {max}."),
            Self::NoEntropy(_) => {
                "The system gives no randomness; nothing may go on without it.".into()
            }
        }
    }
}

/// What to do about a reader that keeps what was removed in the files.
const UNWIPED: &str = "End what reads ledger.db, such as a backup or a database tool, and give the \
                       same command again: it writes over them.";
/// What to do about a log that is shorter than it was.
const ROLLED_BACK: &str = "Put the newer data back if you have them. If the backup was restored on \
                           purpose: cognitionos ledger accept-restore. Whoever holds a later signed \
                           head will see that history was lost.";

/// What to do when a tenant is in another database.
fn name_it_too(to: &str) -> String {
    format!(
        "Name the database `{to}` too, with --database {to}=FILE, where FILE holds its address; if \
         it is named, try again in a moment."
    )
}

/// What to do when the mark of a log is gone.
fn mark_again(path: &Path) -> String {
    format!(
        "Put the file back from the newest copy of this folder: cp COPY/keys/high-water '{}'. If \
         there is none, and what is here is the newest that you have: cognitionos ledger \
         accept-restore, which looks whether all of it holds and makes the mark.",
        path.display()
    )
}

/// What to do when the key file is not the one that it was.
fn put_back(path: &Path) -> String {
    format!(
        "Put the key back from a copy of this folder: cp COPY/keys/master.key '{0}' && chmod 600 \
         '{0}'. Nothing was changed, and nothing opens with any other key: without it this ledger \
         cannot be read or gone on with. Bundles exported before can still be checked; to begin \
         anew, name another folder with --data.",
        path.display()
    )
}

impl From<StoreError> for ShelfError {
    fn from(error: StoreError) -> Self {
        Self { transient: error.is_transient(), source: Box::new(error) }
    }
}

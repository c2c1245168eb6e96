//! The ledger that a command is about: that of the data folder, with its keys and bodies, or one
//! in the database that nodes share.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks at its data folder")]

mod pruned;
mod queued;
mod recording;
mod unfinished;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use cog_base::Clock as _;
use cog_base::Digest;
use cog_base::id::{RunId, TenantId};
use cog_canon::{Canon, Source};
use cog_embed::{Error, read, replays};
use cog_engine::replay::{Canons, replay_run};
use cog_engine::{Parent, Record};
use cog_gate::change::ChangeControl;
use cog_ledger::audit::Erasures;
use cog_ledger::{Draft, Entry, Kind, Writer};
use cog_store::{Committer, Files, Keep, Select, Store as _, StoreError, TenantTx};
use cog_store_postgres::Databases;
use cog_store_sqlite::{Mode, SqliteStore};

pub(crate) use self::queued::Stands;
use crate::cli::nodes::{Asking, At};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::shared::{self, is_of_the_folder, whose};
use crate::system::{SystemClock, SystemEntropy};

/// What entries name as the program that wrote them.
pub(crate) const ENGINE: &str = concat!("cognitionos/", env!("CARGO_PKG_VERSION"));

/// How many of the newest entries are looked at before anything is written: the start of a run
/// must stay quick.
const LOOKED_AT: u64 = 32;
/// How long it is waited for the owner of a ledger in the database where nobody says it, in seconds.
const TIMEOUT: u64 = 30;
/// What to do about damage.
const SEE_WHAT_HOLDS: &str = "cognitionos ledger verify\nIt tells all that is damaged, what \
    still holds, and what to do; until then keep a copy of the folder and change nothing in it";

/// A ledger, open.
pub(crate) struct Home {
    store: Stored,
    pub(crate) tenant: TenantId,
    /// How long it is waited for the node that owns the ledger, in seconds.
    timeout: u64,
    /// How many entries there were before anything was read to decide by.
    seen: AtomicU64,
}

/// Where it is kept.
enum Stored {
    Folder(SqliteStore),
    Database(Databases),
}

impl Home {
    /// The ledger in the database that is named, else that of the folder.
    pub(crate) fn at(
        at: &At,
        folder: impl FnOnce() -> anyhow::Result<Self>,
    ) -> anyhow::Result<Self> {
        let Some(tenant) = whose(at)? else { return folder() };
        let store = Stored::Database(shared::open(&at.shared, "look")?);
        let home = Self { store, tenant, timeout: TIMEOUT, seen: AtomicU64::new(0) };
        home.seen.store(home.size()?, Ordering::Relaxed);
        Ok(home)
    }

    /// The same, to change something in it.
    pub(crate) fn asking(
        asking: &Asking,
        folder: impl FnOnce() -> anyhow::Result<Self>,
    ) -> anyhow::Result<Self> {
        let home = Self::at(&asking.at, folder)?;
        Ok(Self { timeout: asking.timeout, ..home })
    }

    /// That of a folder that is open.
    pub(crate) fn of(store: SqliteStore, tenant: TenantId) -> Self {
        Self { store: Stored::Folder(store), tenant, timeout: 0, seen: AtomicU64::new(0) }
    }

    /// The store of the folder: what a database has no like of, or nobody but its owner does.
    pub(crate) fn folder(&self) -> anyhow::Result<&SqliteStore> {
        match &self.store {
            Stored::Folder(store) => Ok(store),
            Stored::Database(_) => Err(not_of_nodes()),
        }
    }

    /// The same and whose ledger is in it, for whoever keeps it open.
    pub(crate) fn into_folder(self) -> anyhow::Result<(SqliteStore, TenantId)> {
        match self.store {
            Stored::Folder(store) => Ok((store, self.tenant)),
            Stored::Database(_) => Err(not_of_nodes()),
        }
    }

    /// What may be put into the store and taken out, wherever it is.
    pub(crate) fn keep(&self) -> &dyn Keep {
        match &self.store {
            Stored::Folder(store) => store,
            Stored::Database(store) => store,
        }
    }

    /// The database that it is in: whoever wants to change anything asks the owner of the log.
    pub(crate) fn database(&self) -> anyhow::Result<&Databases> {
        match &self.store {
            Stored::Folder(_) => Err(Failure::advise(
                Exit::BadInput,
                "this is done in the database that nodes share, and not in a data folder",
                "--tenant TENANT, and --database-url URL",
            )),
            Stored::Database(store) => Ok(store),
        }
    }

    /// Whether it is in the database that nodes share.
    pub(crate) const fn is_of_nodes(&self) -> bool {
        matches!(self.store, Stored::Database(_))
    }

    /// What brings a run on when whoever has it in hand does not: a command.
    pub(crate) fn brings_on(&self, run: RunId) -> String {
        match &self.store {
            Stored::Folder(_) => format!("cognitionos run --resume {run}"),
            Stored::Database(_) => format!("cognitionos why {run}"),
        }
    }

    /// Open the folder for reading; it must exist.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let home = Self::open(dir, Mode::ReadOnly)?;
        if home.unfinished()?.is_some() {
            // Whoever writes here now has finished it already; where nobody may write, the
            // ledger is read as it is.
            drop(Self::write(dir));
        }
        Ok(home)
    }

    /// Open the folder to see how it stands, also when nothing else can be done with it.
    pub(crate) fn look(dir: &Path) -> anyhow::Result<Self> {
        Self::read(dir).or_else(|_| Self::open(dir, Mode::ReadOnly))
    }

    /// Open the folder for writing; it is made if it does not exist. A pruning or an erasure that was
    /// recorded and then cut short is finished.
    ///
    /// # Errors
    /// When what is looked at before anything is written is damaged: see [`SqliteStore::look`].
    pub(crate) fn write(dir: &Path) -> anyhow::Result<Self> {
        let home = Self::open(dir, Mode::ReadWrite)?;
        home.sound()?;
        if let Some(left) = home.unfinished()? {
            home.finish(&left)?;
        }
        Ok(home)
    }

    /// Go no further over a ledger whose end, key, open runs or newest entries are damaged.
    fn sound(&self) -> anyhow::Result<()> {
        let findings = self.folder()?.look(self.tenant, LOOKED_AT).map_err(told)?;
        let Some(first) = findings.kept().first() else { return Ok(()) };
        let place = first.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
        let more = match findings.total() {
            1 => String::new(),
            total => format!(" (and {} more)", total - 1),
        };
        let message = format!(
            "the ledger is damaged, and nothing goes on over it: {place}{}{more}",
            first.message
        );
        Err(Failure::coded(Exit::Failed, first.code, message, SEE_WHAT_HOLDS))
    }

    /// Open the folder for writing; it must exist.
    pub(crate) fn change(dir: &Path) -> anyhow::Result<Self> {
        Self::read(dir)?;
        Self::write(dir)
    }

    /// Open the folder as it is.
    ///
    /// # Errors
    /// Also when a setting says that commands are about a ledger in the database.
    pub(crate) fn open(dir: &Path, mode: Mode) -> anyhow::Result<Self> {
        is_of_the_folder()?;
        // A folder that may not be looked into is not one that is empty.
        if let Err(error) = std::fs::read_dir(dir)
            && error.kind() == ErrorKind::PermissionDenied
        {
            return Err(Failure::advise(
                Exit::Failed,
                format!("the data folder {} may not be opened: {error}", dir.display()),
                "sign in as its owner, or name another folder with --data",
            ));
        }
        let store = SqliteStore::open(dir, mode, Box::new(SystemEntropy::new())).map_err(told)?;
        let tenant = match store.tenants().map_err(told)?.first() {
            Some(tenant) => *tenant,
            None => TenantId::new(SystemClock.now(), &mut SystemEntropy::new())?,
        };
        Ok(Self::of(store, tenant))
    }

    /// The group committer. There is one for each open folder.
    pub(crate) fn committer(&self) -> anyhow::Result<Committer> {
        let store = self.folder()?;
        let shelf = store.shelf().map_err(told)?;
        let keys = store.signing_keys().map_err(told)?;
        let writer = Writer::new(shelf, keys, ENGINE);
        Ok(Committer::spawn(writer, Arc::new(SystemClock), Box::new(SystemEntropy::new())))
    }

    /// The tenant's part of the store, as it is now.
    pub(crate) fn scope(&self) -> anyhow::Result<Box<dyn TenantTx + '_>> {
        let scope = match &self.store {
            Stored::Folder(store) => store.scope(self.tenant),
            Stored::Database(store) => store.scope(self.tenant),
        };
        scope.map_err(told)
    }

    /// The run itself, or the last one so far of the chain that it began or was continued in: what
    /// concerns an open run concerns that.
    pub(crate) fn newest_of(&self, run: RunId) -> anyhow::Result<RunId> {
        let newest = cog_engine::again::newest(self.scope()?.as_ref(), run).map_err(told)?;
        Ok(newest.map_or(run, |(newest, _)| newest))
    }

    /// Have what is recorded of runs sealed under the keys of those whose data they hold.
    pub(crate) fn seal(&self, drafts: &mut [Draft]) -> anyhow::Result<()> {
        for draft in drafts.iter_mut().filter(|draft| draft.body.is_some()) {
            let Some(run) = draft.session else { continue };
            let scope = self.scope()?;
            let Some(session) = scope.session(run).map_err(told)? else { continue };
            let Some(entry) = scope.entry(session.first).map_err(told)? else { continue };
            if draft.kind == Kind::ApprovalRejected {
                let request = draft.data.get("id").and_then(|id| id.as_text()?.parse().ok());
                let history = replay_run(&history(&*scope, run)?).ok();
                draft.about(request.and_then(|id| history.as_ref()?.subject_of(id)));
            }
            let body = record(&*scope, entry)?.body;
            draft.about(body.as_ref().and_then(cog_engine::start::subject_in));
        }
        Ok(())
    }

    /// Which canon is in force where, and what is proposed.
    pub(crate) fn change_control(&self) -> anyhow::Result<ChangeControl> {
        let mut change = ChangeControl::default();
        self.each(Select { kinds: ChangeControl::KINDS.into(), ..Select::default() }, |entry| {
            change.observe(entry);
        })?;
        Ok(change)
    }

    /// Every entry that is asked for, page by page.
    pub(crate) fn each(&self, select: Select, mut take: impl FnMut(&Entry)) -> anyhow::Result<()> {
        self.scope()?.each(select, &mut take).map_err(told)
    }

    /// How many entries there are.
    pub(crate) fn size(&self) -> anyhow::Result<u64> {
        Ok(self.scope()?.tail().map_err(told)?.map_or(0, |tail| tail.frontier.size()))
    }

    /// A run's entries with their bodies, oldest first.
    pub(crate) fn records(&self, run: RunId) -> anyhow::Result<Vec<Record>> {
        let records = read::records(&*self.scope()?, run, u64::MAX).map_err(unmade)?;
        if records.is_empty() { Err(self.unknown(run)?) } else { Ok(records) }
    }

    /// A run's records behind those of the runs it was forked from: what it is rebuilt from.
    pub(crate) fn history(&self, run: RunId) -> anyhow::Result<Vec<Record>> {
        let records = history(&*self.scope()?, run)?;
        if records.is_empty() { Err(self.unknown(run)?) } else { Ok(records) }
    }

    /// The number of the newest entry of a run of these kinds that `is` the one.
    pub(crate) fn newest(
        &self,
        run: RunId,
        kinds: &[Kind],
        is: impl Fn(&Entry) -> bool,
    ) -> anyhow::Result<Option<u64>> {
        let newest_first = true;
        let select = Select { kinds: kinds.into(), newest_first, ..Select::session(run) };
        let entries = self.scope()?.select(&select).map_err(told)?;
        Ok(entries.iter().find(|entry| is(entry)).map(Entry::seq))
    }

    /// The records of a run that somebody wants something of: it is open.
    ///
    /// # Errors
    /// When it has ended, whatever of it was erased since; and when a body is missing that no
    /// entry accounts for.
    pub(crate) fn open_records(&self, run: RunId) -> anyhow::Result<Vec<Record>> {
        let records = self.history(run)?;
        let last = records.last().map(|last| &last.entry);
        if let Some(seal) = last.filter(|last| last.kind() == Kind::SessionSealed) {
            return Err(has_ended(run, seal.text("status").unwrap_or_default()));
        }
        self.complete(&records)?;
        Ok(records)
    }

    /// Refuse a run that is not open.
    pub(crate) fn is_open(&self, run: RunId) -> anyhow::Result<()> {
        let session = self.scope()?.session(run).map_err(told)?;
        match session.map(|session| session.status) {
            None => Err(self.unknown(run)?),
            Some(Some(status)) => Err(has_ended(run, &status)),
            Some(None) => Ok(()),
        }
    }

    /// Refuse a run of which there is no entry.
    pub(crate) fn knows(&self, run: RunId) -> anyhow::Result<()> {
        let one = Select { limit: 1, ..Select::session(run) };
        let found = self.scope()?.select(&one).map_err(told)?;
        if found.is_empty() { Err(self.unknown(run)?) } else { Ok(()) }
    }

    /// Which bodies were erased, as entries say.
    pub(crate) fn erasures(&self) -> anyhow::Result<Erasures> {
        read::erasures(&*self.scope()?).map_err(unmade)
    }

    /// Why the body that a record should have is not here, in words, and whether that is damage.
    pub(crate) fn gone(&self, record: &Record) -> anyhow::Result<Option<(String, bool)>> {
        if record.body.is_some() || record.entry.commit().is_none() {
            return Ok(None);
        }
        let (erasures, seq) = (self.erasures()?, record.entry.seq());
        let gone = match erasures.of(seq) {
            Some(by) => (format!("erased, as entry {by} says"), false),
            None if erasures.explains(seq) => ("erased".to_owned(), false),
            None => ("body.absent: missing, and no entry says that it was erased".to_owned(), true),
        };
        Ok(Some(gone))
    }

    /// What somebody typed about an entry, or that it is not here any more. Empty where there is none.
    pub(crate) fn said(&self, record: &Record) -> anyhow::Result<String> {
        if let Some(said) = record.said() {
            return Ok(said.to_owned());
        }
        Ok(self.gone(record)?.map(|(why, _)| format!("({why})")).unwrap_or_default())
    }

    /// Refuse records of which a body is missing that no entry accounts for.
    pub(crate) fn complete(&self, records: &[Record]) -> anyhow::Result<()> {
        read::complete(&*self.scope()?, records).map_err(unmade)
    }

    /// Refuse entries without a body when no entry says that it was erased.
    pub(crate) fn accounted(&self, absent: &[u64]) -> anyhow::Result<()> {
        read::accounted(&*self.scope()?, absent).map_err(unmade)
    }

    /// An entry with its body.
    pub(crate) fn record(&self, entry: Entry) -> anyhow::Result<Record> {
        record(&*self.scope()?, entry)
    }

    /// Keep the files of a canon, so that decisions under it can be recomputed.
    pub(crate) fn keep_canon(&self, source: &Source, digest: Digest) -> anyhow::Result<()> {
        let mut files = Files::new();
        for (path, bytes) in source.files() {
            let text = String::from_utf8(bytes.clone())
                .with_context(|| format!("the canon's file {path} is not UTF-8"))?;
            files.insert(path.clone(), text);
        }
        self.keep().put_canon(self.tenant, digest, &files).map_err(told)
    }

    /// A kept version of canon.
    pub(crate) fn canon(&self, digest: Digest) -> anyhow::Result<Option<Canon>> {
        replays::canon(&*self.scope()?, digest).map_err(unmade)
    }

    /// Every kept version that was ever in force.
    pub(crate) fn canons(&self) -> anyhow::Result<Canons> {
        replays::canons(&*self.scope()?).map_err(unmade)
    }

    /// The newest run that no other began, if there is one.
    pub(crate) fn newest_run(&self) -> anyhow::Result<Option<RunId>> {
        let (scope, kinds) = (self.scope()?, vec![Kind::SessionStarted]);
        let mut select = Select { kinds, newest_first: true, ..Select::default() };
        loop {
            let page = scope.select(&select).map_err(told)?;
            let Some(last) = page.last() else { return Ok(None) };
            if let Some(first) = page.iter().find(|entry| Parent::of(entry).is_none()) {
                return Ok(first.session());
            }
            select = select.after(last);
        }
    }
}

fn has_ended(run: RunId, status: &str) -> anyhow::Error {
    let message = format!("{run} has ended, {status}; a sealed run cannot go on");
    Failure::advise(Exit::Conflict, message, format!("cognitionos why {run}"))
}

fn not_of_nodes() -> anyhow::Error {
    let why = "this is done in a data folder, and not in the database that nodes share";
    Failure::told(Exit::BadInput, why)
}

/// Whether people type something about entries of this kind: a reason or a note, in the body.
pub(crate) const fn is_said(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::CanonProposed
            | Kind::CanonRejected
            | Kind::ApprovalRejected
            | Kind::SessionPaused
            | Kind::SessionUnpaused
            | Kind::SessionUnqueued
            | Kind::Evidence
            | Kind::BodiesErased
            | Kind::SegmentPruned
    )
}

/// A run's records behind those of the runs it was forked from; none when there is no such run.
pub(crate) fn history(scope: &dyn TenantTx, run: RunId) -> anyhow::Result<Vec<Record>> {
    read::history(scope, run).map_err(unmade)
}

/// An entry with its body.
pub(crate) fn record(scope: &dyn TenantTx, entry: Entry) -> anyhow::Result<Record> {
    read::record(scope, entry).map_err(unmade)
}

/// The files of a canon that is needed are not here.
pub(crate) fn no_canon(digest: impl Into<Option<Digest>>) -> anyhow::Error {
    let digest = digest.into().map(|digest| format!(", {digest},")).unwrap_or_default();
    Failure::coded(
        Exit::Failed,
        "canon.missing",
        format!("the files of the canon in force{digest} are not kept here any more"),
        "cognitionos run WORKFLOW --canon DIR\nwhere DIR, or the folder `canon` beside the \
         workflow, holds exactly that version: its digest is compared, and its files are kept \
         again; nothing is recorded",
    )
}

/// A store's error with what to do about it.
pub(crate) fn told(error: StoreError) -> anyhow::Error {
    let exit = if matches!(
        error,
        StoreError::InUse { .. } | StoreError::WriterTaken | StoreError::Unwiped { .. }
    ) {
        Exit::Conflict
    } else if matches!(error, StoreError::Missing { .. } | StoreError::TooMuch { .. }) {
        Exit::BadInput
    } else {
        Exit::Failed
    };
    let advice = error.advice();
    match code(&error) {
        // What the database said of its pages helps nobody.
        Some(code) => Failure::coded(exit, code, error, advice),
        None => Failure::advise(exit, Chain(&error), advice),
    }
}

/// An error of the library with what to do about it here, where nobody says more.
pub(crate) fn unmade(error: Error) -> anyhow::Error {
    if let Error::Store(error) = error {
        return told(error);
    } else if let Error::Canon { why: Some(why), .. } = error {
        return Failure::advise(Exit::Failed, format!("the kept canon: {why}"), SEE_WHAT_HOLDS);
    } else if let Error::Canon { digest, why: None } = error {
        return no_canon(digest);
    } else if let Error::Absent { .. } = error {
        return Failure::coded(Exit::Failed, "body.absent", error, SEE_WHAT_HOLDS);
    } else if let Error::Unreadable { .. } = error {
        return Failure::advise(Exit::Failed, error, SEE_WHAT_HOLDS);
    } else if let Error::NoRun(_) = error {
        return Failure::advise(Exit::BadInput, error, given::RUNS);
    }
    let advice = error.advice();
    Failure::advise(Exit::Failed, error, advice)
}

/// The stable word for what is wrong with the data themselves.
pub(crate) fn code(error: &StoreError) -> Option<&'static str> {
    if matches!(error, StoreError::Corrupt { .. }) {
        Some("store.damaged")
    } else if matches!(error, StoreError::NoMasterKey { .. }) {
        Some("key.missing")
    } else if matches!(error, StoreError::OtherKeyFile { .. }) {
        Some("key.other")
    } else if matches!(error, StoreError::RolledBack { .. }) {
        Some("store.rolled_back")
    } else if matches!(error, StoreError::NoMark { .. }) {
        Some("store.no_mark")
    } else {
        None
    }
}

/// An error with its causes on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

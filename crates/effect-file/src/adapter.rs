//! The adapter of `file.read`, `file.write` and `file.delete`.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cog_base::id::{ReceiptId, RunId};
use cog_base::{Micros, Value};
use cog_gate::effect::{FileDelete, FileRead, FileWrite, WriteMode};
use cog_gate::{Adapter, Cleared, Effect, Failure, Found, Performed, Work};

use crate::bound::{Admit, Bound};
use crate::error::failure;
use crate::path::Place;
use crate::read::{content_if_any, read_inside};
use crate::root::{BindError, Root, RootBinding};
use crate::write::{Change, Write, delete_inside, deleted, discard, write_inside, written};

type Roots = BTreeMap<String, Arc<Bound>>;

/// Reads, writes and deletes files inside the roots of the runs that were bound.
pub struct FileAdapter {
    bound: Mutex<BTreeMap<RunId, Roots>>,
    admit: Admit,
}

impl FileAdapter {
    /// An adapter without any root. `admit` is asked before a folder is opened or made after its
    /// run began; before that, whoever binds the run asks.
    #[must_use]
    pub fn new(admit: Admit) -> Self {
        Self { bound: Mutex::default(), admit }
    }

    /// Open the roots of a run, and make none: one that may be missing is made by the first effect
    /// that writes in it. They replace the ones it had.
    ///
    /// # Errors
    /// [`BindError`] when a folder cannot be opened, does not stand at its path but
    /// behind a link, or the kernel cannot confine paths to it. Then the run has the roots it
    /// had before.
    pub fn bind(
        &self,
        session: RunId,
        roots: &BTreeMap<String, RootBinding>,
    ) -> Result<(), BindError> {
        let open = |(name, binding): (&String, &RootBinding)| {
            Ok((name.clone(), Arc::new(Bound::new(name, binding, &self.admit)?)))
        };
        let roots = roots.iter().map(open).collect::<Result<Roots, BindError>>()?;
        self.bound().insert(session, roots);
        Ok(())
    }

    /// The open folder of a root, for an adapter that hands it to a program that has its receipt,
    /// and whether it may be changed: the very folder that files are written to. It is made if it
    /// is yet to be made.
    ///
    /// # Errors
    /// [`Failure`] when the run has no such root, its folder cannot be opened, or the process has
    /// too many files open.
    pub fn lend(&self, session: RunId, name: &str) -> Result<(OwnedFd, bool), Failure> {
        let bound = self.root(session, name)?;
        let folder = bound.made()?.lend().map_err(|error| {
            failure("file.io", format!("could not lend the folder of root `{name}`: {error}"))
        })?;
        Ok((folder, bound.may_write()))
    }

    /// Close the roots of a run that has ended.
    pub fn unbind(&self, session: RunId) {
        self.bound().remove(&session);
    }

    fn bound(&self) -> MutexGuard<'_, BTreeMap<RunId, Roots>> {
        // A panic elsewhere cannot leave the map half changed.
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn root(&self, session: RunId, name: &str) -> Result<Arc<Bound>, Failure> {
        let bound = self.bound();
        let roots = bound.get(&session).ok_or_else(|| {
            failure("file.not_bound", format!("the roots of {session} are not open"))
        })?;
        roots.get(name).cloned().ok_or_else(|| {
            let declared: Vec<&str> = roots.keys().map(String::as_str).collect();
            let declared = declared.join(", ");
            let message = format!("there is no root `{name}`; the run declares: {declared}");
            failure("file.unknown_root", message)
        })
    }

    async fn read(&self, cleared: Cleared<FileRead>) -> Performed<FileRead> {
        let effect = cleared.effect().clone();
        let work = match self.root(cleared.session(), &effect.root) {
            Ok(root) => {
                blocking(move || match root.there()? {
                    Some(root) => read_inside(&root, &effect.path),
                    None => root.read_absent(&effect.path),
                })
                .await
            }
            Err(failure) => Err(failure),
        };
        report(cleared, work.map(Change::Done))
    }

    async fn write(&self, cleared: Cleared<FileWrite>) -> Performed<FileWrite> {
        let effect = cleared.effect().clone();
        let receipt = cleared.idempotency_key();
        let work = match self.root(cleared.session(), &effect.root) {
            Ok(root) => {
                blocking(move || {
                    Place::parse(&effect.path)?;
                    let root = root.made()?;
                    let bytes = effect.content.bytes();
                    let (path, mode) = (effect.path.as_str(), effect.mode);
                    write_inside(&root, &Write { path, bytes: &bytes, mode, receipt })
                })
                .await
            }
            Err(failure) => Err(failure),
        };
        report(cleared, work)
    }

    async fn delete(&self, cleared: Cleared<FileDelete>) -> Performed<FileDelete> {
        let effect = cleared.effect().clone();
        let work = match self.root(cleared.session(), &effect.root) {
            Ok(root) => {
                blocking(move || match root.there()? {
                    Some(root) => delete_inside(&root, &effect.path),
                    None => absent(&effect.path, false.into()).map(Change::Done),
                })
                .await
            }
            Err(failure) => Err(failure),
        };
        report(cleared, work)
    }

    /// Look with `look` in a root of the run, or say what follows from there being no folder yet.
    /// When the run has no such root nobody can tell.
    async fn probe_root(
        &self,
        session: RunId,
        name: &str,
        look: impl FnOnce(Option<&Root>) -> Result<Found, Failure> + Send + 'static,
    ) -> Found {
        match self.root(session, name) {
            Ok(root) => {
                let look = move || look(root.there()?.as_deref());
                blocking(look).await.unwrap_or(Found::CannotTell)
            }
            Err(_) => Found::CannotTell,
        }
    }
}

impl Adapter<FileRead> for FileAdapter {
    fn perform(&self, cleared: Cleared<FileRead>) -> Work<'_, Performed<FileRead>> {
        Box::pin(self.read(cleared))
    }

    /// Reading again changes nothing, so a lost answer counts as not given.
    fn probe<'a>(
        &'a self,
        _effect: &'a FileRead,
        _session: RunId,
        _receipt: ReceiptId,
    ) -> Work<'a, Found> {
        Box::pin(std::future::ready(Found::NotDone))
    }
}

impl Adapter<FileWrite> for FileAdapter {
    fn perform(&self, cleared: Cleared<FileWrite>) -> Work<'_, Performed<FileWrite>> {
        Box::pin(self.write(cleared))
    }

    /// The file with the very content is there: done. It is missing, or an older content is
    /// still there that was to be replaced: not done. Another content where none was
    /// allowed: nobody can tell whether it was there before or came after.
    ///
    /// A program that takes files out of the root while the engine is down makes a done
    /// write look as if it was not: it must wait for the outcome in the ledger.
    ///
    /// The temporary file of this receipt goes: no try of it will come to show it.
    fn probe<'a>(
        &'a self,
        effect: &'a FileWrite,
        session: RunId,
        receipt: ReceiptId,
    ) -> Work<'a, Found> {
        let wanted = effect.clone();
        let look = move |root: Option<&Root>| probe_write(root, &wanted, receipt);
        Box::pin(self.probe_root(session, &effect.root, look))
    }
}

impl Adapter<FileDelete> for FileAdapter {
    fn perform(&self, cleared: Cleared<FileDelete>) -> Work<'_, Performed<FileDelete>> {
        Box::pin(self.delete(cleared))
    }

    /// The file is gone: done, with `existed` null, as nobody saw whether it was there.
    fn probe<'a>(
        &'a self,
        effect: &'a FileDelete,
        session: RunId,
        _receipt: ReceiptId,
    ) -> Work<'a, Found> {
        let path = effect.path.clone();
        Box::pin(self.probe_root(session, &effect.root, move |root: Option<&Root>| {
            probe_delete(root, &path)
        }))
    }
}

fn probe_write(
    root: Option<&Root>,
    wanted: &FileWrite,
    receipt: ReceiptId,
) -> Result<Found, Failure> {
    let place = Place::parse(&wanted.path)?;
    let Some(root) = root else { return Ok(Found::NotDone) };
    discard(root, &place, receipt);
    let bytes = wanted.content.bytes();
    Ok(match content_if_any(root, &place)? {
        Some(found) if found == bytes => Found::Done(written(&place, &bytes)),
        Some(_) if wanted.mode == WriteMode::Create => Found::CannotTell,
        Some(_) | None => Found::NotDone,
    })
}

/// What deleting comes to where there is no folder.
fn absent(path: &str, existed: Value) -> Result<Value, Failure> {
    Ok(deleted(&Place::parse(path)?, existed))
}

fn probe_delete(root: Option<&Root>, path: &str) -> Result<Found, Failure> {
    let place = Place::parse(path)?;
    let Some(root) = root else { return Ok(Found::Done(absent(path, Value::Null)?)) };
    Ok(match root.look(&place) {
        Ok(_) => Found::NotDone,
        Err(rustix::io::Errno::NOENT) => Found::Done(deleted(&place, Value::Null)),
        Err(_) => Found::CannotTell,
    })
}

fn report<E: Effect>(cleared: Cleared<E>, work: Result<Change, Failure>) -> Performed<E> {
    match work {
        Ok(Change::Done(output)) => cleared.done(output, Micros::ZERO),
        Ok(Change::Unsure) => cleared.unknown(),
        Err(failure) => cleared.failed(failure, Micros::ZERO),
    }
}

/// Do `work`, which waits for the disk, beside the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|stopped| {
            Err(failure("file.io", format!("the work on the file was stopped: {stopped}")))
        }),
        Err(_) => work(),
    }
}

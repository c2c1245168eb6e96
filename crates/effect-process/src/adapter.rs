//! The adapter of `process.run`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cog_base::Micros;
use cog_base::id::{ReceiptId, RunId};
use cog_gate::effect::ProcessRun;
use cog_gate::{Adapter, Cleared, Failure, Found, Performed, Work};

use crate::folder::WorkFolder;
use crate::sandbox::{Sandbox, failure};

type Folders = BTreeMap<String, Arc<WorkFolder>>;

/// Runs programs in the sandbox, inside the roots of the runs that were bound.
#[derive(Debug)]
pub struct ProcessAdapter {
    sandbox: Sandbox,
    bound: Mutex<BTreeMap<RunId, Folders>>,
}

impl ProcessAdapter {
    /// An adapter that enters the sandbox through `helper`: the absolute path of the
    /// product's own binary.
    #[must_use]
    pub fn new(helper: PathBuf) -> Self {
        Self { sandbox: Sandbox::new(helper), bound: Mutex::default() }
    }

    /// Lend these folders, by the names of their roots, to the programs of a run. They
    /// replace the ones it had.
    pub fn bind(&self, session: RunId, folders: BTreeMap<String, WorkFolder>) {
        let folders = folders.into_iter().map(|(name, folder)| (name, Arc::new(folder)));
        self.bound().insert(session, folders.collect());
    }

    /// Close the folders of a run that has ended.
    pub fn unbind(&self, session: RunId) {
        self.bound().remove(&session);
    }

    fn bound(&self) -> MutexGuard<'_, BTreeMap<RunId, Folders>> {
        // A panic elsewhere cannot leave the map half changed.
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(
        &self,
        session: RunId,
        name: Option<&str>,
    ) -> Result<Option<Arc<WorkFolder>>, Failure> {
        let Some(name) = name else { return Ok(None) };
        let bound = self.bound();
        let folder = bound.get(&session).and_then(|folders| folders.get(name)).cloned();
        folder.map(Some).ok_or_else(|| {
            failure("process.unknown_root", format!("{session} has no open root `{name}`"))
        })
    }

    async fn run(&self, cleared: Cleared<ProcessRun>) -> Performed<ProcessRun> {
        let (effect, receipt) = (cleared.effect(), cleared.idempotency_key());
        let ran = match self.folder(cleared.session(), effect.root.as_deref()) {
            Ok(folder) => self.sandbox.run(effect, folder.as_deref(), receipt).await,
            Err(failure) => Err(failure),
        };
        match ran {
            Ok(output) => cleared.done(output, Micros::ZERO),
            Err(failure) => cleared.failed(failure, Micros::ZERO),
        }
    }
}

impl Adapter<ProcessRun> for ProcessAdapter {
    fn perform(&self, cleared: Cleared<ProcessRun>) -> Work<'_, Performed<ProcessRun>> {
        Box::pin(self.run(cleared))
    }

    /// What a program did before a crash cannot be told from outside.
    fn probe<'a>(
        &'a self,
        _effect: &'a ProcessRun,
        _session: RunId,
        _receipt: ReceiptId,
    ) -> Work<'a, Found> {
        Box::pin(std::future::ready(Found::CannotTell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cog_base::Timestamp;
    use cog_base::entropy::SeededEntropy;
    use nix::fcntl::OFlag;
    use nix::sys::stat::Mode;

    #[test]
    fn a_root_is_lent_to_its_run_until_it_ends() {
        let run = |seed| RunId::new(Timestamp::default(), &mut SeededEntropy::new(seed)).unwrap();
        let adapter = ProcessAdapter::new("/nowhere".into());
        let code = |session, name| match adapter.folder(session, name) {
            Ok(folder) => folder.map_or("none", |_| "folder").to_owned(),
            Err(failure) => failure.code,
        };
        let root = nix::fcntl::open("/", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        let folder = WorkFolder::new(root, false);
        adapter.bind(run(1), [("box".to_owned(), folder)].into());
        assert_eq!(code(run(1), Some("box")), "folder");
        assert_eq!(code(run(1), None), "none");
        assert_eq!(code(run(1), Some("other")), "process.unknown_root");
        assert_eq!(code(run(2), Some("box")), "process.unknown_root");
        adapter.unbind(run(1));
        assert_eq!(code(run(1), Some("box")), "process.unknown_root");
    }
}

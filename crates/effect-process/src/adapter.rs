//! The adapter of `process.run`.

use std::path::PathBuf;
use std::sync::Arc;

use cog_base::Micros;
use cog_base::id::{ReceiptId, RunId};
use cog_gate::effect::ProcessRun;
use cog_gate::{Adapter, Cleared, Failure, Found, Performed, Work};

use crate::folder::WorkFolder;
use crate::sandbox::{Sandbox, failure};

/// Lends the folder of a root of a run to a program that has its receipt.
pub type Lend = Arc<dyn Fn(RunId, &str) -> Result<WorkFolder, Failure> + Send + Sync>;

/// Says whether nothing that no program may read lies in what every program sees
/// ([`crate::shown`]). An error says what does.
pub type Hidden = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Runs programs in the sandbox, inside the roots of the runs that were bound.
pub struct ProcessAdapter {
    sandbox: Sandbox,
    lend: Lend,
    hidden: Hidden,
}

impl ProcessAdapter {
    /// An adapter that enters the sandbox through `helper`: the absolute path of the product's own
    /// binary. Before each program `hidden` is asked, and then, for one with a root, `lend`.
    #[must_use]
    pub fn new(helper: PathBuf, lend: Lend, hidden: Hidden) -> Self {
        Self { sandbox: Sandbox::new(helper), lend, hidden }
    }

    /// What a program needs before it starts. It waits for the disk.
    async fn prepare(
        &self,
        session: RunId,
        root: Option<String>,
    ) -> Result<Option<WorkFolder>, Failure> {
        let (lend, hidden) = (Arc::clone(&self.lend), Arc::clone(&self.hidden));
        let prepared = tokio::task::spawn_blocking(move || {
            hidden().map_err(|why| failure("process.keys_shown", why))?;
            root.map(|root| lend(session, &root)).transpose()
        });
        prepared.await.unwrap_or_else(|stopped| {
            Err(failure("process.not_started", format!("it was stopped: {stopped}")))
        })
    }

    async fn run(&self, cleared: Cleared<ProcessRun>) -> Performed<ProcessRun> {
        let (effect, receipt) = (cleared.effect(), cleared.idempotency_key());
        let ran = match self.prepare(cleared.session(), effect.root.clone()).await {
            Ok(folder) => self.sandbox.run(effect, folder.as_ref(), receipt, cleared.mouth()).await,
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use cog_base::Timestamp;
    use cog_base::entropy::SeededEntropy;
    use nix::fcntl::OFlag;
    use nix::sys::stat::Mode;

    #[tokio::test]
    async fn nothing_is_lent_while_something_shows_that_no_program_may_see() {
        let run = RunId::new(Timestamp::default(), &mut SeededEntropy::new(1)).unwrap();
        let lent = Arc::new(AtomicUsize::new(0));
        let adapter = |hidden: Hidden| {
            let lent = Arc::clone(&lent);
            let lend = Arc::new(move |_: RunId, name: &str| {
                lent.fetch_add(1, Ordering::Relaxed);
                let root = nix::fcntl::open("/", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
                match name {
                    "box" => Ok(WorkFolder::new(root, false)),
                    other => Err(failure("file.unknown_root", other.to_owned())),
                }
            });
            ProcessAdapter::new("/nowhere".into(), lend, hidden)
        };
        let word = async |adapter: &ProcessAdapter, name: Option<&str>| match adapter
            .prepare(run, name.map(str::to_owned))
            .await
        {
            Ok(folder) => folder.map_or("none", |_| "folder").to_owned(),
            Err(failure) => format!("{}: {}", failure.code, failure.message),
        };
        let closed = adapter(Arc::new(|| Err("the keys are in /usr".into())));
        for name in [None, Some("box")] {
            assert_eq!(word(&closed, name).await, "process.keys_shown: the keys are in /usr");
        }
        assert_eq!(lent.load(Ordering::Relaxed), 0);
        let open = adapter(Arc::new(|| Ok(())));
        assert_eq!(word(&open, None).await, "none");
        assert_eq!(word(&open, Some("box")).await, "folder");
        assert_eq!(word(&open, Some("other")).await, "file.unknown_root: other");
    }
}

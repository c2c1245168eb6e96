//! Ctrl-C and SIGTERM: a run is left where its ledger stands, and whoever sent the signal hears
//! how it goes on.

#![expect(clippy::disallowed_methods, reason = "the program's edge: it ends the process itself")]

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::SignalKind;

use crate::failure::Exit;
use crate::hands::Workers;

/// What was caught.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The exit code of the first signal; 0 before one came.
    caught: AtomicU8,
    /// Whether a person is being asked: nothing else looks at what was caught then.
    asking: AtomicBool,
    /// What is said when the program ends at once.
    advice: OnceLock<String>,
}

impl Signals {
    /// Catch what comes from now on. The first signal ends the run after its turn, or at once
    /// when a person is being asked and nothing is under way; a second one ends it at once.
    pub(super) fn watch(workers: &Workers, advice: String) -> std::io::Result<Arc<Self>> {
        let signals = Arc::new(Self::default());
        let _ = signals.advice.set(advice);
        for (kind, exit) in [
            (SignalKind::interrupt(), Exit::Interrupted),
            (SignalKind::terminate(), Exit::Terminated),
        ] {
            let signals = Arc::clone(&signals);
            workers.listen(kind, move || signals.came(exit))?;
        }
        Ok(signals)
    }

    fn came(&self, exit: Exit) {
        let first = self.caught.swap(exit as u8, Ordering::SeqCst) == 0;
        if !first || self.asking.load(Ordering::SeqCst) {
            let advice = self.advice.get().map(String::as_str).unwrap_or_default();
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "\n{advice}");
            std::process::exit(i32::from(exit as u8));
        }
    }

    /// How the program ends, if a signal came.
    pub(super) fn caught(&self) -> Option<Exit> {
        let caught = self.caught.load(Ordering::SeqCst);
        [Exit::Interrupted, Exit::Terminated].into_iter().find(|exit| *exit as u8 == caught)
    }

    /// Whether a person is being asked just now.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::SeqCst)
    }

    /// Ask a person: whatever comes meanwhile ends the program.
    pub(super) fn while_asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.asking.store(true, Ordering::SeqCst);
        let answer = ask();
        self.asking.store(false, Ordering::SeqCst);
        answer
    }
}

//! What the entries of a log say, made again: every decision by its canon and record, and every run
//! by its definition. One reader for the own ledger and for a bundle.

use std::sync::Arc;

use cog_base::{Digest, Value};
use cog_canon::{Canon, Source};
use cog_engine::Record;
use cog_engine::recompute::Recompute;
use cog_history::{Checker, Rules};
use cog_ledger::Entry;
use cog_ledger::audit::Findings;
use cog_ledger::bundle::CanonFiles;
use verify::Counts;

/// A log as it comes, versions of canon before the entries that name them.
pub(crate) struct Recheck {
    recompute: Recompute,
    histories: Checker,
}

impl Recheck {
    pub(crate) fn new() -> Self {
        Self { recompute: Recompute::default(), histories: Checker::new(Rules::EMBEDDED) }
    }

    /// Take a version of canon.
    pub(crate) fn canon(&mut self, digest: Digest, canon: Arc<Canon>) {
        self.recompute.canon(digest, canon);
    }

    /// Take the files of a version of canon.
    pub(crate) fn files(&mut self, canon: CanonFiles) {
        let files = canon.files.into_iter().map(|(path, text)| (path, text.into_bytes()));
        match Canon::load(&Source::new(files)) {
            Ok(loaded) => self.canon(canon.digest, Arc::new(loaded)),
            Err(error) => self.recompute.unreadable(canon.digest, error.to_string()),
        }
    }

    /// Take note of an entry before any is taken: see [`Recompute::note`].
    pub(crate) fn note(&mut self, entry: &Entry) {
        self.recompute.note(entry);
        self.histories.note(entry);
    }

    /// Take the next entry with its body.
    pub(crate) fn record(&mut self, entry: Arc<Entry>, body: Option<Value>) {
        let record = cog_history::Record { entry: Arc::clone(&entry), body: body.clone() };
        self.histories.record(record);
        self.recompute.record(Record { entry, body });
    }

    /// What is wrong, and how much was made again.
    pub(crate) fn finish(self) -> (Findings, Counts) {
        let mut recomputed = self.recompute.finish();
        let mut findings = std::mem::take(&mut recomputed.findings);
        let histories = self.histories.finish();
        for finding in histories.findings.kept() {
            findings.add(finding.seq, finding.code, finding.message.clone());
        }
        let counts = Counts {
            all: recomputed.decisions,
            recomputed: recomputed.recomputed,
            differ: recomputed.differ,
            // Both follow a run, or it was not followed.
            runs: recomputed.followed.min(histories.followed),
            periods_unknown: recomputed.partial,
            runs_unknown: recomputed.not_followed.max(histories.not_followed),
        };
        (findings, counts)
    }
}

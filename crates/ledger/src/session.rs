//! What a session comes to: the counts and the trace digest that its seal states, computed
//! by the same code where the seal is written and where it is checked.

use cog_base::Digest;
use cog_base::json::{Map, Value};

use crate::entry::Entry;
use crate::hasher::Hasher;
use crate::kind::{DISPOSITIONS, Kind, TRACE_CONTEXT};

/// The running sums of one session. Feed it every entry of the session but the seal, in
/// the order of the log.
#[derive(Debug, Clone)]
pub struct Tally {
    entries: u64,
    receipts: u64,
    denials: u64,
    /// In the order of [`DISPOSITIONS`].
    outcomes: [u64; 4],
    spent_micros: u64,
    trace: Hasher,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            entries: 0,
            receipts: 0,
            denials: 0,
            outcomes: [0; 4],
            spent_micros: 0,
            trace: Hasher::in_context(TRACE_CONTEXT),
        }
    }
}

impl Tally {
    /// Count an entry of the session.
    pub fn add(&mut self, entry: &Entry) {
        self.entries = self.entries.saturating_add(1);
        self.receipts = self.receipts.saturating_add(u64::from(entry.kind() == Kind::Receipt));
        self.denials = self.denials.saturating_add(u64::from(entry.kind() == Kind::Denial));
        if entry.kind() == Kind::Outcome {
            let cost = entry.count("cost_micros").unwrap_or(0);
            self.spent_micros = self.spent_micros.saturating_add(cost);
            let disposition = entry.text("disposition");
            let place = DISPOSITIONS.iter().position(|word| Some(*word) == disposition);
            if let Some(count) = place.and_then(|place| self.outcomes.get_mut(place)) {
                *count = count.saturating_add(1);
            }
        }
        self.trace.update(entry.leaf().as_bytes());
    }

    /// The digest over the leaf hashes so far, in [`TRACE_CONTEXT`].
    #[must_use]
    pub fn trace(&self) -> Digest {
        self.trace.digest()
    }

    /// The receipts that have no outcome yet.
    #[must_use]
    pub fn open_receipts(&self) -> u64 {
        self.receipts.saturating_sub(self.outcomes.iter().sum())
    }

    /// What the session spent, in millionths of a dollar.
    #[must_use]
    pub const fn spent_micros(&self) -> u64 {
        self.spent_micros
    }

    /// The `data` of a `session.sealed` entry, but for its status.
    #[must_use]
    pub fn sums(&self) -> Map {
        let outcomes = DISPOSITIONS.iter().zip(self.outcomes);
        let outcomes = Value::map(outcomes.map(|(word, count)| (*word, count)));
        let sums = [
            ("entries", Value::from(self.entries)),
            ("receipts", Value::from(self.receipts)),
            ("denials", Value::from(self.denials)),
            ("outcomes", outcomes),
            ("spent_micros", Value::from(self.spent_micros)),
            ("trace", Value::from(self.trace())),
        ];
        sums.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// The `data` of a `session.sealed` entry.
    #[must_use]
    pub fn seal(&self, status: &str) -> Map {
        let mut data = self.sums();
        data.insert("status".to_owned(), Value::from(status));
        data
    }
}

//! Erasures: which bodies may be missing, because an entry says so.

use std::collections::BTreeMap;

use cog_base::Value;

use super::Findings;
use crate::entry::Entry;

/// What the entries of a log say of bodies that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erasures {
    /// The entries whose bodies went, each with the entry that says so.
    named: BTreeMap<u64, u64>,
    /// How many bodies went by erasures that name none, as they were written at first.
    unnamed: u64,
    /// The last of those erasures.
    last_unnamed: u64,
}

impl Erasures {
    pub(super) fn erased(&mut self, entry: &Entry, findings: &mut Findings) {
        let bodies = entry.count("bodies").unwrap_or(0);
        let (has_basis, has) =
            (entry.text("basis").is_some(), |name| entry.data().contains_key(name));
        if has_basis == has("subject") || (has_basis && !has("entries")) {
            let message = "it says neither whose bodies went, nor which ones and on what basis";
            findings.add(Some(entry.seq()), "erasure.wrong", message);
        }
        let Some(named) = entry.data().get("entries").and_then(Value::as_list) else {
            self.unnamed = self.unnamed.saturating_add(bodies);
            self.last_unnamed = entry.seq();
            return;
        };
        let all: Vec<_> = named.iter().filter_map(Value::as_u64).collect();
        let is_order = all.windows(2).all(|pair| pair.first() < pair.last());
        if all.len() as u64 != bodies || !is_order || all.last() >= Some(&entry.seq()) {
            let message = format!(
                "it says that {bodies} bodies went, and names {} entries, not in order or not before it",
                all.len()
            );
            findings.add(Some(entry.seq()), "erasure.wrong", message);
        }
        self.named.extend(all.into_iter().map(|seq| (seq, entry.seq())));
    }

    /// Take note of one more `bodies.erased` entry.
    pub fn observe(&mut self, entry: &Entry) {
        self.erased(entry, &mut Findings::default());
    }

    /// Whether an entry accounts for the body of entry `seq` being gone, as far as can be known:
    /// erasures as they were written at first count bodies and name none.
    #[must_use]
    pub fn explains(&self, seq: u64) -> bool {
        self.named.contains_key(&seq) || (self.unnamed > 0 && seq < self.last_unnamed)
    }

    /// The entry that says that the body of entry `seq` was erased.
    #[must_use]
    pub fn of(&self, seq: u64) -> Option<u64> {
        self.named.get(&seq).copied()
    }

    /// Whether erasures on record account for the bodies of all these entries.
    #[must_use]
    pub fn explain_all(&self, absent: impl Iterator<Item = u64>) -> bool {
        let mut findings = Findings::default();
        self.check(absent, &mut findings);
        findings.is_empty()
    }

    /// Find the bodies of `absent` entries that nothing accounts for.
    pub(crate) fn check(&self, absent: impl Iterator<Item = u64>, findings: &mut Findings) {
        let is_open = |seq: &u64| !self.named.contains_key(seq);
        let (mut counted, mut late) = (Vec::new(), Vec::new());
        for seq in absent.filter(is_open) {
            let list = if seq < self.last_unnamed { &mut counted } else { &mut late };
            list.push(seq);
        }
        if self.unnamed == 0 {
            late.splice(..0, counted.drain(..));
        } else if counted.len() as u64 > self.unnamed {
            let message = format!(
                "{} bodies are not here, and the erasures on record are of {}",
                counted.len(),
                self.unnamed
            );
            findings.add(None, "body.absent", message);
        }
        for seq in late {
            let message = "its body is not here, and no entry says that it was erased";
            findings.add(Some(seq), "body.absent", message);
        }
    }
}

//! Runs that were asked for: each begins once, as what was asked for, not before its time, and when
//! no more of its key are open, and no more began in the time of its rate, than may. Of a key that
//! somebody asked under there is one run.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use cog_base::id::{RunId, Uuid};
use cog_base::json::Value;
use cog_base::{Digest, Timestamp};

use super::Findings;
use crate::entry::Entry;
use crate::kind::Kind;

/// Where an entry has the key that its run was asked for under.
const KEYED: &str = "keyed";

#[derive(Debug)]
pub(super) struct Queue {
    /// Whether entries before the kept part may have asked for some.
    is_pruned: bool,
    /// What was asked for and has not begun.
    waiting: BTreeMap<String, Asked>,
    /// Runs that have begun.
    begun: BTreeSet<String>,
    /// Runs that never begin.
    withdrawn: BTreeSet<String>,
    /// The run that was asked for under each key.
    named: HashMap<Digest, String>,
    /// The open runs that are held to a key, and by the key.
    keys: BTreeMap<String, String>,
    holders: BTreeMap<String, BTreeSet<String>>,
    /// When runs of a key began that are held to a rate.
    starts: BTreeMap<String, VecDeque<Timestamp>>,
    not_followed: u64,
}

/// What an entry asks for.
#[derive(Debug)]
struct Asked {
    scope: Scope,
    not_before: Option<Timestamp>,
    concurrency: Option<(String, u64)>,
    rate: Option<(String, u64, u64)>,
}

/// Definition and inputs, domain, environment, who asks, and what it is found by, what started it and
/// the key that it was asked for under.
type Scope = (Option<Digest>, Option<Digest>, String, String, String, [Option<Value>; 3]);

fn scope(entry: &Entry, who: &str) -> Scope {
    let (definition, inputs) = (entry.digest("definition"), entry.digest("inputs"));
    let (domain, environment) = (entry.domain().to_owned(), entry.environment().to_owned());
    let member = |name: &str| entry.data().get(name).cloned();
    let members = ["labels", "trigger", KEYED].map(member);
    (definition, inputs, domain, environment, who.to_owned(), members)
}

impl Asked {
    fn of(entry: &Entry) -> Self {
        let member = |name: &str| entry.data().get(name);
        let text = |value: &Value| value.get("key")?.as_text().map(str::to_owned);
        let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
        let limit = |value: &Value| Some((text(value)?, number(value, "limit")?));
        let rate = |value: &Value| {
            Some((text(value)?, number(value, "count")?, number(value, "per_seconds")?))
        };
        Self {
            scope: scope(entry, entry.actor()),
            not_before: entry.text("not_before").and_then(|at| at.parse().ok()),
            concurrency: member("concurrency").and_then(limit),
            rate: member("rate").and_then(rate),
        }
    }
}

impl Queue {
    pub(super) fn new(is_pruned: bool) -> Self {
        Self {
            is_pruned,
            waiting: BTreeMap::new(),
            begun: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            named: HashMap::new(),
            keys: BTreeMap::new(),
            holders: BTreeMap::new(),
            starts: BTreeMap::new(),
            not_followed: 0,
        }
    }

    pub(super) const fn not_followed(&self) -> u64 {
        self.not_followed
    }

    pub(super) fn entry(&mut self, entry: &Entry, findings: &mut Findings) {
        let session = || entry.session().map(|run| run.to_string());
        self.keyed(entry, findings);
        if entry.kind() == Kind::SessionQueued {
            self.asked(entry, findings);
        } else if entry.kind() == Kind::SessionUnqueued {
            self.withdrawn(entry, findings);
        } else if entry.kind() == Kind::SessionStarted
            && let Some(run) = session()
        {
            self.started(run, entry, findings);
        } else if entry.kind() == Kind::SessionSealed
            && let Some(run) = session()
            && let Some(key) = self.keys.remove(&run)
            && let Some(holders) = self.holders.get_mut(&key)
        {
            holders.remove(&run);
        }
    }

    /// Of a key there is one run, whose id follows from it.
    fn keyed(&mut self, entry: &Entry, findings: &mut Findings) {
        let begins = matches!(entry.kind(), Kind::SessionStarted | Kind::SessionQueued);
        let key = entry.data().get(KEYED).filter(|_| begins).and_then(|keyed| keyed.get("key"));
        let Some(key) = key.and_then(|key| key.as_text()?.parse::<Digest>().ok()) else { return };
        let run = entry.session().map(|run| run.to_string());
        let Some(run) = run.or_else(|| entry.id().map(str::to_owned)) else { return };
        if run != RunId::from_uuid(Uuid::of(&key)).to_string() {
            let message = format!("{run} is not the run of the key that it was asked for under");
            findings.add(Some(entry.seq()), "keyed.other_run", message);
        }
        let before = self.named.entry(key).or_insert_with(|| run.clone());
        if *before != run {
            let message = format!("{run} was asked for under the key of {before}");
            findings.add(Some(entry.seq()), "keyed.twice", message);
        }
    }

    fn asked(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some(run) = entry.id().map(str::to_owned) else { return };
        let is_over = self.begun.contains(&run) || self.withdrawn.contains(&run);
        if is_over || self.waiting.contains_key(&run) {
            let message = format!("{run} was asked for before, or has begun");
            return findings.add(Some(entry.seq()), "queue.twice", message);
        }
        self.waiting.insert(run, Asked::of(entry));
    }

    fn withdrawn(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some(run) = entry.id().map(str::to_owned) else { return };
        if self.waiting.remove(&run).is_none() {
            let is_over = self.begun.contains(&run) || self.withdrawn.contains(&run);
            if self.is_pruned && !is_over {
                self.not_followed = self.not_followed.saturating_add(1);
            } else {
                let message = format!("{run} does not wait for its turn");
                findings.add(Some(entry.seq()), "queue.not_waiting", message);
            }
        }
        self.withdrawn.insert(run);
    }

    fn started(&mut self, run: String, entry: &Entry, findings: &mut Findings) {
        self.begun.insert(run.clone());
        let Some(asked) = self.waiting.remove(&run) else {
            // One that was never asked for is held to nothing.
            if self.withdrawn.contains(&run) {
                let message = format!("{run} begins, which was withdrawn");
                findings.add(Some(entry.seq()), "queue.withdrawn", message);
            }
            return;
        };
        let mut wrong = |code, message| findings.add(Some(entry.seq()), code, message);
        if asked.scope != scope(entry, entry.text("initiator").unwrap_or_default()) {
            wrong("queue.differs", format!("{run} begins as another than what was asked for"));
        }
        if let Some(at) = asked.not_before.filter(|at| *at > entry.at()) {
            wrong("queue.too_early", format!("{run} begins before {at}"));
        }
        if let Some((key, limit)) = asked.concurrency {
            let holders = self.holders.entry(key.clone()).or_default();
            if holders.len() as u64 >= limit {
                let open = holders.len();
                let message = format!("{run} begins while {open} of its key are open, of {limit}");
                wrong("queue.over_limit", message);
            }
            holders.insert(run.clone());
            self.keys.insert(run.clone(), key);
        }
        if let Some((key, count, per_seconds)) = asked.rate {
            let starts = self.starts.entry(key).or_default();
            let per_ms = per_seconds.saturating_mul(1_000);
            starts.retain(|at| entry.at().ms_since(*at) < per_ms);
            if starts.len() as u64 >= count {
                let began = starts.len();
                let message =
                    format!("{run} begins when {began} of its key began within {per_seconds} s");
                wrong("queue.over_rate", message);
            }
            starts.push_back(entry.at());
        }
    }
}

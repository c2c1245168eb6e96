//! Runs that were asked for before they begin: none begins before it is admitted, and no more of
//! a key are open, or begin in the time of its rate, than may. Of a key that somebody asked under there
//! is one run.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{RunId, Uuid};
use cog_base::{Digest, Timestamp, Value};
use cog_ledger::{Entry, Kind};

use crate::checker::Record;
use crate::property::Property;
use crate::report::Report;

/// What is known of those that wait, and of what counts against them.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    /// What was asked for, by whom, by which definition and with which inputs.
    waiting: BTreeMap<RunId, (Bounds, Identity)>,
    gone: BTreeSet<RunId>,
    open: BTreeMap<RunId, Digest>,
    began: Vec<(Digest, Timestamp)>,
    /// What was asked for under each key, and which run that is.
    keyed: BTreeMap<String, (RunId, Value)>,
}

/// What a run is held to.
#[derive(Debug)]
struct Bounds {
    not_before: Option<Timestamp>,
    /// A key, and how many of it may be open.
    open: Option<(Digest, u64)>,
    /// A key, how many of it may begin, and in how many milliseconds.
    begin: Option<(Digest, u64, u64)>,
}

impl Bounds {
    fn of(entry: &Entry) -> Self {
        let key = |limit: &Value| limit.get("key")?.as_text()?.parse::<Digest>().ok();
        let number = |limit: &Value, name: &str| limit.get(name).and_then(Value::as_u64);
        let open = |limit: &Value| Some((key(limit)?, number(limit, "limit")?));
        let begin = |rate: &Value| {
            let per_ms = number(rate, "per_seconds")?.saturating_mul(1_000);
            Some((key(rate)?, number(rate, "count")?, per_ms))
        };
        Self {
            not_before: entry.text("not_before").and_then(|at| at.parse().ok()),
            open: entry.data().get("concurrency").and_then(open),
            begin: entry.data().get("rate").and_then(begin),
        }
    }
}

type Identity = (String, Option<Digest>, Option<Digest>, [Option<Value>; 3]);

impl Admissions {
    /// Take the next entry of the log.
    pub(crate) fn record(&mut self, record: &Record, report: &mut Report) {
        let (entry, seq) = (&record.entry, record.entry.seq());
        let named = || entry.id().and_then(|id| id.parse::<RunId>().ok());
        if matches!(entry.kind(), Kind::SessionQueued | Kind::SessionStarted) {
            self.under_its_key(entry.session().or_else(named), entry, report);
        }
        if entry.kind() == Kind::SessionQueued {
            let asked = (Bounds::of(entry), identity(entry, entry.actor()));
            self.waiting.extend(named().map(|run| (run, asked)));
        } else if entry.kind() == Kind::SessionUnqueued {
            if let Some(run) = named() {
                self.waiting.remove(&run);
                self.gone.insert(run);
            }
        } else if entry.kind() == Kind::SessionStarted
            && let Some(run) = entry.session()
        {
            report.test(Property::Admitted, !self.gone.contains(&run), seq, || {
                format!("{run} begins, which was withdrawn")
            });
            if let Some((bounds, asked)) = self.waiting.remove(&run) {
                let who = entry.text("initiator").unwrap_or_default();
                let is_it = asked == identity(entry, who);
                let is_time = bounds.not_before.is_none_or(|at| at <= entry.at());
                report.test(Property::Admitted, is_it && is_time, seq, || {
                    format!("{run} begins before its time, or as another than was asked for")
                });
                self.begins(run, &bounds, entry, report);
            }
        } else if entry.kind() == Kind::SessionSealed
            && let Some(run) = entry.session()
        {
            self.open.remove(&run);
        }
    }

    fn under_its_key(&mut self, run: Option<RunId>, entry: &Entry, report: &mut Report) {
        let keyed = entry.data().get("keyed");
        let key = keyed.and_then(|keyed| keyed.get("key")?.as_text().map(str::to_owned));
        let (Some(run), Some(keyed), Some(key)) = (run, keyed, key) else { return };
        let is_its = key.parse().is_ok_and(|key| RunId::from_uuid(Uuid::of(&key)) == run);
        let before = self.keyed.entry(key).or_insert_with(|| (run, keyed.clone()));
        let is_one = *before == (run, keyed.clone());
        report.test(Property::Keyed, is_its && is_one, entry.seq(), || {
            format!("{run} is not the one run of the key that it was asked for under")
        });
    }

    fn begins(&mut self, run: RunId, bounds: &Bounds, entry: &Entry, report: &mut Report) {
        let (seq, at) = (entry.seq(), entry.at());
        if let Some((key, limit)) = bounds.open {
            let others = self.open.values().filter(|other| **other == key).count() as u64;
            report.test(Property::Concurrency, others < limit, seq, || {
                format!("{run} begins while {others} of its key are open, of {limit}")
            });
            self.open.insert(run, key);
        }
        if let Some((key, count, per_ms)) = bounds.begin {
            let counts = |(other, began): &&(Digest, Timestamp)| {
                *other == key && at.ms_since(*began) < per_ms
            };
            let began = self.began.iter().filter(counts).count() as u64;
            report.test(Property::Rate, began < count, seq, || {
                format!("{run} begins when {began} of its key began just before")
            });
            self.began.push((key, at));
        }
    }
}

fn identity(entry: &Entry, who: &str) -> Identity {
    let member = |name: &str| entry.data().get(name).cloned();
    let members = ["labels", "trigger", "keyed"].map(member);
    (who.to_owned(), entry.digest("definition"), entry.digest("inputs"), members)
}

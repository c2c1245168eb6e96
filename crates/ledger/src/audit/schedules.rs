//! Schedules: what came due was set before, each of its times counts once, and the run that is
//! started for it begins with it.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{RunId, Uuid};
use cog_base::json::{Value, parse};
use cog_base::{Digest, Timestamp};

use super::Findings;
use crate::entry::Entry;
use crate::kind::Kind;

const CONTEXT: &str = "cognitionos/schedule/v1";

/// What a schedule is bound to: the canonical bytes of `{when, wanted}`, which stand beside the entry
/// that sets it.
#[must_use]
pub fn schedule_digest(bytes: &[u8]) -> Digest {
    Digest::in_context(CONTEXT, bytes)
}

/// What an entry that sets a schedule says of what stands beside it.
#[derive(Debug)]
pub(crate) struct Set {
    when: Option<Value>,
    digest: Option<Digest>,
}

impl Set {
    /// That of an entry, if it sets one.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let set =
            || Self { when: entry.data().get("when").cloned(), digest: entry.digest("digest") };
        (entry.kind() == Kind::ScheduleSet).then(set)
    }

    /// Whether these are the bytes that it names.
    pub(crate) fn is_of(&self, bytes: &[u8]) -> bool {
        let body = std::str::from_utf8(bytes).ok().and_then(|text| parse(text).ok());
        let when = body.as_ref().and_then(|body| body.get("when"));
        when.is_some() && when == self.when.as_ref() && self.digest == Some(schedule_digest(bytes))
    }
}

#[derive(Debug)]
pub(super) struct Schedules {
    /// Whether entries before the kept part may have set some.
    is_pruned: bool,
    set: BTreeSet<String>,
    /// Those that start nothing for now.
    paused: BTreeSet<String>,
    /// Those that ever were: a run that one of them started may wait longer than that stands.
    ever: BTreeSet<String>,
    /// The last time of each that was decided. Times have one width, so they sort as text.
    last: BTreeMap<String, String>,
    /// The times of each that a run was started for: somebody may ask for earlier ones, once.
    made: BTreeMap<String, BTreeSet<Timestamp>>,
    /// The run that the entry before started, and that entry.
    begins: Option<(u64, String)>,
    not_followed: u64,
}

impl Schedules {
    pub(super) fn new(is_pruned: bool) -> Self {
        let (set, paused, ever, last, made) = Default::default();
        Self { is_pruned, set, paused, ever, last, made, begins: None, not_followed: 0 }
    }

    pub(super) const fn not_followed(&self) -> u64 {
        self.not_followed
    }

    pub(super) fn entry(&mut self, entry: &Entry, findings: &mut Findings) {
        self.begun(Some(entry), findings);
        if let Some(trigger) = entry.data().get("trigger") {
            self.triggered(trigger, entry, findings);
        }
        let schedule = entry.text("schedule").unwrap_or_default();
        if entry.kind() == Kind::ScheduleSet {
            let when = entry.data().get("when");
            if when.and_then(|when| when.get("id")).and_then(Value::as_text) != Some(schedule) {
                let message = format!("it sets `{schedule}`, and the times of another schedule");
                findings.add(Some(entry.seq()), "schedule.differs", message);
            }
            self.set.insert(schedule.to_owned());
            self.ever.insert(schedule.to_owned());
        } else if entry.kind() == Kind::ScheduleRemoved {
            self.is_set(schedule, entry, findings);
            self.set.remove(schedule);
            self.paused.remove(schedule);
        } else if entry.kind() == Kind::SchedulePaused {
            self.is_set(schedule, entry, findings);
            self.paused.insert(schedule.to_owned());
        } else if entry.kind() == Kind::ScheduleUnpaused {
            self.is_set(schedule, entry, findings);
            self.paused.remove(schedule);
        } else if entry.kind() == Kind::ScheduleFired {
            self.is_set(schedule, entry, findings);
            self.fired(schedule, entry, findings);
            self.begins = entry.text("run").map(|run| (entry.seq(), run.to_owned()));
        }
    }

    /// A time counts once. Those that come by themselves do so in their order, and not while it is
    /// paused; somebody may ask for any that no run was started for.
    fn fired(&mut self, schedule: &str, entry: &Entry, findings: &mut Findings) {
        let at = entry.text("at").unwrap_or_default();
        let (is_asked_for, starts) = (entry.text("by").is_some(), entry.text("run").is_some());
        let time = at.parse::<Timestamp>().ok();
        let made = self.made.entry(schedule.to_owned()).or_default();
        let mut is_twice = time.is_some_and(|at| made.contains(&at));
        made.extend(time.filter(|_| starts));
        if !is_asked_for {
            let before = self.last.insert(schedule.to_owned(), at.to_owned());
            is_twice |= before.is_some_and(|before| before.as_str() >= at);
        }
        if is_twice {
            let message = format!("{at} of the schedule `{schedule}` was decided before");
            findings.add(Some(entry.seq()), "schedule.fired_twice", message);
        }
        if starts && !is_asked_for && self.paused.contains(schedule) {
            let message = format!("the schedule `{schedule}` starts a run, and is paused");
            findings.add(Some(entry.seq()), "schedule.paused", message);
        }
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, findings: &mut Findings) {
        self.begun(None, findings);
    }

    /// The run that the entry before started begins in this one.
    fn begun(&mut self, entry: Option<&Entry>, findings: &mut Findings) {
        let Some((seq, run)) = self.begins.take() else { return };
        let begins = |entry: &&Entry| {
            let session = entry.session().map(|session| session.to_string());
            let starts = entry.kind() == Kind::SessionStarted && session.as_ref() == Some(&run);
            // One that has to wait for its turn begins later.
            starts || entry.kind() == Kind::SessionQueued && entry.id() == Some(&run)
        };
        if entry.filter(begins).is_none() {
            let message = format!("{run}, which it started, does not begin behind it");
            findings.add(Some(seq), "schedule.not_begun", message);
        }
    }

    /// A run that an event started: by what was set before, and the one run of that event.
    fn triggered(&mut self, trigger: &Value, entry: &Entry, findings: &mut Findings) {
        let starts = matches!(entry.kind(), Kind::SessionStarted | Kind::SessionQueued);
        let Some(id) = trigger.get("id").and_then(Value::as_text).filter(|_| starts) else {
            return;
        };
        self.is_one(self.ever.contains(id), (id, entry), findings);
        let event = trigger.get("event").and_then(Value::as_text);
        let event = event.and_then(|event| event.parse::<Digest>().ok());
        let run = event.map(|event| RunId::from_uuid(Uuid::of(&event)).to_string());
        let named = entry.session().map(|run| run.to_string());
        if run.as_deref() != named.as_deref().or(entry.id()) {
            let message = "it is not the run of the event that it names".to_owned();
            findings.add(Some(entry.seq()), "schedule.other_run", message);
        }
    }

    fn is_set(&mut self, schedule: &str, entry: &Entry, findings: &mut Findings) {
        self.is_one(self.set.contains(schedule), (schedule, entry), findings);
    }

    fn is_one(&mut self, is_set: bool, (schedule, entry): (&str, &Entry), findings: &mut Findings) {
        if is_set {
            return;
        }
        if self.is_pruned {
            self.not_followed += 1;
        } else {
            let message = format!("the schedule `{schedule}` was not set");
            findings.add(Some(entry.seq()), "schedule.not_set", message);
        }
    }
}

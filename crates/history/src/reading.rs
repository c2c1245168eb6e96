//! A run read from its definition and its entries: when each step may begin, when it was over,
//! what it came to.
//!
//! This is no machine that is fed. Each step is worked out from the steps it needs and from the
//! entries that bear its path: it may begin behind the last entry that ended what it needs, and
//! is over with the entry that ended it. Where a step should have begun and no entry says that
//! it did, the run waits for it, unless something stopped it.

mod again;
mod anew;
mod block;
mod body;
mod child;
mod each;
mod effect;
mod plans;
mod rounds;
mod scope;
mod source;
mod stand;
mod undo;
mod waits;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Value;
use cog_base::json::Map;
use cog_flow::limits::{MAX_COMPUTED_BYTES, MAX_RUN_STEPS};
use cog_flow::weight;

use crate::account::is_undoing;
use crate::log::{Log, What, is_within};
use crate::property::Property;
use crate::report::Report;
use scope::{Scope, Sight};
pub(crate) use source::Source;
use stand::{Bound, Fall, Pending, Release};
use undo::{Subjects, Undoable};

/// A run that is being read.
struct Reading<'l> {
    log: &'l Log,
    source: Source,
    clock_back_ms: u64,
    report: &'l mut Report,
    frames: Vec<Scope>,
    /// Paths whose entries were taken into account.
    claimed: BTreeSet<String>,
    /// Steps that wait for runs that are ended with them.
    waiting: BTreeSet<String>,
    /// Timers that somebody waited for.
    awaited: BTreeSet<usize>,
    /// By step whose steps inside have so many milliseconds.
    bounded: BTreeMap<String, Bound>,
    /// By signal, the step that went on with it, and where.
    taken: BTreeMap<usize, (String, usize)>,
    /// Signals that several steps waited for at once, of which one took it.
    contested: BTreeSet<usize>,
    /// Paths inside which nothing may begin, and why.
    barred: BTreeMap<String, Property>,
    undoable: Vec<Undoable>,
    subjects: Subjects,
    /// By step, behind which place it may begin in each of the runs because of the steps that it
    /// needs and that begin anew.
    holds: BTreeMap<String, Vec<Option<usize>>>,
    /// What the expressions evaluated so far took.
    operations: Cell<u64>,
    /// The steps that were worked out, and the bytes of what they computed.
    steps: usize,
    computed: u64,
    /// A step of it ended it by having the next run begin.
    is_continued: bool,
    /// Something could not be told: what is missing may be missing rightly.
    unsure: bool,
    /// The first place behind which it is not known where something was over: what it released
    /// began there or later, and perhaps in a later one of the runs.
    vague: Option<usize>,
    /// The steps of which nobody can tell what they came to: they may have fallen.
    untold: BTreeSet<String>,
}

/// How the steps of a run ended, before it was undone.
struct Ended {
    at: usize,
    /// The word of the seal; nothing when it cannot be told.
    status: Option<&'static str>,
}

/// Read a run, and test every entry of it. Gives the signals that it leaves to the run that
/// continues it, if one does and that can be told.
pub(crate) fn check(
    log: &Log,
    source: Source,
    clock_back_ms: u64,
    report: &mut Report,
) -> Option<Vec<String>> {
    // Which of the steps that waited at once took a signal is known when all were read.
    let has_signal = log.events.iter().any(|event| matches!(event.what, What::Signal(_)));
    let contested = if has_signal {
        let mut scratch = Report::default();
        let mut reading = Reading::new(log, source.clone(), clock_back_ms, &mut scratch);
        reading.run();
        reading.contested
    } else {
        BTreeSet::new()
    };
    let mut reading = Reading::new(log, source, clock_back_ms, report);
    reading.contested = contested;
    reading.run();
    reading.unclaimed();
    if reading.unsure {
        reading.report.unsure = reading.report.unsure.saturating_add(1);
    }
    reading.left_over()
}

impl<'l> Reading<'l> {
    fn new(log: &'l Log, source: Source, clock_back_ms: u64, report: &'l mut Report) -> Self {
        Self {
            log,
            source,
            clock_back_ms,
            report,
            frames: Vec::new(),
            claimed: BTreeSet::new(),
            waiting: BTreeSet::new(),
            awaited: BTreeSet::new(),
            bounded: BTreeMap::new(),
            taken: BTreeMap::new(),
            contested: BTreeSet::new(),
            barred: BTreeMap::new(),
            undoable: Vec::new(),
            subjects: Vec::new(),
            holds: BTreeMap::new(),
            operations: Cell::new(0),
            steps: 0,
            computed: 0,
            is_continued: false,
            unsure: false,
            vague: None,
            untold: BTreeSet::new(),
        }
    }

    fn run(&mut self) {
        let flow = Arc::clone(&self.source.flow);
        let release = Release { at: 0, by: Property::Step };
        let root = self.block(&flow.steps, None, "", release);
        let early = self.ended_early(root.over);
        let ended = match early {
            Some((at, status)) => {
                self.stop("", at, Property::Cancelled);
                self.closed_by("", at).map(|at| Ended { at, status: Some(status) })
            }
            None => {
                self.missing(&root.pending, Property::Missing);
                let status = self.status_of(root.frame, root.fall.as_ref());
                root.over.map(|at| Ended { at, status })
            }
        };
        let Some(ended) = ended else { return };
        self.undo(&flow, &ended, root.frame);
        self.status(&ended);
    }

    /// Count steps that the run opens. Which of them is the first that is too much is said by the
    /// order in which the run got there, which is not known here.
    fn opens(&mut self, steps: usize) {
        self.steps = self.steps.saturating_add(steps);
        self.unsure |= self.steps > MAX_RUN_STEPS;
    }

    /// Count what a step computed, likewise.
    fn computes(&mut self, output: &Map) {
        let bytes: u64 = output.values().map(weight).sum();
        self.computed = self.computed.saturating_add(bytes);
        self.unsure |= self.computed > MAX_COMPUTED_BYTES / 2;
    }

    /// Where somebody or the budget ended the run, while it was not over by itself.
    fn ended_early(&mut self, over: Option<usize>) -> Option<(usize, &'static str)> {
        let minutes = self.source.flow.budget.minutes;
        let mut budget = self.log.timers.get("budget").into_iter().flatten().copied();
        let budget = budget.next();
        if let Some(place) = budget {
            self.awaited.insert(place);
            let ms = minutes.map(|minutes| minutes.saturating_mul(60_000));
            self.due(place, 0, ms, "budget");
        }
        let is_cancel = |event: &crate::log::Event| matches!(event.what, What::Cancel);
        let cancel = self.log.events.iter().position(is_cancel);
        let cancel = cancel.map(|place| (place, "cancelled"));
        let first = cancel.into_iter().chain(budget.map(|place| (place, "failed"))).min();
        // Where the end cannot be told, the seal says what ended it.
        let stated = self.stated().filter(|_| self.unsure).map(|(_, status)| status.to_owned());
        first.filter(|(place, status)| {
            over.is_none_or(|over| *place < over) || stated.as_deref() == Some(status)
        })
    }

    /// The seal, and how the run ended by its word.
    fn stated(&self) -> Option<(u64, &str)> {
        self.log.events.iter().find_map(|event| {
            let What::Sealed(data) = &event.what else { return None };
            Some((event.seq, data.get("status").and_then(Value::as_text).unwrap_or_default()))
        })
    }

    fn status_of(&mut self, frame: usize, fall: Option<&Fall>) -> Option<&'static str> {
        match fall {
            Some(fall) if fall.refused => Some("refused"),
            Some(_) => Some("failed"),
            None if self.is_continued => Some("continued"),
            None => {
                let flow = Arc::clone(&self.source.flow);
                // They are what the run itself sees, whatever came before it.
                match self.evaluate_all(&flow.outputs, Sight { frame, at: self.source.own().start })
                {
                    Ok(_) => Some("completed"),
                    Err(scope::Gap::Fails(_)) => Some("failed"),
                    Err(scope::Gap::Unknown) => None,
                }
            }
        }
    }

    fn status(&mut self, ended: &Ended) {
        let (Some((seq, stated)), Some(status), false) = (self.stated(), ended.status, self.unsure)
        else {
            return;
        };
        let (holds, stated) = (stated == status, stated.to_owned());
        self.report.test(Property::Status, holds, seq, || {
            format!("the seal states `{stated}`, and the run came out as `{status}`")
        });
    }

    /// Steps that were to run and did not, in a run that was sealed.
    fn missing(&mut self, pending: &[Pending], property: Property) {
        let Some((seq, _)) = self.stated() else { return };
        let first = pending.first().filter(|_| !self.unsure);
        self.report.test(property, first.is_none(), seq, || {
            let path = first.map(|it| it.path.as_str()).unwrap_or_default();
            format!("the run is sealed, and `{path}` was to run and did not come to its end")
        });
    }

    /// The first entry at a path must stand behind what released it.
    fn begins(&mut self, path: &str, places: &[usize], release: Release) {
        let Some(first) = places.first().copied() else { return };
        let (seq, since) = (self.log.seq(first), self.log.seq(release.at));
        self.report.test(release.by, first > release.at, seq, || {
            format!("`{path}` begins before entry {since}, which it has to wait for")
        });
    }

    /// Nothing begins inside `path` behind the entry that stopped it, but what undoes and what
    /// handles that.
    fn stop(&mut self, path: &str, at: usize, property: Property) {
        let log = self.log;
        for (step, places) in log.within(path) {
            if goes_on(path, step) {
                continue;
            }
            let late = places.iter().find(|place| **place > at).copied();
            let seq = late.map_or_else(|| log.seq(at), |late| log.seq(late));
            self.report.test(property, late.is_none(), seq, || {
                format!("`{step}` begins although entry {} stopped it", log.seq(at))
            });
        }
        self.stop_undoable(path, at);
    }

    /// Where the last effect under way inside `path` was over, once it was stopped; nothing
    /// while one is not.
    fn closed_by(&self, path: &str, at: usize) -> Option<usize> {
        let mut last = at;
        for (step, places) in self.log.within(path) {
            if goes_on(path, step) {
                continue;
            }
            for place in places {
                let what = self.log.event(*place).map(|it| &it.what);
                if let Some(What::Receipt(receipt)) = what {
                    let over = self.log.outcome(&receipt.id).map(|(at, _)| at);
                    last = last.max(over.or(self.dropped(*place))?);
                } else if let Some(What::ChildStarted(start)) = what
                    && self.is_waited_for(step)
                {
                    let over = self.log.ended(&start.run).map(|(at, _)| at);
                    last = last.max(over.or(self.dropped(*place))?);
                }
            }
        }
        Some(last)
    }

    /// Whether what is said to be at a place may have been behind it.
    fn is_vague(&self, at: usize) -> bool {
        self.vague.is_some_and(|vague| vague <= at)
    }

    /// The same, and perhaps in a later one of the runs.
    fn is_of_any(&self, at: usize) -> bool {
        self.is_vague(at) && self.source.next(self.source.seen_by(at)).is_some()
    }

    /// Where what was under way with an entry is nothing that is waited for any more: it is that of
    /// a run from which this one goes on.
    fn dropped(&self, place: usize) -> Option<usize> {
        self.source.next(self.source.whose(place)).map(|life| life.start)
    }

    /// Where something of a step begins in one of the runs.
    fn begun_in(&self, index: usize, path: &str) -> &'l [usize] {
        let log = self.log;
        let places = log.begins.get(path).map(Vec::as_slice).unwrap_or_default();
        self.source.life(index).places(places)
    }

    /// Entries of steps that were never to run, and timers for which nobody waited.
    fn unclaimed(&mut self) {
        let log = self.log;
        for (step, places) in log.begins.iter().filter(|(step, _)| !self.claimed.contains(*step)) {
            if self.may_handle(step) {
                continue;
            }
            let mut around = self.barred.iter().filter(|(path, _)| is_within(step, path));
            let by = around.next_back().map(|(_, property)| *property);
            let undoing = is_undoing(step).then_some(Property::UndoCause);
            let property = by.or(undoing).unwrap_or(Property::Step);
            if (by.is_none() || undoing.is_some()) && self.unsure && self.is_defined(step) {
                continue;
            }
            for place in places {
                let message = format!("`{step}` was not to run: {}", property.says());
                self.report.broken(property, log.seq(*place), message);
            }
        }
        for (name, places) in log.timers.iter().filter(|(name, _)| *name != "budget") {
            for place in places.iter().filter(|place| !self.awaited.contains(place)) {
                self.report.test(Property::Unarmed, self.unsure, log.seq(*place), || {
                    format!("nobody waits for the timer of `{name}`")
                });
            }
        }
    }

    /// Whether a step handles the fall of one of which nobody can tell whether it fell.
    fn may_handle(&self, step: &str) -> bool {
        let around = |path: &&str| path.rfind(['.', '[']).and_then(|at| step.get(..at));
        let mut around = std::iter::successors(Some(step), around);
        around.any(|path| goes_on(path, step) && self.untold.contains(path))
    }

    /// Whether the outermost step of a path is one of the definition.
    fn is_defined(&self, step: &str) -> bool {
        let first = step.split(['.', '[']).next().unwrap_or_default();
        let steps = &self.source.flow.steps.steps;
        first == "on_cancel" || steps.iter().any(|step| step.id == first)
    }

    /// A timer was due: not before its time, counted from the entry that armed it.
    /// Where one run goes on from another that entry is its start at the earliest.
    fn due(&mut self, place: usize, armed: usize, ms: Option<u64>, name: &str) {
        let armed = armed.max(self.source.life(self.source.whose(place)).start);
        let (seq, at) = (self.log.seq(place), self.log.at(place));
        let Some(ms) = ms.filter(|_| place > armed) else {
            let message = format!("the timer of `{name}` is due without having been armed");
            return self.report.broken(Property::Unarmed, seq, message);
        };
        self.report.test(Property::Unarmed, true, seq, String::new);
        let due = self.log.at(armed).plus_ms(ms.saturating_sub(self.clock_back_ms));
        self.report.test(Property::Early, at >= due, seq, || {
            format!("the timer of `{name}` is due at {due}, and this is {at}")
        });
    }
}

/// A refusal that does not come from the gate, as expressions see it.
fn denied(code: &str, reason: &str, by: Option<&str>) -> Value {
    let mut denial = Map::from([
        ("id".to_owned(), Value::Null),
        ("code".to_owned(), code.into()),
        ("reason".to_owned(), reason.into()),
    ]);
    if let Some(by) = by {
        denial.insert("by".to_owned(), by.into());
    }
    Value::Map(denial)
}

/// A failure, as expressions see it.
fn failure(code: &str, message: &str) -> Value {
    Value::map([
        ("code", Value::from(code)),
        ("message", message.into()),
        ("transient", false.into()),
    ])
}

/// Whether a step inside `path` is none of those that end when what is at `path` is stopped: it
/// undoes, or handles that very fall.
fn goes_on(path: &str, step: &str) -> bool {
    let inside = step.get(path.len()..).unwrap_or_default();
    let handles = ["on_error", "on_refused"].into_iter().any(|word| {
        let rest = inside.strip_prefix('.').and_then(|rest| rest.strip_prefix(word));
        rest.is_some_and(|rest| rest.starts_with('.'))
    });
    is_undoing(inside) || handles
}

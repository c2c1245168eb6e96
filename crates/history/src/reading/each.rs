//! `foreach`: the items of a list, in order, no more at once than granted.

use std::sync::Arc;

use cog_base::Value;
use cog_base::json::Map;
use cog_flow::limits::MAX_FOREACH_ITEMS;
use cog_flow::{Body, Foreach, Step};

use super::Reading;
use super::scope::{Gap, Level, Sight};
use super::stand::{Fall, How, Pending, Raw, Release, Stand};
use crate::property::Property;

/// The items that were worked out so far.
#[derive(Default)]
struct Items {
    /// Where each of those that hold a place gives it back.
    ends: Vec<Option<usize>>,
    records: Vec<Option<Value>>,
    falls: Vec<Fall>,
    pending: Vec<Pending>,
    last: Option<usize>,
    /// Nobody can tell what one came to.
    unknown: bool,
}

impl Reading<'_> {
    pub(super) fn each(
        &mut self,
        step: &Arc<Step>,
        foreach: &Foreach,
        frame: usize,
        path: &str,
        release: Release,
    ) -> Stand {
        let values = match self.evaluate(&foreach.items, Sight { frame, at: release.at }) {
            Ok(Value::List(values)) if values.len() > MAX_FOREACH_ITEMS => {
                let message = format!("{} items, more than {MAX_FOREACH_ITEMS}", values.len());
                let fall = Fall::failed(release.at, path, Some(super::failure("limit", &message)));
                return self.conclude(step, frame, path, release, Raw::Fell(fall, None));
            }
            Ok(Value::List(values)) => values.into_iter().map(Some).collect(),
            Ok(other) => {
                let message = format!("`foreach` must be a list, it came to {}", other.kind());
                let error = super::failure("expression", &message);
                let fall = Fall::failed(release.at, path, Some(error));
                return self.conclude(step, frame, path, release, Raw::Fell(fall, None));
            }
            Err(Gap::Fails(error)) => {
                let fall = Fall::failed(release.at, path, Some(error));
                return self.conclude(step, frame, path, release, Raw::Fell(fall, None));
            }
            Err(Gap::Unknown) => {
                self.unsure = true;
                vec![None; self.indices(path)]
            }
        };
        self.opens(values.len());
        self.barred.insert(path.to_owned(), Property::Items);
        let mut items = Items { last: Some(release.at), ..Items::default() };
        for (index, value) in (0_u32..).zip(values) {
            let Some(at) = items.place(foreach.max_parallel as usize, release.at) else {
                self.barred.insert(format!("{path}[{index}]"), Property::Parallel);
                items.records.push(Some(Value::Null));
                items.last = None;
                continue;
            };
            let by = if at > release.at { Property::Parallel } else { release.by };
            let stand = self.item(step, frame, (path, index), value, Release { at, by });
            items.take(stand);
        }
        self.all(step, path, release, items)
    }

    /// One item, in a level of its own.
    fn item(
        &mut self,
        step: &Arc<Step>,
        parent: usize,
        (path, index): (&str, u32),
        value: Option<Value>,
        release: Release,
    ) -> (Stand, Option<Value>) {
        let level =
            Level::Item { id: Some(step.id.clone()), value: value.clone(), index, own: None };
        let frame = self.open(Some(parent), level);
        let path = format!("{path}[{index}]");
        let raw = self.body(step, frame, &path, release);
        let stand = self.conclude(step, frame, &path, release, raw);
        self.kept(step, &path, &stand);
        self.held_back(&path, Property::Needs);
        self.note(frame, &step.id, stand.clone());
        let record = record(step, &stand, value);
        (stand, record)
    }

    /// What the items came to together.
    fn all(&mut self, step: &Step, path: &str, release: Release, items: Items) -> Stand {
        let begun = Some(release.at);
        if let Some(fall) = items.falls.into_iter().min_by_key(|fall| fall.at) {
            if !fall.vague {
                self.stop(path, fall.at, Property::Stopped);
            }
            let how = if fall.refused { How::Refused } else { How::Failed };
            let over = self.closed_by(path, fall.at);
            let error = fall.located();
            let fall = over.map(|at| Fall { at, ..fall });
            return Stand { error, fall, ..Stand::new(how, begun, over) };
        }
        if items.unknown {
            self.unknown(path, release.at);
            let ends = items.ends.iter().flatten().copied();
            return Stand::unknown(begun, ends.fold(release.at, usize::max));
        }
        let records = items.records.into_iter().collect::<Option<Vec<_>>>().map(Value::List);
        match items.last.filter(|_| items.pending.is_empty()) {
            Some(last) => {
                Stand { output: records, ..Stand::new(How::Completed, begun, Some(last)) }
            }
            None => {
                let own = || vec![Pending { path: format!("{path} of {}", step.id) }];
                let pending = if items.pending.is_empty() { own() } else { items.pending };
                Stand { pending, ..Stand::new(How::Running, begun, None) }
            }
        }
    }

    /// How many items have entries, where the list itself is gone.
    fn indices(&self, path: &str) -> usize {
        let index = |step: &str| {
            let rest = step.strip_prefix(path)?.strip_prefix('[')?;
            rest.split_once(']')?.0.parse::<usize>().ok()
        };
        let all = self.log.within(path).filter_map(|(step, _)| index(step));
        all.max().map_or(0, |last| last + 1)
    }
}

impl Items {
    /// Behind which place the next item may begin: at once while there is room, and then when
    /// the first of those under way is over.
    fn place(&mut self, most: usize, released: usize) -> Option<usize> {
        if !self.falls.is_empty() && self.falls.iter().any(|fall| fall.at == released) {
            return None;
        }
        if self.ends.len() < most {
            return Some(released);
        }
        let soonest =
            self.ends.iter().enumerate().filter_map(|(at, end)| Some((end.as_ref()?, at)));
        let (end, at) = soonest.min()?;
        let end = *end;
        self.ends.swap_remove(at);
        Some(end)
    }

    fn take(&mut self, (stand, record): (Stand, Option<Value>)) {
        self.unknown |= stand.is_unknown();
        self.ends.push(stand.over);
        self.last = self.last.zip(stand.over).map(|(last, over)| last.max(over));
        self.records.push(record);
        self.falls.extend(stand.fall);
        self.pending.extend(stand.pending);
    }
}

/// `{item, status, error}` and what the body gives.
fn record(step: &Step, stand: &Stand, item: Option<Value>) -> Option<Value> {
    let mut record = Map::from([
        ("status".to_owned(), stand.how.word().into()),
        ("error".to_owned(), stand.error.clone()?),
        ("item".to_owned(), item?),
    ]);
    let output = stand.output.clone()?;
    let nothing = || Value::Map(Map::new());
    match (&step.body, output) {
        (Body::Group(_) | Body::Choose(_), Value::Map(members)) => record.extend(members),
        (Body::Group(_), _) => drop(record.insert("steps".to_owned(), nothing())),
        (Body::Choose(_), _) => {
            record.insert("plan".to_owned(), Value::Null);
            record.insert("steps".to_owned(), nothing());
        }
        (
            Body::Effect(_)
            | Body::Compute(_)
            | Body::Approve(_)
            | Body::Sleep(_)
            | Body::WaitFor(_)
            | Body::Checkpoint(_)
            | Body::Run(_)
            | Body::Continue(_),
            output,
        ) => drop(record.insert("output".to_owned(), output)),
    }
    Some(Value::Map(record))
}

//! Steps in sight of each other: each behind those that it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Value;
use cog_base::json::Map;
use cog_flow::{Block, Body, Step};

use super::Reading;
use super::scope::Level;
use super::stand::{Fall, How, Pending, Release, Stand};
use crate::property::Property;

/// How the steps of a block ended.
pub(super) struct Over {
    pub(super) frame: usize,
    /// Where all of them were over.
    pub(super) over: Option<usize>,
    /// The first fall that nothing handled.
    pub(super) fall: Option<Fall>,
    pub(super) pending: Vec<Pending>,
    /// Of something inside nobody can tell what it came to: it may have fallen, and where all
    /// was over is the least that is known.
    pub(super) unknown: bool,
    /// `{id: {status, output, error}}`; nothing where a part cannot be told.
    pub(super) steps: Option<Value>,
}

impl Reading<'_> {
    /// Work out the steps of a block whose paths begin with `prefix`.
    pub(super) fn block(
        &mut self,
        block: &Arc<Block>,
        parent: Option<usize>,
        prefix: &str,
        release: Release,
    ) -> Over {
        self.opens(block.steps.len());
        let level = Level::Steps { block: Arc::clone(block), stands: BTreeMap::new() };
        let frame = self.open(parent, level);
        for step in in_order(block) {
            let path = join(prefix, &step.id);
            self.note_holds(step, frame, prefix);
            let stand = match self.released(block, step, (frame, prefix), release) {
                Ok(release) => {
                    let stand = self.step(step, frame, &path, release);
                    self.kept(step, &path, &stand);
                    self.spans(step, &path, &stand);
                    self.held_back(&path, release.by);
                    self.anew(block, step, (frame, &path), stand, release.by)
                }
                Err(by) => {
                    self.barred.insert(path, by);
                    Stand::new(How::Waiting, None, None)
                }
            };
            self.note(frame, &step.id, stand);
        }
        self.end(frame, prefix, release)
    }

    /// Behind what a step may begin; what keeps it if something does for good.
    fn released(
        &self,
        block: &Block,
        step: &Step,
        (frame, prefix): (usize, &str),
        release: Release,
    ) -> Result<Release, Property> {
        let kind = |id: &String| block.steps.iter().find(|step| step.id == *id);
        let is_single = |step: &Arc<Step>| {
            let inner = matches!(step.body, Body::Group(_) | Body::Choose(_));
            !inner && step.foreach.is_none()
        };
        let one = step.needs.len() == 1 && step.needs.iter().filter_map(kind).all(is_single);
        let by = if one { Property::Needs } else { Property::Join };
        // In the first run in which all of them are over: in another they may begin anew.
        let lives = self.source.lives();
        let at = (0..lives).find_map(|life| {
            let mut needs = step.needs.iter();
            let all = needs.try_fold(release.at, |latest, id| {
                Some(latest.max(self.over_in(frame, (prefix, id), life)?))
            });
            let at = all?.max(self.hold(prefix, life)?);
            let seen_by = self.source.seen_by(at);
            let start = self.source.life(life).start;
            (seen_by <= life).then(|| if seen_by < life { at.max(start) } else { at })
        });
        let at = at.ok_or(by)?;
        Ok(if step.needs.is_empty() { Release { at, ..release } } else { Release { at, by } })
    }

    pub(super) fn stand(&self, frame: usize, id: &str) -> Option<&Stand> {
        match &self.frames.get(frame)?.kind {
            Level::Steps { stands, .. } => stands.get(id),
            Level::Item { own, .. } => own.as_deref(),
        }
    }

    /// What the steps came to together.
    fn end(&mut self, frame: usize, prefix: &str, release: Release) -> Over {
        let life = self.ended_in(frame);
        self.settle(frame, life);
        let stands = self.stands(frame);
        let falls = stands.iter().filter_map(|(_, stand)| stand.fall.clone());
        let fall = falls.min_by_key(|fall| fall.at);
        let unknown = stands.iter().any(|(_, stand)| stand.is_unknown());
        let all = stands.iter().map(|(_, stand)| stand.over.filter(|_| !stand.is_unknown()));
        let over = all.collect::<Option<Vec<_>>>();
        let over = over.map(|all| all.into_iter().fold(release.at, usize::max));
        let by = fall.as_ref().map(|fall| fall.at).or(over);
        let fall = self.out_of_time(prefix, release, by).or(fall);
        if let Some(fall) = fall {
            if !fall.vague {
                self.stop(prefix, fall.at, Property::Stopped);
            }
            self.stop_stands(frame, fall.at);
            let over = self.closed_by(prefix, fall.at);
            let steps = self.gather(frame).filter(|_| !fall.vague);
            return Over { frame, over, fall: Some(fall), pending: Vec::new(), unknown, steps };
        }
        let pending = stands.iter().flat_map(|(_, stand)| stand.pending.clone()).collect();
        let last = stands
            .iter()
            .try_fold(release.at, |last, (_, stand)| stand.over.map(|over| last.max(over)));
        let least =
            || stands.iter().filter_map(|(_, stand)| stand.over).fold(release.at, usize::max);
        let over = last.or_else(|| unknown.then(least));
        Over { frame, over, fall: None, pending, unknown, steps: self.gather(frame) }
    }

    /// The first of the runs in which the steps of a level are over, or stopped by a fall; the last
    /// where they are in none.
    fn ended_in(&self, frame: usize) -> usize {
        let stands = self.stands(frame);
        let until = |life: usize| self.source.life(life).until.unwrap_or(usize::MAX);
        let is_by = |life: usize, at: Option<usize>| at.is_some_and(|at| at <= until(life));
        let last = self.source.lives().saturating_sub(1);
        let ended = (0..last).find(|life| {
            let mut all = stands.iter().map(|(_, stand)| stand.in_life(*life));
            let fell = all.clone().any(|it| is_by(*life, it.fall.as_ref().map(|fall| fall.at)));
            fell || all.all(|it| is_by(*life, it.over))
        });
        ended.unwrap_or(last)
    }

    /// What a step with others inside came to is not told where its `if` was read again, because it
    /// waited for a step that began anew.
    fn spans(&mut self, step: &Step, path: &str, stand: &Stand) {
        let inner = matches!(step.body, Body::Group(_) | Body::Choose(_)) || step.foreach.is_some();
        let is_held = (1..self.source.lives()).any(|life| {
            let start = self.source.life(life).start;
            let goes_on = stand.over.is_none_or(|over| over >= start);
            let began = stand.begun.is_some_and(|begun| begun < start);
            goes_on && began && self.hold(path, life).is_none_or(|hold| hold >= start)
        });
        self.unsure |= inner && is_held && step.condition.is_some();
    }

    fn stands(&self, frame: usize) -> Vec<(String, Stand)> {
        match self.frames.get(frame).map(|scope| &scope.kind) {
            Some(Level::Steps { stands, .. }) => {
                stands.iter().map(|(id, stand)| (id.clone(), stand.clone())).collect()
            }
            Some(Level::Item { .. }) | None => Vec::new(),
        }
    }

    /// What was not over when its level stopped came to nothing.
    fn stop_stands(&mut self, frame: usize, at: usize) {
        let Some(Level::Steps { block, stands }) =
            self.frames.get_mut(frame).map(|scope| &mut scope.kind)
        else {
            return;
        };
        for step in &block.steps {
            let Some(stand) = stands.get_mut(&step.id) else { continue };
            stand.pending.clear();
            let is_effect = matches!(step.body, Body::Effect(_)) && step.foreach.is_none();
            let is_late = stand.over.is_none_or(|over| over > at);
            let never = stand.begun.is_none_or(|begun| begun > at);
            let is_done = matches!(stand.how, How::Completed | How::Refused | How::Failed);
            if is_late && (never || !(is_effect && is_done)) {
                *stand = Stand::new(How::Skipped, stand.begun, stand.over);
            }
        }
    }

    fn gather(&self, frame: usize) -> Option<Value> {
        let Level::Steps { stands, .. } = &self.frames.get(frame)?.kind else { return None };
        let steps = stands.iter().map(|(id, stand)| Some((id.clone(), stand.facts()?)));
        steps.collect::<Option<Map>>().map(Value::Map)
    }
}

/// The steps of a block, each behind those that it needs.
fn in_order(block: &Block) -> Vec<&Arc<Step>> {
    let mut ordered: Vec<&Arc<Step>> = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<&Arc<Step>> = block.steps.iter().collect();
    while !left.is_empty() {
        let ready = |step: &&Arc<Step>| step.needs.iter().all(|id| done.contains(id.as_str()));
        let (now, later): (Vec<_>, Vec<_>) = left.iter().copied().partition(ready);
        if now.is_empty() {
            break;
        }
        done.extend(now.iter().map(|step| step.id.as_str()));
        ordered.extend(now);
        left = later;
    }
    ordered
}

pub(super) fn join(prefix: &str, id: &str) -> String {
    if prefix.is_empty() { id.to_owned() } else { format!("{prefix}.{id}") }
}

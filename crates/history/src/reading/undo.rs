//! Undoing: the steps that completed, the last first, one after the other.

use std::sync::Arc;

use cog_flow::{Flow, Step};

use super::stand::Release;
use super::{Ended, Reading};
use crate::log::is_within;
use crate::property::Property;

/// A step that completed and says how it is undone.
pub(super) struct Undoable {
    pub(super) step: Arc<Step>,
    pub(super) path: String,
    pub(super) frame: usize,
    /// From where on it could begin.
    pub(super) begun: usize,
    /// Where it completed.
    pub(super) at: usize,
    /// Whether it is one effect: it is waited for even when it is stopped.
    pub(super) is_effect: bool,
    /// Whether it has steps inside, which it stands for.
    pub(super) is_group: bool,
    /// Whether it came to its end with the very entry that stopped it, so that both can be.
    pub(super) perhaps: bool,
    pub(super) subjects: Subjects,
}

/// The steps around, the nearest last, that say whose data is inside, and where they stand.
pub(super) type Subjects = Vec<(Arc<Step>, usize)>;

impl Reading<'_> {
    /// What was stopped before it was over did not complete.
    pub(super) fn stop_undoable(&mut self, path: &str, stop: usize) {
        let is_inside = |one: &Undoable| is_within(&one.path, path);
        self.undoable.retain(|one| {
            let never = one.begun > stop || (!one.is_effect && one.at > stop);
            !(is_inside(one) && never)
        });
        for one in self.undoable.iter_mut().filter(|one| is_inside(one)) {
            one.perhaps |= !one.is_effect && one.begun == stop;
        }
    }

    pub(super) fn undo(&mut self, flow: &Flow, ended: &Ended, root: usize) {
        let asked = match ended.status {
            Some("cancelled") => true,
            Some("failed") => flow.undo.on_failed,
            Some("refused") => flow.undo.on_refused,
            Some(_) | None => false,
        };
        if !asked {
            return;
        }
        let mut release = Release { at: ended.at, by: Property::UndoOrder };
        for one in self.in_turn() {
            let prefix = format!("{}.on_cancel", one.path);
            let Some(block) = one.step.on_cancel.clone() else { continue };
            if one.perhaps && self.log.first_within(&prefix).is_none() {
                continue;
            }
            self.subjects = one.subjects;
            let inside = self.under(&one.step, one.frame, |it| {
                it.block(&block, Some(one.frame), &prefix, release)
            });
            self.subjects.clear();
            self.missing(&inside.pending, Property::UndoMissing);
            let Some(over) = inside.over else { return };
            release.at = over;
        }
        if let Some(block) = &flow.undo.steps {
            let inside = self.block(block, Some(root), "on_cancel", release);
            self.missing(&inside.pending, Property::UndoMissing);
        }
    }

    /// The last to complete first. What completed with the same entry comes as it was undone.
    fn in_turn(&mut self) -> Vec<Undoable> {
        let mut all = std::mem::take(&mut self.undoable);
        // What the run before it did is not this one's to undo.
        let start = self.source.own().start;
        all.retain(|one| start == 0 || one.at >= start);
        let (groups, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.is_group);
        let mut left: Vec<Undoable> = Vec::new();
        for one in others.into_iter().chain(groups) {
            // What undoes a group that completed stands for what would undo the steps inside.
            if one.is_group {
                left.retain(|inner| inner.path == one.path || !is_within(&inner.path, &one.path));
            }
            left.push(one);
        }
        let is_vague = left.iter().any(|one| self.is_vague(one.at));
        let first = |one: &Undoable| {
            let prefix = format!("{}.on_cancel", one.path);
            self.log.first_within(&prefix).unwrap_or(usize::MAX)
        };
        // Where it is not known when they completed, nothing is said of their order.
        let completed = |one: &Undoable| if is_vague { 0 } else { one.at };
        left.sort_by_key(|one| (std::cmp::Reverse(completed(one)), first(one)));
        left
    }
}

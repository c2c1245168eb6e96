//! Steps that are in sight of each other: their ids, their needs, no cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Reader;
use super::scope::Scope;
use crate::definition::Block;
use crate::fields::{self, Fields};
use crate::limits::MAX_STEPS;
use crate::tree::{Kind, Node};
use cog_base::suggest;

/// Ids that are levels of a path already.
pub(super) const RESERVED: [&str; 3] = ["on_cancel", "on_error", "on_refused"];

/// What a block hands down to its steps.
#[derive(Clone, Copy)]
pub(super) struct Inherited<'i> {
    /// The actor of the steps around.
    pub(super) actor: Option<&'i str>,
    /// Whether the steps are those of a plan.
    pub(super) in_plan: bool,
    /// Whether a step is reached once at most, and not while the run is undone.
    pub(super) is_once: bool,
    /// Whether the steps stand in nothing but the run.
    pub(super) is_outermost: bool,
}

/// A step as far as its place among the others goes.
struct Outline<'n> {
    id: &'n str,
    node: &'n Node,
    needs: Vec<(&'n str, usize)>,
}

impl Reader<'_, '_> {
    /// Reads a list of steps; gives also their ids.
    pub(super) fn block(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
        inherited: Option<Inherited<'_>>,
        what: &str,
    ) -> (Arc<Block>, BTreeSet<String>) {
        let outermost =
            Inherited { actor: None, in_plan: false, is_once: true, is_outermost: true };
        let inherited = inherited.map(|it| Inherited { is_outermost: false, ..it });
        let inherited = inherited.unwrap_or(outermost);
        let nodes = fields::list(node, what.trim_matches('`'), self.reports);
        if nodes.is_empty() && matches!(node.kind, Kind::List(_)) {
            self.reports.error(
                node.at,
                format!("{what} has no steps"),
                "write one at least: `- id: …`",
            );
        }
        let outlines = self.outlines(nodes);
        let ids: BTreeSet<String> = outlines.iter().map(|one| one.id.to_owned()).collect();
        self.check_needs(&outlines, &ids);
        let closure = closure(&outlines);
        let mut block = Block::default();
        for outline in &outlines {
            let visible = closure.get(outline.id).cloned().unwrap_or_default();
            let scope = scope.within(&ids, visible, Some(outline.id));
            let needs = outline.needs.iter().map(|(id, _)| (*id).to_owned()).collect();
            block.steps.extend(self.step(outline.node, outline.id, needs, &scope, inherited));
        }
        block.link();
        (Arc::new(block), ids)
    }

    fn outlines<'n>(&mut self, nodes: &'n [Node]) -> Vec<Outline<'n>> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut outlines = Vec::new();
        for node in nodes {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                let hint = "use `foreach` for what is the same, or `run` for a workflow of its own";
                self.reports.error(node.at, format!("more than {MAX_STEPS} steps"), hint);
                break;
            }
            let Some(fields) = Fields::open(node, &super::step::STEP, self.reports) else {
                continue;
            };
            let Some(id_node) = fields.get("id") else { continue };
            let Some(id) = fields::id(id_node, "id", self.reports) else { continue };
            if RESERVED.contains(&id) {
                let message = format!("the id `{id}` is taken by the handlers");
                self.reports.error(id_node.at, message, "give the step another id");
            }
            if let Some(first) = seen.insert(id, id_node.at) {
                let line = self.reports.source().locate(first).0.line;
                let message = format!("the id `{id}` is used twice; first in line {line}");
                self.reports.error(id_node.at, message, "give one of the two another id");
                continue;
            }
            let needs = fields.get("needs").map(|node| self.needs(node)).unwrap_or_default();
            outlines.push(Outline { id, node, needs });
        }
        outlines
    }

    fn needs<'n>(&mut self, node: &'n Node) -> Vec<(&'n str, usize)> {
        if let Kind::Text(id) = &node.kind {
            let message = "`needs` must be a list, this is a string";
            self.reports.with_hint(node.at, message, format!("write `needs: [{id}]`"));
            return Vec::new();
        }
        let mut needs: Vec<(&str, usize)> = Vec::new();
        for item in fields::list(node, "needs", self.reports) {
            let Some(id) = fields::text(item, "needs", self.reports) else { continue };
            if !needs.iter().any(|(other, _)| *other == id) {
                needs.push((id, item.at));
            }
        }
        needs
    }

    fn check_needs(&mut self, outlines: &[Outline<'_>], ids: &BTreeSet<String>) {
        for outline in outlines {
            for (need, at) in &outline.needs {
                if ids.contains(*need) {
                    continue;
                }
                let message = format!("`{}` needs `{need}`, which is not here", outline.id);
                let others = ids.iter().map(String::as_str).filter(|id| *id != outline.id);
                let hint = if self.reports.is_full() { None } else { suggest::hint(need, others) };
                let hint = hint.map(|hint| {
                    let stop = if hint.ends_with('?') { "" } else { "." };
                    format!("{hint}{stop} Only steps of the same list can be needed")
                });
                self.reports.with_hint(*at, message, hint);
            }
        }
        if let Some((at, cycle)) = find_cycle(outlines) {
            let message = format!("the steps wait for each other: {}", cycle.join(" -> "));
            let hint = "take one of these out of `needs`".to_owned();
            self.reports.with_hint(at, message, hint);
        }
    }
}

impl Block {
    /// Notes for each step who needs it.
    fn link(&mut self) {
        let ids = self.steps.iter().enumerate().map(|(at, step)| (step.id.clone(), at));
        let index: BTreeMap<String, usize> = ids.collect();
        let mut dependents = vec![Vec::new(); self.steps.len()];
        for (dependent, step) in self.steps.iter().enumerate() {
            for need in &step.needs {
                if let Some(list) = index.get(need).and_then(|at| dependents.get_mut(*at)) {
                    list.push(dependent);
                }
            }
        }
        self.dependents = dependents;
        self.index = index;
    }
}

/// For each step all the steps it needs, directly or not.
fn closure(outlines: &[Outline<'_>]) -> BTreeMap<String, BTreeSet<String>> {
    let direct: BTreeMap<&str, Vec<&str>> = outlines
        .iter()
        .map(|one| (one.id, one.needs.iter().map(|(id, _)| *id).collect()))
        .collect();
    let mut closure = BTreeMap::new();
    for outline in outlines {
        let mut all = BTreeSet::new();
        let mut todo: Vec<&str> = direct.get(outline.id).cloned().unwrap_or_default();
        while let Some(id) = todo.pop() {
            if direct.contains_key(id) && all.insert(id.to_owned()) {
                todo.extend(direct.get(id).into_iter().flatten());
            }
        }
        closure.insert(outline.id.to_owned(), all);
    }
    closure
}

/// The first cycle, as ids from a step back to itself, and the `needs` that closes it.
fn find_cycle<'n>(outlines: &[Outline<'n>]) -> Option<(usize, Vec<&'n str>)> {
    let by_id: BTreeMap<&str, &Outline<'n>> = outlines.iter().map(|one| (one.id, one)).collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in outlines {
        let mut trail: Vec<&'n str> = Vec::new();
        // Each entry is a step and how many of its needs were followed.
        let mut stack: Vec<(&Outline<'n>, usize)> = vec![(start, 0)];
        while let Some((outline, followed)) = stack.pop() {
            if followed == 0 {
                if done.contains(outline.id) {
                    continue;
                }
                trail.push(outline.id);
            }
            let Some((need, at)) = outline.needs.get(followed) else {
                done.insert(outline.id);
                trail.pop();
                continue;
            };
            stack.push((outline, followed + 1));
            if let Some(from) = trail.iter().position(|id| id == need) {
                let mut cycle: Vec<&str> = trail.into_iter().skip(from).collect();
                cycle.push(need);
                return Some((*at, cycle));
            }
            if let Some(next) = by_id.get(need) {
                stack.push((next, 0));
            }
        }
    }
    None
}

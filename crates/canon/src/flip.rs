//! The smallest change that would turn a refusal into a permit.
//!
//! Every candidate is put to the policies themselves: a change is reported only when the
//! canon permits the changed request. Candidates come from what the policies and facts
//! mention, so that the search is finite: for a number the values beside each number they
//! compare with, for a text the other texts, for a resource or a principal the others of
//! its type. The number nearest to the present one is found by bisection between them.

mod change;
mod hints;

pub use change::{Change, Flip};
pub(crate) use hints::Hints;

use std::collections::BTreeSet;

use cog_base::json::{Integer, Map, Value};

use crate::Canon;
use crate::conform::{Record, Shape};
use crate::evaluate::{Evaluation, Request, Ruling};
use crate::flip::change::{distance, set};

/// Most evaluations of one search.
pub const EVALUATIONS_MAX: usize = 4_000;
/// A text that no policy mentions, to try what any other text would do.
const UNMENTIONED: &str = "\u{fffd}";
/// Most flips that are reported.
pub const FLIPS_MAX: usize = 5;

/// A search: how many evaluations are left of it.
struct Search<'a> {
    canon: &'a Canon,
    request: Request<'a>,
    left: usize,
}

/// A request that may be changed.
#[derive(Clone)]
struct Draft {
    principal: String,
    resource: (String, String),
    context: Map,
}

impl Canon {
    /// The smallest changes that would turn a refusal into a permit: those of one part of
    /// the request first; where none suffices, those of two. Numbers nearest to the present
    /// ones. Empty when the request is permitted, or when nothing was found within
    /// [`EVALUATIONS_MAX`] evaluations.
    #[must_use]
    pub fn flips(&self, request: &Request<'_>) -> Vec<Flip> {
        let mut search = Search { canon: self, request: *request, left: EVALUATIONS_MAX };
        let draft = Draft {
            principal: request.principal.to_owned(),
            resource: (request.resource.0.to_owned(), request.resource.1.to_owned()),
            context: request.context.clone(),
        };
        if search.permitted(&draft).is_some() {
            return Vec::new();
        }
        let singles = search.singles(&draft);
        let mut flips: Vec<_> =
            singles.iter().filter_map(|it| search.try_all(&draft, &[it])).collect();
        flips = search.nearest(&draft, flips);
        if flips.is_empty() {
            flips = search.pairs(&draft, &singles);
        }
        flips.sort_by_key(Flip::rank);
        flips.truncate(FLIPS_MAX);
        flips
    }
}

impl Search<'_> {
    fn evaluate(&mut self, draft: &Draft) -> Option<Evaluation> {
        self.left = self.left.checked_sub(1)?;
        Some(self.canon.evaluate(&Request {
            principal: &draft.principal,
            action: self.request.action,
            resource: (&draft.resource.0, &draft.resource.1),
            context: &draft.context,
        }))
    }

    fn permitted(&mut self, draft: &Draft) -> Option<Evaluation> {
        self.evaluate(draft).filter(|evaluation| evaluation.ruling == Ruling::Permit)
    }

    /// The flip that these changes make together, if they make one.
    fn try_all(&mut self, draft: &Draft, changes: &[&Change]) -> Option<Flip> {
        let mut changed = draft.clone();
        changes.iter().for_each(|change| changed.apply(change));
        let evaluation = self.permitted(&changed)?;
        Some(Flip::new(changes.iter().map(|change| (*change).clone()).collect(), &evaluation))
    }

    /// Every candidate change of one part.
    fn singles(&self, draft: &Draft) -> Vec<Change> {
        let mut changes = Vec::new();
        let action = self.canon.actions.get(self.request.action);
        if let Some(action) = action {
            self.attributes(&action.context, &draft.context, "", &mut changes);
        }
        let (kind, name) = &draft.resource;
        for other in self.canon.hints.resources(kind).filter(|other| *other != name) {
            changes.push(Change::Resource {
                kind: kind.clone(),
                from: name.clone(),
                to: other.to_owned(),
            });
        }
        for other in self.canon.hints.actors(&draft.principal) {
            changes.push(Change::Principal { from: draft.principal.clone(), to: other });
        }
        changes
    }

    fn attributes(&self, shape: &Record, context: &Map, prefix: &str, changes: &mut Vec<Change>) {
        for (name, attribute) in shape {
            let Some(value) = context.get(name) else { continue };
            let path = format!("{prefix}{name}");
            match (attribute.shape(), value) {
                (Shape::Record(inner), Value::Map(members)) => {
                    self.attributes(inner, members, &format!("{path}."), changes);
                }
                (Shape::Long, Value::Int(from)) => {
                    let others = self.canon.hints.numbers(from.get());
                    changes.extend(others.into_iter().map(|to| Change::Number {
                        path: path.clone(),
                        from: from.get(),
                        to,
                    }));
                }
                (Shape::Text, Value::Text(from)) => {
                    changes.push(Change::Other { path: path.clone(), from: from.clone() });
                    let others = self.canon.hints.texts().filter(|other| *other != from);
                    changes.extend(others.map(|to| Change::Text {
                        path: path.clone(),
                        from: from.clone(),
                        to: to.to_owned(),
                    }));
                }
                (Shape::Bool, Value::Bool(from)) => {
                    changes.push(Change::Truth { path, from: *from });
                }
                _ => {}
            }
        }
    }

    /// Of the flips by one number, for each attribute only the nearest, moved as near as
    /// possible; of the flips by a text, a resource or a principal, all.
    fn nearest(&mut self, draft: &Draft, flips: Vec<Flip>) -> Vec<Flip> {
        let mut kept: Vec<Flip> = Vec::new();
        let mut paths = BTreeSet::new();
        let mut flips = flips;
        flips.sort_by_key(Flip::rank);
        for flip in flips {
            match flip.changes.as_slice() {
                [Change::Number { path, from, to }] => {
                    if paths.insert(path.clone()) {
                        let near = self.bisect(draft, path, *from, *to);
                        let change = Change::Number { path: path.clone(), from: *from, to: near };
                        kept.push(self.try_all(draft, &[&change]).unwrap_or(flip));
                    }
                }
                // Where any other text does, a certain one is no smaller a change.
                [Change::Text { path, .. }] if paths.contains(path) => {}
                [Change::Other { path, .. }] => {
                    paths.insert(path.clone());
                    kept.push(flip);
                }
                _ => kept.push(flip),
            }
        }
        kept
    }

    /// The value nearest to `from` that permits, between it and `to`, which permits.
    fn bisect(&mut self, draft: &Draft, path: &str, from: i64, to: i64) -> i64 {
        let (mut refused, mut permitted) = (from, to);
        while distance(refused, permitted) > 1 {
            let middle = refused.midpoint(permitted);
            let change = Change::Number { path: path.to_owned(), from, to: middle };
            if self.left == 0 {
                break;
            }
            if self.try_all(draft, &[&change]).is_some() {
                permitted = middle;
            } else {
                refused = middle;
            }
        }
        permitted
    }

    /// The flips by two changes of different parts, nearest first.
    fn pairs(&mut self, draft: &Draft, singles: &[Change]) -> Vec<Flip> {
        let mut found = Vec::new();
        for (place, one) in singles.iter().enumerate() {
            for other in singles.iter().skip(place + 1).filter(|it| it.part() != one.part()) {
                if self.left == 0 {
                    return found;
                }
                found.extend(self.try_all(draft, &[one, other]));
            }
        }
        found
    }
}

impl Draft {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Number { path, to, .. } => {
                if let Some(to) = Integer::new(*to) {
                    set(&mut self.context, path, Value::Int(to));
                }
            }
            Change::Text { path, to, .. } => set(&mut self.context, path, Value::from(to.as_str())),
            Change::Other { path, .. } => set(&mut self.context, path, Value::from(UNMENTIONED)),
            Change::Truth { path, from } => set(&mut self.context, path, Value::from(!from)),
            Change::Resource { to, .. } => self.resource.1.clone_from(to),
            Change::Principal { to, .. } => self.principal.clone_from(to),
        }
    }
}

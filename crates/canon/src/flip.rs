//! The smallest change that would turn a refusal into a permit.
//!
//! Every candidate is put to the policies themselves: a change is reported only when the
//! canon permits the changed request. Candidates come from what the policies and facts
//! mention, so that the search is finite: for a number the values beside each number they
//! compare with, for a text the other texts, for a resource or a principal the others of
//! its type. The numbers near the present one are all tried, and ever further ones; between
//! the nearest that permits and the last that did not, bisection finds the edge. So nothing
//! nearer is missed unless the policies reckon with a number that is further away than that,
//! in a way that has several edges.

mod change;
mod hints;

pub use change::{Change, Flip};
pub(crate) use hints::Hints;

use std::collections::{BTreeMap, BTreeSet};

use cog_base::json::{Integer, Map, Value};

use crate::Canon;
use crate::conform::{Record, Shape};
use crate::evaluate::{Evaluation, Request, Ruling};
use crate::flip::change::set;

/// Most evaluations of one search.
pub const EVALUATIONS_MAX: usize = 4_000;
/// Most flips that are reported.
pub const FLIPS_MAX: usize = 5;

/// Every number at most this far from the present one is tried.
const NEAR: i64 = 64;
/// The greatest power of two that is added to a number: beyond it no request goes.
const POWERS: u32 = 53;

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

/// The parts of a request that can be changed, and to what.
#[derive(Default)]
struct Candidates {
    /// Paths of numbers and what they are.
    numbers: Vec<(String, i64)>,
    /// Changes of everything else.
    others: Vec<Change>,
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
        let candidates = search.candidates(&draft);
        let mut flips = search.singles(&draft, &candidates);
        if flips.is_empty() {
            flips = search.pairs(&draft, &candidates);
        }
        flips.sort_by_key(Flip::rank);
        keep_nearest(&mut flips);
        flips.truncate(FLIPS_MAX);
        flips.iter_mut().for_each(|flip| search.look_beyond(&draft, flip));
        flips
    }
}

/// Of flips that differ in their numbers only, the first, which is the nearest.
fn keep_nearest(flips: &mut Vec<Flip>) {
    let mut seen = BTreeSet::new();
    flips.retain(|flip| seen.insert(flip.without_numbers()));
}

/// Where any other text does, for no more consents, a certain one is no smaller a change.
fn drop_covered(flips: &mut Vec<Flip>) {
    let other = |flip: &Flip| match flip.changes.as_slice() {
        [Change::Other { path, .. }] => Some((path.clone(), flip.approvals.len())),
        _ => None,
    };
    let free: BTreeMap<_, _> = flips.iter().filter_map(other).collect();
    let covered = |flip: &Flip| match flip.changes.as_slice() {
        [Change::Text { path, .. }] => {
            free.get(path).is_some_and(|approvals| *approvals <= flip.approvals.len())
        }
        _ => false,
    };
    flips.retain(|flip| !covered(flip));
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
        let unmentioned = self.canon.hints.unmentioned();
        changes.iter().for_each(|change| changed.apply(change, unmentioned));
        let evaluation = self.permitted(&changed)?;
        Some(Flip::new(changes.iter().map(|change| (*change).clone()).collect(), &evaluation))
    }

    /// Everything of the request that could be changed.
    fn candidates(&self, draft: &Draft) -> Candidates {
        let mut found = Candidates::default();
        let action = self.canon.actions.get(self.request.action);
        if let Some(action) = action {
            let texts = self.texts(&draft.context);
            self.attributes(&action.context, &draft.context, "", &texts, &mut found);
        }
        let (kind, name) = &draft.resource;
        for other in self.canon.hints.resources(kind).filter(|other| *other != name) {
            found.others.push(Change::Resource {
                kind: kind.clone(),
                from: name.clone(),
                to: other.to_owned(),
            });
        }
        for other in self.canon.hints.actors(&draft.principal) {
            found.others.push(Change::Principal { from: draft.principal.clone(), to: other });
        }
        found
    }

    /// The texts worth trying: those mentioned, and those of the request itself.
    fn texts(&self, context: &Map) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        context.values().for_each(|value| collect_texts(value, &mut texts));
        texts.extend(self.canon.hints.texts().map(str::to_owned));
        texts
    }

    fn attributes(
        &self,
        shape: &Record,
        context: &Map,
        prefix: &str,
        texts: &BTreeSet<String>,
        found: &mut Candidates,
    ) {
        // A name with a dot would be taken for a path. What no policy reads cannot matter.
        let matters = |name: &str| !name.contains('.') && self.canon.hints.reads(name);
        for (name, attribute) in shape.iter().filter(|(name, _)| matters(name)) {
            let Some(value) = context.get(name) else { continue };
            let path = format!("{prefix}{name}");
            match (attribute.shape(), value) {
                (Shape::Record(inner), Value::Map(members)) => {
                    self.attributes(inner, members, &format!("{path}."), texts, found);
                }
                (Shape::Long, Value::Int(from)) => found.numbers.push((path, from.get())),
                (Shape::Text, Value::Text(from)) => {
                    found.others.push(Change::Other { path: path.clone(), from: from.clone() });
                    let others = texts.iter().filter(|other| *other != from);
                    found.others.extend(others.map(|to| Change::Text {
                        path: path.clone(),
                        from: from.clone(),
                        to: to.clone(),
                    }));
                }
                (Shape::Bool, Value::Bool(from)) => {
                    found.others.push(Change::Truth { path, from: *from });
                }
                _ => {}
            }
        }
    }

    /// The flips by one change.
    fn singles(&mut self, draft: &Draft, candidates: &Candidates) -> Vec<Flip> {
        let mut flips: Vec<_> =
            candidates.others.iter().filter_map(|it| self.try_all(draft, &[it])).collect();
        drop_covered(&mut flips);
        for (path, from) in &candidates.numbers {
            let own: BTreeSet<_> = candidates.numbers.iter().map(|(_, number)| *number).collect();
            flips.extend(self.nearest(draft, path, *from, &own));
        }
        flips
    }

    /// The flip by the nearest number at a path. What is tried goes outwards on both sides;
    /// between the first that permits and the last that did not, bisection finds the edge.
    fn nearest(
        &mut self,
        draft: &Draft,
        path: &str,
        from: i64,
        own: &BTreeSet<i64>,
    ) -> Option<Flip> {
        let (mut below, mut above) = (from, from);
        for to in self.canon.hints.numbers(from, own, around(from)) {
            let change = Change::number(path, from, to);
            if let Some(flip) = self.try_all(draft, &[&change]) {
                let refused = if to < from { below } else { above };
                let near = self.bisect(draft, path, refused, to);
                let change = Change::number(path, from, near);
                return self.try_all(draft, &[&change]).or(Some(flip));
            }
            *if to < from { &mut below } else { &mut above } = to;
        }
        None
    }

    /// The value nearest to `refused` that permits, between it and `permitted`.
    fn bisect(&mut self, draft: &Draft, path: &str, refused: i64, permitted: i64) -> i64 {
        let (mut refused, mut permitted) = (refused, permitted);
        while refused.abs_diff(permitted) > 1 && self.left > 0 {
            let middle = refused.midpoint(permitted);
            let change = Change::number(path, refused, middle);
            if self.try_all(draft, &[&change]).is_some() {
                permitted = middle;
            } else {
                refused = middle;
            }
        }
        permitted
    }

    /// The flips by two changes of different parts.
    fn pairs(&mut self, draft: &Draft, candidates: &Candidates) -> Vec<Flip> {
        let own: BTreeSet<_> = candidates.numbers.iter().map(|(_, number)| *number).collect();
        let mut changes = candidates.others.clone();
        for (path, from) in &candidates.numbers {
            let others = self.canon.hints.numbers(*from, &own, []);
            changes.extend(others.into_iter().map(|to| Change::number(path, *from, to)));
        }
        let mut found = Vec::new();
        for (place, one) in changes.iter().enumerate() {
            for other in changes.iter().skip(place + 1).filter(|it| it.part() != one.part()) {
                if self.left == 0 {
                    return found;
                }
                found.extend(self.try_all(draft, &[one, other]));
            }
        }
        found
    }

    /// Whether the numbers of a flip are edges, beyond which it is permitted as well.
    fn look_beyond(&mut self, draft: &Draft, flip: &mut Flip) {
        for place in 0..flip.changes.len() {
            let mut further = flip.changes.clone();
            let Some(Change::Number { from, to, .. }) = further.get_mut(place) else { continue };
            *to += if *to > *from { 1 } else { -1 };
            let beyond = self.try_all(draft, &further.iter().collect::<Vec<_>>()).is_some();
            if let Some(Change::Number { alone, .. }) = flip.changes.get_mut(place) {
                *alone = !beyond;
            }
        }
    }
}

/// Numbers around one, whatever the policies mention: each that is near, then ever further.
fn around(from: i64) -> impl Iterator<Item = i64> {
    let far = (1..=POWERS).map(|power| 1_i64 << power);
    let steps = (1..=NEAR).chain(far);
    steps.flat_map(move |step| [from.saturating_sub(step), from.saturating_add(step)])
}

fn collect_texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Text(text) => {
            found.insert(text.clone());
        }
        Value::List(items) => items.iter().for_each(|item| collect_texts(item, found)),
        Value::Map(members) => members.values().for_each(|item| collect_texts(item, found)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
}

impl Draft {
    fn apply(&mut self, change: &Change, unmentioned: &str) {
        match change {
            Change::Number { path, to, .. } => {
                if let Some(to) = Integer::new(*to) {
                    set(&mut self.context, path, Value::Int(to));
                }
            }
            Change::Text { path, to, .. } => set(&mut self.context, path, Value::from(to.as_str())),
            Change::Other { path, .. } => set(&mut self.context, path, unmentioned.into()),
            Change::Truth { path, from } => set(&mut self.context, path, Value::from(!from)),
            Change::Resource { to, .. } => self.resource.1.clone_from(to),
            Change::Principal { to, .. } => self.principal.clone_from(to),
        }
    }
}

//! The search: which changes are tried, in which order, and which are not worth it.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{PrincipalConstraint, ResourceConstraint};
use cog_base::json::Integer;

use crate::Canon;
use crate::evaluate::{Evaluation, Judged, Request};
use crate::flip::amount::least;
use crate::flip::change::{Change, Flip};
use crate::flip::draft::{Draft, Part, attributes};
use crate::flip::edges::{Edges, Reader};
use crate::flip::{FLIPS_MAX, TEXTS_MAX};
use crate::index::Candidate;
use crate::policies::Side;

/// Most requests that are looked at, whether or not they are worth an evaluation.
const LOOKS_MAX: usize = 2_000;
/// Most numbers of one attribute that are tried together with a second change.
const PAIRED_MAX: usize = 8;
/// Every number at most this far is tried where edges are not known.
const NEAR: i64 = 32;
/// The greatest power of two that is added to a number: beyond it no request goes.
const POWERS: u32 = 53;

/// A search: the request as it is at the moment, and how much may still be tried.
pub(super) struct Search<'a, 's> {
    canon: &'a Canon,
    action: &'a str,
    draft: Draft,
    /// The changes that are made at the moment.
    made: Vec<Change>,
    /// How many changes it would take besides.
    also: &'s mut dyn FnMut(&[Change]) -> Option<usize>,
    /// How many evaluations are left, and how many there were.
    left: usize,
    pub(super) evaluations: usize,
    /// How many requests may still be looked at.
    looks: usize,
    /// Whether something was left out.
    pub(super) cut: bool,
}

/// A permit that a change would bring.
pub(super) struct Permitted {
    pub(super) evaluation: Evaluation,
    /// How many changes it would take besides.
    pub(super) besides: usize,
}

/// What is known of the policies that a request meets.
pub(super) struct Known<'a> {
    pub(super) judged: Judged<'a>,
    candidates: Vec<Candidate>,
    states: BTreeMap<u32, State>,
}

/// What became of a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Missed,
    Failed,
}

impl Canon {
    fn side(&self, candidate: &Candidate) -> Option<Side> {
        self.rule(candidate).map(|rule| rule.note.effect)
    }

    pub(super) fn permits(&self, judged: &Judged<'_>) -> bool {
        let permits = |candidate| self.side(candidate) == Some(Side::Permit);
        judged.failed.is_empty() && !judged.held.is_empty() && judged.held.iter().all(permits)
    }

    fn condition_reads(&self, candidate: &Candidate, part: &Part) -> bool {
        let Some(needs) = self.index.conditions.needs(candidate) else { return false };
        match part {
            Part::Number { path, .. } | Part::Text { path, .. } | Part::Truth { path, .. } => {
                needs.context.has(path)
            }
            Part::Resource => needs.resource,
            Part::Principal => needs.principal,
        }
    }

    /// Whether what becomes of a policy can depend on a part. Its type stays.
    fn depends(&self, candidate: &Candidate, part: &Part) -> bool {
        let Some(policy) = self.rule(candidate).map(|rule| &rule.policy) else { return false };
        let scope = match part {
            Part::Number { .. } | Part::Text { .. } | Part::Truth { .. } => false,
            Part::Resource => !matches!(
                policy.resource_constraint(),
                ResourceConstraint::Any | ResourceConstraint::Is(_)
            ),
            Part::Principal => !matches!(
                policy.principal_constraint(),
                PrincipalConstraint::Any | PrincipalConstraint::Is(_)
            ),
        };
        scope || self.condition_reads(candidate, part)
    }

    /// Whether any policy permits the action, whatever else it asks for.
    pub(super) fn ever_permits(&self, action: &str) -> bool {
        let mut candidates = self.index.about(action);
        candidates.any(|candidate| self.side(candidate) == Some(Side::Permit))
    }

    /// Whether a change of this part can help, where these are the policies that the changed
    /// request meets: what stands in the way and does not read it still would, and a permit
    /// that does not hold and does not read it still would not.
    fn can_help(&self, part: &Part, candidates: &[Candidate], known: &Known<'_>) -> bool {
        let stays = |candidate: &Candidate| {
            let state = known.states.get(&candidate.rule).copied();
            state.filter(|_| !self.condition_reads(candidate, part))
        };
        let bars = |candidate: &Candidate| match stays(candidate) {
            Some(State::Failed) => true,
            Some(State::Held) => self.side(candidate) == Some(Side::Forbid),
            Some(State::Missed) | None => false,
        };
        let permits = |candidate: &Candidate| {
            self.side(candidate) == Some(Side::Permit) && stays(candidate) != Some(State::Missed)
        };
        !candidates.iter().any(bars) && candidates.iter().any(permits)
    }
}

impl<'a> Known<'a> {
    pub(super) fn new(judged: Judged<'a>) -> Self {
        let failed = judged.failed.iter().map(|(candidate, _)| (*candidate, State::Failed));
        let held = judged.held.iter().map(|candidate| (*candidate, State::Held));
        let missed = judged.missed.iter().map(|candidate| (*candidate, State::Missed));
        let all: Vec<_> = failed.chain(held).chain(missed).collect();
        let states = all.iter().map(|(candidate, state)| (candidate.rule, *state)).collect();
        let candidates = all.into_iter().map(|(candidate, _)| candidate).collect();
        Self { judged, candidates, states }
    }
}

impl<'a, 's> Search<'a, 's> {
    pub(super) fn new(
        canon: &'a Canon,
        request: &Request<'a>,
        left: usize,
        also: &'s mut dyn FnMut(&[Change]) -> Option<usize>,
    ) -> Self {
        let draft = Draft {
            principal: request.principal.to_owned(),
            resource: (request.resource.0.to_owned(), request.resource.1.to_owned()),
            context: request.context.clone(),
        };
        Self {
            canon,
            action: request.action,
            draft,
            made: Vec::new(),
            also,
            left,
            evaluations: 0,
            looks: LOOKS_MAX,
            cut: false,
        }
    }

    /// Allow so many evaluations and no others.
    pub(super) fn grant(&mut self, evaluations: usize) {
        (self.left, self.looks) = (evaluations, evaluations);
    }

    /// Put the request as it is now to the policies, if those that it meets are `worth` it.
    pub(super) fn judge(&mut self, worth: impl FnOnce(&[Candidate]) -> bool) -> Option<Judged<'a>> {
        let Draft { principal, resource, context } = &self.draft;
        let resource = (resource.0.as_str(), resource.1.as_str());
        let request = Request { principal, action: self.action, resource, context };
        let (Some(left), Some(looks)) = (self.left.checked_sub(1), self.looks.checked_sub(1))
        else {
            self.cut = true;
            return None;
        };
        self.looks = looks;
        let conforming = self.canon.conform(&request).ok()?;
        if !worth(&conforming.candidates) {
            return None;
        }
        self.left = left;
        self.evaluations += 1;
        Some(self.canon.judge(conforming))
    }

    /// How many changes it would take besides those that are made.
    pub(super) fn besides(&mut self) -> Option<usize> {
        (self.also)(&self.made)
    }

    fn permitted(&mut self, worth: impl FnOnce(&[Candidate]) -> bool) -> Option<Permitted> {
        let judged = self.judge(worth).filter(|judged| self.canon.permits(judged))?;
        let besides = self.besides()?;
        Some(Permitted { evaluation: self.canon.sum_up(judged), besides })
    }

    /// Do something with the request changed.
    fn with<T>(&mut self, change: &Change, act: impl FnOnce(&mut Self) -> T) -> T {
        let unmentioned = self.canon.hints.unmentioned();
        self.draft.apply(change, unmentioned);
        self.made.push(change.clone());
        let done = act(self);
        self.made.pop();
        self.draft.take_back(change);
        done
    }

    /// The flip that a number makes, if it makes one.
    fn try_number(&mut self, path: &str, from: i64, to: i64) -> Option<(Change, Permitted)> {
        let change = Change::number(path, from, to);
        let permitted = self.with(&change, |search| search.permitted(|_| true))?;
        Some((change, permitted))
    }

    /// Everything of the request that could be changed. First what it is about and who asks: that
    /// decides which policies it meets, and what they read of the rest. Numbers last.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Resource, Part::Principal];
        if let Some(action) = self.canon.actions.get(self.action) {
            attributes(&action.context, &self.draft.context, "", &mut parts);
        }
        let number = |part: &Part| matches!(part, Part::Number { .. });
        parts.sort_by_key(number);
        parts
    }

    /// The changes of one part that suffice. Numbers first: they are few, and smallest.
    pub(super) fn singles(
        &mut self,
        known: &Known<'a>,
        parts: &[Part],
    ) -> Vec<(Change, Permitted)> {
        let mut found = Vec::new();
        for part in parts {
            if let Part::Number { path, from } = part
                && self.canon.can_help(part, &known.candidates, known)
            {
                found.extend(self.nearest(known, path, *from));
            }
        }
        for part in parts {
            found.extend(self.others(known, part));
        }
        found
    }

    /// The changes of a part that is no number which suffice. Where many do, with no consent,
    /// the first few are enough: none is smaller.
    fn others(&mut self, known: &Known<'a>, part: &Part) -> Vec<(Change, Permitted)> {
        let of_context = !matches!(part, Part::Resource | Part::Principal);
        let number = matches!(part, Part::Number { .. });
        if number || of_context && !self.canon.can_help(part, &known.candidates, known) {
            return Vec::new();
        }
        let most = if matches!(part, Part::Text { .. }) { TEXTS_MAX } else { FLIPS_MAX };
        let (mut found, mut free) = (Vec::new(), 0);
        for change in self.changes(known, part) {
            let canon = self.canon;
            let permitted = self.with(&change, |search| {
                search.permitted(|candidates| canon.can_help(part, candidates, known))
            });
            let Some(permitted) = permitted else { continue };
            let flip = Flip::new(vec![change.clone()], &permitted);
            let is_free = flip.approvals.is_empty() && flip.besides == 0;
            free += usize::from(is_free);
            let any = is_free && matches!(change, Change::Other { .. });
            found.push((change, permitted));
            if any || free == most {
                break;
            }
        }
        found
    }

    /// The changes of a part that are worth trying.
    fn changes(&mut self, known: &Known<'a>, part: &Part) -> Vec<Change> {
        match part {
            Part::Number { path, from } => {
                let numbers = values(&self.edges(known, part), *from, self.least(path));
                self.cut |= numbers.len() > PAIRED_MAX;
                let numbers = numbers.into_iter().take(PAIRED_MAX);
                numbers.map(|to| Change::number(path, *from, to)).collect()
            }
            Part::Text { path, from } => {
                let texts = self.edges(known, part).mentioned.1;
                let any = Change::Other { path: path.clone(), from: from.clone() };
                let text = |to| Change::text(path, from, to);
                let others = texts.into_iter().filter(|other| other != from).map(text);
                [any].into_iter().chain(others).collect()
            }
            Part::Truth { path, from } => vec![Change::Truth { path: path.clone(), from: *from }],
            Part::Resource => {
                let (kind, from) = self.draft.resource.clone();
                let (names, all) = self.canon.hints.resources(&kind, &from);
                self.cut |= !all;
                let to = |to| Change::Resource { kind: kind.clone(), from: from.clone(), to };
                names.into_iter().map(to).collect()
            }
            Part::Principal => {
                let from = self.draft.principal.clone();
                let (names, all) = self.canon.hints.actors(&from);
                self.cut |= !all;
                names.into_iter().map(|to| Change::Principal { from: from.clone(), to }).collect()
            }
        }
    }

    /// The least number that is tried at a path.
    fn least(&self, path: &str) -> i64 {
        least(path, &self.canon.settings().envelope.amount_paths)
    }

    /// What the policies that the request meets compare a part of its context with.
    fn edges(&self, known: &Known<'a>, part: &Part) -> Edges {
        let (Part::Number { path, .. } | Part::Text { path, .. } | Part::Truth { path, .. }) = part
        else {
            return Edges::default();
        };
        let mut reader = Reader::new(&known.judged.evaluator, path);
        let mut seen = BTreeSet::new();
        for candidate in &known.candidates {
            let reads = self.canon.condition_reads(candidate, part);
            if !reads || !seen.insert(candidate.condition) {
                continue;
            }
            match self.canon.index.conditions.readable(candidate) {
                Some(condition) => {
                    reader.numbers(condition);
                    reader.mentioned(condition);
                }
                None => reader.found.bent = true,
            }
        }
        reader.found
    }

    /// The change to the nearest number at a path. What is tried goes outwards on both sides.
    fn nearest(&mut self, known: &Known<'a>, path: &str, from: i64) -> Option<(Change, Permitted)> {
        let edges = self.edges(known, &Part::Number { path: path.to_owned(), from });
        let least = self.least(path);
        // What is less than nothing is as good as refused.
        let (mut below, mut above) = (from, from.max(least.saturating_sub(1)));
        for to in values(&edges, from, least) {
            let Some(found) = self.try_number(path, from, to) else {
                *if to < from { &mut below } else { &mut above } = to;
                continue;
            };
            let refused = if to < from { below } else { above };
            let nearer = if to < from { to + 1 } else { to - 1 };
            // Between edges all is one, unless a number is too great to reckon with.
            let mut is_nearer_good = || {
                let nearer = self.try_number(path, from, nearer);
                nearer.is_some_and(|(_, it)| it.besides <= found.1.besides)
            };
            if !edges.bent && (nearer == refused || !is_nearer_good()) {
                return Some(found);
            }
            return Some(self.bisect(path, from, refused, found));
        }
        None
    }

    /// The number nearest to `refused` that permits, between it and one that does.
    fn bisect(
        &mut self,
        path: &str,
        from: i64,
        mut refused: i64,
        mut found: (Change, Permitted),
    ) -> (Change, Permitted) {
        while let Change::Number { to, .. } = found.0
            && refused.abs_diff(to) > 1
            && self.left > 0
        {
            let middle = refused.midpoint(to);
            match self.try_number(path, from, middle) {
                Some(nearer) if nearer.1.besides <= found.1.besides => found = nearer,
                Some(_) | None => refused = middle,
            }
        }
        found
    }

    /// The flips by two changes of different parts.
    pub(super) fn pairs(&mut self, known: &Known<'a>, parts: &[Part]) -> Vec<Flip> {
        let mut found = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let rest = parts.get(place + 1..).unwrap_or_default();
            if !self.can_begin(known, part, rest) {
                continue;
            }
            for change in self.changes(known, part) {
                if self.left == 0 || self.looks == 0 {
                    self.cut = true;
                    return found;
                }
                found.extend(self.with(&change, |search| search.second(&change, rest)));
            }
        }
        found
    }

    /// The flips by a change that was made and a second one.
    fn second(&mut self, first: &Change, rest: &[Part]) -> Vec<Flip> {
        let Some(known) = self.judge(|_| true).map(Known::new) else { return Vec::new() };
        let both = |(second, permitted): (Change, Permitted)| {
            Flip::new(vec![first.clone(), second], &permitted)
        };
        self.singles(&known, rest).into_iter().map(both).collect()
    }

    /// Whether a change of this part with one of the rest can help: some policy must depend
    /// on it, and of those that stand in the way each must depend on one of the two.
    fn can_begin(&self, known: &Known<'a>, part: &Part, rest: &[Part]) -> bool {
        let canon = self.canon;
        let bars = |candidate: &&Candidate| match known.states.get(&candidate.rule) {
            Some(State::Failed) => true,
            Some(State::Held) => canon.side(candidate) == Some(Side::Forbid),
            Some(State::Missed) | None => false,
        };
        let stuck: Vec<_> = known
            .candidates
            .iter()
            .filter(bars)
            .filter(|candidate| !canon.depends(candidate, part))
            .collect();
        let clears = |other: &Part| stuck.iter().all(|candidate| canon.depends(candidate, other));
        let matters = matches!(part, Part::Resource | Part::Principal)
            || known.candidates.iter().any(|candidate| canon.condition_reads(candidate, part));
        matters && rest.iter().any(clears)
    }

    /// Whether the numbers of a flip are edges, beyond which it is permitted as well.
    pub(super) fn look_beyond(&mut self, flip: &mut Flip) {
        for place in 0..flip.changes.len() {
            let mut further = flip.changes.clone();
            let Some(Change::Number { from, to, .. }) = further.get_mut(place) else { continue };
            *to += if *to > *from { 1 } else { -1 };
            let beyond = self.all_permitted(&further, flip.besides);
            if let Some(Change::Number { alone, .. }) = flip.changes.get_mut(place) {
                *alone = !beyond;
            }
        }
    }

    fn all_permitted(&mut self, changes: &[Change], besides: usize) -> bool {
        match changes {
            [] => self.permitted(|_| true).is_some_and(|it| it.besides <= besides),
            [first, rest @ ..] => self.with(first, |search| search.all_permitted(rest, besides)),
        }
    }
}

/// The numbers worth trying instead of one and not below `least`, nearest first. Between two edges all are one, so
/// that the nearest is enough; where edges may be missing, there are more.
fn values(edges: &Edges, from: i64, least: i64) -> Vec<i64> {
    let beside = |edge: &i64| if *edge > from { *edge } else { edge.saturating_sub(1) };
    let mut values: BTreeSet<i64> = edges.numbers.iter().map(beside).collect();
    if edges.bent {
        let near = |number: &i64| [number.saturating_sub(1), *number, number.saturating_add(1)];
        values.extend(edges.mentioned.0.iter().flat_map(near));
        values.extend(around(from));
    }
    // Below the least all is one, too.
    values.insert(from.max(least));
    let possible = |it: &i64| *it != from && *it >= least && Integer::new(*it).is_some();
    let mut values: Vec<_> = values.into_iter().filter(possible).collect();
    values.sort_by_key(|other| other.abs_diff(from));
    values
}

/// Numbers around one, whatever the policies mention: each that is near, then ever further.
fn around(from: i64) -> impl Iterator<Item = i64> {
    let far = (1..=POWERS).map(|power| 1_i64 << power);
    let steps = (1..=NEAR).chain(far);
    steps.flat_map(move |step| [from.saturating_sub(step), from.saturating_add(step)])
}

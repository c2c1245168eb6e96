//! The fewest changes that together turn a refusal round, however many checks fail.
//!
//! Every set of changes that is named was made, and the decision made again. Changes are added
//! one after another, each for the check that fails first, until none does. Where that takes more
//! than one, or where policies refuse, the canon looks for changes of the request, and each that
//! it finds is completed in the same way: so one that mends several checks at once is found. Of
//! all the sets the smallest are kept, and of none can a change be left out.

use cog_canon::{Canon, Change, Request};

use super::turn::{Case, Turn};
use super::ways::ways;
use crate::consent::Consent;
use crate::decision::{Decision, Supposed, Verdict, decide_supposed, evaluate};
use crate::intent::Intent;
use crate::of_run::Wish;
use crate::snapshot::Snapshot;

/// Most decisions of one search.
const DECISIONS_MAX: usize = 512;
/// Most changes that are made one after another, those that take the place of others included.
const STEPS_MAX: usize = 24;
/// Most ways out that are named.
const WAYS_MAX: usize = 5;

/// What a decision would read about another intent: another resource stands elsewhere, and others
/// hold it. Nothing where nobody can tell.
pub type Elsewhere<'a> = dyn Fn(&Intent) -> Option<Snapshot> + 'a;

/// What would turn a refusal round, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaysOut {
    /// The smallest changes, at most a few. Those that must be made together are named together.
    pub flips: Vec<String>,
    /// Whether the search was cut short: there may be others then.
    pub cut: bool,
}

/// The smallest changes that would turn a refusal round.
#[must_use]
pub fn ways_out(
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
    decision: &Decision,
    elsewhere: &Elsewhere<'_>,
) -> WaysOut {
    if !matches!(decision.verdict, Verdict::Refuse(_)) {
        return WaysOut::default();
    }
    if let Some(words) = of_people(intent, decision) {
        return WaysOut { flips: vec![words], cut: false };
    }
    let mut search = Search { intent, snapshot, canon, elsewhere, left: DECISIONS_MAX, cut: false };
    let found = search.fewest();
    let mut flips: Vec<String> = Vec::new();
    for turns in found {
        if let Some(words) = search.words(&turns).filter(|words| !flips.contains(words)) {
            flips.push(words);
        }
    }
    flips.truncate(WAYS_MAX);
    WaysOut { flips, cut: search.cut }
}

/// What would turn round what people may do about a run, which is one check.
fn of_people(intent: &Intent, decision: &Decision) -> Option<String> {
    let check = decision.failed()?;
    if Wish::of(intent.action()).is_some() {
        let others = check.read.texts("entitled").iter().map(String::as_str);
        let initiator = check.read.text("initiator").into_iter();
        let whom: Vec<_> = initiator.chain(others).collect();
        return Some(format!("if it were wanted by {}", whom.join(" or ")));
    }
    if intent.action() == Consent::ACTION {
        let (count, of) = (check.read.number("count"), check.read.texts("of").join(" or "));
        return Some(format!("if there were {} others of {of}", count.unwrap_or(0)));
    }
    None
}

struct Search<'a> {
    intent: &'a Intent,
    snapshot: &'a Snapshot,
    canon: Option<&'a Canon>,
    elsewhere: &'a Elsewhere<'a>,
    /// How many decisions may still be made.
    left: usize,
    /// Whether something was left out.
    cut: bool,
}

impl Search<'_> {
    /// The smallest sets of changes that do.
    fn fewest(&mut self) -> Vec<Vec<Turn>> {
        let own = self.complete(Vec::new(), STEPS_MAX);
        let size = own.first().map_or(usize::MAX, Vec::len);
        let found = match self.canon {
            Some(canon) if size > 1 => self.requested(canon, size),
            Some(_) | None => Vec::new(),
        };
        let found = if found.is_empty() { own } else { found };
        let found = if found.is_empty() { self.lowered() } else { found };
        let spared = found.into_iter().map(|turns| self.spare(turns)).collect();
        let mut sets = smallest(spared);
        sets.iter_mut().for_each(|turns| self.vouch(turns));
        sets
    }

    /// Where policies refuse data for its class: the nearest lower one that they do not.
    fn lowered(&mut self) -> Vec<Vec<Turn>> {
        let rules = self.canon.and_then(|canon| canon.settings().data.as_ref());
        let (Some(rules), Some(from)) = (rules, self.intent.class()) else { return Vec::new() };
        let below = rules.up_to(from).iter().rev().skip(1);
        let below = below.map(|to| Turn::Classed { from: from.to_owned(), to: to.clone() });
        for turn in below {
            let sets = self.complete(vec![turn], STEPS_MAX);
            if !sets.is_empty() {
                return sets;
            }
        }
        Vec::new()
    }

    /// Drops of the texts that would do as well those that do not, all else considered.
    fn vouch(&mut self, turns: &mut [Turn]) {
        for place in 0..turns.len() {
            let Some(Turn::Request(Change::Text { path, from, or, .. })) = turns.get(place) else {
                continue;
            };
            let (path, from, mut or) = (path.clone(), from.clone(), or.clone());
            or.retain(|to| {
                let (path, from, to) = (path.clone(), from.clone(), to.clone());
                let other = Turn::Request(Change::Text { path, from, to, or: Vec::new() });
                let mut others = turns.to_vec();
                others.splice(place..=place, [other]);
                self.decide(&others).is_some_and(|(_, decision)| decision.failed().is_none())
            });
            if let Some(Turn::Request(Change::Text { or: all, .. })) = turns.get_mut(place) {
                *all = or;
            }
        }
    }

    /// The sets with a change of the request, if they are smaller than `size`.
    fn requested(&mut self, canon: &Canon, size: usize) -> Vec<Vec<Turn>> {
        let context = self.intent.shown(canon.settings());
        let request = Request {
            principal: self.intent.actor().as_str(),
            action: self.intent.action(),
            resource: self.intent.resource(),
            context: &context,
        };
        let turns = |changes: &[Change]| changes.iter().cloned().map(Turn::Request).collect();
        let mut besides = |changes: &[Change]| {
            if changes.is_empty() {
                return (size < usize::MAX).then_some(size);
            }
            let sets = self.complete(turns(changes), STEPS_MAX);
            sets.first().map(|set| set.len().saturating_sub(changes.len()))
        };
        let found = canon.ways_out_with(&request, &mut besides);
        self.cut |= found.cut;
        let sets =
            found.flips.iter().flat_map(|flip| self.complete(turns(&flip.changes), STEPS_MAX));
        smallest(sets.collect())
    }

    /// The smallest sets with these turns in which no check fails any more.
    fn complete(&mut self, turns: Vec<Turn>, steps: usize) -> Vec<Vec<Turn>> {
        let Some((case, decision)) = self.decide(&turns) else { return Vec::new() };
        let Some(check) = decision.failed() else { return vec![turns] };
        let Some(steps) = steps.checked_sub(1) else { return Vec::new() };
        let mut sets = Vec::new();
        for way in ways(check, &case, &turns, self.canon) {
            if let Some(more) = with(&turns, way) {
                sets.extend(self.complete(more, steps));
            }
        }
        smallest(sets)
    }

    /// The set without what need not be in it.
    fn spare(&mut self, mut turns: Vec<Turn>) -> Vec<Turn> {
        let mut place = 0;
        while place < turns.len() {
            let mut less = turns.clone();
            less.remove(place);
            match self.decide(&less) {
                Some((_, decision)) if decision.failed().is_none() => turns = less,
                Some(_) | None => place += 1,
            }
        }
        turns
    }

    /// What would be decided with these turns.
    fn decide(&mut self, turns: &[Turn]) -> Option<(Case, Decision)> {
        let Some(left) = self.left.checked_sub(1) else {
            self.cut = true;
            return None;
        };
        self.left = left;
        let case = self.case(turns)?;
        let Case { intent, snapshot, supposed } = &case;
        let decision = decide_supposed(intent, snapshot, self.canon, supposed);
        Some((case, decision))
    }

    fn case(&self, turns: &[Turn]) -> Option<Case> {
        let mut intent = self.intent.clone();
        for turn in turns {
            intent = turn.intend(&intent, self.canon)?;
        }
        let snapshot = if intent.digest() == self.intent.digest() {
            self.snapshot.clone()
        } else {
            (self.elsewhere)(&intent).unwrap_or_else(|| self.guess(&intent))
        };
        let mut case = Case { intent, snapshot, supposed: Supposed::default() };
        // The hours of a day are those of the day on which it is asked.
        let (after, others): (Vec<_>, Vec<_>) =
            turns.iter().partition(|turn| matches!(turn, Turn::After(_)));
        let mut all = after.into_iter().chain(others);
        all.try_for_each(|turn| turn.suppose(&mut case, self.canon))?;
        Some(case)
    }

    /// What is read about another intent as far as it can be told from what was read of this.
    fn guess(&self, intent: &Intent) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        if intent.root() != self.intent.root() {
            snapshot.folder = None;
        }
        snapshot
    }

    /// What a set of turns is in words.
    fn words(&mut self, turns: &[Turn]) -> Option<String> {
        let (case, decision) = self.decide(turns)?;
        let intent = &case.intent;
        let mut turns: Vec<_> = turns.iter().collect();
        turns.sort_by_key(|turn| turn.check());
        let mut parts: Vec<String> = Vec::new();
        let mut is_of_request = false;
        for turn in &turns {
            let words = turn.words(intent);
            match parts.last_mut().filter(|_| is_of_request && is_request(turn)) {
                Some(last) => *last = format!("{last} and {words}"),
                None => parts.push(format!("if {words}")),
            }
            is_of_request = is_request(turn);
        }
        let consents = match (&decision.verdict, self.canon) {
            (Verdict::NeedsApproval(_), Some(canon)) if !turns.contains(&&Turn::Consented) => {
                evaluate(canon, intent).consents()
            }
            _ => Vec::new(),
        };
        let approved = match consents.as_slice() {
            [] => String::new(),
            consents => format!(", with the approval of {}", consents.join(" and ")),
        };
        Some(format!("{}{approved}", parts.join(", and ")))
    }
}

fn is_request(turn: &Turn) -> bool {
    matches!(turn, Turn::Request(_))
}

/// The turns with one more, in the place of one of the same thing; nothing when it is there.
fn with(turns: &[Turn], turn: Turn) -> Option<Vec<Turn>> {
    let mut turns = turns.to_vec();
    match turns.iter_mut().find(|it| it.is_of_same(&turn)) {
        Some(same) if *same == turn => return None,
        Some(Turn::At(windows)) => {
            let Turn::At(more) = turn else { return None };
            windows.extend(more);
        }
        Some(same) => *same = turn,
        None => turns.push(turn),
    }
    Some(turns)
}

fn smallest(mut sets: Vec<Vec<Turn>>) -> Vec<Vec<Turn>> {
    let fewest = sets.iter().map(Vec::len).min().unwrap_or(0);
    sets.retain(|set| set.len() == fewest);
    sets
}

//! The smallest change that would turn a refusal into a permit.
//!
//! Every candidate is put to the policies themselves: a change is reported only when the
//! canon permits the changed request. Which values are tried is read from the conditions of
//! the policies that the request meets: for a number those at which one of them turns, the
//! nearest first, for an amount none below nothing; for a text those that one compares it with, and one that none does; for a
//! resource or a principal the others of its type. A part that cannot help is not tried: one
//! that what forbids does not read, or no permit. So nothing nearer is missed, but where a
//! condition reckons in another way than by sums and multiples: then each number that is near
//! is tried, ever further ones, and bisection finds the edge between.

mod amount;
mod change;
mod draft;
mod edges;
mod hints;
mod search;

pub use change::{Change, Flip};
pub(crate) use hints::Hints;

use std::collections::{BTreeMap, BTreeSet};

use crate::Canon;
use crate::evaluate::Request;
use crate::flip::search::{Known, Search};

/// Most evaluations of one search.
pub const EVALUATIONS_MAX: usize = 256;
/// Most flips that are reported.
pub const FLIPS_MAX: usize = 5;
/// Most texts that are looked for of one part.
pub(crate) const TEXTS_MAX: usize = 9;

/// Kept back of the evaluations: whether the numbers that were found are edges.
const BEYOND: usize = 2 * FLIPS_MAX;

/// What would turn a refusal round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaysOut {
    /// The smallest changes, the smallest first.
    pub flips: Vec<Flip>,
    /// Whether the search ended before all was tried: there may be others then. What is named
    /// holds all the same.
    pub cut: bool,
    /// How often the policies were asked, at most [`EVALUATIONS_MAX`] times.
    pub evaluations: usize,
}

impl Canon {
    /// The smallest changes that would turn a refusal into a permit: those of one part of
    /// the request first; where none suffices, those of two. Numbers nearest to the present
    /// ones. None when the request is permitted or does not conform to the schema.
    #[must_use]
    pub fn ways_out(&self, request: &Request<'_>) -> WaysOut {
        self.ways_out_with(request, &mut |_| Some(0))
    }

    /// The same where more than the policies must say yes: `besides` says how many changes of
    /// something else it would take once these are made, and nothing where none would do. The
    /// flips with the fewest changes in all are given. A request that is permitted as it is may
    /// have some, too: those that spare more changes than they are.
    pub fn ways_out_with(
        &self,
        request: &Request<'_>,
        besides: &mut dyn FnMut(&[Change]) -> Option<usize>,
    ) -> WaysOut {
        let mut search = Search::new(self, request, EVALUATIONS_MAX - BEYOND, besides);
        let Some(known) = search.judge(|_| true).map(Known::new) else { return WaysOut::default() };
        let unchanged = self.permits(&known.judged).then(|| search.besides()).flatten();
        let mut fewest = unchanged.unwrap_or(usize::MAX);
        if fewest <= 1 || !self.ever_permits(request.action) {
            return WaysOut { evaluations: search.evaluations, ..WaysOut::default() };
        }
        let parts = search.parts();
        let singles = search.singles(&known, &parts);
        let mut flips: Vec<_> =
            singles.into_iter().map(|(change, it)| Flip::new(vec![change], &it)).collect();
        let best = flips.iter().map(Flip::size).min().unwrap_or(usize::MAX);
        if best.min(fewest) > 2 {
            flips.extend(search.pairs(&known, &parts));
        }
        flips.retain(|flip| flip.size() < fewest);
        fewest = flips.iter().map(Flip::size).min().unwrap_or(fewest);
        flips.retain(|flip| flip.size() == fewest);
        drop_covered(&mut flips);
        flips.sort_by_key(Flip::rank);
        keep_nearest(&mut flips);
        let mut flips = gathered(flips);
        flips.truncate(FLIPS_MAX);
        let cut = search.cut;
        search.grant(BEYOND);
        flips.iter_mut().for_each(|flip| search.look_beyond(flip));
        WaysOut { flips, cut, evaluations: search.evaluations }
    }

    /// A text that no policy and no fact mentions: what a part is changed to where any other
    /// would do.
    #[must_use]
    pub fn unmentioned(&self) -> &str {
        self.hints.unmentioned()
    }
}

/// Of flips that differ in their numbers only, the first, which is the nearest.
fn keep_nearest(flips: &mut Vec<Flip>) {
    let mut seen = BTreeSet::new();
    flips.retain(|flip| seen.insert(flip.without_numbers()));
}

/// The flips, those that are the same but for one text as one.
fn gathered(flips: Vec<Flip>) -> Vec<Flip> {
    let mut kept: Vec<Flip> = Vec::new();
    for flip in flips {
        if !kept.iter_mut().any(|other| other.take_in(&flip)) {
            kept.push(flip);
        }
    }
    kept
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

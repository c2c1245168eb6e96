//! Who may begin, of the runs that were asked for: a pure machine, fed with what the log says.
//!
//! Those that wait stand in one order: by when they were asked for, where each step of priority
//! counts as a minute of waiting. So a run of the highest priority passes those of the lowest that
//! were asked for up to nine minutes before, and none that has waited longer: nothing starves. The
//! order of two runs never changes. The first in it that nothing holds back begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cog_base::id::RunId;
use cog_base::{Digest, Timestamp};

use crate::ask::{Ask, COUNT_MAX, Rate, WhenFull};

/// What a step of priority counts for, in milliseconds of waiting.
pub const STEP_MS: u64 = 60_000;
/// The most runs of a tenant that wait in its log.
pub const WAITING_MAX: usize = 1_000;

/// What a run waits for that has not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// For a time that whoever asked for it named.
    Until(Timestamp),
    /// For the end of one of these, which have its key or are about to.
    Key(Vec<RunId>),
    /// For the time at which its rate lets the next one begin.
    Rate(Timestamp),
    /// For less runs of the tenant.
    Room,
}

/// The runs of a tenant that wait, and those that others wait for.
#[derive(Clone, Debug, Default)]
pub struct Line {
    waiting: BTreeMap<RunId, Waiting>,
    /// Those that wait, in their order.
    order: BTreeSet<Rank>,
    /// Those that have begun, are held to a key, and have not ended.
    open: BTreeMap<RunId, Open>,
    holders: BTreeMap<Digest, BTreeSet<RunId>>,
    starts: BTreeMap<Digest, Starts>,
}

/// A place in the order: when it was asked for and how urgent it is, and where it stands in the log.
type Rank = (i64, u64, RunId);

#[derive(Clone, Debug)]
struct Waiting {
    ask: Ask,
    asked: Timestamp,
    seq: Option<u64>,
    /// It was said that it may begin.
    is_called: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    key: Digest,
    seq: Option<u64>,
}

/// When runs of a key began, in order.
#[derive(Clone, Debug, Default)]
struct Starts {
    all: VecDeque<(Timestamp, RunId, Option<u64>)>,
    per_ms: u64,
}

/// Whether a run is to take the place of others of its key.
fn takes_place(ask: &Ask) -> bool {
    ask.concurrency.is_some_and(|limit| limit.when_full == WhenFull::CancelRunning)
}

impl Waiting {
    /// When it was asked for.
    fn since(&self) -> (Timestamp, u64) {
        (self.asked, self.seq.unwrap_or(u64::MAX))
    }

    /// Where it stands in the order.
    fn rank(&self, run: RunId) -> Rank {
        let ahead = STEP_MS.saturating_mul(1_000).saturating_mul(u64::from(self.ask.priority));
        let micros = self.asked.micros().saturating_sub(ahead.cast_signed());
        (micros, self.seq.unwrap_or(u64::MAX), run)
    }
}

impl Line {
    /// A run is asked for, as an entry of this number says if that is durable. Before it begins it
    /// waits.
    pub fn ask(&mut self, run: RunId, ask: Ask, asked: Timestamp, seq: Option<u64>) {
        let is_called = self.waiting.get(&run).is_some_and(|before| before.is_called);
        if let Some(open) = self.open.get_mut(&run) {
            open.seq = open.seq.or(seq);
        }
        let begun = self.starts.values_mut().flat_map(|starts| &mut starts.all);
        let mut begun = begun.filter(|(_, begun, _)| *begun == run).peekable();
        if begun.peek().is_some() || self.open.contains_key(&run) {
            begun.for_each(|(.., known)| *known = known.or(seq));
            return;
        }
        self.leave(run);
        let waiting = Waiting { ask, asked, seq, is_called };
        self.order.insert(waiting.rank(run));
        self.waiting.insert(run, waiting);
    }

    /// A run that waits does so no more, and does not begin. Says whether it waited.
    pub fn leave(&mut self, run: RunId) -> bool {
        self.take(run).is_some()
    }

    fn take(&mut self, run: RunId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&run)?;
        self.order.remove(&waiting.rank(run));
        Some(waiting)
    }

    /// A run that waits begins.
    pub fn begin(&mut self, run: RunId, at: Timestamp) {
        let Some(Waiting { ask, seq, .. }) = self.take(run) else { return };
        if let Some(concurrency) = ask.concurrency {
            self.open.insert(run, Open { key: concurrency.key, seq });
            self.holders.entry(concurrency.key).or_default().insert(run);
        }
        if let Some(rate) = ask.rate {
            self.starts.entry(rate.key).or_default().push((at, run, seq), rate);
        }
    }

    /// The log says when a run began.
    pub fn began(&mut self, run: RunId, at: Timestamp) {
        self.begin(run, at);
        for starts in self.starts.values_mut() {
            for (began, ..) in starts.all.iter_mut().filter(|(_, begun, _)| *begun == run) {
                *began = at.max(*began);
            }
        }
    }

    /// A run is over.
    pub fn end(&mut self, run: RunId) {
        self.leave(run);
        let Some(Open { key, .. }) = self.open.remove(&run) else { return };
        if let Some(holders) = self.holders.get_mut(&key) {
            holders.remove(&run);
            if holders.is_empty() {
                self.holders.remove(&key);
            }
        }
    }

    /// What a run was asked for with, as long as it waits.
    #[must_use]
    pub fn waits(&self, run: RunId) -> Option<&Ask> {
        self.waiting.get(&run).map(|waiting| &waiting.ask)
    }

    /// Those that wait, the first to begin first.
    pub fn waiting(&self) -> impl Iterator<Item = RunId> {
        self.order.iter().map(|(.., run)| *run)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many were told that they may begin and have not begun.
    #[must_use]
    pub fn called(&self) -> usize {
        self.waiting.values().filter(|waiting| waiting.is_called).count()
    }

    /// The first that may begin and was not told so, when there is room for so many more runs. What
    /// is not durable yet was not asked for.
    #[must_use]
    pub fn next(&self, now: Timestamp, room: usize) -> Option<RunId> {
        if self.called() >= room {
            return None;
        }
        let open = |run: &RunId| {
            let waiting = self.waiting.get(run);
            waiting.is_some_and(|it| {
                let may_be = it.seq.is_some() && !it.is_called;
                may_be && self.room(*run, &it.ask, now).is_ok()
            })
        };
        self.waiting().find(open)
    }

    /// A run is told that it may begin: until it does, or is not told any more, it counts as one
    /// that has begun.
    pub fn call(&mut self, run: RunId, is_called: bool) {
        if let Some(waiting) = self.waiting.get_mut(&run) {
            waiting.is_called = is_called;
        }
    }

    /// What holds a run back that is asked for so, if anything does. Those that stand before it in
    /// the order and may begin have been called.
    ///
    /// # Errors
    /// What it waits for.
    pub fn room(&self, run: RunId, ask: &Ask, now: Timestamp) -> Result<(), Waits> {
        if let Some(at) = ask.not_before.filter(|at| *at > now) {
            return Err(Waits::Until(at));
        }
        if let Some(limit) = &ask.concurrency {
            let holders = self.holders.get(&limit.key).into_iter().flatten().copied();
            let called = self.others(run, |it| it.concurrency.map(|it| it.key), limit.key);
            let by: Vec<RunId> = holders.chain(called).collect();
            if by.len() >= limit.limit as usize {
                return Err(Waits::Key(by));
            }
        }
        match &ask.rate {
            Some(rate) => self.in_rate(run, rate, now),
            None => Ok(()),
        }
    }

    /// Those that were called, but for this one, with a key.
    fn others(
        &self,
        run: RunId,
        key: fn(&Ask) -> Option<Digest>,
        wanted: Digest,
    ) -> impl Iterator<Item = RunId> {
        let called = self.waiting.iter().filter(move |(id, it)| it.is_called && **id != run);
        called.filter(move |(_, it)| key(&it.ask) == Some(wanted)).map(|(id, _)| *id)
    }

    fn in_rate(&self, run: RunId, rate: &Rate, now: Timestamp) -> Result<(), Waits> {
        let called = self.others(run, |it| it.rate.map(|it| it.key), rate.key).count();
        let none = VecDeque::new();
        let all = self.starts.get(&rate.key).map_or(&none, |starts| &starts.all);
        let count = rate.count as usize;
        if called >= count {
            return Err(Waits::Rate(now.plus_ms(rate.per_ms())));
        }
        let nth = all.len().checked_sub(count.saturating_sub(called));
        match nth.and_then(|place| all.get(place)) {
            Some((at, ..)) if now.ms_since(*at) < rate.per_ms() || *at > now => {
                Err(Waits::Rate(at.plus_ms(rate.per_ms())))
            }
            _ => Ok(()),
        }
    }

    /// Those whose time has come, and that are not to wait while as many of their key are open as
    /// may be.
    #[must_use]
    pub fn refused(&self, now: Timestamp) -> Vec<RunId> {
        let is_out = |(run, it): &(&RunId, &Waiting)| {
            let refuses = it.ask.concurrency.is_some_and(|it| it.when_full == WhenFull::Refuse);
            let is_full = || matches!(self.room(**run, &it.ask, now), Err(Waits::Key(_)));
            refuses && !it.is_called && is_full()
        };
        self.waiting.iter().filter(is_out).map(|(run, _)| *run).collect()
    }

    /// When time alone may let somebody begin who waits, if ever.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let waiting = self.waiting.iter().filter(|(_, it)| !it.is_called);
        let times = waiting.filter_map(|(run, it)| match self.room(*run, &it.ask, now) {
            Err(Waits::Until(at) | Waits::Rate(at)) => Some(at),
            // What is in its way is ended when its rate lets it begin.
            Err(Waits::Key(_)) if takes_place(&it.ask) => self.rated(*run, &it.ask, now),
            Err(Waits::Key(_) | Waits::Room) | Ok(()) => None,
        });
        times.min()
    }

    /// The time at which its rate lets a run begin, if that is what it waits for.
    fn rated(&self, run: RunId, ask: &Ask, now: Timestamp) -> Option<Timestamp> {
        match self.in_rate(run, ask.rate.as_ref()?, now) {
            Err(Waits::Rate(at)) => Some(at),
            Err(Waits::Until(_) | Waits::Key(_) | Waits::Room) | Ok(()) => None,
        }
    }

    /// Whether a run takes the place of others now: they are all that holds it back.
    fn displaces(&self, run: RunId, ask: &Ask, now: Timestamp) -> bool {
        takes_place(ask)
            && matches!(self.room(run, ask, now), Err(Waits::Key(_)))
            && self.rated(run, ask, now).is_none()
    }

    /// Those that wait and take the place of others now, the last that was asked for first. What is not
    /// durable yet was not asked for.
    #[must_use]
    pub fn displacing(&self, now: Timestamp) -> Vec<RunId> {
        let is_it = |(run, it): &(&RunId, &Waiting)| {
            it.seq.is_some() && !it.is_called && self.displaces(**run, &it.ask, now)
        };
        let mut all: Vec<_> =
            self.waiting.iter().filter(is_it).map(|(run, it)| (it.since(), *run)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        all.into_iter().map(|(_, run)| run).collect()
    }

    /// The open runs that are to be ended so that one may begin that is asked for so: none as long as
    /// anything else holds it back.
    #[must_use]
    pub fn in_the_way(&self, run: RunId, ask: &Ask, now: Timestamp) -> Vec<RunId> {
        let Some(limit) = ask.concurrency.filter(|_| self.displaces(run, ask, now)) else {
            return Vec::new();
        };
        let holders = self.holders.get(&limit.key).map_or(0, BTreeSet::len);
        let over = (holders + 1).saturating_sub(limit.limit as usize);
        self.holders.get(&limit.key).into_iter().flatten().take(over).copied().collect()
    }

    /// Those that wait and are to be withdrawn as one that was asked for so behind them takes the place
    /// of others: none as long as anything else holds it back.
    #[must_use]
    pub fn superseded(&self, run: RunId, ask: &Ask, now: Timestamp) -> Vec<RunId> {
        if !self.displaces(run, ask, now) {
            return Vec::new();
        }
        let key = |it: &Ask| it.concurrency.map(|limit| limit.key);
        let own = self.waiting.get(&run).map(|it| (it.since(), run));
        let is_it = |(id, it): &(&RunId, &Waiting)| {
            let is_before = own.is_none_or(|own| (it.since(), **id) < own);
            is_before && **id != run && takes_place(&it.ask) && key(&it.ask) == key(ask)
        };
        self.waiting.iter().filter(is_it).map(|(id, _)| *id).collect()
    }

    /// The number of the first entry that has to be read to know all that is known here; nothing
    /// when there is nothing to know. Of what is not durable yet nobody knows the number: it is
    /// `next` or a later one.
    #[must_use]
    pub fn since(&self, next: u64) -> Option<u64> {
        let waiting = self.waiting.values().map(|it| it.seq);
        let open = self.open.values().map(|it| it.seq);
        let starts = self.starts.values().flat_map(|starts| &starts.all).map(|(.., seq)| *seq);
        waiting.chain(open).chain(starts).map(|seq| seq.unwrap_or(next)).min()
    }

    /// Forget the starts that no rate counts any more.
    pub fn forget(&mut self, now: Timestamp) {
        self.starts.values_mut().for_each(|starts| starts.forget(now));
        self.starts.retain(|_, starts| !starts.all.is_empty());
    }
}

impl Starts {
    fn push(&mut self, start: (Timestamp, RunId, Option<u64>), rate: Rate) {
        self.per_ms = self.per_ms.max(rate.per_ms());
        self.forget(start.0);
        // What was read of the log comes by when it was asked for, not by when it began.
        let place = self.all.partition_point(|(at, ..)| *at <= start.0);
        self.all.insert(place, start);
        if self.all.len() > COUNT_MAX as usize {
            self.all.pop_front();
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while self.all.front().is_some_and(|(at, ..)| now.ms_since(*at) >= self.per_ms) {
            self.all.pop_front();
        }
    }
}

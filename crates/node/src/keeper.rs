//! The machine that claims tenants with work, renews the claims, and gives tenants back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use cog_base::Timestamp;
use cog_base::id::TenantId;
use cog_store::{After, Renewed, StoreError};

use crate::desk::{Paper, told};
use crate::house::House;
use crate::lane::Order;
use crate::lease::Lease;

use crate::told::Told;

/// The most tenants that are claimed at once, so that nodes that start together share.
const CLAIMS_MAX: u32 = 8;
/// How often it is looked for work when nobody calls.
const SAFETY: Duration = Duration::from_secs(10);
/// How much longer a node waits before it claims, for each tenant that it has: who has less
/// comes first.
const SHARE_MS: u64 = 3;
const SHARE_MS_MAX: u64 = 150;
/// How long a tenant is left alone whose engine went over for the second time in a row; each
/// further time it is twice as long. After the first time it is taken again at once.
const REST_MS: u64 = 250;
/// The longest that it is left alone.
const REST_MS_MAX: u64 = 10_000;
/// An engine that lasted so long was well.
const WELL_MS: u64 = 60_000;

/// What the keeper hears.
pub(crate) enum Event {
    /// Somebody called for work on a tenant.
    Called(TenantId),
    /// What was said is not known.
    Anything,
    /// Some time has passed.
    Beat,
    /// Nothing of a tenant is left here.
    WoundUp(TenantId),
    /// A tenant has nothing to do, and had been called so often when that was seen.
    Idle { tenant: TenantId, calls: i64 },
    /// Give everything back, and end.
    Stop,
}

/// Where the threads that work on a tenant are reached.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) desk: Sender<Paper>,
    pub(crate) lane: Sender<Order>,
}

/// A tenant that is here.
struct Held {
    lease: Arc<Lease>,
    place: usize,
    /// How often somebody had called when its mail was last asked for.
    calls: i64,
    after: After,
    /// When it was claimed.
    since: Timestamp,
    /// Whether it was asked to go; else its engine went over by itself.
    is_closing: bool,
    /// Nothing of it is left here but the claim.
    is_wound_up: bool,
}

/// A tenant whose engine went over by itself: what made it may be there still.
struct Rest {
    /// How often in a row.
    times: u32,
    /// When it may be claimed again.
    until: Timestamp,
}

pub(crate) struct Keeper {
    house: Arc<House>,
    places: Vec<Place>,
    held: BTreeMap<TenantId, Held>,
    resting: BTreeMap<TenantId, Rest>,
    /// When it is looked for work again.
    look_at: Timestamp,
    is_away: bool,
    /// How many beats are left until the node ends, whatever is under way.
    stops_in: Option<u64>,
}

impl Keeper {
    pub(crate) fn new(house: Arc<House>, places: Vec<Place>) -> Self {
        let (held, resting, look_at) = (BTreeMap::new(), BTreeMap::new(), Timestamp::MIN);
        Self { house, places, held, resting, look_at, is_away: false, stops_in: None }
    }

    pub(crate) fn run(mut self, events: &Receiver<Event>) {
        loop {
            let wait = self.look_at.ms_since(self.house.machine.now());
            let wait = Duration::from_millis(wait).min(SAFETY);
            let event = match events.recv_timeout(wait) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !self.step(event) {
                break;
            }
        }
        self.dismiss();
    }

    /// Do what an event asks for, and what the time does. Says whether it goes on.
    pub(crate) fn step(&mut self, event: Option<Event>) -> bool {
        event.into_iter().for_each(|event| self.hear(event));
        if self.stops_in.is_some_and(|beats| beats == 0 || self.held.is_empty()) {
            return false;
        }
        self.look();
        true
    }

    /// When it has something to do without an event.
    pub(crate) const fn next(&self) -> Timestamp {
        self.look_at
    }

    /// Have those end who work for it.
    pub(crate) fn dismiss(&self) {
        for place in &self.places {
            let _ = place.desk.send(Paper::Quit);
            let _ = place.lane.send(Order::Quit);
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Called(tenant) => self.called(tenant),
            Event::Anything => self.look_in(0),
            Event::Beat => self.beat(),
            Event::WoundUp(tenant) => {
                if let Some(held) = self.held.get_mut(&tenant) {
                    held.is_wound_up = true;
                    self.let_rest(tenant);
                    self.give_back(tenant);
                }
            }
            Event::Idle { tenant, calls } => {
                if let Some(held) = self.held.get_mut(&tenant) {
                    held.after = After::Idle { calls };
                    held.is_closing = true;
                    self.tell(tenant, Paper::Close(tenant));
                }
            }
            Event::Stop => self.stop(),
        }
    }

    fn tell(&self, tenant: TenantId, paper: Paper) {
        let place = self.held.get(&tenant).and_then(|held| self.places.get(held.place));
        if let Some(place) = place {
            // A thread that is gone has panicked, and its story is told.
            let _ = place.desk.send(paper);
        }
    }

    fn called(&mut self, tenant: TenantId) {
        match self.held.get(&tenant) {
            // The renewal tells how often.
            Some(held) => self.tell(tenant, Paper::Mail(tenant, held.calls)),
            None => self.look_in(0),
        }
    }

    /// Look for work in so many milliseconds, or a little later when others have less to do.
    fn look_in(&mut self, ms: u64) {
        let share = (self.held.len() as u64 * SHARE_MS).min(SHARE_MS_MAX);
        self.look_at = self.look_at.min(self.house.machine.now().plus_ms(ms + share));
    }

    fn beat(&mut self) {
        self.stops_in = self.stops_in.map(|beats| beats.saturating_sub(1));
        self.renew();
        let left: Vec<TenantId> =
            self.held.iter().filter(|(_, held)| held.is_wound_up).map(|(id, _)| *id).collect();
        left.into_iter().for_each(|tenant| self.give_back(tenant));
        for place in &self.places {
            let _ = place.desk.send(Paper::Beat);
        }
    }

    fn renew(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let now = self.house.machine.now();
        let renewed = self.house.store.renew();
        let Some(Renewed { kept, lost, asked, at }) = self.heard(renewed) else { return };
        at.into_iter().for_each(|at| self.house.clock.heard(now, at));
        for (tenant, calls) in kept {
            let Some(held) = self.held.get_mut(&tenant) else { continue };
            held.lease.renewed(now);
            if held.calls != calls {
                held.calls = calls;
                self.tell(tenant, Paper::Mail(tenant, calls));
            }
        }
        for tenant in lost {
            let Some(held) = self.held.get_mut(&tenant) else { continue };
            if held.lease.is_over() {
                continue;
            }
            held.is_closing = true;
            held.lease.end();
            self.house.tell(Told::Lost { tenant });
            self.tell(tenant, Paper::Close(tenant));
        }
        asked.into_iter().for_each(|tenant| self.let_go(tenant));
        for place in &self.places {
            let _ = place.lane.send(Order::Renewed);
        }
    }

    /// Give a tenant back as soon as what is under way for it is settled: there is work, and it
    /// goes on elsewhere.
    fn let_go(&mut self, tenant: TenantId) {
        let Some(held) = self.held.get_mut(&tenant) else { return };
        if held.is_closing {
            return;
        }
        (held.after, held.is_closing) = (After::Stopping, true);
        self.tell(tenant, Paper::Drain(tenant));
    }

    /// Look for tenants with work, if it is time to.
    fn look(&mut self) {
        let now = self.house.machine.now();
        if now < self.look_at {
            return;
        }
        self.look_at = now.plus_ms(ms(SAFETY));
        let limit = CLAIMS_MAX.min(self.room());
        if limit == 0 || self.stops_in.is_some() {
            return;
        }
        self.resting.retain(|_, rest| now.ms_since(rest.until) < WELL_MS);
        let resting = self.resting.iter().filter(|(_, rest)| now < rest.until);
        let resting: Vec<(TenantId, Timestamp)> =
            resting.map(|(tenant, rest)| (*tenant, rest.until)).collect();
        if let Some(until) = resting.iter().map(|(_, until)| *until).min() {
            self.look_in(until.ms_since(now));
        }
        let here = self.held.keys().copied().chain(resting.into_iter().map(|(tenant, _)| tenant));
        let here: Vec<TenantId> = here.collect();
        let claimed = self.house.store.claim_waiting(limit, &here);
        let Some(claims) = self.heard(claimed) else { return };
        let is_more = claims.len() == limit as usize;
        for claim in claims {
            let (tenant, clock) = (claim.tenant, Arc::clone(&self.house.machine));
            let lease = Arc::new(Lease::new(clock, self.house.settings.lease, now));
            let place = place_of(tenant, self.places.len());
            let (calls, after, is_wound_up) = (claim.calls, After::Stopping, false);
            let (lease_too, since, is_closing) = (Arc::clone(&lease), now, false);
            let held =
                Held { lease: lease_too, place, calls, after, since, is_closing, is_wound_up };
            self.held.insert(tenant, held);
            self.house.tell(Told::Claimed { tenant, fence: claim.fence });
            self.tell(tenant, Paper::Open(claim, lease));
        }
        let next = if is_more { Ok(Some(Duration::ZERO)) } else { self.house.store.next_end() };
        if let Some(Some(next)) = self.heard(next) {
            // A claim that is renewed ends later: it is asked again then.
            self.look_in(ms(next));
        }
    }

    fn room(&self) -> u32 {
        let max = self.house.settings.tenants_max as usize;
        u32::try_from(max.saturating_sub(self.held.len())).unwrap_or(u32::MAX)
    }

    /// Leave a tenant alone for a while whose engine went over by itself again.
    fn let_rest(&mut self, tenant: TenantId) {
        let Some(held) = self.held.get(&tenant) else { return };
        let now = self.house.machine.now();
        let was_well = now.ms_since(held.since) >= WELL_MS;
        if held.is_closing || was_well {
            self.resting.remove(&tenant);
        }
        if !held.is_closing {
            let rest = self.resting.entry(tenant).or_insert(Rest { times: 0, until: now });
            rest.until = now.plus_ms(rest_ms(rest.times));
            rest.times += 1;
        }
    }

    fn give_back(&mut self, tenant: TenantId) {
        let Some(after) = self.held.get(&tenant).map(|held| held.after) else { return };
        let given = self.house.store.release(tenant, after);
        // Otherwise it would be renewed for ever with nobody here to work on it.
        if self.heard(given).is_some() {
            self.held.remove(&tenant);
            self.house.tell(Told::Released { tenant });
            self.look_in(0);
        }
    }

    fn stop(&mut self) {
        let (grace, beat) = (self.house.settings.grace, self.house.settings.beat());
        self.stops_in = Some(ms(grace) / ms(beat).max(1) + 1);
        let tenants: Vec<TenantId> = self.held.keys().copied().collect();
        for tenant in tenants {
            if let Some(held) = self.held.get_mut(&tenant) {
                held.after = After::Stopping;
                held.is_closing = true;
            }
            self.tell(tenant, Paper::Drain(tenant));
        }
    }

    /// What the store says, or that it is away; told once.
    fn heard<T>(&mut self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if std::mem::take(&mut self.is_away) {
                    self.house.tell(Told::Back);
                    self.look_in(0);
                }
                Some(answer)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    self.house.tell(Told::Away { why: told(&error) });
                }
                // The next beat tries again.
                let beat = self.house.settings.beat();
                self.look_at = self.house.machine.now().plus_ms(ms(beat));
                None
            }
        }
    }
}

/// Which threads work on a tenant.
fn place_of(tenant: TenantId, places: usize) -> usize {
    let bits = tenant.uuid().as_u128();
    let mixed = (bits ^ (bits >> 64)).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) >> 96;
    usize::try_from(mixed % places.max(1) as u128).unwrap_or(0)
}

/// How long a tenant is left alone whose engine had gone over so many times in a row before.
fn rest_ms(times: u32) -> u64 {
    let Some(doublings) = times.checked_sub(1) else { return 0 };
    REST_MS.saturating_mul(2_u64.saturating_pow(doublings)).min(REST_MS_MAX)
}

pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

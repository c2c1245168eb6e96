//! Publish and subscribe inside one process. A subscriber that is too slow is told what it
//! missed; nobody waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cog_base::id::TenantId;
use cog_events::{Event, Types};

use crate::sink::{Sink, Verdict};

/// The most subscribers of one bus.
pub const SUBSCRIBERS_MAX: usize = 1_024;
/// The most events that wait for one subscriber.
pub const CAPACITY_MAX: usize = 65_536;

/// There are [`SUBSCRIBERS_MAX`] subscribers already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the bus has {SUBSCRIBERS_MAX} subscribers; no more are taken")
    }
}

impl std::error::Error for TooMany {}

/// Hands every event to everybody who wants it. Clones share the subscribers.
#[derive(Clone, Default)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    channels: Mutex<Vec<Weak<Channel>>>,
}

struct Channel {
    types: Types,
    capacity: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Arc<Event>>,
    /// Came while there was no room. Until the subscriber was told, nothing more is taken in,
    /// so that it hears everything in order.
    missed: BTreeMap<TenantId, Range<u64>>,
    is_closed: bool,
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The next event.
    Event(Arc<Event>),
    /// It was too slow for these entries of a log; [`crate::page`] makes their events anew.
    Missed {
        /// Whose log.
        tenant: TenantId,
        /// The entries that the events were made of, and others between them.
        entries: Range<u64>,
    },
    /// Nothing came in that time.
    Nothing,
    /// The bus is gone, and everything was heard.
    Closed,
}

/// One subscriber. It stops hearing when this is dropped.
pub struct Subscription {
    channel: Arc<Channel>,
}

impl Bus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hear events of these types from now on. Up to `capacity` of them wait, 1 to
    /// [`CAPACITY_MAX`].
    ///
    /// # Errors
    /// [`TooMany`] subscribers.
    pub fn subscribe(&self, types: Types, capacity: usize) -> Result<Subscription, TooMany> {
        let mut channels = lock(&self.inner.channels);
        channels.retain(|channel| channel.strong_count() > 0);
        if channels.len() >= SUBSCRIBERS_MAX {
            return Err(TooMany);
        }
        let channel = Arc::new(Channel {
            types,
            capacity: capacity.clamp(1, CAPACITY_MAX),
            queue: Mutex::default(),
            wake: Condvar::new(),
        });
        channels.push(Arc::downgrade(&channel));
        Ok(Subscription { channel })
    }

    /// Hand an event to everybody who wants it. It waits for nobody.
    pub fn publish(&self, event: &Arc<Event>) {
        for channel in lock(&self.inner.channels).iter().filter_map(Weak::upgrade) {
            if channel.types.wants(event.kind()) {
                channel.put(event);
            }
        }
    }
}

impl Sink for Bus {
    /// Nobody answers for what a subscriber does: who must not miss anything is a consumer
    /// with a cursor of its own.
    fn deliver(&mut self, events: &[Arc<Event>]) -> Vec<Verdict> {
        events.iter().for_each(|event| self.publish(event));
        vec![Verdict::Confirmed; events.len()]
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for channel in lock(&self.channels).iter().filter_map(Weak::upgrade) {
            lock(&channel.queue).is_closed = true;
            channel.wake.notify_all();
        }
    }
}

impl Channel {
    fn put(&self, event: &Arc<Event>) {
        let mut queue = lock(&self.queue);
        if queue.missed.is_empty() && queue.events.len() < self.capacity {
            queue.events.push_back(Arc::clone(event));
        } else {
            let seq = event.seq();
            let missed = queue.missed.entry(event.tenant()).or_insert(seq..seq);
            *missed = missed.start.min(seq)..missed.end.max(seq + 1);
        }
        self.wake.notify_one();
    }
}

impl Subscription {
    /// The next thing, waiting for it at most so long.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Heard {
        let queue = lock(&self.channel.queue);
        let is_idle = |queue: &mut Queue| {
            queue.events.is_empty() && queue.missed.is_empty() && !queue.is_closed
        };
        let waited = self.channel.wake.wait_timeout_while(queue, wait, is_idle);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = queue.events.pop_front() {
            return Heard::Event(event);
        }
        if let Some((tenant, entries)) = queue.missed.pop_first() {
            return Heard::Missed { tenant, entries };
        }
        if queue.is_closed { Heard::Closed } else { Heard::Nothing }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

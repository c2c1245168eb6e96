//! Does what the machine says, on a thread for each consumer.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cog_base::id::TenantId;
use cog_base::{Clock, Timestamp};
use cog_events::Types;
use cog_store::{CursorStep, Keep, StoreError};

use crate::machine::{Machine, Notice, Policy, Step};
use crate::page::page;
use crate::sink::{Sink, Verdict};

/// How often the ends of logs are looked at although nobody said that they grew.
pub const POLL_MS: u64 = 5_000;
/// Dead letters that are looked at together.
const REVIVE_MAX: usize = 64;

/// Who is delivered to.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// The name of its cursors.
    pub name: String,
    /// What it wants.
    pub types: Types,
    /// How it is dealt with.
    pub policy: Policy,
}

impl Consumer {
    /// A consumer of all events, dealt with as usual.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), types: Types::all(), policy: Policy::default() }
    }
}

/// What people want to know is told here, on the consumer's own thread.
pub type Watch = Box<dyn FnMut(&Notice) + Send>;

/// Delivers the events of logs to one consumer until it is stopped or dropped.
pub struct Dispatcher {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Orders {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Logs of which not everything is known to be delivered.
    behind: Mutex<BTreeSet<TenantId>>,
}

#[derive(Default)]
struct Waiting {
    follow: Vec<(TenantId, u64)>,
    leave: Vec<TenantId>,
    grown: BTreeSet<TenantId>,
    revive: BTreeSet<TenantId>,
    stop: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        let Self { follow, leave, grown, revive, stop } = self;
        follow.is_empty() && leave.is_empty() && grown.is_empty() && revive.is_empty() && !stop
    }
}

impl Dispatcher {
    /// Start the thread.
    #[must_use]
    pub fn spawn(
        consumer: Consumer,
        store: Arc<dyn Keep>,
        sink: Box<dyn Sink>,
        clock: Arc<dyn Clock>,
        watch: Watch,
    ) -> Self {
        let orders = Arc::new(Orders::default());
        let machine = Machine::new(consumer.policy);
        let (pending, for_thread) = (Vec::new(), Arc::clone(&orders));
        let polled_at = clock.now();
        let worker = Worker {
            consumer,
            store,
            sink,
            clock,
            watch,
            machine,
            orders: for_thread,
            pending,
            polled_at,
        };
        let thread = std::thread::spawn(move || worker.run());
        Self { orders, thread: Some(thread) }
    }

    /// Take the cursor over a log and deliver from it on. A consumer that is new to the log
    /// begins at entry `from`.
    pub fn follow(&self, tenant: TenantId, from: u64) {
        lock(&self.orders.behind).insert(tenant);
        self.order(|waiting| waiting.follow.push((tenant, from)));
    }

    /// Whether something of a log that is followed is still to be delivered, as far as is known.
    #[must_use]
    pub fn is_behind(&self, tenant: TenantId) -> bool {
        lock(&self.orders.behind).contains(&tenant)
    }

    /// Deliver nothing more of a log.
    pub fn leave(&self, tenant: TenantId) {
        self.order(|waiting| waiting.leave.push(tenant));
    }

    /// Say that a log grew. It is only a hint: logs are looked at every [`POLL_MS`] anyway.
    pub fn grew(&self, tenant: TenantId) {
        self.order(|waiting| waiting.grown.extend([tenant]));
    }

    /// Try the dead letters of a log once more.
    pub fn revive(&self, tenant: TenantId) {
        self.order(|waiting| waiting.revive.extend([tenant]));
    }

    /// Stop, when what is being delivered is settled and recorded.
    pub fn stop(mut self) {
        self.end();
    }

    fn order(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut lock(&self.orders.waiting));
        self.orders.wake.notify_one();
    }

    fn end(&mut self) {
        self.order(|waiting| waiting.stop = true);
        if let Some(thread) = self.thread.take() {
            // A panic of the sink was told by its thread; the cursor is where it was.
            let _ = thread.join();
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.end();
    }
}

struct Worker {
    consumer: Consumer,
    store: Arc<dyn Keep>,
    sink: Box<dyn Sink>,
    clock: Arc<dyn Clock>,
    watch: Watch,
    machine: Machine,
    orders: Arc<Orders>,
    /// Logs whose cursors could not be taken for now.
    pending: Vec<(TenantId, u64)>,
    /// When all logs were looked at last.
    polled_at: Timestamp,
}

impl Worker {
    fn run(mut self) {
        loop {
            let orders = std::mem::take(&mut *lock(&self.orders.waiting));
            let stop = orders.stop;
            self.obey(orders);
            if stop {
                return self.close();
            }
            if self.is_poll_due() {
                self.poll();
            }
            self.turn();
            for notice in self.machine.notices() {
                (self.watch)(&notice);
            }
        }
    }

    fn turn(&mut self) {
        match self.machine.next(self.clock.now()) {
            Step::Read { tenant, from, limit } => self.read(tenant, from, limit),
            Step::Deliver(batch) => {
                let verdicts = self.sink.deliver(&batch);
                self.machine.delivered(verdicts, self.clock.now());
            }
            Step::Move { tenant, step } => self.record(tenant, &step),
            Step::Wait { until } => {
                let now = self.clock.now();
                let ms = until.map_or(POLL_MS, |until| until.ms_since(now).clamp(1, POLL_MS));
                self.wait(ms.min(self.poll_ms()));
            }
        }
    }

    /// How long nobody looks at all logs.
    fn poll_ms(&self) -> u64 {
        let backoff = self.consumer.policy.backoff_ms_max.clamp(1, POLL_MS);
        if self.pending.is_empty() { POLL_MS } else { backoff }
    }

    /// Whether it is time to look at all logs, however many orders come. A clock that was set
    /// back says nothing about that.
    fn is_poll_due(&self) -> bool {
        let now = self.clock.now();
        now < self.polled_at || now.ms_since(self.polled_at) >= self.poll_ms()
    }

    /// Look at all logs, and try again to take the cursors that could not be taken.
    fn poll(&mut self) {
        self.polled_at = self.clock.now();
        for (tenant, from) in std::mem::take(&mut self.pending) {
            self.follow(tenant, from);
        }
        let all: Vec<TenantId> = self.machine.tenants().collect();
        all.into_iter().for_each(|tenant| self.look(tenant));
    }

    /// Wait for an order. Without one in that time, look at all logs.
    fn wait(&mut self, ms: u64) {
        let waiting = lock(&self.orders.waiting);
        let nothing = |waiting: &mut Waiting| waiting.is_empty();
        let waited =
            self.orders.wake.wait_timeout_while(waiting, Duration::from_millis(ms), nothing);
        let (waiting, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        if outcome.timed_out() {
            self.poll();
        }
    }

    fn obey(&mut self, orders: Waiting) {
        for (tenant, from) in orders.follow {
            self.follow(tenant, from);
        }
        for tenant in orders.grown {
            self.look(tenant);
        }
        for tenant in orders.revive {
            if let Err(error) = self.revive(tenant) {
                self.trouble(tenant, &error);
            }
        }
        for tenant in orders.leave {
            self.pending.retain(|(one, _)| *one != tenant);
            self.machine.leave(tenant);
            self.note(tenant);
        }
    }

    /// Say whether there is something of a log left to deliver.
    fn note(&self, tenant: TenantId) {
        let mut behind = lock(&self.orders.behind);
        let is_pending = self.pending.iter().any(|(one, _)| *one == tenant);
        if is_pending || self.machine.is_behind(tenant) {
            behind.insert(tenant);
        } else {
            behind.remove(&tenant);
        }
    }

    fn follow(&mut self, tenant: TenantId, from: u64) {
        let taken = self.store.take_cursor(tenant, &self.consumer.name, from);
        match taken.and_then(|cursor| Ok((cursor, self.size(tenant)?))) {
            Ok((cursor, size)) => self.machine.follow(tenant, &cursor, size),
            Err(error) => {
                if error.is_transient() {
                    self.pending.push((tenant, from));
                }
                self.trouble(tenant, &error);
            }
        }
        self.note(tenant);
    }

    fn look(&mut self, tenant: TenantId) {
        match self.size(tenant) {
            Ok(size) => self.machine.grew(tenant, size),
            Err(error) => self.trouble(tenant, &error),
        }
        self.note(tenant);
    }

    fn size(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let head = self.store.scope(tenant)?.checkpoint()?;
        Ok(head.map_or(0, |head| head.size()))
    }

    fn read(&mut self, tenant: TenantId, from: u64, limit: usize) {
        let log = self.store.scope(tenant);
        let read = log.and_then(|log| page(&*log, from, limit, &self.consumer.types));
        let now = self.clock.now();
        match read {
            Ok(page) => self.machine.read(tenant, page, now),
            Err(error) => self.machine.unread(tenant, &error, now),
        }
    }

    fn record(&mut self, tenant: TenantId, step: &CursorStep) {
        let result = self.store.move_cursor(tenant, &self.consumer.name, step);
        self.machine.moved(tenant, result, self.clock.now());
        self.note(tenant);
    }

    /// Deliver the dead letters of a log once more, one by one, until the consumer is away.
    fn revive(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        let name = self.consumer.name.clone();
        let mut from = 0;
        loop {
            let letters = self.store.dead_letters(tenant, &name, from, REVIVE_MAX)?;
            let Some(last) = letters.last() else { return Ok(()) };
            from = last.seq + 1;
            let mut revived = Vec::new();
            let mut is_away = false;
            for letter in &letters {
                let log = self.store.scope(tenant)?;
                let one = page(&*log, letter.seq, 1, &self.consumer.types)?;
                drop(log);
                let event = one.events.first().filter(|event| event.seq() == letter.seq);
                let Some(event) = event else { continue };
                let verdicts = self.sink.deliver(std::slice::from_ref(event));
                match verdicts.first() {
                    Some(Verdict::Confirmed) => revived.push(letter.seq),
                    Some(Verdict::Refused(_)) => {}
                    Some(Verdict::Lost(_)) | None => is_away = true,
                }
                if is_away {
                    break;
                }
            }
            let Some((fence, next)) = self.machine.cursor(tenant) else { return Ok(()) };
            let step = CursorStep { fence, next, dead: Vec::new(), revived };
            self.store.move_cursor(tenant, &name, &step)?;
            if is_away {
                return Ok(());
            }
        }
    }

    fn trouble(&mut self, tenant: TenantId, error: &StoreError) {
        (self.watch)(&Notice::StoreFailed { tenant, why: error.to_string() });
    }

    /// Record what was delivered, without waiting for anything.
    fn close(mut self) {
        self.machine.close();
        while let Step::Move { tenant, step } = self.machine.next(self.clock.now()) {
            self.record(tenant, &step);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

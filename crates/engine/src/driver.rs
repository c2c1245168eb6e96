//! Drives an engine with real threads: one takes inputs in turn, others commit and perform.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use cog_base::entropy::NoEntropy;
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::{Clock, Timestamp};
use cog_flow::Terms;
use cog_gate::{AnyEffect, Cleared};
use cog_ledger::{Draft, Durable, Entry};

use crate::children::Place;
use crate::engine::{Engine, Input, Output};
use crate::notice::{Notice, What};
use crate::timers::Timers;

/// The most inputs of one turn, so that timers and onlookers are not kept waiting.
const INPUTS_PER_TURN_MAX: usize = 1_024;
/// So many appends are handed over together: enough to share a commit well, few enough that
/// the committer is at work while the rest of a long turn is made.
const APPENDS_TOGETHER: usize = 32;
/// The longest sleep between two looks at the timers.
const NAP_MS_MAX: u64 = 60_000;

/// What answers an append.
pub type Reply = Box<dyn FnOnce(Result<Vec<Durable<Entry>>, String>) + Send>;

/// What is appended whole or not at all, and what answers it.
pub type Append = (Vec<(TenantId, Draft)>, Reply);

/// Appends drafts durably: the group committer.
pub trait Ledger: Send {
    /// Append all of `drafts` or none and reply, in the order of the submissions.
    fn submit(&self, drafts: Vec<(TenantId, Draft)>, reply: Reply);

    /// As many [`Ledger::submit`] in their order, at once, so that they share commits.
    fn submit_all(&self, appends: Vec<Append>) {
        for (drafts, reply) in appends {
            self.submit(drafts, reply);
        }
    }
}

/// Performs what the gate cleared, in tasks of its own, so that nothing that was begun is
/// lost when somebody stops waiting for it.
pub trait Hands: Send {
    /// Perform, and send [`Input::Performed`]: what the adapter says,
    /// or what the counterfoil of the clearance says when the adapter panics or outlives
    /// `timeout_ms`. Where the terms want a stream, what the effect gives before may be sent as
    /// [`Input::Given`].
    fn perform(&self, run: RunId, cleared: Cleared<AnyEffect>, terms: Terms, inbox: Inbox);

    /// The flow does not want this any more. What is under way is waited for; what nobody began yet
    /// need not begin, and is then said to be abandoned.
    fn withdraw(&self, _run: RunId, _receipt: ReceiptId) {}

    /// Look for the traces of an effect and send [`Input::Probed`].
    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox);

    /// Find out where the folders of a run stand that another begins, bind what performs its
    /// effects there, and send [`Input::Placed`]. Without it no run begins another.
    fn place(&self, place: Place, inbox: Inbox) {
        let Place { parent, run, .. } = place;
        let placed = Err("runs are not begun by runs here".to_owned());
        inbox.send(Input::Placed { parent, run, placed });
    }
}

/// Where inputs for an engine are sent to.
#[derive(Clone)]
pub struct Inbox(Arc<dyn Fn(Input) + Send + Sync>);

impl Inbox {
    /// An inbox of which `take` takes what is sent.
    pub fn new(take: impl Fn(Input) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Counts each input before it is sent.
    fn of(sender: Sender<Input>, sent: Arc<AtomicU64>) -> Self {
        Self::new(move |input| {
            sent.fetch_add(1, Ordering::SeqCst);
            // When the engine is gone there is nobody to tell, and the ledger holds what the next
            // engine needs.
            drop(sender.send(input));
        })
    }

    /// Send an input.
    pub fn send(&self, input: Input) {
        (self.0)(input);
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

/// Why an engine does nothing more. What it appended is in the ledger, and another engine goes on
/// from there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The source of randomness failed.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// Something of ours panicked: the engine, the gate, the canon, or the hands that it was given.
    /// Nobody knows in which state that left them.
    #[error("internal error: {0}")]
    Panicked(String),
}

/// Do something, and give what it panicked with as a text.
///
/// # Errors
/// What was said when it panicked.
pub fn contained<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|said| said_of(said.as_ref()))
}

fn said_of(said: &(dyn Any + Send)) -> String {
    let text = said.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| said.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked without a word".to_owned())
}

/// A run that left memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dormant {
    /// The run.
    pub run: RunId,
    /// When it has to be resumed; nothing when only somebody outside brings it on.
    pub wake: Option<Timestamp>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many inputs it took in, those of timers included.
    pub inputs: u64,
    /// Whether there may be more to do.
    pub has_more: bool,
}

/// An engine with its hands and its ledger.
pub struct Driver {
    engine: Engine,
    inputs: Receiver<Input>,
    inbox: Inbox,
    /// How many inputs were sent, and how many of them were taken in.
    sent: Arc<AtomicU64>,
    taken: u64,
    ledger: Box<dyn Ledger>,
    hands: Box<dyn Hands>,
    clock: Arc<dyn Clock>,
    timers: Timers,
    /// What this turn appends and has not handed over yet, in order.
    appends: Vec<Append>,
    /// What the engine panicked with: it is not asked again.
    panicked: Option<String>,
}

impl Driver {
    /// A driver of `engine`.
    #[must_use]
    pub fn new(
        engine: Engine,
        ledger: Box<dyn Ledger>,
        hands: Box<dyn Hands>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (sender, inputs) = channel();
        let sent = Arc::new(AtomicU64::new(0));
        let inbox = Inbox::of(sender, Arc::clone(&sent));
        let (timers, appends, panicked, taken) = (Timers::default(), Vec::new(), None, 0);
        Self { engine, inputs, inbox, sent, taken, ledger, hands, clock, timers, appends, panicked }
    }

    /// Call `wake` after each input that is sent from now on: for a thread that drives many
    /// engines, and cannot wait for one of them.
    #[must_use]
    pub fn waking(mut self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let inbox = self.inbox();
        self.inbox = Inbox::new(move |input| {
            inbox.send(input);
            wake();
        });
        self
    }

    /// Where inputs are sent to.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// How many inputs were sent so far. When [`Driver::taken`] is as many, all that was sent before
    /// this was asked has been taken in.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many inputs were taken in so far, but for timers.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to prepare it before runs start.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Wait for something to happen, at most `wait_ms`, and do what it leads to.
    ///
    /// # Errors
    /// [`Broken`] when nothing goes on with this engine. It never panics.
    pub fn turn(&mut self, wait_ms: u64) -> Result<Vec<Notice>, Broken> {
        let mut notices = Vec::new();
        self.whole(|driver| {
            let wait = Duration::from_millis(driver.nap_ms().min(wait_ms));
            match driver.inputs.recv_timeout(wait) {
                Ok(input) => {
                    driver.taken += 1;
                    driver.take(input, &mut notices)?;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            driver.sweep_on(INPUTS_PER_TURN_MAX - 1, &mut notices).map(drop)
        })?;
        Ok(notices)
    }

    /// Do what there is to do, and wait for nothing: at most so many inputs, and as many timers, as
    /// others may wait for the thread too. Says whether there may be more, so that it should be
    /// called again.
    ///
    /// # Errors
    /// [`Broken`] when nothing goes on with this engine. It never panics.
    pub fn sweep(&mut self, inputs_max: usize, notices: &mut Vec<Notice>) -> Result<Swept, Broken> {
        self.whole(|driver| driver.sweep_on(inputs_max, notices))
    }

    /// Act, and keep what panics inside. What was not handed over by then is never appended: of an
    /// engine in the middle of something nothing may reach the ledger.
    fn whole<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, NoEntropy>,
    ) -> Result<T, Broken> {
        if let Some(said) = &self.panicked {
            return Err(Broken::Panicked(said.clone()));
        }
        match contained(|| act(self)) {
            Ok(done) => Ok(done?),
            Err(said) => {
                self.appends.clear();
                self.panicked = Some(said.clone());
                Err(Broken::Panicked(said))
            }
        }
    }

    fn sweep_on(
        &mut self,
        inputs_max: usize,
        notices: &mut Vec<Notice>,
    ) -> Result<Swept, NoEntropy> {
        let mut taken = 0;
        while taken < inputs_max {
            let Ok(input) = self.inputs.try_recv() else { break };
            self.taken += 1;
            self.take(input, notices)?;
            taken += 1;
            self.hand_over_many();
        }
        // Not less of what time brings, however much else there is.
        let (now, mut rung) = (self.clock.now(), 0);
        while rung < inputs_max {
            let Some(timer) = self.timers.take_due(now) else { break };
            self.take(Input::Due(timer), notices)?;
            rung += 1;
            self.hand_over_many();
        }
        self.hand_over();
        let has_more = taken == inputs_max || rung == inputs_max;
        Ok(Swept { inputs: (taken + rung) as u64, has_more })
    }

    /// When the next timer is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Let a run leave memory of which nothing is under way, and that only time or somebody
    /// outside brings on ([`Engine::dormant`]). Says when its next timer would have been due; who
    /// calls has it resumed by then. Nothing when the run stays, as something of it goes on.
    pub fn forget(&mut self, run: RunId) -> Option<Dormant> {
        self.engine.forget(run).then(|| Dormant { run, wake: self.timers.drop_run(run) })
    }

    /// When the next timer of a run is due.
    #[must_use]
    pub fn wake_of(&self, run: RunId) -> Option<Timestamp> {
        self.timers.next_of(run)
    }

    /// Hand over what was appended so far, if that is enough to share a commit well.
    fn hand_over_many(&mut self) {
        if self.appends.len() >= APPENDS_TOGETHER {
            self.hand_over();
        }
    }

    /// Hand over what was appended so far, at once, so that it shares commits.
    fn hand_over(&mut self) {
        if !self.appends.is_empty() {
            self.ledger.submit_all(std::mem::take(&mut self.appends));
        }
    }

    fn take(&mut self, input: Input, notices: &mut Vec<Notice>) -> Result<(), NoEntropy> {
        for output in self.engine.handle(input)? {
            match output {
                Output::Append { ticket, drafts } => {
                    let inbox = self.inbox();
                    let reply = move |result| {
                        inbox.send(match result {
                            Ok(entries) => Input::Committed { ticket, entries },
                            Err(message) => Input::NotCommitted { ticket, message },
                        });
                    };
                    self.appends.push((drafts, Box::new(reply)));
                }
                Output::Perform { run, cleared, terms } => {
                    self.hands.perform(run, *cleared, terms, self.inbox());
                }
                Output::Withdraw { run, receipt } => self.hands.withdraw(run, receipt),
                Output::Probe { run, receipt, effect } => {
                    self.hands.probe(run, receipt, effect, self.inbox());
                }
                Output::Place(place) => self.hands.place(*place, self.inbox()),
                Output::Arm { timer, ms } => {
                    self.timers.arm(self.clock.now().plus_ms(ms), timer);
                }
                Output::Notice(notice) => {
                    if matches!(notice.what, What::Sealed(_) | What::Stopped { .. }) {
                        self.timers.drop_run(notice.run);
                    }
                    notices.push(notice);
                }
            }
        }
        Ok(())
    }

    fn nap_ms(&self) -> u64 {
        let now = self.clock.now();
        let next = self.timers.next().map(|at| at.ms_since(now) + 1);
        next.unwrap_or(NAP_MS_MAX).min(NAP_MS_MAX)
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("engine", &self.engine).finish_non_exhaustive()
    }
}

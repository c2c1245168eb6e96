//! A worker: it asks the owners of logs for work, checks each receipt with its proof against the key
//! that it was given, notes that it uses it, performs the effect and says what came of it.

#![expect(clippy::disallowed_methods, reason = "the program's edge: a worker waits for real")]

mod doing;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::Value;
use cog_base::id::{RunId, TenantId};
use cog_canon::Canon;
use cog_gate::AnyEffect;
use cog_gate::runner::Runner;
use cog_ledger::VerifierKey;
use cog_wire::Client;
use cog_worker::{Poll, Root, Task};
use tokio::sync::Semaphore;

use super::journal::UsedUp;
use super::trust::{self, Trust};
use crate::kit::Toolbox;

/// How long a poll waits for work.
const WAIT_MS: u64 = 20_000;
/// What the answer to a poll may take beyond that.
const SLACK: Duration = Duration::from_secs(10);
/// The largest answer: tasks with their arguments and proofs, or the files of a canon.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The shortest and the longest pause after an owner was not to be reached.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The most runs whose adapters are kept bound, and canons that are kept loaded.
const BOUND_MAX: usize = 256;

/// How a worker is set up.
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) owners: Vec<String>,
    pub(crate) token: String,
    pub(crate) trust: PathBuf,
    pub(crate) kinds: Vec<String>,
    pub(crate) slots: usize,
}

/// What a worker tells of itself.
pub(crate) enum Tale {
    /// An owner cannot be reached, and why; told once until it can.
    Away(String, String),
    Back(String),
    /// It begins something.
    Began(Box<Task>),
    /// What came of it, in a word.
    Ended(Box<Task>, String),
}

/// How something is told.
pub(crate) type Tell = Box<dyn Fn(Tale) + Send + Sync>;

/// What was bound for a run.
#[derive(PartialEq)]
struct Place {
    base: String,
    roots: BTreeMap<String, Root>,
    canon: Option<cog_base::Digest>,
}

pub(crate) struct Worker {
    setup: Setup,
    tools: Toolbox,
    /// The receipts that were used, and what checks those that come.
    checks: Mutex<Checks>,
    places: Mutex<HashMap<(TenantId, RunId), Place>>,
    canons: Mutex<HashMap<cog_base::Digest, Arc<Canon>>>,
    free: Arc<Semaphore>,
    ends: AtomicBool,
    tell: Tell,
}

struct Checks {
    journal: UsedUp,
    runners: BTreeMap<TenantId, (VerifierKey, Runner)>,
}

impl Worker {
    pub(crate) fn new(
        setup: Setup,
        tools: Toolbox,
        journal: UsedUp,
        tell: Tell,
    ) -> anyhow::Result<Self> {
        let checks = Checks { journal, runners: BTreeMap::new() };
        // Each owner is asked while there is room for one more.
        let free = Arc::new(Semaphore::new(setup.slots));
        let checks = Mutex::new(checks);
        let (places, canons, ends) = Default::default();
        let worker = Self { setup, tools, checks, places, canons, free, ends, tell };
        worker.trust(trust::read(&worker.setup.trust)?);
        Ok(worker)
    }

    /// Take on the keys of a file that may have changed. What was used under another key stays used.
    fn trust(&self, trust: Trust) -> Vec<TenantId> {
        let mut checks = self.checks();
        let Checks { journal, runners } = &mut *checks;
        runners.retain(|tenant, (key, _)| trust.0.get(tenant) == Some(key));
        for (tenant, key) in trust.0 {
            runners.entry(tenant).or_insert_with(|| {
                let used = journal.of(tenant);
                let runner = Runner::remembering(tenant, key.name(), vec![key.clone()], used);
                (key, runner)
            });
        }
        runners.keys().copied().collect()
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take nothing more.
    pub(crate) fn stop(&self) {
        self.ends.store(true, Ordering::SeqCst);
        self.free.close();
    }

    fn is_ending(&self) -> bool {
        self.ends.load(Ordering::SeqCst)
    }

    /// Work for one owner until the worker is stopped.
    pub(crate) async fn work_for(self: Arc<Self>, owner: String) {
        let client = match Client::new(&owner, &self.setup.token, ANSWER_BYTES_MAX) {
            Ok(client) => Arc::new(client),
            Err(error) => return (self.tell)(Tale::Away(owner, error.to_string())),
        };
        let mut pause = PAUSE.0;
        let mut is_away = false;
        while let Ok(first) = Arc::clone(&self.free).acquire_owned().await {
            match self.poll(&client).await {
                Ok(tasks) => {
                    if std::mem::take(&mut is_away) {
                        (self.tell)(Tale::Back(owner.clone()));
                    }
                    pause = PAUSE.0;
                    let mut first = Some(first);
                    for task in tasks {
                        // Not more comes than there was room for when it was asked for.
                        let slot = first.take();
                        let slot = match slot {
                            Some(slot) => slot,
                            None => match Arc::clone(&self.free).acquire_owned().await {
                                Ok(slot) => slot,
                                Err(_) => return,
                            },
                        };
                        let (worker, client) = (Arc::clone(&self), Arc::clone(&client));
                        tokio::spawn(async move {
                            worker.attend(&client, task).await;
                            drop(slot);
                        });
                    }
                }
                Err(why) => {
                    drop(first);
                    if !std::mem::replace(&mut is_away, true) {
                        (self.tell)(Tale::Away(owner.clone(), why));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn poll(&self, client: &Client) -> Result<Vec<Task>, String> {
        let trust = trust::read(&self.setup.trust).map_err(|error| format!("{error:#}"))?;
        let tenants = self.trust(trust);
        let max = 1 + self.free.available_permits() as u64;
        let poll = Poll {
            worker: self.setup.name.clone(),
            kinds: self.setup.kinds.clone(),
            tenants,
            max,
            wait_ms: WAIT_MS,
        };
        let wait = Duration::from_millis(WAIT_MS) + SLACK;
        let document = poll.to_value();
        let asked = client.post("/worker/v1/poll", &document, wait);
        let (status, document) = tokio::select! {
            answered = asked => answered.map_err(|error| error.to_string())?,
            () = self.ended() => return Ok(Vec::new()),
        };
        if status != 200 {
            return Err(told(status, &document));
        }
        let tasks = document.get("tasks").and_then(Value::as_list).unwrap_or_default();
        tasks.iter().map(|task| Task::from_value(task).map_err(|error| error.to_string())).collect()
    }

    /// Until the worker is to end.
    async fn ended(&self) {
        while !self.is_ending() {
            tokio::time::sleep(PAUSE.0).await;
        }
    }

    /// Wait for what is under way, at most so long.
    pub(crate) async fn finish(&self, grace: Duration) {
        let all = async {
            while self.free.available_permits() < self.setup.slots {
                tokio::time::sleep(PAUSE.0).await;
            }
        };
        let _ = tokio::time::timeout(grace, all).await;
    }
}

/// What an owner answered that is no success.
fn told(status: u16, document: &Value) -> String {
    let text = |name| document.get(name).and_then(Value::as_text);
    let code = text("code").unwrap_or("no code");
    format!("it answers {status}, {code}: {}", text("detail").unwrap_or_default())
}

/// All kinds of effects.
pub(crate) fn all_kinds() -> Vec<String> {
    AnyEffect::ACTIONS.iter().map(|action| (*action).to_owned()).collect()
}

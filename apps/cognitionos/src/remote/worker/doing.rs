//! One task of a worker, from its receipt to the report.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge: how long an owner was not heard of is real time"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cog_base::id::ReceiptId;
use cog_base::{Clock as _, Digest, Value};
use cog_canon::{Canon, Source};
use cog_gate::{AnyEffect, Cleared, Failure, Found, Lapse};
use cog_ledger::proof::ProvenEntry;
use cog_node::Ready;
use cog_wire::Client;
use cog_worker::{Came, Given, Report, Sign, Task, What};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{BOUND_MAX, Place, Tale, Worker, told};
use crate::hands::Adapters;
use crate::streaming;
use crate::system::SystemClock;

/// How long an owner may take to answer about one task.
const ANSWER: Duration = Duration::from_secs(10);
/// The shortest pause between two signs of life.
const BEAT_MIN: Duration = Duration::from_millis(20);
/// How often a report is sent, or a canon asked for, before that is left: whoever owns the log then
/// finds out by itself.
const ASKED_MAX: u32 = 20;

/// An owner said no: what is done for it counts no more.
struct Withdrawn;

/// Whether an owner is heard of.
struct Contact<'a> {
    client: &'a Client,
    task: &'a Task,
    sign: Value,
}

impl Contact<'_> {
    fn path(&self, what: &str) -> String {
        format!("/worker/v1/tasks/{}/{what}", self.task.receipt)
    }

    /// Say that it begins. Only when the owner says yes may it.
    async fn begin(&self) -> Result<Instant, Withdrawn> {
        let (sent, wait) = (Instant::now(), ANSWER.min(self.lease() / 2));
        let asked = self.client.post(&self.path("begin"), &self.sign, wait).await;
        // When the answer is lost, the owner takes it for begun, and looks into it when it hears
        // nothing more.
        asked.is_ok_and(|(status, _)| status == 200).then_some(sent).ok_or(Withdrawn)
    }

    fn lease(&self) -> Duration {
        Duration::from_millis(self.task.lease_ms)
    }

    /// Give signs of life until the owner says no, or was not heard of for so long that it may take
    /// the worker for lost: it gives up before.
    async fn keep(&self, mut heard: Instant) -> Withdrawn {
        let lease = self.lease();
        let (beat, end) = ((lease / 4).max(BEAT_MIN), lease / 4 * 3);
        loop {
            tokio::time::sleep(beat).await;
            let sent = Instant::now();
            let left = end.saturating_sub(heard.elapsed());
            match self.client.post(&self.path("heartbeat"), &self.sign, left.min(ANSWER)).await {
                Ok((200, _)) => heard = sent,
                // The log is away for a moment, or the answer came from something in between.
                Ok((500.., _)) | Err(_) => {}
                Ok(_) => return Withdrawn,
            }
            if heard.elapsed() >= end {
                return Withdrawn;
            }
        }
    }

    /// Hand on what the effect gives, in its order. What does not arrive is left, and all behind it: the
    /// result holds it again.
    async fn give(&self, worker: &str, mut said: UnboundedReceiver<(&'static str, String)>) {
        let (path, fence, mut offset) = (self.path("output"), self.task.fence, 0);
        while let Some((name, text)) = said.recv().await {
            let bytes = text.len() as u64;
            let given = Given { worker: worker.to_owned(), fence, name, offset, text };
            let answer = self.client.post(&path, &given.to_value(), ANSWER).await;
            if !answer.is_ok_and(|(status, _)| status == 200) {
                return;
            }
            offset += bytes;
        }
    }

    async fn report(&self, report: &Report) -> Result<(), String> {
        let document = report.to_value();
        let mut last = String::new();
        for _ in 0..ASKED_MAX {
            match self.client.post(&self.path("result"), &document, ANSWER).await {
                Ok((200, _)) => return Ok(()),
                Ok((status @ 500.., said)) => last = told(status, &said),
                Ok((status, said)) => return Err(told(status, &said)),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(super::PAUSE.0 * 5).await;
        }
        Err(last)
    }
}

/// What the owner answers, asked again while its log or the way to it is away: nothing has begun, and
/// an offer that took too long is begun no more.
async fn given(client: &Client, path: &str) -> Result<(u16, Value), String> {
    let mut last = String::new();
    for _ in 0..ASKED_MAX {
        match client.get(path, ANSWER).await {
            Ok((status @ 500.., said)) => last = told(status, &said),
            Ok(answer) => return Ok(answer),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(super::PAUSE.0 * 5).await;
    }
    Err(last)
}

impl Worker {
    /// Do one task.
    pub(super) async fn attend(&self, client: &Client, task: Task) {
        let worker = self.setup.name.clone();
        let sign = Sign { worker: worker.clone(), fence: task.fence, progress: None }.to_value();
        let contact = Contact { client, task: &task, sign };
        let came = match self.prepared(client, &task).await {
            Ok((proven, effect, adapters)) => {
                let Ok(heard) = contact.begin().await else { return };
                (self.tell)(Tale::Began(Box::new(task.clone())));
                tokio::select! {
                    came = self.act(&contact, proven, effect, adapters) => came,
                    Withdrawn = contact.keep(heard) => {
                        let word = "given up: its owner is not heard of, or wants it no more";
                        return (self.tell)(Tale::Ended(Box::new(task.clone()), word.to_owned()));
                    }
                }
            }
            Err(message) => refused("worker.not_ready", message),
        };
        let word = match &came {
            Came::Performed(end, _) => end.word().to_owned(),
            Came::Found(found) => format!("looked into: {}", word_of(found)),
            Came::Refused(failure) => format!("refused: {}", failure.message),
        };
        let report = Report { fence: task.fence, worker, came };
        let word = match contact.report(&report).await {
            Ok(()) => word,
            Err(why) => format!("{word}, which does not count: {why}"),
        };
        (self.tell)(Tale::Ended(Box::new(task.clone()), word));
    }

    /// What the task is about, and the adapters of its run.
    async fn prepared(
        &self,
        client: &Client,
        task: &Task,
    ) -> Result<(ProvenEntry, AnyEffect, Arc<Adapters>), String> {
        let proven: ProvenEntry = task.proof.parse().map_err(|error| format!("{error}"))?;
        let effect = AnyEffect::from_args(&task.action, &task.args);
        let effect = effect.map_err(|error| error.to_string())?;
        // Before anything is asked for or looked at on the word of a receipt, it is checked.
        let id = self.knows(task, &proven, &effect)?;
        if id != task.receipt {
            return Err(format!("the proof is of {id}, and the task of {}", task.receipt));
        }
        let canon = match proven.unverified().canon() {
            Some(digest) => Some(self.canon(client, task, digest).await?),
            None => None,
        };
        let adapters = self.bound(task, canon.as_deref())?;
        Ok((proven, effect, adapters))
    }

    fn knows(
        &self,
        task: &Task,
        proven: &ProvenEntry,
        effect: &AnyEffect,
    ) -> Result<ReceiptId, String> {
        let checks = self.checks();
        let (_, runner) =
            checks.runners.get(&task.tenant).ok_or("no key of its log was given to this worker")?;
        let (receipt, run) = runner.knows(proven, effect).map_err(|error| explained(&error))?;
        if run != task.run {
            return Err(format!("the receipt is of {run}, and the task of {}", task.run));
        }
        Ok(receipt)
    }

    /// The canon that a receipt names: by its digest, whoever gives it.
    async fn canon(
        &self,
        client: &Client,
        task: &Task,
        digest: Digest,
    ) -> Result<Arc<Canon>, String> {
        let known = |worker: &Self| {
            let canons = worker.canons.lock();
            canons.unwrap_or_else(std::sync::PoisonError::into_inner).get(&digest).cloned()
        };
        if let Some(canon) = known(self) {
            return Ok(canon);
        }
        let path = format!("/worker/v1/canons/{digest}?tenant={}", task.tenant);
        let (status, document) = given(client, &path).await?;
        let files = document.get("files").and_then(Value::as_map).filter(|_| status == 200);
        let files = files.ok_or_else(|| format!("its canon: {}", told(status, &document)))?;
        let text = |(path, file): (&String, &Value)| {
            Some((path.clone(), file.as_text()?.as_bytes().to_vec()))
        };
        let files: Option<Vec<_>> = files.iter().map(text).collect();
        let source = Source::new(files.ok_or("its canon is not made of texts")?);
        if source.digest() != digest {
            return Err("the canon that was given is not the one that the receipt names".to_owned());
        }
        let loaded = tokio::task::spawn_blocking(move || Canon::load(&source));
        let canon = loaded.await.map_err(|error| error.to_string())?;
        let canon = Arc::new(canon.map_err(|error| format!("its canon: {error}"))?);
        let mut canons = self.canons.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if canons.len() >= BOUND_MAX {
            canons.clear();
        }
        canons.insert(digest, Arc::clone(&canon));
        Ok(canon)
    }

    /// The adapters of a run, bound to its places as its canon lets it.
    fn bound(&self, task: &Task, canon: Option<&Canon>) -> Result<Arc<Adapters>, String> {
        let (base, roots) = (task.base.clone(), task.roots.clone());
        let place = Place { base, roots, canon: canon.map(Canon::digest) };
        let name = (task.tenant, task.run);
        let mut places = self.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if places.get(&name) == Some(&place)
            && let Some(adapters) = self.tools.of(task.tenant, task.run)
        {
            return Ok(adapters);
        }
        if places.len() >= BOUND_MAX {
            for (tenant, run) in std::mem::take(&mut *places).into_keys() {
                cog_node::Kit::unbind(&self.tools, tenant, run);
            }
        }
        let root = |root: &cog_worker::Root| cog_node::Root {
            path: root.path.clone(),
            write: root.write,
            create: root.create,
        };
        let roots = task.roots.iter().map(|(name, it)| (name.clone(), root(it))).collect();
        let (tenant, run) = name;
        let ready = Ready { tenant, run, base: &task.base, roots: &roots, canon };
        cog_node::Kit::bind(&self.tools, &ready)?;
        places.insert(name, place);
        self.tools.of(tenant, run).ok_or_else(|| "its places could not be bound".to_owned())
    }

    /// Act on the receipt, in a task of its own, so that a panic of an adapter stays there.
    async fn act(
        &self,
        contact: &Contact<'_>,
        proven: ProvenEntry,
        effect: AnyEffect,
        adapters: Arc<Adapters>,
    ) -> Came {
        let task = contact.task;
        if task.what == What::Probe {
            let (run, receipt) = (task.run, task.receipt);
            let looking = tokio::spawn(async move { adapters.probe(&effect, run, receipt).await });
            let found = looking.await.unwrap_or(Found::CannotTell);
            if found == Found::NotDone {
                self.fell(task);
            }
            return Came::Found(found);
        }
        let cleared = match self.clear(task, &proven, effect) {
            Ok(cleared) => cleared,
            Err(message) => return refused("worker.not_accepted", message),
        };
        let counterfoil = cleared.counterfoil();
        let ended = if task.stream {
            let (say, said) = unbounded_channel();
            let (cleared, telling) =
                streaming::telling(cleared, move |name, text| drop(say.send((name, text))));
            let mut guard = Stops(tokio::spawn(async move { adapters.perform(cleared).await }));
            let giving = contact.give(&self.setup.name, said);
            tokio::join!(telling.until(&mut guard.0), giving).0
        } else {
            let mut guard = Stops(tokio::spawn(async move { adapters.perform(cleared).await }));
            (&mut guard.0).await
        };
        // One that panicked has nothing to say.
        let performed = ended.unwrap_or_else(|_| counterfoil.lost(Lapse::Gone));
        let report = performed.report();
        if matches!(report.end, cog_gate::End::Failed(_)) {
            self.fell(task);
        }
        Came::Performed(report.end.clone(), report.cost)
    }

    fn clear(
        &self,
        task: &Task,
        proven: &ProvenEntry,
        effect: AnyEffect,
    ) -> Result<Cleared<AnyEffect>, String> {
        let mut checks = self.checks();
        let super::Checks { journal, runners } = &mut *checks;
        let (_, runner) =
            runners.get_mut(&task.tenant).ok_or("no key of its log was given to this worker")?;
        let mut journal = journal.for_tenant(task.tenant);
        let terms = (task.attempt, task.prices);
        let cleared = runner.clear(proven, effect, terms, SystemClock.now(), &mut journal);
        cleared.map_err(|error| explained(&error))
    }

    /// Nothing came of it: another attempt may be made here.
    fn fell(&self, task: &Task) {
        let mut checks = self.checks();
        let super::Checks { journal, runners } = &mut *checks;
        if let Some((_, runner)) = runners.get_mut(&task.tenant) {
            // What could not be noted is not tried again here, and that is safe.
            let _ = runner.fell(task.receipt, &mut journal.for_tenant(task.tenant));
        }
    }
}

/// A task of an adapter, which ends with whoever waits for it.
struct Stops<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Stops<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn refused(code: &str, message: String) -> Came {
    let cut: String = message.chars().take(1_000).collect();
    Came::Refused(Failure { code: code.to_owned(), message: cut, transient: true })
}

fn explained(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn word_of(found: &Found) -> &'static str {
    match found {
        Found::Done(_) => "done",
        Found::NotDone => "not done",
        Found::CannotTell => "nobody can tell",
    }
}

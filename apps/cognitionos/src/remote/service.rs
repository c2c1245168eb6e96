//! What workers ask of a node that owns logs, over HTTP.

#![expect(clippy::disallowed_methods, reason = "a surface: a poll waits for so long")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cog_base::id::{ReceiptId, TenantId};
use cog_base::json::parse;
use cog_base::{Digest, Value};
use cog_ledger::Kind;
use cog_ledger::merkle::inclusion;
use cog_ledger::proof::ProvenEntry;
use cog_store::{Shared, StoreError, Tree};
use cog_wire::{Answer, Head, Problem, Request, Service, Work, same};
use cog_worker::{Given, Malformed, Poll, Refused, Report, Sign, Task};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::office::Office;

/// The only version of what is said.
const BASE: &str = "/worker/v1/";
/// How long the proofs of tasks may take to read. An offer holds a little longer.
const PROOF_TIME: Duration = Duration::from_secs(3);
/// How much longer a worker that could be handed something waits for what another database has.
const MORE_TIME: Duration = Duration::from_millis(500);

/// Answers workers.
pub(crate) struct Counter {
    /// One for each database. While a tenant moves, the same task may be on two boards.
    offices: Vec<Arc<Office>>,
    bell: Arc<Notify>,
    /// Counts polls: the databases are asked first in turn.
    polls: AtomicUsize,
    token: String,
}

/// What is asked.
enum Wish {
    Poll,
    Canon(String),
    Begin(ReceiptId),
    Beat(ReceiptId),
    Give(ReceiptId),
    End(ReceiptId),
}

impl Service for Counter {
    fn admit(&self, head: &Head) -> Result<(), Problem> {
        let given = head.bearer().unwrap_or_default();
        if !same(self.token.as_bytes(), given.as_bytes()) {
            let detail = "it comes with no bearer token, or with another one";
            return Err(Problem::new(
                401,
                "worker.not_authenticated",
                "Who asks is not known",
                detail,
            ));
        }
        wish(head).map(drop)
    }

    fn answer(&self, request: Request) -> Work<'_, Answer> {
        Box::pin(async move {
            let id = request.head.request_id.clone();
            self.answered(request).await.unwrap_or_else(|problem| problem.answer(&id))
        })
    }
}

fn wish(head: &Head) -> Result<Wish, Problem> {
    let nothing = || Problem::new(404, "worker.no_such_path", "There is nothing here", &head.path);
    let rest = head.path.strip_prefix(BASE).ok_or_else(nothing)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let receipt = |id: &str| id.parse::<ReceiptId>().map_err(|_| nothing());
    let (method, wish) = match parts.as_slice() {
        ["poll"] => ("POST", Wish::Poll),
        ["canons", digest] => ("GET", Wish::Canon((*digest).to_owned())),
        ["tasks", id, "begin"] => ("POST", Wish::Begin(receipt(id)?)),
        ["tasks", id, "heartbeat"] => ("POST", Wish::Beat(receipt(id)?)),
        ["tasks", id, "output"] => ("POST", Wish::Give(receipt(id)?)),
        ["tasks", id, "result"] => ("POST", Wish::End(receipt(id)?)),
        _ => return Err(nothing()),
    };
    if head.method == method {
        return Ok(wish);
    }
    let detail = format!("this is a {method}");
    Err(Problem::new(405, "worker.other_method", "It is asked for otherwise", &detail))
}

impl Counter {
    pub(crate) fn new(offices: Vec<Arc<Office>>, bell: Arc<Notify>, token: String) -> Self {
        Self { offices, bell, polls: AtomicUsize::new(0), token }
    }

    /// Who handed this out, or has it at all; where nobody has, anybody can say so.
    fn office(&self, receipt: ReceiptId, fence: u64) -> Result<&Office, Problem> {
        let mut all = self.offices.iter();
        let gave = all.clone().find(|office| office.board().gave(receipt, fence));
        let has = gave.or_else(|| all.clone().find(|office| office.board().has(receipt)));
        has.or_else(|| all.next()).map(Arc::as_ref).ok_or_else(|| refused(Refused::NoTask))
    }

    async fn answered(&self, request: Request) -> Result<Answer, Problem> {
        match wish(&request.head)? {
            Wish::Poll => {
                let poll = Poll::from_value(&document(&request)?).map_err(malformed)?;
                let tasks = self.poll(&poll).await?;
                let tasks = tasks.iter().map(Task::to_value);
                Ok(Answer::json(200, &Value::map([("tasks", Value::list(tasks))])))
            }
            Wish::Canon(digest) => self.canon(&digest, request.head.query.as_deref()).await,
            Wish::Begin(receipt) => {
                let sign = Sign::from_value(&document(&request)?).map_err(malformed)?;
                let office = self.office(receipt, sign.fence)?;
                let (by, now) = ((sign.worker.as_str(), sign.fence), office.now());
                office.board().begin(receipt, by, now).map_err(refused)?;
                Ok(Answer::json(200, &Value::map([("begun", true)])))
            }
            Wish::Beat(receipt) => {
                let sign = Sign::from_value(&document(&request)?).map_err(malformed)?;
                let office = self.office(receipt, sign.fence)?;
                let (by, now) = ((sign.worker.as_str(), sign.fence), office.now());
                let cancelled = office.board().beat(receipt, by, now).map_err(refused)?;
                Ok(Answer::json(200, &Value::map([("cancelled", cancelled)])))
            }
            Wish::Give(receipt) => {
                let given = Given::from_value(&document(&request)?).map_err(malformed)?;
                let office = self.office(receipt, given.fence)?;
                let now = office.now();
                office.board().give(receipt, given, now).map_err(refused)?;
                Ok(Answer::json(200, &Value::map([("given", true)])))
            }
            Wish::End(receipt) => {
                let report = Report::from_value(&document(&request)?).map_err(malformed)?;
                let office = self.office(receipt, report.fence)?;
                office.board().end(receipt, report).map_err(refused)?;
                Ok(Answer::json(200, &Value::map([("settled", true)])))
            }
        }
    }

    /// Tasks with their proofs, as soon as there are any.
    async fn poll(&self, poll: &Poll) -> Result<Vec<Task>, Problem> {
        let wait = tokio::time::sleep(Duration::from_millis(poll.wait_ms));
        let mut wait = std::pin::pin!(wait);
        loop {
            let mut bell = std::pin::pin!(self.bell.notified());
            // From here on the bell is heard, so that nothing is put up in between.
            bell.as_mut().enable();
            let tasks = self.offered(poll).await;
            if !tasks.is_empty() {
                return Ok(tasks);
            }
            tokio::select! {
                () = bell => {}
                () = wait.as_mut() => return Ok(Vec::new()),
            }
        }
    }

    /// What the databases have for the worker. One that cannot be read keeps nobody from what the others
    /// have; what is not handed out here is offered again.
    async fn offered(&self, poll: &Poll) -> Vec<Task> {
        let (mut proving, mut room) = (JoinSet::new(), poll.max);
        let first = self.polls.fetch_add(1, Ordering::Relaxed) % self.offices.len().max(1);
        for office in self.offices.iter().cycle().skip(first).take(self.offices.len()) {
            let offers = office.offer(&Poll { max: room, ..poll.clone() });
            if !offers.is_empty() {
                room = room.saturating_sub(offers.len() as u64);
                let tasks = offers.into_iter().map(|offer| offer.task).collect();
                proving.spawn(with_proofs(Arc::clone(office), tasks));
            }
        }
        let mut proven = Vec::new();
        loop {
            let patience = if proven.is_empty() { PROOF_TIME } else { MORE_TIME };
            match timeout(patience, proving.join_next()).await {
                Ok(Some(tasks)) => proven.extend(tasks.unwrap_or_default()),
                Ok(None) | Err(_) => break,
            }
        }
        proving.detach_all();
        proven
    }

    /// The files of a canon. Whoever asks compares its digest with the one in the receipt.
    async fn canon(&self, digest: &str, query: Option<&str>) -> Result<Answer, Problem> {
        let none = || {
            Problem::new(404, "worker.no_such_canon", "There is no such canon", "of this tenant")
        };
        let tenant = query.and_then(|query| query.strip_prefix("tenant="));
        let tenant: TenantId = tenant.and_then(|id| id.parse().ok()).ok_or_else(none)?;
        let digest: Digest = digest.parse().map_err(|_| none())?;
        let (mut looking, mut cannot) = (JoinSet::new(), false);
        for store in self.offices.iter().map(|office| office.store()) {
            match store {
                Some(store) => drop(looking.spawn_blocking(move || {
                    store.scope(tenant).and_then(|scope| scope.canon(digest))
                })),
                None => cannot = true,
            }
        }
        while let Some(found) = looking.join_next().await {
            match found {
                Ok(Ok(Some(files))) => {
                    return Ok(Answer::json(200, &Value::map([("files", Value::map(files))])));
                }
                Ok(Ok(None) | Err(StoreError::Moved { .. })) => {}
                Ok(Err(_)) | Err(_) => cannot = true,
            }
        }
        Err(if cannot { away() } else { none() })
    }
}

/// The tasks whose receipts are in the log of a database. One that cannot be proven now is offered again.
async fn with_proofs(office: Arc<Office>, tasks: Vec<Task>) -> Vec<Task> {
    let store = office.store();
    let proving = tokio::task::spawn_blocking(move || {
        let prove = |mut task: Task| -> Option<Task> {
            task.proof = proof(store.as_deref()?, task.tenant, task.receipt)?;
            Some(task)
        };
        tasks.into_iter().filter_map(prove).collect::<Vec<_>>()
    });
    let proven = match timeout(PROOF_TIME, proving).await {
        Ok(proven) => proven.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    if proven.is_empty() {
        office.rest();
    }
    proven
}

/// The receipt with the proof that it is in the log.
fn proof(store: &dyn Shared, tenant: TenantId, receipt: ReceiptId) -> Option<String> {
    let scope = store.scope(tenant).ok()?;
    let entries = scope.find(&receipt.to_string()).ok()?;
    let entry = entries.into_iter().find(|entry| entry.kind() == Kind::Receipt)?;
    let checkpoint = scope.checkpoint().ok()??;
    let path = inclusion(&mut Tree(scope.as_ref()), entry.seq(), checkpoint.size()).ok()?;
    Some(ProvenEntry::new(entry, path, checkpoint).to_string())
}

fn document(request: &Request) -> Result<Value, Problem> {
    let text = std::str::from_utf8(&request.body).map_err(|error| malformed_as(&error))?;
    parse(text).map_err(|error| malformed_as(&error))
}

fn malformed(error: Malformed) -> Problem {
    malformed_as(&error)
}

fn malformed_as(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(400, "worker.malformed", "This cannot be read", &error.to_string())
}

fn refused(refused: Refused) -> Problem {
    let status = match refused {
        Refused::NoTask => 404,
        Refused::Stale
        | Refused::NotBegun
        | Refused::Expired
        | Refused::Settled
        | Refused::OtherOffset => 409,
        Refused::Cost | Refused::OtherAnswer => 422,
    };
    Problem::new(status, refused.code(), "This does not count", &refused.to_string())
}

fn away() -> Problem {
    let mut problem =
        Problem::new(503, "worker.store_away", "The log cannot be read now", "ask again");
    problem.retry_after_ms = Some(1_000);
    problem
}

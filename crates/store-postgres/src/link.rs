//! One connection. It is driven only while somebody waits for it, on the thread that waits:
//! no thread of its own, and no switch between threads on the way to an answer.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use cog_store::StoreError;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

use crate::address::Address;
use crate::error::failed;

/// The most statements under way at once.
const FLIGHT_MAX: usize = 128;
/// The most prepared statements that a connection keeps; beyond it all are prepared again.
const STATEMENTS_MAX: usize = 256;

/// What every connection is set up with. Plans are made once: each query has an index that
/// it goes by, whatever its parameters.
const SETUP: &str = "SET search_path = cognitionos, pg_temp; SET synchronous_commit = on; \
     SET row_security = on; SET plan_cache_mode = force_generic_plan; SET lock_timeout = '10s'; \
     SET statement_timeout = '120s'";

/// A value of a statement.
pub(crate) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// A statement with its values.
pub(crate) struct Step<'a> {
    pub(crate) sql: &'a str,
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(sql: &'a str, values: Vec<Value<'a>>) -> Self {
        Self { sql, values }
    }

    /// A statement without values.
    pub(crate) const fn plain(sql: &'a str) -> Self {
        Self { sql, values: Vec::new() }
    }
}

pub(crate) struct Link {
    client: Client,
    statements: HashMap<String, Statement>,
    /// Taken out only when the link ends.
    runtime: Option<Runtime>,
}

impl Link {
    /// Connect, with settings beside [`SETUP`].
    pub(crate) fn open(address: &Address, settings: &str) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| StoreError::io("wait for the database", error))?;
        let handle = runtime.handle().clone();
        let connecting = async move {
            let cannot = |error| failed("connect to the database", error);
            let client = match &address.tls {
                None => {
                    let (client, link) = address.config.connect(NoTls).await.map_err(cannot)?;
                    drop(handle.spawn(link));
                    client
                }
                Some(tls) => {
                    let made = address.config.connect(tls.clone()).await;
                    let (client, link) = made.map_err(cannot)?;
                    drop(handle.spawn(link));
                    client
                }
            };
            let setup = format!("{SETUP}; {settings}");
            client.batch_execute(&setup).await.map_err(cannot)?;
            Ok(client)
        };
        let client: Result<Client, StoreError> = drive(&runtime, connecting);
        Ok(Self { client: client?, statements: HashMap::new(), runtime: Some(runtime) })
    }

    /// Whether the connection is known to be over.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Run statements that have no values, one after the other.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.drive(self.client.batch_execute(sql))
    }

    /// Run one statement.
    pub(crate) fn query(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql)?;
        self.drive(self.client.query(&statement, values))
    }

    /// Send all statements at once, and return the rows of each, or the first error.
    pub(crate) fn flight(&mut self, steps: &[Step<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        let (rows, error) = self.flight_until_error(steps);
        error.map_or(Ok(rows), Err)
    }

    /// Send all statements at once, and return the rows of those before the first error.
    pub(crate) fn flight_until_error(
        &mut self,
        steps: &[Step<'_>],
    ) -> (Vec<Vec<Row>>, Option<Error>) {
        let mut rows = Vec::with_capacity(steps.len());
        for steps in steps.chunks(FLIGHT_MAX) {
            let prepare = |step: &Step<'_>| self.prepare(step.sql);
            let statements = match steps.iter().map(prepare).collect::<Result<Vec<_>, _>>() {
                Ok(statements) => statements,
                Err(error) => return (rows, Some(error)),
            };
            for answer in self.drive(in_order(&self.client, steps, &statements)) {
                match answer {
                    Ok(answer) => rows.push(answer),
                    Err(error) => return (rows, Some(error)),
                }
            }
        }
        (rows, None)
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        #[cfg(test)]
        let text = &crate::walls::without_filter(sql);
        #[cfg(not(test))]
        let text = sql;
        let statement = self.drive(self.client.prepare(text))?;
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    #[expect(clippy::expect_used, reason = "INVARIANT: the runtime leaves only in drop")]
    fn drive<F: Future<Output: Send> + Send>(&self, future: F) -> F::Output {
        drive(self.runtime.as_ref().expect("the link has ended"), future)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Ends without waiting, which is not allowed on a thread that runs other futures.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Run to the end of a future. A thread that runs other futures may not wait, so another
/// one does.
fn drive<F: Future<Output: Send> + Send>(runtime: &Runtime, future: F) -> F::Output {
    if Handle::try_current().is_err() {
        return runtime.block_on(future);
    }
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| runtime.block_on(future));
        waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The answers to all statements. Each is sent when it is first looked at, so that they go
/// out in order and at once.
async fn in_order(
    client: &Client,
    steps: &[Step<'_>],
    statements: &[Statement],
) -> Vec<Result<Vec<Row>, Error>> {
    enum Under<F> {
        Way(F),
        Done(Result<Vec<Row>, Error>),
    }
    let mut all: Vec<_> = steps
        .iter()
        .zip(statements)
        .map(|(step, statement)| {
            Under::Way(Box::pin(async move {
                let values: Vec<&(dyn ToSql + Sync)> =
                    step.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
                client.query(statement, &values).await
            }))
        })
        .collect();
    poll_fn(|context| {
        let mut is_done = true;
        for one in &mut all {
            let Under::Way(future) = one else { continue };
            match Pin::as_mut(future).poll(context) {
                Poll::Ready(answer) => *one = Under::Done(answer),
                Poll::Pending => is_done = false,
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let answer = |one| match one {
        Under::Done(answer) => Some(answer),
        Under::Way(_) => None,
    };
    all.into_iter().filter_map(answer).collect()
}

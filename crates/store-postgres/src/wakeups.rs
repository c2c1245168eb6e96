//! Hints that there is work: `LISTEN` on a connection of its own. A hint may be lost with
//! the connection, so that whoever listens also looks by itself now and then.

use std::future::poll_fn;
use std::time::Duration;

use cog_base::id::{TenantId, Uuid};
use cog_store::{StoreError, Wakeup};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use crate::address::Address;
use crate::error::failed;
use crate::owning::CHANNEL;

/// A connection that listens.
pub struct Wakeups {
    address: Address,
    line: Option<Line>,
}

struct Line {
    /// Given up without waiting: a thread that runs other futures may not.
    runtime: Option<Runtime>,
    heard: UnboundedReceiver<TenantId>,
    _client: Client,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Wakeups {
    pub(crate) const fn new(address: Address) -> Self {
        Self { address, line: None }
    }

    /// Wait for the next hint, at most so long. Not for a thread that runs other futures.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] while there is no connection; ask again later.
    pub fn next(&mut self, wait: Duration) -> Result<Wakeup, StoreError> {
        let Some(line) = &mut self.line else {
            self.line = Some(Line::open(&self.address)?);
            return Ok(Wakeup::Anything);
        };
        let Line { runtime: Some(runtime), heard, .. } = line else { return Ok(Wakeup::Nothing) };
        let hint = runtime.block_on(async { tokio::time::timeout(wait, heard.recv()).await });
        match hint {
            Ok(Some(tenant)) => Ok(Wakeup::Tenant(tenant)),
            Err(_) => Ok(Wakeup::Nothing),
            Ok(None) => {
                self.line = None;
                self.next(wait)
            }
        }
    }
}

impl cog_store::Wakeups for Wakeups {
    fn next(&mut self, wait: Duration) -> Result<Wakeup, StoreError> {
        Self::next(self, wait)
    }
}

impl Line {
    fn open(address: &Address) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| StoreError::io("wait for the database", error))?;
        let (say, heard) = unbounded_channel();
        let client = runtime.block_on(async {
            let client = match &address.tls {
                None => {
                    let (client, connection) = address.config.connect(NoTls).await?;
                    drop(tokio::spawn(forward(connection, say)));
                    client
                }
                Some(tls) => {
                    let (client, connection) = address.config.connect(tls.clone()).await?;
                    drop(tokio::spawn(forward(connection, say)));
                    client
                }
            };
            client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
            Ok(client)
        });
        let client = client.map_err(|error| failed("listen for work", error))?;
        Ok(Self { runtime: Some(runtime), heard, _client: client })
    }
}

/// Drive a connection and pass on what it tells, until it ends.
async fn forward<S, T>(mut connection: Connection<S, T>, say: UnboundedSender<TenantId>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(note) = message
            && let Some(tenant) = tenant(note.payload())
            && say.send(tenant).is_err()
        {
            return;
        }
    }
}

/// A tenant from the text of a `uuid`.
fn tenant(text: &str) -> Option<TenantId> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let bits = u128::from_str_radix(&digits, 16).ok()?;
    Some(TenantId::from_uuid(Uuid::from_u128(bits)))
}

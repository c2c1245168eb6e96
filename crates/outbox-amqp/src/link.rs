//! The connection to the broker, and what must be there for events to go to.

use std::future::Future;
use std::time::Duration;

use lapin::options::{
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::message::short;

/// How long each call to the broker may take.
pub const CALL_MS: u64 = 5_000;
/// The most bytes of the name of an exchange or a queue, so that ours for dead letters fits.
pub const NAME_BYTES_MAX: usize = 200;
/// What is behind the name of an exchange for its dead letters.
const DEAD: &str = ".dead";

/// Where events go.
#[derive(Debug, Clone)]
pub struct Options {
    /// `amqp://user:password@host:port/vhost`, or `amqps://` for TLS, by the certificate
    /// authorities of the system.
    pub url: String,
    /// The topic exchange. It is made if it is not there.
    pub exchange: String,
    /// How long each call may take, in milliseconds.
    pub call_ms: u64,
}

impl Options {
    /// To the exchange `cognitionos.events`, with [`CALL_MS`] for each call.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let exchange = "cognitionos.events".to_owned();
        Self { url: url.to_owned(), exchange, call_ms: CALL_MS }
    }
}

/// The broker did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// A name that the protocol does not carry.
    #[error("the name `{0}` must have 1 to {NAME_BYTES_MAX} bytes")]
    Name(String),
    /// Not in time.
    #[error("the broker did not {doing} within {ms} ms")]
    Late {
        /// What was tried, as an infinitive.
        doing: &'static str,
        /// How long it had.
        ms: u64,
    },
    /// The broker or the connection said no.
    #[error("could not {doing} at the broker: {source}")]
    Failed {
        /// What was tried, as an infinitive.
        doing: &'static str,
        /// What was said. It names neither user nor password.
        #[source]
        source: lapin::Error,
    },
    /// The machine gives no thread for the connection.
    #[error("could not start what the connection runs on")]
    Runtime(#[from] std::io::Error),
}

/// A connection with a channel that confirms what it is given.
pub(crate) struct Link {
    pub(crate) channel: Channel,
    connection: Connection,
    call_ms: u64,
}

/// The exchange of `options`, or why there can be none of that name.
pub(crate) fn name(text: &str) -> Result<ShortString, AmqpError> {
    let fits = !text.is_empty() && text.len() <= NAME_BYTES_MAX;
    short(text).filter(|_| fits).ok_or_else(|| AmqpError::Name(text.to_owned()))
}

fn dead(name: &ShortString) -> Result<ShortString, AmqpError> {
    let text = [name.as_str(), DEAD].concat();
    short(&text).ok_or(AmqpError::Name(text))
}

impl Link {
    /// Connect, and make the exchanges that are not there: the one of events, and the one of
    /// dead letters with a queue that takes them all.
    pub(crate) async fn open(options: &Options) -> Result<Self, AmqpError> {
        let ms = options.call_ms;
        let properties = ConnectionProperties::default().with_connection_name("cognitionos".into());
        let connect = Connection::connect(&options.url, properties);
        let connection = within(ms, "connect", connect).await?;
        let channel = within(ms, "open a channel", connection.create_channel()).await?;
        let confirm = channel.confirm_select(ConfirmSelectOptions::default());
        within(ms, "have messages confirmed", confirm).await?;
        let link = Self { channel, connection, call_ms: ms };
        let exchange = name(&options.exchange)?;
        let letters = dead(&exchange)?;
        link.exchange(&exchange).await?;
        link.exchange(&letters).await?;
        link.queue(&letters, &letters, &["#".to_owned()], FieldTable::default()).await?;
        Ok(link)
    }

    async fn exchange(&self, exchange: &ShortString) -> Result<(), AmqpError> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declare = self.channel.exchange_declare(
            exchange.clone(),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        );
        within(self.call_ms, "make an exchange", declare).await
    }

    /// A queue for a consumer: durable, bound to the patterns of types, and what it turns
    /// down goes to the exchange of dead letters.
    pub(crate) async fn consumer(
        &self,
        exchange: &str,
        queue: &str,
        patterns: &[String],
        more: FieldTable,
    ) -> Result<(), AmqpError> {
        let (exchange, queue) = (name(exchange)?, name(queue)?);
        let mut arguments = more;
        let letters = dead(&exchange)?;
        arguments.insert(
            "x-dead-letter-exchange".into(),
            AMQPValue::LongString(letters.as_str().into()),
        );
        self.queue(&exchange, &queue, patterns, arguments).await
    }

    async fn queue(
        &self,
        exchange: &ShortString,
        queue: &ShortString,
        patterns: &[String],
        arguments: FieldTable,
    ) -> Result<(), AmqpError> {
        let declare =
            self.channel.queue_declare(queue.clone(), QueueDeclareOptions::durable(), arguments);
        within(self.call_ms, "make a queue", declare).await?;
        for pattern in patterns {
            let key = short(pattern).ok_or_else(|| AmqpError::Name(pattern.clone()))?;
            let bind = self.channel.queue_bind(
                queue.clone(),
                exchange.clone(),
                key,
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            within(self.call_ms, "bind a queue", bind).await?;
        }
        Ok(())
    }

    /// Say goodbye. The broker notices by itself if that does not reach it.
    pub(crate) async fn close(self) {
        let _ = within(self.call_ms, "close", self.connection.close(200, "done".into())).await;
    }
}

/// Wait for the broker, but not for ever.
pub(crate) async fn within<T>(
    ms: u64,
    doing: &'static str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, AmqpError> {
    match tokio::time::timeout(Duration::from_millis(ms), call).await {
        Ok(done) => done.map_err(|source| AmqpError::Failed { doing, source }),
        Err(_) => Err(AmqpError::Late { doing, ms }),
    }
}

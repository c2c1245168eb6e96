//! Somebody who listens: takes what is in a queue, and connects anew when the broker is back.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::runtime::{Builder, Runtime};

/// How long a test waits for anything.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Consumer {
    url: String,
    queue: String,
    runtime: Runtime,
    open: Option<(Connection, Channel)>,
}

impl Consumer {
    pub(crate) fn new(url: &str, queue: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { url: url.to_owned(), queue: queue.to_owned(), runtime, open: None }
    }

    /// The next message, if there is one now. It is answered only with the next call: a
    /// message whose answer is lost comes again. A connection whose broker is killed may never
    /// answer.
    fn get(&mut self, answer: Answer) -> Result<Option<Delivery>, String> {
        let Self { url, queue, runtime, open } = self;
        let get = async {
            if open.is_none() {
                let connection = Connection::connect(url, ConnectionProperties::default()).await?;
                let channel = connection.create_channel().await?;
                *open = Some((connection, channel));
            }
            let (_, channel) = open.as_ref().unwrap();
            let message =
                channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await?;
            let Some(message) = message else { return Ok(None) };
            match answer {
                Answer::Take => message.delivery.ack(BasicAckOptions::default()).await?,
                Answer::TurnDown => {
                    let no = BasicNackOptions { requeue: false, ..BasicNackOptions::default() };
                    message.delivery.nack(no).await?
                }
            };
            Ok(Some(message.delivery))
        };
        let got: Result<Result<_, lapin::Error>, _> =
            runtime.block_on(async { tokio::time::timeout(PATIENCE, get).await });
        let got = match got {
            Ok(got) => got.map_err(|error| error.to_string()),
            Err(late) => Err(late.to_string()),
        };
        if got.is_err() {
            *open = None;
        }
        got
    }

    /// The next message, waiting for it.
    pub(crate) fn next(&mut self) -> Delivery {
        self.answered(Answer::Take)
    }

    pub(crate) fn turn_down(&mut self) -> Delivery {
        self.answered(Answer::TurnDown)
    }

    fn answered(&mut self, answer: Answer) -> Delivery {
        let begun = Instant::now();
        loop {
            if let Ok(Some(delivery)) = self.get(answer) {
                return delivery;
            }
            assert!(begun.elapsed() < LONG, "nothing comes to {}", self.queue);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Take everything that comes until `is_enough`, whatever happens to the broker.
    pub(crate) fn take_until(
        mut self,
        taken: &Arc<Mutex<Vec<String>>>,
        is_enough: impl Fn(&[String]) -> bool,
    ) {
        let begun = Instant::now();
        while !is_enough(&taken.lock().unwrap()) {
            assert!(begun.elapsed() < LONG, "{} never has enough", self.queue);
            match self.get(Answer::Take) {
                Ok(Some(delivery)) => {
                    let text = String::from_utf8(delivery.data).unwrap();
                    taken.lock().unwrap().push(text);
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Take,
    TurnDown,
}

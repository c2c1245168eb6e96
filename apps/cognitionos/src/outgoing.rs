//! What goes out of the ledgers that a node has, to a broker: events, from where each consumer
//! stands on. Whoever has a tenant sends for it, so that with the tenant that goes from a node
//! that died to another.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::Value;
use cog_base::id::{RunId, TenantId};
use cog_engine::{Hands, Place, Placed};
use cog_events::{Event, Types};
use cog_node::{Kit, Ready, Told};
use cog_outbox::{Consumer, Dispatcher, Notice, Sink, Verdict};
use cog_outbox_amqp::{AmqpSink, Options};
use cog_store::Keep;

use crate::failure::{Exit, Failure};
use crate::shared::address;
use crate::system::SystemClock;
use crate::terminal::plain;

/// What the cursors of a broker are called.
const CONSUMER: &str = "amqp";
/// The most tenants that a node keeps only because the broker does not take their events: a
/// broker that is away leaves it room for work. What is not sent of the others is when there is
/// work on them again.
const KEPT_MAX: usize = 512;

/// Says what happens: an event, words, and members.
pub(crate) type Hears = Box<dyn Fn(&str, &str, &[(&str, Value)]) + Send>;

/// The way of the events of one database.
pub(crate) struct Outgoing {
    dispatcher: Dispatcher,
    /// Tenants that are kept only for their events.
    kept: Mutex<BTreeSet<TenantId>>,
}

impl Outgoing {
    /// Follow what this node has.
    pub(crate) fn hear(&self, told: &Told) {
        if let Told::Opened { tenant, .. } = told {
            self.dispatcher.follow(*tenant, 0);
        } else if let Told::Lost { tenant } | Told::Released { tenant } = told {
            self.dispatcher.leave(*tenant);
        } else if let Told::Run { tenant, .. } = told {
            self.dispatcher.grew(*tenant);
        }
    }

    /// Whether everything of a tenant is sent, or there is no room to wait for it.
    pub(crate) fn is_done(&self, tenant: TenantId) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.dispatcher.is_behind(tenant) {
            kept.remove(&tenant);
            return true;
        }
        kept.retain(|one| self.dispatcher.is_behind(*one));
        let has_room = kept.len() < KEPT_MAX || kept.contains(&tenant);
        if has_room {
            kept.insert(tenant);
        }
        !has_room
    }
}

/// The kit of a node that sends.
pub(crate) struct Sending {
    pub(crate) kit: Arc<dyn Kit>,
    pub(crate) outgoing: Arc<Outgoing>,
}

impl Kit for Sending {
    fn hands(&self, tenant: TenantId) -> Box<dyn Hands> {
        self.kit.hands(tenant)
    }

    fn bind(&self, ready: &Ready<'_>) -> Result<(), String> {
        self.kit.bind(ready)
    }

    fn place(&self, place: &Place) -> Result<Placed, String> {
        self.kit.place(place)
    }

    fn is_done(&self, tenant: TenantId) -> bool {
        self.outgoing.is_done(tenant) && self.kit.is_done(tenant)
    }

    fn unbind(&self, tenant: TenantId, run: RunId) {
        self.kit.unbind(tenant, run);
    }
}

/// Begin to send: to the broker whose address a file holds, to these queues.
pub(crate) fn begin(
    file: &Path,
    queues: &[String],
    store: Arc<dyn Keep>,
    hears: Hears,
) -> anyhow::Result<Outgoing> {
    let url = address(file)?;
    let queues = queues.iter().map(|text| queue(text)).collect::<Result<Vec<_>, _>>()?;
    let types = queues.iter().flat_map(|queue| queue.types.iter().cloned());
    let consumer = Consumer { types: Types::matching(types), ..Consumer::new(CONSUMER) };
    let sink = AmqpSink::new(Options::new(&url));
    let sink = sink.map_err(|error| Failure::told(Exit::Failed, error))?;
    let way = Way { sink, queues, is_laid: false };
    let watch = Box::new(move |notice: &Notice| tell(notice, &hears));
    let dispatcher =
        Dispatcher::spawn(consumer, store, Box::new(way), Arc::new(SystemClock), watch);
    Ok(Outgoing { dispatcher, kept: Mutex::default() })
}

/// A queue and the types that go to it.
struct Queue {
    name: String,
    types: Vec<String>,
}

fn queue(text: &str) -> anyhow::Result<Queue> {
    let named = text.split_once('=').filter(|(name, types)| !name.is_empty() && !types.is_empty());
    let Some((name, types)) = named else {
        return Err(Failure::advise(
            Exit::BadInput,
            format!("`{}` is not a queue and its types", plain(text)),
            "--queue billing=workflow.execution.completed, or --queue all=workflow.#",
        ));
    };
    let types = types.split(',').map(str::to_owned).collect();
    Ok(Queue { name: name.to_owned(), types })
}

/// The broker, where the queues are made before anything is sent to them.
struct Way {
    sink: AmqpSink,
    queues: Vec<Queue>,
    is_laid: bool,
}

impl Sink for Way {
    fn deliver(&mut self, events: &[Arc<Event>]) -> Vec<Verdict> {
        if !self.is_laid {
            for queue in &self.queues {
                let types: Vec<&str> = queue.types.iter().map(String::as_str).collect();
                if let Err(error) = self.sink.make_queue(&queue.name, &types) {
                    return vec![Verdict::Lost(error.to_string())];
                }
            }
            self.is_laid = true;
        }
        let verdicts = self.sink.deliver(events);
        // A broker that is back may have forgotten what was there.
        self.is_laid = !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Lost(_)));
        verdicts
    }
}

fn tell(notice: &Notice, hears: &Hears) {
    match notice {
        Notice::GivenUp { tenant, seq, why } => {
            let members = [
                ("tenant", (*tenant).into()),
                ("entry", (*seq).into()),
                ("why", why.as_str().into()),
            ];
            let words = format!("entry {seq} of {tenant} is a dead letter: {}", plain(why));
            hears("undelivered", &words, &members);
        }
        Notice::Opened { why } => {
            let words = format!("the broker is left alone for a while: {}", plain(why));
            hears("broker-away", &words, &[("why", why.as_str().into())]);
        }
        Notice::Closed => hears("broker-back", "the broker takes events again", &[]),
        Notice::Overtaken { tenant } => {
            let words = format!("the events of {tenant} are sent by somebody else");
            hears("overtaken", &words, &[("tenant", (*tenant).into())]);
        }
        // The keeper tells that the database is away.
        Notice::StoreFailed { .. } => {}
    }
}

//! One exchange from start to end: checks, hops, bounds.

use std::collections::BTreeMap;

use cog_base::hosts::Hosts;
use cog_gate::Failure;
use reqwest::header::LOCATION;
use reqwest::{Method, Response};

use crate::exchange::{Exchange, Reply, Trouble, failure, passing};
use crate::headers::{incoming, outgoing};
use crate::redirect::{Hop, is_redirect, is_safe};
use crate::transport::{Transport, read_body, within};
use crate::url::{parse, reach};

/// The most redirects of one exchange.
pub const REDIRECTS_MAX: usize = 5;

/// Whether a redirect may be followed that makes this method and URL of a request, with its body
/// or without.
pub type LeadsOn<'a> = dyn Fn(&str, &str, bool) -> Result<(), Failure> + Sync + 'a;

/// Hears the body of the last answer while it comes: its status, its headers, and what is new of it.
pub type Hears<'a> = dyn Fn(u16, &BTreeMap<String, String>, &[u8]) + Send + Sync + 'a;

/// Sends requests to the places of a list.
#[derive(Debug, Default)]
pub struct Client {
    hosts: Hosts,
    transport: Transport,
}

/// How far an exchange has come, should its time run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    MayHaveActed,
}

impl Client {
    /// A client that goes to these places.
    #[must_use]
    pub fn new(hosts: Hosts) -> Self {
        Self { hosts, transport: Transport::default() }
    }

    /// Send a request, follow its redirects where `leads_on` agrees, read the answer. A redirect
    /// that is not followed is the answer itself, where the request acts: the server has it and
    /// said so, and sending it once more would be doing it twice.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer. An answer with any status is none.
    pub async fn exchange(
        &self,
        exchange: &Exchange,
        leads_on: &LeadsOn<'_>,
    ) -> Result<Reply, Trouble> {
        self.exchange_heard(exchange, leads_on, &|_, _, _| ()).await
    }

    /// The same, and `hears` hears the answer as it comes. What it heard counts for nothing before the
    /// whole answer is there.
    ///
    /// # Errors
    /// As [`Client::exchange`].
    pub async fn exchange_heard(
        &self,
        exchange: &Exchange,
        leads_on: &LeadsOn<'_>,
        hears: &Hears<'_>,
    ) -> Result<Reply, Trouble> {
        let hop = first_hop(exchange).map_err(Trouble::Failed)?;
        let mut stage = Stage::Nothing;
        let work = self.follow(hop, exchange, (leads_on, hears), &mut stage);
        match within(exchange.timeout_ms, work).await {
            Some(result) => result,
            None => {
                let ms = exchange.timeout_ms;
                let message = format!("`{}` took longer than {ms} ms", exchange.url);
                Err(trouble(stage, passing("http.timeout", message)))
            }
        }
    }

    async fn follow(
        &self,
        mut hop: Hop,
        exchange: &Exchange,
        (leads_on, hears): (&LeadsOn<'_>, &Hears<'_>),
        stage: &mut Stage,
    ) -> Result<Reply, Trouble> {
        let mut redirects = Vec::new();
        let mut answered = None;
        for _ in 0..=REDIRECTS_MAX {
            *stage = if hop.acted { Stage::MayHaveActed } else { Stage::Nothing };
            let reach = match reach(&self.hosts, &hop.url) {
                Ok(reach) => reach,
                Err(failure) => return no_further(answered, *stage, failure),
            };
            let before = *stage;
            if !is_safe(&hop.method) {
                *stage = Stage::MayHaveActed;
            }
            let sent = self.transport.send(&hop, reach, &exchange.idempotency_key).await;
            let answer = match sent {
                Ok(answer) => answer,
                Err(stopped) if stopped.sent => return Err(trouble(*stage, stopped.failure)),
                Err(stopped) => return no_further(answered, before, stopped.failure),
            };
            let status = answer.status().as_u16();
            let Some(location) = location(&answer, status) else {
                let reply = finish(answer, exchange.bytes_max, *stage, hears).await?;
                return Ok(Reply { redirects, ..reply });
            };
            if *stage == Stage::MayHaveActed {
                let headers = incoming(answer.headers());
                let (body, redirects) = (Ok(Vec::new()), redirects.clone());
                answered = Some(Reply { status, headers, body, redirects });
            }
            // A server that sends the very request on has not done it.
            if matches!(status, 307 | 308) {
                *stage = before;
            }
            hop = match hop.redirected(status, &location) {
                Ok(hop) => hop,
                Err(failure) => return no_further(answered, *stage, failure),
            };
            let (method, url) = (hop.method.as_str(), hop.url.as_str());
            if let Err(failure) = leads_on(method, url, hop.body.is_some()) {
                return no_further(answered, *stage, failure);
            }
            redirects.push(url.to_owned());
        }
        let message = format!("`{}` redirects more than {REDIRECTS_MAX} times", exchange.url);
        no_further(answered, *stage, failure("http.redirect_refused", message))
    }
}

/// What comes of a request when it goes no further, and nothing of the next hop was sent. What a
/// request that acts was answered is its answer then, unless the way there may open again.
fn no_further(answered: Option<Reply>, stage: Stage, failure: Failure) -> Result<Reply, Trouble> {
    match answered.filter(|_| !failure.transient) {
        Some(reply) => Ok(Reply { body: Err(failure), ..reply }),
        None => Err(trouble(stage, failure)),
    }
}

fn trouble(stage: Stage, failure: Failure) -> Trouble {
    match stage {
        Stage::Nothing => Trouble::Failed(failure),
        Stage::MayHaveActed => Trouble::Unknown(failure),
    }
}

fn first_hop(exchange: &Exchange) -> Result<Hop, Failure> {
    let method = match exchange.method.as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "OPTIONS" => Method::OPTIONS,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        other => {
            let shown: String = other.chars().take(40).collect();
            return Err(failure("http.bad_method", format!("`{shown}` is not a method to send")));
        }
    };
    let headers = outgoing(&exchange.headers)?;
    let url = parse(&exchange.url)?;
    Ok(Hop { method, url, headers, body: exchange.body.clone(), acted: false })
}

fn location(answer: &Response, status: u16) -> Option<String> {
    let location = answer.headers().get(LOCATION).filter(|_| is_redirect(status))?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// Read the answer. Once a request has acted and its status is known, an unreadable body
/// does not make it undone.
async fn finish(
    answer: Response,
    bytes_max: u64,
    stage: Stage,
    hears: &Hears<'_>,
) -> Result<Reply, Trouble> {
    let status = answer.status().as_u16();
    let headers = incoming(answer.headers());
    let body = read_body(answer, bytes_max, &|new| hears(status, &headers, new)).await;
    match (stage, body) {
        (Stage::Nothing, Err(failure)) => Err(Trouble::Failed(failure)),
        (Stage::Nothing | Stage::MayHaveActed, body) => {
            Ok(Reply { status, headers, body, redirects: Vec::new() })
        }
    }
}

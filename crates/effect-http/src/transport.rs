//! The one place with sockets: names are resolved and checked, requests are sent, answers
//! are read within their bounds.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the HTTP adapter is where the network is touched, on a receipt"
)]

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use cog_base::hosts::Reach;
use cog_base::place::AddressKind;
use cog_gate::Failure;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Response, redirect, retry};

use crate::exchange::{failure, passing};
use crate::redirect::{Hop, is_safe};

/// The longest that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: shorter than servers do, so that a request seldom
/// goes out on a connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections to one host.
const IDLE_MAX: usize = 16;
/// The most addresses of one name that are looked at; more of them refuse the name.
const ADDRESSES_MAX: usize = 64;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Sends one hop. Clients are made when first needed, as reading the system's certificates
/// takes longer than a start should.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    public: OnceLock<Result<reqwest::Client, String>>,
    private: OnceLock<Result<reqwest::Client, String>>,
}

/// Why a hop has no answer.
pub(crate) struct Stopped {
    pub(crate) failure: Failure,
    /// Whether the request may have arrived.
    pub(crate) sent: bool,
}

impl Transport {
    /// Send one request and wait for the head of its answer.
    pub(crate) async fn send(
        &self,
        hop: &Hop,
        reach: Reach,
        idempotency_key: &str,
    ) -> Result<Response, Stopped> {
        let not_sent = |failure| Stopped { failure, sent: false };
        let client = self.client(reach).map_err(not_sent)?;
        let mut headers = hop.headers.clone();
        if !is_safe(&hop.method) {
            let key = HeaderValue::from_str(idempotency_key).map_err(|_| {
                not_sent(failure("http.bad_header", "the idempotency key is no header".into()))
            })?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let mut request = client.request(hop.method.clone(), hop.url.clone()).headers(headers);
        if let Some(body) = &hop.body {
            request = request.body(body.clone());
        }
        request.send().await.map_err(|error| stopped(hop, &error))
    }

    fn client(&self, reach: Reach) -> Result<&reqwest::Client, Failure> {
        let slot = match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        slot.get_or_init(|| build(reach))
            .as_ref()
            .map_err(|error| failure("http.unavailable", format!("could not prepare TLS: {error}")))
    }
}

/// Read the body of an answer, at most `bytes_max` of it; `hears` hears what is new.
pub(crate) async fn read_body(
    mut answer: Response,
    bytes_max: u64,
    hears: &(dyn Fn(&[u8]) + Send + Sync),
) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let message = format!("the answer of `{}` has more than {bytes_max} bytes", answer.url());
        failure("http.too_large", message)
    };
    if answer.content_length().is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    let url = answer.url().clone();
    let mut bytes = Vec::new();
    loop {
        let chunk = answer.chunk().await.map_err(|error| {
            passing("http.cut_off", format!("the answer of `{url}` was cut off: {}", cause(&error)))
        })?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        if (bytes.len() + chunk.len()) as u64 > bytes_max {
            let message = format!("the answer of `{url}` has more than {bytes_max} bytes");
            return Err(failure("http.too_large", message));
        }
        hears(&chunk);
        bytes.extend_from_slice(&chunk);
    }
}

/// Run `work` for at most `timeout_ms` milliseconds; nothing when it took longer.
pub(crate) async fn within<T>(timeout_ms: u64, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_millis(timeout_ms), work).await.ok()
}

fn build(reach: Reach) -> Result<reqwest::Client, String> {
    // A provider that the program installed before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MAX)
        .user_agent(concat!("cognitionos/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(CheckedNames { reach })
        .build()
        .map_err(|error| cause(&error))
}

/// Resolves names and gives only addresses that were checked. The connection goes to what
/// is given here and nowhere else, so a name cannot change its mind in between.
#[derive(Debug, Clone, Copy)]
struct CheckedNames {
    reach: Reach,
}

#[derive(Debug, thiserror::Error)]
#[error("`{name}` has the address {address}, which is {kind}")]
struct NotAllowed {
    name: String,
    address: IpAddr,
    kind: &'static str,
}

#[derive(Debug, thiserror::Error)]
#[error("`{name}` could not be resolved: {reason}")]
struct Unresolved {
    name: String,
    reason: String,
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found
                .map_err(|error| Unresolved { name: name.clone(), reason: error.to_string() })?;
            let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX + 1).collect();
            if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
                let reason = format!("it has {} addresses", addresses.len());
                return Err(Unresolved { name, reason }.into());
            }
            check_addresses(&name, reach, &addresses)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// One address that is not allowed condemns the name: who mixes them is up to something.
/// An address in the URL never comes here; the list has admitted that very address.
fn check_addresses(name: &str, reach: Reach, addresses: &[SocketAddr]) -> Result<(), NotAllowed> {
    let barred = addresses.iter().map(SocketAddr::ip).find(|address| !reach.covers(*address));
    let Some(address) = barred else { return Ok(()) };
    let kind = match AddressKind::of(address) {
        AddressKind::Public | AddressKind::Private => "not public",
        AddressKind::Metadata => "link-local or that of a cloud's metadata",
        AddressKind::Reserved => "reserved",
    };
    Err(NotAllowed { name: name.to_owned(), address, kind })
}

fn stopped(hop: &Hop, error: &reqwest::Error) -> Stopped {
    let to = format!("{} `{}`", hop.method, hop.url);
    if let Some(refused) = find::<NotAllowed>(error) {
        let failure = failure("http.private_address", format!("{to}: {refused}"));
        return Stopped { failure, sent: false };
    }
    if let Some(refused) = find::<Unresolved>(error) {
        let failure = passing("http.unresolved", format!("{to}: {refused}"));
        return Stopped { failure, sent: false };
    }
    let sent = !(error.is_connect() || error.is_builder());
    let failure = if let Some(refused) = find::<rustls::Error>(error) {
        failure("http.tls", format!("{to}: no secure connection: {refused}"))
    } else if sent {
        passing("http.cut_off", format!("{to}: no answer: {}", cause(error)))
    } else {
        passing("http.connect", format!("{to}: could not connect: {}", cause(error)))
    };
    Stopped { failure, sent }
}

/// The longest chain of causes that is followed.
const CAUSES_MAX: usize = 16;

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| next_cause(*error)).take(CAUSES_MAX)
}

fn next_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // An io::Error hides what it wraps from `source`.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

/// The innermost cause: what the operating system or the server did.
fn cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: Reach, addresses: &[&str], expected: &str) {
        let addresses: Vec<_> =
            addresses.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 0)).collect();
        let found = check_addresses("a.example", reach, &addresses);
        let found = found.map_or_else(|refused| refused.to_string(), |()| "asked".into());
        assert!(found.contains(expected), "{addresses:?}: {found}");
    }

    #[test]
    fn one_address_condemns_a_name() {
        check(Reach::Public, &["8.8.8.8", "2606:4700::1111"], "asked");
        check(Reach::Public, &["8.8.8.8", "10.0.0.1"], "10.0.0.1, which is not public");
        check(Reach::Private, &["8.8.8.8", "10.0.0.1", "::1"], "asked");
    }

    #[test]
    fn a_private_name_does_not_lead_to_the_metadata_of_a_cloud() {
        let metadata = "that of a cloud's metadata";
        check(Reach::Private, &["10.0.0.1", "169.254.169.254"], metadata);
        check(Reach::Private, &["::ffff:169.254.169.254"], metadata);
        check(Reach::Private, &["fd00:ec2::254"], metadata);
        check(Reach::Private, &["100.100.100.200"], metadata);
        check(Reach::Public, &["168.63.129.16"], metadata);
        check(Reach::Private, &["0.0.0.0"], "reserved");
    }
}

//! The adapter of `http.request`.

use std::sync::Arc;

use cog_base::Micros;
use cog_base::hosts::Hosts;
use cog_base::id::{ReceiptId, RunId};
use cog_gate::effect::{HttpBody, HttpRequest, Redo};
use cog_gate::{Adapter, Cleared, Effect as _, Failure, Found, Performed, Work};

use crate::client::Client;
use crate::exchange::{Exchange, Trouble, failure};
use crate::url::{parse, place};

/// Sends the requests that were cleared.
#[derive(Debug)]
pub struct HttpAdapter {
    client: Arc<Client>,
}

impl HttpAdapter {
    /// An adapter that goes to these places.
    #[must_use]
    pub fn new(hosts: Hosts) -> Self {
        Self { client: Arc::new(Client::new(hosts)) }
    }

    /// The client inside, for adapters that speak HTTP on receipts of their own.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    async fn request(&self, cleared: Cleared<HttpRequest>) -> Performed<HttpRequest> {
        let receipt = cleared.idempotency_key();
        let exchange = match exchange(cleared.effect(), receipt) {
            Ok(exchange) => exchange,
            Err(failure) => return cleared.failed(failure, Micros::ZERO),
        };
        let leads_on =
            |method: &str, url: &str, with_body| cleared.leads_on(method, url, with_body);
        let answer = self.client.exchange(&exchange, &leads_on).await;
        match answer {
            Ok(reply) => cleared.done(reply.to_value(), Micros::ZERO),
            Err(Trouble::Failed(failure)) => cleared.failed(failure, Micros::ZERO),
            Err(Trouble::Unknown(_)) => cleared.unknown(),
        }
    }
}

impl Adapter<HttpRequest> for HttpAdapter {
    fn perform(&self, cleared: Cleared<HttpRequest>) -> Work<'_, Performed<HttpRequest>> {
        Box::pin(self.request(cleared))
    }

    /// A server cannot be asked in general what became of a request. One that changes
    /// nothing counts as not sent.
    fn probe<'a>(
        &'a self,
        effect: &'a HttpRequest,
        _session: RunId,
        _receipt: ReceiptId,
    ) -> Work<'a, Found> {
        let found = match effect.redo() {
            Redo::Safe => Found::NotDone,
            Redo::Probe | Redo::Unknown => Found::CannotTell,
        };
        Box::pin(std::future::ready(found))
    }
}

/// The exchange that performs `effect`. The host that policies saw must be the host that
/// the URL leads to when it is read in full.
fn exchange(effect: &HttpRequest, receipt: ReceiptId) -> Result<Exchange, Failure> {
    let url = parse(&effect.url)?;
    if place(&url).is_none_or(|place| place.host != effect.host) {
        let message = format!("`{}` does not lead to the host `{}`", effect.url, effect.host);
        return Err(failure("http.bad_url", message));
    }
    if url.as_str() != effect.url {
        let message = format!("`{}` was decided on, and `{url}` would be asked for", effect.url);
        return Err(failure("http.bad_url", message));
    }
    let mut headers = effect.headers.clone();
    let body = match &effect.body {
        HttpBody::Empty => None,
        HttpBody::Text(text) => Some(text.clone().into_bytes()),
        HttpBody::Json(value) => {
            if !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
                headers.insert("content-type".into(), "application/json".into());
            }
            Some(value.canonical())
        }
    };
    Ok(Exchange {
        method: effect.method.clone(),
        url: effect.url.clone(),
        headers,
        body,
        idempotency_key: receipt.to_string(),
        timeout_ms: effect.timeout_ms,
        bytes_max: effect.bytes_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cog_base::Timestamp;
    use cog_base::entropy::SeededEntropy;
    use cog_base::json::parse as json;
    use cog_gate::AnyEffect;

    fn receipt() -> ReceiptId {
        ReceiptId::new(Timestamp::default(), &mut SeededEntropy::new(1)).unwrap()
    }

    fn effect(args: &str) -> HttpRequest {
        let args = json(args).unwrap();
        let effect = AnyEffect::from_args("http.request", args.as_map().unwrap()).unwrap();
        let AnyEffect::HttpRequest(effect) = effect else { panic!("{effect:?}") };
        effect
    }

    #[test]
    fn json_is_sent_as_canonical_json_with_its_content_type() {
        let args = r#"{"method":"post","url":"https://a.example/x","json":{"b":1,"a":2}}"#;
        let exchange = exchange(&effect(args), receipt()).unwrap();
        assert_eq!(exchange.body.unwrap(), br#"{"a":2,"b":1}"#);
        assert_eq!(exchange.headers["content-type"], "application/json");
        assert_eq!(exchange.idempotency_key, receipt().to_string());
        assert_eq!(exchange.method, "POST");
    }

    #[test]
    fn the_host_that_policies_saw_is_the_host_that_is_asked() {
        let check = |url: &str, host: &str, expected: &str| {
            let seen = effect(r#"{"url":"https://a.example/"}"#);
            let effect = HttpRequest { url: url.into(), host: host.into(), ..seen };
            let found = exchange(&effect, receipt());
            let found = found.map_or_else(|failure| failure.code, |_| "sent".into());
            assert_eq!(found, expected, "{url} as {host}");
        };
        check("https://a.example/", "a.example", "sent");
        check("https://[::1]/", "::1", "sent");
        check("https://b.example/", "a.example", "http.bad_url");
        check("https://a.example@b.example/", "a.example", "http.bad_url");
        check("https://b.example\\@a.example/", "a.example", "http.bad_url");
        check("http://0x7f.1/", "0x7f.1", "http.bad_url");
        check("http://127.1/", "127.1", "http.bad_url");
        check("https://a.example", "a.example", "http.bad_url");
        check("https://a.example/x/../y", "a.example", "http.bad_url");
        check("https://a.example/%79", "a.example", "http.bad_url");
        check("https://a.example:443/", "a.example", "http.bad_url");
    }

    #[tokio::test]
    async fn a_probe_knows_only_requests_that_change_nothing() {
        let http = HttpAdapter::new(Hosts::default());
        let run = RunId::from_uuid(cog_base::id::Uuid::from_u128(1));
        let probe = async |method: &str| {
            let seen = effect(r#"{"url":"https://a.example/"}"#);
            let effect = HttpRequest { method: method.into(), ..seen };
            http.probe(&effect, run, receipt()).await
        };
        assert_eq!(probe("GET").await, Found::NotDone);
        assert_eq!(probe("POST").await, Found::CannotTell);
        assert_eq!(probe("DELETE").await, Found::CannotTell);
    }
}

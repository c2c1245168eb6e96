//! HTTP requests to allow-listed hosts.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::bounds::{HTTP_BYTES_MAX, HTTP_TIMEOUT_MS_MAX};
use cog_base::json::Map;
use cog_base::place::Place;

use super::args::{Args, BadArgs};
use super::url::one_spelling;
use super::{Effect, Footprint, Redo, Resource};

/// What a request may take when nothing is said.
const TIMEOUT_MS: u64 = 30_000;
/// The largest answer when nothing is said.
const BYTES: u64 = 1 << 20;

/// Send one request. A redirect is followed where the request that it makes of this one is
/// permitted too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// An absolute `http` or `https` URL in its one spelling ([`one_spelling`]): what policies see
    /// is what is sent. One with a user or password is refused by the gate, and they stand in it
    /// as `***`, so that no record keeps them.
    pub url: String,
    /// The host in the URL, lower case; what policies allow.
    pub host: String,
    /// Headers to send, by their names in lower case: a server reads `X-Act-As` and `x-act-as` as
    /// one (RFC 9110, section 5.1), and so must policies.
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    pub body: HttpBody,
    /// The time the whole exchange may take, in milliseconds.
    pub timeout_ms: u64,
    /// The largest answer that is read, in bytes.
    pub bytes_max: u64,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpBody {
    /// Nothing.
    Empty,
    /// This text.
    Text(String),
    /// This value as canonical JSON, with its content type. Policies see its members.
    Json(Value),
}

impl HttpRequest {
    /// Its action.
    pub(crate) const ACTION: &'static str = "http.request";

    pub(super) fn from_args(args: &Map) -> Result<Self, BadArgs> {
        let known = ["method", "url", "host", "headers", "body", "json", "timeout_ms", "bytes_max"];
        let args = Args::new(Self::ACTION, &known, args)?;
        let wrong = || {
            args.wrong(
                "url",
                "an absolute http or https URL of one reading",
                &Value::from("another"),
            )
        };
        let url = one_spelling(&args.text("url")?).ok_or_else(wrong)?;
        let host = Place::of(&url).map(|place| place.host).ok_or_else(wrong)?;
        if let Some(given) = args.get("host").filter(|given| given.as_text() != Some(&host)) {
            return Err(args.wrong("host", "left out, or the host of the URL", given));
        }
        let method = args.text_or_none("method")?.unwrap_or_else(|| "GET".into());
        let body = match (args.text_or_none("body")?, args.get("json")) {
            (None, None) => HttpBody::Empty,
            (Some(text), None) => HttpBody::Text(text),
            (None, Some(value)) => HttpBody::Json(value.clone()),
            (Some(_), Some(value)) => {
                return Err(args.wrong("json", "absent when `body` is given", value));
            }
        };
        Ok(Self {
            method: method.to_ascii_uppercase(),
            host,
            url,
            headers: headers(&args)?,
            body,
            timeout_ms: args.number("timeout_ms", TIMEOUT_MS, HTTP_TIMEOUT_MS_MAX)?,
            bytes_max: args.number("bytes_max", BYTES, HTTP_BYTES_MAX)?,
        })
    }

    fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

/// The headers by their one spelling. Two that are one header are refused.
fn headers(args: &Args<'_>) -> Result<BTreeMap<String, String>, BadArgs> {
    let mut headers = BTreeMap::new();
    for (name, text) in args.texts("headers")? {
        if headers.insert(name.to_ascii_lowercase(), text).is_some() {
            let found = Value::from(name.as_str());
            return Err(args.wrong("headers", "an object that names each header once", &found));
        }
    }
    Ok(headers)
}

impl Effect for HttpRequest {
    fn action(&self) -> &'static str {
        Self::ACTION
    }
    fn resource(&self) -> Resource {
        // What policies allow is where the request goes, whatever `host` was set to.
        let place = Place::of(&self.url).filter(|place| place.host == self.host);
        Resource { kind: "Host", name: place.map(|place| place.host).unwrap_or_default() }
    }
    fn args(&self) -> Map {
        let headers = self.headers.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let mut args = Map::from([
            ("method".into(), self.method.as_str().into()),
            ("url".into(), self.url.as_str().into()),
            ("host".into(), self.host.as_str().into()),
            ("headers".into(), Value::map(headers)),
            ("timeout_ms".into(), self.timeout_ms.into()),
            ("bytes_max".into(), self.bytes_max.into()),
        ]);
        match &self.body {
            HttpBody::Empty => {}
            HttpBody::Text(text) => {
                args.insert("body".into(), text.as_str().into());
            }
            HttpBody::Json(value) => {
                args.insert("json".into(), value.clone());
            }
        }
        args
    }
    fn footprint(&self) -> Footprint {
        let key = format!("http:{}", self.url.split(['?', '#']).next().unwrap_or_default());
        if self.is_safe() {
            Footprint { reads: [key].into(), ..Footprint::default() }
        } else {
            Footprint { writes: [key].into(), ..Footprint::default() }
        }
    }
    fn redo(&self) -> Redo {
        if self.is_safe() { Redo::Safe } else { Redo::Unknown }
    }
}

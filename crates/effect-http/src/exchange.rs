//! What is sent and what comes back, without a socket.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::json::{Map, parse_loose};
use cog_gate::Failure;

/// One request as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exchange {
    /// `GET`, `HEAD`, `OPTIONS`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// An absolute http or https URL.
    pub url: String,
    /// Headers; those that frame the message or name its host are refused.
    pub headers: BTreeMap<String, String>,
    /// The body's bytes, if it has one.
    pub body: Option<Vec<u8>>,
    /// Sent as `Idempotency-Key` with methods that act.
    pub idempotency_key: String,
    /// The time the whole exchange may take, redirects included, in milliseconds.
    pub timeout_ms: u64,
    /// The largest answer that is read, in bytes.
    pub bytes_max: u64,
}

/// A server's answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Some of its headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, or why it could not be read although the request had acted; of a redirect, why it
    /// was not followed.
    pub body: Result<Vec<u8>, Failure>,
    /// The URLs that redirects led to, in order; the last one answered.
    pub redirects: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing was done: refused before sending, not sent, or a method that does not act.
    Failed(Failure),
    /// A request that acts may have arrived; nobody can tell.
    Unknown(Failure),
}

impl Trouble {
    /// What happened, whether or not the request acted.
    #[must_use]
    pub fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) | Self::Unknown(failure) => failure,
        }
    }
}

impl Reply {
    /// The output of `http.request`: `{status, headers, text, json?, redirects?}`. When the answer of a
    /// request that acted could not be read, or led to where it may not go, `text` is empty and `lost`
    /// holds the code.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let headers = self.headers.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let mut output = Map::from([
            ("status".to_owned(), Value::from(u64::from(self.status))),
            ("headers".to_owned(), Value::map(headers)),
        ]);
        if !self.redirects.is_empty() {
            let redirects = self.redirects.iter().map(String::as_str);
            output.insert("redirects".into(), Value::list(redirects));
        }
        match &self.body {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                if self.says_json()
                    && let Ok(json) = parse_loose(&text)
                {
                    output.insert("json".into(), json.lenient());
                }
                output.insert("text".into(), text.as_ref().into());
            }
            Err(failure) => {
                output.insert("text".into(), "".into());
                output.insert("lost".into(), failure.code.as_str().into());
            }
        }
        Value::Map(output)
    }

    fn says_json(&self) -> bool {
        let kind = self.headers.get("content-type").map(String::as_str).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    }
}

/// A failure that another try will not cure.
pub(crate) fn failure(code: &str, message: String) -> Failure {
    Failure { code: code.into(), message, transient: false }
}

/// A failure that may pass.
pub(crate) fn passing(code: &str, message: String) -> Failure {
    Failure { code: code.into(), message, transient: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, body: &str, expected: &str) {
        let headers = BTreeMap::from([("content-type".to_owned(), kind.to_owned())]);
        let reply = Reply { status: 200, headers, body: Ok(body.into()), redirects: Vec::new() };
        let output = reply.to_value();
        let json = output.get("json").map_or_else(|| "none".to_owned(), Value::to_string);
        assert_eq!(json, expected);
        assert_eq!(output.get("text").and_then(Value::as_text), Some(body));
    }

    #[test]
    fn an_answer_that_is_json_is_read_as_json() {
        check("application/json", r#"{"a":1.5}"#, r#"{"a":"1.5"}"#);
        check("Application/Problem+JSON; charset=utf-8", "[1]", "[1]");
        check("application/json", "{", "none");
        check("text/plain", "[1]", "none");
    }
}

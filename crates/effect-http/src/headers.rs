//! Which headers go out, which survive a redirect, and which come back.

use std::collections::BTreeMap;

use cog_gate::Failure;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::exchange::failure;

/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// The longest value of a header, in bytes.
const VALUE_BYTES_MAX: usize = 8_192;

/// Headers that the client itself sets, as they decide where a message goes or ends.
const OURS: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that go on to another host. All others might hold a secret.
const HARMLESS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];
/// Headers of an answer that are kept.
const KEPT: [&str; 12] = [
    "cache-control",
    "content-language",
    "content-type",
    "etag",
    "last-modified",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// The headers to send.
pub(crate) fn outgoing(given: &BTreeMap<String, String>) -> Result<HeaderMap, Failure> {
    if given.len() > HEADERS_MAX {
        let message = format!("{} headers are more than {HEADERS_MAX}", given.len());
        return Err(failure("http.bad_header", message));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let shown: String = name.chars().take(80).collect();
        let bad =
            |remark: &str| failure("http.bad_header", format!("the header `{shown}` {remark}"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("has no valid name"))?;
        if OURS.contains(&name.as_str()) {
            return Err(bad("is set by the client itself"));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(bad("is longer than 8,192 bytes"));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| bad("has a line break or control character in its value"))?;
        value.set_sensitive(!HARMLESS.contains(&name.as_str()));
        if headers.insert(name, value).is_some() {
            return Err(bad("stands there twice"));
        }
    }
    Ok(headers)
}

/// Leave out what must not go to another origin.
pub(crate) fn without_secrets(headers: &mut HeaderMap) {
    let secret: Vec<HeaderName> =
        headers.keys().filter(|name| !HARMLESS.contains(&name.as_str())).cloned().collect();
    for name in secret {
        headers.remove(name);
    }
}

/// The headers of an answer that are kept, in lower case; several of one name are joined.
pub(crate) fn incoming(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for name in KEPT {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        if !values.is_empty() {
            kept.insert(name.to_owned(), values.join(", "));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expected: &str) {
        let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let found = outgoing(&given).map_or_else(|failure| failure.code, |_| "sent".into());
        assert_eq!(found, expected, "{name}: {value}");
    }

    #[test]
    fn headers_that_decide_where_a_message_goes_or_ends_are_refused() {
        check("Accept", "text/plain", "sent");
        check("X-Api-Key", "k", "sent");
        for name in OURS {
            check(name, "x", "http.bad_header");
            check(&name.to_uppercase(), "x", "http.bad_header");
        }
    }

    #[test]
    fn a_header_cannot_smuggle_another_in() {
        check("X-A", "1\r\nHost: evil.example", "http.bad_header");
        check("X-A", "1\nX-B: 2", "http.bad_header");
        check("X-A\r\nHost", "evil.example", "http.bad_header");
        check("X-A: 1\r\nHost", "evil.example", "http.bad_header");
        check("", "x", "http.bad_header");
        check("X-A", "\0", "http.bad_header");
        check("X-A", &"x".repeat(9_000), "http.bad_header");
    }

    #[test]
    fn two_spellings_of_one_name_are_refused() {
        let twice = BTreeMap::from([
            ("x-a".to_owned(), "1".to_owned()),
            ("X-A".to_owned(), "2".to_owned()),
        ]);
        assert_eq!(outgoing(&twice).unwrap_err().code, "http.bad_header");
    }

    #[test]
    fn secrets_stay_with_the_host_they_were_for() {
        let given = ["Authorization", "Cookie", "X-Api-Key", "Accept", "Content-Type"]
            .map(|name| (name.to_owned(), "x".to_owned()));
        let mut headers = outgoing(&BTreeMap::from(given)).unwrap();
        without_secrets(&mut headers);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "content-type"]);
    }
}

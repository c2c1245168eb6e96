//! What is asked and what is answered.

use cog_base::Value;
use cog_base::json::Map;

/// The head of a request: all that is known before its body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// `GET`, `POST` and the like.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// What stands behind `?`.
    pub query: Option<String>,
    /// Names in lower case; a header whose value is no text is not there.
    pub headers: Vec<(String, String)>,
    /// What this request is called: as it says itself, or as the server names it.
    pub request_id: String,
}

/// A request whose body was read within its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What went wrong, as a problem document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: u16,
    /// A stable code such as `worker.stale`.
    pub code: &'static str,
    /// The same for every problem of this code, for a person.
    pub title: &'static str,
    /// What it was this time; nothing of a secret.
    pub detail: String,
    /// When to ask again, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Head {
    /// The first header of this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The bearer token that comes with it. Two of them are none.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(name, _)| name == "authorization");
        let (_, value) = all.next().filter(|_| all.next().is_none())?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }
}

impl Answer {
    /// A JSON document.
    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        let (content_type, body) = ("application/json", value.canonical());
        Self { status, content_type, headers: Vec::new(), body }
    }

    /// Whether it is a success.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

impl Problem {
    /// A problem.
    #[must_use]
    pub fn new(status: u16, code: &'static str, title: &'static str, detail: &str) -> Self {
        Self { status, code, title, detail: detail.to_owned(), retry_after_ms: None }
    }

    /// The document. `type` names the problem and leads nowhere: the codes stand in the reference.
    #[must_use]
    pub fn answer(&self, request_id: &str) -> Answer {
        let mut document = Map::from([
            ("type".into(), format!("urn:cognitionos:problem:{}", self.code).into()),
            ("title".into(), self.title.into()),
            ("status".into(), u64::from(self.status).into()),
            ("detail".into(), self.detail.as_str().into()),
            ("code".into(), self.code.into()),
            ("request_id".into(), request_id.into()),
        ]);
        let mut headers = Vec::new();
        if let Some(ms) = self.retry_after_ms {
            document.insert("retry_after_ms".into(), ms.into());
            headers.push(("retry-after", ms.div_ceil(1_000).to_string()));
        }
        let (content_type, body) = ("application/problem+json", Value::Map(document).canonical());
        Answer { status: self.status, content_type, headers, body }
    }
}

/// Whether two secrets are the same, in a time that tells nothing of where they differ.
#[must_use]
pub fn same(own: &[u8], given: &[u8]) -> bool {
    // Digests are as long as each other, and what differs in them says nothing about what is digested.
    let digest = |bytes: &[u8]| cog_base::Digest::in_context("cognitionos/token/v1", bytes);
    let (own, given) = (digest(own), digest(given));
    let pairs = own.as_bytes().iter().zip(given.as_bytes());
    std::hint::black_box(pairs.fold(0, |all, (a, b)| all | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Head {
            method: "POST".into(),
            path: "/".into(),
            query: None,
            headers: headers.iter().map(own).collect(),
            request_id: "r".into(),
        }
    }

    #[test]
    fn a_token_is_the_one_that_stands_there_once() {
        for (headers, expected) in [
            (&[("authorization", "Bearer abc")][..], Some("abc")),
            (&[("authorization", "bearer abc")], Some("abc")),
            (&[("authorization", "Basic abc")], None),
            (&[("authorization", "Bearer")], None),
            (&[("authorization", "Bearer abc"), ("authorization", "Bearer abc")], None),
            (&[("x-authorization", "Bearer abc")], None),
        ] {
            assert_eq!(head(headers).bearer(), expected, "{headers:?}");
        }
    }

    #[test]
    fn secrets_are_the_same_or_not() {
        for (own, given, expected) in
            [("abc", "abc", true), ("abc", "abd", false), ("abc", "abcd", false), ("", "", true)]
        {
            assert_eq!(same(own.as_bytes(), given.as_bytes()), expected, "{own} {given}");
        }
    }

    #[test]
    fn a_problem_is_a_document_that_says_what_and_when_again() {
        let mut problem = Problem::new(503, "x.full", "There is no room", "256 are here");
        problem.retry_after_ms = Some(1_200);
        let answer = problem.answer("req_1");
        assert_eq!(answer.content_type, "application/problem+json");
        assert_eq!(answer.headers, [("retry-after", "2".to_owned())]);
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            r#"{"code":"x.full","detail":"256 are here","request_id":"req_1","retry_after_ms":1200,"status":503,"title":"There is no room","type":"urn:cognitionos:problem:x.full"}"#
        );
    }
}

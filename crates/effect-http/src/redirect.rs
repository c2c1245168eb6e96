//! What a redirect makes of a request (RFC 9110, section 15.4, as browsers do it).

use cog_gate::Failure;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Url};

use crate::exchange::failure;
use crate::headers::without_secrets;
use crate::url::parse;

/// One request on its way, as the hops before have left it.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// Whether a request that acts was answered as done on the way here.
    pub(crate) acted: bool,
}

/// Methods whose request changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether this status sends the client on, when it names a location.
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

impl Hop {
    /// The next hop after a redirect with `status` to `location`.
    pub(crate) fn redirected(mut self, status: u16, location: &str) -> Result<Self, Failure> {
        let refused = |remark: String| {
            failure("http.redirect_refused", format!("the redirect from `{}` {remark}", self.url))
        };
        let joined =
            self.url.join(location).map_err(|error| refused(format!("leads nowhere: {error}")))?;
        let next = parse(joined.as_str()).map_err(|failure| refused(failure.message))?;
        if self.url.scheme() == "https" && next.scheme() == "http" {
            return Err(refused("leads from https to http".into()));
        }
        let keeps_method = matches!(status, 307 | 308)
            || is_safe(&self.method)
            || (status != 303 && self.method != Method::POST);
        if !keeps_method {
            self.acted = true;
            self.method = Method::GET;
            self.body = None;
            self.headers.remove(CONTENT_TYPE);
        }
        if next.origin() != self.url.origin() {
            without_secrets(&mut self.headers);
        }
        self.url = next;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{AUTHORIZATION, HeaderValue};

    fn check(method: &str, status: u16, location: &str, expected: &str) {
        let hop = Hop {
            method: method.parse().unwrap(),
            url: Url::parse("https://a.example/x/y").unwrap(),
            headers: HeaderMap::from_iter([
                (AUTHORIZATION, HeaderValue::from_static("secret")),
                (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
            ]),
            body: Some(b"body".to_vec()),
            acted: false,
        };
        let found = match hop.redirected(status, location) {
            Ok(hop) => {
                let mut words = vec![hop.method.to_string(), hop.url.to_string()];
                words.extend(hop.body.is_some().then(|| "body".into()));
                words.extend(hop.headers.contains_key(AUTHORIZATION).then(|| "secret".into()));
                words.extend(hop.acted.then(|| "acted".into()));
                words.join(" ")
            }
            Err(failure) => failure.code,
        };
        assert_eq!(found, expected, "{method} {status} {location}");
    }

    #[test]
    fn see_other_becomes_get_and_temporary_keeps_the_method() {
        check("POST", 303, "/done", "GET https://a.example/done secret acted");
        check("POST", 302, "z", "GET https://a.example/x/z secret acted");
        check("POST", 301, "z", "GET https://a.example/x/z secret acted");
        check("PUT", 303, "z", "GET https://a.example/x/z secret acted");
        check("PUT", 302, "z", "PUT https://a.example/x/z body secret");
        check("POST", 307, "z", "POST https://a.example/x/z body secret");
        check("POST", 308, "z", "POST https://a.example/x/z body secret");
        check("HEAD", 303, "z", "HEAD https://a.example/x/z body secret");
    }

    #[test]
    fn another_origin_gets_no_secret() {
        check("POST", 307, "https://b.example/", "POST https://b.example/ body");
        check("POST", 307, "https://a.example:8443/", "POST https://a.example:8443/ body");
        check("GET", 302, "//b.example/", "GET https://b.example/ body");
    }

    #[test]
    fn a_redirect_out_of_http_is_refused() {
        check("GET", 302, "http://a.example/", "http.redirect_refused");
        check("GET", 302, "file:///etc/passwd", "http.redirect_refused");
        check("GET", 302, "https://user:pass@a.example/", "http.redirect_refused");
        check("GET", 302, "https://", "http.redirect_refused");
    }
}

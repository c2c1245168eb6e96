//! Reading a URL in full: where it leads, and whether a request may go there.

use cog_base::hosts::{Allowance, Barred, Hosts, Reach};
use cog_base::place::{Place, URL_BYTES_MAX};
use cog_gate::Failure;
use cog_gate::effect::one_spelling;
use reqwest::Url;

use crate::exchange::failure;

/// An endpoint's URL that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` {why}")]
pub struct BadEndpoint {
    url: String,
    why: &'static str,
}

/// The list that allows exactly the scheme, host and port of `url`, which may be private,
/// as somebody named it for this one purpose.
///
/// # Errors
/// [`BadEndpoint`] when `url` is not an absolute http or https URL, or holds a user or a query.
pub fn endpoint(url: &str) -> Result<Hosts, BadEndpoint> {
    let bad = || {
        let has_user = Url::parse(url).is_ok_and(|url| place(&url).is_some_and(|it| it.user));
        let why = if has_user {
            "holds a user or a password"
        } else {
            "is not the http or https URL of an endpoint"
        };
        BadEndpoint { why, url: url.chars().take(200).collect() }
    };
    // What stands there is shown and recorded, and would come before the path of what is asked.
    if let Some((before, _)) = url.split_once('?') {
        return Err(BadEndpoint { why: "holds a query", url: before.chars().take(200).collect() });
    }
    let place = parse(url).ok().and_then(|url| place(&url)).ok_or_else(bad)?;
    let allowance = Allowance {
        host: place.host,
        ports: [place.port].into(),
        private: true,
        plain_http: !place.secure,
    };
    Ok([allowance].into_iter().collect())
}

/// Whether a request may go to `url`, and what its name may resolve to then.
pub(crate) fn reach(hosts: &Hosts, url: &Url) -> Result<Reach, Failure> {
    let Some(place) = place(url) else {
        return Err(failure("http.bad_url", format!("`{url}` has no host")));
    };
    let to = format!("{}:{}", place.host, place.port);
    hosts.admit(&place).map_err(|barred| match barred {
        Barred::User => failure("http.bad_url", format!("`{to}` is asked as a user")),
        Barred::Host | Barred::Port => {
            let message = format!("`{to}` is not on the list of allowed hosts and ports");
            failure("http.host_not_allowed", message)
        }
        Barred::PlainHttp => {
            let message = format!("`{to}` is allowed over https alone, not http");
            failure("http.host_not_allowed", message)
        }
        Barred::Address => {
            let message = format!("`{to}` is not public, and not allowed as private");
            failure("http.private_address", message)
        }
    })
}

/// Read an absolute http or https URL without user or password, in its one spelling.
pub(crate) fn parse(text: &str) -> Result<Url, Failure> {
    let bad = |remark: &str| {
        let shown: String = text.chars().take(200).collect();
        failure("http.bad_url", format!("`{shown}` {remark}"))
    };
    if text.len() > URL_BYTES_MAX {
        return Err(bad("is longer than 8,192 bytes"));
    }
    let url = Url::parse(text).map_err(|error| bad(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("holds a user or password"));
    }
    // What was decided on, and what a redirect is decided on, is what is asked for.
    let spelled = one_spelling(url.as_str()).and_then(|url| Url::parse(&url).ok());
    spelled.ok_or_else(|| bad("can be read in more than one way"))
}

/// Where a URL leads that was read in full.
pub(crate) fn place(url: &Url) -> Option<Place> {
    let host = url.host_str()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some(Place {
        secure: url.scheme() == "https",
        user: !url.username().is_empty() || url.password().is_some(),
        host: host.to_owned(),
        port: url.port_or_known_default()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        let declared =
            |host: &str, port| Allowance { private: true, ..Allowance::usual(host, Some(port)) };
        let hosts = Hosts::from_iter([
            Allowance::usual("api.example.com", None),
            Allowance { plain_http: false, ..Allowance::usual("safe.example.com", None) },
            Allowance::usual("10.0.0.1", None),
            declared("127.0.0.1", 11434),
            declared("::1", 80),
        ]);
        let found = match parse(url).and_then(|url| reach(&hosts, &url)) {
            Ok(Reach::Public) => "public".to_owned(),
            Ok(Reach::Private) => "private".to_owned(),
            Err(failure) => failure.code,
        };
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn a_url_goes_where_the_list_says() {
        check("https://api.example.com/v1", "public");
        check("http://127.0.0.1:11434/v1", "private");
        check("http://[::1]/", "private");
        check("https://api.example.com:22/", "http.host_not_allowed");
        check("http://safe.example.com/", "http.host_not_allowed");
        check("http://127.0.0.1:80/", "http.host_not_allowed");
        check("http://10.0.0.1/", "http.private_address");
    }

    #[test]
    fn an_address_in_disguise_is_the_address() {
        for url in ["http://2130706433:11434/", "http://0x7f.1:11434/", "http://127.1:11434/"] {
            check(url, "private");
        }
        check("http://2130706433/", "http.host_not_allowed");
        check("http://0xa000001/", "http.private_address");
    }

    #[test]
    fn other_schemes_and_passwords_are_refused() {
        for url in ["file:///etc/passwd", "ftp://api.example.com/", "gopher://x/", "x", ""] {
            check(url, "http.bad_url");
        }
        check("https://user@api.example.com/", "http.bad_url");
        check("https://:secret@api.example.com/", "http.bad_url");
        check(&format!("https://api.example.com/{}", "x".repeat(9_000)), "http.bad_url");
    }

    #[test]
    fn what_the_gate_reads_in_a_url_is_what_is_asked() {
        for url in [
            "https://API.example.com:8443/a?b#c",
            "http://[::1]:80/x",
            "http://127.0.0.1",
            "https://a.example:/",
            "https://a.example:00443/",
            "https://a.example?@b.example",
            "http://a.example#@b.example",
        ] {
            assert_eq!(place(&parse(url).unwrap()), Place::of(url), "{url}");
        }
    }

    #[test]
    fn an_endpoint_allows_itself_only() {
        let hosts = endpoint("http://localhost:11434/v1").unwrap();
        let admits = |url: &str| hosts.admit(&Place::of(url).unwrap());
        assert_eq!(admits("http://localhost:11434/v1/chat"), Ok(Reach::Private));
        assert_eq!(admits("http://localhost:11435/v1"), Err(Barred::Port));
        assert_eq!(admits("http://127.0.0.1:11434/v1"), Err(Barred::Host));
        let hosts = endpoint("https://models.example/v1").unwrap();
        let plain = Place::of("http://models.example:443/v1").unwrap();
        assert_eq!(hosts.admit(&plain), Err(Barred::PlainHttp));
        for bad in ["localhost:11434", "", "file:///v1", "https://key@models.example/v1"] {
            let error = endpoint(bad).unwrap_err().to_string();
            assert_eq!(error.ends_with("holds a user or a password"), bad.contains('@'), "{error}");
        }
    }
}

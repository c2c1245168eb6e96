//! Where requests may go.

use std::collections::BTreeSet;

use cog_gate::Failure;
use reqwest::Url;

use crate::exchange::failure;

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 8_192;

/// The hosts that requests may go to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Host names in lower case, for the ports 80 and 443; `name:port` for another port.
    /// Their addresses must be public.
    pub allow_hosts: BTreeSet<String>,
    /// `host:port` of endpoints that the operator declared and that may have a private
    /// address: a model server on this machine, a service of the own network.
    pub allow_private: BTreeSet<String>,
}

/// An endpoint's URL that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not the http or https URL of an endpoint")]
pub struct BadEndpoint {
    url: String,
}

/// Whether the addresses of an allowed target must be public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only public addresses.
    Public,
    /// Whatever the name resolves to: the operator named this very endpoint.
    Declared,
}

impl Policy {
    /// The policy that allows exactly the host and port of `url`, wherever it is.
    ///
    /// # Errors
    /// [`BadEndpoint`] when `url` is not an absolute http or https URL.
    pub fn for_endpoint(url: &str) -> Result<Self, BadEndpoint> {
        let bad = || BadEndpoint { url: url.chars().take(200).collect() };
        let url = parse(url).map_err(|_| bad())?;
        let (host, port) = place(&url).ok_or_else(bad)?;
        Ok(Self { allow_private: [format!("{host}:{port}")].into(), ..Self::default() })
    }

    /// Whether a request may go to `url`.
    pub(crate) fn reach(&self, url: &Url) -> Result<Reach, Failure> {
        let Some((host, port)) = place(url) else {
            return Err(failure("http.bad_url", format!("`{url}` has no host")));
        };
        let place = format!("{host}:{port}");
        if self.allow_private.contains(&place) {
            return Ok(Reach::Declared);
        }
        let usual = matches!(port, 80 | 443) && self.allow_hosts.contains(&host);
        if usual || self.allow_hosts.contains(&place) {
            return Ok(Reach::Public);
        }
        let message = format!("the host `{place}` is not on the list of allowed hosts");
        Err(failure("http.host_not_allowed", message))
    }
}

/// Read an absolute http or https URL without user, password or fragment.
pub(crate) fn parse(text: &str) -> Result<Url, Failure> {
    let bad = |remark: &str| {
        let shown: String = text.chars().take(200).collect();
        failure("http.bad_url", format!("`{shown}` {remark}"))
    };
    if text.len() > URL_BYTES_MAX {
        return Err(bad("is longer than 8,192 bytes"));
    }
    let mut url = Url::parse(text).map_err(|error| bad(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("holds a user or password"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// The host, without the brackets of IPv6, and the port.
pub(crate) fn place(url: &Url) -> Option<(String, u16)> {
    let host = url.host_str()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        let policy = Policy {
            allow_hosts: ["api.example.com", "odd.example.com:8443"].map(str::to_owned).into(),
            allow_private: ["127.0.0.1:11434", "::1:80"].map(str::to_owned).into(),
        };
        let found = match parse(url).and_then(|url| policy.reach(&url)) {
            Ok(Reach::Public) => "public".to_owned(),
            Ok(Reach::Declared) => "declared".to_owned(),
            Err(failure) => failure.code,
        };
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn only_listed_hosts_and_ports_are_reached() {
        check("https://api.example.com/v1", "public");
        check("http://API.example.com", "public");
        check("https://odd.example.com:8443/", "public");
        check("http://127.0.0.1:11434/v1", "declared");
        check("http://[::1]/", "declared");
        check("https://api.example.com:22/", "http.host_not_allowed");
        check("https://odd.example.com/", "http.host_not_allowed");
        check("http://127.0.0.1:80/", "http.host_not_allowed");
        check("https://api.example.com.evil.example/", "http.host_not_allowed");
        check("https://api.example.com./", "http.host_not_allowed");
        check("https://xapi.example.com/", "http.host_not_allowed");
    }

    #[test]
    fn an_address_in_disguise_is_the_address() {
        for url in ["http://2130706433:11434/", "http://0x7f.1:11434/", "http://127.1:11434/"] {
            check(url, "declared");
        }
        check("http://2130706433/", "http.host_not_allowed");
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
    fn an_endpoint_allows_itself_only() {
        let policy = Policy::for_endpoint("http://localhost:11434/v1").unwrap();
        assert_eq!(policy.allow_private, ["localhost:11434".to_owned()].into());
        assert!(policy.allow_hosts.is_empty());
        assert!(Policy::for_endpoint("localhost:11434").is_err());
    }
}

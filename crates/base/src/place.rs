//! Where a request goes, as its URL says it, and what kind of address stands there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 8_192;

/// The port of http.
pub const HTTP_PORT: u16 = 80;
/// The port of https.
pub const HTTPS_PORT: u16 = 443;

/// The place that an absolute `http` or `https` URL leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether it is https.
    pub secure: bool,
    /// Whether the URL holds a user or a password.
    pub user: bool,
    /// The host as it is written, lower case, without the brackets of IPv6.
    pub host: String,
    /// The port, that of the scheme where the URL has none.
    pub port: u16,
}

impl Place {
    /// The place of a URL; none where the URL is too long, not absolute, of another scheme,
    /// or could be read in two ways. Whoever sends the request parses it in full; this only
    /// has to be at least as strict, so that what policies saw is where it goes.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let (secure, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        if url.len() > URL_BYTES_MAX || url.contains(['\\', '\t', '\n', '\r']) {
            return None;
        }
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, place) = match authority.rsplit_once('@') {
            Some((_, place)) => (true, place),
            None => (false, authority),
        };
        if authority.contains([' ', '%']) {
            return None;
        }
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        if host.is_empty() || !host.is_ascii() {
            return None;
        }
        let usual = if secure { HTTPS_PORT } else { HTTP_PORT };
        Some(Self { secure, user, host: host.to_ascii_lowercase(), port: read_port(port, usual)? })
    }

    /// The address, where the URL names one instead of a host's name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

fn read_port(text: &str, usual: u16) -> Option<u16> {
    let Some(digits) = text.strip_prefix(':') else { return text.is_empty().then_some(usual) };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits {
        "" => Some(usual),
        digits if plain => digits.parse().ok(),
        _ => None,
    }
}

/// The URL with its user and password made unreadable, where it has them.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    let masked = || {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (_, place) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://***@{place}{tail}"))
    };
    masked().unwrap_or_else(|| url.to_owned())
}

/// What kind of address one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// Of the public internet.
    Public,
    /// Of this machine, a private network or a carrier's: loopback, RFC 1918, RFC 6598,
    /// unique local (RFC 4193).
    Private,
    /// Link-local, or where a cloud serves its machines' credentials and settings.
    Metadata,
    /// No machine's: reserved, documentation, benchmarks, groups.
    Reserved,
}

/// The addresses where clouds serve credentials, settings or themselves to their machines,
/// besides the link-local ones: Alibaba, Oracle, Azure.
const METADATA_V4: [[u8; 4]; 3] = [[100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]];

/// The prefixes in which EC2 (`fd00:ec2::254`) and Google's cloud (`fd20:ce::254`) do so.
const METADATA_V6: [[u16; 2]; 2] = [[0xFD00, 0x0EC2], [0xFD20, 0x00CE]];

impl AddressKind {
    /// The kind of an address, by the IANA special-purpose registries (RFC 6890). An IPv4
    /// address that is wrapped in an IPv6 one (mapped, 6to4 or NAT64) counts as itself.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    if METADATA_V4.contains(&address.octets()) {
        return AddressKind::Metadata;
    }
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (10 | 127, _, _) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => {
            AddressKind::Private
        }
        (169, 254, _) => AddressKind::Metadata,
        // "This network", protocol assignments, documentation, the former 6to4 relays.
        (0, _, _) | (192, 0, 0 | 2) | (192, 88, 99) => AddressKind::Reserved,
        // Benchmarks, documentation.
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => AddressKind::Reserved,
        // Groups, reserved, broadcast.
        (224..=255, _, _) => AddressKind::Reserved,
        _ => AddressKind::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    let [a, b, c, d, e, f, g, h] = address.segments();
    if METADATA_V6.contains(&[a, b]) {
        return AddressKind::Metadata;
    }
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        // Mapped, RFC 4291.
        (0, 0, 0, 0, 0, 0xFFFF) => inner(g, h),
        // NAT64, RFC 6052.
        (0x64, 0xFF9B, 0, 0, 0, 0) => inner(g, h),
        // 6to4, RFC 3056.
        (0x2002, high, low, ..) => inner(high, low),
        _ if address.is_loopback() => AddressKind::Private,
        // Unique local, link-local.
        (0xFC00..=0xFDFF, ..) => AddressKind::Private,
        (0xFE80..=0xFEBF, ..) => AddressKind::Metadata,
        // Protocol assignments with Teredo, which wraps addresses too; documentation.
        (0x2001, 0..=0x01FF, ..) | (0x2001, 0x0DB8, ..) | (0x3FFF, 0..=0x0FFF, ..) => {
            AddressKind::Reserved
        }
        // All that is global unicast today.
        (0x2000..=0x3FFF, ..) => AddressKind::Public,
        _ => AddressKind::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        let found = Place::of(url).map_or_else(
            || "none".to_owned(),
            |Place { secure, user, host, port }| {
                let scheme = if secure { "https" } else { "http" };
                format!("{scheme}{} {host} {port}", if user { " user" } else { "" })
            },
        );
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn a_url_leads_to_one_place_or_none() {
        check("https://API.example.com/a?b#c", "https api.example.com 443");
        check("http://127.0.0.1:8080", "http 127.0.0.1 8080");
        check("http://[::1]:8080/x", "http ::1 8080");
        check("http://example.com:/", "http example.com 80");
        check("http://example.com:00080/", "http example.com 80");
        for url in ["ftp://example.com", "example.com", "https://", "https:///a", "HTTP://a/"] {
            check(url, "none");
        }
        for url in
            ["https://example.com:80a", "https://a:65536/", "https://a:+80/", "https://a:1:2"]
        {
            check(url, "none");
        }
        check("https://example.com\\@evil.example", "none");
        check("https://exämple.com", "none");
        check(&format!("https://a/{}", "x".repeat(URL_BYTES_MAX)), "none");
    }

    #[test]
    fn a_user_does_not_hide_the_host() {
        check("https://user@example.com", "https user example.com 443");
        check("https://a.example:80@evil.example/", "https user evil.example 443");
        check("https://a@b@c.example/", "https user c.example 443");
        check("https://@a.example/", "https user a.example 443");
        check("https://a.example/@b.example", "https a.example 443");
        check("https://user@", "none");
    }

    #[test]
    fn a_password_is_made_unreadable() {
        let check = |url: &str, expected: &str| {
            assert_eq!(without_secrets(url), expected);
            assert_eq!(without_secrets(expected), expected, "once is enough");
            assert_eq!(Place::of(url), Place::of(expected));
        };
        check("https://cfo:s3cret@a.example:8443/x?y@z", "https://***@a.example:8443/x?y@z");
        check("https://a:b@c:d@e.example", "https://***@e.example");
        check("https://a.example/@b", "https://a.example/@b");
    }

    fn kind(expected: AddressKind, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(AddressKind::of(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        let public = |addresses: &[&str]| kind(AddressKind::Public, addresses);
        public(&["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1"]);
        public(&["100.63.255.255", "100.128.0.0", "192.167.0.1", "223.255.255.255"]);
        public(&["2606:4700::1111", "2a00:1450:4001::8", "2001:4860:4860::8888"]);
        public(&["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]);
    }

    #[test]
    fn addresses_of_machines_and_networks_are_private() {
        let private = |addresses: &[&str]| kind(AddressKind::Private, addresses);
        private(&["10.0.0.1", "127.0.0.1", "127.255.255.254", "172.16.0.1", "172.31.255.255"]);
        private(&["192.168.1.1", "100.64.0.1", "100.127.255.255", "::1", "fc00::1"]);
        private(&["fd12:3456::1"]);
    }

    #[test]
    fn where_clouds_keep_credentials_is_known() {
        let metadata = |addresses: &[&str]| kind(AddressKind::Metadata, addresses);
        metadata(&["169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200"]);
        metadata(&["192.0.0.192", "168.63.129.16", "fe80::1", "febf::1"]);
        metadata(&["fd00:ec2::254", "fd20:ce::254"]);
        metadata(&["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"]);
    }

    #[test]
    fn addresses_of_no_machine_are_reserved() {
        let reserved = |addresses: &[&str]| kind(AddressKind::Reserved, addresses);
        reserved(&["0.0.0.0", "0.1.2.3", "192.0.0.1", "192.0.2.1", "192.88.99.1"]);
        reserved(&["198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"]);
        reserved(&["255.255.255.255", "::", "fec0::1", "ff02::1", "100::1", "2001:db8::1"]);
        reserved(&["3fff::1", "5f00::1", "2001::1", "2001:10::1", "4000::1"]);
    }

    #[test]
    fn a_private_address_in_an_ipv6_wrapper_is_found() {
        let private = |addresses: &[&str]| kind(AddressKind::Private, addresses);
        private(&["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"]);
        private(&["2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::"]);
        // Wrappers that nobody uses any more.
        kind(AddressKind::Reserved, &["::127.0.0.1", "64:ff9b:1::1", "2001:0:7f00:1::"]);
    }
}

//! Which places requests may go to. The gate asks before there is a receipt, and whoever
//! sends asks again on each hop: one list, one rule.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::place::{AddressKind, HTTP_PORT, HTTPS_PORT, Place};

/// The places that requests may go to. What one allowance allows is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Allowance>);

/// One host, and how it may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Its name or address in its one spelling: lower case, no brackets.
    pub host: String,
    /// The ports.
    pub ports: BTreeSet<u16>,
    /// Whether its address may be private. Other addresses that are not public, those of
    /// metadata services among them, are reached only where `host` is that very address.
    pub private: bool,
    /// Whether http will do.
    pub plain_http: bool,
}

/// What the name of an allowed place may resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses.
    Public,
    /// Public and private ones.
    Private,
}

/// What bars a place, from the farthest to the nearest miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Barred {
    /// The URL holds a user or password, which nobody would see.
    User,
    /// The host is not listed.
    Host,
    /// It is, but not with this port.
    Port,
    /// It is to be reached by https.
    PlainHttp,
    /// The URL names an address that is not public.
    Address,
}

/// What an allowance lacks for a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// The port.
    pub port: bool,
    /// `plain_http`.
    pub plain_http: bool,
    /// `private`.
    pub private: bool,
}

impl Lacks {
    fn count(self) -> usize {
        [self.port, self.plain_http, self.private].into_iter().filter(|lacks| *lacks).count()
    }
}

impl Reach {
    /// Whether an address that a name resolved to may be asked.
    #[must_use]
    pub fn covers(self, address: IpAddr) -> bool {
        match (AddressKind::of(address), self) {
            (AddressKind::Public, _) | (AddressKind::Private, Self::Private) => true,
            (AddressKind::Private, Self::Public) => false,
            (AddressKind::Metadata | AddressKind::Reserved, _) => false,
        }
    }
}

impl Allowance {
    /// A host under the usual ports of both schemes, or under one port.
    #[must_use]
    pub fn usual(host: &str, port: Option<u16>) -> Self {
        let ports = port.map_or_else(|| [HTTP_PORT, HTTPS_PORT].into(), |port| [port].into());
        Self { host: host.to_owned(), ports, private: false, plain_http: true }
    }

    fn lacks(&self, place: &Place) -> Lacks {
        let public = |address| AddressKind::of(address) == AddressKind::Public;
        Lacks {
            port: !self.ports.contains(&place.port),
            plain_http: !place.secure && !self.plain_http,
            private: !self.private && place.address().is_some_and(|address| !public(address)),
        }
    }
}

impl Hosts {
    /// Whether a request may go to a place, and what its name may resolve to then.
    ///
    /// # Errors
    /// [`Barred`] says what stands against it; of several allowances of the host, against
    /// the nearest.
    pub fn admit(&self, place: &Place) -> Result<Reach, Barred> {
        if place.user {
            return Err(Barred::User);
        }
        let Some(lacks) = self.nearest(place) else { return Err(Barred::Host) };
        if lacks.port {
            return Err(Barred::Port);
        }
        if lacks.plain_http {
            return Err(Barred::PlainHttp);
        }
        if lacks.private {
            return Err(Barred::Address);
        }
        let admits = |it: &&Allowance| it.lacks(place).count() == 0;
        let private = self.of(&place.host).filter(admits).any(|it| it.private);
        Ok(if private { Reach::Private } else { Reach::Public })
    }

    /// The same places and one more.
    #[must_use]
    pub fn with(mut self, allowance: Allowance) -> Self {
        self.0.push(allowance);
        self
    }

    /// What the allowance of the host lacks that comes nearest; none when there is none.
    #[must_use]
    pub fn nearest(&self, place: &Place) -> Option<Lacks> {
        self.of(&place.host).map(|it| it.lacks(place)).min_by_key(|lacks| lacks.count())
    }

    fn of<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Allowance> {
        self.0.iter().filter(move |it| it.host == host)
    }
}

impl FromIterator<Allowance> for Hosts {
    fn from_iter<I: IntoIterator<Item = Allowance>>(allowances: I) -> Self {
        Self(allowances.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(host: &str, ports: &[u16], private: bool, plain_http: bool) -> Allowance {
        let ports = ports.iter().copied().collect();
        Allowance { host: host.into(), ports, private, plain_http }
    }

    fn check(url: &str, expected: Result<Reach, Barred>) {
        let hosts = Hosts::from_iter([
            Allowance::usual("api.example.com", None),
            Allowance::usual("odd.example.com", Some(8443)),
            Allowance::usual("10.0.0.1", None),
            allowance("safe.example.com", &[443], false, false),
            allowance("safe.example.com", &[8080], true, true),
            allowance("intranet.example", &[443, 8443], true, false),
            allowance("127.0.0.1", &[18080], true, true),
            allowance("::1", &[80], true, true),
            allowance("169.254.169.254", &[80], true, true),
            allowance("169.254.170.2", &[80], false, true),
        ]);
        assert_eq!(hosts.admit(&Place::of(url).unwrap()), expected, "{url}");
    }

    #[test]
    fn only_listed_hosts_and_ports_are_reached() {
        check("https://api.example.com/v1", Ok(Reach::Public));
        check("http://API.example.com", Ok(Reach::Public));
        check("https://odd.example.com:8443/", Ok(Reach::Public));
        check("https://api.example.com:22/", Err(Barred::Port));
        check("https://odd.example.com/", Err(Barred::Port));
        check("https://api.example.com.evil.example/", Err(Barred::Host));
        check("https://api.example.com./", Err(Barred::Host));
        check("https://xapi.example.com/", Err(Barred::Host));
        check("https://user@api.example.com/", Err(Barred::User));
    }

    #[test]
    fn plain_http_is_allowed_by_name() {
        check("https://safe.example.com/", Ok(Reach::Public));
        check("http://safe.example.com:443/", Err(Barred::PlainHttp));
        check("http://safe.example.com:8080/", Ok(Reach::Private));
        check("http://safe.example.com/", Err(Barred::Port));
        check("https://intranet.example:8443/", Ok(Reach::Private));
        check("http://intranet.example:8443/", Err(Barred::PlainHttp));
    }

    #[test]
    fn an_address_that_is_not_public_is_allowed_by_name() {
        check("http://127.0.0.1:18080/", Ok(Reach::Private));
        check("http://127.0.0.1/", Err(Barred::Port));
        check("http://10.0.0.1/", Err(Barred::Address));
        check("http://[::1]/", Ok(Reach::Private));
        check("http://169.254.169.254/latest/", Ok(Reach::Private));
        check("http://169.254.170.2/", Err(Barred::Address));
    }

    #[test]
    fn another_spelling_is_another_host() {
        for url in ["http://2130706433:18080/", "http://0x7f.1:18080/", "http://127.1:18080/"] {
            check(url, Err(Barred::Host));
        }
        check("http://[::ffff:127.0.0.1]:18080/", Err(Barred::Host));
        check("http://[0:0:0:0:0:0:0:1]/", Err(Barred::Host));
    }

    #[test]
    fn a_name_leads_to_no_metadata_whatever_is_allowed() {
        let check = |address: &str, public: bool, private: bool| {
            let address = address.parse().unwrap();
            let found = (Reach::Public.covers(address), Reach::Private.covers(address));
            assert_eq!(found, (public, private), "{address}");
        };
        check("8.8.8.8", true, true);
        check("127.0.0.1", false, true);
        check("::ffff:10.0.0.1", false, true);
        check("169.254.169.254", false, false);
        check("fd00:ec2::254", false, false);
        check("168.63.129.16", false, false);
        check("0.0.0.0", false, false);
        check("255.255.255.255", false, false);
    }
}

//! Which addresses belong to the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is public: not this machine, a private or link-local network, a
/// carrier's, a reserved or documentation range, a group, nor one of these wrapped in an
/// IPv6 address (mapped, 6to4 or NAT64). IANA special-purpose registries, RFC 6890.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // "This network", private, loopback.
        (0 | 10 | 127, _, _) => true,
        // Shared with carriers, RFC 6598.
        (100, 64..=127, _) => true,
        // Link-local, where clouds serve their machines' credentials.
        (169, 254, _) => true,
        (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments, documentation, the former 6to4 relays.
        (192, 0, 0 | 2) | (192, 88, 99) => true,
        // Benchmarks, documentation.
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        // Groups, reserved, broadcast.
        (224..=255, _, _) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        // Mapped, RFC 4291.
        (0, 0, 0, 0, 0, 0xFFFF) => inner(g, h),
        // NAT64, RFC 6052.
        (0x64, 0xFF9B, 0, 0, 0, 0) => inner(g, h),
        // 6to4, RFC 3056.
        (0x2002, high, low, ..) => inner(high, low),
        // Protocol assignments with Teredo, which wraps addresses too; documentation.
        (0x2001, 0..=0x01FF, ..) | (0x2001, 0x0DB8, ..) | (0x3FFF, 0..=0x0FFF, ..) => false,
        // All that is global unicast today.
        (0x2000..=0x3FFF, ..) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(public: bool, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        check(true, &["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1"]);
        check(true, &["100.63.255.255", "100.128.0.0", "192.167.0.1", "223.255.255.255"]);
        check(true, &["2606:4700::1111", "2a00:1450:4001::8", "2001:4860:4860::8888"]);
        check(true, &["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]);
    }

    #[test]
    fn addresses_of_machines_networks_and_groups_are_not() {
        check(false, &["0.0.0.0", "0.1.2.3", "10.0.0.1", "127.0.0.1", "127.255.255.254"]);
        check(false, &["100.64.0.1", "100.127.255.255", "169.254.169.254", "172.16.0.1"]);
        check(false, &["172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "192.88.99.1"]);
        check(false, &["198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"]);
        check(false, &["255.255.255.255", "::", "::1", "fe80::1", "fec0::1", "fc00::1"]);
        check(false, &["fd12:3456::1", "ff02::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1"]);
        check(false, &["2001::1", "2001:10::1", "4000::1"]);
    }

    #[test]
    fn a_private_address_in_an_ipv6_wrapper_is_found() {
        check(false, &["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"]);
        check(false, &["::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"]);
        check(false, &["2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::", "2001:0:7f00:1::"]);
    }
}

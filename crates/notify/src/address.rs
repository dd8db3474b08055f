//! Where webhooks may lead: into the internet, and to hosts the tenant's owner listed.
//!
//! *Invariant:* the address that is judged is the address that is connected to, so a name that
//! answers differently the second time changes nothing. Metadata services, multicast and "this
//! network" are never reached, listed or not.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Error;

/// The longest list of hosts.
const HOSTS_MAX: usize = 100;

/// Hosts of the own network that a tenant's webhooks may reach.
#[derive(Debug, Clone, Default)]
pub struct Allowed(BTreeSet<String>);

impl Allowed {
    /// From `host` and `host:port`, without wildcards.
    ///
    /// # Errors
    /// An entry is no host, or there are too many.
    pub fn parse(place: &str, hosts: &BTreeSet<String>) -> Result<Self, Error> {
        if hosts.len() > HOSTS_MAX {
            let why = format!("{} hosts exceed hosts_max = {HOSTS_MAX}", hosts.len());
            return Err(Error::setting(place, why, "list fewer"));
        }
        for host in hosts {
            let plain =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
            if host.is_empty() || !host.bytes().all(plain) {
                let why = format!("{host:?} is not a host");
                let fix = "write \"hooks.factory.lan\", \"10.0.0.5:8080\" or \"[fd00::5]:8080\"";
                return Err(Error::setting(place, why, fix));
            }
        }
        Ok(Self(hosts.iter().map(|host| host.to_ascii_lowercase()).collect()))
    }

    /// Whether this host was listed, with or without its port.
    #[must_use]
    pub(crate) fn lists(&self, host: &str, port: u16) -> Listed {
        let host = host.to_ascii_lowercase();
        let named = self.0.contains(&host) || self.0.contains(&format!("{host}:{port}"));
        if named { Listed::Yes } else { Listed::No }
    }
}

/// Whether a tenant's owner listed a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Yes,
    No,
}

/// Why an address is not connected to.
pub(crate) fn refusal(address: IpAddr, listed: Listed) -> Option<&'static str> {
    let address = embedded(address);
    let never = match address {
        IpAddr::V4(v4) => never_v4(v4),
        IpAddr::V6(v6) => never_v6(v6),
    };
    if never.is_some() || listed == Listed::Yes {
        return never;
    }
    match address {
        IpAddr::V4(v4) => private_v4(v4),
        IpAddr::V6(v6) => private_v6(v6),
    }
}

/// An IPv4 address in the clothes of IPv6 is judged as what it reaches.
fn embedded(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
            }
            _ => address,
        },
    }
}

/// Not even when listed.
fn never_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, _, _, _] = address.octets();
    if a == 0 {
        Some("\"this network\"")
    } else if address.is_link_local() {
        Some("link-local, where clouds keep their metadata service")
    } else if address.is_multicast() {
        Some("multicast")
    } else if a >= 240 {
        Some("reserved or broadcast")
    } else if address == Ipv4Addr::new(168, 63, 129, 16)
        || address == Ipv4Addr::new(100, 100, 100, 200)
        || address == Ipv4Addr::new(192, 0, 0, 192)
    {
        Some("a cloud's metadata service")
    } else {
        None
    }
}

fn private_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    if address.is_loopback() {
        Some("loopback")
    } else if address.is_private() {
        Some("private")
    } else if address.is_documentation() {
        Some("for documentation only")
    } else if a == 100 && (b & 0xc0) == 64 {
        Some("shared address space of providers")
    } else if (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99) {
        Some("reserved for protocols")
    } else if a == 198 && (b & 0xfe) == 18 {
        Some("for benchmarks only")
    } else {
        None
    }
}

fn never_v6(address: Ipv6Addr) -> Option<&'static str> {
    let first = address.segments()[0];
    if address.is_unspecified() {
        Some("no address")
    } else if address.is_multicast() {
        Some("multicast")
    } else if first & 0xffc0 == 0xfe80 {
        Some("link-local")
    } else if address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) {
        Some("a cloud's metadata service")
    } else {
        None
    }
}

fn private_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [first, second, ..] = address.segments();
    if address.is_loopback() {
        Some("loopback")
    } else if first & 0xfe00 == 0xfc00 {
        Some("unique local")
    } else if (first, second) == (0x2001, 0xdb8) || (first & 0xfff0, second & 0xf000) == (0x3ff0, 0)
    {
        Some("for documentation only")
    } else if first & 0xe000 != 0x2000 {
        Some("not global unicast")
    } else if first == 0x2002 || (first == 0x2001 && second < 0x200) {
        Some("a tunnel or protocol address that may hide another")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(address: &str, listed: Listed) -> bool {
        refusal(address.parse().unwrap(), listed).is_some()
    }

    #[test]
    fn addresses_of_the_own_network_are_refused_unless_listed() {
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "198.18.0.1",
            "198.19.255.255",
            "192.88.99.1",
            "::1",
            "fd00::1",
            "fc00::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "2001::1",
            "::7f00:1",
            "fec0::1",
            "100::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b:1::1",
            "5f00::1",
        ] {
            assert!(refused(address, Listed::No), "{address}");
            assert!(!refused(address, Listed::Yes), "{address}");
        }
    }

    #[test]
    fn some_addresses_are_refused_even_when_listed() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::169.254.169.254",
        ] {
            assert!(refused(address, Listed::Yes), "{address}");
        }
    }

    #[test]
    fn the_internet_is_open() {
        for address in [
            "1.1.1.1",
            "9.9.9.9",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(!refused(address, Listed::No), "{address}");
        }
    }

    #[test]
    fn a_listed_port_lists_no_other_port() {
        let hosts = ["Hooks.lan:8080".to_owned(), "10.0.0.5".to_owned()].into();
        let allowed = Allowed::parse("allow_hosts", &hosts).unwrap();
        assert_eq!(allowed.lists("hooks.lan", 8080), Listed::Yes);
        assert_eq!(allowed.lists("hooks.lan", 22), Listed::No);
        assert_eq!(allowed.lists("10.0.0.5", 22), Listed::Yes);
        assert!(Allowed::parse("allow_hosts", &["*.lan".to_owned()].into()).is_err());
    }

    proptest! {
        /// Dressing an address as IPv6 changes nothing.
        #[test]
        fn mapped_addresses_are_judged_alike(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            for listed in [Listed::Yes, Listed::No] {
                prop_assert_eq!(
                    refusal(IpAddr::V4(v4), listed).is_some(),
                    refusal(IpAddr::V6(v4.to_ipv6_mapped()), listed).is_some()
                );
            }
        }
    }
}

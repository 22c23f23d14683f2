//! The SSRF guard's address rules: only public hosts and addresses, and never this server itself.
//!
//! The networks are the special-purpose registries of IANA (RFC 6890 and its updates), multicast, and
//! translation prefixes. Of IPv6 only `2000::/3` is public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::{Rules, literal};

/// The set of addresses that requests may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressPolicy {
    /// Public addresses, by https.
    Closed,
    /// Loopback too, also by http: for development.
    Loopback,
    /// Any address, also by http and with any certificate: for development.
    Everything,
}

/// The reason why the SSRF guard rejected a URL or address. No request was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The scheme is not https.
    #[error("the URL must start with https://")]
    Scheme,
    /// The URL has no host, or has user information.
    #[error("the URL must have a host, and no user name and no password")]
    Authority,
    /// A port that is not allowed.
    #[error("port {0} is not asked")]
    Port(u16),
    /// The host is this server.
    #[error("the host is this server itself")]
    Own,
    /// The address, or an address of the name, is not public.
    #[error("the host has an address that is not public")]
    Address,
    /// The name has too many addresses.
    #[error("the host has too many addresses")]
    Addresses,
}

/// The special-purpose IPv4 networks: first address and length of the prefix.
const V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),           // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared by carriers
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, the metadata services of clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24), // AMT
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays, no longer used
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(192, 175, 48, 0), 24), // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

/// The special-purpose networks inside `2000::/3`.
const V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, including Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address of anybody's choice
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// True for a public address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let holds =
                |(first, length): &(Ipv4Addr, u32)| (bits ^ first.to_bits()) >> (32 - length) == 0;
            !V4.iter().any(holds)
        }
        // Addresses that embed an IPv4 address (mapped, compatible, translated: RFC 6052) are outside
        // 2000::/3. A name for an IPv4 host has an A record.
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let holds =
                |(first, length): &(Ipv6Addr, u32)| (bits ^ first.to_bits()) >> (128 - length) == 0;
            bits >> 125 == 0b001 && !V6.iter().any(holds)
        }
    }
}

/// Lets an address pass.
///
/// # Errors
/// [`AddressError::Address`].
pub(super) fn check(address: IpAddr, policy: EgressPolicy) -> Result<(), AddressError> {
    let fits = match policy {
        EgressPolicy::Closed => is_public(address),
        EgressPolicy::Loopback => is_public(address) || address.is_loopback(),
        EgressPolicy::Everything => true,
    };
    if fits {
        Ok(())
    } else {
        Err(AddressError::Address)
    }
}

/// Checks a URL before name resolution and returns the host.
///
/// # Errors
/// The reason of the rejection.
pub(super) fn check_url(url: &Url, rules: &Rules) -> Result<String, AddressError> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or(AddressError::Authority)?.trim_end_matches('.');
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Authority);
    }
    let here = is_this_computer(url);
    let open = match rules.policy {
        EgressPolicy::Closed => false,
        EgressPolicy::Loopback => here,
        EgressPolicy::Everything => true,
    };
    if url.scheme() != "https" && !(open && url.scheme() == "http") {
        return Err(AddressError::Scheme);
    }
    if rules.own_hosts.iter().any(|own| own == host) && !open {
        return Err(AddressError::Own);
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if !open && !rules.ports.contains(&port) {
        return Err(AddressError::Port(port));
    }
    if let Some(address) = literal(url) {
        check(address, rules.policy)?;
    } else if here && rules.policy == EgressPolicy::Closed {
        return Err(AddressError::Address);
    }
    Ok(host.to_owned())
}

/// True if a URL's host names this computer, by name or address.
fn is_this_computer(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost") // RFC 6761 §6.3
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

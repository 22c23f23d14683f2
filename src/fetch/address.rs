//! Which hosts and addresses are asked: the public ones, and this server never itself.
//!
//! The networks are those of IANA's special-purpose registries (RFC 6890 and its updates) with
//! multicast and what only translates to another address; all of IPv6 outside `2000::/3` is none
//! that anybody serves from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::{Rules, literal};

/// How far the way out is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Public addresses, by https.
    Closed,
    /// Loopback too, also by http: for development.
    Loopback,
    /// Any address, by http too, and whatever its certificate: for development.
    Everything,
}

/// Why a URL or an address is none that is asked. Nothing was sent to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not https.
    #[error("the URL must begin with https://")]
    Scheme,
    /// It has no host, or the user name or password of somebody.
    #[error("the URL must have a host, and no user name and no password")]
    Authority,
    /// Its port is not one of those that may be asked.
    #[error("port {0} is not asked")]
    Port(u16),
    /// The host is this server.
    #[error("the host is this server itself")]
    Own,
    /// The address, or one of the addresses of the name, is not public.
    #[error("the host has an address that is not public")]
    Address,
    /// The name has more addresses than anybody needs.
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
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address of anybody's choice
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether an address is one of the public internet, and of nothing else.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let holds =
                |(first, length): &(Ipv4Addr, u32)| (bits ^ first.to_bits()) >> (32 - length) == 0;
            !V4.iter().any(holds)
        }
        // Also what carries an IPv4 address: mapped, compatible and translated ones (RFC 6052) are
        // outside 2000::/3, and a name that means an IPv4 host has an A record for it.
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
/// [`Unfit::Address`].
pub(super) fn check(address: IpAddr, opening: Opening) -> Result<(), Unfit> {
    let fits = match opening {
        Opening::Closed => is_public(address),
        Opening::Loopback => is_public(address) || address.is_loopback(),
        Opening::Everything => true,
    };
    if fits { Ok(()) } else { Err(Unfit::Address) }
}

/// Lets a URL pass, as far as that can be told without resolving its host, and gives the host.
///
/// # Errors
/// Why it is not asked.
pub(super) fn check_url(url: &Url, rules: &Rules) -> Result<String, Unfit> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or(Unfit::Authority)?.trim_end_matches('.');
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Unfit::Authority);
    }
    let here = is_this_computer(url);
    let open = match rules.opening {
        Opening::Closed => false,
        Opening::Loopback => here,
        Opening::Everything => true,
    };
    if url.scheme() != "https" && !(open && url.scheme() == "http") {
        return Err(Unfit::Scheme);
    }
    if rules.own_hosts.iter().any(|own| own == host) && !open {
        return Err(Unfit::Own);
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if !open && !rules.ports.contains(&port) {
        return Err(Unfit::Port(port));
    }
    if let Some(address) = literal(url) {
        check(address, rules.opening)?;
    } else if here && rules.opening == Opening::Closed {
        return Err(Unfit::Address);
    }
    Ok(host.to_owned())
}

/// Whether a URL's host is this computer by its name or its address.
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

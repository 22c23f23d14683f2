//! The client's address: the peer's address or, behind trusted proxies, the address in
//! `X-Forwarded-For`.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use crate::context::{Context, SharedContext};

/// The address of the client: the peer's or, behind a trusted proxy, the forwarded address.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<SharedContext> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions, &parts.headers, context))
    }
}

impl ClientAddress {
    /// Returns the client address of a request. `X-Forwarded-For` counts only if a trusted proxy sent
    /// the header, because clients could spoof addresses.
    #[must_use]
    pub fn of(extensions: &Extensions, headers: &HeaderMap, context: &Context) -> Self {
        let peer = extensions.get::<SocketAddr>().map(SocketAddr::ip);
        let mut address = peer
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            .to_canonical();
        // Each proxy appends the address of its peer, so an element counts only if all proxies to the
        // right are trusted. The client may have written the rest (spoofing).
        for (index, hop) in hops(headers).enumerate() {
            if !context.config.trusted_proxies.contain(address) {
                if index == 0 {
                    context.warnings.forwarded_ignored(address);
                }
                break;
            }
            let Some(behind) = read(hop) else { break };
            address = behind;
        }
        Self(address)
    }
}

/// Splits all `X-Forwarded-For` lines into elements, last to first. Bytes, because a line that
/// is not UTF-8 must not hide other elements. Empty elements do not count (RFC 9110 §5.6.1).
fn hops(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    lines
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|hop| !hop.is_empty())
}

/// Parses an element: a bare address, with a port, or in brackets. An IPv4-mapped IPv6 address becomes
/// IPv4.
fn read(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .and_then(|text| text.parse().ok().map(IpAddr::V6));
    let address = bare
        .or_else(|| text.parse().ok())
        .or_else(|| text.parse().ok().map(|at: SocketAddr| at.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_has_many_forms() {
        for (hop, address) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:443", Some("203.0.113.7")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("[2001:db8::7]:443", Some("2001:db8::7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("[::ffff:203.0.113.7]:443", Some("203.0.113.7")),
            ("[203.0.113.7]", None),
            ("[2001:db8::7", None),
            ("203.0.113.7:", None),
            ("203.0.113.7:65536", None),
            ("unknown", None),
            ("_hidden", None),
            ("203.0.113.007", None),
            ("203.0.113.7 203.0.113.8", None),
            ("\u{e9}", None),
        ] {
            let expected = address.map(|text| text.parse().unwrap());
            assert_eq!(read(hop.as_bytes()), expected, "{hop}");
        }
        assert_eq!(read(b"\x80203.0.113.7"), None);
    }
}

//! Where a request comes from: the peer or, behind trusted proxies, what they say.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::app::{App, Shared};

/// The address a request came from: the peer's or, behind a trusted proxy, what that says.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<Shared> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

impl ClientAddress {
    /// The address of a request. A proxy that nobody trusts says nothing.
    #[must_use]
    pub fn of(parts: &Parts, app: &App) -> Self {
        let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        let mut address = peer
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            .to_canonical();
        let forwarded = parts.headers.get_all("x-forwarded-for");
        let hops: Vec<&str> = forwarded
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|v| v.split(','))
            .collect();
        for hop in hops.iter().rev() {
            if !app.config.trusted_proxies.contain(address) {
                break;
            }
            let hop = hop.trim();
            let behind = hop
                .parse::<IpAddr>()
                .or_else(|_| hop.parse::<SocketAddr>().map(|at| at.ip()));
            let Ok(behind) = behind else { break };
            address = behind.to_canonical();
        }
        Self(address)
    }
}

//! The origin of a request: client address and `User-Agent`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

use super::ClientAddress;
use crate::context::SharedContext;
use crate::store::origins::Origin;

/// Maximum length of a stored `User-Agent`.
const USER_AGENT_MAX: usize = 200;

impl Origin {
    /// Joins the client address with the `User-Agent` of the headers.
    #[must_use]
    pub fn of(ClientAddress(address): ClientAddress, headers: &HeaderMap) -> Self {
        let user_agent = headers.get(USER_AGENT);
        let user_agent = user_agent.map(|value| printable(value.as_bytes()));
        Self {
            address,
            user_agent: user_agent.filter(|text| !text.is_empty()),
        }
    }
}

impl FromRequestParts<SharedContext> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, Infallible> {
        let address = ClientAddress::of(&parts.extensions, &parts.headers, context);
        Ok(Self::of(address, &parts.headers))
    }
}

/// Makes an untrusted header safe to display: printable ASCII, limited in length.
#[must_use]
pub fn printable(value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    value
        .chars()
        .filter(|c| c.is_ascii() && !c.is_ascii_control())
        .take(USER_AGENT_MAX)
        .collect()
}

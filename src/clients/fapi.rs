//! Clients that are held to the FAPI 2.0 Security Profile: the settings that contradict it, and its lifetime of
//! authorization codes.

use std::borrow::Cow;

use time::Duration;

use crate::config::Config;
use crate::oauth::client_metadata::ClientKeys;
use crate::oauth::fapi::{CODE_TTL_MAX, Shape};
use crate::store::clients::Client;

/// The reason why this server can hold no client to the profile, if any.
#[must_use]
pub fn unsupported(config: &Config) -> Option<&'static str> {
    if !config.supports_dpop() {
        Some("FAPI 2.0 needs DPoP, which the profile storyden does not have")
    } else if !config.protects_requests() {
        Some("FAPI 2.0 needs pushed authorization requests: OAUTH_PAR_ENABLED is false")
    } else {
        None
    }
}

/// Lists what contradicts the profile, as sentences without a final stop; empty if the client is not held to it.
#[must_use]
pub fn contradictions(
    config: &Config,
    client: &Client,
    keys: &ClientKeys,
) -> Vec<Cow<'static, str>> {
    if !client.fapi {
        return Vec::new();
    }
    let shape = Shape {
        kind: client.kind,
        jwks: keys.jwks.as_ref(),
        has_jwks_uri: keys.jwks_uri.is_some(),
        redirect_uris: &client.redirect_uris,
        algorithms: client.algorithms,
        available: &config.signing_algorithms.0,
    };
    let server = unsupported(config).map(Cow::Borrowed);
    server.into_iter().chain(shape.contradictions()).collect()
}

/// Returns the lifetime of the authorization codes of a client.
#[must_use]
pub fn code_ttl(config: &Config, client: &Client) -> Duration {
    let ttl = config.code_ttl();
    if client.fapi {
        ttl.min(CODE_TTL_MAX)
    } else {
        ttl
    }
}

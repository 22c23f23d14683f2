//! Client assertions: JWTs signed by the client as its authentication (RFC 7523 §3, OpenID Connect Core
//! §9).

use serde::Deserialize;

use super::access_token::Audience;
use super::numeric_date::{some_whole_seconds, whole_seconds};
use crate::clock::Timestamp;

/// The only `client_assertion_type` (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest accepted lifetime of an assertion, in seconds: the server remembers each id for that
/// long.
const LIFE_MAX: i64 = 3_600;

/// Tolerated clock difference between two machines, in seconds.
const LEEWAY: i64 = 60;

/// The claims that are checked; other claims are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(deserialize_with = "whole_seconds")]
    exp: i64,
    #[serde(default, deserialize_with = "some_whole_seconds")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "some_whole_seconds")]
    iat: Option<i64>,
    jti: Option<String>,
}

/// Identifies a checked assertion, for replay detection.
#[derive(Debug, PartialEq, Eq)]
pub struct Once<'a> {
    /// The JWT id.
    pub jti: &'a str,
    /// Expiry, in seconds since 1970.
    pub expires_at: i64,
}

/// The accepted values of `aud`.
#[derive(Clone, Copy, Debug)]
pub enum Audiences<'a> {
    /// One of the names of this server, also in an array (RFC 7523 §3).
    OneOf(&'a [&'a str]),
    /// The issuer as a string, not in an array (FAPI 2.0 Security Profile §5.3.2.1): an assertion that is also
    /// for another server could be replayed by that server.
    Only(&'a str),
}

impl Claims {
    /// The client named by the assertion. Nothing is verified yet.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.sub
    }

    /// Checks the claims; the signature is checked separately. `audiences` are the names of this
    /// server.
    ///
    /// # Errors
    /// The fault, as the end of a sentence that starts with "the client assertion".
    pub fn check(
        &self,
        client_id: &str,
        audiences: Audiences<'_>,
        now: Timestamp,
    ) -> Result<Once<'_>, &'static str> {
        let now = now.unix_seconds();
        if self.iss != client_id || self.sub != client_id {
            return Err("must have the client_id as iss and sub");
        }
        match audiences {
            Audiences::OneOf(names) if !names.iter().any(|name| self.aud.contains(name)) => {
                return Err("must have the issuer of this server as aud");
            }
            Audiences::Only(issuer) if !self.aud.is_only(issuer) => {
                return Err(
                    "must have the issuer of this server as aud, as a string: this client is held to FAPI 2.0",
                );
            }
            Audiences::OneOf(_) | Audiences::Only(_) => {}
        }
        if self.exp <= now - LEEWAY {
            return Err("has expired");
        }
        if self.exp > now + LIFE_MAX + LEEWAY {
            return Err("must expire within an hour");
        }
        let from = self.nbf.into_iter().chain(self.iat).max();
        if from.is_some_and(|from| from > now + LEEWAY) {
            return Err("is not valid yet");
        }
        let jti = self.jti.as_deref().filter(|jti| !jti.is_empty());
        let jti = jti.ok_or("must have a jti")?;
        Ok(Once {
            jti,
            expires_at: self.exp + LEEWAY,
        })
    }
}

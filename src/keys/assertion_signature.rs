//! Signatures of client assertions (RFC 7523 §3).

use jsonwebtoken::jwk::{Jwk as PublicKeyJwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::DeserializeOwned;

use super::jwt::{TOKEN_MAX, is_type, signature_only};
use crate::oauth::unverified_claims::unverified_claims;

/// The reason why a client assertion is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionError {
    /// Not a JWT, or with an algorithm, type or extension not allowed for assertions.
    Malformed,
    /// No given key verifies the signature; newer keys of the client may.
    NoKey,
}

/// Signature algorithms for assertions: asymmetric only, so that only the signer has the key.
const ASSERTION_ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Names of these algorithms (RFC 8414 §2, `token_endpoint_auth_signing_alg_values_supported`).
pub const ASSERTION_ALGORITHM_NAMES: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// Decodes the claims of an assertion without verification, only to find the client and the keys. Do
/// not use the claims in any other way before [`check_assertion`].
#[must_use]
pub fn peek_assertion<T: DeserializeOwned>(assertion: &str) -> Option<T> {
    if assertion.len() > TOKEN_MAX {
        return None;
    }
    unverified_claims(assertion)
}

/// Verifies the signature of an assertion with a client's public keys (RFC 7523 §3 rule 9).
///
/// # Errors
/// [`AssertionError`] with the reason.
pub fn check_assertion(assertion: &str, jwks: &serde_json::Value) -> Result<(), AssertionError> {
    if assertion.len() > TOKEN_MAX {
        return Err(AssertionError::Malformed);
    }
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| AssertionError::Malformed)?;
    let is_access_token = header
        .typ
        .as_deref()
        .is_some_and(|typ| is_type(typ, "at+jwt"));
    if !ASSERTION_ALGORITHMS.contains(&header.alg) || header.crit.is_some() || is_access_token {
        return Err(AssertionError::Malformed); // `none` and HMAC too
    }
    let validation = signature_only(header.alg);
    let keys = jwks.get("keys").and_then(serde_json::Value::as_array);
    let signed = keys.into_iter().flatten().any(|key| {
        let Ok(key) = serde_json::from_value::<PublicKeyJwk>(key.clone()) else {
            return false; // an unsupported key type
        };
        let is_named = header.kid.is_none() || key.common.key_id == header.kid;
        let is_for_signing = key.common.public_key_use != Some(PublicKeyUse::Encryption);
        is_named
            && is_for_signing
            && DecodingKey::from_jwk(&key).is_ok_and(|key| {
                jsonwebtoken::decode::<serde_json::Value>(assertion, &key, &validation).is_ok()
            })
    });
    if signed {
        Ok(())
    } else {
        Err(AssertionError::NoKey)
    }
}

//! Signatures of JWTs that others sign: client assertions (RFC 7523 §3) and request objects (RFC 9101 §6.2) of clients,
//! and identity assertions (ID-JAG) of issuers.

use jsonwebtoken::jwk::{Jwk as PublicKeyJwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::de::DeserializeOwned;

use super::jwt::{TOKEN_MAX, is_type, signature_only};
use crate::oauth::id_jag;
use crate::oauth::request_object;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::oauth::unverified_claims::unverified_claims;

/// The reason why a client assertion or a request object is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionError {
    /// Not a JWT, or with an algorithm, type or extension not allowed here.
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

/// Reads the `kid` of an assertion without verification, for error reports.
#[must_use]
pub fn key_id(assertion: &str) -> Option<String> {
    if assertion.len() > TOKEN_MAX {
        return None;
    }
    jsonwebtoken::decode_header(assertion).ok()?.kid
}

/// Verifies the signature of an assertion with a client's public keys (RFC 7523 §3 rule 9). `only` are the
/// algorithms that a security profile permits; `None`: every asymmetric algorithm.
///
/// # Errors
/// [`AssertionError`] with the reason.
pub fn check_assertion(
    assertion: &str,
    jwks: &serde_json::Value,
    only: Option<&[SigningAlgorithm]>,
) -> Result<(), AssertionError> {
    // RFC 8725 §3.11: JWTs for other purposes
    let foreign = ["at+jwt", request_object::TYPE, id_jag::TYPE];
    let is_foreign = |typ: &str| foreign.iter().any(|foreign| is_type(typ, foreign));
    let has_type = |typ: Option<&str>| !typ.is_some_and(is_foreign);
    match only {
        Some(only) => {
            let allowed: Vec<Algorithm> = only.iter().copied().map(rule_of).collect();
            check_signature(assertion, jwks, &allowed, has_type)
        }
        None => check_signature(assertion, jwks, ASSERTION_ALGORITHMS, has_type),
    }
}

/// Verifies the signature of a request object with a client's public keys (RFC 9101 §6.2). `allowed` are
/// the algorithms that the client may use.
///
/// # Errors
/// [`AssertionError`] with the reason.
pub fn check_request_object(
    object: &str,
    jwks: &serde_json::Value,
    allowed: &[SigningAlgorithm],
) -> Result<(), AssertionError> {
    let allowed: Vec<Algorithm> = allowed.iter().copied().map(rule_of).collect();
    // RFC 9101 §10.8: the type of a different kind of JWT is rejected (cross-JWT confusion)
    let types = ["JWT", request_object::TYPE];
    let has_type =
        |typ: Option<&str>| typ.is_none_or(|typ| types.iter().any(|allowed| is_type(typ, allowed)));
    check_signature(object, jwks, &allowed, has_type)
}

/// True if the header is that of an identity assertion: its type, and an algorithm that is accepted.
#[must_use]
pub fn is_identity_assertion(assertion: &str) -> bool {
    header_of(assertion, ASSERTION_ALGORITHMS, has_identity_type).is_ok()
}

/// Verifies the signature of an identity assertion with the keys of its issuer.
///
/// # Errors
/// [`AssertionError`] with the reason.
pub fn check_identity_assertion(
    assertion: &str,
    jwks: &serde_json::Value,
) -> Result<(), AssertionError> {
    check_signature(assertion, jwks, ASSERTION_ALGORITHMS, has_identity_type)
}

fn has_identity_type(typ: Option<&str>) -> bool {
    typ.is_some_and(|typ| is_type(typ, id_jag::TYPE))
}

/// Returns the algorithm of `jsonwebtoken`.
fn rule_of(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => Algorithm::EdDSA,
    }
}

/// Reads a header, if type and algorithm are allowed.
fn header_of(
    jwt: &str,
    allowed: &[Algorithm],
    has_type: impl Fn(Option<&str>) -> bool,
) -> Result<Header, AssertionError> {
    if jwt.len() > TOKEN_MAX {
        return Err(AssertionError::Malformed);
    }
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| AssertionError::Malformed)?;
    let is_allowed = allowed.contains(&header.alg) && has_type(header.typ.as_deref());
    if !is_allowed || header.crit.is_some() {
        return Err(AssertionError::Malformed); // `none` and HMAC too
    }
    Ok(header)
}

/// Verifies a signature by one of the keys of a set.
fn check_signature(
    jwt: &str,
    jwks: &serde_json::Value,
    allowed: &[Algorithm],
    has_type: impl Fn(Option<&str>) -> bool,
) -> Result<(), AssertionError> {
    let header = header_of(jwt, allowed, has_type)?;
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
                jsonwebtoken::decode::<serde_json::Value>(jwt, &key, &validation).is_ok()
            })
    });
    if signed {
        Ok(())
    } else {
        Err(AssertionError::NoKey)
    }
}

//! DPoP proofs (RFC 9449): the checks of the claims, and the thumbprints that tokens are bound to.
//!
//! The signature and the key of a proof are checked in `keys`, nonces and replays in `dpop`.

mod target_uri;
mod thumbprint;

use serde::Deserialize;

use super::numeric_date::whole_seconds;
use super::signing_algorithm::SigningAlgorithm;
use crate::clock::Timestamp;
pub use thumbprint::{Confirmation, Thumbprint};

/// The header type of a proof (§4.2).
pub const TYPE: &str = "dpop+jwt";

/// The request parameter that binds an authorization code to a key (§10).
pub const PARAMETER: &str = "dpop_jkt";

/// The `token_type` of a bound access token (§5), and the authentication scheme (§7.1).
pub const SCHEME: &str = "DPoP";

/// Accepted signature algorithms: asymmetric only (§4.3).
pub const ALGORITHMS: &[SigningAlgorithm] = &[
    SigningAlgorithm::Es256,
    SigningAlgorithm::Rs256,
    SigningAlgorithm::Ps256,
    SigningAlgorithm::EdDsa,
    SigningAlgorithm::Ed25519,
];

/// Names of these algorithms (§5.1, `dpop_signing_alg_values_supported`).
pub const ALGORITHM_NAMES: &[&str] = &["ES256", "RS256", "PS256", "EdDSA", "Ed25519"];

/// The longest difference between `iat` and the time of the server, in seconds, in both directions.
pub const IAT_WINDOW: i64 = 60;

/// Period in which the server gives out the same nonce, in seconds.
pub const NONCE_PERIOD: i64 = 120;

/// The longest time for which a proof with a valid nonce is accepted, in seconds: a nonce is accepted in
/// the period before its own, because clocks differ, and in the period after.
const NONCE_PROOF_LIFE: i64 = 3 * NONCE_PERIOD;

/// The longest `jti`, in bytes.
const JTI_MAX: usize = 256;

/// The support of DPoP by a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpopSupport {
    /// RFC 9449.
    Supported,
    /// Proofs are ignored, and the authentication scheme is unknown.
    Ignored,
}

/// The authentication scheme of an access token in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

/// Returns the `token_type` of an access token, with the key that the token is bound to (§5).
#[must_use]
pub fn token_type(key: Option<&Thumbprint>) -> &'static str {
    if key.is_some() { SCHEME } else { "Bearer" }
}

/// The claims of a proof (§4.2).
#[derive(Debug, Deserialize)]
pub struct ProofClaims {
    jti: String,
    htm: String,
    htu: String,
    #[serde(deserialize_with = "whole_seconds")]
    iat: i64,
    #[serde(default)]
    ath: Option<String>,
    /// The nonce that the server gave out (§8).
    #[serde(default)]
    pub nonce: Option<String>,
}

/// The request that a proof was received with.
#[derive(Clone, Copy, Debug)]
pub struct ProvenRequest<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Public URL, without query and fragment.
    pub url: &'a str,
    /// `ath` of the access token in the request; `None` at the token endpoint.
    pub token_hash: Option<&'a str>,
    /// The state of the nonce.
    pub nonce: NonceState,
    /// Time of the request.
    pub now: Timestamp,
}

/// The state of the nonce of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// This server gives out no nonces. The time of the proof is `iat`.
    NotRequired,
    /// A nonce that this server gave out a short time ago. It tells the time of the proof, so that a client
    /// needs no exact clock (§4.3, check 11).
    Valid,
    /// No nonce, or an expired nonce.
    Invalid,
}

/// Identifies a checked proof, for replay detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofId<'a> {
    /// The JWT id.
    pub jti: &'a str,
    /// The time from which the proof is no longer accepted.
    pub expires_at: Timestamp,
}

/// The reason why a proof is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// The fault, as the end of a sentence that starts with "the DPoP proof".
    Invalid(&'static str),
    /// The proof needs a new nonce (§8).
    NonceNeeded,
}

impl ProofClaims {
    /// Checks the claims (§4.3, checks 8 to 12); the signature is checked separately.
    ///
    /// # Errors
    /// [`ProofError`] with the first fault.
    pub fn check(&self, request: ProvenRequest<'_>) -> Result<ProofId<'_>, ProofError> {
        if self.jti.is_empty() || self.jti.len() > JTI_MAX {
            return Err(ProofError::Invalid("must have a jti of 1 to 256 bytes"));
        }
        if self.htm != request.method {
            return Err(ProofError::Invalid("has an htm of another method"));
        }
        if !target_uri::is_same(&self.htu, request.url) {
            return Err(ProofError::Invalid("has an htu of another address"));
        }
        if let Some(expected) = request.token_hash
            && self.ath.as_deref() != Some(expected)
        {
            return Err(ProofError::Invalid(
                "must have the SHA-256 of the access token as ath",
            ));
        }
        let now = request.now.unix_seconds();
        let end = match request.nonce {
            NonceState::Invalid => return Err(ProofError::NonceNeeded),
            NonceState::Valid => now.saturating_add(NONCE_PROOF_LIFE),
            NonceState::NotRequired if self.iat.abs_diff(now) > IAT_WINDOW.unsigned_abs() => {
                return Err(ProofError::Invalid(
                    "has an iat that is more than 60 seconds away from the time of this server; set \
                     the clock of the client",
                ));
            }
            NonceState::NotRequired => self.iat.saturating_add(IAT_WINDOW + 1),
        };
        Ok(ProofId {
            jti: &self.jti,
            expires_at: Timestamp::from_unix_seconds(end),
        })
    }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_767_225_600;

    const REQUEST: ProvenRequest<'_> = ProvenRequest {
        method: "POST",
        url: "https://auth.example/api/oauth/token",
        token_hash: None,
        nonce: NonceState::NotRequired,
        now: Timestamp::FIRST,
    };

    fn check(changes: &serde_json::Value, request: ProvenRequest<'_>) -> Result<i64, ProofError> {
        let mut claims = json!({
            "jti": "1", "htm": "POST", "htu": "https://auth.example/api/oauth/token", "iat": NOW,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims: ProofClaims = serde_json::from_value(claims).unwrap();
        let now = Timestamp::from_unix_seconds(NOW);
        let id = claims.check(ProvenRequest { now, ..request })?;
        Ok(id.expires_at.unix_seconds() - NOW)
    }

    /// req_107: the window of iat has two ends, and a time of any size is no panic.
    #[test]
    fn iat_is_within_a_minute() {
        for (iat, life) in [
            (json!(NOW), Some(61)),
            (json!(NOW - 60), Some(1)),
            (json!(NOW + 60), Some(121)),
            (json!(NOW - 61), None),
            (json!(NOW + 61), None),
            (json!(i64::MIN), None),
            (json!(i64::MAX), None),
            (json!(-1e300), None),
        ] {
            assert_eq!(check(&json!({ "iat": iat }), REQUEST).ok(), life, "{iat}");
        }
    }

    /// req_107: the nonce of the server replaces the clock of the client.
    #[test]
    fn a_nonce_replaces_iat() {
        let of = |nonce| ProvenRequest { nonce, ..REQUEST };
        let old = json!({ "iat": 0 });
        assert_eq!(check(&old, of(NonceState::Valid)), Ok(360));
        assert_eq!(
            check(&json!({}), of(NonceState::Invalid)),
            Err(ProofError::NonceNeeded)
        );
    }

    /// req_107: method, address, token hash and id are compared.
    #[test]
    fn a_proof_is_for_one_request() {
        for changes in [
            json!({ "htm": "post" }),
            json!({ "htm": "GET" }),
            json!({ "htu": "https://auth.example/api/oauth/userinfo" }),
            json!({ "jti": "" }),
            json!({ "jti": "x".repeat(257) }),
        ] {
            assert!(check(&changes, REQUEST).is_err(), "{changes}");
        }
        let with_token = ProvenRequest {
            token_hash: Some("hash"),
            ..REQUEST
        };
        assert!(check(&json!({}), with_token).is_err());
        assert!(check(&json!({ "ath": "other" }), with_token).is_err());
        assert!(check(&json!({ "ath": "hash" }), with_token).is_ok());
    }

    #[test]
    fn the_names_are_the_algorithms() {
        let names: Vec<&str> = ALGORITHMS.iter().map(|one| one.name()).collect();
        assert_eq!(names, ALGORITHM_NAMES);
    }
}

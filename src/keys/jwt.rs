//! JWTs: parsing (RFC 7515 §5.2), and checks that are the same for our tokens and for client assertions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::oauth::signing_algorithm::SigningAlgorithm;

/// Maximum length of a token to verify, in bytes.
pub(super) const TOKEN_MAX: usize = 8 * 1_024;

/// Returns the rules of `jsonwebtoken` for a signature alone: the caller checks the claims.
pub(super) fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false; // the caller checks `exp` by the `Clock`
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// Compares the `typ` of a header without regard to case, with or without `application/` (RFC 7515
/// §4.1.9).
pub(super) fn is_type(given: &str, typ: &str) -> bool {
    let given = given.to_ascii_lowercase();
    let given = given.strip_prefix("application/").unwrap_or(&given);
    given.eq_ignore_ascii_case(typ)
}

/// A header. `jku`, `jwk`, `x5u` and every other member are ignored.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// A token whose signature is not verified yet.
pub(super) struct UnverifiedToken<'a> {
    pub(super) algorithm: SigningAlgorithm,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    /// The signed part: header and payload.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
    payload: &'a str,
}

impl<'a> UnverifiedToken<'a> {
    /// Parses a token; `None` if the token is too long or malformed, has another algorithm than this server
    /// signs with, or has an extension: none is supported, so any `crit` is rejected (RFC 7515 §4.1.11).
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        if payload.contains('.') {
            return None;
        }
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            algorithm: SigningAlgorithm::from_name(&header.alg)?,
            kid: header.kid,
            typ: header.typ,
            message,
            signature,
            payload,
        })
    }

    /// Decodes the claims. Call after the signature was verified.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(self.payload).ok()?).ok()
    }
}
